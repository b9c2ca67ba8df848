from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.errors import (
    ConflictError,
    DownError,
    MalformedError,
    NotFoundError,
    NotModifiedError,
    NotReadyError,
    OverloadedError,
    OversizedError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    RetiredError,
    TokenRefusedError,
    UnavailableError,
    UnreachableError,
    UnreadableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.retry import Effort, RetryPolicy

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 15, 12, tzinfo=UTC)

ATTEMPTS: dict[type[UpstreamError], int] = {
    UpstreamError: 1,
    UnreachableError: 4,
    UntrustedError: 1,
    DownError: 1,
    UnavailableError: 4,
    OverloadedError: 2,
    NotReadyError: 5,
    RateLimitedError: 1,
    TokenRefusedError: 1,
    RetiredError: 1,
    RefusedError: 1,
    NotFoundError: 1,
    ConflictError: 1,
    RedirectError: 1,
    NotModifiedError: 2,
    UnreadableError: 3,
    OversizedError: 1,
    MalformedError: 1,
}


class RecordingClock(JumpingClock):
    """Notes every sleep."""

    def __init__(self) -> None:
        super().__init__(START)
        self.sleeps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await super().sleep(seconds)


class Script:
    """Attempts with given outcomes, the last one for good; each costs the same effort."""

    def __init__(self, *outcomes: Exception | str, effort: Effort | None = None, cost: float = 0.0) -> None:
        self.outcomes = outcomes
        self.effort = effort or Effort()
        self.cost = cost
        self.count = 0

    async def __call__(self) -> str:
        outcome = self.outcomes[min(self.count, len(self.outcomes) - 1)]
        self.count += 1
        self.effort.seconds += self.cost
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  jitter, no secret


class LongestWaits(random.Random):
    """Jitter at its upper bound."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002  the base's signature
        return b


def _family(kind: type[UpstreamError]) -> Iterator[type[UpstreamError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def test_the_table_of_attempts_names_every_error_of_an_upstream() -> None:
    of_the_package = {kind for kind in _family(UpstreamError) if kind.__module__ == "pkgharvest.errors"}
    assert of_the_package == set(ATTEMPTS)


@pytest.mark.parametrize(
    ("kind", "attempts"), ATTEMPTS.items(), ids=lambda value: getattr(value, "__name__", "")
)
async def test_an_error_is_met_as_often_as_its_class_says(kind: type[UpstreamError], attempts: int) -> None:
    clock = RecordingClock()
    errors = [kind(f"attempt {number}") for number in range(1, 10)]
    script = Script(*errors)
    with pytest.raises(kind) as caught:
        await RetryPolicy(random=seeded(1)).call(script, Effort(), clock)
    assert caught.value is errors[attempts - 1]
    assert (script.count, len(clock.sleeps)) == (attempts, attempts - 1)


async def test_an_answer_at_once_costs_no_wait() -> None:
    clock = RecordingClock()
    script = Script("answer")
    assert await RetryPolicy().call(script, Effort(), clock) == "answer"
    assert (script.count, clock.sleeps) == (1, [])


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_an_answer_after_failures_is_returned(failures: int) -> None:
    clock = RecordingClock()
    script = Script(*[UnavailableError("busy")] * failures, "answer")
    assert await RetryPolicy().call(script, Effort(), clock) == "answer"
    assert (script.count, len(clock.sleeps)) == (failures + 1, failures)


async def test_attempts_are_counted_over_all_kinds_of_errors() -> None:
    clock = RecordingClock()
    last = UnreadableError("not whole")
    script = Script(UnavailableError("busy"), UnreachableError("gone"), last, "never")
    with pytest.raises(UnreadableError) as caught:
        await RetryPolicy().call(script, Effort(), clock)
    assert caught.value is last
    assert (script.count, len(clock.sleeps)) == (3, 2)


@pytest.mark.parametrize(
    "error", [ValueError("ours"), NotFoundError("no"), UntrustedError("forged")], ids=repr
)
async def test_what_asking_again_cannot_mend_is_raised_after_an_earlier_retry(error: Exception) -> None:
    clock = RecordingClock()
    script = Script(UnavailableError("busy"), error, "never")
    with pytest.raises(type(error)) as caught:
        await RetryPolicy().call(script, Effort(), clock)
    assert caught.value is error
    assert (script.count, len(clock.sleeps)) == (2, 1)


async def test_jitter_is_drawn_from_zero_to_a_bound_that_doubles() -> None:
    clock = RecordingClock()
    with pytest.raises(UnreachableError):
        await RetryPolicy(random=seeded(7)).call(Script(UnreachableError("gone")), Effort(), clock)
    same = seeded(7)
    assert clock.sleeps == [same.uniform(0, 1), same.uniform(0, 2), same.uniform(0, 4)]


@given(seed=st.integers())
async def test_no_wait_is_longer_than_its_bound(seed: int) -> None:
    clock = RecordingClock()
    with pytest.raises(UnreachableError):
        await RetryPolicy(random=seeded(seed)).call(Script(UnreachableError("gone")), Effort(), clock)
    assert [0 <= wait <= bound for wait, bound in zip(clock.sleeps, (1, 2, 4), strict=True)] == [True] * 3


async def test_jitter_is_full() -> None:
    policy = RetryPolicy(random=seeded(3))
    clock = RecordingClock()
    for _ in range(200):
        await policy.call(Script(UnavailableError("busy"), "answer"), Effort(), clock)
    assert min(clock.sleeps) < 0.1
    assert max(clock.sleeps) > 0.9


async def test_waits_double_up_to_the_longest() -> None:
    clock = RecordingClock()
    policy = RetryPolicy(total=1000, first=8, longest=30, random=LongestWaits())
    script = Script(*[NotReadyError("soon")] * 2, *[UnavailableError("busy")] * 5)
    with pytest.raises(UnavailableError):
        await policy.call(script, Effort(), clock)
    assert clock.sleeps == [8, 16, 30]


async def test_a_computation_is_polled_after_one_two_four_and_eight_seconds() -> None:
    clock = RecordingClock()
    with pytest.raises(NotReadyError):
        await RetryPolicy().call(Script(NotReadyError("soon")), Effort(), clock)
    assert clock.sleeps == [1, 2, 4, 8]


@pytest.mark.parametrize("after", [0.0, 0.5, 7.0, 45.0])
async def test_retry_after_is_obeyed_to_the_second(after: float) -> None:
    clock = RecordingClock()
    script = Script(UnavailableError("busy", after=after), "answer")
    assert await RetryPolicy().call(script, Effort(), clock) == "answer"
    assert clock.sleeps == [after]


async def test_retry_after_beyond_the_total_is_not_waited_for() -> None:
    clock = RecordingClock()
    script = Script(UnavailableError("busy", after=61))
    with pytest.raises(UnavailableError):
        await RetryPolicy(total=60).call(script, Effort(), clock)
    assert (script.count, clock.sleeps) == (1, [])


@pytest.mark.parametrize(
    ("cost", "total", "sleeps"),
    [
        pytest.param(0, 60, [1, 2, 4], id="attempts run out first"),
        pytest.param(25, 60, [1, 2], id="the third attempt begins at 53 s"),
        pytest.param(25, 53, [1, 2], id="the third attempt begins at the very end"),
        pytest.param(25, 52, [1], id="the third attempt would begin too late"),
        pytest.param(60, 60, [], id="one attempt takes it all"),
        pytest.param(0, 0, [], id="no time at all"),
    ],
)
async def test_no_attempt_begins_after_the_total(cost: float, total: float, sleeps: list[float]) -> None:
    clock = RecordingClock()
    effort = Effort()
    script = Script(UnreachableError("gone"), effort=effort, cost=cost)
    with pytest.raises(UnreachableError):
        await RetryPolicy(total=total, random=LongestWaits()).call(script, effort, clock)
    assert (script.count, clock.sleeps) == (len(sleeps) + 1, sleeps)


async def test_effort_spent_before_counts() -> None:
    clock = RecordingClock()
    script = Script(UnreachableError("gone"))
    with pytest.raises(UnreachableError):
        await RetryPolicy(total=60, random=LongestWaits()).call(script, Effort(seconds=58), clock)
    assert clock.sleeps == [1]
