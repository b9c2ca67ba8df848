"""What the README shows is what happens."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = f"{sys.executable} -m pkgharvest"


def block_after(marker: str, language: str) -> str:
    """Return the first block of a language that follows a marker."""
    match = re.search(rf"```{language}\n(.*?)```", README.split(marker, 1)[1], re.DOTALL)
    assert match is not None
    return match[1]


def examples() -> list[tuple[str, str]]:
    """Return the commands that need no network, with the output that is shown."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    shown = [
        example
        for block in blocks
        for example in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]
    without_network = ("--replay demo", "pkgharvest schema")
    return [
        (command, output) for command, output in shown if any(part in command for part in without_network)
    ]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "COLUMNS": "80"}


@pytest.mark.parametrize("command", ["fetch", "schema"])
def test_the_help_is_the_commands_own(command: str) -> None:
    program = [sys.executable, "-m", "pkgharvest", command, "--help"]
    shown = subprocess.run(program, capture_output=True, text=True, check=True, env=environment())
    assert block_after(f"<!-- help: pkgharvest {command} --help -->", "text") == shown.stdout


def test_there_are_examples() -> None:
    assert len(examples()) >= 6


@pytest.mark.parametrize(("command", "output"), examples())
def test_an_example_gives_the_output_that_is_shown(command: str, output: str) -> None:
    if "| jq" in command and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    last = command.rpartition("&& ")[2]
    program = re.sub(r"(^|\s)(\.venv/bin/)?pkgharvest ", rf"\1{COMMAND} ", last)
    run = subprocess.run(
        ["bash", "-c", f"({program}) 2>&1"], capture_output=True, text=True, check=False, env=environment()
    )
    assert run.stdout == output


def test_the_python_example_prints_what_is_shown() -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(block_after("## From Python", "python"), {})  # noqa: S102  the README's own text
    assert printed.getvalue() == block_after("## From Python", "text")


def test_every_field_of_a_record_is_explained() -> None:
    from pkgharvest.record import Record

    table = README.split("## The record", 1)[1].split("## Snapshots", 1)[0]
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(named) == sorted(Record.__struct_fields__)
