from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from pkgharvest.errors import (
    NotFoundError,
    RateLimitedError,
    StoppedError,
    TokenRefusedError,
)
from pkgharvest.net.message import Answer, Request, Response
from pkgharvest.visit import Ending, Visit
from services import NOW, FakeFetch, Reply

pytestmark = pytest.mark.anyio

STOPPED = StoppedError("stopped by SIGTERM", signal.SIGTERM)


def ask(url: str = "https://api.example/a", body: bytes = b"") -> Request[bytes]:
    return Request("service", url, lambda response: response.body, body=body)


@dataclass
class Hanging:
    """A `Fetch` that answers when it is let go."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: bool = False

    async def __call__(self, request: Request[Any]) -> Answer[Any]:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return Answer(request.judge(Response(request.url, 200, {}, b"late", NOW)), NOW)


async def begun(hanging: Hanging, work: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.ensure_future(work)
    await hanging.begun.wait()
    return task


# The visit.


async def test_each_thing_is_asked_once() -> None:
    fetch = FakeFetch({"https://api.example/a": Reply("x")})
    visit = Visit(fetch, Ending())
    assert [await visit(ask()), await visit(ask())] == [b'"x"', b'"x"']
    assert await visit(ask(body=b"other")) == b'"x"'
    assert fetch.asked == ["https://api.example/a"] * 2


async def test_the_latest_answer_counts() -> None:
    replies = {
        "https://api.example/a": Reply("x", moment=NOW),
        "https://api.example/b": Reply("x", moment=NOW - timedelta(seconds=1)),
    }
    visit = Visit(FakeFetch(dict(replies)), Ending())
    with pytest.raises(LookupError, match="nothing has been answered yet"):
        _ = visit.latest
    await visit(ask("https://api.example/a"))
    await visit(ask("https://api.example/b"))
    assert visit.latest == NOW


async def test_what_is_asked_beside_is_not_remembered() -> None:
    fetch = FakeFetch({"https://api.example/a": Reply("x")})
    visit = Visit(fetch, Ending())
    first = await visit.beside(ask())
    assert (first.value, first.received) == (b'"x"', NOW)
    await visit.beside(ask())
    assert len(fetch.asked) == 2
    with pytest.raises(LookupError):
        _ = visit.latest


async def test_the_costs_are_the_visits() -> None:
    costs: list[Any] = []

    async def fetch(request: Request[Any]) -> Answer[Any]:
        costs.append(request.cost)
        return Answer(None, NOW)

    visit = Visit(fetch, Ending())
    await visit(ask())
    assert costs == [visit.cost]
    assert costs[0] is visit.cost


# What ends the run.


@pytest.mark.parametrize("error", [RateLimitedError("spent"), TokenRefusedError("bad"), STOPPED])
async def test_after_an_ending_nobody_asks(error: Exception) -> None:
    ending = Ending()
    fetch = FakeFetch({"https://api.example/a": error})
    with pytest.raises(type(error)) as first:
        await Visit(fetch, ending)(ask())
    with pytest.raises(type(error)) as second:
        await Visit(fetch, ending)(ask("https://api.example/b"))
    assert first.value is second.value is error
    assert fetch.asked == ["https://api.example/a"]
    assert not ending.is_stopped


async def test_an_error_of_one_request_ends_nothing() -> None:
    fetch = FakeFetch({"https://api.example/a": NotFoundError("no"), "https://api.example/b": Reply("x")})
    visit = Visit(fetch, Ending())
    with pytest.raises(NotFoundError):
        await visit(ask())
    assert await visit(ask("https://api.example/b")) == b'"x"'


async def test_the_first_ending_counts() -> None:
    ending = Ending()
    first = RateLimitedError("spent")
    ending.note(first)
    ending.note(TokenRefusedError("bad"))
    with pytest.raises(RateLimitedError) as caught:
        ending.check()
    assert caught.value is first


async def test_a_replay_goes_on_to_its_end_but_can_be_stopped() -> None:
    ending = Ending(replaying=True)
    ending.note(RateLimitedError("spent"))
    ending.check()
    ending.stop(STOPPED)
    with pytest.raises(StoppedError):
        ending.check()


# What stops the run.


async def test_what_is_under_way_is_given_up_and_raises_where_it_waits() -> None:
    hanging, ending = Hanging(), Ending()
    task = await begun(hanging, Visit(hanging, ending)(ask()))
    assert not ending.is_stopped
    ending.stop(STOPPED)
    with pytest.raises(StoppedError) as caught:
        await task
    assert caught.value is STOPPED
    assert (hanging.was_cancelled, task.cancelled(), ending.is_stopped) == (True, False, True)


async def test_after_a_stop_nobody_asks_and_the_first_one_counts() -> None:
    fetch = FakeFetch({"https://api.example/a": Reply("x")})
    ending = Ending()
    ending.note(RateLimitedError("spent"))
    ending.stop(STOPPED)
    ending.stop(StoppedError("stopped by SIGHUP", signal.SIGHUP))
    with pytest.raises(StoppedError) as caught:
        await Visit(fetch, ending)(ask())
    assert (caught.value, fetch.asked) == (STOPPED, [])


async def test_a_task_goes_on_after_it_was_told_of_the_stop() -> None:
    """It closes what it opened, and awaits other things meanwhile."""
    hanging, ending = Hanging(), Ending()

    async def work() -> str:
        try:
            await Visit(hanging, ending)(ask())
        except StoppedError:
            await asyncio.sleep(0)
        return "closed"

    task = await begun(hanging, work())
    ending.stop(STOPPED)
    assert await task == "closed"


async def test_who_waits_for_nothing_is_left_alone() -> None:
    ending = Ending()
    assert await ending.until(asyncio.sleep(0, "done")) == "done"

    async def work() -> str:
        await asyncio.sleep(0.001)
        return "finished"

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    ending.stop(STOPPED)
    assert await task == "finished"


async def test_what_waits_around_another_wait_is_stopped_too() -> None:
    """As when the packages of a grid are awaited, and one of them was asked for meanwhile."""
    hanging, ending = Hanging(), Ending()

    async def inner() -> None:
        await ending.until(asyncio.sleep(0))
        await hanging(ask())

    task = await begun(hanging, ending.until(inner()))
    ending.stop(STOPPED)
    await asyncio.wait([task], timeout=1)
    assert (hanging.was_cancelled, task.done() and task.exception()) == (True, STOPPED)


async def test_a_cancellation_by_others_stays_one() -> None:
    hanging, ending = Hanging(), Ending()
    task = await begun(hanging, ending.until(hanging(ask())))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ending.stop(STOPPED)  # it waits no longer


async def test_a_cancellation_by_others_beside_the_stop_stays_one() -> None:
    hanging, ending = Hanging(), Ending()
    task = await begun(hanging, ending.until(hanging(ask())))
    task.cancel()
    ending.stop(STOPPED)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_step_is_its_own_though_the_run_was_stopped() -> None:
    ending = Ending()
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise NotFoundError("no") from None

    task = asyncio.ensure_future(ending.until(step()))
    await begun.wait()
    ending.stop(STOPPED)
    with pytest.raises(NotFoundError):
        await task


async def test_many_are_stopped_at_once() -> None:
    ending = Ending()
    fetches = [Hanging() for _ in range(20)]
    tasks = [await begun(fetch, Visit(fetch, ending)(ask())) for fetch in fetches]
    ending.stop(STOPPED)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [STOPPED] * 20
