"""The token: what searches every test for it, and where the command as a process could show it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import conftest
from pkgharvest.net.cache import FILE
from processes import Services, command, environment, records, run, running, until


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services()
    yield services
    services.close()


LEAKS = """
import os, subprocess, sys, pathlib

def test_nothing(marked_token): pass
def test_stdout(marked_token): print(marked_token)
def test_stderr(marked_token): print(marked_token, file=sys.stderr)
def test_descriptor(marked_token): os.write(2, marked_token.encode())
def test_file(marked_token, tmp_path): (tmp_path / "record").write_bytes(b"x" + marked_token.encode())
def test_name(marked_token, tmp_path): (tmp_path / marked_token).mkdir()
def test_store(marked_token):
    folder = pathlib.Path.home() / ".cache" / "pkgharvest"
    folder.mkdir(parents=True)
    (folder / "store").write_bytes(marked_token.encode())
def test_child(marked_token):
    code = "import sys; print(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code], input=marked_token.encode(), capture_output=True)
def test_child_stderr(marked_token):
    code = "import sys; sys.exit(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code], input=marked_token, capture_output=True, text=True)
def test_title(marked_token): subprocess.run([sys.executable, "-c", "", marked_token])
"""
FOUND = {
    "test_stdout": "what was printed",
    "test_stderr": "what was printed",
    "test_descriptor": "what was printed",
    "test_file": "record",
    "test_name": "...",
    "test_store": "store",
    "test_child": "the output of a process",
    "test_child_stderr": "the output of a process",
    "test_title": "the arguments of a process",
}


def test_a_test_that_lets_the_token_out_fails(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "conftest.py").write_text(f"exec(open({conftest.__file__!r}).read())\n")
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    base = tmp_path_factory.mktemp("leaks")  # which this test is not searched in
    quiet = ["-rA", "--tb=no", "--show-capture=no", f"--basetemp={base}/tests", "-p", "no:cacheprovider"]
    ended = run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *quiet, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200"},  # a summary is cut to fit
    )
    told = {
        place.rpartition("::")[2]: message.removeprefix("Failed: the token is in ")
        for kind, _, rest in (line.partition(" ") for line in ended.stdout.decode().splitlines())
        for place, _, message in [rest.partition(" - ")]
        if kind == "ERROR"
    }
    assert told == FOUND
    assert ended.returncode == 1


def test_a_run_shows_its_token_to_github_alone(
    services: Services, tmp_path: Path, own_home: Path, marked_token: str
) -> None:
    env = environment(services, HOME=str(own_home), GITHUB_TOKEN=marked_token)
    files = ["-o", "out/", "--report", "report", "--record", "run.har"]
    ended = run(command("p-0", "p-missing", *files, "-v", "--log-format", "json"), env=env, cwd=tmp_path)
    assert ended.returncode == 3
    assert records(tmp_path / "out") == {"p-0"}
    assert services.signed == {"", f"Bearer {marked_token}"}
    assert (own_home / ".cache" / "pkgharvest" / FILE).stat().st_size > 0
    assert json.loads((tmp_path / "run.har").read_bytes())["log"]["entries"]
    configured = run([*command()[:-1], "config"], env=env, cwd=tmp_path)
    assert b"GITHUB_TOKEN" in configured.stdout


def test_the_title_of_the_process_does_not_show_the_token(
    services: Services, tmp_path: Path, marked_token: str
) -> None:
    title = Path("/proc/self/cmdline")
    if not title.exists():
        pytest.skip("this system shows processes otherwise")
    services.hanging = {"p-1"}
    env = environment(services, HOME=str(tmp_path), GITHUB_TOKEN=marked_token)
    with running(command("p-1"), env=env) as process:
        until(lambda: f"Bearer {marked_token}" in services.signed)
        for name in ("cmdline", "comm"):
            shown = Path(f"/proc/{process.pid}/{name}").read_bytes()
            assert shown
            assert marked_token.encode() not in shown
        services.go.set()
        assert process.communicate(timeout=10)[0]


@pytest.mark.parametrize(
    ("variable", "end"), [("GITHUB_TOKEN", "\nx"), ("GH_TOKEN", '"'), ("GITHUB_TOKEN", "\udcff")]
)
def test_what_is_no_token_is_told_by_the_variable(
    services: Services, tmp_path: Path, marked_token: str, variable: str, end: str
) -> None:
    env = environment(services, HOME=str(tmp_path), **{variable: marked_token + end})
    ended = run(command("p-0", "--log-format", "json"), env=env)
    assert (ended.returncode, ended.stdout, services.asked) == (4, b"", [])
    [line] = ended.stderr.decode().splitlines()
    assert json.loads(line)["message"].startswith(f"{variable} holds characters that are in no token: ")


def test_the_command_line_takes_no_token(services: Services, tmp_path: Path) -> None:
    ended = run(command("p-0", "--token", "x"), env=environment(services, HOME=str(tmp_path)))
    assert (ended.returncode, services.asked) == (2, [])
    assert b"No such option" in ended.stderr
