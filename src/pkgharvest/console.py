"""What people are told, on stderr: failures, warnings, notes, the summary; as text or as lines of a log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from pkgharvest.errors import ENDINGS, DownError, PkgharvestError, printable
from pkgharvest.results import Failure, Harvested, Result, Skipped

if TYPE_CHECKING:
    from pkgharvest.net.quota import Gate
    from pkgharvest.output import Status
    from pkgharvest.progress import Progress


NAMED = 10
"""Targets that were not asked any more and are named; of the others the number is told."""

BAR_AFTER = 1.0
"""Seconds after which a harvest is long enough for a bar."""

LogFormat = Literal["text", "logfmt", "json"]
"""Lines for people; or lines with time, level and event, as ``key=value`` or as JSON objects."""


class Level(IntEnum):
    """How much a line matters."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


_STYLES = {Level.DEBUG: "dim", Level.INFO: "dim", Level.WARNING: "yellow", Level.ERROR: "red"}


class Console:
    """Lines, one per event; colours only on a terminal that wants them."""

    def __init__(  # noqa: PLR0913  how to tell, by name
        self,
        stream: TextIO,
        *,
        quiet: bool = False,
        verbose: bool = False,
        unattended: bool = False,
        log_format: LogFormat | None = None,
        colour: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the stream, and how much to tell and how.

        Args:
            stream: where lines go.
            quiet: tell errors alone.
            verbose: tell everything.
            unattended: tell errors alone where the stream is no terminal, so that mail from cron means
                trouble; without effect where a format or everything was asked for.
            log_format: the form of the lines, None for text.
            colour: whether a terminal that wants colours gets them.
            now: the time, for logs.
        """
        self._rich = RichConsole(
            file=stream,
            no_color=None if colour else True,
            highlight=False,
            soft_wrap=True,
            emoji=False,
            markup=False,
        )
        self._is_terminal = stream.isatty()  # rich would have it so where FORCE_COLOR is set
        self._progress: Progress | None = None
        self._now = now
        self._quiet = quiet
        self._verbose = verbose
        self._unattended = unattended
        self.log_as(log_format)
        self._told: list[PkgharvestError] = []
        """Errors that many targets meet, and that have been told."""
        self._counts = dict.fromkeys(("records", "unchanged", "failed", "skipped", "not asked"), 0)
        self._not_asked: list[str] = []

    def log_as(self, log_format: LogFormat | None) -> None:
        """Take another form for the lines from here on, None for text."""
        self._form = log_format or "text"
        self._lowest = Level.DEBUG if self._verbose else Level.INFO
        is_told_all = self._verbose or log_format is not None or self._is_terminal
        if self._quiet or (self._unattended and not is_told_all):
            self._lowest = Level.ERROR
        self._sums_up = is_told_all
        self.has_bar = self._is_terminal and not (self._quiet or log_format or self._rich.is_dumb_terminal)

    @contextmanager
    def progress(self, total: int | None, gates: Mapping[str, Gate]) -> Iterator[Callable[[], None]]:
        """Yield what shows a bar, on a terminal that can; it is gone in the end.

        Args:
            total: how many targets there are, None if nobody knows.
            gates: of the services, as they come.
        """
        if not self.has_bar:
            yield lambda: None
            return
        from pkgharvest.progress import Progress  # noqa: PLC0415  most runs have no terminal

        self._progress = Progress(self._rich, total, gates)
        try:
            yield self._progress.show
        finally:
            self._remove_bar()

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which something may be written to the same terminal."""
        return self._progress.aside() if self._progress else nullcontext()

    def result(self, result: Result, status: Status = "ok") -> None:
        """Tell of a result what there is to tell."""
        if self._progress:
            self._progress.advance(failed=isinstance(result, Failure))
        match result:
            case Harvested():
                self._counts["records" if status == "ok" else "unchanged"] += 1
                for warning in result.warnings:
                    self._line(Level.WARNING, "warning", warning, target=result.target)
                found = f"{result.record.repo_url} (found by: {result.found})"
                self._line(Level.DEBUG, "harvested", found, target=result.target, status=status)
            case Skipped():
                self._counts["skipped"] += 1
                level = Level.DEBUG if result.reason == "fresh" else Level.INFO
                self._line(level, "skipped", result.message, target=result.target, reason=result.reason)
            case Failure() if any(result.error is error for error in self._told):
                self._counts["not asked"] += 1
                if len(self._not_asked) < NAMED:
                    self._not_asked.append(result.target)
            case Failure():
                self._counts["failed"] += 1
                if isinstance(result.error, (*ENDINGS, DownError)):
                    self._told.append(result.error)
                self.error(result.error, result.target, result.place, quoted=result.slug is None)

    def error(
        self, error: PkgharvestError, target: str = "", place: str = "", *, quoted: bool = False
    ) -> None:
        """Tell an error, however quiet.

        Args:
            error: what happened.
            target: whom it concerns, if one target.
            place: where that was read.
            quoted: whether the error quotes the target, so that people are told the place instead.
        """
        self._line(
            Level.ERROR,
            "failed" if target else "error",
            str(error),
            subject=place if quoted and place else target,
            target=target,
            place=place,
            reason=error.reason,
            retryable=error.retryable,
        )

    def ended(self, error: PkgharvestError) -> None:
        """Tell once what ended the run, for all the targets that were not asked for therefore."""
        self._remove_bar()  # whatever ends the process now leaves the terminal as it was
        self._told.append(error)
        self.error(error)

    def warning(self, text: str) -> None:
        """Tell what is amiss with the run as a whole."""
        self._line(Level.WARNING, "warning", text)

    def note(self, text: str) -> None:
        """Tell why nothing was done, unless quiet."""
        if not self._quiet:
            self._line(Level.INFO, "note", text, always=True)

    def summary(self, seconds: float, gates: Mapping[str, Gate]) -> None:
        """Tell what the run did and cost, where somebody reads along or something failed."""
        counts = self._counts
        if self._not_asked:
            more = counts["not asked"] - len(self._not_asked)
            rest = f" and {more} more" if more else ""
            self._line(Level.ERROR, "not-asked", f"{', '.join(self._not_asked)}{rest}")
        if self._sums_up or counts["failed"] or self._told:
            told = [_counted(count, name) for name, count in counts.items() if count or name == "records"]
            costs = "; ".join(cost for gate in gates.values() for cost in _costs(gate))
            text = f"{', '.join(told)} in {seconds:.1f} s" + (f" ({costs})" if costs else "")
            numbers: dict[str, Any] = {name.replace(" ", "_"): count for name, count in counts.items()}
            self._line(Level.INFO, "summary", text, always=not self._quiet, **numbers)

    def _remove_bar(self) -> None:
        if self._progress:
            self._progress.end()
            self._progress = None

    def _line(
        self,
        level: Level,
        event: str,
        text: str,
        *,
        always: bool = False,
        subject: str | None = None,
        **fields: str | int,
    ) -> None:
        if level < self._lowest and not always:
            return
        told = {name: value for name, value in fields.items() if value != ""}
        if self._form == "text":
            line = _text(event, text, told.get("target", "") if subject is None else subject)
        else:
            line = self._log(level, event, text, told)
        with suppress(OSError):  # nobody listens, which is no reason to stop
            style = _STYLES[level] if self._form == "text" else ""
            self._rich.print(Text(printable(line), style=style))

    def _log(self, level: Level, event: str, text: str, fields: Mapping[str, str | int]) -> str:
        time = self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values: dict[str, str | int] = {"time": time, "level": level.name.lower(), "event": event}
        values |= {
            name: printable(value) if isinstance(value, str) else value for name, value in fields.items()
        }
        values["message"] = printable(text)
        if self._form == "json":
            return self._quoted(values)
        return " ".join(f"{name}={self._logfmt(value)}" for name, value in values.items())

    def _logfmt(self, value: str | int) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return text if _PLAIN.fullmatch(text) else self._quoted(text)

    def _quoted(self, value: str | Mapping[str, str | int]) -> str:
        """Return JSON. What the stream cannot write is escaped, as it would break the line otherwise."""
        return json.dumps(value, ensure_ascii=not self._rich.encoding.startswith("utf"))


_BEGINNINGS = {
    "error": "error: ",
    "failed": "error: ",
    "warning": "warning: ",
    "skipped": "skipped: ",
    "not-asked": "not asked any more: ",
}
_PLAIN = re.compile(r"[^\s\"=\\]+")


def _text(event: str, text: str, subject: str | int) -> str:
    beginning = f"{subject}: " if subject else ""
    return f"{beginning}{_BEGINNINGS.get(event, '')}{text}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name.removesuffix('s') if count == 1 else name}"


def _costs(gate: Gate) -> Iterator[str]:
    """Yield what was asked of each part of a service, and what is left of its rate limit."""
    for resource, cost in gate.costs.items():
        name = " ".join(filter(None, [gate.service, _RESOURCES.get(resource, resource)]))
        told = f"{name}: {_counted(cost.sent, 'requests')}"
        quota = gate.quotas.get(resource)
        if quota is not None:
            told += f", {cost.charged} charged, {quota.remaining} of {quota.limit} left"
            told += f" until {quota.reset:%H:%M} UTC"
        yield told


_RESOURCES = {"core": "", "graphql": "GraphQL"}
