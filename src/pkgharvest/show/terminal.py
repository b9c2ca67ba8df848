"""Records on a terminal: a card for one package, a grid for several.

What `card` and `grid` return is laid out when it is printed, for the width and the encoding that it
is printed to; `print_to` does that.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TextIO

from rich import box
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.style import Style
from rich.text import Text

from pkgharvest.show import comparison
from pkgharvest.show.comparison import Cell, Row, Shown, counted

MINIMUM = 40
"""Columns that are laid out for at least, however narrow the terminal."""
CARD = 80
"""Columns that a card takes at most; longer lines read badly."""
LABEL = 13
"""Columns of the labels."""
NARROWEST, WIDEST = 18, 36
"""Columns of a package in the grid."""
GAP = 2
WEEKS = (52, 26, 13)
"""Marks that a sparkline in a table with one line for each package may have."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters that are no text."""

    bars: str
    """Heights, the first for none."""
    dot: str
    ellipsis: str
    line: str


UNICODE = Signs(comparison.BLOCKS, "·", "…", "─")
ASCII = Signs("_123456789", "-", "~", "-")
BEST = "*"


def card(shown: Shown, *, with_warnings: bool = False) -> RenderableType:
    """Return one package as a card, not wider than `CARD`."""
    return _Card(shown, with_warnings=with_warnings)


def grid(shown: Sequence[Shown], *, rows: bool = False, with_warnings: bool = False) -> RenderableType:
    """Return packages side by side, or each on a line of its own; several tables where one is too wide."""
    return _Rows(shown, with_warnings=with_warnings) if rows else _Grid(shown, with_warnings=with_warnings)


def print_to(
    stream: TextIO,
    renderables: Iterable[RenderableType],
    *,
    width: int | None = None,
    colour: bool | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Print, one below the other with an empty line between, what the other functions return.

    Args:
        stream: characters that it cannot encode are replaced.
        renderables: from `card` and `grid`.
        width: columns, at least `MINIMUM`; None for those of the terminal, 80 where there is none.
        colour: whether there are colours; None for what the stream and the environment tell:
            ``NO_COLOR``, then ``FORCE_COLOR``, then ``TERM=dumb``, each if it is not empty.
        environ: the environment.

    Raises:
        OSError: the stream cannot be written to (it may be a closed pipe).
    """
    # Rich ends the program at a closed pipe, so it does not get to see the stream.
    paper = _Paper(stream.encoding)
    console = _console(paper, width, environ, colour=colour, is_terminal=stream.isatty())
    for index, renderable in enumerate(renderables):
        if index:
            console.print()
        console.print(renderable)
    stream.write(re.sub(r" +$", "", paper.getvalue(), flags=re.MULTILINE))


class _Paper(io.StringIO):
    """What is printed, for a stream of an encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has it as a variable
        return self._encoding


def _console(
    paper: _Paper, width: int | None, environ: Mapping[str, str], *, colour: bool | None, is_terminal: bool
) -> Console:
    is_plain = colour is False or (colour is None and bool(environ.get("NO_COLOR")))
    is_forced = colour is True or (colour is None and bool(environ.get("FORCE_COLOR")))
    columns = width or Console(file=paper, force_terminal=False).width or CARD
    return Console(
        file=paper,
        width=max(columns, MINIMUM),
        height=25,  # without it a dumb terminal is 80 columns wide, whatever the width given
        # Rich takes an empty FORCE_COLOR for a wish to have none, and heeds TERM=dumb before FORCE_COLOR.
        force_terminal=is_forced or is_terminal,
        color_system=_colours(environ) if is_forced else "auto",
        no_color=is_plain,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _colours(environ: Mapping[str, str]) -> Literal["auto", "standard"]:
    return "standard" if environ.get("TERM", "").lower() in ("dumb", "unknown") else "auto"


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is printed to: the width, and the characters that can be written there."""

    width: int
    encoding: str
    signs: Signs

    @classmethod
    def of(cls, options: ConsoleOptions) -> _Sheet:
        try:
            f"{UNICODE.bars}{UNICODE.dot}{UNICODE.ellipsis}{UNICODE.line}".encode(options.encoding)
        except (UnicodeEncodeError, LookupError):
            return cls(options.max_width, options.encoding, ASCII)
        return cls(options.max_width, options.encoding, UNICODE)

    def writable(self, text: str) -> str:
        try:
            return text.encode(self.encoding, "replace").decode(self.encoding)
        except LookupError:
            return text.encode("ascii", "replace").decode("ascii")

    def cut(self, text: str, width: int) -> str:
        return text if cell_len(text) <= width else self.shortened(text, width)

    def shortened(self, text: str, width: int) -> str:
        """Return a text with an ellipsis at its end, as much of it as fits."""
        kept = text if cell_len(text) < width else set_cell_size(text, width - 1).rstrip()
        return kept + self.signs.ellipsis

    def wrapped(self, text: str, width: int) -> str:
        return "\n".join(_wrapped(self.writable(text), width))

    def clipped(self, text: str, width: int, lines: int) -> str:
        """Return a text in lines, the last one cut with an ellipsis if there would be more."""
        every = _wrapped(self.writable(text), width)
        if len(every) > lines:
            every = [*every[: lines - 1], self.shortened(every[lines - 1], width)]
        return "\n".join(every)


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines, broken after spaces and, in long words, after what joins their parts."""
    lines = [""]
    for word in text.split():
        separator = " " if lines[-1] else ""
        if cell_len(lines[-1] + separator + word) <= width:
            lines[-1] += separator + word
            continue
        pieces = [word] if cell_len(word) <= width else _pieces(word, width)
        if lines[-1]:
            lines.append("")
        for piece in pieces:
            if cell_len(lines[-1] + piece) > width:
                lines.append("")
            lines[-1] += piece
    return lines


def _pieces(word: str, width: int) -> Iterator[str]:
    for piece in re.findall(r"[^/._-]*[/._-]+|[^/._-]+", word):
        yield from chop_cells(piece, width)


def _named(names: Sequence[str], width: int, lines: int) -> str:
    """Return as many names as fit into lines of a width, and how many more there are."""
    told = counted(len(names), "contributor")
    for count in range(1, len(names) + 1):
        rest = len(names) - count
        text = ", ".join(names[:count]) + (f" and {rest} more" if rest else "")
        # The next name may take the place of "and 1 more".
        if len(_wrapped(text, width)) > lines and rest != 1:
            break
        if len(_wrapped(text, width)) <= lines:
            told = text
    return told


def _drawn(counts: Sequence[int], signs: Signs) -> Text:
    """Return a sparkline, the weeks without commits dim."""
    text = Text(no_wrap=True)
    for mark in comparison.sparkline(counts, signs.bars):
        text.append(mark, "dim" if mark == signs.bars[0] else "green")
    return text


def _linked(text: str, link: str | None, style: str = "") -> Text:
    return Text(text, Style.parse(style) + Style(link=link) if link else style, overflow="fold")


def _warnings(shown: Iterable[Shown], sheet: _Sheet) -> Iterator[Text]:
    for each in shown:
        for warning in comparison.warnings(each):
            text = f"{comparison.name(each.record)}: warning: {warning}"
            yield Text(sheet.writable(text), "yellow", overflow="fold")


@dataclass(frozen=True, slots=True)
class _Card:
    shown: Shown
    with_warnings: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = _Sheet.of(options.update_width(min(options.max_width, CARD)))
        record = self.shown.record
        inner = sheet.width - 4
        name = Text(sheet.cut(sheet.writable(comparison.name(record)), inner - 4), "bold")
        fetched = comparison.fetched(record)
        yield Panel(
            Group(*self._lines(sheet, inner)),
            box=box.ROUNDED,
            title=name,
            title_align="left",
            subtitle=None if fetched.is_absent else Text(f"as of {fetched.text}"),
            subtitle_align="right",
            border_style="dim",
            width=sheet.width,
        )
        if self.with_warnings:
            yield from _warnings([self.shown], sheet)

    def _lines(self, sheet: _Sheet, inner: int) -> Iterator[RenderableType]:
        record = self.shown.record
        if slug := comparison.other_slug(record):
            yield Text(sheet.writable(slug), "dim", overflow="fold")
        description = comparison.description(record)
        if not description.is_absent:
            yield Text(sheet.wrapped(description.text, inner))
        yield Text()
        yield _figures(self.shown, sheet)
        yield Text()
        yield from _chart(self.shown, sheet, inner)
        yield Text()
        yield from _addresses(self.shown, sheet, inner)


def _figures(shown: Shown, sheet: _Sheet) -> Text:
    record = shown.record
    version = comparison.version(record)
    names = comparison.contributors(record)
    told = [version.text if version.is_absent else f"version {version.text}"]
    told += [counted(record.repo_watchers, "star"), counted(record.repo_forks, "fork")]
    told += [counted(len(names), "contributor")] if names else []
    text = Text(f" {sheet.signs.dot} ".join(sheet.writable(each) for each in told), overflow="fold")
    text.highlight_regex(r"(?<![^ ])\d+(?= (?:star|fork|contributor)s?\b)", "bold")
    return text


def _chart(shown: Shown, sheet: _Sheet, inner: int) -> Iterator[Text]:
    """Yield the sparkline, the days it begins and ends with, and beside or below it its scale."""
    record = shown.record
    sums, size = comparison.summed(record.commits_over_52, inner)
    line = _drawn(sums, sheet.signs)
    limits = comparison.period(record)
    days = Text()
    if limits:
        days.append(f"{limits[0]}{limits[1]:>{max(len(sums) - 10, 14)}}", "dim")
    scale = [f"{counted(comparison.commits(record), 'commit')} in the year", comparison.highest(sums, size)]
    scale = scale if any(sums) else scale[:1]
    beside = max(len(line), len(days)) + GAP
    if len(scale) <= 2 and beside + max(map(len, scale)) <= inner:  # noqa: PLR2004  lines beside it
        line.pad_right(beside - len(line))
        days.pad_right(beside - len(days))
        yield line.append(scale[0])
        yield days.append("".join(scale[1:]))
    else:
        yield line
        yield days
        yield Text(", ".join(scale), overflow="fold")


def _addresses(shown: Shown, sheet: _Sheet, inner: int) -> Iterator[Text]:
    """Yield the lines with a label."""
    record = shown.record
    width = inner - LABEL - GAP
    commit = comparison.last_commit(record)
    told = [("Last commit", Text(sheet.wrapped(", ".join(filter(None, [commit.text, commit.note])), width)))]
    told.append(("Contributors", Text(_contributors(shown, sheet, width))))
    for label, cell in (
        ("Documentation", comparison.documentation(record)),
        ("Repository", comparison.repository(record)),
        ("PyPI", comparison.project(record)),
    ):
        if not cell.is_absent:
            told.append((label, _linked(sheet.wrapped(cell.text, width), cell.link)))
    for label, text in told:
        yield from _beside([Text(label, "dim"), text], [LABEL, width], GAP)


def _contributors(shown: Shown, sheet: _Sheet, width: int) -> str:
    names = comparison.contributors(shown.record)
    if not names:
        return "unknown" if names is None else "none"
    return sheet.wrapped(_named([sheet.writable(each) for each in names], width, lines=2), width)


def _beside(cells: Sequence[Text], widths: Sequence[int], gap: int) -> Iterator[Text]:
    """Yield the lines of cells side by side, each in its width, at the right where that is below 0."""
    columns = [cell.split("\n", allow_blank=True) for cell in cells]
    for lines in zip_longest(*columns, fillvalue=Text()):
        whole = Text(no_wrap=True, overflow="crop")
        for index, (line, width) in enumerate(zip(lines, widths, strict=True)):
            padding = " " * (abs(width) - line.cell_len)
            whole.append(" " * gap if index else "")
            whole.append(padding if width < 0 else "")
            whole.append_text(line)
            whole.append("" if width < 0 else padding)
        yield whole


@dataclass(frozen=True, slots=True)
class _Grid:
    shown: Sequence[Shown]
    with_warnings: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = _Sheet.of(options)
        total = len(self.shown)
        room = sheet.width - LABEL
        fitting = max(1, room // (GAP + NARROWEST))
        size = -(-total // -(-total // fitting)) if total else 1
        rows = comparison.rows(self.shown)
        for start in range(0, total, size):
            if start:
                yield Text()
            yield from self._table(sheet, rows, slice(start, start + size), min(WIDEST, room // size - GAP))
        yield from _foot(self.shown, rows, sheet, with_warnings=self.with_warnings)

    def _table(self, sheet: _Sheet, rows: Iterable[Row], part: slice, width: int) -> Iterator[Text]:
        """Yield the lines of a table of some of the packages."""
        packages = self.shown[part]
        widths = [LABEL, *[width] * len(packages)]
        which = f"{part.start + 1}-{part.start + len(packages)}" if len(packages) > 1 else f"{part.start + 1}"
        place = f"{which} of {len(self.shown)}" if len(packages) < len(self.shown) else ""
        names = [sheet.clipped(comparison.name(each.record), width, 3) for each in packages]
        yield from _beside([Text(place, "dim"), *(Text(each, "bold") for each in names)], widths, GAP)
        yield _line(sum(widths) + GAP * len(packages), sheet)
        for row in rows:
            cells = row.cells[part]
            label = _label(row, row.label, width)
            yield from _beside(
                [Text(label, "dim"), *(_cell(cell, width, sheet) for cell in cells)], widths, GAP
            )


def _line(width: int, sheet: _Sheet) -> Text:
    return Text(sheet.signs.line * width, "dim", no_wrap=True)


def _label(row: Row, label: str, width: int) -> str:
    """Return the label with, below it, how many weeks a mark stands for if that is more than one."""
    size = comparison.scale(row, width)
    return f"{label}\n{size} weeks each" if size > 1 else label


def _cell(cell: Cell, width: int, sheet: _Sheet) -> Text:
    if cell.weeks is not None:
        sums, size = comparison.summed(cell.weeks, width)
        highest = sheet.clipped(comparison.highest(sums, size), width, 2)
        return _drawn(sums, sheet.signs).append(f"\n{highest}", "dim")
    told = comparison.without_scheme(cell.text) if cell.link else cell.text
    mark = f" {BEST}" if cell.is_best else ""
    text = Text().append_text(_linked(sheet.clipped(told, width - len(mark), 4), cell.link, _style(cell)))
    text.append(mark, _style(cell))
    return text.append(f"\n{cell.note}", "dim") if cell.note else text


def _style(cell: Cell) -> str:
    return "bold green" if cell.is_best else "dim" if cell.is_absent else ""


def _foot(
    shown: Sequence[Shown], rows: Iterable[Row], sheet: _Sheet, *, with_warnings: bool
) -> Iterator[Text]:
    if any(cell.is_best for row in rows for cell in row.cells):
        yield Text()
        yield Text(f"{BEST} best of those shown", "dim")
    if with_warnings:
        yield from _warnings(shown, sheet)


@dataclass(frozen=True, slots=True)
class _Column:
    head: Text
    cells: list[Text]
    width: int
    """Below 0 if the cells stand at the right."""


@dataclass(frozen=True, slots=True)
class _Rows:
    shown: Sequence[Shown]
    with_warnings: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = _Sheet.of(options)
        rows = comparison.compact(self.shown)
        names = [sheet.writable(comparison.name(each.record)) for each in self.shown]
        longest = min(max(map(cell_len, [*names, "Package"])), WIDEST)
        columns, gap = _fitting(rows, sheet, longest)
        for index, part in enumerate(_parts(columns, sheet.width - min(longest, SHORTEST), gap)):
            if index:
                yield Text()
            taken = sum(abs(each.width) + gap for each in part)
            yield from _lines(names, part, min(longest, sheet.width - taken), gap, sheet)
        yield from _foot(self.shown, rows, sheet, with_warnings=self.with_warnings)


SHORTEST = 16
"""Columns that longer names have at least in a table with one line for each package."""


def _fitting(rows: Sequence[Row], sheet: _Sheet, longest: int) -> tuple[list[_Column], int]:
    """Return the columns, and the gap between them, that leave most to see in the width."""
    for marks, gap, least in [*((marks, GAP, longest) for marks in WEEKS), (WEEKS[-1], 1, SHORTEST)]:
        columns = [_column(row, marks, sheet) for row in rows]
        if least + sum(abs(each.width) + gap for each in columns) <= sheet.width:
            return columns, gap
    return columns, GAP


def _column(row: Row, marks: int, sheet: _Sheet) -> _Column:
    if row.cells and row.cells[0].weeks is not None:
        drawn = [_drawn(comparison.summed(cell.weeks or (), marks)[0], sheet.signs) for cell in row.cells]
        head = _label(row, row.short, marks)
        return _Column(
            Text(head, "dim"), drawn, max(len(line) for line in [*map(str, drawn), *head.split("\n")])
        )
    is_marked = any(cell.is_best for cell in row.cells)
    told = [sheet.clipped(cell.note or cell.text, LABEL - is_marked, 2) for cell in row.cells]
    texts = [
        Text(text, _style(cell)).append((BEST if cell.is_best else " ") if is_marked else "", _style(cell))
        for text, cell in zip(told, row.cells, strict=True)
    ]
    width = max(cell_len(line) for text in [row.short, *map(str, texts)] for line in text.split("\n"))
    return _Column(Text(row.short, "dim"), texts, -width if comparison.is_number(row) else width)


def _parts(columns: Iterable[_Column], room: int, gap: int) -> list[list[_Column]]:
    """Return the columns in as many tables as they need."""
    parts: list[list[_Column]] = [[]]
    for column in columns:
        if parts[-1] and sum(abs(each.width) + gap for each in [*parts[-1], column]) > room:
            parts.append([])
        parts[-1].append(column)
    return parts


def _lines(
    names: Iterable[str], columns: Sequence[_Column], width: int, gap: int, sheet: _Sheet
) -> Iterator[Text]:
    """Yield the lines of a table with one line for each package, more where a name is long."""
    widths = [width, *(each.width for each in columns)]
    yield from _beside([Text("Package", "dim"), *(each.head for each in columns)], widths, gap)
    yield _line(sum(map(abs, widths)) + gap * len(columns), sheet)
    for index, each in enumerate(names):
        name = Text(sheet.clipped(each, width, 2), "bold")
        yield from _beside([name, *(column.cells[index] for column in columns)], widths, gap)
