"""Records on a terminal: cards and grids, widths, encodings, colours."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import RenderableType

from pkgharvest.show import terminal
from pkgharvest.show.comparison import Shown
from shown import ANY, GOLDEN, LTREE, PGFULLTEXT, PGHISTORY, SEVERAL, steering, with_fields


class Stream(io.StringIO):
    """A stream of an encoding, that is a terminal or not."""

    def __init__(self, encoding: str = "utf-8", *, is_terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._is_terminal = is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


def printed(*renderables: RenderableType, encoding: str = "utf-8", **changed: Any) -> str:
    stream = Stream(encoding)
    options: dict[str, Any] = {"width": 80, "environ": {}} | changed
    terminal.print_to(stream, renderables, **options)
    return stream.getvalue()


CARDS = """\
╭─ django-ltree ───────────────────────────────────────────────────────────────╮
│ An ltree extension implementation to support hierarchical tree-like data     │
│ using the native Postgres extension ltree in django models                   │
│                                                                              │
│ version 0.6.0 · 72 stars · 19 forks · 12 contributors                        │
│                                                                              │
│ ▂▂▁▁▁▁▁▁▁█▁▁▁▁▁▁▁▁▁▁▁▁▁▂▁▁▂▁▁▁▁▁▂▁▁▁▁▁▄▁▁▁▂▁▁▁▁▁▁▁▁▁  58 commits in the year │
│ 2025-02-16                                2026-02-14  at most 34 in a week   │
│                                                                              │
│ Last commit    9 weeks before, 2025-12-11                                    │
│ Contributors   mariocesar, baseplate-admin, boryszef, ramonsaraiva, lunika,  │
│                ovangle, amirreza-sf80, bctcvai, claudiokc and 3 more         │
│ Repository     https://github.com/mariocesar/django-ltree                    │
│ PyPI           http://pypi.python.org/pypi/django-ltree                      │
╰─────────────────────────────────────────────────────────── as of 2026-02-15 ─╯

╭─ django-pghistory ───────────────────────────────────────────────────────────╮
│ Track historical events to Django models using Postgres triggers.            │
│                                                                              │
│ version 3.9.1 · 507 stars · 54 forks · 29 contributors                       │
│                                                                              │
│ ▁▃▁▃▁▃▁▁▁▄▁▁▁▁▂▁▁▁▁▁▁▁▁▁▁█▁▂▁▃▁▂▁▁▁▁▁▁▁▁▁▃▄▁▁▁▁▁▁▂▁▁  27 commits in the year │
│ 2025-02-16                                2026-02-14  at most 7 in a week    │
│                                                                              │
│ Last commit    15 days before, 2026-01-31                                    │
│ Contributors   wesleykendall, lokhman, max-muoto, quevon24, pmdevita,        │
│                jzmiller1, valentijnscholten, 93578237 and 21 more            │
│ Documentation  https://django-pghistory.readthedocs.io                       │
│ Repository     https://github.com/jyveapp/django-pghistory                   │
│ PyPI           http://pypi.python.org/pypi/django-pghistory                  │
╰─────────────────────────────────────────────────────────── as of 2026-02-15 ─╯

╭─ djorm-ext-pgfulltext ───────────────────────────────────────────────────────╮
│ PostgreSQL full-text search integration with django orm.                     │
│                                                                              │
│ version 0.10 · 251 stars · 85 forks · 16 contributors                        │
│                                                                              │
│ ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  0 commits in the year  │
│ 2025-02-17                                2026-02-15                         │
│                                                                              │
│ Last commit    10 years before, 2016-01-05                                   │
│ Contributors   linuxlewis, mpasternak, CharlesLovely, rgreinho, dotsbb,      │
│                akolpakov, bitdeli-chef, fjsj, Gnietschow and 7 more          │
│ Repository     https://github.com/linuxlewis/djorm-ext-pgfulltext            │
│ PyPI           http://pypi.python.org/pypi/djorm-ext-pgfulltext              │
╰─────────────────────────────────────────────────────────── as of 2026-02-15 ─╯
"""
GRID = """\
               django-ltree          django-pghistory      djorm-ext-pgfulltext
───────────────────────────────────────────────────────────────────────────────
Description    An ltree extension    Track historical      PostgreSQL full-text
               implementation to     events to Django      search integration
               support hierarchical  models using          with django orm.
               tree-like data usin…  Postgres triggers.
Version        0.6.0                 3.9.1                 0.10
Stars          72                    507 *                 251
Forks          19                    54                    85 *
Commits/year   58 *                  27                    0
52 weeks       ▂▁█▁▁▂▂▁▂▄▂▁▁         ▅▃▄▂▁▁█▄▁▁▆▁▂         ▁▁▁▁▁▁▁▁▁▁▁▁▁
4 weeks each   up to 34 in 4 weeks   up to 8 in 4 weeks    no commits
Last commit    9 weeks before        15 days before *      10 years before
               2025-12-11            2026-01-31            2016-01-05
Contributors   12                    29 *                  16
Documentation  none                  django-pghistory.     none
                                     readthedocs.io
Repository     github.com/           github.com/jyveapp/   github.com/
               mariocesar/django-    django-pghistory      linuxlewis/djorm-
               ltree                                       ext-pgfulltext
As of          2026-02-15            2026-02-15            2026-02-15

* best of those shown
"""
ROWS = """\
Package             Version Stars Forks Commits 52 weeks      Last commit People
                                                4 weeks each
────────────────────────────────────────────────────────────────────────────────
django-ltree        0.6.0     72    19      58* ▂▁█▁▁▂▂▁▂▄▂▁▁ 2025-12-11     12
django-pghistory    3.9.1    507*   54      27  ▅▃▄▂▁▁█▄▁▁▆▁▂ 2026-01-31*    29*
djorm-ext-          0.10     251    85*      0  ▁▁▁▁▁▁▁▁▁▁▁▁▁ 2016-01-05     16
pgfulltext

* best of those shown
"""
NARROW = """\
╭─ django-pghistory ───────────────────╮
│ Track historical events to Django    │
│ models using Postgres triggers.      │
│                                      │
│ version 3.9.1 · 507 stars · 54 forks │
│ · 29 contributors                    │
│                                      │
│ ▃▃▃▁▄▁▁▂▁▁▁▁█▂▃▂▁▁▁▁▃▄▁▁▂▁           │
│ 2025-02-16      2026-02-14           │
│ 27 commits in the year, up to 7 in 2 │
│ weeks                                │
│                                      │
│ Last commit    15 days before,       │
│                2026-01-31            │
│ Contributors   wesleykendall,        │
│                lokhman and 27 more   │
│ Documentation  https://django-       │
│                pghistory.            │
│                readthedocs.io        │
│ Repository     https://github.com/   │
│                jyveapp/django-       │
│                pghistory             │
│ PyPI           http://pypi.python.   │
│                org/pypi/django-      │
│                pghistory             │
╰─────────────────── as of 2026-02-15 ─╯
"""
ASCII_CARD = """\
+- django-ltree ---------------------------------------------------------------+
| An ltree extension implementation to support hierarchical tree-like data     |
| using the native Postgres extension ltree in django models                   |
|                                                                              |
| version 0.6.0 - 72 stars - 19 forks - 12 contributors                        |
|                                                                              |
| 11_______9_____________1__1_____2_____3___2_________  58 commits in the year |
| 2025-02-16                                2026-02-14  at most 34 in a week   |
|                                                                              |
| Last commit    9 weeks before, 2025-12-11                                    |
| Contributors   mariocesar, baseplate-admin, boryszef, ramonsaraiva, lunika,  |
|                ovangle, amirreza-sf80, bctcvai, claudiokc and 3 more         |
| Repository     https://github.com/mariocesar/django-ltree                    |
| PyPI           http://pypi.python.org/pypi/django-ltree                      |
+----------------------------------------------------------- as of 2026-02-15 -+
"""


def test_the_cards_of_the_golden_records() -> None:
    assert printed(*map(terminal.card, GOLDEN)) == CARDS


def test_the_grid_of_the_golden_records() -> None:
    assert printed(terminal.grid(GOLDEN)) == GRID


def test_the_golden_records_on_a_line_each() -> None:
    assert printed(terminal.grid(GOLDEN, rows=True)) == ROWS


def test_a_card_on_a_narrow_terminal() -> None:
    assert printed(terminal.card(PGHISTORY), width=40) == NARROW


def test_a_card_where_blocks_cannot_be_written() -> None:
    assert printed(terminal.card(LTREE), encoding="ascii") == ASCII_CARD


def test_a_card_is_no_wider_on_a_wide_terminal() -> None:
    assert printed(terminal.card(LTREE), width=200) == printed(terminal.card(LTREE), width=80)


def test_the_slug_is_told_where_the_title_is_another() -> None:
    lines = printed(terminal.card(with_fields(LTREE, title="Django LTree"))).splitlines()
    assert lines[0].startswith("╭─ Django LTree ─")
    assert lines[1].startswith("│ django-ltree   ")


def test_a_card_of_little_is_short() -> None:
    little = with_fields(
        LTREE,
        last_updated=None,
        last_fetched=None,
        repo_description="",
        pypi_version=None,
        pypi_url="",
        participants=None,
        repo_watchers=1,
        repo_forks=0,
        commits_over_52=[*[0] * 51, 1],
    )
    text = printed(terminal.card(little), width=70)
    assert [line.strip("│ ") for line in text.splitlines()[1:-1]] == [
        "",
        "not on PyPI · 1 star · 0 forks",
        "",
        "▁" * 51 + "█",
        "",
        "1 commit in the year, at most 1 in a week",
        "",
        "Last commit    none",
        "Contributors   unknown",
        "Repository     https://github.com/mariocesar/django-ltree",
    ]
    assert "as of" not in text


def test_contributors_fill_two_lines_and_the_rest_is_counted() -> None:
    names = [f"contributor-{number}" for number in range(100)]
    text = printed(terminal.card(with_fields(LTREE, participants=names)))
    lines = [line[17:-1].strip() for line in text.splitlines() if "contributor-" in line]
    assert lines == [
        "contributor-0, contributor-1, contributor-2, contributor-3,",
        "contributor-4, contributor-5, contributor-6 and 93 more",
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "none"),
        (["ann"], "ann"),
        (["ann", "x" * 45], f"ann, {'x' * 45}"),
        (["x" * 300, "y"], "2 contributors"),
    ],
)
def test_few_contributors_are_all_named(names: list[str], told: str) -> None:
    assert f"│ Contributors   {told:<61} │" in printed(terminal.card(with_fields(LTREE, participants=names)))


def test_packages_that_do_not_fit_stand_in_further_tables() -> None:
    text = printed(terminal.grid(GOLDEN[:2] * 4))
    heads = [line.split("  ")[0] for line in text.splitlines() if " of 8" in line]
    assert heads == ["1-3 of 8", "4-6 of 8", "7-8 of 8"]
    assert text.count("\n\n") == 3  # between the tables, and before the line that explains the mark


def test_a_table_for_one_package_alone_names_its_number() -> None:
    text = printed(terminal.grid(GOLDEN), width=40)
    assert re.findall(r"^\d of .*", text, re.MULTILINE) == [
        "1 of 3         django-ltree",
        "2 of 3         django-pghistory",
        "3 of 3         djorm-ext-pgfulltext",
    ]


def test_columns_that_do_not_fit_stand_in_further_tables() -> None:
    text = printed(terminal.grid(GOLDEN, rows=True), width=40)
    heads = [line.split() for line in text.splitlines() if line.startswith("Package")]
    assert heads == [
        ["Package", "Version", "Stars", "Forks"],
        ["Package", "Commits", "52", "weeks"],
        ["Package", "Last", "commit", "People"],
    ]


def test_no_package_makes_an_empty_grid() -> None:
    assert printed(terminal.grid([])).strip() == ""
    assert printed(terminal.grid([], rows=True)).startswith("Package")
    assert printed() == ""


def test_warnings_are_told_when_they_are_asked_for() -> None:
    shown = Shown(LTREE.record, ("archived\x1b[2J",))
    line = "django-ltree: warning: archived�[2J\n"
    for form in (terminal.card(shown), terminal.grid([shown]), terminal.grid([shown], rows=True)):
        assert "warning" not in printed(form)
    assert printed(terminal.card(shown, with_warnings=True)) == printed(terminal.card(shown)) + line
    for rows in (False, True):
        told = printed(terminal.grid([shown], rows=rows, with_warnings=True))
        assert told == printed(terminal.grid([shown], rows=rows)) + line


def test_what_looks_like_markup_stays_text() -> None:
    text = "[bold]x[/bold] :smile: {x} [link=https://evil.example]y[/link]"
    assert text in printed(terminal.card(with_fields(LTREE, repo_description=text)))


def test_wide_characters_keep_the_frame_straight() -> None:
    wide = with_fields(LTREE, title="日本語" * 20, repo_description="説明" * 60, participants=["人" * 50])
    lines = printed(terminal.card(wide), width=50).splitlines()
    assert {cell_len(line) for line in lines} == {50}
    assert lines[0].startswith("╭─ 日本語") and "…" in lines[0]  # noqa: PT018  one line


FORMS = st.sampled_from(["cards", "grid", "rows"])
ENCODINGS = st.sampled_from(["utf-8", "ascii", "latin-1", "cp437", "gb18030", "no-such-encoding"])


@settings(deadline=None)
@given(SEVERAL, FORMS, st.integers(40, 200), ENCODINGS)
def test_anything_fits_any_width_and_steers_nothing(
    shown: list[Shown], form: str, width: int, encoding: str
) -> None:
    forms = (
        [terminal.card(each, with_warnings=True) for each in shown]
        if form == "cards"
        else [terminal.grid(shown, rows=form == "rows", with_warnings=True)]
    )
    text = printed(*forms, encoding=encoding, width=width)
    assert [line for line in text.splitlines() if cell_len(line) > width] == []
    assert steering(text) == set()
    text.encode("ascii" if encoding == "no-such-encoding" else encoding)


@settings(deadline=None)
@given(ANY)
def test_colours_change_no_text(shown: Shown) -> None:
    coloured = printed(terminal.card(shown), terminal.grid([shown, LTREE]), colour=True)
    plain = printed(terminal.card(shown), terminal.grid([shown, LTREE]))
    sequences = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
    bare = sequences.sub("", coloured)
    assert re.sub(r" +$", "", bare, flags=re.MULTILINE) == plain
    assert steering(bare) == set()


COLOUR = "\x1b[32m"
BOLD = "\x1b[1m"


@pytest.mark.parametrize(
    ("colour", "environ", "is_terminal", "expected"),
    [
        (None, {}, False, "text"),
        (None, {}, True, "colours"),
        (None, {"TERM": "xterm-256color"}, True, "colours"),
        (None, {"NO_COLOR": "1"}, True, "bold"),
        (None, {"NO_COLOR": ""}, True, "colours"),
        (None, {"NO_COLOR": "1"}, False, "text"),
        (None, {"TERM": "dumb"}, True, "text"),
        (None, {"TERM": "dumb", "NO_COLOR": "1"}, True, "text"),
        (None, {"FORCE_COLOR": "1"}, False, "colours"),
        (None, {"FORCE_COLOR": ""}, False, "text"),
        (None, {"FORCE_COLOR": ""}, True, "colours"),
        (None, {"FORCE_COLOR": "1", "TERM": "dumb"}, False, "colours"),
        (None, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, "bold"),
        (True, {}, False, "colours"),
        (True, {"NO_COLOR": "1", "TERM": "dumb"}, False, "colours"),
        (False, {}, True, "bold"),
        (False, {"FORCE_COLOR": "1"}, False, "text"),
        (False, {}, False, "text"),
    ],
)
def test_whether_there_are_colours(
    colour: bool | None,
    environ: dict[str, str],
    is_terminal: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream = Stream(is_terminal=is_terminal)
    terminal.print_to(stream, [terminal.card(LTREE)], width=80, colour=colour)
    text = stream.getvalue()
    found = "colours" if COLOUR in text else "bold" if BOLD in text else "text"
    assert found == expected
    assert ("\x1b" in text) == (expected != "text")


@pytest.mark.parametrize(
    ("width", "environ", "expected"),
    [
        (60, {}, 60),
        (7, {}, 40),
        (None, {"COLUMNS": "50"}, 50),
        (None, {"COLUMNS": "50", "TERM": "dumb"}, 50),
        (None, {"COLUMNS": "9"}, 40),
        (None, {"COLUMNS": "0"}, 80),
        (60, {"COLUMNS": "50"}, 60),
    ],
)
def test_the_width(
    width: int | None, environ: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream = Stream(is_terminal="TERM" in environ)
    terminal.print_to(stream, [terminal.card(LTREE)], width=width)
    assert {cell_len(line) for line in stream.getvalue().splitlines()} == {expected}


def test_addresses_lead_there_on_a_terminal() -> None:
    odd = with_fields(PGFULLTEXT, repo_url="javascript:alert(1)", pypi_url="https://x.example/ü)")
    text = printed(terminal.card(odd), colour=True)
    assert re.findall(r"\x1b\]8;[^;]*;([^\x1b]+)\x1b\\", text) == ["https://x.example/%C3%BC%29"]


class Closed(Stream):
    def write(self, text: str) -> int:
        raise BrokenPipeError(text[:1])


def test_the_best_figure_is_bold_and_its_note_is_not() -> None:
    text = printed(terminal.grid(GOLDEN), colour=True)
    assert "\x1b[1;32m507\x1b[0m\x1b[1;32m *\x1b[0m" in text
    assert "\x1b[2m2026-01-31\x1b[0m" in text


def test_a_closed_pipe_is_told() -> None:
    with pytest.raises(BrokenPipeError):
        terminal.print_to(Closed(), [terminal.card(LTREE)])
