"""The report of a run: what the records have no room for, one JSON object a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from pkgharvest.errors import OutputError
from pkgharvest.files import replacing
from pkgharvest.net.message import Cost
from pkgharvest.net.quota import Gate
from pkgharvest.output import Status, escaped
from pkgharvest.record import Moment, Record
from pkgharvest.results import Failure, Harvested, Lead, Result, Skipped
from pkgharvest.version import __version__
from pkgharvest.weeks import window

_SURROGATE = re.compile("[\ud800-\udfff]")


class TargetLine(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a target. What does not apply is null."""

    target: str
    """What was asked for, credentials left out."""
    slug: str | None
    status: Literal["ok", "unchanged", "skipped", "failed"]
    """``unchanged``: the file that is there says the same, and was left alone."""
    reason: str | None = None
    """Why it was skipped or failed, in a word."""
    message: str | None = None
    """The same for people."""
    retryable: bool | None = None
    """Whether trying again later may help."""
    place: str | None = None
    """Where the target was read, as ``file:line`` or ``file``."""
    repository_id: int | None = None
    """The host's own number of the repository."""
    moved_to: str | None = None
    """Where the repository is now, if that is not where it was looked for."""
    archived: bool | None = None
    found: Lead | None = None
    """How the repository was found."""
    warnings: list[str] = []
    window_end: Moment | None = None
    """The end of the 52 weeks that were counted."""
    requests: int = 0
    """What was asked for it; a query for many packages is counted with the first of them."""
    charged: int = 0
    """What that cost of rate limits."""


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a part of a service, and what is left of its rate limit if it told."""

    service: str
    resource: str
    requests: int
    charged: int
    limit: int | None = None
    remaining: int | None = None
    reset: Moment | None = None


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, and what that cost of rate limits."""

    requests: int
    charged: int


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the run."""

    version: str
    """Of pkgharvest."""
    started: Moment
    seconds: float
    exit_code: int
    ok: int
    unchanged: int
    skipped: int
    failed: int
    requests: int
    """Those of all targets, and those for lists."""
    charged: int
    for_lists: Requests
    """What it took to learn which packages grids, categories and the catalog hold."""
    quotas: list[Quota]


class LastLine(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a report."""

    run: RunLine


class Report:
    """Writes a line for each target, and one for the run."""

    def __init__(self, write: Callable[[bytes], object], started: datetime) -> None:
        """Take where to write, and when the run began."""
        self.has_begun = False
        """Whether the run has: before, nothing is to be reported."""
        self._write = write
        self._started = started
        self._counts = {"ok": 0, "unchanged": 0, "skipped": 0, "failed": 0}
        self._broken: OutputError | BrokenPipeError | None = None

    def begin(self) -> None:
        """Take note that the run begins."""
        self.has_begun = True

    def add(self, result: Result, status: Status = "ok") -> None:
        """Write the line of a target; a record comes with what became of it."""
        line = _line(result, status)
        self._counts[line.status] += 1
        self._put(line)

    def finish(self, exit_code: int, seconds: float, gates: Mapping[str, Gate], for_lists: Cost) -> None:
        """Write the line of the run.

        Raises:
            OutputError: this, or a line before it, could not be written.
            BrokenPipeError: the same, as nobody reads it.
        """
        quotas = [quota for gate in gates.values() for quota in _quotas(gate)]
        run = RunLine(
            version=__version__,
            started=self._started,
            seconds=round(seconds, 3),
            exit_code=exit_code,
            **self._counts,
            requests=sum(quota.requests for quota in quotas),
            charged=sum(quota.charged for quota in quotas),
            for_lists=Requests(requests=for_lists.sent, charged=for_lists.charged),
            quotas=quotas,
        )
        self._put(LastLine(run=run))
        if self._broken is not None:
            raise self._broken

    def _put(self, line: TargetLine | LastLine) -> None:
        """Write a line; a report that cannot be written does not stop the records."""
        if self._broken is None:
            try:
                self._write(msgspec.json.encode(line) + b"\n")
            except (OutputError, BrokenPipeError) as error:
                self._broken = error


@contextmanager
def reporting(path: Path | None, started: datetime) -> Iterator[Report]:
    """Yield a report that is written to a file, if to any; the old one stays if the run does not begin.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        yield Report(lambda _: None, started)
        return
    with replacing(path) as file:
        write = (lambda line: file.write(escaped(line))) if file.is_terminal else file.write
        report = Report(write, started)
        yield report
        file.wanted = report.has_begun


def _line(result: Result, status: Status) -> TargetLine:
    target = _encodable(result.target)
    match result:
        case Harvested():
            return TargetLine(
                target=target,
                slug=result.slug,
                place=_encodable(result.place) or None,
                status=status,
                repository_id=result.repository_id,
                moved_to=result.moved_to,
                archived=result.archived,
                found=result.found,
                warnings=list(result.warnings),
                window_end=_window_end(result.record),
                requests=result.cost.sent,
                charged=result.cost.charged,
            )
        case Failure():
            return TargetLine(
                target=target,
                slug=result.slug,
                place=_encodable(result.place) or None,
                status="failed",
                reason=result.reason,
                message=str(result.error),
                retryable=result.retryable,
                requests=result.cost.sent,
                charged=result.cost.charged,
            )
        case Skipped():
            return TargetLine(
                target=target,
                slug=result.slug,
                place=_encodable(result.place) or None,
                status="skipped",
                reason=result.reason,
                message=result.message,
                requests=result.cost.sent,
                charged=result.cost.charged,
            )


def _encodable(text: str) -> str:
    """Return a text with U+FFFD in place of what stands for bytes that are no UTF-8, as in names of files."""
    return _SURROGATE.sub("\ufffd", text)


def _window_end(record: Record) -> datetime | None:
    return window(record.last_fetched)[1] if record.last_fetched else None


def _quotas(gate: Gate) -> list[Quota]:
    told = []
    for resource, cost in gate.costs.items():
        left = gate.quotas.get(resource)
        told.append(
            Quota(
                service=gate.service,
                resource=resource,
                requests=cost.sent,
                charged=cost.charged,
                limit=left.limit if left else None,
                remaining=left.remaining if left else None,
                reset=left.reset if left else None,
            )
        )
    return told
