"""Lists of targets: what a line says, where a bad one is, and how far is read ahead."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pkgharvest.errors import SettingError
from pkgharvest.lists import check, targets_in
from pkgharvest.results import Failure
from pkgharvest.targets import DEFAULT_HOSTS, CatalogTarget, Hosts, PackageTarget, RepositoryTarget, Target

pytestmark = pytest.mark.anyio


def names(found: list[Target | Failure]) -> list[str]:
    return [item.target if isinstance(item, Failure) else item.text for item in found]


def places(found: list[Target | Failure]) -> list[str]:
    return [item.place if isinstance(item, Failure) else item.text for item in found]


def read(
    *lists: str, stdin: BinaryIO | None = None, hosts: Hosts = DEFAULT_HOSTS, failed: bool = False
) -> AsyncGenerator[Target | Failure]:
    return targets_in(lists, stdin, hosts, failed=failed)


async def all_of(*lists: str, **options: Any) -> list[Target | Failure]:
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
