"""Many things at once: out in order, so many under way, and an end that leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from pkgharvest.order import in_groups, in_order, one_by_one

pytestmark = pytest.mark.anyio


async def stream(items: Iterable[int]) -> AsyncGenerator[int]:
    for item in items:
        yield item


@dataclass
class Endless:
    """Counts, and remembers how far."""

    taken: int = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.taken += 1
            yield self.taken - 1


@dataclass
class Workshop:
    """Work that ends when it is told to."""

    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    most: int = 0
    may_end: dict[int, asyncio.Event] = field(default_factory=dict)
    is_free: bool = False

    async def work(self, item: int) -> int:
        self.begun.append(item)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            if not self.is_free:
                await self.may_end.setdefault(item, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        self.ended.append(item)
        return item * 10

    def release(self, item: int) -> None:
        self.may_end.setdefault(item, asyncio.Event()).set()


async def settle() -> None:
    """Let everybody run until all wait."""
    for _ in range(50):
        await asyncio.sleep(0)


def tasks() -> int:
    return len(asyncio.all_tasks())


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 4, 20])
async def test_what_is_made_of_the_items_comes_out_in_their_order(ahead: int, count: int) -> None:
    async def work(item: int) -> int:
        for _ in range((item * 7) % 5):
            await asyncio.sleep(0)
        return item * 10

    made = [result async for result in in_order(stream(range(count)), work, ahead=ahead)]
    assert made == [item * 10 for item in range(count)]


@pytest.mark.parametrize("ahead", [0, 1, 5])
async def test_a_slow_item_holds_back_the_output_but_not_the_work_within_a_bound(ahead: int) -> None:
    shop, source = Workshop(), Endless()
    for item in range(1, 50):
        shop.release(item)
    async with aclosing(in_order(stream(source), shop.work, ahead=ahead)) as results:
        first = asyncio.ensure_future(anext(results))
        await settle()
        assert not first.done()
        assert shop.begun == list(range(ahead + 1))
        assert shop.ended == list(range(1, ahead + 1))
        assert source.taken == ahead + 1
        shop.release(0)
        assert await first == 0
        assert await anext(results) == 10


@pytest.mark.parametrize("ahead", [0, 1, 5])
async def test_no_more_are_worked_on_than_may_be(ahead: int) -> None:
    shop, source = Workshop(is_free=True), Endless()
    async with aclosing(in_order(stream(source), shop.work, ahead=ahead)) as results:
        for number in range(100):
            assert await anext(results) == number * 10
            await settle()
            assert source.taken <= number + ahead + 1
    assert shop.most <= ahead + 1


async def test_nothing_is_begun_before_the_first_result_is_wanted() -> None:
    source = Endless()
    results = in_order(stream(source), Workshop().work, ahead=3)
    await settle()
    assert source.taken == 0
    await results.aclose()


async def test_who_closes_early_leaves_nothing_running() -> None:
    shop, before = Workshop(), tasks()
    shop.release(0)
    results = in_order(stream(Endless()), shop.work, ahead=3)
    assert await anext(results) == 0
    await settle()
    await results.aclose()
    assert shop.cancelled == [1, 2, 3]
    assert tasks() == before


async def test_who_is_cancelled_while_waiting_leaves_nothing_running() -> None:
    shop, before = Workshop(), tasks()
    waiting = asyncio.ensure_future(anext(in_order(stream(Endless()), shop.work, ahead=3)))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settle()
    assert sorted(shop.cancelled) == [0, 1, 2, 3]
    assert tasks() == before


async def test_work_that_is_slow_to_stop_is_waited_for() -> None:
    cleaned = []

    async def work(item: int) -> int:
        try:
            await asyncio.Event().wait() if item else None
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            cleaned.append(item)
        return item

    async with aclosing(in_order(stream(range(3)), work, ahead=2)) as results:
        assert await anext(results) == 0
        await settle()
    assert sorted(cleaned) == [0, 1, 2]


async def test_an_error_of_the_work_comes_out_in_its_place_and_ends_the_rest() -> None:
    shop, before = Workshop(), tasks()

    async def work(item: int) -> int:
        if item == 2:
            raise LookupError("two")
        return await shop.work(item)

    for item in (0, 1):
        shop.release(item)
    results = in_order(stream(Endless()), work, ahead=3)
    assert [await anext(results), await anext(results)] == [0, 10]
    with pytest.raises(LookupError, match="two"):
        await anext(results)
    await settle()
    assert set(shop.cancelled) == set(shop.begun) - {0, 1}
    assert tasks() == before


async def test_an_error_of_the_items_comes_out_and_ends_the_rest() -> None:
    shop, before = Workshop(), tasks()

    async def broken() -> AsyncGenerator[int]:
        yield 0
        await settle()
        raise LookupError("the items")

    with pytest.raises(LookupError, match="the items"):
        await anext(in_order(broken(), shop.work, ahead=3))
    assert shop.cancelled == [0]
    assert tasks() == before


KINDS = [lambda items: items, stream]


@pytest.mark.parametrize("kind", KINDS, ids=["iterable", "async iterable"])
@pytest.mark.parametrize(
    ("count", "size", "groups"),
    [
        (0, 3, []),
        (2, 3, [[0, 1]]),
        (3, 3, [[0, 1, 2]]),
        (7, 3, [[0, 1, 2], [3, 4, 5], [6]]),
        (2, 1, [[0], [1]]),
    ],
)
async def test_groups_are_as_large_as_they_should_be_and_the_last_one_takes_the_rest(
    kind: type[AsyncIterable[int]], count: int, size: int, groups: list[list[int]]
) -> None:
    items: AsyncIterable[int] | Iterable[int] = kind(range(count))  # type: ignore[call-arg]
    assert [group async for group in in_groups(items, size)] == groups


@pytest.mark.parametrize("wrap", KINDS, ids=["iterable", "async iterable"])
async def test_groups_take_no_more_items_than_are_wanted(wrap: type[AsyncIterable[int]]) -> None:
    source = Endless()
    async with aclosing(in_groups(wrap(source), 3)) as groups:  # type: ignore[call-arg]
        assert await anext(groups) == [0, 1, 2]
        assert source.taken == 3
        assert await anext(groups) == [3, 4, 5]
        assert source.taken == 6


async def test_groups_are_not_changed_after_they_came_out() -> None:
    groups = [group async for group in in_groups(range(5), 2)]
    assert groups == [[0, 1], [2, 3], [4]]
    assert len({id(group) for group in groups}) == 3


@pytest.mark.parametrize("items", [[1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3]), stream([1, 2, 3])])
async def test_items_of_either_kind_of_iterable_come_one_by_one(
    items: Iterable[int] | AsyncIterable[int],
) -> None:
    assert [item async for item in one_by_one(items)] == [1, 2, 3]


async def test_items_are_taken_as_they_are_wanted() -> None:
    source = Endless()
    async with aclosing(one_by_one(source)) as items:
        assert [await anext(items), await anext(items)] == [0, 1]
    assert source.taken == 2


async def test_an_error_of_the_items_passes_through_groups_and_items() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("the items")

    with pytest.raises(LookupError, match="the items"):
        [item async for item in one_by_one(broken())]
    with pytest.raises(LookupError, match="the items"):
        [group async for group in in_groups(broken(), 2)]


async def test_what_is_finished_does_not_wait_for_the_next_item() -> None:
    more = asyncio.Event()

    async def items() -> AsyncGenerator[int]:
        yield 1
        await more.wait()
        yield 2

    async def work(number: int) -> int:
        return number

    results = in_order(items(), work, ahead=5)
    assert await anext(results) == 1
    more.set()
    assert [number async for number in results] == [2]


@pytest.mark.parametrize("wrap", KINDS, ids=["iterable", "async iterable"])
@pytest.mark.parametrize(
    ("items", "size", "groups"),
    [
        ([1, 0, 0, 1, 0, 1], 2, [[1, 0, 0, 1], [0, 1]]),
        ([0, 0, 1, 1, 0], 2, [[0, 0, 1, 1], [0]]),
        ([0, 0, 0], 1, [[0, 0, 0]]),
        ([0] * 7 + [1], 1, [[0] * 5, [0, 0, 1]]),
        ([0, 0, 0, 0, 1, 1], 1, [[0, 0, 0, 0, 1], [1]]),
    ],
)
async def test_items_that_do_not_count_ride_along_up_to_a_bound(
    wrap: type[AsyncIterable[int]], items: list[int], size: int, groups: list[list[int]]
) -> None:
    made = in_groups(wrap(items), size, counts=bool, longest=5)  # type: ignore[call-arg]
    assert [group async for group in made] == groups
