"""Lists of targets: what a line says, where a bad one is, and how far is read ahead."""

from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pkgharvest.errors import SettingError
from pkgharvest.lists import check, targets_in
from pkgharvest.results import Failure
from pkgharvest.targets import (
    DEFAULT_HOSTS,
    CatalogTarget,
    Hosts,
    Named,
    PackageTarget,
    RepositoryTarget,
    package_of,
)

pytestmark = pytest.mark.anyio


def names(found: list[Named | Failure]) -> list[str]:
    return [item.target if isinstance(item, Failure) else item.text for item in found]


def places(found: list[Named | Failure]) -> list[str]:
    return [item.place if isinstance(item, Failure) else item.text for item in found]


def read(
    *lists: str, stdin: BinaryIO | None = None, hosts: Hosts = DEFAULT_HOSTS, failed: bool = False
) -> AsyncGenerator[Named | Failure]:
    return targets_in(lists, stdin, hosts, failed=failed)


async def all_of(*lists: str, **options: Any) -> list[Named | Failure]:
    return [target async for target in read(*lists, **options)]


def written(folder: Path, data: bytes, name: str = "list.txt") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def opened(folder: Path, data: bytes) -> BinaryIO:
    return Path(written(folder, data)).open("rb")


def piped(data: bytes) -> BinaryIO:
    """Return the end of a pipe into which all is written already."""
    source, sink = os.pipe()
    with os.fdopen(sink, "wb") as stream:
        stream.write(data)
    return os.fdopen(source, "rb")


TEXTS = [
    (b"django\nrequests\n", ["django", "requests"]),
    (b"django\nrequests", ["django", "requests"]),
    (b"django\r\nrequests\r\n", ["django", "requests"]),
    (b"\xef\xbb\xbfdjango\nrequests\n", ["django", "requests"]),
    (b"\xef\xbb\xbf# a comment\ndjango\n", ["django"]),
    (b"\n\n  \n\t\ndjango\n\n", ["django"]),
    (b"# a comment\n  # another\ndjango # why\nflask\t # why\n#\n", ["django", "flask"]),
    (b"  django  \n\trequests\t\n", ["django", "requests"]),
    (b"https://github.com/ann/x#readme # home\n", ["https://github.com/ann/x"]),
    (b"django\ndjango\n", ["django", "django"]),
    (b"", []),
    (b"\n", []),
    (b"\xef\xbb\xbf", []),
]


@pytest.mark.parametrize(("data", "expected"), TEXTS)
async def test_a_line_is_a_target_without_comments_and_blanks(
    data: bytes, expected: list[str], tmp_path: Path
) -> None:
    found = await all_of(written(tmp_path, data))
    assert names(found) == expected
    assert not any(isinstance(item, Failure) for item in found)


@pytest.mark.parametrize("stream", ["bytes", "file", "pipe"])
@pytest.mark.parametrize(("data", "expected"), TEXTS)
async def test_the_standard_input_is_read_as_a_file_is_whatever_it_is(
    stream: str, data: bytes, expected: list[str], tmp_path: Path
) -> None:
    stdin: BinaryIO
    if stream == "bytes":
        stdin = io.BytesIO(data)
    elif stream == "file":
        stdin = opened(tmp_path, data)
    else:
        stdin = piped(data)
    assert names(await all_of("-", stdin=stdin)) == expected


async def test_an_empty_device_is_an_empty_list() -> None:
    stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb")
    async with asyncio.timeout(5):
        assert await all_of("-", stdin=stdin) == []


async def test_targets_are_of_all_kinds_and_told_by_the_hosts() -> None:
    data = (
        b"django\nhttps://github.com/ann/x\nhttps://git.example/bob/y\n"
        b"https://djangopackages.org/api/v4/packages/7/\nhttps://pypi.example/project/Flask/\n"
    )
    hosts = Hosts(code=DEFAULT_HOSTS.code | {"git.example"})
    found = await all_of("-", stdin=io.BytesIO(data), hosts=hosts)
    kinds = [PackageTarget, RepositoryTarget, RepositoryTarget, CatalogTarget, PackageTarget]
    assert [type(target) for target in found] == kinds
    (failure,) = await all_of("-", stdin=io.BytesIO(b"https://git.example/bob/y"))
    assert isinstance(failure, Failure)


@pytest.mark.parametrize("stream", [io.BytesIO, piped])
async def test_a_bad_line_is_a_failure_that_tells_where_and_the_next_is_read(stream: Any) -> None:
    data = b"# head\n\ndjango\nno name!\nflask\n\xff\xfe\nhttps://gitlab.com/a/b\nrequests"
    found = await all_of("-", stdin=stream(data))
    assert places(found) == ["django", "-:4", "flask", "-:6", "-:7", "requests"]
    failures = [item for item in found if isinstance(item, Failure)]
    assert [(item.reason, item.retryable, item.slug) for item in failures] == [
        ("bad-target", False, None)
    ] * 3
    assert [item.target for item in failures] == ["no name!", "\ufffd\ufffd", "https://gitlab.com/a/b"]
    assert "no name!" in failures[0].error.message


async def test_each_list_has_its_own_lines_and_they_come_in_order(tmp_path: Path) -> None:
    one = written(tmp_path, b"django\n!\n", "one.txt")
    two = written(tmp_path, b"!\nflask\n", "two.txt")
    found = await all_of(two, "-", one, stdin=io.BytesIO(b"\n!\nrequests\n"))
    assert places(found) == [f"{two}:1", "flask", "-:2", "requests", "django", f"{one}:2"]


async def test_the_failure_of_a_line_shows_no_password() -> None:
    (failure,) = await all_of("-", stdin=io.BytesIO(b"https://ann:hunter2@gitlab.com/a/b"))
    assert isinstance(failure, Failure)
    assert (failure.target, failure.place) == ("https://...@gitlab.com/a/b", "-:1")
    assert "hunter2" not in repr(failure) + str(failure.error)


async def test_a_long_line_is_as_bad_as_any() -> None:
    found = await all_of("-", stdin=io.BytesIO(b"x" * 200_000 + b"\ndjango\n"))
    assert places(found) == ["-:1", "django"]


async def test_a_long_line_of_a_pipe_is_as_bad_as_any() -> None:
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    data = b"x" * 200_000 + b"\ndjango\n"
    async with aclosing(read("-", stdin=os.fdopen(source, "rb"))) as targets:
        first = asyncio.ensure_future(anext(targets))
        while data:
            try:
                data = data[os.write(sink, data) :]
            except BlockingIOError:
                await asyncio.sleep(0)
        os.close(sink)
        async with asyncio.timeout(5):
            assert places([await first, await anext(targets)]) == ["-:1", "django"]


async def test_a_line_without_end_is_not_kept_in_memory() -> None:
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    async with aclosing(read("-", stdin=os.fdopen(source, "rb"))) as targets:
        first = asyncio.ensure_future(anext(targets))
        for _ in range(10_000):
            try:
                os.write(sink, b"x" * 65_536)
            except BlockingIOError:
                await asyncio.sleep(0)
            except BrokenPipeError:
                break
            if first.done():
                break
        with pytest.raises(SettingError, match="the standard input"):
            await first
    os.close(sink)


@pytest.mark.parametrize("lists", [["missing.txt"], ["."], ["list.txt", "missing.txt"], ["list.txt/x"]])
async def test_a_list_that_cannot_be_read_is_told_before_anything_is_asked(
    lists: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, b"django\n")
    with pytest.raises(SettingError, match=f"the list {lists[-1]} cannot be read: "):
        check(lists, io.BytesIO())
    with pytest.raises(SettingError, match="cannot be read"):
        await all_of(*lists)


async def test_a_closed_standard_input_is_told_before_anything_is_asked() -> None:
    with pytest.raises(SettingError, match="the standard input is closed"):
        check(["-"], None)
    with pytest.raises(SettingError, match="the standard input is closed"):
        await all_of("-", stdin=None)


def test_the_standard_input_can_be_read_once() -> None:
    with pytest.raises(SettingError, match="the standard input"):
        check(["-", "-"], io.BytesIO())


async def test_lists_that_can_be_read_are_not_read_by_the_check(tmp_path: Path) -> None:
    path, stdin = written(tmp_path, b"django\n"), io.BytesIO(b"flask\n")
    check([path, "-"], stdin)
    check([path], None)
    check([], None)
    assert names(await all_of(path, "-", stdin=stdin)) == ["django", "flask"]


class Endless(io.RawIOBase):
    """A stream that has another line whenever it is asked, and counts the bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        lines = b"django\n" * (len(buffer) // 7)
        buffer[: len(lines)] = lines
        self.given += len(lines)
        return len(lines)


async def test_a_stream_is_not_read_ahead() -> None:
    raw = Endless()
    async with aclosing(read("-", stdin=io.BufferedReader(raw))) as targets:
        for _ in range(10):
            await anext(targets)
        assert raw.given < 7 * 100_000


async def test_a_long_file_is_not_read_ahead(tmp_path: Path) -> None:
    stdin = opened(tmp_path, b"django\n" * 100_000)
    async with aclosing(read("-", stdin=stdin)) as targets:
        for _ in range(10):
            await anext(targets)
        assert os.lseek(stdin.fileno(), 0, os.SEEK_CUR) < 7 * 20_000
    for _ in range(10):
        await asyncio.sleep(0)
    assert stdin.closed


async def test_a_later_list_is_opened_when_its_turn_comes(tmp_path: Path) -> None:
    first = written(tmp_path, b"django\n")
    async with aclosing(read(first, str(tmp_path / "later.txt"))) as targets:
        await anext(targets)
        written(tmp_path, b"flask\n", "later.txt")
        assert names([await anext(targets)]) == ["flask"]


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give both ends of a pipe: where it is read, and where it is written at once."""
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as reading, os.fdopen(sink, "wb", buffering=0) as writing:
        yield reading, writing


async def test_others_go_on_while_a_pipe_is_silent(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    async with aclosing(read("-", stdin=reading)) as targets:
        writing.write(b"django\nfl")
        assert names([await anext(targets)]) == ["django"]
        following = asyncio.ensure_future(anext(targets))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not following.done()
        writing.write(b"ask\n")
        assert names([await following]) == ["flask"]
        writing.close()
        with pytest.raises(StopAsyncIteration):
            await anext(targets)


async def test_a_pipe_that_nobody_reads_any_more_is_closed(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    writing.write(b"django\nflask\n")
    targets = read("-", stdin=reading)
    await anext(targets)
    await targets.aclose()
    for _ in range(10):
        await asyncio.sleep(0)
    assert reading.closed


async def test_a_full_pipe_is_not_read_to_its_end(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    os.set_blocking(writing.fileno(), False)
    line = b"django\n" * 1000
    async with aclosing(read("-", stdin=reading)) as targets:
        written_bytes = 0
        written_bytes += os_write(writing, line)
        assert names([await anext(targets)]) == ["django"]
        for _ in range(2000):
            written_bytes += os_write(writing, line)
            await asyncio.sleep(0)
        # 2 MiB of buffer at most, one pipe, and what was just read.
        assert written_bytes < 4 * 2**20


def os_write(stream: BinaryIO, data: bytes) -> int:
    """Write what there is room for."""
    try:
        return os.write(stream.fileno(), data)
    except BlockingIOError:
        return 0


REPORT = b'{"target": "x", "status": "ok"}\n{"target": "y", "status": "failed"}\n{"run": {}}\n'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("text", ["# größer\r\ndjango\r\nflask", '\n{"slug": "django"}\n{"slug": "flask"}\n'])
@pytest.mark.parametrize("stream", [io.BytesIO, piped])
async def test_a_list_may_begin_with_a_byte_order_mark(encoding: str, text: str, stream: Any) -> None:
    mark = "" if encoding in ("utf-16", "utf-8-sig") else "\ufeff"
    found = await all_of("-", stdin=stream((mark + text).encode(encoding)))
    assert found == [package_of("django"), package_of("flask")]


class Trickle(io.BytesIO):
    """A stream that gives a byte at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, -1 if size is None else size))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
async def test_characters_and_marks_that_come_in_pieces_are_put_together(encoding: str) -> None:
    found = await all_of("-", stdin=Trickle("django\r\ngrößer\nflask".encode(encoding)))
    assert names(found) == ["django", "größer", "flask"]
    assert places(found) == ["django", "-:2", "flask"]


@pytest.mark.parametrize("data", [b"\xff", b"\xfe", b"\xef\xbb", b"\xff\xfe", b"\xfe\xffx"])
@pytest.mark.parametrize("stream", [io.BytesIO, Trickle, piped])
async def test_half_a_mark_or_character_does_no_harm(data: bytes, stream: Any) -> None:
    assert all(isinstance(item, Failure) for item in await all_of("-", stdin=stream(data)))


async def test_a_requirements_file_is_a_list(tmp_path: Path) -> None:
    data = (
        b"-i https://x\nDjango>=4 \\\n  --hash=sha256:abc\n./x\ny @ git+https://github.com/ann/y@v1 \n-e .\n"
    )
    found = await all_of(path := written(tmp_path, data, "requirements.txt"))
    assert places(found) == ["Django", f"{path}:4", "git+https://github.com/ann/y@v1"]
    assert [type(item) for item in found] == [PackageTarget, Failure, RepositoryTarget]


async def test_includes_are_read_in_place_relative_to_the_list_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    top = written(tmp_path, b"a\n-r sub/one.txt\nz\n", "top.txt")
    written(tmp_path / "sub", b"b\n-rtwo.txt\n--requirement ../three.txt\n!\n", "one.txt")
    written(tmp_path / "sub", b"c", "two.txt")
    written(tmp_path, b"\n!\n", "three.txt")
    found = await all_of(top)
    folder = tmp_path / "sub"
    assert places(found) == ["a", "b", "c", f"{folder}/../three.txt:2", f"{folder}/one.txt:4", "z"]


async def test_includes_of_the_standard_input_are_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, b"b\n!\n", "-")
    written(tmp_path, b"c\n!\n", "one.txt")
    found = await all_of("-", stdin=io.BytesIO(b"a\n-r -\n-r one.txt\n"))
    assert places(found) == ["a", "b", "-:2", "c", "one.txt:2"]


async def test_a_file_is_read_once_however_it_is_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, b"a\n-r top.txt\n-r ./top.txt\n-r one.txt\n-r one.txt\n-r link.txt\n", "top.txt")
    written(tmp_path, b"b\n-r top.txt\n-r one.txt\n-r two.txt", "one.txt")
    written(tmp_path, b"-r one.txt\nc\n", "two.txt")
    (tmp_path / "link.txt").symlink_to("top.txt")
    assert places(await all_of("top.txt")) == ["a", "b", "c"]
    assert places(await all_of("-", stdin=opened(tmp_path, b"-r list.txt\n-r top.txt\n"))) == ["a", "b", "c"]
    assert places(await all_of("top.txt", "two.txt")) == ["a", "b", "c", "b", "a", "c"]


async def test_includes_end_somewhere(tmp_path: Path) -> None:
    for number in range(60):
        written(tmp_path, f"x{number}\n-r {number + 1}.txt\n".encode(), f"{number}.txt")
    *targets, failure = await all_of(str(tmp_path / "0.txt"))
    assert len(targets) == 51
    assert isinstance(failure, Failure)
    assert (failure.target, failure.place) == ("51.txt", f"{tmp_path / '50.txt'}:2")
    assert failure.error.message == "lists include one another more than 50 deep"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.txt", "missing.txt cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("a\0b", "cannot be read: embedded null byte"),
        ("broken.toml", r"broken.toml:1: no TOML"),
        ("broken.json", r"broken.json:2: no JSON"),
        ("https://ann:hunter2@host/x.txt", "a list at a URL is not read"),
    ],
)
async def test_an_include_that_cannot_be_read_is_a_failure_where_it_is_named(
    path: str, problem: str, tmp_path: Path
) -> None:
    written(tmp_path, b"[", "broken.toml")
    written(tmp_path, b"\n{", "broken.json")
    top = written(tmp_path, f"a\n-r {path}\nz\n".encode(), "top.txt")
    first, failure, last = await all_of(top)
    assert places([first, last]) == ["a", "z"]
    assert isinstance(failure, Failure)
    assert failure.place == f"{top}:2"
    assert failure.slug is None
    assert problem in failure.error.message
    assert "hunter2" not in f"{failure.target} {failure.error}"


async def test_an_include_may_be_a_list_of_any_kind(tmp_path: Path) -> None:
    written(tmp_path, b'[project]\ndependencies = ["b"]', "pyproject.toml")
    written(tmp_path, b'[{"slug": "c"}]', "records.json")
    top = written(tmp_path, b"-r pyproject.toml\n-r records.json\n")
    assert places(await all_of(top)) == ["b", "c"]


async def test_tables_and_records_are_lists(tmp_path: Path) -> None:
    lists = [
        written(tmp_path, b"\xef\xbb\xbf[project]\r\ndependencies = ['a>1', '!']\r\n", "pyproject.toml"),
        written(tmp_path, b"[[packages]]\nname = 'b'\n", "pylock.x.toml"),
        written(tmp_path, b"[dependency-groups]\nx = ['c']\n", "OTHER.TOML"),
        written(tmp_path, b'{"slug": "Dd"}\n{}\n', "records.jsonl"),
        written(tmp_path, REPORT, "report"),
        written(tmp_path, b"", "empty.toml"),
        written(tmp_path, b"", "empty.json"),
    ]
    check(lists, None)
    assert places(await all_of(*lists)) == ["a", f"{lists[0]}:2", "b", "c", "Dd", f"{lists[3]}:2", "x", "y"]
    first = (await all_of(lists[3]))[0]
    assert isinstance(first, PackageTarget)
    assert first.slug == "Dd"


@pytest.mark.parametrize("stream", [io.BytesIO, piped])
async def test_the_standard_input_may_be_records_on_one_long_line(stream: Any) -> None:
    assert places(await all_of("-", stdin=stream(b' \n  [{"slug": "x"}]'))) == ["x"]
    data = b'[{"slug": "x", "y": "' + b"z" * 2**21 + b'"}]'
    assert places(await all_of("-", stdin=io.BytesIO(data))) == ["x"]


async def test_only_what_failed_is_taken_of_reports(tmp_path: Path) -> None:
    report = written(tmp_path, REPORT, "report.jsonl")
    empty = written(tmp_path, b"\n", "empty")
    check([report, empty, "-"], io.BytesIO(REPORT), failed=True)
    found = await all_of(report, empty, "-", stdin=io.BytesIO(REPORT), failed=True)
    assert places(found) == ["y", "y"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.txt", b"\n# x\n"),
        ("list.txt", b"django\n"),
        ("x.toml", b""),
        ("x.json", b'{"slug": "x"}'),
        ("x.json", b'[\n{"slug": "x"}]'),
    ],
)
async def test_what_failed_cannot_be_taken_of_other_lists(name: str, data: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, data, name)
    with pytest.raises(SettingError, match=f"^{path} is no report, so --failed has nothing to choose from$"):
        check([path], None, failed=True)
    with pytest.raises(SettingError, match="is no report"):
        await all_of(path, failed=True)
    if not name.endswith(".toml"):
        with pytest.raises(SettingError, match=r"^- is no report"):
            await all_of("-", stdin=io.BytesIO(data), failed=True)


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("pyproject.toml", b"\n[project", 2),
        ("pylock.toml", b"[packages]", 1),
        ("x.json", b'\n\n{"slug": "x",\n]', 4),
        ("x", b'{"slug" "x"}', 1),
    ],
)
def test_a_broken_file_is_told_before_anything_is_asked(
    name: str, data: bytes, line: int, tmp_path: Path
) -> None:
    path = written(tmp_path, data, name)
    with pytest.raises(SettingError, match=f"^{path}:{line}: "):
        check([path], None)


def test_a_text_list_is_not_read_through_by_the_check(tmp_path: Path) -> None:
    endless = b"x" * (2**20 + 1)  # told when it is read
    check([written(tmp_path, b"django\n" * 20_000 + endless)], None)
    with pytest.raises(SettingError, match="holds a line of more than 1,048,576 characters"):
        check([written(tmp_path, endless)], None)


async def test_a_named_pipe_is_not_opened_by_the_check(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    check([str(path)], None)
    # A reader that does not block lets the writer open at once.
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    async with aclosing(read(str(path))) as targets:
        os.write(writing, b"django\nfl")
        assert names([await anext(targets)]) == ["django"]
        following = asyncio.ensure_future(anext(targets))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not following.done()
        os.write(writing, b"ask\n")
        assert names([await following]) == ["flask"]
    os.close(reading)
    os.close(writing)


async def test_lines_of_a_report_in_a_pipe_are_taken_as_they_come(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    async with aclosing(read("-", stdin=reading)) as targets:
        writing.write(REPORT[:40])
        assert names([await anext(targets)]) == ["x"]


async def test_a_long_list_is_not_held_in_memory(tmp_path: Path) -> None:
    data = b"".join(b"package-%d>=1 --hash=sha256:%064d\n" % (number, number) for number in range(20_000))
    path = written(tmp_path, data)
    tracemalloc.start()
    try:
        count = 0
        async for _ in read(path):
            count += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < len(data) / 2


class Torn(io.BytesIO):
    """A stream that breaks off."""

    def read(self, size: int | None = -1, /) -> bytes:
        del size
        raise OSError(5, "Input/output error")


async def test_a_list_that_breaks_off_cannot_be_read() -> None:
    with pytest.raises(SettingError, match="the list - cannot be read: Input/output error"):
        await all_of("-", stdin=Torn())


@settings(deadline=None)
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.text().map(lambda text: ("\ufeff" + text).encode("utf-16-le", "replace"))
)
@example(b"-r /dev/null")
@example(b"[")
def test_any_bytes_are_targets_or_failures_or_refused(data: bytes) -> None:
    try:
        found = asyncio.run(all_of("-", stdin=io.BytesIO(data)))
    except SettingError as error:
        assert error.message.startswith("-:")  # noqa: PT017  broken JSON
    else:
        shown = [
            f"{item.target}{item.place}{item.error}" if isinstance(item, Failure) else item.text
            for item in found
        ]
        assert all(text.isprintable() for text in shown)
