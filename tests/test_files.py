from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkgharvest.errors import OutputError
from pkgharvest.files import replacing

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
