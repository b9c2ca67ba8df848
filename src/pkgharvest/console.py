"""What people are told, on stderr: failures, warnings, notes, the summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from rich.console import Console as RichConsole
from rich.text import Text

from pkgharvest.errors import ENDINGS, PkgharvestError, printable
from pkgharvest.results import Failure, Harvested, Result, Skipped

if TYPE_CHECKING:
    from pkgharvest.net.quota import Gate


NAMED = 10
"""Targets that were not asked any more and are named; of the others the number is told."""


class Console:
    """Lines for people, one per event; colours only on a terminal that wants them."""

    def __init__(self, stream: TextIO, *, quiet: bool, verbose: bool) -> None:
        """Take the stream, and how much to tell: quiet tells failures alone."""
        self._rich = RichConsole(file=stream, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._verbose = verbose
        self._ending: PkgharvestError | None = None
        self._counts = dict.fromkeys(("records", "failed", "skipped", "not asked"), 0)
        self._not_asked: list[str] = []

    def result(self, result: Result) -> None:
        """Tell of a result what there is to tell."""
        match result:
            case Harvested():
                self._counts["records"] += 1
                for warning in result.warnings:
                    self._line("yellow", result.target, f"warning: {warning}")
                if self._verbose:
                    self._line("dim", result.target, f"{result.record.repo_url} (found by: {result.found})")
            case Skipped():
                self._counts["skipped"] += 1
                self._line("dim", result.target, f"skipped: {result.reason}")
            case Failure() if result.error is self._ending:
                # The error that ended the run has been told.
                self._counts["not asked"] += 1
                if len(self._not_asked) < NAMED:
                    self._not_asked.append(result.target)
            case Failure():
                self._counts["failed"] += 1
                if isinstance(result.error, ENDINGS):
                    self._ending = result.error
                self.error(result.error, result.target)

    def error(self, error: PkgharvestError, target: str = "") -> None:
        """Tell an error, however quiet."""
        self._line("red", target, f"error: {error}", always=True)

    def warning(self, text: str) -> None:
        """Tell what is amiss with the run as a whole."""
        self._line("yellow", "", f"warning: {text}")

    def summary(self, seconds: float, gates: Mapping[str, Gate]) -> None:
        """Tell what the run did and cost, where somebody reads along or something failed."""
        counts = self._counts
        if self._not_asked:
            more = counts["not asked"] - len(self._not_asked)
            rest = f" and {more} more" if more else ""
            self._line("red", "", f"not asked any more: {', '.join(self._not_asked)}{rest}", always=True)
        if self._rich.is_terminal or self._verbose or counts["failed"]:
            told = [_counted(count, name) for name, count in counts.items() if count or name == "records"]
            costs = "; ".join(cost for gate in gates.values() for cost in _costs(gate))
            self._line("dim", "", f"{', '.join(told)} in {seconds:.1f} s" + (f" ({costs})" if costs else ""))

    def _line(self, style: str, target: str, text: str, *, always: bool = False) -> None:
        if always or not self._quiet:
            subject = f"{target}: " if target else ""
            with suppress(OSError):  # nobody listens, which is no reason to stop
                self._rich.print(Text(printable(f"{subject}{text}"), style=style))


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
