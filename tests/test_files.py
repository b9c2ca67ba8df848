from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkgharvest.errors import OccupiedError, OutputError
from pkgharvest.files import TEMPORARY, replacing, sweep

ROOT = os.geteuid() == 0


@contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let writing more than so many bytes to a file fail, as on a full device."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_file_holds_all_that_was_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as file:
        file.write(b"one")
        file.write(b"")
        file.write(b" two")
    assert contents(tmp_path) == {"file": b"one two"}


def test_an_old_file_is_replaced_whole_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"an old and longer text")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"an old and longer text"
    assert contents(tmp_path) == {"file": b"new"}


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        with replacing(path) as file:
            file.write(b"new")
        assert reader.read() == b"old"


def test_nothing_written_is_an_empty_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "file"):
        pass
    assert contents(tmp_path) == {"file": b""}


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_the_mode_of_a_new_file_follows_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "file"
    with umask(mask):
        with replacing(path) as file:
            file.write(b"new")
        assert os.umask(mask) == mask
    assert oct(mode_of(path)) == oct(mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_the_mode_of_an_old_file_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    with umask(0o022), replacing(path) as file:
        file.write(b"new")
    assert oct(mode_of(path)) == oct(mode)


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_the_owner_of_an_old_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 12345, 54321)
    with replacing(path) as file:
        file.write(b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_nobody_else_reads_a_file_in_the_making(tmp_path: Path) -> None:
    with umask(0), replacing(tmp_path / "file"):
        assert [oct(mode_of(path)) for path in tmp_path.iterdir()] == [oct(0o600)]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed_and_stays(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    if exists:
        target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("folder/target")
    with replacing(link) as file:
        file.write(b"new")
    assert (link.is_symlink(), contents(target.parent)) == (True, {"target": b"new"})


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError("a fault"), KeyboardInterrupt(), SystemExit(3)]
)
@pytest.mark.parametrize("size", [3, 100_000])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def break_off() -> None:
        with replacing(path) as file:
            file.write(bytes(size))
            raise error

    with pytest.raises(type(error)) as caught:
        break_off()
    assert caught.value is error
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("old", [{"file": b"old"}, {}], ids=["an old file", "no file"])
def test_what_is_not_wanted_is_thrown_away(tmp_path: Path, old: dict[str, bytes]) -> None:
    for name, text in old.items():
        (tmp_path / name).write_bytes(text)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        file.wanted = False
    assert contents(tmp_path) == old


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def _link_to_a_folder(tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to(_folder(tmp_path))
    return tmp_path / "link"


def _circle(tmp_path: Path) -> Path:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    return tmp_path / "one"


def _below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "below"


BAD_PATHS = {
    "a folder": (_folder, "is a folder"),
    "a link to a folder": (_link_to_a_folder, "is a folder"),
    "the folder itself": (lambda tmp_path: tmp_path / ".", "is a folder"),
    "in a missing folder": (lambda tmp_path: tmp_path / "missing" / "file", "No such file or directory"),
    "below a file": (_below_a_file, "Not a directory"),
    "a name that is too long": (lambda tmp_path: tmp_path / ("n" * 300), "File name too long"),
    "a long name of long characters": (lambda tmp_path: tmp_path / ("ä" * 200), "File name too long"),
    "a path that is too long": (lambda tmp_path: tmp_path.joinpath(*["n" * 200] * 30), "File name too long"),
    "a circle of links": (_circle, "Too many levels of symbolic links"),
}


@pytest.mark.parametrize(("make", "text"), BAD_PATHS.values(), ids=BAD_PATHS)
def test_a_bad_path_is_told_before_anything_is_written(tmp_path: Path, make: object, text: str) -> None:
    assert callable(make)
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=text) as caught, replacing(path):
        pytest.fail("the block is not to run")
    assert str(tmp_path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "☃" * 85, "🐍" * 63])
def test_a_name_as_long_as_names_may_be_is_taken(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as file:
        file.write(b"new")
    assert contents(tmp_path) == {name: b"new"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder that takes no files, not even root's")
def test_a_folder_that_takes_no_files_is_told() -> None:
    with pytest.raises(OutputError, match=r"^/proc/file cannot be written: "), replacing(Path("/proc/file")):
        pytest.fail("the block is not to run")


@pytest.mark.skipif(ROOT, reason="root writes everywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="Permission denied"), replacing(tmp_path / "file"):
            pytest.fail("the block is not to run")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.skipif(ROOT, reason="root writes everywhere")
def test_a_read_only_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="is read-only"), replacing(path):
        pytest.fail("the block is not to run")
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("size", [100, 100_000], ids=["at the end", "at once"])
def test_a_full_device_leaves_the_old_file_and_nothing_else(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with (
        files_of_at_most(50),
        pytest.raises(OutputError, match=r"/file cannot be written: File too large"),
        replacing(path) as file,
    ):
        file.write(bytes(size))
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no device that is always full")
@pytest.mark.parametrize("size", [100, 100_000], ids=["at the end", "at once"])
def test_a_device_that_is_full_is_told(size: int) -> None:
    message = r"^/dev/full cannot be written: No space left on device"
    with pytest.raises(OutputError, match=message), replacing(Path("/dev/full")) as file:
        file.write(bytes(size))
    assert Path("/dev/full").is_char_device()


def test_a_device_is_written_to_and_stays() -> None:
    with replacing(Path(os.devnull)) as file:
        file.write(b"new")
    assert Path(os.devnull).is_char_device()


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with replacing(path) as file:
            file.write(b"new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", [100, 100_000], ids=["at the end", "at once"])
def test_a_pipe_that_nobody_reads_any_more_is_no_error_of_output(tmp_path: Path, size: int) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def write_to_nobody() -> None:
        with replacing(path) as file:
            os.close(reader)
            file.write(bytes(size))

    with pytest.raises(BrokenPipeError):
        write_to_nobody()
    assert path.is_fifo()


# What killed runs have left.


def left_over(folder: Path, name: str = "file") -> Path:
    """Return a temporary file as a killed run leaves it."""
    with replacing(folder / name) as file:
        file.write(b"half")
        [there] = folder.glob(f".{name[:50]}.*{TEMPORARY}")
        file.wanted = False
    there.write_bytes(b"half")
    return there


def test_what_a_killed_run_has_left_is_removed_before_the_next_writes(tmp_path: Path) -> None:
    left_over(tmp_path)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        assert len(list(tmp_path.iterdir())) == 1
    assert contents(tmp_path) == {"file": b"new"}


def test_only_what_was_left_of_the_same_file_is_removed(tmp_path: Path) -> None:
    other = left_over(tmp_path, "other")
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert contents(tmp_path) == {"file": b"new", other.name: b"half"}


def test_a_folder_that_is_known_to_be_swept_is_not_looked_through(tmp_path: Path) -> None:
    left = left_over(tmp_path)
    with replacing(tmp_path / "file", swept=True) as file:
        file.write(b"new")
    assert contents(tmp_path) == {"file": b"new", left.name: b"half"}


def test_the_folder_that_a_link_leads_to_is_swept_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    left_over(tmp_path / "elsewhere")
    (tmp_path / "file").symlink_to("elsewhere/file")
    with replacing(tmp_path / "file", swept=True) as file:
        file.write(b"new")
    assert contents(tmp_path / "elsewhere") == {"file": b"new"}


def test_a_sweep_of_a_folder_removes_what_was_left_of_any_file(tmp_path: Path) -> None:
    for name in ("one.json", "two.json", "n" * 200):
        left_over(tmp_path, name)
    sweep(tmp_path)
    assert contents(tmp_path) == {}


def test_the_temporary_file_of_a_run_that_lives_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        sweep(tmp_path)
        sweep(tmp_path, "file")
        with replacing(tmp_path / "file") as second:
            second.write(b"second")
    assert contents(tmp_path) == {"file": b"new"}


def test_foreign_files_are_not_swept(tmp_path: Path) -> None:
    files = {"file": b"1", ".file.x": b"2", "file.pkgharvest.tmp": b"3", ".hidden": b"4", ".x.tmp": b"5"}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    sweep(tmp_path)
    assert contents(tmp_path) == files


def test_what_bears_the_name_but_is_no_file_stays(tmp_path: Path) -> None:
    (tmp_path / f".folder{TEMPORARY}").mkdir()
    (tmp_path / f".link{TEMPORARY}").symlink_to(tmp_path / "target")
    (tmp_path / "target").write_bytes(b"text")
    os.mkfifo(tmp_path / f".pipe{TEMPORARY}")
    before = sorted(path.name for path in tmp_path.iterdir())
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_looked_through_is_no_error_of_the_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "missing")
    (tmp_path / "file").touch()
    sweep(tmp_path / "file")


def test_where_locks_are_unknown_nothing_is_swept_and_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_over(tmp_path)

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert contents(tmp_path) == {"file": b"new", left.name: b"half"}


def test_a_temporary_file_that_another_run_took_for_a_leftover_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one locks it, or has removed it already, before this run's lock."""
    made: list[Path] = []
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        if len(made) < 2:
            [path] = [path for path in tmp_path.iterdir() if path not in made]
            made.append(path)
            if len(made) == 1:
                path.unlink()
            else:
                raise BlockingIOError
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with replacing(tmp_path / "file", swept=True) as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.exists() for path in made] == [False, True]  # the other run removes what it has locked


# What concerns one file, and what concerns all.


@pytest.mark.parametrize("number", [errno.EPERM, errno.EBUSY])
def test_a_file_that_cannot_be_replaced_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def replace(*_: object) -> Path:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", replace)
    message = rf"/file cannot be written: {os.strerror(number)}"
    with pytest.raises(OccupiedError, match=message), replacing(path) as file:
        file.write(b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_a_full_device_is_told_with_the_number_of_bytes_and_is_no_single_files(tmp_path: Path) -> None:
    message = rf"^{tmp_path}/file cannot be written: File too large \(123,456 bytes\)$"
    with (
        files_of_at_most(50),
        pytest.raises(OutputError, match=message) as caught,
        replacing(tmp_path / "file") as file,
    ):
        file.write(bytes(123_456))
    assert not isinstance(caught.value, OccupiedError)


def test_a_temporary_file_that_cannot_be_removed_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file"):
            raise ZeroDivisionError
    sweep(tmp_path)
    assert contents(tmp_path) == {}
