"""Records as a Markdown table: the text, and what a reader of Markdown makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pkgharvest.show import comparison, markdown
from pkgharvest.show.comparison import Shown
from shown import GOLDEN, LTREE, NASTY, PGHISTORY, SEVERAL, steering, with_fields

GRID = """\
|  | [django-ltree](https://github.com/mariocesar/django-ltree) | [django-pghistory](https://github.com/jyveapp/django-pghistory) | [djorm-ext-pgfulltext](https://github.com/linuxlewis/djorm-ext-pgfulltext) |
| --- | --- | --- | --- |
| Description | An ltree extension implementation to support hierarchical tree-like data using the native Postgres extension ltree in django models | Track historical events to Django models using Postgres triggers. | PostgreSQL full-text search integration with django orm. |
| Version | [0.6.0](http://pypi.python.org/pypi/django-ltree) | [3.9.1](http://pypi.python.org/pypi/django-pghistory) | [0.10](http://pypi.python.org/pypi/djorm-ext-pgfulltext) |
| Stars | 72 | **507** | 251 |
| Forks | 19 | 54 | **85** |
| Commits/year | **58** | 27 | 0 |
| 52 weeks, 2 a mark | `▂▁▁▁█▁▁▁▁▁▁▂▁▂▁▁▂▁▁▄▁▂▁▁▁▁` up to 34 in 2 weeks | `▃▃▃▁▄▁▁▂▁▁▁▁█▂▃▂▁▁▁▁▃▄▁▁▂▁` up to 7 in 2 weeks | `▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁` no commits |
| Last commit | 9 weeks before, 2025-12-11 | **15 days before**, 2026-01-31 | 10 years before, 2016-01-05 |
| Contributors | 12 | **29** | 16 |
| Documentation | none | [django-pghistory.readthedocs.io](https://django-pghistory.readthedocs.io) | none |
| Repository | [github.com/mariocesar/django-ltree](https://github.com/mariocesar/django-ltree) | [github.com/jyveapp/django-pghistory](https://github.com/jyveapp/django-pghistory) | [github.com/linuxlewis/djorm-ext-pgfulltext](https://github.com/linuxlewis/djorm-ext-pgfulltext) |
| As of | 2026-02-15 | 2026-02-15 | 2026-02-15 |
"""  # noqa: E501  lines of a table
ROWS = """\
| Package | Version | Stars | Forks | Commits | 52 weeks, 2 a mark | Last commit | People |
| --- | --- | ---: | ---: | ---: | --- | --- | ---: |
| [django-ltree](https://github.com/mariocesar/django-ltree) | [0.6.0](http://pypi.python.org/pypi/django-ltree) | 72 | 19 | **58** | `▂▁▁▁█▁▁▁▁▁▁▂▁▂▁▁▂▁▁▄▁▂▁▁▁▁` up to 34 in 2 weeks | 9 weeks before, 2025-12-11 | 12 |
| [django-pghistory](https://github.com/jyveapp/django-pghistory) | [3.9.1](http://pypi.python.org/pypi/django-pghistory) | **507** | 54 | 27 | `▃▃▃▁▄▁▁▂▁▁▁▁█▂▃▂▁▁▁▁▃▄▁▁▂▁` up to 7 in 2 weeks | **15 days before**, 2026-01-31 | **29** |
| [djorm-ext-pgfulltext](https://github.com/linuxlewis/djorm-ext-pgfulltext) | [0.10](http://pypi.python.org/pypi/djorm-ext-pgfulltext) | 251 | **85** | 0 | `▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁` no commits | 10 years before, 2016-01-05 | 16 |
"""  # noqa: E501  lines of a table
ONE = """\
|  | [django-pghistory](https://github.com/jyveapp/django-pghistory) |
| --- | --- |
| Description | Track historical events to Django models using Postgres triggers. |
| Version | [3.9.1](http://pypi.python.org/pypi/django-pghistory) |
| Stars | 507 |
| Forks | 54 |
| Commits/year | 27 |
| 52 weeks | `▁▃▁▃▁▃▁▁▁▄▁▁▁▁▂▁▁▁▁▁▁▁▁▁▁█▁▂▁▃▁▂▁▁▁▁▁▁▁▁▁▃▄▁▁▁▁▁▁▂▁▁` at most 7 in a week |
| Last commit | 15 days before, 2026-01-31 |
| Contributors | 29 |
| Documentation | [django-pghistory.readthedocs.io](https://django-pghistory.readthedocs.io) |
| Repository | [github.com/jyveapp/django-pghistory](https://github.com/jyveapp/django-pghistory) |
| As of | 2026-02-15 |

- django-pghistory: moved to &lt;b&gt;
"""


def test_the_golden_records_side_by_side() -> None:
    assert markdown.page(GOLDEN) == GRID


def test_the_golden_records_on_a_line_each() -> None:
    assert markdown.page(GOLDEN, rows=True) == ROWS


def test_one_record_with_its_warnings() -> None:
    shown = Shown(PGHISTORY.record, ("moved to <b>",))
    assert markdown.page([shown], with_warnings=True) == ONE
    assert markdown.page([shown]) == markdown.page([PGHISTORY])
    assert markdown.page([PGHISTORY], with_warnings=True) == markdown.page([PGHISTORY])


def cells(text: str) -> list[list[Token]]:
    """Return the cells of the only table in a Markdown text, as a reader of it takes them."""
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).parse(text)
    assert [token.type for token in tokens].count("table_open") == 1
    found: list[list[Token]] = []
    for token in tokens:
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline":
            found[-1].append(token)
    return found


def text_of(cell: Token) -> str:
    return "".join(token.content for token in cell.children or [])


@settings(deadline=None)
@given(SEVERAL, st.booleans())
def test_any_records_make_one_table_of_text_and_links(shown: list[Shown], rows: bool) -> None:
    text = markdown.page(shown, rows=rows)
    assert steering(text) == set()
    table = cells(text)
    facts = comparison.compact(shown) if rows else comparison.rows(shown)
    size = (len(shown) + 1, len(facts) + 1) if rows else (len(facts) + 1, len(shown) + 1)
    assert (len(table), {len(line) for line in table}) == (size[0], {size[1]})
    kinds = {token.type for line in table for cell in line for token in cell.children or []}
    assert kinds <= {
        "text",
        "text_special",
        "code_inline",
        *("link_open", "link_close", "strong_open", "strong_close"),
    }
    links = [
        str(token.attrs["href"])
        for line in table
        for cell in line
        for token in cell.children or []
        if token.type == "link_open"
    ]
    assert all(link.startswith(("http://", "https://")) for link in map(str.lower, links))


@pytest.mark.parametrize("nasty", NASTY)
def test_a_description_is_read_as_it_is_meant(nasty: str) -> None:
    shown = with_fields(LTREE, repo_description=nasty)
    assert text_of(cells(markdown.page([shown]))[1][1]) == comparison.description(shown.record).text


def test_an_address_is_read_as_it_is_meant() -> None:
    shown = with_fields(LTREE, repo_url="https://x.example/a_b*c*?d=e&copy;=f|g)")
    cell = cells(markdown.page([shown]))[10][1]
    assert text_of(cell) == "x.example/a_b*c*?d=e&copy;=f|g)"
    assert [token.attrs for token in cell.children or [] if token.type == "link_open"] == [
        {"href": "https://x.example/a_b*c*?d=e&copy;=f%7Cg%29"}
    ]


def test_what_is_no_address_of_the_web_is_no_link() -> None:
    shown = with_fields(LTREE, documentation_url="javascript:alert(1)")
    cell = cells(markdown.page([shown]))[9][1]
    assert [token.type for token in cell.children or []] == ["text"]
    assert text_of(cell) == "javascript:alert(1)"
