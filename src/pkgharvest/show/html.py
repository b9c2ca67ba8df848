"""Records as a page of their own: HTML without parts from elsewhere, for light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from pkgharvest.errors import printable
from pkgharvest.record import Record
from pkgharvest.show import comparison
from pkgharvest.show.comparison import Cell, Row, Shown, counted


def page(shown: Sequence[Shown], *, rows: bool = False, title: str = "") -> str:
    """Return a page that compares packages, or shows one, with all that their records hold.

    Args:
        shown: what is shown, in this order; the warnings are shown too.
        rows: one line for each package, not one column.
        title: in place of what the page calls itself.
    """
    heading = escape(printable(title) or _heading(shown))
    return _PAGE.format(
        policy=escape(_POLICY),
        title=heading,
        style=_STYLE,
        kind=' class="rows"' if rows else "",
        of=_of(shown),
        caption=_MARKED if _has_best(shown) else "The figures",
        table="\n".join(_by_package(shown) if rows else _by_fact(shown)),
        packages="\n".join(_package(number, shown) for number in range(1, len(shown) + 1)),
    )


def _heading(shown: Sequence[Shown]) -> str:
    names = [comparison.name(each.record) for each in shown]
    return names[0] if len(names) == 1 else f"{len(names)} packages side by side"


def _of(shown: Sequence[Shown]) -> str:
    """Return the days that the records are of."""
    days = sorted({cell.text for each in shown if not (cell := comparison.fetched(each.record)).is_absent})
    return f"As of {' to '.join(dict.fromkeys([days[0], days[-1]]))}" if days else "As of an unknown day"


def _has_best(shown: Sequence[Shown]) -> bool:
    return any(cell.is_best for row in comparison.rows(shown) for cell in row.cells)


def _by_fact(shown: Sequence[Shown]) -> Iterator[str]:
    """Yield the table with a column for each package."""
    heads = "".join(f'<th scope="col">{_name(number, each)}</th>' for number, each in enumerate(shown, 1))
    yield f'<thead><tr><td class="corner"></td>{heads}</tr></thead>'
    yield "<tbody>"
    for row in comparison.rows(shown):
        yield _line(row.label, [_data(row, index, shown) for index in range(len(shown))])
    yield "</tbody>"


def _by_package(shown: Sequence[Shown]) -> Iterator[str]:
    """Yield the table with a line for each package."""
    rows = comparison.compact(shown)
    heads = "".join(f'<th scope="col"{_class(row)}>{row.short}</th>' for row in rows)
    yield f'<thead><tr><th scope="col">Package</th>{heads}</tr></thead>'
    yield "<tbody>"
    for index, each in enumerate(shown):
        yield _line(_name(index + 1, each), [_data(row, index, shown, _class(row)) for row in rows])
    yield "</tbody>"


def _class(row: Row) -> str:
    return ' class="number"' if comparison.is_number(row) else ""


def _line(head: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def _name(number: int, shown: Shown) -> str:
    return f'<a href="#package-{number}"><bdi>{escape(comparison.name(shown.record))}</bdi></a>'


def _data(row: Row, index: int, shown: Sequence[Shown], attributes: str = "") -> str:
    cell = row.cells[index]
    drawing = _drawing(shown[index].record) if cell.weeks else ""
    return f"<td{attributes}>{drawing}{_cell(cell)}</td>"


def _cell(cell: Cell) -> str:
    text = _linked(cell.text, cell.link)
    if cell.moment:
        text = _time(cell.moment, text)
    if cell.is_best:
        text = f'<strong>{text}<span class="unseen"> (best)</span></strong>'
    if cell.is_absent or cell.weeks:
        text = f'<span class="quiet">{text}</span>'
    return f'{text} <span class="quiet note">{cell.note}</span>' if cell.note else text


def _linked(text: str, link: str | None) -> str:
    told = escape(comparison.without_scheme(text) if link else text)
    if not link:
        return f"<bdi>{told}</bdi>"
    # Long addresses break where their parts meet; no character reference holds a dot or a slash.
    parts = told.replace(".", "<wbr>.").replace("/", "/<wbr>")
    return f'<a href="{escape(link)}"><bdi>{parts}</bdi></a>'


def _time(moment: datetime, text: str) -> str:
    # The attribute takes no more than three digits of a second.
    # https://html.spec.whatwg.org/multipage/common-microsyntaxes.html#times
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{text}</time>'


STEP, HEIGHT = 4, 40
"""Units from bar to bar, and of the highest one."""


def _drawing(record: Record) -> str:
    """Return the weeks as bars, each of which tells its week when it is pointed at."""
    counts = record.commits_over_52
    heights = comparison.levels(counts, HEIGHT - 2)
    bars = "".join(
        f'<g><title>{told}</title><rect class="week" x="{index * STEP}" width="{STEP}" height="{HEIGHT}"/>'
        f'<rect class="{"bar" if height else "none"}" x="{index * STEP}" y="{HEIGHT - height - 1}"'
        f' width="{STEP - 1}" height="{height + 1}"/></g>'
        for index, (height, told) in enumerate(zip(heights, _weeks(record), strict=True))
    )
    words = escape(comparison.in_words(record))
    box = f"0 0 {len(counts) * STEP - 1} {HEIGHT}"
    return (
        f'<svg role="img" aria-label="{words}" viewBox="{box}" preserveAspectRatio="none">'
        f"<title>{words}</title>{bars}</svg>"
    )


def _weeks(record: Record) -> Iterator[str]:
    """Yield of each week when it began and how many commits it has."""
    starts = comparison.days(record)
    for index, count in enumerate(record.commits_over_52):
        week = f"Week from {starts[index]}" if starts else f"Week {index + 1}"
        yield f"{week}: {counted(count, 'commit')}"


def _package(number: int, shown: Sequence[Shown]) -> str:
    """Return all that the record of a package holds."""
    each = shown[number - 1]
    record = each.record
    return _PACKAGE.format(
        number=number,
        name=f"<bdi>{escape(comparison.name(record))}</bdi>" if len(shown) > 1 else "The whole record",
        warnings="".join(f'<p class="warning">{escape(text)}</p>' for text in comparison.warnings(each)),
        facts="\n".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in _facts(record)),
        weeks=_list_of_weeks(record),
        people=_list_of_people(record),
    )


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "Slug", escape(record.slug)
    yield "Number in the catalog", _or_none(record.id)
    yield "Category", _cell(comparison.address(record.category or ""))
    yield "Grids", "<br>".join(_cell(comparison.address(grid)) for grid in record.grids) or _or_none(None)
    yield "PyPI", _cell(comparison.project(record))
    yield "Last commit", _moment(record.last_updated)
    yield "Fetched", _moment(record.last_fetched)
    yield "Entry made", _moment(record.created)
    yield "Entry edited", _moment(record.modified)


def _or_none(value: object) -> str:
    return '<span class="quiet">none</span>' if value is None else escape(str(value))


def _moment(moment: datetime | None) -> str:
    return _time(moment, moment.isoformat()) if moment else _or_none(None)


def _list_of_weeks(record: Record) -> str:
    starts = comparison.days(record)
    weeks = [
        f"<li>{f'<span>{starts[index]}</span> ' if starts else ''}<b{quiet}>{count}</b></li>"
        for index, count in enumerate(record.commits_over_52)
        for quiet in [_QUIET if not count else ""]
    ]
    return _details(comparison.in_words(record), "ol", "weeks", weeks)


_QUIET = ' class="quiet"'


def _list_of_people(record: Record) -> str:
    names = comparison.contributors(record)
    told = "Contributors unknown" if names is None else counted(len(names), "contributor")
    return _details(told, "ul", "people", [f"<li><bdi>{escape(name)}</bdi></li>" for name in names or []])


def _details(summary: str, element: str, name: str, items: Sequence[str]) -> str:
    if not items:
        return f"<p>{escape(summary)}</p>"
    inside = "\n".join(items)
    return (
        f'<details><summary>{escape(summary)}</summary><{element} class="{name}">\n'
        f"{inside}\n</{element}></details>"
    )


_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfaf7; --paper: #ffffff; --ink: #1d1c1a; --quiet: #5f5b54; --line: #dedad2;
  --link: #0a5c8f; --bar: #16805c; --none: #b9b4aa; --best: #0b5a3e; --best-ground: #dcf2e6;
  --warning: #6b4300; --warning-ground: #fdf0d5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131519; --paper: #1a1d22; --ink: #e9e7e2; --quiet: #a8a49c; --line: #333840;
    --link: #7cc4f5; --bar: #45c492; --none: #5a5f68; --best: #8fecc1; --best-ground: #153c2d;
    --warning: #f5d08a; --warning-ground: #3a2c10;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 84rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem); }
h1 { margin: 0; font-size: clamp(1.6rem, 1.2rem + 2vw, 2.4rem); line-height: 1.2; letter-spacing: -.02em; }
h1, h2 { overflow-wrap: anywhere; text-wrap: balance; }
h2 { margin: 0 0 .75rem; font-size: 1.2rem; }
header p { margin: .35rem 0 1.5rem; color: var(--quiet); }
a {
  color: var(--link); overflow-wrap: anywhere; text-decoration-thickness: .06em; text-underline-offset: .18em;
}
:focus-visible { outline: .15rem solid var(--link); outline-offset: .15rem; border-radius: .2rem; }
.quiet { color: var(--quiet); }
.unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.region {
  position: relative; overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--paper);
}
table { width: 100%; border-collapse: separate; border-spacing: 0; }
caption { padding: .75rem 1rem 0; text-align: start; font-size: .875rem; color: var(--quiet); }
th, td { padding: .6rem 1rem; text-align: start; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { vertical-align: bottom; overflow-wrap: anywhere; }
td, thead th { min-width: 13rem; width: 22rem; }
th[scope="row"], .corner, .rows th:first-child {
  position: sticky; inset-inline-start: 0; min-width: 0; background: var(--paper);
}
th[scope="row"] { font-weight: 500; white-space: nowrap; color: var(--quiet); }
.corner { width: 1%; min-width: 0; }
.rows td, .rows thead th { width: auto; min-width: 0; white-space: nowrap; }
.rows th[scope="row"] { min-width: 8rem; font-weight: 650; white-space: normal; }
.rows svg { width: 13rem; }
.number { text-align: end; }
table strong {
  padding: .1em .45em; border-radius: .35em; color: var(--best); background: var(--best-ground);
}
table strong, thead th { font-weight: 650; }
td strong { margin-inline-start: -.45em; }
.number strong { margin-inline: 0 -.45em; }
td .quiet { font-size: .875rem; }
td time, .note { white-space: nowrap; }
svg { display: block; width: 100%; max-width: 22rem; height: 2.5rem; margin: .2rem 0; }
.bar { fill: var(--bar); } .none { fill: var(--none); } .week { fill: transparent; }
g:hover .week { fill: var(--line); }
article { margin-top: 2.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .75rem 2rem;
  margin: 0 0 1rem;
}
dt { font-size: .875rem; color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.warning {
  margin: 0 0 1rem; padding: .5rem .9rem; border-radius: .4rem; overflow-wrap: anywhere;
  color: var(--warning); background: var(--warning-ground);
}
details { margin: .5rem 0; }
summary { padding: .2rem 0; cursor: pointer; }
ol, ul { margin: .5rem 0 1rem; padding: 0; list-style: none; }
.weeks {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .1rem 1.5rem;
  font-size: .875rem;
}
.weeks li { display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--line); }
.weeks span { color: var(--quiet); }
.weeks b.quiet { font-weight: 400; }
.people { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.people li { overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  th, td { padding: .5rem .7rem; }
  td, thead th { min-width: 11rem; }
  th[scope="row"] { font-size: .875rem; }
  .rows th[scope="row"] { max-width: 9rem; font-size: inherit; }
}
@media print { .region { overflow: visible; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded and nothing runs."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p>{of}</p>
</header>
<section class="region" aria-labelledby="figures" tabindex="0">
<h2 class="unseen" id="figures">Figures side by side</h2>
<table{kind}>
<caption>{caption}</caption>
{table}
</table>
</section>
{packages}
</main>
</body>
</html>
"""
_MARKED = "The figures; <strong>marked</strong> are the best of those shown"
_PACKAGE = """<article id="package-{number}" aria-labelledby="name-{number}">
<h2 id="name-{number}">{name}</h2>
{warnings}<dl>
{facts}
</dl>
{weeks}
{people}
</article>"""
