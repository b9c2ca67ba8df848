"""Lists of targets: one a line, from files or the standard input, read as there is room for them."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from pathlib import Path
from typing import BinaryIO

from pkgharvest.errors import SettingError, TargetError
from pkgharvest.results import Failure
from pkgharvest.targets import Hosts, Target, parse_target

_LONGEST = 2**20
"""Bytes of a line that is waited for."""


async def targets_in(
    names: Sequence[str], stdin: BinaryIO | None, hosts: Hosts
) -> AsyncGenerator[Target | Failure]:
    """Yield the targets of lists, in their order; a line that names none is a failure that tells where.

    ``#`` begins a comment where it begins the line or follows a space; blank lines are nothing.

    Args:
        names: files, ``-`` for the standard input.
        stdin: the standard input, None if it is closed.
        hosts: by which targets are told.

    Raises:
        SettingError: a file cannot be read.
    """
    for name in names:
        number = 0
        async for raw in _lines(name, stdin):
            number += 1
            text = _without_comment(raw.decode("utf-8", "replace"))
            if text:
                yield _target(text, f"{name}:{number}", hosts)


def check(names: Sequence[str], stdin: BinaryIO | None) -> None:
    """Make sure that the lists can be read, before anything is asked.

    Raises:
        SettingError: one cannot.
    """
    if names.count("-") > 1:
        raise SettingError("the standard input can be read only once")
    for name in names:
        if name == "-" and stdin is None:
            raise SettingError("the standard input is closed")
        if name != "-":
            with _opened(name):
                pass


def _opened(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SettingError(f"the list {name} cannot be read: {error.strerror}") from error


def _target(text: str, place: str, hosts: Hosts) -> Target | Failure:
    try:
        return parse_target(text, hosts)
    except TargetError as error:
        return Failure(place, None, error)


def _without_comment(line: str) -> str:
    text = line.removeprefix("\ufeff").strip()
    return "" if text.startswith("#") else text.split(" #", 1)[0].strip()


def _lines(name: str, stdin: BinaryIO | None) -> AsyncIterable[bytes]:
    if name != "-":
        return _of_file(_opened(name))
    if stdin is None:
        raise SettingError("the standard input is closed")
    return _of_pipe(stdin) if _is_slow(stdin) else _of_file(stdin)


def _is_slow(stream: BinaryIO) -> bool:
    """Tell whether the next line may be long in coming, so that others must not wait for it."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()  # /dev/null cannot be waited for


async def _of_file(stream: BinaryIO) -> AsyncGenerator[bytes]:
    with stream:
        for line in stream:
            yield line


async def _of_pipe(stream: BinaryIO) -> AsyncGenerator[bytes]:
    reader = asyncio.StreamReader(limit=_LONGEST)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, stream)
    try:
        async for line in reader:
            yield line
    except ValueError as error:
        message = f"the standard input holds a line of more than {_LONGEST:,} bytes"
        raise SettingError(message) from error
    finally:
        transport.close()
