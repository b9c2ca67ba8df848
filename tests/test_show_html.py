"""Records as a page: valid, whole, safe, and drawn by a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgharvest.show import comparison, html
from pkgharvest.show.comparison import Shown
from shown import ADDRESSES, GOLDEN, LTREE, NASTY, PGHISTORY, SEVERAL, steering, with_fields


def parsed(text: str) -> Element:
    """Return the page as the strict parser reads it; anything that the standard calls an error is one."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree: Element = parser.parse(text)
    return tree


SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = set(
    """html head meta title style body main header h1 h2 p section table caption thead tbody tr th td strong
    span a bdi wbr time article dl div dt dd details summary ol ul li b br""".split()
) | {f"{SVG}{name}" for name in ("svg", "title", "g", "rect")}


def words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def table_of(page: Element) -> list[list[str]]:
    """Return the texts of the table, without those of the drawings."""
    return [
        [
            " ".join("".join(cell.itertext()).split()) if cell.find(f"{SVG}svg") is None else "drawing"
            for cell in row
        ]
        for row in page.iter("tr")
    ]


def test_the_table_of_the_golden_records() -> None:
    assert table_of(parsed(html.page(GOLDEN))) == [
        ["", "django-ltree", "django-pghistory", "djorm-ext-pgfulltext"],
        [
            "Description",
            LTREE.record.repo_description,
            "Track historical events to Django models using Postgres triggers.",
            "PostgreSQL full-text search integration with django orm.",
        ],
        ["Version", "0.6.0", "3.9.1", "0.10"],
        ["Stars", "72", "507 (best)", "251"],
        ["Forks", "19", "54", "85 (best)"],
        ["Commits/year", "58 (best)", "27", "0"],
        ["52 weeks", "drawing", "drawing", "drawing"],
        [
            "Last commit",
            "9 weeks before 2025-12-11",
            "15 days before (best) 2026-01-31",
            "10 years before 2016-01-05",
        ],
        ["Contributors", "12", "29 (best)", "16"],
        ["Documentation", "none", "django-pghistory.readthedocs.io", "none"],
        [
            "Repository",
            "github.com/mariocesar/django-ltree",
            "github.com/jyveapp/django-pghistory",
            "github.com/linuxlewis/djorm-ext-pgfulltext",
        ],
        ["As of", "2026-02-15", "2026-02-15", "2026-02-15"],
    ]


def test_the_golden_records_on_a_line_each() -> None:
    assert table_of(parsed(html.page(GOLDEN, rows=True))) == [
        ["Package", "Version", "Stars", "Forks", "Commits", "52 weeks", "Last commit", "People"],
        ["django-ltree", "0.6.0", "72", "19", "58 (best)", "drawing", "9 weeks before 2025-12-11", "12"],
        [
            "django-pghistory",
            "3.9.1",
            "507 (best)",
            "54",
            "27",
            "drawing",
            "15 days before (best) 2026-01-31",
            "29 (best)",
        ],
        [
            "djorm-ext-pgfulltext",
            "0.10",
            "251",
            "85 (best)",
            "0",
            "drawing",
            "10 years before 2016-01-05",
            "16",
        ],
    ]


@pytest.mark.parametrize("rows", [False, True])
def test_every_cell_has_its_heads(rows: bool) -> None:
    page = parsed(html.page(GOLDEN, rows=rows))
    lines = list(page.iter("tr"))
    assert {cell.get("scope") for cell in lines[0] if cell.tag == "th"} == {"col"}
    assert [line[0].get("scope") for line in lines[1:]] == ["row"] * (len(lines) - 1)
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [words(each) for each in page.iter("caption")] == [
        "The figures; marked are the best of those shown"
    ]


def test_the_weeks_are_told_in_words_and_in_numbers() -> None:
    page = parsed(html.page([PGHISTORY]))
    drawing = next(page.iter(f"{SVG}svg"))
    told = "27 commits in 52 weeks from 2025-02-16 to 2026-02-14, at most 7 in a week, none in 40 weeks"
    assert (drawing.get("role"), drawing.get("aria-label"), drawing[0].text) == ("img", told, told)
    assert [group[0].text for group in drawing.iter(f"{SVG}g")][:2] == [
        "Week from 2025-02-16: 0 commits",
        "Week from 2025-02-23: 2 commits",
    ]
    weeks = next(element for element in page.iter("ol") if element.get("class") == "weeks")
    counts = PGHISTORY.record.commits_over_52
    days = comparison.days(PGHISTORY.record) or []
    assert [words(week) for week in weeks] == [
        f"{day} {count}" for day, count in zip(days, counts, strict=False)
    ]


def test_the_bars_are_as_high_as_the_counts() -> None:
    drawing = next(parsed(html.page([LTREE])).iter(f"{SVG}svg"))
    drawn = [int(group[2].get("height", "")) for group in drawing.iter(f"{SVG}g")]
    pairs = sorted(zip(LTREE.record.commits_over_52, drawn, strict=True))
    assert all(low[1] < high[1] if low[0] < high[0] else low[1] == high[1] for low, high in pairwise(pairs))
    assert [
        int(group[2].get("y", "")) + height
        for group, height in zip(drawing.iter(f"{SVG}g"), drawn, strict=True)
    ] == [html.HEIGHT] * 52


@pytest.mark.parametrize("shown", GOLDEN, ids=lambda shown: shown.record.slug)
def test_the_page_holds_all_of_a_record(shown: Shown) -> None:
    page = parsed(html.page([*GOLDEN]))
    record = shown.record
    article = next(each for each in page.iter("article") if words(each).startswith(record.title))
    told = words(article)
    expected = [str(record.id), record.slug, *(record.participants or [])]
    for moment in (record.last_updated, record.last_fetched, record.created, record.modified):
        assert moment is not None
        expected.append(moment.isoformat())
    assert [each for each in expected if each not in told] == []
    links = {each.get("href") for each in page.iter("a")}
    assert {record.category, *record.grids, record.pypi_url, record.repo_url} <= links


def test_links_within_the_page_lead_somewhere() -> None:
    page = parsed(html.page(GOLDEN))
    names = [each.get("id") for each in page.iter() if each.get("id")]
    assert len(names) == len(set(names))
    inner = {
        link.removeprefix("#") for each in page.iter("a") if (link := each.get("href", "")).startswith("#")
    }
    assert inner == {"package-1", "package-2", "package-3"}
    assert inner <= set(names)


def test_the_page_loads_nothing_and_knows_light_dark_and_narrow() -> None:
    text = html.page(GOLDEN)
    page = parsed(text)
    metas = {each.get("name") or each.get("http-equiv"): each.get("content") for each in page.iter("meta")}
    assert metas == {
        None: None,
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        ),
        "viewport": "width=device-width, initial-scale=1",
        "color-scheme": "light dark",
        "referrer": "no-referrer",
    }
    assert page.get("lang") == "en"
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"url\(|@import|<script|<link|<img|\ssrc=|\sstyle=|\son\w+=", text)
    region = next(page.iter("section"))
    assert (region.get("tabindex"), region.get("aria-labelledby")) == ("0", "figures")


def luminance(colour: str) -> float:
    """Return the relative luminance, https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "ground", "least"),
    [
        *((front, ground, 4.5) for front in ("ink", "quiet", "link") for ground in ("ground", "paper")),
        ("best", "best-ground", 4.5),
        ("warning", "warning-ground", 4.5),
        ("bar", "paper", 3),
    ],
)
def test_contrast_is_that_of_wcag_aa(scheme: int, front: str, ground: str, least: float) -> None:
    colours = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in html.page([]).split("@media")[:2]
    ]
    dark, light = sorted(luminance(colours[scheme][name]) for name in (front, ground))
    assert (light + 0.05) / (dark + 0.05) >= least


def test_headings_and_titles() -> None:
    one, several = parsed(html.page([LTREE])), parsed(html.page(GOLDEN, title="A <b> & c\x1b"))
    assert [words(each) for each in one.iter("h1")] == ["django-ltree"]
    assert [words(each) for each in one.iter("h2")] == ["Figures side by side", "The whole record"]
    assert [words(each) for each in several.iter("h1")] == ["A <b> & c�"]
    assert [words(each) for each in several.iter("title")] == ["A <b> & c�"]
    assert [words(each) for each in several.iter("h2")][1:] == [each.record.title for each in GOLDEN]
    assert words(next(parsed(html.page([])).iter("header"))) == "0 packages side by side As of an unknown day"


def test_records_of_several_days_tell_the_first_and_the_last() -> None:
    record = LTREE.record
    assert record.last_fetched is not None
    older = with_fields(LTREE, last_fetched=record.last_fetched.replace(year=2025))
    assert words(next(parsed(html.page([LTREE, older])).iter("header"))) == (
        "2 packages side by side As of 2025-02-15 to 2026-02-15"
    )


def test_warnings_are_told() -> None:
    page = parsed(html.page([Shown(LTREE.record, ("archived <i>", "moved"))]))
    assert [words(each) for each in page.iter("p") if each.get("class") == "warning"] == [
        "archived <i>",
        "moved",
    ]


@settings(deadline=None)
@given(SEVERAL, st.booleans())
def test_any_records_make_a_valid_page_that_steers_nothing(shown: list[Shown], rows: bool) -> None:
    text = html.page(shown, rows=rows)
    page = parsed(text)
    assert steering(text) == set()
    assert {each.tag for each in page.iter()} <= ELEMENTS
    allowed = re.compile(r"#package-\d+|https?://[^\s<>\"]+", re.IGNORECASE)
    assert [link for each in page.iter("a") if not allowed.fullmatch(link := each.get("href", ""))] == []
    assert not any(name.startswith("on") for each in page.iter() for name in each.attrib)
    assert len(list(page.iter("article"))) == len(shown)


@pytest.mark.parametrize("nasty", NASTY)
def test_a_description_is_read_as_it_is_meant(nasty: str) -> None:
    shown = with_fields(LTREE, repo_description=nasty)
    expected = comparison.description(shown.record).text
    assert table_of(parsed(html.page([shown])))[1] == ["Description", expected]


@settings(deadline=None)
@given(ADDRESSES)
def test_an_address_is_read_as_it_is_meant(url: str) -> None:
    page = parsed(html.page([with_fields(LTREE, documentation_url=url)]))
    cell = list(page.iter("tr"))[9][1]
    assert [each.get("href") for each in cell.iter("a")] == [link for link in [comparison.link(url)] if link]


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_browser_draws_the_page(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(html.page(GOLDEN), encoding="utf-8")
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    command = [CHROMIUM or "", *quiet.split(), "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "page.html").as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    page = parsed(
        run.stdout.replace("<html", "<!doctype html><html", 1) if "<!" not in run.stdout[:15] else run.stdout
    )
    assert table_of(page) == table_of(parsed(html.page(GOLDEN)))
    assert [len(list(drawing.iter(f"{SVG}rect"))) for drawing in page.iter(f"{SVG}svg")] == [104] * 3
