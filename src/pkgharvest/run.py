"""What the commands do between their options and their exit codes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from pkgharvest.bases import Bases
from pkgharvest.budget import Budget
from pkgharvest.console import Console
from pkgharvest.errors import (
    NotFoundError,
    PkgharvestError,
    RateLimitedError,
    SettingError,
    TokenRefusedError,
    UnreachableError,
)
from pkgharvest.net.cache import Store
from pkgharvest.net.quota import Quota
from pkgharvest.order import one_by_one
from pkgharvest.output import Documents
from pkgharvest.record import Record, RecordError, decode_records
from pkgharvest.results import Failure, Harvested
from pkgharvest.session import Session
from pkgharvest.settings import Settings
from pkgharvest.sources.github import CORE, GRAPHQL
from pkgharvest.targets import Target

_KINDS: list[tuple[type[PkgharvestError], int]] = [
    (TokenRefusedError, 4),
    (RateLimitedError, 5),
    (UnreachableError, 6),
]
_USUAL = {CORE: {True: 5000, False: 60}, GRAPHQL: {True: 5000, False: 0}}


@dataclass(slots=True)
class Outcome:
    """What came of a run, as far as its exit code goes."""

    records: int = 0
    failures: set[int] = field(default_factory=set)
    """Exit codes that each failure alone would have."""

    def add(self, error: PkgharvestError) -> None:
        """Take note of a failure."""
        self.failures.add(next((code for kind, code in _KINDS if isinstance(error, kind)), 3))

    @property
    def exit_code(self) -> int:
        """The exit code: the first that applies of 4, 5, 6 and 3; 6 only if nothing could be reached."""
        if self.failures == {6} and self.records == 0:
            return 6
        return min(self.failures & {4, 5}, default=3 if self.failures else 0)


def fetch(
    settings: Settings,
    targets: Sequence[Target] | AsyncIterable[Target | Failure],
    bases: list[Record],
    sink: AbstractContextManager[Documents],
    console: Console,
) -> int:
    """Harvest, write and tell; return the exit code."""
    outcome = Outcome()

    async def run() -> None:
        started = time.monotonic()
        with sink as documents:
            async with (
                Session(settings, base=bases, warn=console.warning) as session,
                aclosing(session.harvest(targets)) as results,
            ):
                async for result in results:
                    console.result(result)
                    if isinstance(result, Harvested):
                        documents.add(result.record)
                        outcome.records += 1
                    elif isinstance(result, Failure):
                        outcome.add(result.error)
        console.summary(time.monotonic() - started, session.gates)

    asyncio.run(run())
    return outcome.exit_code


def plan(
    settings: Settings,
    targets: Sequence[Target] | AsyncIterable[Target | Failure],
    bases: list[Record],
    now: datetime,
    console: Console,
) -> list[str]:
    """Return what a run would cost, in lines of text, and ask nobody.

    What is left of the rate limits is what earlier runs were told, as far as that still holds.
    """
    known = Bases(bases, settings.hosts)
    budget = Budget(signed=settings.token is not None)
    seen: set[str] = set()

    async def count() -> None:
        async for target in one_by_one(targets):
            if isinstance(target, Failure):
                console.result(target)
            elif target.key not in seen:
                seen.add(target.key)
                base = known.of(target)
                budget.add(has_base=bool(base and base.participants), asks_catalog=settings.catalog)

    asyncio.run(count())
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


def read_bases(path: Path) -> list[Record]:
    """Return the base records of a file.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    try:
        return list(decode_records(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingError(f"the base records in {path} cannot be read: {error.strerror}") from error
    except (RecordError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} holds what is not a record: {error}") from error


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
