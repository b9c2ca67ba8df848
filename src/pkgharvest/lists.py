"""Lists of targets, from files or the standard input, read as there is room for them."""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import stat
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from pkgharvest.earlier import LARGEST, EarlierResults, no_report
from pkgharvest.errors import SettingError, TargetError
from pkgharvest.requirements import LONGEST_LINE, Include, RequirementLines, targets_in_toml
from pkgharvest.results import Failure
from pkgharvest.targets import DEFAULT_HOSTS, Hosts, Misread, Named, redacted

_CHUNK = 2**16
_DEEPEST = 50
"""Lists that include one another."""


async def targets_in(
    names: Sequence[str], stdin: BinaryIO | None, hosts: Hosts, *, failed: bool = False
) -> AsyncGenerator[Named | Failure]:
    """Yield the targets of lists, in their order; what names none is a failure that tells where.

    A list is a text with a target or a requirement a line, a ``pyproject.toml`` or another TOML file
    with its tables, a ``pylock.toml``, or JSON: records in any form, or a report of an earlier run.

    Args:
        names: files, ``-`` for the standard input.
        stdin: the standard input, None if it is closed.
        hosts: by which targets are told.
        failed: whether to take only what failed, of reports.

    Raises:
        SettingError: a file cannot be read, is broken, or should be a report and is none.
    """
    for name in names:
        stream = _standard(stdin) if name == "-" else _opened(name)
        visit = _Visit(name, hosts, failed, {*_identity(stream)})
        async with aclosing(_read(stream, visit)) as items:
            async for item in items:
                yield item


def check(names: Sequence[str], stdin: BinaryIO | None, *, failed: bool = False) -> None:
    """Make sure that the lists can be read, before anything is asked; the standard input stays unread.

    Raises:
        SettingError: one cannot, or is broken, or should be a report and is none.
    """
    if names.count("-") > 1:
        raise SettingError("the standard input can be read only once")
    for name in names:
        if name == "-":
            _standard(stdin)
        elif not _is_pipe(name):  # whoever writes into it would find it closed
            with _opened(name) as stream:
                if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    _look_through(stream, name, failed=failed)


def holds_results(name: str) -> bool:
    """Tell whether a list is what a run has written: records or a report, which a run may replace."""
    try:
        with Path(name).open("rb") as stream:
            return _begins_json(stream.read(_CHUNK).decode("utf-8-sig", "replace").lstrip()[:1])
    except (OSError, ValueError):
        return True  # it is told as what it is when it is read


@dataclass(frozen=True, slots=True)
class _Visit:
    """A list that is being read, and what led to it."""

    name: str
    hosts: Hosts
    failed: bool
    seen: set[tuple[int, int]]
    """The files that were read so far on behalf of the list that the user named."""
    depth: int = 0

    def place(self, line: int | None) -> str:
        return self.name if line is None else f"{self.name}:{line}"


class _Form(Protocol):
    def feed(self, number: int, line: str) -> Iterator[Named | Misread | Include]: ...

    def end(self) -> Iterator[Named | Misread | Include]: ...


class _Toml:
    """Reads TOML, which makes sense only as a whole."""

    def __init__(self, name: str, hosts: Hosts) -> None:
        self._name = name
        self._hosts = hosts
        self._lines: list[str] = []

    def feed(self, number: int, line: str) -> Iterator[Named | Misread]:
        del number
        self._lines.append(f"{line}\n")
        yield from ()

    def end(self) -> Iterator[Named | Misread]:
        yield from targets_in_toml("".join(self._lines), self._name, self._hosts)


@dataclass(slots=True)
class _Lines:
    """Makes lines of bytes as they come: UTF-8, or UTF-16 if it begins with a byte order mark."""

    subject: str
    number: int = 0
    _head: bytes = b""
    _decoder: codecs.IncrementalDecoder | None = None
    _parts: list[str] = field(default_factory=list)
    _size: int = 0
    _opening: str = ""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that a chunk completes, without line feeds; an empty one is the end."""
        text = self._decoded(chunk)
        self._opening = self._opening or text.lstrip()[:1]
        *whole, rest = text.split("\n")
        for line in whole:
            yield self._completed(line)
        self._parts.append(rest)
        self._size += len(rest)
        longest = LARGEST if _begins_json(self._opening) else LONGEST_LINE
        if self._size > longest:
            raise SettingError(f"{self.subject} holds a line of more than {longest:,} characters")
        if not chunk and self._size:
            yield self._completed("")

    def _completed(self, last: str) -> str:
        line = "".join((*self._parts, last))
        self._parts.clear()
        self._size = 0
        self.number += 1
        return line

    def _decoded(self, chunk: bytes) -> str:
        if self._decoder is None:
            self._head += chunk
            if chunk and self._head in (b"\xff", b"\xfe"):
                return ""
            is_wide = self._head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            self._decoder = codecs.getincrementaldecoder("utf-16" if is_wide else "utf-8-sig")("replace")
            return self._decoder.decode(self._head, final=not chunk)
        return self._decoder.decode(chunk, final=not chunk)


class _List:
    """Turns the bytes of a list into what they name, as far as they have come."""

    def __init__(self, name: str, hosts: Hosts, *, failed: bool) -> None:
        self._name = name
        self._hosts = hosts
        self._failed = failed
        self._lines = _Lines("the standard input" if name == "-" else name)
        self._form: _Form | None = _Toml(name, hosts) if name.lower().endswith(".toml") else None
        self._is_over = False
        if self._form and failed:
            raise no_report(name)

    @property
    def line(self) -> int | None:
        """The line that has just been read; None where what comes out may be of any line before."""
        return None if self._is_over or isinstance(self._form, _Toml) else self._lines.number

    @property
    def is_text(self) -> bool:
        """Whether it has turned out to be a text list, in which no line can break the others."""
        return isinstance(self._form, RequirementLines)

    def feed(self, chunk: bytes) -> Iterator[Named | Misread | Include]:
        """Yield what a chunk completes; an empty one is the end."""
        for line in self._lines.feed(chunk):
            if self._form is None and (opening := line.strip()[:1]):
                self._form = self._told_by(opening)
            if self._form is not None:
                yield from self._form.feed(self._lines.number, line)
        if not chunk and self._form is not None:
            self._is_over = not self.is_text
            yield from self._form.end()

    def _told_by(self, opening: str) -> _Form:
        if _begins_json(opening):
            return EarlierResults(self._name, self._hosts, failed=self._failed)
        if self._failed:
            raise no_report(self._name)
        return RequirementLines(self._hosts)


async def _read(stream: BinaryIO, visit: _Visit) -> AsyncGenerator[Named | Failure]:
    """Yield the targets of a list, and close its stream."""
    with stream:
        parts = _List(visit.name, visit.hosts, failed=visit.failed)
        async with aclosing(_chunks(stream, visit.name)) as chunks:
            async for chunk in chunks:
                for item in parts.feed(chunk):
                    if isinstance(item, Include):
                        async with aclosing(_included(item, visit)) as included:
                            async for found in included:
                                yield found
                    elif isinstance(item, Misread):
                        yield Failure(item.text, None, item.error, visit.place(item.line))
                    else:
                        yield replace(item, place=visit.place(parts.line))


async def _included(include: Include, visit: _Visit) -> AsyncGenerator[Named | Failure]:
    """Yield the targets of a list that another one names, unless they have been read before."""
    try:
        if "://" in include.path:
            raise TargetError("a list at a URL is not read", "Save it as a file")  # noqa: TRY301  told like the others
        if visit.depth == _DEEPEST:
            raise SettingError(f"lists include one another more than {_DEEPEST} deep")  # noqa: TRY301  the same
        folder = "" if visit.name == "-" else str(Path(visit.name).parent)
        name = str(Path(folder, include.path))
        stream = _opened(name)
        known = _identity(stream)
        if visit.seen & known:
            stream.close()
            return
        visit.seen.update(known)
        async with aclosing(_read(stream, replace(visit, name=name, depth=visit.depth + 1))) as items:
            async for item in items:
                yield item
    except (SettingError, TargetError) as error:
        yield Failure(redacted(include.path), None, error, visit.place(include.line))


def _look_through(stream: BinaryIO, name: str, *, failed: bool) -> None:
    parts = _List(name, DEFAULT_HOSTS, failed=failed)
    chunk = b"\n"
    while chunk and not parts.is_text:
        chunk = _taken(stream, name)
        for _ in parts.feed(chunk):
            pass


def _standard(stdin: BinaryIO | None) -> BinaryIO:
    if stdin is None:
        raise SettingError("the standard input is closed")
    return stdin


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(name).stat().st_mode)
    except (OSError, ValueError):
        return False


def _opened(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError | ValueError) -> SettingError:
    reason = error.strerror if isinstance(error, OSError) else None
    return SettingError(f"the list {name} cannot be read: {reason or error}", "Check its name")


def _identity(stream: BinaryIO) -> set[tuple[int, int]]:
    """Return what is the same for a file under all its names; empty for what is no file."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, io.UnsupportedOperation):
        return set()
    return {(status.st_dev, status.st_ino)}


def _begins_json(opening: str) -> bool:
    """Tell by the first character that is not blank: no name and no URL begins like this."""
    return opening in ("{", "[")


def _chunks(stream: BinaryIO, name: str) -> AsyncGenerator[bytes]:
    """Return the chunks of a stream as they come, and an empty one at its end."""
    return _of_pipe(stream) if _is_slow(stream) else _of_file(stream, name)


def _is_slow(stream: BinaryIO) -> bool:
    """Tell whether the next line may be long in coming, so that others must not wait for it."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()  # /dev/null cannot be waited for


async def _of_file(stream: BinaryIO, name: str) -> AsyncGenerator[bytes]:
    while chunk := _taken(stream, name):
        yield chunk
    yield b""


def _taken(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        raise _unreadable(name, error) from error


async def _of_pipe(stream: BinaryIO) -> AsyncGenerator[bytes]:
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, stream)
    try:
        while chunk := await reader.read(_CHUNK):
            yield chunk
    finally:
        transport.close()
    yield b""
