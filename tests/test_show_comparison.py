"""What is shown of records: rows, best figures, order, words, heights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgharvest.record import Record
from pkgharvest.show import comparison
from pkgharvest.show.comparison import Shown, SortBy
from shown import ADDRESSES, ANY, COUNTS, GOLDEN, LTREE, PGFULLTEXT, PGHISTORY, SEVERAL, steering, with_fields

NOW = datetime(2026, 2, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (SortBy.STARS, [PGHISTORY, PGFULLTEXT, LTREE]),
        (SortBy.COMMITS, [LTREE, PGHISTORY, PGFULLTEXT]),
        (SortBy.UPDATED, [PGHISTORY, LTREE, PGFULLTEXT]),
        (SortBy.NAME, [LTREE, PGHISTORY, PGFULLTEXT]),
    ],
)
def test_packages_are_sorted(by: SortBy, expected: list[Shown]) -> None:
    assert comparison.sort(GOLDEN[::-1], by) == expected


def test_names_are_sorted_whatever_their_case_and_by_slug_where_there_is_no_title() -> None:
    shown = [with_fields(LTREE, title=title, slug="M") for title in ("b", "C", "", "A")]
    assert [each.record.title for each in comparison.sort(shown, SortBy.NAME)] == ["A", "b", "C", ""]


def test_packages_without_a_commit_are_last() -> None:
    unknown = with_fields(LTREE, last_updated=None)
    old = with_fields(LTREE, last_updated=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
    assert comparison.sort([unknown, old, PGHISTORY], SortBy.UPDATED) == [PGHISTORY, old, unknown]


@given(SEVERAL, st.sampled_from(SortBy))
def test_sorting_again_changes_nothing_and_loses_nothing(shown: list[Shown], by: SortBy) -> None:
    once = comparison.sort(shown, by)
    assert comparison.sort(once, by) == once
    assert sorted(map(id, once)) == sorted(map(id, shown))


@pytest.mark.parametrize("by", SortBy)
def test_equal_packages_stay_in_their_order(by: SortBy) -> None:
    shown = [with_fields(LTREE, repo_description=str(number)) for number in range(5)]
    assert comparison.sort(shown, by) == shown


def table(shown: list[Shown]) -> list[list[str]]:
    return [
        [row.label, *(f"{cell.text}{' *' if cell.is_best else ''}" for cell in row.cells)]
        for row in comparison.rows(shown)
    ]


def test_the_rows_of_the_golden_records() -> None:
    assert table(GOLDEN) == [
        [
            "Description",
            LTREE.record.repo_description,
            "Track historical events to Django models using Postgres triggers.",
            "PostgreSQL full-text search integration with django orm.",
        ],
        ["Version", "0.6.0", "3.9.1", "0.10"],
        ["Stars", "72", "507 *", "251"],
        ["Forks", "19", "54", "85 *"],
        ["Commits/year", "58 *", "27", "0"],
        ["52 weeks", "at most 34 in a week", "at most 7 in a week", "no commits"],
        ["Last commit", "9 weeks before", "15 days before *", "10 years before"],
        ["Contributors", "12", "29 *", "16"],
        ["Documentation", "none", "https://django-pghistory.readthedocs.io", "none"],
        [
            "Repository",
            "https://github.com/mariocesar/django-ltree",
            "https://github.com/jyveapp/django-pghistory",
            "https://github.com/linuxlewis/djorm-ext-pgfulltext",
        ],
        ["As of", "2026-02-15", "2026-02-15", "2026-02-15"],
    ]


def test_what_is_not_known_is_said() -> None:
    nothing = with_fields(
        LTREE,
        last_updated=None,
        last_fetched=None,
        repo_url="",
        pypi_version=None,
        repo_description=" \n",
        documentation_url=None,
        commits_over_52=[],
        participants=None,
    )
    assert [(row[0], row[1]) for row in table([nothing]) if row[1] not in ("72", "19")] == [
        ("Description", "none"),
        ("Version", "not on PyPI"),
        ("Commits/year", "0"),
        ("52 weeks", "no commits"),
        ("Last commit", "none"),
        ("Contributors", "unknown"),
        ("Documentation", "none"),
        ("Repository", "none"),
        ("As of", "unknown"),
    ]
    assert comparison.in_words(nothing.record) == "0 commits in 0 weeks"


@pytest.mark.parametrize(
    ("stars", "marked"),
    [
        ([1], [False]),
        ([3, 3], [False, False]),
        ([3, 1, 3], [True, False, True]),
        ([0, 1], [False, True]),
    ],
)
def test_the_best_figures_are_marked(stars: list[int], marked: list[bool]) -> None:
    rows = comparison.rows([with_fields(LTREE, repo_watchers=number) for number in stars])
    assert [cell.is_best for row in rows if row.label == "Stars" for cell in row.cells] == marked
    assert not any(cell.is_best for row in rows if row.label != "Stars" for cell in row.cells)


def test_a_figure_that_is_the_only_one_known_is_not_the_best() -> None:
    rows = comparison.rows([with_fields(LTREE, participants=None, last_updated=None), LTREE])
    assert not any(cell.is_best for row in rows for cell in row.cells)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "less than a minute before"),
        (timedelta(seconds=-59), "less than a minute after"),
        (timedelta(seconds=60), "1 minute before"),
        (timedelta(minutes=119), "119 minutes before"),
        (timedelta(hours=2), "2 hours before"),
        (timedelta(hours=47), "47 hours before"),
        (timedelta(days=2), "2 days before"),
        (timedelta(days=20, hours=23), "20 days before"),
        (timedelta(days=21), "3 weeks before"),
        (timedelta(days=91), "13 weeks before"),
        (timedelta(days=92), "3 months before"),
        (timedelta(days=730), "23 months before"),
        (timedelta(days=731), "2 years before"),
        (timedelta(days=-40), "5 weeks after"),
    ],
)
def test_spans_in_words(length: timedelta, words: str) -> None:
    assert comparison.span(NOW - length, NOW) == words


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            LTREE.record,
            "58 commits in 52 weeks from 2025-02-16 to 2026-02-14, at most 34 in a week, none in 44 weeks",
        ),
        (PGFULLTEXT.record, "0 commits in 52 weeks from 2025-02-17 to 2026-02-15"),
        (
            with_fields(LTREE, last_fetched=None).record,
            "58 commits in 52 weeks, at most 34 in a week, none in 44 weeks",
        ),
        (
            with_fields(LTREE, last_fetched=datetime(1, 1, 3, tzinfo=UTC), commits_over_52=[1]).record,
            "1 commit in 1 week, at most 1 in a week, none in 0 weeks",
        ),
    ],
    ids=["busy", "quiet", "never fetched", "the beginning of the calendar"],
)
def test_the_weeks_in_words(record: Record, words: str) -> None:
    assert comparison.in_words(record) == words


def test_every_week_has_its_first_day() -> None:
    days = comparison.days(LTREE.record)
    assert days is not None
    assert len(days) == 53
    assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=7)}


@pytest.mark.parametrize(
    ("room", "size"), [(200, 1), (52, 1), (51, 2), (26, 2), (25, 4), (13, 4), (12, 13), (3, 26), (1, 52)]
)
def test_weeks_are_summed_in_equal_parts(room: int, size: int) -> None:
    counts = list(range(52))
    sums, found = comparison.summed(counts, room)
    assert (found, len(sums), sum(sums)) == (size, 52 // size, sum(counts))
    assert sums[0] == sum(counts[:size])


@given(COUNTS, st.integers(1, 60))
def test_sums_fit_and_hold_every_commit(counts: list[int], room: int) -> None:
    sums, size = comparison.summed(counts, room)
    assert len(sums) <= room
    assert sum(sums) == sum(counts)
    assert len(sums) * size == len(counts) or not counts


@given(st.lists(st.integers(0, 10**6)), st.integers(1, 100))
def test_heights_rise_with_the_counts_and_tell_none_from_few(counts: list[int], top: int) -> None:
    heights = comparison.levels(counts, top)
    assert [height == 0 for height in heights] == [count == 0 for count in counts]
    assert max(heights, default=top) in (top, 0)
    pairs = sorted(zip(counts, heights, strict=True))
    assert [height for _, height in pairs] == sorted(heights)


def test_a_sparkline() -> None:
    assert comparison.sparkline([0, 1, 5, 34, 17]) == "▁▂▃█▅"
    assert comparison.sparkline([0, 0]) == "▁▁"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("HTTP://x.example:8080/?a=b&c=%20#d~e", "HTTP://x.example:8080/?a=b&c=%20#d~e"),
        ("https://x.example/)](e)|`<\"'\\", "https://x.example/%29%5D%28e%29%7C%60%3C%22%27%5C"),
        ("https://x.example/ü", "https://x.example/%C3%BC"),
        ("https://x.example/a b", None),
        ("https://x.example/\x1b\\", None),
        ("https://x.example/\ud800", None),
        ("https://[x", None),
        ("https://", None),
        ("//x.example", None),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("ftp://x.example", None),
        ("x", None),
        ("", None),
    ],
)
def test_addresses_of_the_web_alone_are_links(url: str, link: str | None) -> None:
    assert comparison.link(url) == link


@settings(deadline=None)
@given(ADDRESSES)
def test_a_link_ends_nothing_it_is_written_into(url: str) -> None:
    link = comparison.link(url) or ""
    assert link.isascii()
    assert not set(link) & set("()[]<>|`\"'\\ \n\x1b")


@settings(deadline=None)
@given(ANY)
def test_no_text_steers(shown: Shown) -> None:
    cells = [cell for row in comparison.rows([shown]) for cell in row.cells]
    texts = [text for cell in cells for text in (cell.text, cell.note, cell.link or "")]
    texts += [comparison.name(shown.record), *(comparison.contributors(shown.record) or [])]
    texts += [*comparison.warnings(shown), comparison.in_words(shown.record)]
    assert set().union(*map(steering, texts)) == set()
    assert "\n" not in "".join(texts)
    assert all(cell.text for cell in cells)
