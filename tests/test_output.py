from __future__ import annotations

import errno
import gc
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.errors import OutputError
from pkgharvest.output import Documents, Format, escaped, in_file, on_stream
from pkgharvest.record import Record, decode_records

FORMS: tuple[Format, ...] = get_args(Format)


def fields(slug: str = "one", **changes: Any) -> dict[str, Any]:
    """Return a record's fields as the API shows them."""
    return {
        "category": None,
        "grids": [],
        "id": 7,
        "title": "Größe ☃",
        "slug": slug,
        "last_updated": "2026-02-14T09:30:00-05:00",
        "last_fetched": "2026-02-15T12:00:00.000123-05:00",
        "repo_url": "https://github.com/owner/one",
        "pypi_version": "1.0",
        "created": None,
        "modified": None,
        "repo_forks": 0,
        "repo_description": 'two\nlines, a "quote" and a \\',
        "pypi_url": "http://pypi.python.org/pypi/one",
        "documentation_url": "",
        "repo_watchers": 1,
        "commits_over_52": [0, 3],
        "participants": ["somebody", "some[bot]"],
        **changes,
    }


def record(slug: str = "one", **changes: Any) -> Record:
    return msgspec.convert(fields(slug, **changes), Record)


def indented(value: Any) -> bytes:
    return json.dumps(value, indent=4, ensure_ascii=False).encode() + b"\n"


def expected(form: Format, slugs: list[str]) -> bytes:
    """Return what the standard library's JSON makes of the same."""
    every = [fields(slug) for slug in slugs]
    match form:
        case "json":
            return b"".join(indented(one) for one in every)
        case "jsonl":
            compact = (json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in every)
            return b"".join(line.encode() + b"\n" for line in compact)
        case "list":
            return indented({"count": len(every), "next": None, "previous": None, "results": every})


class FailingStream(io.BytesIO):
    """A stream on which writing or flushing fails."""

    def __init__(self, error: OSError, *, at_flush: bool) -> None:
        super().__init__()
        self.error = error
        self.at_flush = at_flush

    def write(self, data: Any) -> int:
        if self.at_flush:
            return super().write(data)
        raise self.error

    def flush(self) -> None:
        if not self.closed:
            raise self.error


class CountingStream(io.BytesIO):
    """A stream that keeps what it held at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[bytes] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def written(form: Format, stream: BinaryIO, *records: Record) -> None:
    with on_stream(form, stream) as documents:
        for one in records:
            documents.add(one)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_record_in_the_form_of_the_api_is_these_bytes() -> None:
    stream = io.BytesIO()
    written("json", stream, record())
    assert (
        stream.getvalue()
        == b"""{
    "category": null,
    "grids": [],
    "id": 7,
    "title": "Gr\xc3\xb6\xc3\x9fe \xe2\x98\x83",
    "slug": "one",
    "last_updated": "2026-02-14T09:30:00-05:00",
    "last_fetched": "2026-02-15T12:00:00.000123-05:00",
    "repo_url": "https://github.com/owner/one",
    "pypi_version": "1.0",
    "created": null,
    "modified": null,
    "repo_forks": 0,
    "repo_description": "two\\nlines, a \\"quote\\" and a \\\\",
    "pypi_url": "http://pypi.python.org/pypi/one",
    "documentation_url": "",
    "repo_watchers": 1,
    "commits_over_52": [
        0,
        3
    ],
    "participants": [
        "somebody",
        "some[bot]"
    ]
}
"""
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("slugs", [[], ["one"], ["one", "two"], ["one", "two", "three"]], ids=len)
def test_records_are_written_as_the_standard_library_would(form: Format, slugs: list[str]) -> None:
    stream = io.BytesIO()
    written(form, stream, *map(record, slugs))
    assert stream.getvalue() == expected(form, slugs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("slugs", [["one"], ["one", "two"]], ids=len)
def test_a_file_holds_the_same_as_a_stream(tmp_path: Path, form: Format, slugs: list[str]) -> None:
    with in_file(form, tmp_path / "file") as documents:
        for slug in slugs:
            documents.add(record(slug))
    assert contents(tmp_path) == {"file": expected(form, slugs)}


@pytest.mark.parametrize("form", FORMS)
@given(
    description=st.text(st.characters(exclude_categories=["Cs"])),
    logins=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
)
def test_any_text_comes_back(form: Format, description: str, logins: list[str]) -> None:
    records = [record(slug, repo_description=description, participants=logins) for slug in ("one", "two")]
    stream = io.BytesIO()
    written(form, stream, *records)
    text = stream.getvalue().decode()
    assert list(decode_records(text)) == records
    if form == "jsonl":
        assert text.count("\n") == 2


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_each_record_is_flushed_when_it_comes(form: Format) -> None:
    stream = CountingStream()
    with on_stream(form, stream) as documents:
        documents.add(record("one"))
        assert stream.flushed == [expected(form, ["one"])]
        documents.add(record("two"))
        assert stream.flushed[1:] == [expected(form, ["one", "two"])]


def test_an_envelope_is_written_at_the_end() -> None:
    stream = CountingStream()
    with on_stream("list", stream) as documents:
        documents.add(record())
        assert stream.getvalue() == b""
    assert stream.flushed[-1] == expected("list", ["one"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at_flush", [False, True], ids=["at write", "at flush"])
def test_a_closed_pipe_is_no_error_of_output(form: Format, at_flush: bool) -> None:
    error = BrokenPipeError(errno.EPIPE, "Broken pipe")
    with pytest.raises(BrokenPipeError) as caught:
        written(form, FailingStream(error, at_flush=at_flush), record())
    assert caught.value is error


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at_flush", [False, True], ids=["at write", "at flush"])
def test_a_full_device_is_told(form: Format, at_flush: bool) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    message = r"^the standard output cannot be written: No space left on device"
    with pytest.raises(OutputError, match=message):
        written(form, FailingStream(error, at_flush=at_flush), record())


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no device that is always full")
@pytest.mark.parametrize("form", FORMS)
def test_a_file_on_a_full_device_is_told(form: Format) -> None:
    with (
        pytest.raises(OutputError, match="No space left on device"),
        in_file(form, Path("/dev/full")) as documents,
    ):
        documents.add(record())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("old", [{"file": b"old"}, {}], ids=["an old file", "no file"])
def test_without_a_record_a_file_stays_as_it_was(tmp_path: Path, form: Format, old: dict[str, bytes]) -> None:
    for name, text in old.items():
        (tmp_path / name).write_bytes(text)
    with in_file(form, tmp_path / "file"):
        pass
    assert contents(tmp_path) == old


def break_off(target: AbstractContextManager[Documents], *records: Record) -> None:
    with target as documents:
        for one in records:
            documents.add(one)
        raise KeyboardInterrupt


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_breaks_off_leaves_the_old_file(tmp_path: Path, form: Format) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        break_off(in_file(form, tmp_path / "file"), record())
    assert contents(tmp_path) == {"file": b"old"}


def test_a_run_that_breaks_off_leaves_on_a_stream_what_was_written() -> None:
    stream = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        break_off(on_stream("json", stream), record())
    assert stream.getvalue() == expected("json", ["one"])


LARGE = {"repo_description": "x" * 300_000}


@contextmanager
def temporary_files_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield


@pytest.mark.parametrize("count", [4, 9])
def test_a_long_list_waits_on_the_disk_and_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    records = [record(f"package-{number}", **LARGE) for number in range(count)]
    stream = io.BytesIO()
    with temporary_files_in(tmp_path, monkeypatch):
        written("list", stream, *records)
    listed = json.loads(stream.getvalue())
    assert (listed["count"], len(listed["results"])) == (count, count)
    assert list(decode_records(stream.getvalue().decode())) == records
    assert list(tmp_path.iterdir()) == []


def test_a_long_list_that_finds_no_place_to_wait_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_files_in(tmp_path / "missing", monkeypatch), pytest.raises(OutputError):
        written("list", io.BytesIO(), *[record(**LARGE)] * 5)


@pytest.mark.parametrize("size", [1, 300_000], ids=["in memory", "on the disk"])
def test_a_list_that_breaks_off_closes_its_temporary_file(size: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        break_off(on_stream("list", io.BytesIO()), *[record(repo_description="x" * size)] * 5)
    gc.collect()  # an open file would be told of now, as an error


STEERING = "\x7f\x80\x9b31m\u202e\u2066\u2028\ufeff\U000e0041"


class Terminal(io.BytesIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("form", FORMS)
def test_what_could_steer_a_terminal_is_escaped_on_one_and_means_the_same(form: Format) -> None:
    hostile = record("one", repo_description=f"Größe ☃{STEERING}", participants=[STEERING])
    terminal, pipe = Terminal(), io.BytesIO()
    written(form, terminal, hostile, record("two"))
    written(form, pipe, hostile, record("two"))
    shown, plain = terminal.getvalue().decode(), pipe.getvalue().decode()
    assert list(decode_records(shown)) == list(decode_records(plain)) == [hostile, record("two")]
    assert "Größe ☃\\u007f\\u0080\\u009b31m\\u202e\\u2066\\u2028\\ufeff\\udb40\\udc41" in shown
    assert shown.replace("\n", "").isprintable()
    assert STEERING in plain


def test_a_file_that_is_a_terminal_is_written_as_one() -> None:
    reader, terminal = os.openpty()
    try:
        with in_file("jsonl", Path(os.ttyname(terminal))) as documents:
            documents.add(record(repo_description=STEERING))
        shown = os.read(reader, 10_000).decode()
    finally:
        os.close(reader)
        os.close(terminal)
    assert json.loads(shown)["repo_description"] == STEERING
    assert shown.replace("\r\n", "").isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_document_that_is_escaped_says_the_same(text: str) -> None:
    document = msgspec.json.encode({text: [text, 1]})
    shown = escaped(document)
    assert json.loads(shown) == {text: [text, 1]}
    assert shown.decode().isprintable()
    assert shown == document or not text.isprintable()
