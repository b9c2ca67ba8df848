"""Many things at once, and out in the order they came in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from typing import TypeVar

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
    tasks: deque[asyncio.Task[R]] = deque()
    try:
        async for item in items:
            tasks.append(asyncio.create_task(work(item)))
            if len(tasks) > ahead:
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_groups(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncGenerator[list[T]]:
    """Yield the items in lists of a size, the last one perhaps shorter."""
    group: list[T] = []
    async for item in one_by_one(items):
        group.append(item)
        if len(group) == size:
            yield group
            group = []
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
