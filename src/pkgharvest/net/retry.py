"""The retry policy: which errors are asked again, after how long, how often, and for how long in all."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import tenacity

from pkgharvest.errors import NotReadyError, UnavailableError, UpstreamError
from pkgharvest.net.clock import Clock

T = TypeVar("T")


@dataclass(slots=True)
class Effort:
    """What a request has cost so far; waiting for one's turn at a gate is not in it."""

    seconds: float = 0.0
    """Spent on attempts and on the waits between them."""
    failures: int = 0
    """Attempts that met an error worth another one."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full jitter over a doubling wait; how often an error is met again is the error's own ``attempts``.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter")
    """

    total: float = 60.0
    """Seconds that the attempts and the waits between them may take; no attempt begins after them."""
    first: float = 1.0
    """Upper bound of the first wait, in seconds; it doubles with each attempt."""
    longest: float = 30.0
    """Upper bound of any wait, in seconds."""
    random: random.Random = field(default_factory=random.Random)

    async def call(self, attempt: Callable[[], Awaitable[T]], effort: Effort, clock: Clock) -> T:
        """Return what the attempt returns, or raise the error of the last attempt.

        ``effort`` goes on from call to call, so that an interruption by a rate limit gives no new attempts.
        """

        def stop(state: tenacity.RetryCallState) -> bool:
            effort.failures += 1
            spent = effort.seconds + state.upcoming_sleep
            return effort.failures >= _error_of(state).attempts or spent > self.total

        def wait(state: tenacity.RetryCallState) -> float:
            return self._wait(_error_of(state), effort.failures)

        async def sleep(seconds: float) -> None:
            effort.seconds += seconds
            await clock.sleep(seconds)

        retrying = tenacity.AsyncRetrying(
            sleep=sleep,
            stop=stop,
            wait=wait,
            retry=tenacity.retry_if_exception(_is_worth_it),
            reraise=True,
        )
        return await retrying(attempt)

    def _wait(self, error: UpstreamError, failures: int) -> float:
        bound: float = min(self.longest, self.first * 2.0**failures)
        if isinstance(error, NotReadyError):
            return bound  # a computation takes its time; many who ask do not collide
        if isinstance(error, UnavailableError) and error.after is not None:
            return error.after
        return self.random.uniform(0.0, bound)  # jitter, no secret


def _is_worth_it(error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and error.attempts > 1


def _error_of(state: tenacity.RetryCallState) -> UpstreamError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, UpstreamError)  # noqa: S101  tenacity waits only after _is_worth_it
    return error
