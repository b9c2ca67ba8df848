"""A session: everything wired together for one run, and closed after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

from pkgharvest.bases import Bases, HeldRecords
from pkgharvest.errors import SettingError, StoppedError, TargetError, printable
from pkgharvest.files import replacing
from pkgharvest.harvester import Harvester
from pkgharvest.listing import Listing
from pkgharvest.net.cache import Cached, Offline, Store
from pkgharvest.net.client import Bounds, Network
from pkgharvest.net.clock import Clock, JumpingClock, SystemClock
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Cost, Exchange, Forgetful, Token
from pkgharvest.net.quota import Gate, Patience, Quota, Rules
from pkgharvest.net.recording import Origins, Recorder, Replay
from pkgharvest.net.retry import RetryPolicy
from pkgharvest.order import one_by_one
from pkgharvest.reading import GraphReader, Reader, RestReader, StoredReader
from pkgharvest.record import Record
from pkgharvest.resolve import Resolver
from pkgharvest.results import Failure, Result
from pkgharvest.settings import Settings
from pkgharvest.sources import catalog, github, pypi
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import GitHub
from pkgharvest.sources.graphql import GraphQL
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import Hosts, Named, parse_target
from pkgharvest.version import __version__
from pkgharvest.visit import Ending
from pkgharvest.weeks import window

Targets = Iterable[str | Named | Failure] | AsyncIterable[str | Named | Failure]
"""What can be harvested: texts, targets, and failures to parse, which are passed on."""

USER_AGENT = f"pkgharvest/{__version__} (package metadata harvester)"
AHEAD = 32
"""Targets worked on beyond those that are next to come out, in whole batches; four of them at least."""
PYPI_AT_ONCE = 6
"""Requests under way to PyPI, which asks for few; the catalog of volunteers gets one after the other."""


class Session:
    """One run. An async context manager: connections are open, and the recording is written, inside it."""

    def __init__(
        self,
        settings: Settings,
        *,
        base: Iterable[Record] | Bases = (),
        clock: Clock | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the settings, earlier records or where they are, a clock, and whom to tell what is amiss."""
        self._settings = settings
        self._base = base
        self._clock = clock
        self._warn = warn
        self._stack = AsyncExitStack()
        self._harvester: Harvester | None = None
        self._ending = Ending()
        self._stopped: StoppedError | None = None
        self.listing_cost = Cost()
        """What was asked so far to learn which packages grids, categories and the catalog hold."""
        self.gates: dict[str, Gate] = {}
        """What was asked of each service and is left of its rate limit, by the service's name."""

    async def __aenter__(self) -> Self:
        """Open what the run needs.

        Raises:
            SettingError: the recording cannot be read, or the environment's proxy settings are wrong.
            OutputError: the recording cannot be written.
        """
        async with AsyncExitStack() as stack:
            line = await self._line(stack)
            self._harvester, self.gates = _harvester(line, self._base)
            self.listing_cost = self._harvester.listing.cost
            stack.callback(_remember_quotas, line, self.gates)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        await self._stack.__aexit__(kind, error, trace)

    async def harvest(self, targets: Targets) -> AsyncGenerator[Result]:
        """Yield a result for each target, in their order; see `Harvester.all`."""
        harvester = self._opened()
        if isinstance(targets, str):
            raise TypeError("targets are several: pass a list, even of one")
        parsed = _parsed(targets, harvester.resolver.hosts)
        ahead = max(4, AHEAD // harvester.reader.batch)
        self._ending = Ending(replaying=self._settings.replay is not None)
        if self._stopped is not None:
            self._ending.stop(self._stopped)
        async with aclosing(harvester.all(parsed, ahead=ahead, ending=self._ending)) as results:
            async for result in results:
                yield result

    def stop(self, error: StoppedError) -> None:
        """End the harvest: what is finished comes out, what is under way fails, nothing more is taken."""
        self._stopped = error
        self._ending.stop(error)

    async def limits(self) -> dict[str, Quota]:
        """Return GitHub's rate limits by resource: ``core`` (REST), ``graphql`` and others."""
        harvester = self._opened()
        answer = await harvester.fetch(harvester.github.limits())
        return {
            name: Quota(limit.limit, limit.remaining, datetime.fromtimestamp(limit.reset, UTC))
            for name, limit in answer.value.items()
        }

    def _opened(self) -> Harvester:
        if self._harvester is None:
            raise RuntimeError("the session is not open: use 'async with'")
        return self._harvester

    async def _line(self, stack: AsyncExitStack) -> _Line:
        """Return what the run's requests go through."""
        settings = self._settings
        if settings.replay is not None:
            replay = Replay(_recording(settings.replay))
            clock = self._clock or JumpingClock(replay.started)
            return _Line(_as_recorded(settings, replay.origins), clock, clock.now(), replay, None)
        clock = self._clock or SystemClock()
        started = clock.now()
        store = Store(settings.store_folder, self._warn) if settings.cache else None
        if store is not None:
            stack.callback(store.close)
        exchange = await self._exchange(stack, clock, store)
        if settings.record is not None:
            # Closed without the error that ends a run: what was recorded until then is worth having.
            file_stack = ExitStack()
            stack.callback(file_stack.close)
            file = file_stack.enter_context(replacing(settings.record))
            recorder = Recorder(exchange, clock, file.write, _origins(settings, started))
            file_stack.callback(recorder.finish)
            exchange = recorder
        return _Line(settings, clock, started, exchange, store)

    async def _exchange(self, stack: AsyncExitStack, clock: Clock, store: Store | None) -> Exchange:
        settings = self._settings
        if settings.offline and store is not None:
            return Offline(store)
        at_once = {service: rules.at_once for service, rules in _rules(settings).items()}
        network = Network(
            clock, user_agent=USER_AGENT, bounds=Bounds(total=settings.deadline), at_once=at_once
        )
        await stack.enter_async_context(network)
        return Cached(network, store, clock.now, refresh=settings.refresh) if store else network


@dataclass(frozen=True, slots=True)
class _Line:
    """What the requests of a run go through."""

    settings: Settings
    """Those in force: a replay has some from the recording."""
    clock: Clock
    started: datetime
    exchange: Exchange
    store: Store | None


def _rules(settings: Settings) -> dict[str, Rules]:
    """Return how each service is to be asked."""
    paces = {github.CORE: settings.rest_per_minute, github.GRAPHQL: settings.graphql_per_minute}
    return {
        github.NAME: Rules(settings.jobs, paces, github.advice(settings.token)),
        pypi.NAME: Rules(PYPI_AT_ONCE, {"": settings.pypi_per_minute}),
        catalog.NAME: Rules(1),
    }


def _harvester(line: _Line, base: Iterable[Record] | Bases) -> tuple[Harvester, dict[str, Gate]]:
    settings = line.settings
    rules = _rules(settings)
    if settings.replay is not None or settings.offline:  # nobody is asked, so nobody is spared
        rules = {name: replace(rule, per_minute={}) for name, rule in rules.items()}
    fetch = Fetcher(
        line.exchange,
        line.clock,
        policy=RetryPolicy(total=settings.deadline),
        patience=Patience(settings.max_wait),
        rules=rules,
        memory=line.store,
        replaying=settings.replay is not None,
    )
    site = Catalog(settings.catalog_url)
    asked = site if settings.catalog else None
    host = GitHub(settings.github_url, settings.token)
    bases = HeldRecords(base, settings.hosts) if isinstance(base, Iterable) else base
    harvester = Harvester(
        fetch=fetch,
        resolver=Resolver(PyPI(settings.pypi_url), asked, bases, settings.hosts),
        github=host,
        reader=_reader(line, host),
        listing=Listing(site, bases),
        zone=settings.zone,
        refresh=settings.refresh,
        max_age=settings.max_age,
        now=line.clock.now,
    )
    return harvester, fetch.gates


def _reader(line: _Line, host: GitHub) -> Reader:
    graphql = GraphQL(host.base_url, host.token)
    since, memory = window(line.started)[0], line.store or Forgetful()
    if line.settings.offline:
        return StoredReader(host, graphql, since, memory)
    return GraphReader(host, graphql, since, memory) if host.token else RestReader(host)


def _remember_quotas(line: _Line, gates: Mapping[str, Gate]) -> None:
    gate = gates.get(github.NAME)
    if line.store is not None and gate is not None:
        for resource, quota in gate.quotas.items():
            line.store.remember_quota(resource, line.settings.token, quota)


async def _parsed(targets: Targets, hosts: Hosts) -> AsyncGenerator[Named | Failure]:
    async for target in one_by_one(targets):
        if not isinstance(target, str):
            yield target
            continue
        try:
            yield parse_target(target, hosts)
        except TargetError as error:
            yield Failure(printable(target), None, error)


def _recording(name: str) -> bytes:
    try:
        if name == "demo":
            return resources.files("pkgharvest").joinpath("recordings", "demo.har").read_bytes()
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"the recording {name!r} cannot be read: {reason}"
        raise SettingError(message, "Name a file, or 'demo' for the one that is shipped") from error


def in_force(settings: Settings) -> Settings:
    """Return the settings that targets are parsed by: a replay has its addresses from the recording.

    Raises:
        SettingError: the recording cannot be read.
    """
    if settings.replay is None:
        return settings
    return _as_recorded(settings, Replay(_recording(settings.replay)).origins)


def _origins(settings: Settings, started: datetime) -> Origins:
    signed = settings.token is not None
    return Origins(settings.github_url, settings.pypi_url, settings.catalog_url, signed, started)


def _as_recorded(settings: Settings, origins: Origins | None) -> Settings:
    """Return the settings with the addresses of the recorded run, and no token that could be sent."""
    if origins is None:
        return replace(settings, token=None)
    return replace(
        settings,
        github_url=origins.github,
        pypi_url=origins.pypi,
        catalog_url=origins.catalog,
        token=Token("", "the recording") if origins.signed else None,
    )
