"""The record: its text forms, and how a harvest and an earlier record are combined."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pkgharvest.record import (
    Findings,
    Record,
    RecordError,
    combine,
    decode_record,
    decode_records,
    encode_api,
    encode_line,
)

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
TEXTS = [path.read_text(encoding="utf-8") for path in GOLDEN]
RECORDS = [decode_record(text.encode()) for text in TEXTS]
NEW_YORK = ZoneInfo("America/New_York")

FIELDS = """category grids id title slug last_updated last_fetched repo_url pypi_version created
    modified repo_forks repo_description pypi_url documentation_url repo_watchers commits_over_52
    participants""".split()

WINTER = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
SUMMER = datetime(2025, 7, 15, 12, 0, 0, tzinfo=UTC)

BASE = Record(
    category="https://djangopackages.org/api/v4/categories/1/",
    grids=["https://djangopackages.org/api/v4/grids/11/"],
    id=7,
    title="Django X of the base",
    slug="base-slug",
    last_updated=datetime(2020, 1, 1, tzinfo=UTC),
    last_fetched=datetime(2020, 1, 2, tzinfo=UTC),
    repo_url="https://github.com/base/x",
    pypi_version="0.1",
    created=datetime(2015, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
    modified=datetime(2016, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
    repo_forks=1000,
    repo_description="of the base",
    pypi_url="http://pypi.python.org/pypi/Base_X",
    documentation_url="https://base.example/docs",
    repo_watchers=2000,
    commits_over_52=[9] * 52,
    participants=["of", "the", "base"],
)
FOUND = Findings(
    slug="django-x",
    fetched=WINTER.replace(microsecond=136634),
    repository_name="x-repository",
    repository_url="https://github.com/ann/x-repository",
    forks=3,
    stars=5,
    description="found",
    commits_over_52=[*[0] * 51, 1],
    last_commit=SUMMER,
    participants=["ann", "bob"],
    project="django-x",
    project_title="Django-X",
    version="1.2",
    documentation_url="https://found.example/docs",
)
"""Findings in which every source has said all that it can."""

SILENT = Findings(
    slug="django-x",
    fetched=WINTER,
    repository_name="x-repository",
    repository_url="https://github.com/ann/x-repository",
    forks=0,
    stars=0,
    description="",
    commits_over_52=[0] * 52,
    last_commit=None,
    participants=None,
)
"""Findings in which no source has said what it may leave out."""


def document(**fields: object) -> bytes:
    return json.dumps({**json.loads(TEXTS[0]), **fields}).encode()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_records_decode_and_encode_to_the_same_bytes(path: Path) -> None:
    text = path.read_bytes()
    record = decode_record(text)
    assert encode_api(record) == text
    assert record.slug == path.stem


def test_there_are_three_golden_records() -> None:
    assert [path.stem for path in GOLDEN] == ["django-ltree", "django-pghistory", "djorm-ext-pgfulltext"]


def test_the_fields_are_in_the_order_of_the_api() -> None:
    assert list(Record.__struct_fields__) == FIELDS
    assert list(json.loads(encode_api(RECORDS[0]))) == FIELDS
    assert list(json.loads(encode_line(RECORDS[0]))) == FIELDS


@pytest.mark.parametrize("record", [*RECORDS, BASE], ids=lambda record: record.slug)
def test_a_record_on_one_line_is_the_same_record(record: Record) -> None:
    line = encode_line(record)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert decode_record(line) == record


def test_text_is_utf_8_and_not_escaped() -> None:
    record = msgspec.structs.replace(BASE, title="Žluťoučký 🐎", repo_description="a\nb\x00")
    for text in (encode_api(record), encode_line(record)):
        assert "Žluťoučký 🐎".encode() in text
        assert rb"a\nb\u0000" in text
        assert decode_record(text) == record


def test_nothing_is_written_as_null_and_empty_lists_stay() -> None:
    record = combine(None, SILENT, UTC)
    text = json.loads(encode_api(record))
    assert {name for name, value in text.items() if value is None} == {
        *("category", "id", "last_updated", "pypi_version", "created", "modified", "participants")
    }
    assert text["grids"] == []
    assert decode_record(encode_api(record)) == record


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (TEXTS[0], RECORDS[:1]),
        ("".join(TEXTS), RECORDS),
        ("\n\n".join(TEXTS) + "\n  ", RECORDS),
        ("".join(encode_line(record).decode() for record in RECORDS), RECORDS),
        ("".join(encode_line(record).decode().strip() for record in RECORDS), RECORDS),
        (
            json.dumps(
                {"count": 3, "next": None, "previous": None, "results": [json.loads(text) for text in TEXTS]}
            ),
            RECORDS,
        ),
        (json.dumps([json.loads(text) for text in TEXTS], indent=1), RECORDS),
        (json.dumps({"count": 0, "next": None, "previous": None, "results": []}), []),
        ("[]", []),
        ("", []),
        (" \n", []),
    ],
    ids=[
        *("one", "several", "several with space", "lines", "nothing between", "envelope", "list"),
        *("empty envelope", "empty list", "empty", "space"),
    ],
)
def test_records_are_read_in_every_form_that_is_written(text: str, records: Sequence[Record]) -> None:
    assert list(decode_records(text)) == records


def test_unknown_fields_are_left_out() -> None:
    text = document(usage_count=5, fetched_by={"a": [1]})
    assert decode_record(text) == RECORDS[0]
    assert list(decode_records(text.decode())) == RECORDS[:1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "line 1: "),
        ("\n\n  nonsense", "line 3: "),
        (encode_line(RECORDS[0]).decode() + "{}\n", "line 2: Object missing required field `category`"),
        (encode_line(RECORDS[0]).decode() * 2 + "7\n", "line 3: Expected `object`, got `int`"),
        ('{"results": 7}', "line 1: Expected `array`, got `int`"),
        ('[{"slug": "x"}]', "line 1: Object missing required field `category`"),
        ("\n" + document(repo_forks="many").decode(), "line 2: Expected `int`, got `str`"),
        ("\n" + document(slug="../x").decode(), "line 2: Expected `str` matching regex"),
        ("[" * 100_000, "line 1: "),
        (document(title="\ud800").decode(), "line 1: "),
    ],
    ids=[
        *("cut off", "no JSON", "no record", "a number", "results", "in a list", "a field", "a slug"),
        *("nested", "half a pair"),
    ],
)
def test_an_error_among_records_names_the_line(text: str, line: str) -> None:
    with pytest.raises(RecordError) as caught:
        list(decode_records(text))
    assert str(caught.value).startswith(line)


def test_the_records_before_an_error_are_read() -> None:
    records = decode_records(encode_line(RECORDS[0]).decode() + "{")
    assert next(records) == RECORDS[0]
    with pytest.raises(RecordError, match=r"^line 2: "):
        next(records)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"slug": "../x"}, "$.slug"),
        ({"slug": "a/b"}, "$.slug"),
        ({"slug": "a\\b"}, "$.slug"),
        ({"slug": "a.b"}, "$.slug"),
        ({"slug": ".."}, "$.slug"),
        ({"slug": ""}, "$.slug"),
        ({"slug": "a" * 300}, "$.slug"),
        ({"slug": "a\x00"}, "$.slug"),
        ({"slug": "a\n"}, "$.slug"),
        ({"slug": "ſ"}, "$.slug"),
        ({"slug": None}, "$.slug"),
        ({"last_updated": "2026-01-15T12:00:00"}, "$.last_updated"),
        ({"last_fetched": "2026-01-15"}, "$.last_fetched"),
        ({"created": "soon"}, "$.created"),
        ({"modified": 7}, "$.modified"),
        ({"id": "7"}, "$.id"),
        ({"grids": None}, "$.grids"),
        ({"grids": [7]}, "$.grids[0]"),
        ({"commits_over_52": [1.5]}, "$.commits_over_52[0]"),
        ({"participants": "ann,bob"}, "$.participants"),
        ({"repo_url": None}, "$.repo_url"),
    ],
    ids=str,
)
def test_a_field_of_another_shape_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode_record(document(**fields))
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"nonsense", b"[]", b"\xff", TEXTS[0].encode()[:-3], b"[" * 100_000, TEXTS[0].encode() * 2],
    ids=["empty", "no JSON", "list", "no UTF-8", "cut off", "nested", "two"],
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(RecordError):
        decode_record(text)


CATALOG_FIELDS = ("category", "grids", "id", "created", "modified")

WITHOUT_BASE_SILENT = {
    "category": None,
    "grids": [],
    "id": None,
    "title": "x-repository",
    "slug": "django-x",
    "last_updated": None,
    "last_fetched": WINTER,
    "repo_url": "https://github.com/ann/x-repository",
    "pypi_version": None,
    "created": None,
    "modified": None,
    "repo_forks": 0,
    "repo_description": "",
    "pypi_url": "",
    "documentation_url": "",
    "repo_watchers": 0,
    "commits_over_52": [0] * 52,
    "participants": None,
}
WITHOUT_BASE = WITHOUT_BASE_SILENT | {
    "title": "Django-X",
    "last_updated": SUMMER,
    "last_fetched": WINTER.replace(microsecond=136634),
    "pypi_version": "1.2",
    "repo_forks": 3,
    "repo_description": "found",
    "pypi_url": "http://pypi.python.org/pypi/django-x",
    "documentation_url": "https://found.example/docs",
    "repo_watchers": 5,
    "commits_over_52": [*[0] * 51, 1],
    "participants": ["ann", "bob"],
}
DECIDED = msgspec.structs.asdict(BASE)
OF_THE_BASE = {name: DECIDED[name] for name in (*CATALOG_FIELDS, "title", "slug", "repo_url", "pypi_url")}
KEPT = {name: DECIDED[name] for name in ("last_updated", "pypi_version", "documentation_url", "participants")}


@pytest.mark.parametrize(
    ("base", "found", "expected"),
    [
        (None, FOUND, WITHOUT_BASE),
        (None, SILENT, WITHOUT_BASE_SILENT),
        (BASE, FOUND, WITHOUT_BASE | OF_THE_BASE),
        (BASE, SILENT, WITHOUT_BASE_SILENT | OF_THE_BASE | KEPT),
    ],
    ids=["all found", "little found", "base, all found", "base, little found"],
)
def test_every_field_is_combined_by_its_rule(
    base: Record | None, found: Findings, expected: dict[str, Any]
) -> None:
    assert list(expected) == FIELDS
    assert msgspec.structs.asdict(combine(base, found, NEW_YORK)) == expected


def with_base(**fields: object) -> Record:
    return msgspec.structs.replace(BASE, **fields)


def with_found(**fields: Any) -> Findings:
    return dataclasses.replace(FOUND, **fields)


@pytest.mark.parametrize(
    ("field", "base", "found", "value"),
    [
        # What the base leaves empty is filled; what only the catalog knows is not invented.
        ("category", with_base(category=None), FOUND, None),
        ("grids", with_base(grids=[]), FOUND, []),
        ("id", with_base(id=None), FOUND, None),
        ("id", with_base(id=0), FOUND, 0),
        ("created", with_base(created=None), FOUND, None),
        ("modified", with_base(modified=None), FOUND, None),
        ("title", with_base(title=""), FOUND, "Django-X"),
        ("title", with_base(title=""), with_found(project_title=None), "x-repository"),
        ("title", None, with_found(project_title=""), "x-repository"),
        ("repo_url", with_base(repo_url=""), FOUND, "https://github.com/ann/x-repository"),
        ("pypi_url", with_base(pypi_url=""), FOUND, "http://pypi.python.org/pypi/django-x"),
        ("pypi_url", with_base(pypi_url=""), with_found(project=None), ""),
        # PyPI's word counts before the base's, the base's before none.
        ("pypi_version", BASE, with_found(version=None), "0.1"),
        ("pypi_version", with_base(pypi_version=None), FOUND, "1.2"),
        ("pypi_version", with_base(pypi_version=None), with_found(version=None), None),
        ("pypi_version", with_base(pypi_version=""), with_found(version=None), ""),
        ("documentation_url", BASE, with_found(documentation_url=None), "https://base.example/docs"),
        ("documentation_url", BASE, with_found(documentation_url=""), "https://base.example/docs"),
        ("documentation_url", with_base(documentation_url=None), with_found(documentation_url=None), None),
        ("documentation_url", with_base(documentation_url=""), with_found(documentation_url=None), ""),
        ("documentation_url", with_base(documentation_url=None), FOUND, "https://found.example/docs"),
        # What the host has said counts, nothing included.
        ("repo_forks", BASE, with_found(forks=0), 0),
        ("repo_watchers", BASE, with_found(stars=0), 0),
        ("repo_description", BASE, with_found(description=""), ""),
        ("commits_over_52", BASE, with_found(commits_over_52=[0] * 52), [0] * 52),
        ("participants", BASE, with_found(participants=[]), []),
        ("participants", BASE, with_found(participants=None), ["of", "the", "base"]),
        ("participants", with_base(participants=None), with_found(participants=None), None),
        ("participants", with_base(participants=None), FOUND, ["ann", "bob"]),
        ("participants", None, with_found(participants=None), None),
        # An empty repository.
        ("last_updated", BASE, with_found(last_commit=None), BASE.last_updated),
        ("last_updated", with_base(last_updated=None), with_found(last_commit=None), None),
        ("last_updated", with_base(last_updated=None), FOUND, SUMMER),
        ("last_updated", BASE, with_found(last_commit=SUMMER.replace(microsecond=999_999)), SUMMER),
        ("last_fetched", with_base(last_fetched=None), FOUND, FOUND.fetched),
    ],
)
def test_a_field_that_one_side_leaves_empty(
    field: str, base: Record | None, found: Findings, value: object
) -> None:
    assert getattr(combine(base, found, NEW_YORK), field) == value


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        (NEW_YORK, "2026-01-15T07:00:00.136634-05:00", "2025-07-15T08:00:00-04:00"),
        (ZoneInfo("Europe/Paris"), "2026-01-15T13:00:00.136634+01:00", "2025-07-15T14:00:00+02:00"),
        (ZoneInfo("Asia/Kolkata"), "2026-01-15T17:30:00.136634+05:30", "2025-07-15T17:30:00+05:30"),
        (ZoneInfo("UTC"), "2026-01-15T12:00:00.136634Z", "2025-07-15T12:00:00Z"),
        (UTC, "2026-01-15T12:00:00.136634Z", "2025-07-15T12:00:00Z"),
    ],
    ids=str,
)
def test_times_are_written_in_the_zone_with_its_offset(zone: tzinfo, winter: str, summer: str) -> None:
    found = with_found(last_commit=SUMMER.replace(microsecond=5).astimezone(timezone(timedelta(hours=9))))
    text = json.loads(encode_api(combine(BASE, found, zone)))
    assert (text["last_fetched"], text["last_updated"]) == (winter, summer)
    swapped = with_found(last_commit=found.fetched, fetched=SUMMER)
    text = json.loads(encode_api(combine(None, swapped, zone)))
    assert (text["last_fetched"], text["last_updated"]) == (summer, winter.replace(".136634", ""))


def test_a_time_of_the_base_that_is_kept_is_the_same_moment_in_the_zone() -> None:
    text = json.loads(encode_api(combine(BASE, SILENT, NEW_YORK)))
    assert text["last_updated"] == "2019-12-31T19:00:00-05:00"


@pytest.mark.parametrize("year", [1, 9999])
def test_a_commit_at_the_end_of_the_calendar_makes_a_record(year: int) -> None:
    moment = datetime(year, 1, 1, tzinfo=UTC) if year == 1 else datetime(year, 12, 31, 23, tzinfo=UTC)
    for zone in (NEW_YORK, ZoneInfo("Asia/Kolkata")):
        assert combine(None, with_found(last_commit=moment), zone).last_updated == moment


def test_combining_leaves_the_base_as_it_was() -> None:
    before = encode_line(BASE)
    combine(BASE, FOUND, NEW_YORK)
    assert encode_line(BASE) == before
