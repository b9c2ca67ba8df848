"""`pkgharvest show`: where records come from, in which forms they go where."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pkgharvest.cli import app
from pkgharvest.record import Record, decode_record
from pkgharvest.show.comparison import Shown
from pkgharvest.show.page import Layout, write
from services import catalog_record

GOLDEN = Path(__file__).parent / "golden"
NAMES = ["django-ltree", "django-pghistory", "djorm-ext-pgfulltext"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["show", *arguments])


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_shown_alike_from_its_file_and_from_a_harvest(name: str) -> None:
    from_file = run(str(GOLDEN / f"{name}.json"))
    harvested = run(name, "--replay", "demo", "--catalog")
    assert (from_file.exit_code, harvested.exit_code) == (0, 0)
    assert from_file.stdout == harvested.stdout
    assert f"╭─ {name} " in from_file.stdout


def test_what_only_a_harvest_knows_is_a_warning() -> None:
    told = run(*NAMES, "--replay", "demo", "--catalog").stderr.splitlines()
    assert told == [
        "django-pghistory: warning: the repository has moved to https://github.com/AmbitionEng/django-pghistory",
        "djorm-ext-pgfulltext: warning: no release for two years: version 0.10 is of 2014-05-22",
    ]


def test_several_packages_are_a_grid_and_one_row_each_on_demand() -> None:
    columns = run(f"{GOLDEN}/").stdout.splitlines()
    rows = run(f"{GOLDEN}/", "--rows", "--sort", "stars").stdout.splitlines()
    assert re.split(r"  +", columns[0].strip()) == NAMES
    assert [line.split()[0] for line in rows[3:6]] == ["django-pghistory", "djorm-ext-", "pgfulltext"]


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("stars", ["django-pghistory", "djorm-ext-pgfulltext", "django-ltree"]),
        ("commits", ["django-ltree", "django-pghistory", "djorm-ext-pgfulltext"]),
        ("updated", ["django-pghistory", "django-ltree", "djorm-ext-pgfulltext"]),
        ("name", NAMES),
    ],
)
def test_packages_are_sorted(by: str, order: list[str]) -> None:
    shown = run(f"{GOLDEN}/", "--sort", by, "-f", "json").stdout
    assert re.findall(r'"slug": "(.*)"', shown) == order


def test_records_in_json_are_those_of_the_files() -> None:
    path = GOLDEN / "django-ltree.json"
    assert run(str(path), "-f", "json").stdout_bytes == path.read_bytes()


def test_a_file_of_many_records_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(
        "".join(json.dumps(json.loads((GOLDEN / f"{name}.json").read_text())) + "\n" for name in NAMES)
    )
    assert re.findall(r'"slug": "(.*)"', run(str(path), "-f", "json").stdout) == NAMES


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("html", b"<!doctype html>"), ("markdown", b"|  | [django-ltree](https://github.com/")],
)
def test_pages_go_to_stdout_or_a_file(form: str, beginning: bytes, tmp_path: Path) -> None:
    shown = run(str(GOLDEN / "django-ltree.json"), "-f", form)
    path = tmp_path / "page"
    written = run(str(GOLDEN / "django-ltree.json"), "-f", form, "-o", str(path))
    assert (written.exit_code, written.stdout) == (0, "")
    assert path.read_bytes() == shown.stdout_bytes
    assert path.read_bytes().lower().startswith(beginning)


def test_a_card_in_a_file_is_the_one_on_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "card.txt"
    shown = run(str(GOLDEN / "django-ltree.json")).stdout
    assert run(str(GOLDEN / "django-ltree.json"), "-o", str(path)).exit_code == 0
    assert path.read_text(encoding="utf-8") == shown


def test_a_file_that_holds_no_record_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "django-ltree.json").write_bytes((GOLDEN / "django-ltree.json").read_bytes())
    result = run(f"{tmp_path}/", "-f", "json")
    assert (result.exit_code, decode_record(result.stdout_bytes).slug) == (3, "django-ltree")
    assert result.stderr.startswith(f"broken: error: {tmp_path}/broken.json holds no record: ")


@pytest.mark.parametrize("name", ["no/such/", "./none.json", "none.jsonl"])
def test_a_path_that_leads_nowhere_is_told(name: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be read: No such file" in result.stderr


def test_files_and_harvests_stand_side_by_side() -> None:
    shown = run(str(GOLDEN / "django-ltree.json"), "django-pghistory", "--replay", "demo", "--catalog", "-q")
    assert re.split(r"  +", shown.stdout.splitlines()[0].strip()) == NAMES[:2]


def test_a_package_that_fails_is_told_and_the_others_are_shown() -> None:
    result = run("django-ltree", "no-such", "--replay", "demo", "--catalog")
    assert result.exit_code == 3
    assert "╭─ django-ltree " in result.stdout
    assert "no-such: error: " in result.stderr


def test_nothing_named_is_an_error_of_usage() -> None:
    assert run().exit_code == 2


def test_colours_are_for_terminals_and_can_be_had_and_refused() -> None:
    path = str(GOLDEN / "django-ltree.json")
    forced = {"FORCE_COLOR": "1"}
    plain = run(path).stdout
    coloured = CliRunner().invoke(app, ["show", path], env=forced, color=True).stdout
    refused = CliRunner().invoke(app, ["show", path, "--no-color"], env=forced, color=True).stdout
    assert "\x1b" not in plain
    assert "\x1b[32m" in coloured
    assert "\x1b[32m" not in refused


def test_a_package_that_is_named_twice_is_shown_once_with_a_note() -> None:
    path = str(GOLDEN / "django-ltree.json")
    twice = run(path, f"{GOLDEN}/", "django-ltree", "--replay", "demo", "--catalog", "-f", "json")
    assert re.findall(r'"slug": "(.*)"', twice.stdout) == NAMES
    assert twice.stderr.splitlines().count("django-ltree: skipped: the package is shown already") == 2


def test_nothing_to_show_is_told(tmp_path: Path) -> None:
    result = run(f"{tmp_path}/")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "there is nothing to show: no record was found\n"


def test_a_package_that_is_called_like_a_folder_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "django-ltree").mkdir()
    result = run("django-ltree", "--replay", "demo", "--catalog")
    assert "╭─ django-ltree " in result.stdout
    assert result.stderr.startswith("warning: django-ltree is taken for a package; write django-ltree/ for")


def test_the_home_of_nobody_is_told_in_a_line() -> None:
    result = run("~nobody-of-this-name/records.json")
    assert result.exit_code == 2
    assert result.stderr == "error: there is no user whose home '~nobody-of-this-name/records.json' names\n"


class Terminal(io.TextIOWrapper):
    """The standard output where somebody looks at it."""

    def isatty(self) -> bool:
        return True


def test_json_on_a_terminal_does_not_steer_it() -> None:
    text = "\x9b31m\u202e"
    record = msgspec.convert(catalog_record(repo_description=text), Record)
    paper = io.BytesIO()
    terminal = Terminal(paper, encoding="utf-8")
    write([Shown(record)], Layout(form="json"), terminal)
    shown = paper.getvalue().decode()
    terminal.close()
    assert "\\u009b31m\\u202e" in shown
    assert decode_record(shown.encode()) == record
