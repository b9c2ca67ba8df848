"""Records laid out in one of the forms, and written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from pkgharvest.errors import OutputError
from pkgharvest.files import replacing
from pkgharvest.output import escaped
from pkgharvest.record import encode_api
from pkgharvest.show import html, markdown, terminal
from pkgharvest.show.comparison import Shown, SortBy, sort

Form = Literal["table", "markdown", "html", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How records are laid out."""

    form: Form = "table"
    rows: bool = False
    """One row for each package, not one column."""
    by: SortBy | None = None
    """What they are sorted by, None for the order that they come in."""
    colour: bool | None = None
    """Whether a terminal gets colours, None for what it and the environment tell."""


def write(shown: Sequence[Shown], layout: Layout, stream: TextIO) -> None:
    """Write records to a stream, the standard output as a rule.

    Raises:
        BrokenPipeError: nobody reads the stream any more.
        OutputError: the stream cannot be written.
    """
    try:
        if layout.form == "table":
            _print(shown, layout, stream)
        else:
            stream.flush()
            text = _text(shown, layout)
            is_raw = layout.form == "json" and stream.isatty()
            stream.buffer.write(escaped(text) if is_raw else text)
            stream.buffer.flush()
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the standard output cannot be written: {error.strerror}") from error


def write_file(shown: Sequence[Shown], layout: Layout, path: Path) -> None:
    """Write records to a file, which is replaced whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as file:
        if layout.form == "table":
            content = io.BytesIO()
            with io.TextIOWrapper(content, encoding="utf-8", write_through=True) as paper:
                _print(shown, layout, paper)
                file.write(content.getvalue())
        else:
            file.write(_text(shown, layout))


def _print(shown: Sequence[Shown], layout: Layout, stream: TextIO) -> None:
    told = _sorted(shown, layout)
    if not told:
        return
    is_one = len(told) == 1 and not layout.rows
    renderable = terminal.card(told[0]) if is_one else terminal.grid(told, rows=layout.rows)
    terminal.print_to(stream, [renderable], colour=layout.colour)


def _text(shown: Sequence[Shown], layout: Layout) -> bytes:
    told = _sorted(shown, layout)
    if layout.form == "json":
        return b"".join(encode_api(each.record) for each in told)
    if layout.form == "markdown":
        return markdown.page(told, rows=layout.rows, with_warnings=True).encode()
    return html.page(told, rows=layout.rows).encode()


def _sorted(shown: Sequence[Shown], layout: Layout) -> list[Shown]:
    return list(shown) if layout.by is None else sort(shown, layout.by)
