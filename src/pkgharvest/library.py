"""The harvest as two functions, for programs that import pkgharvest."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing

from anyio.from_thread import start_blocking_portal

from pkgharvest.record import Record
from pkgharvest.results import Result
from pkgharvest.session import Session, Targets
from pkgharvest.settings import Settings


async def aharvest(
    targets: Targets, settings: Settings | None = None, *, base: Iterable[Record] = ()
) -> AsyncGenerator[Result]:
    """Yield a result for each target, in their order, as soon as it and those before it are done.

    Close the generator (`contextlib.aclosing`) where it is not read to its end.

    Args:
        targets: slugs, PyPI names, URLs.
        settings: what `Settings.from_environment(os.environ)` gives by default, the token included;
            configuration files are not read.
        base: earlier records to start from.

    Raises:
        SettingError: the environment, or a recording, is wrong.
        OutputError: the recording cannot be written.
    """
    chosen = settings or Settings.from_environment(os.environ)
    async with Session(chosen, base=base) as session, aclosing(session.harvest(targets)) as results:
        async for result in results:
            yield result


def harvest(
    targets: Targets, settings: Settings | None = None, *, base: Iterable[Record] = ()
) -> Iterator[Result]:
    """Yield a result for each target, as `aharvest` does; the network runs on in a thread of its own."""
    results = aharvest(targets, settings, base=base)
    with start_blocking_portal() as portal:
        try:
            while (result := portal.call(anext, results, None)) is not None:
                yield result
        finally:
            portal.call(results.aclose)
