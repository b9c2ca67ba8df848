"""Records as a Markdown table that can be pasted into a README.

The table is the one of GitHub Flavored Markdown: https://github.github.com/gfm/#tables-extension-
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pkgharvest.show import comparison
from pkgharvest.show.comparison import Cell, Row, Shown
from pkgharvest.weeks import WEEKS

MARKS = 26
"""Marks of a sparkline where several stand side by side."""


def page(shown: Sequence[Shown], *, rows: bool = False, with_warnings: bool = False) -> str:
    """Return a table with a column for each package, or with one line for each, newline at the end.

    The best figures are bold. Without packages the table is empty.
    """
    lines = list(_lines(shown) if rows else _columns(shown))
    if with_warnings:
        told = [
            f"- {_escaped(comparison.name(each.record))}: {_escaped(warning)}"
            for each in shown
            for warning in comparison.warnings(each)
        ]
        lines += ["", *told] if told else []
    return "\n".join(lines) + "\n"


def _columns(shown: Sequence[Shown]) -> Iterator[str]:
    """Yield the lines of the table with a column for each package."""
    marks = MARKS if len(shown) > 1 else WEEKS
    yield _line(["", *(_name(each) for each in shown)])
    yield _line(["---"] * (len(shown) + 1))
    for row in comparison.rows(shown):
        yield _line([_label(row, row.label, marks), *(_cell(cell, marks) for cell in row.cells)])


def _lines(shown: Sequence[Shown]) -> Iterator[str]:
    """Yield the lines of the table with a line for each package."""
    rows = comparison.compact(shown)
    yield _line(["Package", *(_label(row, row.short, MARKS) for row in rows)])
    yield _line(["---", *("---:" if comparison.is_number(row) else "---" for row in rows)])
    for index, each in enumerate(shown):
        yield _line([_name(each), *(_cell(row.cells[index], MARKS) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(row: Row, label: str, marks: int) -> str:
    size = comparison.scale(row, marks)
    return f"{label}, {size} a mark" if size > 1 else label


def _name(shown: Shown) -> str:
    record = shown.record
    return _linked(comparison.name(record), comparison.repository(record).link)


def _cell(cell: Cell, marks: int) -> str:
    if cell.weeks:
        sums, size = comparison.summed(cell.weeks, marks)
        return f"`{comparison.sparkline(sums)}` {comparison.highest(sums, size)}"
    text = _linked(cell.text, cell.link)
    if cell.is_best:
        text = f"**{text}**"
    return f"{text}, {cell.note}" if cell.note else text


def _linked(text: str, link: str | None) -> str:
    # An ampersand could begin a character reference, which counts in addresses too.
    if not link:
        return _escaped(text)
    return f"[{_escaped(comparison.without_scheme(text))}]({link.replace('&', '&amp;')})"


_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _escaped(text: str) -> str:
    """Return a text that is text to Markdown: no markup, no HTML, no end of a cell, no mathematics."""
    # Some readers of Markdown do not take a backslash before what HTML is made of.
    return re.sub(r"[&<>]|[\\`*_\[\]|~$]", lambda match: _REFERENCES.get(match[0], f"\\{match[0]}"), text)
