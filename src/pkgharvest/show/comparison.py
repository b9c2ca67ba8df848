"""What is shown of records, whatever it is shown in: rows, best figures, order, words, heights.

Every text that comes out of here is on one line and steers neither a terminal nor the direction of
writing; escaping it is left to the module that knows the markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote, urlsplit

from pkgharvest.errors import printable
from pkgharvest.record import Record
from pkgharvest.weeks import WEEK, window


@dataclass(frozen=True, slots=True)
class Shown:
    """A record, and what only the harvest of it knows."""

    record: Record
    warnings: tuple[str, ...] = ()
    """Texts of what is amiss: archived, moved, long without a release."""


class SortBy(StrEnum):
    """What packages are sorted by."""

    STARS = "stars"
    COMMITS = "commits"
    UPDATED = "updated"
    NAME = "name"


def sort(shown: Iterable[Shown], by: SortBy) -> list[Shown]:
    """Return the packages with most stars, most commits or the newest commit first, or by name.

    Upper and lower case are the same in names. Where nobody knows of a commit, the package comes last.
    Packages that are equal stay in their order.
    """
    match by:
        case SortBy.STARS:
            return sorted(shown, key=lambda each: -each.record.repo_watchers)
        case SortBy.COMMITS:
            return sorted(shown, key=lambda each: -commits(each.record))
        case SortBy.UPDATED:
            return sorted(shown, key=lambda each: _age(each.record))
        case _:  # by name
            return sorted(shown, key=lambda each: name(each.record).casefold())


def _age(record: Record) -> tuple[bool, float]:
    moment = record.last_updated
    return moment is None, -moment.timestamp() if moment else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a row says of a package."""

    text: str
    note: str = ""
    """What is told besides, as the date after the span of time."""
    link: str | None = None
    """Where the text leads, see `link`."""
    moment: datetime | None = None
    """What the text tells in words."""
    weeks: tuple[int, ...] | None = None
    """Counts to be drawn, oldest first; the text says the scale."""
    figure: float | None = None
    """What is compared; more is better."""
    is_best: bool = False
    is_absent: bool = False
    """Nothing is known or there is nothing; the text says which."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of each package."""

    label: str
    short: str
    """The label over a column."""
    cells: tuple[Cell, ...]
    is_compact: bool
    """It belongs into a table with one line for each package too."""


def rows(shown: Sequence[Shown]) -> list[Row]:
    """Return the rows of the grid, a cell for each package in each, the best figures marked."""
    return [
        Row(label, short or label, _judged([fact(each.record) for each in shown]), is_compact=bool(short))
        for label, short, fact in _FACTS
    ]


def compact(shown: Sequence[Shown]) -> list[Row]:
    """Return the rows for a table with one line for each package."""
    return [row for row in rows(shown) if row.is_compact]


def is_number(row: Row) -> bool:
    """Tell whether a row holds numbers, apart from what is not known."""
    known = [cell for cell in row.cells if not cell.is_absent]
    return bool(known) and all(cell.figure is not None and cell.moment is None for cell in known)


def scale(row: Row, room: int) -> int:
    """Return how many weeks are summed in each mark of a row of sparklines, 1 in any other row."""
    return max((summed(cell.weeks or (), room)[1] for cell in row.cells), default=1)


def _judged(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Mark the best figures; there are none where all that are known are equal."""
    figures = {cell.figure for cell in cells if cell.figure is not None}
    if len(figures) <= 1:
        return tuple(cells)
    best = max(figures)
    return tuple(replace(cell, is_best=cell.figure == best) for cell in cells)


def name(record: Record) -> str:
    """Return the title, or the slug of a package without one."""
    return printable(record.title) or record.slug


def other_slug(record: Record) -> str:
    """Return the slug if it is another than the name, else nothing."""
    return record.slug if record.slug != name(record) else ""


def commits(record: Record) -> int:
    """Return how many commits the 52 weeks hold."""
    return sum(record.commits_over_52)


def contributors(record: Record) -> list[str] | None:
    """Return the names of those who contributed, None if the host cannot list them."""
    return None if record.participants is None else [printable(each) for each in record.participants]


def warnings(shown: Shown) -> list[str]:
    """Return the warnings of a package."""
    return [printable(each) for each in shown.warnings]


def description(record: Record) -> Cell:
    """Return what the host says of the repository."""
    text = printable(record.repo_description)
    return Cell(text=text) if text else _absent("none")


def version(record: Record) -> Cell:
    """Return the version that PyPI shows."""
    text = printable(record.pypi_version or "")
    return Cell(text=text, link=link(record.pypi_url)) if text else _absent("not on PyPI")


def last_commit(record: Record) -> Cell:
    """Return when the newest commit was made, in words seen from when the record was fetched."""
    moment = record.last_updated
    if moment is None:
        return _absent("none")
    day = moment.date().isoformat()
    figure = moment.timestamp()
    if record.last_fetched is None:
        return Cell(text=day, moment=moment, figure=figure)
    return Cell(text=span(moment, record.last_fetched), note=day, moment=moment, figure=figure)


def documentation(record: Record) -> Cell:
    """Return the address of the documentation."""
    return address(record.documentation_url or "")


def repository(record: Record) -> Cell:
    """Return the address of the repository."""
    return address(record.repo_url)


def project(record: Record) -> Cell:
    """Return the address of the project on PyPI."""
    return address(record.pypi_url)


def fetched(record: Record) -> Cell:
    """Return the day that the record is of, in the zone that it is written in."""
    moment = record.last_fetched
    return Cell(text=moment.date().isoformat(), moment=moment) if moment else _absent("unknown")


def year(record: Record) -> Cell:
    """Return the counts of the weeks, and the highest of them."""
    counts = record.commits_over_52
    text = highest(counts, 1)
    return Cell(text=text, weeks=tuple(counts), is_absent=not any(counts))


def highest(sums: Sequence[int], size: int) -> str:
    """Return what the highest mark of a sparkline stands for, each of so many weeks."""
    if not any(sums):
        return "no commits"
    return f"at most {max(sums)} in a week" if size == 1 else f"up to {max(sums)} in {size} weeks"


def _figure(number: int) -> Cell:
    return Cell(text=str(number), figure=number)


def _count_of_contributors(record: Record) -> Cell:
    return _absent("unknown") if record.participants is None else _figure(len(record.participants))


def address(url: str) -> Cell:
    """Return an address, one that leads there if it is of the web."""
    return Cell(text=printable(url), link=link(url)) if url.strip() else _absent("none")


def _absent(text: str) -> Cell:
    return Cell(text=text, is_absent=True)


_FACTS: list[tuple[str, str, Callable[[Record], Cell]]] = [
    ("Description", "", description),
    ("Version", "Version", version),
    ("Stars", "Stars", lambda record: _figure(record.repo_watchers)),
    ("Forks", "Forks", lambda record: _figure(record.repo_forks)),
    ("Commits/year", "Commits", lambda record: _figure(commits(record))),
    ("52 weeks", "52 weeks", year),
    ("Last commit", "Last commit", last_commit),
    ("Contributors", "People", _count_of_contributors),
    ("Documentation", "", documentation),
    ("Repository", "", repository),
    ("As of", "", fetched),
]


def link(url: str) -> str | None:
    """Return the address to lead to, or None if a text is not one of the web.

    What is neither reserved nor allowed in an address, and brackets and quotation marks of any kind,
    is percent-encoded (RFC 3986, 2.1), so that it ends no attribute, no Markdown link and no escape
    sequence; ``&`` is left to be escaped.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    # Python's parser passes over tabs and newlines that others stumble on.
    return quote(url, safe=":/?#@!&*+,;=%-._~") if is_web and url.isprintable() and " " not in url else None


def without_scheme(url: str) -> str:
    """Return an address as people tell it: no scheme, no slash at the end."""
    return url.removeprefix("https://").removeprefix("http://").removesuffix("/")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or the plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY + 6 * _HOUR
_UNITS = [
    ("minute", _MINUTE, 2 * _HOUR),
    ("hour", _HOUR, 2 * _DAY),
    ("day", _DAY, 21 * _DAY),
    ("week", 7 * _DAY, 92 * _DAY),
    ("month", _YEAR // 12, 2 * _YEAR),
]
"""Each unit with its length and the span from which the next one tells enough, in seconds."""


def span(moment: datetime, reference: datetime) -> str:
    """Return how far a moment lies before or after another, in whole units of a fitting size."""
    seconds = int((reference - moment).total_seconds())
    direction = "before" if seconds >= 0 else "after"
    length = abs(seconds)
    if length < _MINUTE:
        return f"less than a minute {direction}"
    unit, size = next(((unit, size) for unit, size, end in _UNITS if length < end), ("year", _YEAR))
    return f"{counted(length // size, unit)} {direction}"


def days(record: Record) -> list[date] | None:
    """Return the first day (UTC) of each week that is counted, and the day after the last one.

    None if the record does not say when it was fetched, or says so at the ends of the calendar.
    """
    if record.last_fetched is None:
        return None
    try:
        _, end = window(record.last_fetched)
        count = len(record.commits_over_52)
        return [(end - (count - index) * WEEK).date() for index in range(count + 1)]
    except OverflowError:
        return None


def period(record: Record) -> tuple[str, str] | None:
    """Return the first and the last day of the weeks that are counted, None if they are not known."""
    starts = days(record)
    if starts is None or len(starts) == 1:
        return None
    return starts[0].isoformat(), (starts[-1] - timedelta(days=1)).isoformat()


def in_words(record: Record) -> str:
    """Return what the drawing of the weeks shows."""
    counts = record.commits_over_52
    limits = period(record)
    when = f" from {limits[0]} to {limits[1]}" if limits else ""
    start = f"{counted(commits(record), 'commit')} in {counted(len(counts), 'week')}{when}"
    if not any(counts):
        return start
    return f"{start}, {year(record).text}, none in {counted(sum(not count for count in counts), 'week')}"


def summed(counts: Sequence[int], room: int) -> tuple[list[int], int]:
    """Return the counts in no more sums than there is room for, and how many weeks are in each sum.

    All sums are of the same number of weeks, so that they can be compared.

    Args:
        counts: of weeks, oldest first.
        room: how many sums there may be; at least 1.
    """
    total = len(counts)
    size = next((size for size in range(1, total + 1) if total % size == 0 and total // size <= room), 1)
    return [sum(counts[start : start + size]) for start in range(0, total, size)], size


def levels(counts: Sequence[int], top: int) -> list[int]:
    """Return heights from 0 to top, 0 for nothing alone and the top for the highest count."""
    highest = max(counts, default=0)
    return [-(-count * top // highest) if count > 0 else 0 for count in counts]


BLOCKS = "▁▂▃▄▅▆▇█"
"""Heights of a sparkline; the lowest is a week without commits."""


def sparkline(counts: Sequence[int], marks: str = BLOCKS) -> str:
    """Return a mark for each count, the first of the marks for none."""
    return "".join(marks[level] for level in levels(counts, len(marks) - 1))
