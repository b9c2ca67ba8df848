"""Files that are replaced whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pkgharvest.errors import OccupiedError, OutputError

# What concerns one name alone, while its neighbours can be written: EPERM where the file cannot be
# replaced (immutable, or another's in a sticky folder), EBUSY where something is mounted on it.
_OF_THIS_FILE = frozenset({errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP, errno.EPERM, errno.EBUSY})


TEMPORARY = ".pkgharvest.tmp"
"""How the names of temporary files end; they begin with a dot."""


class Replacement:
    """A file in the making; until the end the old one stands."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Take the path in the end, and the stream to a temporary file."""
        self.path = path
        self.wanted = True
        """Set to False to leave the old file as it is."""
        self.size = 0
        """Bytes so far."""
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """Whether what is written is seen on a terminal at once, as with ``/dev/stdout``."""
        return self._stream.isatty()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OutputError: they cannot be written, as on a full device.
        """
        self.size += len(data)
        with _explained(self.path, self):
            self._stream.write(data)


def sweep(folder: Path, name: str = "") -> None:
    """Remove the temporary files that killed runs have left in a folder.

    Those of runs that still live are locked, and stay.

    Args:
        folder: where to look.
        name: of the file that they were to replace, empty for any.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(name)) and entry.name.endswith(TEMPORARY):
                with suppress(OSError):
                    _remove_if_left(entry.path)


@contextmanager
def replacing(path: Path, *, swept: bool = False) -> Iterator[Replacement]:
    """Yield a replacement of a file, and put it in place unless the block fails or unsets ``wanted``.

    It is written beside the file, flushed to the device, and renamed; mode and, where permitted,
    owner stay those of the old file. A link is followed; what is no regular file (a pipe, a
    device) is written to directly.

    Args:
        path: of the file.
        swept: whether the folder is known to hold nothing that a killed run has left.

    Raises:
        OutputError: the file cannot be written; at the start, where that can be known then.
    """
    with _explained(path):
        old = _stat(path)
        if path.is_dir():
            raise OccupiedError(f"{path} is a folder", "Name a file")
        direct = old is not None and not stat.S_ISREG(old.st_mode)
        is_link = path.is_symlink()
        if not direct:  # what a link to a pipe resolves to cannot be opened by name
            path = Path(os.path.realpath(path))
        if direct:
            stream: BinaryIO = path.open("wb")
            temporary = None
        else:
            if old is not None and not os.access(path, os.W_OK):
                raise OccupiedError(f"{path} is read-only")
            if not swept or is_link:
                sweep(path.parent, path.name)
            stream, temporary = _temporary(path)
    replacement = Replacement(path, stream)
    try:
        yield replacement
        with _explained(path, replacement):
            stream.flush()
            if temporary is not None and replacement.wanted:
                _adopt(stream.fileno(), old)
                os.fsync(stream.fileno())
                temporary.replace(path)
    finally:
        with suppress(OSError):
            stream.close()
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _prefix(name: str) -> str:
    return f".{name[:50]}." if name else "."


def _temporary(path: Path) -> tuple[BinaryIO, Path]:
    while True:
        handle, name = tempfile.mkstemp(prefix=_prefix(path.name), suffix=TEMPORARY, dir=path.parent)
        is_taken = False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_taken = True
        except OSError:  # where locks are unknown, nobody sweeps
            pass
        if os.fstat(handle).st_nlink and not is_taken:
            return os.fdopen(handle, "wb"), Path(name)
        os.close(handle)  # another run took it for one that was left behind


def _remove_if_left(path: str) -> None:
    # For writing: network shares lock nothing else.
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # noqa: PTH108  the name as it was listed
    finally:
        os.close(descriptor)


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
def _explained(path: Path, replacement: Replacement | None = None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        kind = OccupiedError if error.errno in _OF_THIS_FILE else OutputError
        size = f" ({replacement.size:,} bytes)" if replacement else ""
        raise kind(f"{path} cannot be written: {error.strerror or error}{size}") from error
