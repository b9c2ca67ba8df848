"""The command as a process: signals, closed streams, poor surroundings, full devices."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pkgharvest.record import decode_record
from processes import Services, command, environment, records, run, running, until

ROOT = os.geteuid() == 0
NOBODY = 54321
"""A user without an entry in the password database."""


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services()
    yield services
    services.close()


NAMES = [f"p-{number}" for number in range(6)]


def until_some_hang(services: Services, folder: Path) -> None:
    """Wait until the first three are written, the fourth and fifth hang, and the last is finished."""
    until(lambda: all((folder / f"p-{number}.json").exists() for number in range(3)))
    until(lambda: {"/repos/o/p-3", "/repos/o/p-4"} <= set(services.asked))
    until(lambda: any("/repos/o/p-5/contributors" in path for path in services.asked))
    time.sleep(0.1)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_with_what_is_finished(
    services: Services, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    services.hanging = {"p-3", "p-4"}
    folder, report = tmp_path / "out", tmp_path / "report"
    arguments = command(*NAMES, "-o", f"{folder}/", "--report", str(report), "--log-format", "text")
    with running(arguments, env=environment(services, HOME=str(tmp_path))) as process:
        until_some_hang(services, folder)
        process.send_signal(number)
        begun = time.monotonic()
        out, err = process.communicate(timeout=10)
    assert time.monotonic() - begun < 2
    assert (process.returncode, out) == (code, b"")
    assert records(folder) == {"p-0", "p-1", "p-2", "p-5"}
    lines = err.decode().splitlines()
    assert lines[0] == f"error: stopped by {number.name}. Run again for the rest"
    assert lines[1] == "not asked any more: p-3, p-4"
    assert lines[2].startswith("4 records, 2 not asked in ")
    assert len(lines) == 3
    told = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line.get("status") for line in told] == ["ok", "ok", "ok", "failed", "failed", "ok", None]
    assert (told[3]["reason"], told[3]["retryable"], told[-1]["run"]["exit_code"]) == ("stopped", True, code)


def test_the_signal_ends_the_wait_for_a_list_too(services: Services, tmp_path: Path) -> None:
    arguments = command("p-0", "--from", "-", "-o", str(tmp_path / "out.jsonl"), "-f", "jsonl")
    with running(arguments, env=environment(services, HOME=str(tmp_path)), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"p-1\n")
        process.stdin.flush()
        until(lambda: any("/repos/o/p-1/contributors" in path for path in services.asked))
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(10) == 143
        assert time.monotonic() - begun < 2
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [decode_record(line).slug for line in lines] == ["p-0", "p-1"]


def test_a_second_interrupt_ends_at_once_what_is_being_closed(services: Services, tmp_path: Path) -> None:
    """Nobody reads what is told of the first one, so that the run cannot go on."""
    services.hanging = {"p-3", "p-4"}
    folder = tmp_path / "out"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    try:
        with running(
            command(*NAMES, "-o", f"{folder}/", "-q"),
            env=environment(services, HOME=str(tmp_path)),
            stderr=writer,
        ) as process:
            until_some_hang(services, folder)
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.send_signal(signal.SIGINT)
            assert process.wait(1) == -signal.SIGINT
    finally:
        os.close(reader)
        os.close(writer)
    assert (folder / ".pkgharvest.lock").exists()
    services.go.set()
    ended = run(command(*NAMES, "-o", f"{folder}/"), env=environment(services, HOME=str(tmp_path)))
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert records(folder) == set(NAMES)


def test_a_hangup_that_nohup_ignores_stays_ignored(services: Services, tmp_path: Path) -> None:
    services.hanging = {"p-1"}
    folder = tmp_path / "out"
    arguments = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("p-0", "p-1", "-o", f"{folder}/")]
    with running(arguments, env=environment(services, HOME=str(tmp_path))) as process:
        until((folder / "p-0.json").exists)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        services.go.set()
        assert process.wait(10) == 0
    assert records(folder) == {"p-0", "p-1"}


def test_of_two_runs_one_works_and_one_says_so(services: Services, tmp_path: Path) -> None:
    services.hanging = {"p-1"}
    folder = tmp_path / "out"
    arguments = command("p-0", "p-1", "-o", f"{folder}/")
    env = environment(services, HOME=str(tmp_path))
    with running(arguments, env=env) as first:
        until((folder / "p-0.json").exists)
        asked = len(services.asked)
        second = run(arguments, env=env)
        assert (second.returncode, len(services.asked)) == (7, asked)
        assert second.stderr.decode().startswith(f"error: process {first.pid} is working on {folder}. ")
        third = run([*arguments, "--if-running", "skip"], env=env)
        assert (third.returncode, third.stderr.decode()) == (
            0,
            f"process {first.pid} is working on {folder}, so nothing was done\n",
        )
        first.kill()
        first.wait(10)
    services.hanging.clear()
    fourth = run(arguments, env=env)
    assert (fourth.returncode, fourth.stderr) == (0, b"")
    assert records(folder) == {"p-0", "p-1"}


# Where it runs.


@pytest.mark.parametrize("closed", [">&- 2>&-", "<&- >&- 2>&-"])
def test_nothing_meant_for_closed_streams_gets_into_a_file(
    services: Services, tmp_path: Path, closed: str
) -> None:
    folder, report = tmp_path / "out", tmp_path / "report"
    arguments = command("p-0", "p-missing", "-o", f"{folder}/", "--report", str(report), "-v")
    ended = run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *arguments], env=environment(services, HOME=str(tmp_path))
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"", b"")
    assert records(folder) == {"p-0"}
    assert [json.loads(line).get("slug") for line in report.read_text().splitlines()] == [
        "p-0",
        "p-missing",
        None,
    ]
    [store] = tmp_path.rglob("*.sqlite*")
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_bare_environment_is_enough(services: Services, tmp_path: Path) -> None:
    options: dict[str, Any] = {"env": environment(services), "cwd": tmp_path}
    if ROOT:  # whose home is not to be written to
        tmp_path.chmod(0o777)
        options["env"]["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    ended = run(command("p-0", "-o", "out/"), **options)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert records(tmp_path / "out") == {"p-0"}
    shown = run(command("p-0"), **options)
    assert decode_record(shown.stdout).repo_description == "Über ☃"


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_a_home_that_takes_nothing_is_done_without(services: Services, tmp_path: Path, home: str) -> None:
    ended = run(command("p-0", "-o", "out/", "-v"), env=environment(services, HOME=home), cwd=tmp_path)
    assert ended.returncode == 0
    assert b"cannot be used, so all is asked anew" in ended.stderr
    assert records(tmp_path / "out") == {"p-0"}
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


AS_NOBODY = f"""
import importlib, os, pkgutil
import anyio._backends._asyncio, encodings.idna, httpx
import pkgharvest
httpx.create_ssl_context()
for module in pkgutil.walk_packages(pkgharvest.__path__, "pkgharvest."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
pkgharvest.cli.main()
"""
"""Whoever runs the tests may be the only one to read Python's modules, so that they are imported first."""


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """Yield a folder of a user without an entry in the password database."""
    if not ROOT:
        pytest.skip("only root becomes another user")
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(pytest.__file__).parents):
        pytest.skip("other users cannot read the libraries, of which some are imported late")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def run_as_nobody(folder: Path, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return run([sys.executable, "-c", AS_NOBODY, "fetch", *arguments], env=env, cwd=folder)


def test_a_user_without_a_home_gets_no_folder_of_that_name(
    services: Services, folder_of_nobody: Path
) -> None:
    env, folder = environment(services), folder_of_nobody
    ended = run_as_nobody(folder, "p-0", "-o", "out/", "-v", env=env)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert b"cannot be used, so all is asked anew: no home folder is known" in ended.stderr
    assert records(folder / "out") == {"p-0"}
    offline = run_as_nobody(folder, "p-1", "--offline", env=env)
    assert (offline.returncode, offline.stdout) == (3, b"")
    assert not [path for path in services.asked if "p-1" in path]
    assert [path.name for path in folder.iterdir()] == ["out"]


def test_a_read_only_home_is_done_without(services: Services, folder_of_nobody: Path) -> None:
    home = folder_of_nobody / "home"
    home.mkdir(mode=0o555)
    ended = run_as_nobody(folder_of_nobody, "p-0", "-o", "out/", env=environment(services, HOME=str(home)))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert records(folder_of_nobody / "out") == {"p-0"}
    assert list(home.iterdir()) == []


def test_a_folder_that_takes_nothing_is_told_before_anything_is_asked(
    services: Services, folder_of_nobody: Path
) -> None:
    out = folder_of_nobody / "out"
    out.mkdir(mode=0o555)
    ended = run_as_nobody(folder_of_nobody, "p-0", "-o", "out/", env=environment(services))
    assert (ended.returncode, services.asked) == (7, [])
    assert ended.stderr == b"error: out cannot be written: Permission denied\n"
    assert list(out.iterdir()) == []


def test_a_strict_umask_holds_for_all_that_is_made(services: Services, tmp_path: Path) -> None:
    ended = run(
        command("p-0", "-o", "out/", "--report", "report"),
        env=environment(services, HOME=str(tmp_path)),
        cwd=tmp_path,
        umask=0o077,
    )
    assert ended.returncode == 0
    made = list(tmp_path.rglob("*"))
    assert len(made) > 4
    assert {oct(stat.S_IMODE(path.stat().st_mode) & 0o077) for path in made} == {"0o0"}


# Full devices.

PAGE = 4096


@pytest.fixture
def small_device(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a device with room for eight pages."""
    folder = tmp_path / "device"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={8 * PAGE}", "tmpfs", str(folder)]
    if not ROOT or mount is None or run([mount, *options]).returncode:
        pytest.skip("no device can be mounted")
    try:
        yield folder
    finally:
        run(["umount", str(folder)]).check_returncode()


def test_a_device_that_fills_up_loses_nothing(services: Services, small_device: Path, tmp_path: Path) -> None:
    env = environment(services, HOME=str(tmp_path))
    arguments = command("p-0", "p-1", "p-2", "-o", f"{small_device}/")
    first = run(command("p-0", "-o", f"{small_device}/"), env=env)
    assert first.returncode == 0
    (small_device / "other").write_bytes(bytes(5 * PAGE))  # leaves a page for the lock, and one for a record
    before = (small_device / "p-0.json").read_bytes()
    ended = run(arguments, env=env)
    assert ended.returncode == 7
    line = ended.stderr.decode().splitlines()[0]
    size = len((small_device / "p-0.json").read_bytes())
    assert line == (
        f"error: {small_device}/p-2.json cannot be written: No space left on device ({size:,} bytes)"
    )
    assert sorted(path.name for path in small_device.iterdir()) == ["other", "p-0.json", "p-1.json"]
    after = decode_record((small_device / "p-0.json").read_bytes())
    old = decode_record(before)
    assert after.last_fetched is not None
    assert old.last_fetched is not None
    assert after.last_fetched > old.last_fetched


def test_a_full_device_is_told_before_anything_is_asked(
    services: Services, small_device: Path, tmp_path: Path
) -> None:
    (small_device / "other").write_bytes(bytes(8 * PAGE))
    ended = run(command("p-0", "-o", f"{small_device}/"), env=environment(services, HOME=str(tmp_path)))
    assert (ended.returncode, services.asked) == (7, [])
    assert ended.stderr.decode() == f"error: {small_device} cannot be written: No space left on device\n"
    assert [path.name for path in small_device.iterdir()] == ["other"]
