"""Many things at once, and out in the order they came in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: AsyncIterable[T], work: Callable[[T], Coroutine[None, None, R]], *, ahead: int
) -> AsyncGenerator[R]:
    """Yield what the work makes of each item, in the order of the items, some of them worked on at once.

    Args:
        items: are taken one by one, when there is room.
        work: is begun for each item in their order.
        ahead: on how many items is worked beyond the one that is next to come out.
    """
    source = aiter(items)
    following: asyncio.Task[T] | None = None
    tasks: deque[asyncio.Task[R]] = deque()
    is_over = False
    try:
        while True:
            if following is None and not is_over and len(tasks) <= ahead:
                following = asyncio.create_task(_next(source))
            # The next item may be long in coming; what is finished does not wait for it.
            awaited: list[asyncio.Task[Any]] = [
                task for task in (tasks[0] if tasks else None, following) if task
            ]
            if not awaited:
                return
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if following and following.done():
                is_over = isinstance(following.exception(), _EndError)
                if not is_over:
                    tasks.append(asyncio.create_task(work(following.result())))
                following = None
            elif tasks[0].done():
                yield await tasks.popleft()
    finally:
        under_way = [*tasks, following] if following else [*tasks]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


class _EndError(Exception):
    """There is no further item."""


async def _next(source: AsyncIterator[T]) -> T:
    try:
        return await anext(source)
    except StopAsyncIteration:  # which no task can raise
        raise _EndError from None


async def in_groups(
    items: Iterable[T] | AsyncIterable[T],
    size: int,
    *,
    counts: Callable[[T], bool] = lambda _: True,
    longest: int = 1000,
) -> AsyncGenerator[list[T]]:
    """Yield the items in lists of a size, the last one perhaps shorter.

    Args:
        items: in their order.
        size: of a list.
        counts: tells which items count towards the size.
        longest: how many items a list has at most, whether they count or not.
    """
    group: list[T] = []
    counted = 0
    async for item in one_by_one(items):
        group.append(item)
        counted += counts(item)
        if counted == size or len(group) == longest:
            yield group
            group, counted = [], 0
    if group:
        yield group


async def one_by_one(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T]:
    """Yield the items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
