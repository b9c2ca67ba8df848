"""A lock between processes that dies with its process.

Not a library's: the message names the other process, and the file is gone when the run is.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pkgharvest.errors import BusyError, OutputError

# What file systems answer that know no locks, such as some network shares.
_UNKNOWN = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})


_OF_THE_FOLDER = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENAMETOOLONG}
)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for; the file holds the process id, and is removed in the end.

    Where the file system knows no locks, nobody is kept out.

    Raises:
        BusyError: another process holds it; the message names the process.
        OutputError: the file cannot be written, so nothing beside it can.
    """
    descriptor = _taken(path)
    try:
        yield
    finally:
        with suppress(OSError):
            if _is_at(path, descriptor):  # not another run's, where somebody removed ours by hand
                path.unlink()
        os.close(descriptor)


def _taken(path: Path) -> int:
    while True:
        descriptor = -1
        try:
            descriptor, is_ours = _opened(path)
            _lock(descriptor, path)
            if _is_at(path, descriptor):
                if is_ours:
                    _sign(descriptor, path)
                    return descriptor
                path.unlink()
            os.close(descriptor)  # removed, by its last holder or as it is of no use
        except BaseException as error:
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
            if isinstance(error, OSError):
                what = path.parent if error.errno in _OF_THE_FOLDER else path
                raise OutputError(f"{what} cannot be written: {error.strerror}") from error
            raise


def _opened(path: Path) -> tuple[int, bool]:
    """Return the file, and whether it is for writing: another user's killed run may have left it."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), True
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW), False


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        who = f"process {holder}" if holder.isdigit() else "another process"
        message = f"{who} is working on {path.parent}"
        raise BusyError(message, "Wait for it to end, or give --if-running skip") from error
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise


def _sign(descriptor: int, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:  # a full device: what we made is not left behind
        path.unlink()
        raise


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the file that is open is still the one at the path."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
