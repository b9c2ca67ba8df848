"""The bar on a terminal while a harvest goes on: what is done, what is left, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pkgharvest.net.quota import Gate

_WIDTH = 24
_REFRESHED = 4
"""Times a second."""


class Progress:
    """A bar below the lines of a console, gone when the harvest is."""

    def __init__(
        self,
        console: Console,
        total: int | None,
        gates: Mapping[str, Gate],
        *,
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take where to draw, and what to tell of.

        Args:
            console: of a terminal.
            total: how many targets there are, None if nobody knows.
            gates: of the services, as they come.
            seconds: seconds that pass.
            now: the time, for the end of waits.
        """
        self.done = 0
        self.failed = 0
        self._console = console
        self._total = total
        self._gates = gates
        self._seconds = seconds
        self._now = now
        self._started = seconds()
        self._live: Live | None = None
        self._is_over = False

    def advance(self, *, failed: bool) -> None:
        """Take note of a target that is dealt with."""
        self.done += 1
        self.failed += failed

    def show(self) -> None:
        """Draw the bar from now on."""
        if self._is_over:
            return
        self._live = Live(
            console=self._console,
            get_renderable=self.drawn,
            refresh_per_second=_REFRESHED,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def end(self) -> None:
        """Take the bar away for good."""
        self._is_over = True
        self.hide()

    def hide(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something else is written to the terminal."""
        was_shown = self._live is not None
        self.hide()
        try:
            yield
        finally:
            if was_shown:
                self.show()

    def drawn(self) -> RenderableType:
        """Return the bar and the line below it."""
        line = Table.grid(padding=(0, 1))
        line.add_row(
            ProgressBar(total=self._total, completed=self.done, width=_WIDTH, pulse=self._total is None),
            Text(", ".join(self._counts()), no_wrap=True, overflow="ellipsis"),
        )
        return Group(line, Text("; ".join(self._services()), "dim", no_wrap=True, overflow="ellipsis"))

    def _counts(self) -> Iterator[str]:
        passed = max(self._seconds() - self._started, 0.001)
        rate = self.done / passed
        yield f"{self.done} of {self._total}" if self._total is not None else f"{self.done} done"
        if self.failed:
            yield f"{self.failed} failed"
        yield f"{rate:.1f} a second"
        if self._total is not None and self.done:
            left = timedelta(seconds=round((self._total - self.done) / rate))
            yield f"{self._total - self.done} left, {left}"

    def _services(self) -> Iterator[str]:
        for gate in list(self._gates.values()):
            if wait := gate.closed_for:
                until = self._now() + timedelta(seconds=wait)
                yield f"{gate.service} asks to wait until {until:%H:%M:%S} UTC, {wait:.0f} s"
        for gate in list(self._gates.values()):
            for resource, quota in list(gate.quotas.items()):
                name = "GraphQL" if resource == "graphql" else gate.service
                yield f"{name}: {quota.remaining:,} of {quota.limit:,} left"
