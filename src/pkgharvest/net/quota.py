"""The gate of each service: how many requests are under way, how fast they go, and when nobody may send."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

from pkgharvest.errors import RateLimitedError, UpstreamError
from pkgharvest.net.clock import Clock
from pkgharvest.net.message import Cost, Origin, Request, Response

T = TypeVar("T")

_SILENT_WAIT = 60.0
"""Seconds to wait where a host does not say how long, doubled each time:
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""
_SILENT_WAITS = 3
_SHORTEST_WAIT = 1.0
"""Seconds; a host that limits us and asks for no wait would be asked in a circle."""
_LONGEST_RENEWAL = 3900.0
"""Seconds; GitHub's limits are there again within an hour, and a clock that is wrong may say anything."""
_MINUTE = 61.0
"""Seconds; one more than a minute, as the way to the host is not always equally long."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a host says is left of its rate limit."""

    limit: int
    remaining: int
    reset: datetime
    """When the whole limit is there again, in UTC by the host's clock."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a service is to be asked."""

    at_once: int = 1
    """Requests under way."""
    per_minute: Mapping[str, int] = field(default_factory=dict)
    """Requests a minute, by resource; as many as can be where it is not named."""
    advice: str = ""
    """What helps against its rate limit."""


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
        self, service: str, clock: Clock, patience: Patience, rules: Rules, *, replaying: bool = False
    ) -> None:
        """Take the service's name, the time, and the rules.

        Args:
            service: the name, for messages.
            clock: the time, and the sleep.
            patience: the run's, shared by all gates.
            rules: how the service is to be asked.
            replaying: let requests pass at once and though the gate is shut: in the run that was
                recorded some had passed before, and they are found in the recording.
        """
        self.service = service
        self.quotas: dict[str, Quota] = {}
        """By resource, as the newest answers told."""
        self.costs: dict[str, Cost] = {}
        """By resource."""
        self._clock = clock
        self._patience = patience
        self._rules = rules
        self._replaying = replaying
        self._slots = asyncio.Semaphore(rules.at_once)
        self._at_once = rules.at_once
        self._surplus = 0
        self._passed: dict[str, deque[float]] = {}
        self._renewed: dict[str, float] = {}
        self._open_at = 0.0
        self._silent_waits = 0
        self._shut: UpstreamError | None = None

    @asynccontextmanager
    async def passage(self, resource: str = "") -> AsyncIterator[None]:
        """Wait for a free place, for one's turn, and for the end of what the host asked to wait.

        Raises:
            UpstreamError: the gate is shut for the rest of the run.
        """
        await self._slots.acquire()
        await self._wait_in_place(resource)
        try:
            yield
        finally:
            self._slots.release()

    @property
    def closed_for(self) -> float:
        """Seconds that nobody passes, as the host asked to wait; 0 if it did not."""
        return max(self._open_at - self._clock.monotonic(), 0.0)

    def note(self, request: Request[T], response: Response) -> None:
        """Count a request, and read from its answer what is left of the rate limit."""
        if response.origin is Origin.STORE:
            return
        self.count(request)
        # A 304 is free where a token was sent:
        # https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
        if response.origin is Origin.NETWORK or request.token is None:
            self.charge(request, 1)
        quota = quota_in(response.headers)
        if quota is not None:
            self.quotas[request.resource] = quota
            wait = renewal(quota.reset.timestamp(), response)
            self._renewed[request.resource] = self._clock.monotonic() + wait

    def count(self, request: Request[T]) -> None:
        """Count a request that went out, answered or not."""
        for cost in self._costs_of(request):
            cost.sent += 1

    def charge(self, request: Request[T], points: int) -> None:
        """Take note of what an answer cost of the rate limit."""
        for cost in self._costs_of(request):
            cost.charged += points

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
            raise self._shut.with_traceback(None)
        now = self._clock.monotonic()
        wait = error.wait
        if error.hurried and self._open_at <= now:
            self._halve()
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
        raise self._shut.with_traceback(None)  # which would grow with each raise

    def _costs_of(self, request: Request[T]) -> list[Cost]:
        own = self.costs.setdefault(request.resource, Cost())
        return [own] if request.cost is None else [own, request.cost]

    async def _wait_in_place(self, resource: str) -> None:
        """Return when the request may go; whoever cannot go any more leaves the place to others."""
        while True:
            try:
                while not self._surplus:
                    if (wait := self._wait(resource)) <= 0:
                        return
                    await self._clock.sleep(wait)
            except BaseException:
                self._slots.release()
                raise
            self._surplus -= 1  # the place is taken away: it went too fast with as many
            await self._slots.acquire()

    def _wait(self, resource: str) -> float:
        """Return the seconds that a request must still wait; a request that need not is counted."""
        if self._replaying:
            return 0.0
        if self._shut is not None:
            raise self._shut.with_traceback(None)
        now = self._clock.monotonic()
        if self._is_spent(resource, now):
            message = f"the rate limit of {self.service} is used up"
            self.close(RateLimitedError(message, self._rules.advice, wait=self._renewed[resource] - now))
        if self._open_at > now:
            return self._open_at - now
        most = self._rules.per_minute.get(resource)
        if most is None:
            return 0.0
        passed = self._passed.setdefault(resource, deque(maxlen=most))
        if len(passed) == most and passed[0] + _MINUTE > now:
            return passed[0] + _MINUTE - now
        passed.append(now)
        return 0.0

    def _is_spent(self, resource: str, now: float) -> bool:
        quota = self.quotas.get(resource)
        return (
            quota is not None and quota.remaining <= 0 and self._renewed[resource] > max(now, self._open_at)
        )

    def _halve(self) -> None:
        gone = self._at_once // 2
        self._at_once -= gone
        self._surplus += gone


def quota_in(headers: Mapping[str, str]) -> Quota | None:
    """Return what the headers ``x-ratelimit-*`` tell, None if they do not.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#checking-the-status-of-your-rate-limit
    """
    texts = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(text.isascii() and text.isdigit() and len(text) <= len("4102444800") for text in texts):
        return None
    limit, remaining, reset = map(int, texts)
    return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))


def renewal(reset: float, response: Response) -> float:
    """Return the seconds until a limit is whole again, by the clock of the host; an hour or so at most.

    Negative where it is whole already.

    Args:
        reset: when that is, in seconds since 1970.
        response: the answer that told it.
    """
    # A second more: the host's clock tells no fractions.
    return min(reset - response.server_time.timestamp() + 1, _LONGEST_RENEWAL)


def _too_long(error: RateLimitedError, wait: float, needed: int, now: datetime) -> RateLimitedError:
    again = (now + timedelta(seconds=wait)).strftime("%Y-%m-%d %H:%M:%S UTC")
    advice = f"Run again after {again}, or wait longer with --max-wait {needed}"
    return RateLimitedError(error.message, ". ".join(filter(None, [advice, error.advice])), wait=wait)
