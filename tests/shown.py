"""Records to be shown: the golden ones, and any that outside can send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from pkgharvest.record import Record, decode_record
from pkgharvest.show.comparison import Shown

PATHS = sorted((Path(__file__).parent / "golden").glob("*.json"))
LTREE, PGHISTORY, PGFULLTEXT = GOLDEN = [Shown(decode_record(path.read_bytes())) for path in PATHS]

NASTY = [
    "\x1b]8;;https://evil.example\x1b\\x\x1b[31mred\x9b2J\x07",
    "\u202eright to left\u2066isolated\u200f\u061c",
    "<script>alert(1)</script><!-- ]]> &copy; &#60; \" ' `",
    "a | b \\| c \\\\| `d` **e** _f_ [g](javascript:alert(1)) ![h](i) ~~j~~ $k$ <br>",
    "[bold]not bold[/bold] :smile: [link=https://evil.example]x[/link]",
    "two\nlines\r\nthree\u2028four\tfive",
    "日本語の説明文がとても長いので折り返す必要があります",
    "🐎👩‍👩‍👧‍👦🇩🇪☀️ e\u0301\u0301\u0301 \u200d\ufe0f",
    "x" * 300,
    "a/b.c-d_e" * 40,
    "\ud800 lone \x00 nul",
    "{title} {0} %s",
]
URLS = [
    "https://github.com/a/b",
    "http://pypi.python.org/pypi/x",
    "https://x.example/a?b=c&copy;=d#e",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/)](evil) <b>|`x`",
    "https://x.example/\x1b\\evil",
    "https://日本.example/パス",
    "https://[::1",
    "javascript:alert(1)",
    "data:text/html,<script>",
    "https://",
    " ",
    "",
    "https://x.example/" + "long" * 80,
]
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))
ADDRESSES = st.one_of(st.sampled_from(URLS), TEXTS)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.one_of(
    st.datetimes(timezones=ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
COUNTS = st.one_of(
    st.lists(st.integers(0, 5000), min_size=52, max_size=52),
    st.lists(st.sampled_from([0, 0, 0, 1, 9]), min_size=52, max_size=52),
    st.lists(st.integers(-3, 10**12), max_size=60),
)
RECORDS = st.builds(
    Record,
    category=st.none() | ADDRESSES,
    grids=st.lists(ADDRESSES, max_size=3),
    id=st.none() | st.integers(0, 10**9),
    title=TEXTS,
    slug=st.from_regex(r"\A[A-Za-z0-9_-]{1,40}\Z"),
    last_updated=st.none() | MOMENTS,
    last_fetched=st.none() | MOMENTS,
    repo_url=ADDRESSES,
    pypi_version=st.none() | TEXTS,
    created=st.none() | MOMENTS,
    modified=st.none() | MOMENTS,
    repo_forks=st.integers(0, 10**15),
    repo_description=TEXTS,
    pypi_url=ADDRESSES,
    documentation_url=st.none() | ADDRESSES,
    repo_watchers=st.integers(0, 10**15),
    commits_over_52=COUNTS,
    participants=st.none() | st.lists(TEXTS, max_size=20),
)
ANY = st.builds(Shown, RECORDS, st.lists(TEXTS, max_size=2).map(tuple))
SEVERAL = st.lists(ANY, max_size=8)


def steering(text: str) -> set[str]:
    """Return the characters in a text that could steer a terminal or the direction of writing."""
    return {character for character in text if not character.isprintable() and character != "\n"}


def with_fields(shown: Shown, **fields: object) -> Shown:
    """Return a package of whose record some fields are others."""
    return Shown(msgspec.structs.replace(shown.record, **fields))
