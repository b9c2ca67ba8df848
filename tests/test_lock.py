from __future__ import annotations

import errno
import fcntl
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkgharvest.errors import BusyError, OutputError
from pkgharvest.lock import locked

# Children of a process with threads could meet locks that nobody lets go of; these only write and end.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

ROOT = os.geteuid() == 0


def fork(work: Callable[[], int]) -> int:
    """Do the work in a process of its own, whose exit code it gives; return the process id."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return pid


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def held_by_another(path: Path) -> Iterator[int]:
    """Yield the process id of a process that holds the lock, and kill it."""
    reader, writer = os.pipe()

    def hold() -> int:
        with locked(path):
            os.write(writer, b"!")
            time.sleep(60)
        return 0

    pid = fork(hold)
    try:
        assert os.read(reader, 1) == b"!"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        assert code_of(pid) == -signal.SIGKILL
        os.close(reader)
        os.close(writer)


def test_the_file_holds_the_process_id_and_is_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_other_process_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_by_another(path) as pid:
        with pytest.raises(BusyError) as caught, locked(path):
            pytest.fail("two are inside")
        assert caught.value.message == f"process {pid} is working on {tmp_path}"
        assert caught.value.advice == "Wait for it to end, or give --if-running skip"
        assert path.read_text() == f"{pid}\n"


@pytest.mark.parametrize("text", [b"", b"abc\n", b"\xff\xfe", b"-1\n"])
def test_who_has_not_signed_is_another_process(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(text)
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match=r"^another process is working on "), locked(path):
            pytest.fail("two are inside")
    assert path.read_bytes() == text


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_by_another(path):
        pass
    assert path.exists()
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_the_id_of_a_process_that_lives_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(f"{os.getppid()} and a longer text than a process id\n")
    with locked(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_two_folders_are_locked_apart(tmp_path: Path) -> None:
    with locked(tmp_path / "one"), locked(tmp_path / "two"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_lock_that_somebody_removed_is_not_taken_from_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        path.unlink()
        path.write_text("the next run's")
    assert path.read_text() == "the next run's"


def test_of_many_processes_one_at_a_time_is_inside(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> int:
        entered = 0
        while entered < 10:
            try:
                with locked(tmp_path / "lock"):
                    number = int(counter.read_text())
                    time.sleep(0.0005)
                    counter.write_text(str(number + 1))
                    entered += 1
            except BusyError:
                time.sleep(0.0002)
        return 0

    assert [code_of(pid) for pid in [fork(count) for _ in range(6)]] == [0] * 6
    assert counter.read_text() == "60"
    assert list(tmp_path.iterdir()) == [counter]


@pytest.mark.skipif(not ROOT, reason="only root becomes another user")
def test_what_another_users_killed_run_has_left_is_taken() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lock")
        path.write_text("1\n")
        path.chmod(0o600)
        Path(folder).chmod(0o777)

        def take() -> int:
            os.setuid(65534)
            try:
                with locked(path):
                    return 0 if path.stat().st_uid == 65534 else 3
            except OutputError:
                return 2

        assert code_of(fork(take)) == 2  # unreadable: nothing tells whether it is held
        path.chmod(0o644)
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            assert code_of(fork(take)) == 2
        assert code_of(fork(take)) == 0
        assert list(Path(folder).iterdir()) == []

        path.touch(0o644)
        os.setresuid(65534, 65534, 0)
        try:
            with locked(path):
                assert path.stat().st_uid == 65534
        finally:
            os.setresuid(0, 0, 0)
        assert list(Path(folder).iterdir()) == []


def _missing(tmp_path: Path) -> Path:
    return tmp_path / "missing" / "lock"


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "lock").mkdir()
    return tmp_path / "lock"


def _link(tmp_path: Path) -> Path:
    (tmp_path / "target").write_text("not to be touched")
    (tmp_path / "lock").symlink_to("target")
    return tmp_path / "lock"


@pytest.mark.parametrize(
    ("make", "of_the_folder", "reason"),
    [
        (_missing, True, "No such file or directory"),
        (_folder, False, "Is a directory"),
        (_link, False, "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_made_is_told(
    tmp_path: Path, make: Callable[[Path], Path], of_the_folder: bool, reason: str
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught, locked(path):
        pytest.fail("there is no lock")
    assert not isinstance(caught.value, BusyError)
    named = path.parent if of_the_folder else path
    assert caught.value.message == f"{named} cannot be written: {reason}"
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path / "target").exists() or (tmp_path / "target").read_text() == "not to be touched"


def test_a_full_device_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pwrite(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device"):
        locked(tmp_path / "lock").__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_where_locks_are_unknown_nobody_is_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "lock"), locked(tmp_path / "lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_any_other_fault_of_locking_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OutputError, match=r"cannot be written: Input/output error"):
        locked(tmp_path / "lock").__enter__()
