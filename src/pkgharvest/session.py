"""A session: everything wired together for one run, and closed after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

from pkgharvest.bases import Bases
from pkgharvest.errors import SettingError, TargetError
from pkgharvest.files import replacing
from pkgharvest.harvester import Harvester
from pkgharvest.net.client import Bounds, Network
from pkgharvest.net.clock import Clock, JumpingClock, SystemClock
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Exchange, Token
from pkgharvest.net.quota import Gate, Patience
from pkgharvest.net.recording import Origins, Recorder, Replay
from pkgharvest.net.retry import RetryPolicy
from pkgharvest.record import Record
from pkgharvest.resolve import Resolver
from pkgharvest.results import Failure, Result
from pkgharvest.settings import Settings
from pkgharvest.sources import catalog, github, pypi
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import GitHub
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import Hosts, Target, parse_target
from pkgharvest.version import __version__

USER_AGENT = f"pkgharvest/{__version__} (package metadata harvester)"
AT_ONCE = {github.NAME: 8, pypi.NAME: 4, catalog.NAME: 1}
"""Requests under way to a service. PyPI asks for few at once, the catalog is run by volunteers."""
AHEAD = 32
"""Targets worked on beyond the one that is next to come out."""


class Session:
    """One run. An async context manager: connections are open, and the recording is written, inside it."""

    def __init__(
        self, settings: Settings, *, base: Iterable[Record] = (), clock: Clock | None = None
    ) -> None:
        """Take the settings, the base records, and for tests a clock."""
        self._settings = settings
        self._base = base
        self._clock = clock
        self._stack = AsyncExitStack()
        self._harvester: Harvester | None = None
        self.gates: dict[str, Gate] = {}
        """What was asked of each service and is left of its rate limit, by the service's name."""

    async def __aenter__(self) -> Self:
        """Open what the run needs.

        Raises:
            SettingError: the recording cannot be read, or the environment's proxy settings are wrong.
            OutputError: the recording cannot be written.
        """
        async with AsyncExitStack() as stack:
            settings, clock, exchange = await self._line(stack)
            self._harvester, self.gates = _harvester(settings, clock, exchange, self._base)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        await self._stack.__aexit__(kind, error, trace)

    async def harvest(self, targets: Iterable[str | Target]) -> AsyncGenerator[Result]:
        """Yield a result for each target, in their order; see `Harvester.all`."""
        if self._harvester is None:
            raise RuntimeError("the session is not open: use 'async with'")
        if isinstance(targets, str):
            raise TypeError("targets are several: pass a list, even of one")
        hosts = self._harvester.resolver.hosts
        async for result in self._harvester.all(_parsed(targets, hosts), ahead=AHEAD):
            yield result

    async def _line(self, stack: AsyncExitStack) -> tuple[Settings, Clock, Exchange]:
        """Return the settings in force, the time, and what sends or replays requests."""
        settings = self._settings
        if settings.replay is not None:
            replay = Replay(_recording(settings.replay))
            return _as_recorded(settings, replay.origins), self._clock or JumpingClock(replay.started), replay
        clock = self._clock or SystemClock()
        network = Network(clock, user_agent=USER_AGENT, bounds=Bounds(), at_once=AT_ONCE)
        exchange: Exchange = await stack.enter_async_context(network)
        if settings.record is not None:
            # Closed without the error that ends a run: what was recorded until then is worth having.
            file_stack = ExitStack()
            stack.callback(file_stack.close)
            file = file_stack.enter_context(replacing(settings.record))
            recorder = Recorder(exchange, clock, file.write, _origins(settings))
            file_stack.callback(recorder.finish)
            exchange = recorder
        return settings, clock, exchange


def _harvester(
    settings: Settings, clock: Clock, exchange: Exchange, base: Iterable[Record]
) -> tuple[Harvester, dict[str, Gate]]:
    fetch = Fetcher(
        exchange,
        clock,
        policy=RetryPolicy(),
        patience=Patience(settings.max_wait),
        at_once=AT_ONCE,
        replaying=settings.replay is not None,
    )
    asked = Catalog(settings.catalog_url) if settings.catalog else None
    resolver = Resolver(PyPI(settings.pypi_url), asked, Bases(base, settings.hosts), settings.hosts)
    host = GitHub(settings.github_url, settings.token)
    replaying = settings.replay is not None
    return Harvester(fetch, resolver, host, settings.zone, replaying), fetch.gates


def _parsed(targets: Iterable[str | Target], hosts: Hosts) -> Iterator[Target | Failure]:
    for target in targets:
        if not isinstance(target, str):
            yield target
            continue
        try:
            yield parse_target(target, hosts)
        except TargetError as error:
            yield Failure(target, None, error)


def _recording(name: str) -> bytes:
    try:
        if name == "demo":
            return resources.files("pkgharvest").joinpath("recordings", "demo.har").read_bytes()
        return Path(name).read_bytes()
    except OSError as error:
        raise SettingError(f"the recording {name!r} cannot be read: {error.strerror}") from error


def in_force(settings: Settings) -> Settings:
    """Return the settings that targets are parsed by: a replay has its addresses from the recording.

    Raises:
        SettingError: the recording cannot be read.
    """
    if settings.replay is None:
        return settings
    return _as_recorded(settings, Replay(_recording(settings.replay)).origins)


def _origins(settings: Settings) -> Origins:
    signed = settings.token is not None
    return Origins(settings.github_url, settings.pypi_url, settings.catalog_url, signed)


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
