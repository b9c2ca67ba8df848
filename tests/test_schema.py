"""What is written, judged by a validator that knows nothing of how it is made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from typer.testing import CliRunner

from pkgharvest.cli import app
from pkgharvest.record import Record, decode_record, encode_api, encode_line
from pkgharvest.report import LastLine, Quota, Requests, RunLine, TargetLine
from pkgharvest.results import Lead
from pkgharvest.schema import Document, encode_schema, schema
from services import catalog_record

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
DOCUMENTS = get_args(Document)
VALIDATORS = {name: Draft202012Validator(schema(name), format_checker=FormatChecker()) for name in DOCUMENTS}

MOMENT = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
A_RECORD = json.loads(GOLDEN[0].read_bytes())
ENVELOPE = {"count": 41, "next": "https://djangopackages.org/api/v4/packages/?offset=20", "previous": None}
TARGET_LINE = json.loads(
    msgspec.json.encode(
        TargetLine(
            target="x",
            slug="x",
            status="ok",
            reason="fresh",
            message="for people",
            retryable=True,
            place="packages.txt:7",
            repository_id=7,
            moved_to="https://github.com/ann/y",
            archived=False,
            found=Lead("source", "Code"),
            warnings=["the repository has moved"],
            window_end=MOMENT,
            requests=3,
            charged=2,
        )
    )
)
QUOTA = Quota(service="GitHub", resource="core", requests=1, charged=1, limit=60, remaining=3, reset=MOMENT)
RUN_LINE = json.loads(
    msgspec.json.encode(
        RunLine(
            version="1.0",
            started=MOMENT,
            seconds=0.5,
            exit_code=3,
            ok=1,
            unchanged=2,
            skipped=3,
            failed=4,
            requests=1,
            charged=1,
            for_lists=Requests(requests=0, charged=0),
            quotas=[QUOTA],
        )
    )
)
A_QUOTA = RUN_LINE["quotas"][0]
A_LEAD = TARGET_LINE["found"]


def is_valid(document: Document, value: object) -> bool:
    return VALIDATORS[document].is_valid(value)


def wrong(document: Document, value: object) -> list[str]:
    """Return what is wrong with a value, each with its place."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[document].iter_errors(value)]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--catalog", "--replay", "demo"])
    assert result.exit_code == code, result.stderr
    return result.stdout


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from within(part)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_schema_is_one_of_its_dialect(document: Document) -> None:
    Draft202012Validator.check_schema(schema(document))
    assert schema(document)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_schema_refers_to_itself_alone(document: Document) -> None:
    whole = schema(document)
    used = {part["$ref"] for part in within(whole) if "$ref" in part}
    assert used == {f"#/$defs/{name}" for name in whole.get("$defs", {})}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_all_is_described_and_every_field_required(document: Document) -> None:
    whole = schema(document)
    objects = [part for part in within(whole) if part.get("type") == "object"]
    fields = [field for part in objects for field in part["properties"].values()]
    assert [part for part in [whole, *objects] if not (part["title"] and part["description"])] == []
    assert [field for field in fields if not field["description"]] == []
    assert [part["required"] for part in objects] == [list(part["properties"]) for part in objects]


def test_the_fields_of_a_record_are_in_the_order_of_the_api() -> None:
    assert list(schema("record")["properties"]) == list(A_RECORD)


@pytest.mark.parametrize(
    ("arguments", "document"),
    [([], "record"), (["record"], "record"), (["list"], "list"), (["report"], "report")],
)
def test_the_command_prints_the_schema_as_records_are_printed(
    arguments: list[str], document: Document
) -> None:
    result = CliRunner().invoke(app, ["schema", *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == json.dumps(schema(document), indent=4) + "\n"
    assert result.stdout_bytes == encode_schema(document)


def test_there_is_no_other_schema() -> None:
    result = CliRunner().invoke(app, ["schema", "targets"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'targets' is not one of 'record', 'list', 'report'" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no full device")
@pytest.mark.parametrize(
    ("redirection", "told"),
    [
        (">/dev/full", "error: the standard output cannot be written: No space left on device\n"),
        (">&-", "error: the standard output is closed\n"),
    ],
    ids=["full", "closed"],
)
def test_a_schema_that_cannot_be_written_is_exit_7(redirection: str, told: str) -> None:
    command = f"{sys.executable} -m pkgharvest schema {redirection}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, told)


def test_a_closed_pipe_ends_quietly() -> None:
    command = [sys.executable, "-m", "pkgharvest", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_golden_records_are_valid(path: Path) -> None:
    assert wrong("record", json.loads(path.read_bytes())) == []


def test_the_records_of_the_demo_are_valid() -> None:
    targets = [path.stem for path in GOLDEN]
    records = [json.loads(line) for line in run("fetch", *targets, "--format", "jsonl").splitlines()]
    assert [record["slug"] for record in records] == targets
    assert [wrong("record", record) for record in records] == [[], [], []]


def test_a_record_without_what_only_the_catalog_knows_is_valid() -> None:
    result = CliRunner().invoke(app, ["fetch", "django-pghistory", "--replay", "demo"])
    record = json.loads(result.stdout)
    assert (record["id"], wrong("record", record)) == (None, [])


def test_a_record_of_the_catalog_that_never_fetched_it_is_valid() -> None:
    assert wrong("record", catalog_record()) == []


def test_the_api_may_give_records_further_fields() -> None:
    assert wrong("record", A_RECORD | {"usage_count": 5}) == []


def test_envelopes_are_valid() -> None:
    written = json.loads(run("fetch", *(path.stem for path in GOLDEN), "--format", "list"))
    assert (written["count"], wrong("list", written)) == (3, [])
    assert wrong("list", ENVELOPE | {"results": [A_RECORD, catalog_record()]}) == []
    assert wrong("list", {"count": 0, "next": None, "previous": None, "results": []}) == []


@pytest.mark.parametrize("field", ["count", "next", "previous", "results"])
def test_an_envelope_without_a_field_or_with_another_type_is_not_valid(field: str) -> None:
    envelope = ENVELOPE | {"results": [A_RECORD]}
    assert is_valid("list", envelope)
    assert not is_valid("list", without(envelope, field))
    assert not is_valid("list", envelope | {field: {}})


def test_an_envelope_with_a_broken_record_is_not_valid() -> None:
    broken = ENVELOPE | {"results": [A_RECORD, without(A_RECORD, "slug")]}
    assert wrong("list", broken) == ["$.results[1]: 'slug' is a required property"]


def test_lines_of_every_kind_of_a_report_are_valid(tmp_path: Path) -> None:
    report, folder = tmp_path / "report.jsonl", f"{tmp_path}/snapshots/"
    rest = ("-o", folder, "--report", str(report), "--only-changed")
    run("fetch", "django-ltree", *rest)
    lines = report.read_text().splitlines()
    run("fetch", "django-ltree", "django-pghistory", "django-pghistory", "no-such", *rest, code=3)
    lines += report.read_text().splitlines()
    earlier = A_RECORD | {"last_fetched": "2026-02-15T12:00:00-05:00"}
    (tmp_path / "base.json").write_text(json.dumps(earlier))
    run(
        "fetch", "django-ltree", "--base", f"{tmp_path}/base.json", "--max-age", "1d", "--report", str(report)
    )
    lines += report.read_text().splitlines()
    values: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [value.get("status", "run") for value in values] == [
        *("ok", "run"),
        *("unchanged", "ok", "skipped", "failed", "run"),
        *("skipped", "run"),
    ]
    assert {value["reason"] for value in values if "reason" in value} == {
        *(None, "duplicate", "fresh", "not-recorded")
    }
    assert values[1]["run"]["quotas"] != []
    assert [wrong("report", value) for value in values] == [[]] * len(values)


def test_a_line_in_which_nothing_is_null_is_valid() -> None:
    assert None not in [*TARGET_LINE.values(), *A_QUOTA.values()]
    assert wrong("report", TARGET_LINE) == []
    assert wrong("report", {"run": RUN_LINE}) == []


def test_what_is_no_line_of_a_report_is_not_valid() -> None:
    values: list[object] = [{}, A_RECORD, RUN_LINE, [TARGET_LINE], None]
    assert [value for value in values if is_valid("report", value)] == []


def without(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name != field}


def placed(kind: type, value: Mapping[str, Any]) -> tuple[Document, object]:
    """Return a document in which the value is the one of its kind, all else being right."""
    if kind is Record:
        return "record", value
    if kind is Lead:
        return "report", TARGET_LINE | {"found": value}
    if kind is RunLine:
        return "report", {"run": value}
    if kind is Quota:
        return "report", {"run": RUN_LINE | {"quotas": [value]}}
    return "report", value


KINDS: list[tuple[type, dict[str, Any]]] = [
    (Record, A_RECORD),
    (TargetLine, TARGET_LINE),
    (Lead, A_LEAD),
    (LastLine, {"run": RUN_LINE}),
    (RunLine, RUN_LINE),
    (Quota, A_QUOTA),
]
FIELDS = [(kind, value, field) for kind, value in KINDS for field in value]
each_field = pytest.mark.parametrize(
    ("kind", "value", "field"), FIELDS, ids=[f"{kind.__name__}.{field}" for kind, _, field in FIELDS]
)

SAMPLES: list[object] = [
    *(None, True, 7, 1.5, "", "text", "a/b", "a" * 201, {}, {"a": "b"}),
    *([], [None], [7], [1.5], ["text"], [{}], [[]]),
    *("2026-01-15T12:00:00Z", "2026-01-15T12:00:00.136634-05:00"),
    *("2026-01-15T12:00:00", "2026-01-15", "2026-02-30T12:00:00Z"),
]


def decodes(kind: type, value: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


@each_field
def test_a_field_must_be_there(kind: type, value: dict[str, Any], field: str) -> None:
    assert is_valid(*placed(kind, value))
    assert not is_valid(*placed(kind, without(value, field)))


@each_field
def test_a_value_is_valid_in_a_field_if_it_can_be_read_there(
    kind: type, value: dict[str, Any], field: str
) -> None:
    changed = [value | {field: sample} for sample in [value[field], *SAMPLES]]
    verdicts = [is_valid(*placed(kind, one)) for one in changed]
    assert verdicts == [decodes(kind, one) for one in changed]
    assert set(verdicts) == {True, False}


def test_what_is_counted_is_not_negative() -> None:
    refused = [
        f"{kind.__name__}.{field}"
        for kind, value, field in FIELDS
        if decodes(kind, value | {field: -1}) and not is_valid(*placed(kind, value | {field: -1}))
    ]
    assert refused == [
        *("Record.repo_forks", "Record.repo_watchers", "TargetLine.requests", "TargetLine.charged"),
        *("RunLine.seconds", "RunLine.exit_code", "RunLine.ok", "RunLine.unchanged", "RunLine.skipped"),
        *("RunLine.failed", "RunLine.requests", "RunLine.charged", "Quota.requests", "Quota.charged"),
        *("Quota.limit", "Quota.remaining"),
    ]


@pytest.mark.parametrize(
    ("weeks", "valid"),
    [([], True), ([3], True), ([0] * 52, True), ([0] * 53, False), ([*[0] * 51, -1], False)],
    ids=["none", "one", "all", "too many", "negative"],
)
def test_there_are_at_most_52_weeks(weeks: list[int], valid: bool) -> None:
    assert is_valid("record", A_RECORD | {"commits_over_52": weeks}) == valid


# Offsets are written in whole minutes, as RFC 3339 has them.
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.none() | st.datetimes(timezones=ZONES)
TEXTS = st.text()
COUNTS = st.integers(0, 2**63 - 1)
RECORDS = st.builds(
    Record,
    category=st.none() | TEXTS,
    grids=st.lists(TEXTS),
    id=st.none() | st.integers(-(2**63), 2**63 - 1),
    title=TEXTS,
    slug=st.from_regex(r"[A-Za-z0-9_-]{1,200}", fullmatch=True),
    last_updated=MOMENTS,
    last_fetched=MOMENTS,
    repo_url=TEXTS,
    pypi_version=st.none() | TEXTS,
    created=MOMENTS,
    modified=MOMENTS,
    repo_forks=COUNTS,
    repo_description=TEXTS,
    pypi_url=TEXTS,
    documentation_url=st.none() | TEXTS,
    repo_watchers=COUNTS,
    commits_over_52=st.lists(COUNTS, max_size=52),
    participants=st.none() | st.lists(TEXTS),
)


@settings(deadline=None)
@given(RECORDS)
def test_whatever_record_is_written_is_valid_and_can_be_read(record: Record) -> None:
    for text in (encode_api(record), encode_line(record)):
        assert wrong("record", json.loads(text)) == []
        assert decode_record(text) == record
