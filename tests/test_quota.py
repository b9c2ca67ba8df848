from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from pkgharvest.errors import RateLimitedError, TokenRefusedError, UpstreamError
from pkgharvest.net.quota import Gate, Patience, Quota, quota_in

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 15, 12, tzinfo=UTC)


class HandClock:
    """Time that passes only by `advance`; notes every sleep."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.sleeps: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return START

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        over = asyncio.Event()
        self._sleepers.append((self.passed + seconds, over))
        await over.wait()

    async def advance(self, seconds: float) -> None:
        self.passed += seconds
        for end, over in self._sleepers:
            if end <= self.passed:
                over.set()
        await settled()


async def settled() -> None:
    """Let every coroutine run until it waits."""
    for _ in range(50):
        await asyncio.sleep(0)


def limited(wait: float | None = None) -> RateLimitedError:
    return RateLimitedError("api.example limits us", "Set GITHUB_TOKEN", wait=wait)


def gate_on(clock: HandClock, patience: float = 1000.0, at_once: int = 8) -> Gate:
    return Gate("api", clock, Patience(patience), at_once=at_once)


async def passed_at(gate: Gate, clock: HandClock) -> float:
    async with gate.passage():
        return clock.monotonic()


@asynccontextmanager
async def waiting_line(gate: Gate, clock: HandClock, length: int) -> AsyncIterator[list[asyncio.Task[float]]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(passed_at(gate, clock)) for _ in range(length)]
        await settled()
        yield tasks


async def test_an_open_gate_lets_everybody_pass_at_once() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    async with waiting_line(gate, clock, 3) as tasks:
        assert [task.result() for task in tasks] == [0, 0, 0]
    assert (gate.sent, clock.sleeps) == (3, [])


async def test_a_wait_that_the_host_asks_for_holds_everybody_back() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    async with waiting_line(gate, clock, 5) as tasks:
        await clock.advance(29)
        assert ([task.done() for task in tasks], gate.sent) == ([False] * 5, 0)
        await clock.advance(1)
        assert ([task.result() for task in tasks], gate.sent) == ([30] * 5, 5)
    assert clock.sleeps == [30] * 5


async def test_those_who_wait_go_on_waiting_when_the_gate_is_closed_for_longer() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    async with waiting_line(gate, clock, 2) as tasks:
        await clock.advance(10)
        gate.close(limited(50))
        await clock.advance(20)
        assert gate.sent == 0
        await clock.advance(30)
        assert [task.result() for task in tasks] == [60, 60]


async def test_a_shorter_wait_does_not_open_the_gate_earlier() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    gate.close(limited(5))
    async with waiting_line(gate, clock, 1) as tasks:
        await clock.advance(29)
        assert gate.sent == 0
        await clock.advance(1)
        assert tasks[0].result() == 30


@pytest.mark.parametrize("wait", [0.0, 0.2, -5.0])
async def test_the_shortest_wait_is_a_second(wait: float) -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(wait))
    async with waiting_line(gate, clock, 1) as tasks:
        await clock.advance(1)
        assert tasks[0].result() == 1
    assert clock.sleeps == [1]


async def test_a_host_that_names_no_wait_is_left_alone_for_longer_each_time_and_then_for_good() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    for seconds in (60, 120, 240):
        gate.close(limited())
        async with waiting_line(gate, clock, 1) as tasks:
            await clock.advance(seconds - 1)
            assert not tasks[0].done()
            await clock.advance(1)
    assert (clock.sleeps, gate.sent) == ([60, 120, 240], 3)
    with pytest.raises(RateLimitedError):
        gate.close(limited())
    with pytest.raises(RateLimitedError):
        await passed_at(gate, clock)
    assert gate.sent == 3


async def test_an_answer_that_is_no_refusal_begins_the_silent_waits_anew() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    for _ in range(5):
        gate.close(limited())
        async with waiting_line(gate, clock, 1):
            await clock.advance(60)
        gate.praise()
    assert clock.sleeps == [60] * 5


@pytest.mark.parametrize(
    ("waits", "spent", "opens"),
    [
        pytest.param([None, None], 60, 60, id="silent twice"),
        pytest.param([30.0, 30.0], 30, 30, id="the same wait twice"),
        pytest.param([30.0, 50.0], 50, 50, id="the longer one counts"),
        pytest.param([50.0, 30.0], 50, 50, id="the shorter one is in it"),
        pytest.param([90.0, None], 90, 90, id="a silent one while closed"),
        pytest.param([None, 90.0], 90, 90, id="a longer one while silent"),
    ],
)
async def test_refusals_at_once_cost_patience_once(
    waits: list[float | None], spent: float, opens: float
) -> None:
    clock = HandClock()
    patience = Patience(1000)
    gate = Gate("api", clock, patience, at_once=8)
    for wait in waits:
        gate.close(limited(wait))
    async with waiting_line(gate, clock, 1):
        await clock.advance(opens)
    assert (1000 - patience.left, clock.sleeps) == (spent, [opens])


async def test_two_silent_refusals_at_once_are_one_step() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited())
    gate.close(limited())
    await clock.advance(60)
    gate.close(limited())
    async with waiting_line(gate, clock, 1):
        await clock.advance(120)
    assert clock.sleeps == [120]


async def test_a_wait_longer_than_patience_shuts_the_gate_and_says_when_to_come_back() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=60)
    with pytest.raises(RateLimitedError) as caught:
        gate.close(limited(3600))
    advice = "Run again after 2026-02-15 13:00:00 UTC, or wait longer with --max-wait 3600. Set GITHUB_TOKEN"
    assert (caught.value.message, caught.value.advice) == ("api.example limits us", advice)
    with pytest.raises(RateLimitedError) as again:
        await passed_at(gate, clock)
    assert again.value is caught.value
    assert (gate.sent, clock.sleeps) == (0, [])


async def test_a_wait_as_long_as_patience_is_waited() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=60)
    gate.close(limited(60))
    async with waiting_line(gate, clock, 1) as tasks:
        await clock.advance(60)
        assert tasks[0].result() == 60


@pytest.mark.parametrize(
    "waits",
    [[3600.0], [60.4], [0.0], [None], [50.0, 20.0], [50.0, None], [40.0, 0.0, 15.0]],
    ids=repr,
)
async def test_the_max_wait_that_is_advised_would_have_been_enough(waits: list[float | None]) -> None:
    async def advised(seconds: float) -> float | None:
        clock = HandClock()
        gate = gate_on(clock, patience=seconds)
        for wait in waits:
            try:
                gate.close(limited(wait))
            except RateLimitedError as error:
                number = re.search(r"--max-wait (\S+)\.", f"{error.advice}.")
                assert number is not None
                return float(number[1].rstrip("."))
            await clock.advance(60 if wait is None else max(wait, 1))
        return None

    first = await advised(50 if len(waits) > 1 else 0)
    assert first is not None
    assert await advised(first) is None


async def test_patience_is_shared_by_the_gates_of_a_run() -> None:
    clock = HandClock()
    patience = Patience(60)
    one, two = (Gate(name, clock, patience, at_once=1) for name in ("one", "two"))
    one.close(limited(40))
    with pytest.raises(RateLimitedError):
        two.close(limited(21))
    async with waiting_line(one, clock, 1) as tasks:
        await clock.advance(40)
        assert tasks[0].result() == 40


@pytest.mark.parametrize(
    ("seconds", "spent", "left"),
    [([10, 20], [True, True], 0), ([31], [False], 30), ([29, 2, 1], [True, False, True], 0)],
)
def test_patience_is_spent_only_where_it_lasts(seconds: list[float], spent: list[bool], left: float) -> None:
    patience = Patience(30)
    assert ([patience.spend(number) for number in seconds], patience.left) == (spent, left)


async def test_a_shut_gate_stays_shut_with_the_first_reason() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    first = TokenRefusedError("api.example does not accept the token")
    for error in (first, UpstreamError("another reason")):
        with pytest.raises(TokenRefusedError) as caught:
            gate.shut(error)
        assert caught.value is first
    gate.praise()
    await clock.advance(100_000)
    with pytest.raises(TokenRefusedError) as caught:
        await passed_at(gate, clock)
    assert caught.value is first
    assert gate.sent == 0


async def test_a_rate_limit_does_not_replace_the_reason_of_a_shut_gate() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=60)
    first = TokenRefusedError("api.example does not accept the token")
    with pytest.raises(TokenRefusedError):
        gate.shut(first)
    with pytest.raises(UpstreamError) as caught:
        gate.close(limited(3600))
    assert caught.value is first
    with pytest.raises(UpstreamError) as caught:
        await passed_at(gate, clock)
    assert caught.value is first


async def test_those_who_wait_are_turned_away_when_the_gate_is_shut() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))

    async def turned_away() -> bool:
        with pytest.raises(TokenRefusedError):
            await passed_at(gate, clock)
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(turned_away()) for _ in range(3)]
        await settled()
        with pytest.raises(TokenRefusedError):
            gate.shut(TokenRefusedError("no"))
        await clock.advance(30)
    assert ([task.result() for task in tasks], gate.sent) == ([True] * 3, 0)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_more_requests_are_under_way_than_allowed(at_once: int) -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=at_once)
    under_way = 0
    most = 0

    async def request() -> None:
        nonlocal under_way, most
        async with gate.passage():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(request())
    assert (most, gate.sent) == (at_once, 10)


async def test_a_request_that_fails_leaves_its_place() -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=1)
    with pytest.raises(UpstreamError, match="broke"):
        async with gate.passage():
            raise UpstreamError("broke")
    assert await passed_at(gate, clock) == 0
    assert gate.sent == 2


def _headers(limit: str, remaining: str, reset: str) -> dict[str, str]:
    return {"x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        (_headers("5000", "4999", "1767225600"), Quota(5000, 4999, NEW_YEAR)),
        (_headers("60", "0", "1767225600"), Quota(60, 0, NEW_YEAR)),
        (_headers("0", "0", "0"), Quota(0, 0, datetime(1970, 1, 1, tzinfo=UTC))),
        ({**_headers("60", "1", "1767225600"), "x-ratelimit-used": "many"}, Quota(60, 1, NEW_YEAR)),
        ({}, None),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "1"}, None),
        (_headers("60", "", "1767225600"), None),
        (_headers("60", "-1", "1767225600"), None),
        (_headers("60", "1.5", "1767225600"), None),
        (_headers("60", " 1", "1767225600"), None),
        (_headers("many", "some", "soon"), None),
        (_headers("60", "1", "Thu, 01 Jan 2026 00:00:00 GMT"), None),
        (_headers("60", "1", "99999999999999999999"), None),
        (_headers("6" * 5000, "1", "1767225600"), None),
        (_headers("٦٠", "1", "1767225600"), None),  # digits, but not ASCII
        (_headers("6²", "1", "1767225600"), None),
    ],
    ids=repr,
)
def test_quota_is_read_from_whole_and_sensible_headers_only(
    headers: Mapping[str, str], quota: Quota | None
) -> None:
    assert quota_in(headers) == quota


async def test_the_newest_quota_is_kept_and_nonsense_changes_nothing() -> None:
    gate = gate_on(HandClock())
    assert gate.quota is None
    gate.note(_headers("60", "59", "1767225600"))
    gate.note({})
    gate.note(_headers("60", "58", "1767225600"))
    gate.note(_headers("60", "fewer", "1767225600"))
    assert gate.quota == Quota(60, 58, NEW_YEAR)
