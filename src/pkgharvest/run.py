"""What the commands do between their options and their exit codes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pkgharvest import signals
from pkgharvest.bases import Bases, HeldRecords, Layers
from pkgharvest.budget import Budget
from pkgharvest.console import BAR_AFTER, Console
from pkgharvest.errors import (
    DownError,
    NotFoundError,
    OccupiedError,
    OutputError,
    PkgharvestError,
    RateLimitedError,
    RetiredError,
    SettingError,
    StoppedError,
    TokenRefusedError,
    UnreachableError,
)
from pkgharvest.harvester import is_fresh
from pkgharvest.net.cache import Store
from pkgharvest.net.message import Cost
from pkgharvest.net.quota import Gate, Quota
from pkgharvest.order import one_by_one
from pkgharvest.output import Documents, Status
from pkgharvest.report import Report, reporting
from pkgharvest.results import Failure, Harvested, Result, Skipped
from pkgharvest.session import Session
from pkgharvest.settings import Settings
from pkgharvest.snapshot import Folder, Snapshot, read_records
from pkgharvest.sources.github import CORE, GRAPHQL
from pkgharvest.targets import CatalogTarget, CollectionTarget, Hosts, Named, Target

_KINDS: list[tuple[type[PkgharvestError], int]] = [
    (RetiredError, 1),
    (TokenRefusedError, 4),
    (RateLimitedError, 5),
    (UnreachableError, 6),
    (OutputError, 7),
]
_USUAL = {CORE: {True: 5000, False: 60}, GRAPHQL: {True: 5000, False: 0}}

Targets = Sequence[Named | Failure] | AsyncIterable[Named | Failure]
"""What was named, or is still to be read from lists, wrong lines in their places."""


@dataclass(slots=True)
class Outcome:
    """What came of a run, as far as its exit code goes."""

    records: int = 0
    failures: set[int] = field(default_factory=set)
    """Exit codes that each failure alone would have."""
    is_down: bool = False
    """Whether a service was given up."""
    stopped: StoppedError | None = None
    results: int = 0
    """Targets that were dealt with."""

    def add(self, error: PkgharvestError) -> None:
        """Take note of a failure."""
        self.is_down = self.is_down or isinstance(error, DownError)
        if not isinstance(error, StoppedError):
            self.failures.add(next((code for kind, code in _KINDS if isinstance(error, kind)), 3))

    @property
    def exit_code(self) -> int:
        """The exit code: the first that applies of 7, the signal's, 4, 5, 1, 6 and 3.

        6 only if no record was had, and nothing could be reached or a service was given up.
        """
        if 7 in self.failures:  # noqa: PLR2004  see the table of codes
            return 7
        if self.stopped is not None:
            return 128 + self.stopped.signal
        for code in (4, 5, 1):
            if code in self.failures:
                return code
        if self.records == 0 and (self.is_down or self.failures == {6}):
            return 6
        return 3 if self.failures else 0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be harvested, and where it goes."""

    targets: Sequence[Named] | AsyncIterable[Named | Failure]
    earlier: Path | None
    """A file or folder of base records."""
    sink: AbstractContextManager[Documents]
    report: Path | None = None
    strict: bool = False
    """Whether nothing is asked if one target cannot be understood."""
    is_finite: bool = False
    """Whether the targets can be counted before the first is asked for."""
    is_on_terminal: bool = False
    """Whether the documents go to a terminal, where a bar would be in their way."""
    take: Callable[[Result], Result] = lambda result: result
    """Sees each result before it is told, and may add to it."""


def fetch(settings: Settings, order: Order, hosts: Hosts, console: Console) -> int:
    """Harvest, write and tell; return the exit code.

    Raises:
        PkgharvestError: the run cannot begin; nothing has been asked, and nothing is changed.
        BrokenPipeError: nobody reads the documents any more.
    """
    return asyncio.run(_Run(settings, console).through(order, hosts))


class _Run:
    """A run of the harvest, and what came of it so far."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._outcome = Outcome()
        self._gates: Mapping[str, Gate] = {}
        self._for_lists = Cost()

    async def through(self, order: Order, hosts: Hosts) -> int:
        started = time.monotonic()
        broken: BrokenPipeError | None = None
        earlier = earlier_records(order.earlier, hosts)
        targets: Targets = ()
        with reporting(order.report, datetime.now(UTC)) as report:
            try:
                with order.sink as documents:
                    bases = Layers([documents, earlier]) if isinstance(documents, Snapshot) else earlier
                    targets = await self._examined(order, documents, bases)
                    report.begin()
                    await self._harvest(order, targets, bases, documents, report)
            except OutputError as error:
                if not report.has_begun:
                    raise
                self._console.ended(error)
                self._outcome.add(error)
                self._give_up(targets, error, report)
            except BrokenPipeError as error:
                broken = error
                self._give_up(targets, OutputError("nobody reads the records"), report, tell=False)
            if self._outcome.stopped is not None:
                self._give_up(targets, self._outcome.stopped, report)
            seconds = time.monotonic() - started
            if not self._outcome.results and self._outcome.exit_code == 0 and broken is None:
                self._console.note("there is no package to harvest: the lists are empty")
            self._console.summary(seconds, self._gates)
            code = 141 if broken else self._outcome.exit_code
            report.finish(code, seconds, self._gates, self._for_lists)
        if broken is not None:
            raise broken
        return self._outcome.exit_code

    async def _examined(self, order: Order, documents: Documents, bases: Bases) -> Targets:
        """Return the targets; where one can spoil the run, after a look at all of them."""
        is_counted = order.is_finite and (self._console.has_bar or order.report is not None)
        if not (order.strict or is_counted or isinstance(documents, Snapshot)):
            return order.targets
        targets = [target async for target in one_by_one(order.targets)]
        wrong = [target for target in targets if isinstance(target, Failure)]
        if order.strict and wrong:
            for failure in wrong:
                self._console.result(failure)
            raise SettingError(f"{len(wrong)} of {len(targets)} targets are wrong, so nothing was asked")
        if isinstance(documents, Snapshot):
            check_slugs(targets, bases)
        return targets

    def _give_up(
        self,
        targets: Targets,
        error: PkgharvestError,
        report: Report,
        *,
        tell: bool = True,
    ) -> None:
        """Tell of the targets that nobody took any more, as far as they are known."""
        if not isinstance(targets, Sequence) or any(isinstance(item, CollectionTarget) for item in targets):
            return
        for item in targets[self._outcome.results :]:
            slug = None if isinstance(item, Failure | CatalogTarget | CollectionTarget) else item.slug
            text = item.target if isinstance(item, Failure) else item.text
            result = item if isinstance(item, Failure) else Failure(text, slug, error, item.place)
            self._outcome.results += 1
            if tell:
                self._console.result(result)
            report.add(result)

    async def _harvest(
        self,
        order: Order,
        targets: Targets,
        bases: Bases,
        documents: Documents,
        report: Report,
    ) -> None:
        async with Session(self._settings, base=bases, warn=self._console.warning) as session:
            self._gates, self._for_lists = session.gates, session.listing_cost

            def stop(error: StoppedError) -> None:
                self._outcome.stopped = error
                self._console.ended(error)
                session.stop(error)

            loop = asyncio.get_running_loop()
            total = len(targets) if isinstance(targets, Sequence) else None
            with signals.told(loop, stop), self._console.progress(total, session.gates) as show:
                loop.call_later(BAR_AFTER, show)
                async with aclosing(session.harvest(targets)) as results:
                    async for result in results:
                        with self._console.aside() if order.is_on_terminal else nullcontext():
                            self._take(order.take(result), documents, report)

    def _take(self, result: Result, documents: Documents, report: Report) -> None:
        """Write a result, and tell of it."""
        status: Status = "ok"
        self._outcome.results += 1
        try:
            if isinstance(result, Harvested):
                status = documents.add(result.record, result.base)
            elif isinstance(result, Skipped) and result.record is not None:
                documents.keep(result.record)
        except OccupiedError as error:
            result = Failure(result.target, result.slug, error, cost=result.cost)
        except (OutputError, BrokenPipeError) as error:
            told = error if isinstance(error, OutputError) else OutputError("nobody reads the records")
            report.add(Failure(result.target, result.slug, told, cost=result.cost))
            raise
        self._console.result(result, status)
        if isinstance(result, Harvested):
            self._outcome.records += 1
        elif isinstance(result, Failure):
            self._outcome.add(result.error)
        report.add(result, status)


def check_slugs(targets: Sequence[Named | Failure], bases: Bases) -> None:
    """Make sure that no two packages would be written to one file.

    Raises:
        SettingError: two would; the message names them.
    """
    taken: dict[str, Target] = {}
    for target in targets:
        if isinstance(target, Failure | CollectionTarget):
            continue
        slug = _slug(target, bases)
        first = taken.setdefault(slug.casefold(), target) if slug else target
        if first.key != target.key:
            message = f"{first.text} and {target.text} are both {slug!r}, and would be one file"
            raise SettingError(message, "Name one of them, or give each a folder of its own")


def _slug(target: Target, bases: Bases) -> str | None:
    try:
        base = bases.of(target)
    except PkgharvestError:  # told when it is the target's turn
        base = None
    if base is not None:
        return base.slug
    return None if isinstance(target, CatalogTarget) else target.slug


def known(earlier: Path | None, output: Path | None, hosts: Hosts) -> Bases:
    """Return all base records that a run would start from; raises as `earlier_records` does."""
    named = earlier_records(earlier, hosts)
    return Layers([Folder(output, hosts), named]) if output is not None and output.is_dir() else named


def plan(  # noqa: PLR0913  what it counts by, and how it tells
    settings: Settings,
    targets: Sequence[Named] | AsyncIterable[Named | Failure],
    bases: Bases,
    now: datetime,
    console: Console,
    *,
    strict: bool = False,
) -> list[str]:
    """Return what a run would cost, in lines of text, and ask nobody.

    What is left of the rate limits is what earlier runs were told, as far as that still holds.

    Raises:
        SettingError: a list breaks off, or none of the targets may be wrong, and one is.
    """
    budget = Budget(signed=settings.token is not None)
    seen: set[str] = set()
    wrong: list[Failure] = []

    async def count() -> None:
        async for target in one_by_one(targets):
            if isinstance(target, Failure):
                console.result(target)
                wrong.append(target)
            elif isinstance(target, CollectionTarget):
                budget.lists += 1
            elif target.key not in seen:
                seen.add(target.key)
                add(target)

    def add(target: Target) -> None:
        try:
            base = bases.of(target)
        except PkgharvestError as error:
            console.error(error, target.text)
            return
        if settings.max_age is not None and is_fresh(base, settings.max_age, now):
            budget.fresh += 1
        else:
            budget.add(has_base=bool(base and base.participants), asks_catalog=settings.catalog)

    asyncio.run(count())
    if strict and wrong:
        raise SettingError(f"{len(wrong)} of the targets are wrong")
    return budget.lines(_left(settings, now, console))


def limits(settings: Settings) -> dict[str, Quota]:
    """Return GitHub's rate limits that concern us: ``core`` (REST) and ``graphql``."""

    async def ask() -> dict[str, Quota]:
        async with Session(settings) as session:
            return await session.limits()

    try:
        quotas = asyncio.run(ask())
    except NotFoundError as error:
        raise SettingError("this server has no rate limits", "They may be switched off") from error
    return {name: quotas[name] for name in (CORE, GRAPHQL) if name in quotas}


def limits_json(quotas: dict[str, Quota]) -> bytes:
    """Return rate limits as JSON."""
    return msgspec.json.format(msgspec.json.encode(quotas), indent=4) + b"\n"


def earlier_records(path: Path | None, hosts: Hosts) -> Bases:
    """Return the base records of a file or folder.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    if path is None:
        return HeldRecords([], hosts)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises where a name is too long
        return Folder(path, hosts)
    advice = "Check the name of the file or folder"
    return HeldRecords(read_records(path, f"the base records in {path}", advice), hosts)


def left(quota: Quota) -> str:
    """Return what is left of a rate limit, in words."""
    return f"{quota.remaining} of {quota.limit} left until {quota.reset:%H:%M} UTC"


def _left(settings: Settings, now: datetime, console: Console) -> dict[str, str]:
    told = {
        resource: f"{most[settings.token is not None]} an hour, unless some are spent"
        for resource, most in _USUAL.items()
    }
    if settings.cache:
        store = Store(settings.store_folder, console.warning)
        for resource in told:
            if quota := store.quota(resource, settings.token, now):
                told[resource] = left(quota)
        store.close()
    return told
