"""What people are told on stderr: which lines, in which form, and when none."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.console import NAMED, Console, LogFormat
from pkgharvest.errors import (
    NotFoundError,
    PkgharvestError,
    RateLimitedError,
    StoppedError,
    TargetError,
    UnavailableError,
)
from pkgharvest.net.clock import SystemClock
from pkgharvest.net.message import Cost
from pkgharvest.net.quota import Gate, Patience, Quota, Rules
from pkgharvest.record import Record
from pkgharvest.results import Failure, Harvested, Lead, Skipped
from services import catalog_record

NOW = datetime(2026, 3, 18, 15, 30, 0, 123456, tzinfo=UTC)
RECORD = msgspec.convert(catalog_record(), Record)
LOGS: list[LogFormat] = ["json", "logfmt"]

Options = dict[str, Any]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def harvested(*warnings: str) -> Harvested:
    lead = Lead("source", "Code")
    return Harvested("django-x", RECORD, 7, lead, None, archived=False, warnings=warnings)


def failure(error: PkgharvestError | None = None, target: str = "no-such", place: str = "") -> Failure:
    return Failure(target, None, error or NotFoundError("it is not there", "Check the name"), place)


FRESH = Skipped("django-y", "django-y", "fresh", "fetched 3 hours ago", RECORD)
TWICE = Skipped("Django.X", None, "duplicate", "the same package as django-x")


def told(say: Callable[[Console], object], stream: io.StringIO | None = None, **options: Any) -> list[str]:
    """Return the lines that a console writes."""
    stream = io.StringIO() if stream is None else stream
    say(Console(stream, now=lambda: NOW, **options))
    text = stream.getvalue()
    assert text == "" or text.endswith("\n")
    return text.splitlines()


def parsed(line: str) -> dict[str, Any]:
    """Return what a line of logfmt says."""
    found = re.findall(r'([a-z_]+)=((?:[^\s"=\\]+)|"(?:[^"\\]|\\.)*")(?: |$)', line)
    assert " ".join(f"{name}={value}" for name, value in found) == line
    return {name: json.loads(value) if value.startswith('"') else value for name, value in found}


def logged(say: Callable[[Console], object], form: LogFormat, **options: Any) -> list[dict[str, str]]:
    lines = told(say, log_format=form, **options)
    read = json.loads if form == "json" else parsed
    return [
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in read(line).items()}
        for line in lines
    ]


@pytest.mark.parametrize(
    ("say", "line"),
    [
        (lambda c: c.result(harvested("it has moved")), "django-x: warning: it has moved"),
        (lambda c: c.result(TWICE), "Django.X: skipped: the same package as django-x"),
        (lambda c: c.result(failure()), "no-such: error: it is not there. Check the name"),
        (
            lambda c: c.result(failure(TargetError("'?' is no name"), "?", "list.txt:3")),
            "list.txt:3: error: '?' is no name",
        ),
        (lambda c: c.error(TargetError("'?' is no name")), "error: '?' is no name"),
        (lambda c: c.error(TargetError("no"), "a"), "a: error: no"),
        (lambda c: c.warning("the store is broken"), "warning: the store is broken"),
        (lambda c: c.note("nothing to do"), "nothing to do"),
        (
            lambda c: c.ended(StoppedError("stopped by SIGINT", 2)),
            "error: stopped by SIGINT. Run again for the rest",
        ),
    ],
)
def test_a_line_for_people(say: Callable[[Console], object], line: str) -> None:
    assert told(say) == [line]


def test_a_record_and_a_fresh_one_are_told_to_those_who_want_to_know_more() -> None:
    def say(console: Console) -> None:
        console.result(harvested())
        console.result(FRESH)

    assert told(say) == []
    assert told(say, verbose=True) == [
        "django-x: https://github.com/ann/django-x (found by: source: Code)",
        "django-y: skipped: fetched 3 hours ago",
    ]


@pytest.mark.parametrize("form", LOGS)
def test_a_line_of_a_log_tells_when_how_grave_what_and_why(form: LogFormat) -> None:
    def say(console: Console) -> None:
        console.result(harvested("it has moved"), "unchanged")
        console.result(FRESH)
        console.result(TWICE)
        console.result(
            failure(UnavailableError('it said "no" = \\never', "Try again later"), place="a b.txt:3")
        )
        console.error(TargetError("no"))
        console.warning("the store is broken")
        console.note("nothing to do")

    when = {"time": "2026-03-18T15:30:00.123Z"}
    found = "https://github.com/ann/django-x (found by: source: Code)"
    assert logged(say, form, verbose=True) == [
        {**when, "level": "warning", "event": "warning", "target": "django-x", "message": "it has moved"},
        {
            **when,
            "level": "debug",
            "event": "harvested",
            "target": "django-x",
            "status": "unchanged",
            "message": found,
        },
        {
            **when,
            "level": "debug",
            "event": "skipped",
            "target": "django-y",
            "reason": "fresh",
            "message": "fetched 3 hours ago",
        },
        {
            **when,
            "level": "info",
            "event": "skipped",
            "target": "Django.X",
            "reason": "duplicate",
            "message": "the same package as django-x",
        },
        {
            **when,
            "level": "error",
            "event": "failed",
            "target": "no-such",
            "place": "a b.txt:3",
            "reason": "unavailable",
            "retryable": "true",
            "message": 'it said "no" = \\never. Try again later',
        },
        {
            **when,
            "level": "error",
            "event": "error",
            "reason": "bad-target",
            "retryable": "false",
            "message": "no",
        },
        {**when, "level": "warning", "event": "warning", "message": "the store is broken"},
        {**when, "level": "info", "event": "note", "message": "nothing to do"},
    ]


def test_values_of_logfmt_are_quoted_where_they_would_end_too_early() -> None:
    assert told(lambda c: c.error(TargetError('a "b"=c\\d'), "é"), log_format="logfmt") == [
        (
            "time=2026-03-18T15:30:00.123Z level=error event=failed target=é reason=bad-target "
            'retryable=false message="a \\"b\\"=c\\\\d"'
        )
    ]
    assert told(lambda c: c.warning(""), log_format="logfmt")[0].endswith(' message=""')


@given(st.text(), st.text(min_size=1))
@pytest.mark.parametrize("form", ["text", "json", "logfmt"])
def test_whatever_others_wrote_stays_one_line_without_control_characters(
    form: LogFormat, message: str, target: str
) -> None:
    def say(console: Console) -> None:
        console.error(TargetError(message), target)

    lines = told(say, log_format=form)
    assert len(lines) == 1
    assert not [c for c in lines[0] if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if form != "text":
        [fields] = logged(say, form)
        assert fields["message"].split() == TargetError(message).message.split()
        assert fields["event"] == ("failed" if target else "error")


@pytest.mark.parametrize(
    "hostile", ["\x1b[31mred", "a\nlevel=error b", "\r\x07\x00", "\u202etxt", "\x9b1m", "\u2028x"]
)
@pytest.mark.parametrize("form", ["text", "json", "logfmt"])
def test_control_characters_never_come_out_raw(form: LogFormat, hostile: str) -> None:
    def say(console: Console) -> None:
        console.result(Skipped(hostile, None, "duplicate", hostile))
        console.result(failure(TargetError(hostile), hostile, hostile))
        console.result(harvested(hostile))
        console.warning(hostile)
        console.note(hostile)

    text = "\n".join(told(say, log_format=form, verbose=True))
    assert len(text.splitlines()) == 6
    assert all(character.isprintable() for character in text.replace("\n", ""))


@pytest.mark.parametrize("form", LOGS)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_log_lines_can_be_parsed_whatever_the_stream_can_write(form: LogFormat, encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", write_through=True)
    Console(stream, log_format=form, now=lambda: NOW).warning("größer 中 \U0001f600")
    line = raw.getvalue().decode(encoding).rstrip("\n")
    fields = json.loads(line) if form == "json" else parsed(line)
    assert fields["message"] == "größer 中 \U0001f600"


def test_long_lines_are_not_broken() -> None:
    long = "a" * 500 + " " + "b" * 500
    assert told(lambda c: c.warning(long)) == [f"warning: {long}"]


def test_markup_of_others_is_no_markup() -> None:
    assert told(lambda c: c.warning("[red]x[/red] :smile:")) == ["warning: [red]x[/red] :smile:"]


def everything(console: Console) -> None:
    console.result(harvested("it has moved"))
    console.result(harvested(), "unchanged")
    console.result(FRESH)
    console.result(TWICE)
    console.warning("the store is broken")


def with_failure(console: Console) -> None:
    everything(console)
    console.result(failure())
    console.summary(1.25, {})


def without_failure(console: Console) -> None:
    everything(console)
    console.summary(1.25, {})


SUMMARY = "1 record, 1 unchanged, 2 skipped in 1.2 s"
FAILED = "no-such: error: it is not there. Check the name"
WARNINGS = [
    "django-x: warning: it has moved",
    "Django.X: skipped: the same package as django-x",
    "warning: the store is broken",
]


@pytest.mark.parametrize(
    ("options", "success", "trouble"),
    [
        ({}, WARNINGS, [*WARNINGS, FAILED, "1 record, 1 unchanged, 1 failed, 2 skipped in 1.2 s"]),
        ({"quiet": True}, [], [FAILED]),
        ({"unattended": True}, [], [FAILED, "1 record, 1 unchanged, 1 failed, 2 skipped in 1.2 s"]),
        ({"unattended": True, "quiet": True}, [], [FAILED]),
    ],
)
def test_how_much_is_told(options: Options, success: list[str], trouble: list[str]) -> None:
    assert told(without_failure, **options) == success
    assert told(with_failure, **options) == trouble


@pytest.mark.parametrize("options", [{"verbose": True}, {"verbose": True, "unattended": True}])
def test_who_wants_more_gets_all_of_it_and_the_summary(options: Options) -> None:
    lines = told(without_failure, **options)
    assert len(lines) == 7
    assert lines[-1] == SUMMARY


@pytest.mark.parametrize("form", ["text", "json", "logfmt"])
def test_who_chose_a_form_wants_to_read_it_though_nobody_attends(form: LogFormat) -> None:
    lines = told(without_failure, unattended=True, log_format=form)
    assert len(lines) == len(WARNINGS) + 1
    assert SUMMARY in lines[-1]
    assert told(without_failure, quiet=True, log_format=form) == []


def test_on_a_terminal_somebody_attends_and_gets_the_summary() -> None:
    lines = told(without_failure, Terminal(), unattended=True)
    assert len(lines) == len(WARNINGS) + 1
    assert SUMMARY in lines[-1]


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    coloured = told(lambda c: c.error(TargetError("no")), Terminal())
    monkeypatch.setenv(variable, "dumb")
    assert "\x1b[" in coloured[0]
    assert told(lambda c: c.error(TargetError("no")), Terminal()) == ["error: no"]


def test_a_note_is_told_unattended_but_not_to_those_who_want_quiet() -> None:
    assert told(lambda c: c.note("nothing to do"), unattended=True) == ["nothing to do"]
    assert told(lambda c: c.note("nothing to do"), quiet=True) == []


@pytest.mark.parametrize("form", LOGS)
def test_the_summary_of_a_log_has_the_counts_as_fields(form: LogFormat) -> None:
    [*_, summary] = logged(with_failure, form)
    assert summary == {
        "time": "2026-03-18T15:30:00.123Z",
        "level": "info",
        "event": "summary",
        "records": "1",
        "unchanged": "1",
        "failed": "1",
        "skipped": "2",
        "not_asked": "0",
        "message": "1 record, 1 unchanged, 1 failed, 2 skipped in 1.2 s",
    }


def test_counts_in_json_are_numbers() -> None:
    assert json.loads(told(without_failure, log_format="json")[-1])["unchanged"] == 1


def gate(service: str, **costs: Cost) -> Gate:
    made = Gate(service, SystemClock(), Patience(0), Rules())
    made.costs |= {name.rstrip("_"): cost for name, cost in costs.items()}
    return made


def test_the_summary_tells_what_was_asked_and_what_is_left() -> None:
    github = gate("GitHub", core=Cost(3, 2), graphql=Cost(1, 7))
    github.quotas["core"] = Quota(5000, 4998, NOW)
    github.quotas["graphql"] = Quota(5000, 4993, NOW + timedelta(minutes=1))
    pypi = gate("PyPI", _=Cost(1, 1))
    assert told(lambda c: c.summary(0.04, {"a": github, "b": pypi}), verbose=True) == [
        (
            "0 records in 0.0 s (GitHub: 3 requests, 2 charged, 4998 of 5000 left until 15:30 UTC; "
            "GitHub GraphQL: 1 request, 7 charged, 4993 of 5000 left until 15:31 UTC; PyPI: 1 request)"
        )
    ]


@pytest.mark.parametrize("options", [{}, {"unattended": True}, {"quiet": True}])
def test_what_ended_the_run_is_told_once_and_the_targets_that_were_not_asked_are_named(
    options: Options,
) -> None:
    ending = RateLimitedError("the host wants fewer requests")

    def say(console: Console) -> None:
        console.result(failure(ending, "a"))
        for number in range(NAMED + 3):
            console.result(failure(ending, f"b{number}"))
        console.summary(2, {})

    named = ", ".join(f"b{number}" for number in range(NAMED))
    lines = [
        "a: error: the host wants fewer requests",
        f"not asked any more: {named} and 3 more",
        f"0 records, 1 failed, {NAMED + 3} not asked in 2.0 s",
    ]
    assert told(say, **options) == (lines[:2] if "quiet" in options else lines)


def test_a_run_that_was_stopped_sums_up_though_nothing_failed() -> None:
    error = StoppedError("stopped by SIGTERM", 15)

    def say(console: Console) -> None:
        console.result(harvested())
        console.ended(error)
        console.result(failure(error, "a"))
        console.summary(2, {})

    assert told(say, unattended=True) == [
        "error: stopped by SIGTERM. Run again for the rest",
        "not asked any more: a",
        "1 record, 1 not asked in 2.0 s",
    ]


def test_a_stream_that_cannot_be_written_is_no_reason_to_stop() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    console = Console(Full(), verbose=True)
    with_failure(console)
    console.note("done")
