"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pkgharvest.errors import OutputError


class Replacement:
    """A file in the making; until the end the old one stands."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Take the path in the end, and the stream to a temporary file."""
        self.path = path
        self.wanted = True
        """Set to False to leave the old file as it is."""
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OutputError: they cannot be written, as on a full device.
        """
        with _explained(self.path):
            self._stream.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[Replacement]:
    """Yield a replacement of a file, and put it in place unless the block fails or unsets ``wanted``.

    It is written beside the file, flushed to the device, and renamed; mode and, where permitted,
    owner stay those of the old file. A link is followed; what is no regular file (a pipe, a
    device) is written to directly.

    Raises:
        OutputError: the file cannot be written; at the start, where that can be known then.
    """
    with _explained(path):
        old = _stat(path)
        if path.is_dir():
            raise OutputError(f"{path} is a folder", "Name a file")
        direct = old is not None and not stat.S_ISREG(old.st_mode)
        if not direct:  # what a link to a pipe resolves to cannot be opened by name
            path = Path(os.path.realpath(path))
        if direct:
            stream: BinaryIO = path.open("wb")
            temporary = None
        else:
            if old is not None and not os.access(path, os.W_OK):
                raise OutputError(f"{path} is read-only")
            handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".tmp", dir=path.parent)
            stream, temporary = os.fdopen(handle, "wb"), Path(name)
    replacement = Replacement(path, stream)
    try:
        yield replacement
        with _explained(path):
            stream.flush()
            if temporary is not None and replacement.wanted:
                _adopt(stream.fileno(), old)
                os.fsync(stream.fileno())
                temporary.replace(path)
    finally:
        with suppress(OSError):
            stream.close()
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _adopt(descriptor: int, old: os.stat_result | None) -> None:
    """Give the new file the mode and owner that an editor would leave."""
    if old is None:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
