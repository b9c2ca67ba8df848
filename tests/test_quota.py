from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pkgharvest.errors import RateLimitedError, TokenRefusedError, UpstreamError
from pkgharvest.net.message import Cost, Origin, Request, Response, Token
from pkgharvest.net.quota import Gate, Patience, Quota, Rules, quota_in

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
    return Gate("api", clock, Patience(patience), Rules(at_once))


def sent(gate: Gate, resource: str = "") -> int:
    return gate.costs.get(resource, Cost()).sent


async def passed_at(gate: Gate, clock: HandClock, resource: str = "") -> float:
    async with gate.passage(resource):
        gate.count(ask(resource))
        return clock.monotonic()


@asynccontextmanager
async def waiting_line(
    gate: Gate, clock: HandClock, length: int, resource: str = ""
) -> AsyncIterator[list[asyncio.Task[float]]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(passed_at(gate, clock, resource)) for _ in range(length)]
        await settled()
        yield tasks


async def test_an_open_gate_lets_everybody_pass_at_once() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    async with waiting_line(gate, clock, 3) as tasks:
        assert [task.result() for task in tasks] == [0, 0, 0]
    assert (sent(gate), clock.sleeps) == (3, [])


async def test_a_wait_that_the_host_asks_for_holds_everybody_back() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    async with waiting_line(gate, clock, 5) as tasks:
        await clock.advance(29)
        assert ([task.done() for task in tasks], sent(gate)) == ([False] * 5, 0)
        await clock.advance(1)
        assert ([task.result() for task in tasks], sent(gate)) == ([30] * 5, 5)
    assert clock.sleeps == [30] * 5


async def test_those_who_wait_go_on_waiting_when_the_gate_is_closed_for_longer() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    async with waiting_line(gate, clock, 2) as tasks:
        await clock.advance(10)
        gate.close(limited(50))
        await clock.advance(20)
        assert sent(gate) == 0
        await clock.advance(30)
        assert [task.result() for task in tasks] == [60, 60]


async def test_a_shorter_wait_does_not_open_the_gate_earlier() -> None:
    clock = HandClock()
    gate = gate_on(clock)
    gate.close(limited(30))
    gate.close(limited(5))
    async with waiting_line(gate, clock, 1) as tasks:
        await clock.advance(29)
        assert sent(gate) == 0
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
    assert (clock.sleeps, sent(gate)) == ([60, 120, 240], 3)
    with pytest.raises(RateLimitedError):
        gate.close(limited())
    with pytest.raises(RateLimitedError):
        await passed_at(gate, clock)
    assert sent(gate) == 3


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
    gate = Gate("api", clock, patience, Rules(8))
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
    assert (sent(gate), clock.sleeps) == (0, [])


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
    one, two = (Gate(name, clock, patience, Rules(1)) for name in ("one", "two"))
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
    assert sent(gate) == 0


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
    assert ([task.result() for task in tasks], sent(gate)) == ([True] * 3, 0)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_more_requests_are_under_way_than_allowed(at_once: int) -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=at_once)
    under_way = 0
    most = 0

    async def request() -> None:
        nonlocal under_way, most
        async with gate.passage():
            gate.count(ask(""))
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(request())
    assert (most, sent(gate)) == (at_once, 10)


async def test_a_request_that_fails_leaves_its_place() -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=1)
    with pytest.raises(UpstreamError, match="broke"):
        async with gate.passage():
            raise UpstreamError("broke")
    assert await passed_at(gate, clock) == 0


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


TOKEN = Token("marked-token", "GITHUB_TOKEN")


def ask(resource: str = "", token: Token | None = TOKEN) -> Request[None]:
    return Request("api", "https://api.example/a", lambda _: None, token=token, resource=resource)


def answer(headers: Mapping[str, str], origin: Origin = Origin.NETWORK) -> Response:
    return Response("https://api.example/a", 200, headers, b"", START, origin=origin)


async def test_the_newest_quota_is_kept_by_resource_and_nonsense_changes_nothing() -> None:
    gate = gate_on(HandClock())
    assert gate.quotas == {}
    gate.note(ask(), answer(_headers("60", "59", "1767225600")))
    gate.note(ask("graphql"), answer(_headers("5000", "4000", "1767225600")))
    gate.note(ask(), answer({}))
    gate.note(ask(), answer(_headers("60", "58", "1767225600")))
    gate.note(ask(), answer(_headers("60", "fewer", "1767225600")))
    assert gate.quotas == {"": Quota(60, 58, NEW_YEAR), "graphql": Quota(5000, 4000, NEW_YEAR)}


@pytest.mark.parametrize(
    ("origin", "token", "cost"),
    [
        (Origin.NETWORK, TOKEN, Cost(sent=1, charged=1)),
        (Origin.NETWORK, None, Cost(sent=1, charged=1)),
        pytest.param(Origin.REVALIDATED, TOKEN, Cost(sent=1), id="a 304 with a token is free"),
        pytest.param(Origin.REVALIDATED, None, Cost(sent=1, charged=1), id="a 304 without one is not"),
        (Origin.STORE, TOKEN, None),
        (Origin.STORE, None, None),
    ],
)
async def test_a_request_costs_what_its_answer_tells(
    origin: Origin, token: Token | None, cost: Cost | None
) -> None:
    gate = gate_on(HandClock())
    gate.note(ask("core", token), answer(_headers("60", "59", "1767225600"), origin))
    assert gate.costs == ({} if cost is None else {"core": cost})
    assert ("core" in gate.quotas) == (cost is not None)


async def test_costs_are_added_up_by_resource() -> None:
    gate = gate_on(HandClock())
    gate.count(ask("core"))
    gate.note(ask("core"), answer({}))
    gate.note(ask("graphql"), answer({}))
    gate.charge(ask("graphql"), 6)
    assert gate.costs == {"core": Cost(sent=2, charged=1), "graphql": Cost(sent=1, charged=7)}


# The pace.


def paced(clock: HandClock, rates: Mapping[str, int], patience: float = 0, at_once: int = 8) -> Gate:
    return Gate("api", clock, Patience(patience), Rules(at_once, rates))


async def test_the_requests_of_a_minute_are_never_more_than_allowed() -> None:
    clock = HandClock()
    gate = paced(clock, {"core": 5}, at_once=3)
    moments = []
    async with waiting_line(gate, clock, 23, "core") as tasks:
        for _ in range(6 * 61 * 2):
            await clock.advance(0.5)
        moments = sorted(task.result() for task in tasks)
    assert all(later - earlier > 60 for earlier, later in zip(moments, moments[5:], strict=False))
    assert moments[-1] < 5 * 62  # and not much fewer


async def test_a_minute_counts_from_each_request_not_from_the_first() -> None:
    clock = HandClock()
    gate = paced(clock, {"core": 2})
    assert await passed_at(gate, clock, "core") == 0
    await clock.advance(50)
    assert await passed_at(gate, clock, "core") == 50
    async with waiting_line(gate, clock, 2, "core") as tasks:
        for _ in range(120):
            await clock.advance(1)
        assert sorted(task.result() for task in tasks) == [61, 111]


async def test_each_resource_has_a_pace_of_its_own_and_one_without_a_number_none() -> None:
    clock = HandClock()
    gate = paced(clock, {"core": 1, "graphql": 2})
    passed = [await passed_at(gate, clock, resource) for resource in ("core", "graphql", "graphql", *"aaa")]
    assert (passed, clock.sleeps) == ([0] * 6, [])
    async with waiting_line(gate, clock, 1, "core") as slow, waiting_line(gate, clock, 1, "other") as free:
        assert (slow[0].done(), free[0].result()) == (False, 0)
        await clock.advance(61)
        assert slow[0].result() == 61


async def test_waiting_for_the_pace_costs_no_patience() -> None:
    clock = HandClock()
    patience = Patience(10)
    gate = Gate("api", clock, patience, Rules(8, {"": 1}))
    async with waiting_line(gate, clock, 3) as tasks:
        for _ in range(2):
            await clock.advance(61)
        assert sorted(task.result() for task in tasks) == [0, 61, 122]
    assert patience.left == 10


async def test_requests_that_were_held_back_keep_to_the_pace_afterwards() -> None:
    clock = HandClock()
    gate = paced(clock, {"": 2}, patience=100)
    gate.close(limited(30))
    async with waiting_line(gate, clock, 3) as tasks:
        await clock.advance(30)
        assert sorted(task.done() for task in tasks) == [False, True, True]
        await clock.advance(61)
        assert sorted(task.result() for task in tasks) == [30, 30, 91]


# A limit that is used up.


def told(remaining: int, reset: datetime, date: str = "") -> Response:
    headers = _headers("60", str(remaining), str(int(reset.timestamp())))
    return answer({**headers, **({"date": date} if date else {})})


@pytest.mark.parametrize(
    "date",
    [
        pytest.param("", id="no date"),
        pytest.param("Sun, 15 Feb 2026 12:00:00 GMT", id="the same time"),
        pytest.param("Mon, 16 Feb 2026 01:00:00 GMT", id="a host ahead of us"),
        pytest.param("Sun, 15 Feb 2026 11:50:00 GMT", id="a host behind us"),
        pytest.param("soon", id="no date that is one"),
    ],
)
async def test_the_next_request_waits_for_the_reset_by_the_clock_of_the_host(date: str) -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=41)
    is_date = date.endswith("GMT")
    host_now = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC) if is_date else START
    gate.note(ask("core"), told(0, host_now + timedelta(seconds=40), date))
    async with waiting_line(gate, clock, 3, "core") as tasks:
        await clock.advance(40)
        assert sent(gate, "core") == 1
        await clock.advance(1)
        assert [task.result() for task in tasks] == [41] * 3


async def test_a_limit_that_is_used_up_is_told_before_it_is_met_and_says_what_helps() -> None:
    clock = HandClock()
    gate = Gate("api", clock, Patience(60), Rules(8, advice="Set GITHUB_TOKEN"))
    gate.note(ask("core"), told(0, START + timedelta(hours=1)))
    for _ in range(2):
        with pytest.raises(RateLimitedError) as caught:
            await passed_at(gate, clock, "core")
        assert caught.value.message == "the rate limit of api is used up"
        advice = "Run again after 2026-02-15 13:00:01 UTC, or wait longer with --max-wait 3601"
        assert caught.value.advice == f"{advice}. Set GITHUB_TOKEN"
    assert (sent(gate, "core"), clock.sleeps) == (1, [])


@pytest.mark.parametrize("remaining", [1, 60])
async def test_a_limit_that_is_not_used_up_holds_nobody_back(remaining: int) -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=0)
    gate.note(ask("core"), told(remaining, START + timedelta(hours=1)))
    assert await passed_at(gate, clock, "core") == 0


async def test_a_limit_that_is_used_up_holds_back_its_resource_alone_until_somebody_asks_for_it() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=0)
    gate.note(ask("core"), told(0, START + timedelta(hours=1)))
    assert await passed_at(gate, clock, "graphql") == 0


async def test_a_limit_whose_reset_is_over_holds_nobody_back() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=0)
    gate.note(ask("core"), told(0, START - timedelta(hours=1)))
    assert await passed_at(gate, clock, "core") == 0
    gate.note(ask("core"), told(0, START + timedelta(seconds=30)))
    await clock.advance(31)
    assert await passed_at(gate, clock, "core") == 31


async def test_a_reset_that_a_wrong_clock_puts_days_ahead_is_little_more_than_an_hour() -> None:
    clock = HandClock()
    gate = gate_on(clock, patience=3900)
    gate.note(ask("core"), told(0, START + timedelta(days=3)))
    async with waiting_line(gate, clock, 1, "core") as tasks:
        await clock.advance(3899)
        assert not tasks[0].done()
        await clock.advance(1)
        assert tasks[0].result() == 3900


async def test_what_shut_a_gate_does_not_grow_with_those_who_meet_it() -> None:
    gate = gate_on(HandClock())
    error = TokenRefusedError("no")
    depths = []
    for _ in range(50):
        with pytest.raises(TokenRefusedError) as caught:
            gate.shut(error)
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))
    assert depths == [depths[0]] * 50


async def test_a_wait_for_the_reset_is_paid_once_by_all_who_wait() -> None:
    clock = HandClock()
    patience = Patience(100)
    gate = Gate("api", clock, patience, Rules(8))
    gate.note(ask("core"), told(0, START + timedelta(seconds=59)))
    async with waiting_line(gate, clock, 5, "core"):
        await clock.advance(60)
    assert (patience.left, sent(gate, "core")) == (40, 6)


# Refusals because requests came too fast.


def hurried(wait: float) -> RateLimitedError:
    return RateLimitedError("api.example limits us", wait=wait, hurried=True)


async def most_under_way(gate: Gate, requests: int) -> int:
    under_way = most = 0

    async def request() -> None:
        nonlocal under_way, most
        async with gate.passage():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(requests):
            group.create_task(request())
    return most


@pytest.mark.parametrize(
    ("refusals", "at_once", "left"),
    [(0, 8, 8), (1, 8, 4), (2, 8, 2), (3, 8, 1), (5, 8, 1), (1, 5, 3), (1, 1, 1)],
)
async def test_each_hurried_refusal_halves_the_requests_under_way_for_the_rest_of_the_run(
    refusals: int, at_once: int, left: int
) -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=at_once)
    for _ in range(refusals):
        gate.close(hurried(10))
        await clock.advance(10)
        gate.praise()
    assert [await most_under_way(gate, 20) for _ in range(3)] == [left] * 3


async def test_those_who_wait_for_the_gate_to_open_are_halved_too() -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=8)
    gate.close(hurried(10))
    async with asyncio.TaskGroup() as group:
        most = group.create_task(most_under_way(gate, 20))
        await settled()
        await clock.advance(10)
        for _ in range(5):
            await clock.advance(1)
    assert most.result() == 4


@pytest.mark.parametrize(
    ("refusals", "left"),
    [
        pytest.param([hurried(10), hurried(10), hurried(20)], 4, id="at once"),
        pytest.param([limited(10), limited(10)], 8, id="not hurried"),
    ],
)
async def test_refusals_that_come_together_halve_once_and_others_do_not(
    refusals: list[RateLimitedError], left: int
) -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=8)
    for error in refusals:
        gate.close(error)
    await clock.advance(20)
    assert await most_under_way(gate, 20) == left


async def test_a_request_that_is_given_up_while_it_waits_keeps_no_place() -> None:
    clock = HandClock()
    gate = gate_on(clock, at_once=2)
    gate.close(hurried(10))
    tasks = [asyncio.create_task(passed_at(gate, clock)) for _ in range(6)]
    await settled()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await clock.advance(10)
    assert await most_under_way(gate, 5) == 1


async def test_a_replay_passes_at_once_though_the_gate_is_closed_shut_or_spent() -> None:
    clock = HandClock()
    gate = Gate("api", clock, Patience(60), Rules(8, {"core": 1}), replaying=True)
    gate.note(ask("core"), told(0, START + timedelta(hours=1)))
    gate.close(limited(30))
    assert await passed_at(gate, clock, "core") == 0
    with pytest.raises(RateLimitedError):
        gate.close(limited(3600))
    assert [await passed_at(gate, clock, "core") for _ in range(3)] == [0] * 3
    assert clock.sleeps == []


async def test_what_is_sent_for_a_request_is_counted_for_those_who_want_to_know() -> None:
    clock, own, other = HandClock(), Cost(), Cost()
    gate = gate_on(clock)
    first, second = replace(ask("core"), cost=own), replace(ask("graphql"), cost=other)
    for request in (first, first, second, ask("core")):
        gate.count(request)
    gate.charge(first, 1)
    gate.charge(second, 7)
    gate.charge(ask("core"), 2)
    assert (own, other) == (Cost(sent=2, charged=1), Cost(sent=1, charged=7))
    assert gate.costs == {"core": Cost(sent=3, charged=3), "graphql": Cost(sent=1, charged=7)}


@pytest.mark.parametrize(
    ("origin", "token", "cost"),
    [
        (Origin.NETWORK, None, Cost(1, 1)),
        (Origin.REVALIDATED, None, Cost(1, 1)),
        (Origin.REVALIDATED, Token("t", "T"), Cost(1, 0)),
        (Origin.STORE, None, Cost()),
    ],
)
async def test_the_cost_of_a_request_is_that_of_its_answer(
    origin: Origin, token: Token | None, cost: Cost
) -> None:
    own = Cost()
    request = replace(ask("core", token=token), cost=own)
    gate_on(HandClock()).note(request, replace(told(9, START), origin=origin))
    assert own == cost
