"""What the README shows is what happens."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkgharvest.errors import NotFoundError, UnavailableError
from pkgharvest.net.message import Cost
from pkgharvest.report import Report
from pkgharvest.results import Failure

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = f"{sys.executable} -m pkgharvest"
GOLDEN = ROOT / "tests" / "golden"
LINES = r"((?:(?!```).*\n)*)```"
QUESTIONS = re.findall(rf"<!-- recipe: (\w+) -->\n```sh\n{LINES}\n\n```text\n{LINES}", README)


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
    without_network = ("--replay demo", "pkgharvest schema", "pkgharvest config")
    return [
        (command, output) for command, output in shown if any(part in command for part in without_network)
    ]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "COLUMNS": "80"}


MARKERS = re.findall(r"<!-- help: pkgharvest (?:[a-z]+ )*--help -->", README)


def test_there_are_helps() -> None:
    assert len(MARKERS) >= 2


@pytest.mark.parametrize("marker", MARKERS)
def test_a_help_is_the_commands_own(marker: str) -> None:
    arguments = marker.removeprefix("<!-- help: pkgharvest ").removesuffix(" -->").split()
    command = [sys.executable, "-m", "pkgharvest", *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert block_after(marker, "text") == shown.stdout


def test_there_are_examples() -> None:
    assert len(examples()) >= 6


@pytest.mark.parametrize(("command", "output"), examples())
def test_an_example_gives_the_output_that_is_shown(command: str, output: str, tmp_path: Path) -> None:
    if "| jq" in command and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    installed = re.sub(r"^python3 -m venv .venv && .venv/bin/pip install [^&]*&& ", "", command)
    program = re.sub(r"(^|\s)(\.venv/bin/)?pkgharvest ", rf"\1{COMMAND} ", installed)
    run = subprocess.run(
        ["bash", "-c", f"({program}) 2>&1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert run.stdout == output


def test_the_python_example_prints_what_is_shown() -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(block_after("## From Python", "python"), {})  # noqa: S102  the README's own text
    assert printed.getvalue() == block_after("## From Python", "text")


def test_every_field_of_a_record_is_explained() -> None:
    from pkgharvest.record import Record

    table = README.split("## The record\n", 1)[1].split("\n## ", 1)[0]
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(named) == sorted(Record.__struct_fields__)


def recipe(name: str) -> str:
    """Return the shell script of a recipe."""
    return block_after(f"<!-- recipe: {name} -->", "sh")


def step(name: str) -> str:
    """Return the shell script of a step of the workflow."""
    workflow = block_after("### GitHub Actions", "yaml")
    match = re.search(rf"- name: {name}\n(?: {{8}}.*\n)*? {{8}}run: \|\n((?: {{10}}.*\n)+)", workflow)
    assert match is not None
    return textwrap.dedent(match[1])


def run_script(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in bash, as a step of a workflow is run; git sees no settings but these."""
    alone = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment() | alone | variables,
    )


def succeed(script: str, folder: Path) -> str:
    """Run a script that must not fail, and return what it printed."""
    run = run_script(script, folder)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def need(*programs: str) -> None:
    """Skip the test where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def write_golden(folder: Path, stars: dict[str, int] | None = None) -> None:
    """Write the records into a folder, some with other stars."""
    folder.mkdir(exist_ok=True)
    for file in GOLDEN.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        if stars is not None and file.stem in stars:
            text = re.sub(r'("repo_watchers": )\d+', rf"\g<1>{stars[file.stem]}", text)
        (folder / file.name).write_text(text, encoding="utf-8")


def write_report(file: Path) -> None:
    """Write the report of a run in which a package that is gone failed, and one that may come back."""
    with file.open("wb") as stream:
        report = Report(stream.write, datetime(2026, 2, 15, tzinfo=UTC))
        report.add(Failure("gone", "gone", NotFoundError("it is gone")))
        report.add(Failure("django-ltree", "django-ltree", UnavailableError("not now")))
        report.finish(3, 1.0, {}, Cost())


def test_there_are_questions_to_a_folder() -> None:
    names = [name for name, _, _ in QUESTIONS]
    assert names == ["active", "stale", "fallen", "table", "retry", "sqlite", "duckdb"]


@pytest.mark.parametrize(("name", "script", "output"), QUESTIONS, ids=[name for name, _, _ in QUESTIONS])
def test_a_question_to_a_folder_gets_the_answer_that_is_shown(
    name: str, script: str, output: str, tmp_path: Path
) -> None:
    need(*(program for program in ("git", "jq", "sqlite-utils") if f"{program} " in script))
    if "import duckdb" in script and importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed")
    if name == "fallen":
        write_golden(tmp_path / "snapshots", {"django-ltree": 80, "django-pghistory": 500})
        succeed("git init -q && git add snapshots && git commit -qm yesterday", tmp_path)
    write_golden(tmp_path / "snapshots")
    write_report(tmp_path / "report.jsonl")
    answer = succeed(script.replace("python3 ", f"{shlex.quote(sys.executable)} "), tmp_path)
    assert answer.rstrip("\n") == output.rstrip("\n")


@pytest.mark.parametrize(
    ("packages", "mailed"),
    [
        ("django-ltree\ndjango-pghistory\n", []),
        (
            "django-ltree\nno-such-package\n",
            ["level=error event=failed target=no-such-package place=packages.txt:2"],
        ),
    ],
)
def test_the_script_for_cron_prints_only_what_went_wrong(
    packages: str, mailed: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".github-token").write_text("GITHUB_TOKEN=x\n", encoding="utf-8")
    (tmp_path / "packages.txt").write_text(packages, encoding="utf-8")
    script = recipe("harvest").replace("/srv/packages", shlex.quote(str(tmp_path)))
    script = script.replace(
        "/opt/pkgharvest/bin/pkgharvest fetch", f"{COMMAND} fetch --replay demo --catalog"
    )
    run = subprocess.run(
        ["/bin/sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"HOME": str(tmp_path)},
    )
    assert run.stderr == ""
    assert [re.sub(r"^time=\S+ | reason=.*", "", line) for line in run.stdout.splitlines()] == mailed
    assert "event=summary" in (tmp_path / "harvest.log").read_text(encoding="utf-8")
    assert (tmp_path / "snapshots" / "django-ltree.json").exists()


def test_the_script_for_cron_tells_that_the_command_is_missing(tmp_path: Path) -> None:
    (tmp_path / ".github-token").touch()
    script = recipe("harvest").replace("/srv/packages", shlex.quote(str(tmp_path)))
    script = script.replace("/opt/pkgharvest/bin/", shlex.quote(f"{tmp_path}/no/"))
    variables = environment() | {"HOME": str(tmp_path)}
    run = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=False, env=variables
    )
    assert "no/pkgharvest" in run.stdout


def test_the_workflow_commits_what_changed_and_nothing_else(tmp_path: Path) -> None:
    need("git")
    succeed("git init -q --bare -b main origin && git clone -q origin clone 2>&1", tmp_path)
    clone, commit = tmp_path / "clone", step("Commit what changed")
    (clone / "packages.txt").write_text("django-ltree\n", encoding="utf-8")
    succeed(
        "git checkout -q -b main && git add . && git commit -qm start && git push -q -u origin main", clone
    )
    succeed("git clone -q origin other", tmp_path)

    succeed(commit, clone)
    assert succeed("git log --format=%s main", tmp_path / "origin") == "start\n"

    write_golden(clone / "snapshots")
    (clone / "snapshots" / ".pkgharvest.lock").touch()
    succeed("git commit -q --allow-empty -m meanwhile && git push -q", tmp_path / "other")
    succeed(commit, clone)
    committed = succeed(
        "git show --format= --name-only main && git log --format=%s main", tmp_path / "origin"
    )
    assert committed.splitlines()[:3] == [f"snapshots/{file.name}" for file in sorted(GOLDEN.glob("*.json"))]
    assert re.fullmatch(
        r"Harvest of \d{4}-\d\d-\d\d\nmeanwhile\nstart\n", "".join(committed.splitlines(True)[3:])
    )

    write_golden(clone / "snapshots", {"django-ltree": 73})
    succeed(commit, clone)
    assert (
        succeed("git show --format= --name-only main", tmp_path / "origin") == "snapshots/django-ltree.json\n"
    )

    succeed(commit, clone)
    assert succeed("git rev-list --count main", tmp_path / "origin") == "4\n"


def test_the_workflow_tells_what_failed(tmp_path: Path) -> None:
    need("jq")
    write_report(tmp_path / "report.jsonl")
    run = run_script(
        step("Tell what failed"),
        tmp_path,
        RUNNER_TEMP=str(tmp_path),
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"),
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "summary.md").read_text(
        encoding="utf-8"
    ) == "- gone: it is gone\n- django-ltree: not now\n"


def test_every_setting_is_in_the_table_with_its_variable() -> None:
    from pkgharvest.keys import KEYS

    table = README.split("### Settings", 1)[1].split("### Environment variables", 1)[0]
    rows = re.findall(r"^\| (`[a-z].*?) \| (`PKGHARVEST_.*?) \|", table, re.MULTILINE)
    named = [
        pair for row in rows for pair in zip(*(re.findall(r"`(.*?)`", cell) for cell in row), strict=True)
    ]
    assert named == [(key.name, key.variable) for key in KEYS]


def test_the_example_of_a_file_is_one_of_settings(tmp_path: Path) -> None:
    from pkgharvest.configuration import DEFAULT, configure, read_files

    example = tmp_path / "pkgharvest.toml"
    example.write_text(block_after("### Settings", "toml"), encoding="utf-8")
    given = configure({}, {}, read_files(example)).given
    assert [name for name, found in given.items() if found.source != DEFAULT] == [
        "catalog",
        "timezone",
        "max-wait",
    ]
