"""The gate of each service: how many requests are under way, and when nobody may send."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from pkgharvest.errors import RateLimitedError, UpstreamError
from pkgharvest.net.clock import Clock

_SILENT_WAIT = 60.0
"""Seconds to wait where a host does not say how long, doubled each time:
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""
_SILENT_WAITS = 3
_SHORTEST_WAIT = 1.0
"""Seconds; a host that limits us and asks for no wait would be asked in a circle."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a host says is left of its rate limit."""

    limit: int
    remaining: int
    reset: datetime
    """When the whole limit is there again, in UTC by the host's clock."""


class Patience:
    """How many seconds a run may wait for rate limits in all, whoever waits for it."""

    def __init__(self, seconds: float) -> None:
        """Take the seconds."""
        self.seconds = seconds
        self.left = seconds

    def spend(self, seconds: float) -> bool:
        """Take seconds away if they are there; tell whether they were."""
        if seconds > self.left:
            return False
        self.left -= seconds
        return True

    def needed(self, seconds: float) -> int:
        """Return the whole seconds that it would have taken to spend so many more."""
        return math.ceil(round(self.seconds - self.left + seconds, 3))  # the clock is a float


class Gate:
    """What all requests to one service pass."""

    def __init__(
        self, service: str, clock: Clock, patience: Patience, *, at_once: int, replaying: bool = False
    ) -> None:
        """Take the service's name, the time, and the rules.

        Args:
            service: the name, for messages.
            clock: the time, and the sleep.
            patience: the run's, shared by all gates.
            at_once: how many requests may be under way.
            replaying: let requests pass though the gate is shut: in the run that was recorded some
                had passed before, and they are found in the recording.
        """
        self.service = service
        self.quota: Quota | None = None
        """As the newest answer told, None if none did."""
        self.sent = 0
        """Requests that went to the host."""
        self._clock = clock
        self._patience = patience
        self._slots = asyncio.Semaphore(at_once)
        self._open_at = 0.0
        self._silent_waits = 0
        self._replaying = replaying
        self._shut: UpstreamError | None = None

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Wait for a free place and for the end of what the host asked to wait.

        Raises:
            UpstreamError: the gate is shut for the rest of the run.
        """
        async with self._slots:
            while (wait := self._open_at - self._clock.monotonic()) > 0 and self._shut is None:
                await self._clock.sleep(wait)
            if self._shut is not None and not self._replaying:
                raise self._shut
            self.sent += 1
            yield

    def note(self, headers: Mapping[str, str]) -> None:
        """Read what is left of the rate limit from an answer's headers (names in lower case)."""
        self.quota = quota_in(headers) or self.quota

    def praise(self) -> None:
        """Take note that an answer was no refusal."""
        self._silent_waits = 0

    def close(self, error: RateLimitedError) -> None:
        """Let nobody pass for as long as the host asks; shut the gate if patience does not last so long.

        Raises:
            RateLimitedError: the gate is shut now; the message says when it would open.
            UpstreamError: it was shut before.
        """
        if self._shut is not None:
            raise self._shut
        now = self._clock.monotonic()
        wait = error.wait
        if wait is None:
            if self._open_at > now:  # another request met the same refusal and closed the gate
                return
            wait = _SILENT_WAIT * 2**self._silent_waits
            self._silent_waits += 1
        open_at = now + max(wait, _SHORTEST_WAIT)
        longer = max(open_at - max(self._open_at, now), 0.0)
        if self._silent_waits > _SILENT_WAITS or not self._patience.spend(longer):
            self.shut(_too_long(error, wait, self._patience.needed(longer), self._clock.now()))
        self._open_at = max(self._open_at, open_at)

    def shut(self, error: UpstreamError) -> NoReturn:
        """Let nobody pass for the rest of the run; raise the error that everybody meets from now on."""
        self._shut = self._shut or error
        raise self._shut


def quota_in(headers: Mapping[str, str]) -> Quota | None:
    """Return what the headers ``x-ratelimit-*`` tell, None if they do not.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit
    """
    texts = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(text.isascii() and text.isdigit() and len(text) <= len("4102444800") for text in texts):
        return None
    limit, remaining, reset = map(int, texts)
    return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))


def _too_long(error: RateLimitedError, wait: float, needed: int, now: datetime) -> RateLimitedError:
    again = (now + timedelta(seconds=wait)).strftime("%Y-%m-%d %H:%M:%S UTC")
    advice = f"Run again after {again}, or wait longer with --max-wait {needed}"
    return RateLimitedError(error.message, ". ".join(filter(None, [advice, error.advice])), wait=wait)
