"""The help of the commands, and what the shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pkgharvest.cli import app

COMMANDS = [["fetch"], ["show"], ["limits"], ["schema"], ["config"], ["cache", "info"], ["cache", "clear"]]


def help_of(*command: str) -> str:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"}, prog_name="pkgharvest")
    assert result.exit_code == 0
    return result.stdout


def test_the_first_help_fits_a_screen() -> None:
    lines = help_of().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    named = re.findall(r"^  ([a-z]+)  +[A-Z]", "\n".join(lines), re.MULTILINE)
    assert named == ["fetch", "show", "limits", "schema", "config", "cache"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_two_examples(command: list[str]) -> None:
    examples = re.findall(r"^  (?:[A-Z_]+=\S+ )?pkgharvest .*$", help_of(*command), re.MULTILINE)
    assert len(examples) >= 2
    assert all(f"pkgharvest {' '.join(command)}" in example for example in examples)


@pytest.mark.parametrize("command", ["fetch", "show"])
def test_options_stand_in_groups_and_the_ends_below(command: str) -> None:
    shown = help_of(command)
    groups = re.findall(r"^([A-Z].*):$", shown, re.MULTILINE)
    assert groups == ["Arguments", "What to harvest", "Asking", "What to write", "What to tell", "Options"]
    assert "Exit codes: 0 every target gave a record" in shown
    assert "Environment: GITHUB_TOKEN or GH_TOKEN" in shown


def completed(words: str, folder: Path) -> list[str]:
    """Return what bash is offered for the last of the words."""
    environment = {
        "PATH": os.environ["PATH"],
        "_PKGHARVEST_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    return printed(environment, folder).split()


def printed(environment: dict[str, str], folder: Path) -> str:
    program = [sys.executable, "-c", "from pkgharvest.cli import main; main()"]
    run = subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    slugs = {"django-ltree": "snapshots", "django-pghistory": "snapshots", "celery": "others"}
    for slug, name in slugs.items():
        path = tmp_path / name / f"{slug}.json"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param("pkgharvest fe", ["fetch"], id="a command"),
        pytest.param("pkgharvest fetch --max-", ["--max-age", "--max-wait"], id="an option"),
        pytest.param("pkgharvest show --format m", ["markdown"], id="a choice"),
        pytest.param("pkgharvest fetch django-", ["django-ltree", "django-pghistory"], id="the usual folder"),
        pytest.param("pkgharvest fetch -o others/ c", ["celery"], id="the folder on the command line"),
        pytest.param("pkgharvest show --base others/ c", ["celery"], id="the folder of base records"),
        pytest.param("pkgharvest show nothing-like-it", [], id="nothing"),
    ],
)
def test_the_shell_completes_commands_options_choices_and_slugs(
    words: str, offered: list[str], folder: Path
) -> None:
    assert completed(words, folder) == offered


def test_without_a_folder_no_slug_is_offered(tmp_path: Path) -> None:
    assert completed("pkgharvest fetch d", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_gets_its_script(shell: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "_PKGHARVEST_COMPLETE": f"source_{shell}"}
    assert "_PKGHARVEST_COMPLETE" in printed(environment, tmp_path)


def test_a_name_that_a_shell_would_run_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    for name in ("r$(touch x)", "r`id`", "r s", "r'", "really"):
        (tmp_path / "snapshots" / f"{name}.json").touch()
    assert completed("pkgharvest show r", tmp_path) == ["really"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no full device")
@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "fetch --help", "config", "cache info", "schema"]
)
def test_a_full_device_is_told_in_one_line(arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "pkgharvest", *arguments.split()],
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 7
    assert run.stderr == "error: the standard output cannot be written: No space left on device\n"
