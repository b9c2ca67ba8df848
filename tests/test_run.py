"""Runs as a user sees them: lists of the catalog, what is due, what is wrong before the start, exit codes."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pkgharvest.bases import HeldRecords
from pkgharvest.errors import (
    NotFoundError,
    OccupiedError,
    OutputError,
    PkgharvestError,
    RateLimitedError,
    SettingError,
    StoppedError,
    TargetError,
    TokenRefusedError,
    UnreachableError,
)
from pkgharvest.record import Record
from pkgharvest.results import Failure
from pkgharvest.run import Outcome, check_slugs
from pkgharvest.snapshot import LOCK
from pkgharvest.targets import DEFAULT_HOSTS, parse_target
from services import CATALOG, catalog_record
from world import World, address, fetch, served, slugs

STOPPED = StoppedError("stopped by SIGTERM", 15)
LIMITED, REFUSED = RateLimitedError("wait"), TokenRefusedError("no")
GONE, AWAY = NotFoundError("gone"), UnreachableError("away")


@pytest.fixture
def world() -> Iterator[World]:
    with served(World()) as made:
        yield made


@pytest.mark.parametrize(
    ("errors", "records", "stopped", "code"),
    [
        ([], 0, None, 0),
        ([], 5, None, 0),
        ([GONE], 5, None, 3),
        ([LIMITED], 5, None, 5),
        ([REFUSED], 5, None, 4),
        ([AWAY], 0, None, 6),
        ([AWAY, AWAY], 0, None, 6),
        ([AWAY], 1, None, 3),
        ([AWAY, GONE], 0, None, 3),
        ([OutputError("full")], 5, None, 7),
        ([OccupiedError("in the way")], 5, None, 7),
        ([GONE, AWAY, LIMITED], 5, None, 5),
        ([GONE, LIMITED, REFUSED, AWAY], 5, None, 4),
        ([GONE, LIMITED, REFUSED, AWAY, OutputError("full")], 5, None, 7),
        ([], 5, STOPPED, 143),
        ([GONE, LIMITED, REFUSED, STOPPED], 5, STOPPED, 143),
        ([STOPPED], 5, STOPPED, 143),
        ([OutputError("full")], 5, STOPPED, 7),
    ],
)
def test_the_exit_code_where_several_apply(
    errors: list[PkgharvestError], records: int, stopped: StoppedError | None, code: int
) -> None:
    for order in (errors, errors[::-1]):
        outcome = Outcome(records=records, stopped=stopped)
        for error in order:
            outcome.add(error)
        assert outcome.exit_code == code


BASE = msgspec.convert(
    catalog_record(slug="django-x", pypi_url="http://pypi.python.org/pypi/x-on-pypi"), Record
)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["a", "b", "A", "https://github.com/ann/c"], None),
        (["a", "https://github.com/ann/a", "A"], "a and https://github.com/ann/a are both 'a'"),
        (["https://github.com/ann/a", "https://github.com/bob/A"], "are both 'a'"),
        (["x-on-pypi", "django-x"], "x-on-pypi and django-x are both 'django-x'"),
        ([address(99), "django-x"], "are both 'django-x'"),
        (["https://github.com/ann/django-x", "https://github.com/bob/django-x"], "are both 'django-x'"),
        ([address(1), address(2)], None),
        ([f"{CATALOG}/grids/g/a/", "a"], None),
    ],
)
def test_two_packages_that_would_be_one_file_are_told(texts: list[str], told: str | None) -> None:
    targets = [*map(parse_target, texts), Failure("a", "a", TargetError("no"))]
    bases = HeldRecords([BASE], DEFAULT_HOSTS)
    if told is None:
        check_slugs(targets, bases)
    else:
        with pytest.raises(SettingError, match="would be one file") as caught:
            check_slugs(targets, bases)
        assert told in caught.value.message


def test_slugs_that_differ_by_case_are_one_file() -> None:
    base = msgspec.structs.replace(BASE, slug="Django-X", pypi_url="http://pypi.python.org/pypi/other")
    bases = HeldRecords([base], DEFAULT_HOSTS)
    with pytest.raises(SettingError, match="would be one file"):
        check_slugs([parse_target("other"), parse_target("django-x")], bases)


@pytest.mark.parametrize("catalog", [(), ("--catalog",)], ids=["", "--catalog"])
def test_the_whole_catalog_is_asked_for_lists_alone(
    world: World, tmp_path: Path, catalog: tuple[str]
) -> None:
    world.size, world.page = 45, 20
    result = fetch("--all-catalog", *catalog, "-o", f"{tmp_path}/")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"p{n}.json" for n in range(1, 46))
    assert world.counts() == {"packages/": 3, "graphql": 3, "pypi": 45, "contributors": 45}
    record = json.loads((tmp_path / "p7.json").read_bytes())
    assert (record["id"], record["title"], record["repo_watchers"]) == (7, "P7", 12)


@pytest.mark.parametrize("catalog", [(), ("--catalog",)], ids=["", "--catalog"])
def test_a_grid_by_slug_and_a_category_by_number(world: World, catalog: tuple[str]) -> None:
    world.size, world.grids = 4, {"g": [address(2), address(1)]}
    result = fetch(f"{CATALOG}/grids/g/g/", f"{CATALOG}/api/v4/categories/1/", *catalog, "-f", "jsonl", "-q")
    assert (result.exit_code, slugs(result)) == (0, ["p2", "p1", "p3"])
    counts = world.counts()
    assert {kind: counts[kind] for kind in ("grids/..", "packages/..", "categories/", "packages/")} == {
        "grids/..": 1,
        "packages/..": 2,
        "categories/": 1,
        "packages/": 1,
    }


def test_a_grid_whose_packages_are_in_the_folder_costs_one_request_of_the_catalog(
    world: World, tmp_path: Path
) -> None:
    world.grids = {"g": [address(n) for n in (3, 1, 2)]}
    arguments = (f"{CATALOG}/grids/g/g/", "-o", f"{tmp_path}/")
    assert fetch(*arguments).exit_code == 0
    assert world.counts()["packages/.."] == 3
    world.asked.clear()
    assert fetch(*arguments).exit_code == 0
    assert world.counts() == {"grids/..": 1, "graphql": 1, "pypi": 3}


def test_odd_entries_and_a_catalog_that_fails_in_the_middle_do_not_stop_the_others(world: World) -> None:
    world.size, world.page = 6, 3
    world.entries[5] = {"id": 5, "slug": None}
    second = f"{CATALOG}/api/v4/packages/?limit=100&offset=3"
    world.first[second] = [httpx.Response(403, text="no")]
    result = fetch("--all-catalog", "p1", "-f", "jsonl")
    assert (result.exit_code, slugs(result)) == (3, ["p1", "p6", "p4"])
    told = result.stderr.splitlines()
    assert told[0].startswith(f"{address(5)}: error: a package in the catalog's list is no record: ")
    assert told[1] == (
        f"{CATALOG}/api/v4/packages/: error: djangopackages.org answered 403 for the list of packages: 'no'"
    )
    assert told[2].startswith("3 records, 2 failed in ")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("grids/g/nix", "the grid 'nix' is not on djangopackages.org (404). Check the name"),
        ("categories/nix", "the catalog has no category 'nix'. Check the name"),
        ("api/v4/categories/77", "the catalog has no category '77'. Check the name"),
    ],
)
def test_lists_that_are_not_there_are_told(world: World, target: str, told: str) -> None:
    result = fetch(f"{CATALOG}/{target}/")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{CATALOG}/{target}/: error: {told}\n0 records, 1 failed in ")
    assert world.counts()["packages/"] == 0


def test_a_grid_without_packages_is_a_note(world: World) -> None:
    world.grids = {"g": []}
    result = fetch(f"{CATALOG}/grids/g/g/")
    assert (result.exit_code, result.stderr) == (0, "there is no package to harvest: the lists are empty\n")


def test_a_dry_run_of_the_whole_catalog_asks_nobody(world: World) -> None:
    result = fetch("--all-catalog", "--dry-run", "p1")
    assert (result.exit_code, world.asked) == (0, [])
    assert result.stdout.splitlines()[0] == "packages: 1, 0 with an earlier record"
    assert result.stdout.splitlines()[-1] == (
        "and the packages of 1 of the catalog's lists, which it was not asked for"
    )


def test_a_dry_run_counts_what_is_due(world: World, tmp_path: Path) -> None:
    fetch("p1", "p2", "-o", f"{tmp_path}/")
    (tmp_path / "p3.json").write_text("{")
    world.asked.clear()
    result = fetch("p1", "p2", "p3", "p4", "--dry-run", "--max-age", "1h", "-o", f"{tmp_path}/")
    assert result.stdout.splitlines()[0] == (
        "packages: 1, 0 with an earlier record, 2 young enough to be skipped"
    )
    assert f"p3: error: {tmp_path}/p3.json holds no record" in result.stderr
    assert world.asked == []


def dated(path: Path, age: timedelta | None) -> bytes:
    """Let a record be fetched so long ago; return the file's bytes."""
    record = json.loads(path.read_bytes())
    record["last_fetched"] = None if age is None else (datetime.now(UTC) - age).isoformat()
    path.write_text(json.dumps(record, indent=4) + "\n")
    return path.read_bytes()


HOURS = {1: 1, 2: 19, 3: 21, 4: -1, 5: None}
"""How long ago each record was fetched."""


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """Return a folder of five records of different ages."""
    folder = tmp_path / "snap"
    assert fetch(*(f"p{n}" for n in HOURS), "-o", f"{folder}/").exit_code == 0
    for number, hours in HOURS.items():
        dated(folder / f"p{number}.json", None if hours is None else timedelta(hours=hours))
    world.asked.clear()
    return folder


NAMES = [f"p{number}" for number in HOURS]


def test_what_is_young_in_a_folder_is_left_alone(world: World, folder: Path) -> None:
    before = {path.stem: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    result = fetch(*NAMES, "-o", folder, "--max-age", "20h", "-v")
    after = {path.stem: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert {slug for slug in before if before[slug] == after[slug]} == {"p1", "p2"}
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:2] == [
        "p1: skipped: fetched 1 hour ago",
        "p2: skipped: fetched 19 hours ago",
    ]
    assert result.stderr.splitlines()[-1].startswith("3 records, 2 skipped in ")
    assert world.counts() == {"graphql": 1, "pypi": 3}


@pytest.mark.parametrize("to_file", [True, False])
def test_what_is_young_is_passed_on_as_it_is(
    world: World, folder: Path, tmp_path: Path, to_file: bool
) -> None:
    young = {n: json.loads((folder / f"p{n}.json").read_bytes()) for n in (1, 2)}
    output = tmp_path / "all.jsonl"
    to = ("-o", output) if to_file else ()
    result = fetch(*NAMES, "--base", folder, "-f", "jsonl", "--max-age", "20h", *to)
    text = output.read_text() if to_file else result.stdout
    records = {record["id"] or record["slug"]: record for record in map(json.loads, text.splitlines())}
    assert list(records) == NAMES
    for number, record in young.items():
        told = records[f"p{number}"]
        moments = [datetime.fromisoformat(each.pop("last_fetched")) for each in (record, told)]
        assert moments[0] == moments[1]
        assert told == record
    assert world.counts() == {"graphql": 1, "pypi": 3}


def test_a_run_of_young_records_asks_nobody_and_replaces_the_file(
    world: World, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "all.json"
    output.write_text("old")
    result = fetch("p1", "p2", "--base", folder, "-f", "list", "--max-age", "20h", "-o", output)
    assert (result.exit_code, result.stderr, world.asked) == (0, "", [])
    assert [record["slug"] for record in json.loads(output.read_bytes())["results"]] == ["p1", "p2"]


def test_young_packages_do_not_make_the_queries_smaller(world: World, tmp_path: Path) -> None:
    world.size = 60
    names = [f"p{number}" for number in range(1, 61)]
    fetch(*names, "-o", f"{tmp_path}/")
    for number in range(3, 61, 3):
        dated(tmp_path / f"p{number}.json", timedelta(days=2))
    world.asked.clear()
    result = fetch(*names, "-o", f"{tmp_path}/", "--max-age", "1d", "-v")
    assert result.stderr.splitlines()[-1].startswith("20 records, 40 skipped in ")
    assert world.counts() == {"graphql": 1, "pypi": 20}


def test_young_base_records_from_elsewhere_are_put_into_the_folder(
    world: World, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    result = fetch("p1", "--base", folder, "-o", f"{other}/", "--max-age", "20h")
    assert (result.exit_code, world.asked) == (0, [])
    told, old = (json.loads((place / "p1.json").read_bytes()) for place in (other, folder))
    assert told["participants"] == old["participants"] == ["ann"]


@pytest.mark.parametrize("text", ["soon", "", "20", "-1h", "1 month", "h", "999999w"])
def test_an_age_that_is_none_is_told_before_anything_is_asked(world: World, text: str) -> None:
    result = fetch("p1", "--max-age", text)
    assert (result.exit_code, world.asked) == (2, [])
    assert result.stderr.startswith("error: ")


WRONG = [
    (["p1", "--only-changed"], "are for a folder: give --output FOLDER/"),
    (["p1", "--force", "-o", "x.json"], "are for a folder: give --output FOLDER/"),
    (["p1", "-f", "jsonl", "-o", "new/"], "--format jsonl has no meaning there"),
    (["p1", "-f", "list", "-o", "snap"], "--format list has no meaning there"),
    (["p1", "-o", ""], "--output is empty"),
    (["p1", "-q", "-v"], "--quiet and --verbose contradict each other"),
    (["p1", "--failed"], "--failed chooses from a report, and there is no --from"),
    (["p1", "https://github.com/ann/p1", "-o", "new/"], "are both 'p1', and would be one file"),
    (["https://github.com/ann/p1", "https://github.com/bob/P1", "-o", "snap"], "would be one file"),
    (["p1", "--from", "list.txt", "-o", "snap"], "p1 and https://github.com/ann/p1 are both 'p1'"),
    (["p2", "--from", "-", "-o", "snap"], "p2 and https://github.com/bob/p2.git are both 'p2'"),
    (["--from", "-", "p3", "--strict"], "1 of 3 targets are wrong, so nothing was asked"),
    (["--from", "-", "p3", "--strict", "-o", "snap"], "1 of 3 targets are wrong, so nothing was asked"),
    (["--from", "-", "p3", "--strict", "--dry-run"], "1 of the targets are wrong"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_what_is_wrong_is_told_before_anything_is_asked_or_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("snap").mkdir()
    Path("list.txt").write_text("# some\nhttps://github.com/ann/p1\n")
    result = fetch(*arguments, stdin="https://github.com/bob/p2.git\n../x\n")
    assert (result.exit_code, result.stdout, world.asked) == (2, "", [])
    assert told in result.stderr
    assert [path.name for path in Path().rglob("*") if path.name not in ("snap", "list.txt", "new")] == []


def test_a_strict_run_names_every_wrong_line(world: World) -> None:
    result = fetch("--from", "-", "--strict", stdin="p1\n../x\n\n?\n")
    assert result.exit_code == 2
    assert [line.partition(" error: ")[0] for line in result.stderr.splitlines()] == [
        "-:2:",
        "-:4:",
        "error: 2 of 3 targets are wrong, so nothing was asked",
    ]
    assert world.asked == []


def test_a_strict_run_without_wrong_lines_is_a_run(world: World) -> None:
    result = fetch("--from", "-", "--strict", "-f", "jsonl", stdin="p1\np2\n")
    assert (result.exit_code, slugs(result)) == (0, ["p1", "p2"])
    assert world.counts()["graphql"] == 1


def test_the_same_package_twice_in_a_folder_is_a_note(world: World, tmp_path: Path) -> None:
    result = fetch("p1", "P1", "--from", "-", "-o", f"{tmp_path}/", "--log-format", "text", stdin="p1\np2\n")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:2] == [
        "P1: skipped: the same package as p1",
        "p1: skipped: the same package as p1",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p1.json", "p2.json"]
    assert world.counts()["graphql"] == 1


@pytest.mark.parametrize(
    ("extra", "code"), [([], 7), (["--if-running", "fail"], 7), (["--if-running", "skip"], 0)]
)
def test_a_folder_that_another_run_works_on(
    world: World, tmp_path: Path, extra: list[str], code: int
) -> None:
    with (tmp_path / LOCK).open("w+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("4711\n")
        other.flush()
        result = fetch("p1", "-o", tmp_path, *extra, "--report", tmp_path / "r.jsonl")
    assert (result.exit_code, result.stdout, world.asked) == (code, "", [])
    busy = f"process 4711 is working on {tmp_path}"
    assert result.stderr == (
        f"error: {busy}. Wait for it to end, or give --if-running skip\n"
        if code
        else f"{busy}, so nothing was done\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_broken_file_fails_its_target_and_the_others_are_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "p2.json").write_text("{")
    result = fetch("p1", "p2", "p3", "-o", tmp_path)
    assert result.exit_code == 7
    told = result.stderr.splitlines()
    assert told[0].startswith(f"p2: error: {tmp_path}/p2.json holds no record: ")
    assert told[0].endswith("Mend or remove it, or overwrite it with --force")
    assert told[1].startswith("2 records, 1 failed in ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p1.json", "p2.json", "p3.json"]
    assert (tmp_path / "p2.json").read_text() == "{"
    assert world.counts()["pypi"] == 2
    assert fetch("p2", "-o", tmp_path, "--force").exit_code == 0
    assert json.loads((tmp_path / "p2.json").read_bytes())["slug"] == "p2"


def test_a_missing_package_beside_a_broken_file_is_exit_7(world: World, tmp_path: Path) -> None:
    (tmp_path / "p2.json").write_text("{")
    assert fetch("nix", "p2", "-o", tmp_path).exit_code == 7
    assert fetch("nix", "p1", "-o", tmp_path).exit_code == 3
    assert world.counts()["graphql"] == 1


@pytest.mark.parametrize("text", ["", "# nothing\n\n", "[]", '{"results": []}'])
def test_an_empty_list_is_a_note(world: World, tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    note = "there is no package to harvest: the lists are empty\n"
    for to in ((), ("-o", f"{tmp_path}/snap/"), ("--strict",)):
        result = fetch("--from", tmp_path / "list", *to)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", note)
    assert fetch("--from", tmp_path / "list", "-q").stderr == ""
    assert world.asked == []


def test_a_list_that_breaks_off_fails_after_what_came_before(world: World, tmp_path: Path) -> None:
    (tmp_path / "first.txt").write_text("p1\np2\n")
    output, report = tmp_path / "out.jsonl", tmp_path / "report.jsonl"
    result = fetch(
        *("--from", tmp_path / "first.txt", "--from", "-", "-f", "jsonl", "-o", output, "--report", report),
        stdin="{\nno JSON\n",
    )
    assert result.exit_code == 3
    assert [json.loads(line)["slug"] for line in output.read_bytes().splitlines()] == ["p1", "p2"]
    assert "error: -:2: no JSON" in result.stderr
    assert [json.loads(line).get("status") for line in report.read_bytes().splitlines()] == [
        "ok",
        "ok",
        "failed",
        None,
    ]
    assert world.counts()["graphql"] == 1


def test_a_list_that_breaks_off_before_anything_came_is_exit_2(world: World, tmp_path: Path) -> None:
    result = fetch("--from", "-", "-o", tmp_path / "out.json", stdin="{\nno JSON\n")
    assert (result.exit_code, world.asked) == (2, [])
    assert list(tmp_path.iterdir()) == []


def test_the_records_of_a_folder_are_base_records(world: World, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "p1.json").write_text(json.dumps(world.record(1) | {"title": "By hand", "last_fetched": None}))
    result = fetch("p1", "p2", "--base", old, "-o", f"{tmp_path}/new/")
    assert (result.exit_code, result.stderr) == (0, "")
    titles = [json.loads((tmp_path / "new" / f"p{n}.json").read_bytes())["title"] for n in (1, 2)]
    assert titles == ["By hand", "p2"]


def test_the_file_that_is_there_counts_before_the_base_records(world: World, tmp_path: Path) -> None:
    for name, title in (("old", "Old"), ("new", "New")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p1.json").write_text(json.dumps(world.record(1) | {"title": title}))
    assert fetch("p1", "--base", tmp_path / "old", "-o", tmp_path / "new").exit_code == 0
    assert json.loads((tmp_path / "new" / "p1.json").read_bytes())["title"] == "New"


def test_a_folder_that_is_well_is_kept_in_silence(world: World, tmp_path: Path) -> None:
    world.first[f"{CATALOG}/api/v4/packages/p2/"] = [httpx.Response(404)]
    loud = fetch("p1", "p2", "P1", "--catalog", "-f", "jsonl")
    silent = fetch("p1", "p2", "P1", "--catalog", "-o", f"{tmp_path}/")
    assert (loud.exit_code, silent.exit_code) == (0, 0)
    assert loud.stderr.splitlines() == [
        "p2: warning: the package is not in the catalog",
        "P1: skipped: the same package as p1",
    ]
    assert silent.stderr == ""


def log(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_log_of_a_run_is_one_object_a_line(world: World, tmp_path: Path) -> None:
    result = fetch("p1", "nix", "-o", f"{tmp_path}/", "--log-format", "json", "-v")
    told = log(result.stderr)
    assert [(line["level"], line["event"], line.get("target")) for line in told] == [
        ("debug", "harvested", "p1"),
        ("error", "failed", "nix"),
        ("info", "summary", None),
    ]
    assert all({"time", "level", "event", "message"} <= line.keys() for line in told)
    assert (told[-1]["records"], told[-1]["failed"]) == (1, 1)
    assert world.counts()["pypi"] == 2


def test_errors_of_the_command_line_are_logged_too(world: World) -> None:
    [line] = log(fetch("p1", "--max-age", "soon", "--log-format", "json").stderr)
    assert (line["level"], line["event"], line["reason"]) == ("error", "error", "bad-setting")
    assert world.asked == []


def test_a_target_tells_where_it_was_read_whatever_came_of_it(tmp_path: Path) -> None:
    names, project, report = tmp_path / "names", tmp_path / "pyproject.toml", tmp_path / "report"
    names.write_text("# first\np1\np2 \\\n  --hash=sha256:0\np1\n")
    project.write_text('[project]\ndependencies = ["p3"]\n')
    with served(World(missing={"p2"}, size=4)):
        fetch("p4", "--from", names, "--from", project, "--report", report)
    told = [json.loads(line) for line in report.read_text().splitlines()[:-1]]
    assert [(line["target"], line["status"], line["place"]) for line in told] == [
        ("p4", "ok", None),
        ("p1", "ok", f"{names}:2"),
        ("p2", "failed", f"{names}:4"),
        ("p1", "skipped", f"{names}:5"),
        ("p3", "ok", str(project)),
    ]


def test_what_cannot_be_written_any_more_is_in_the_report_all_the_same(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with served(World(size=9)):
        result = fetch(*(f"p{number}" for number in range(1, 10)), "-o", "/dev/full", "--report", report)
    *told, last = (json.loads(line) for line in report.read_text().splitlines())
    assert result.exit_code == 7
    assert [line["target"] for line in told] == [f"p{number}" for number in range(1, 10)]
    assert {line["reason"] for line in told if line["status"] == "failed"} == {"output"}
    assert last["run"]["ok"] + last["run"]["failed"] == 9


def test_a_wrong_line_does_not_become_a_name_when_its_report_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("-r lost.txt\n")
    report = tmp_path / "report"
    with served(World()) as world:
        first = fetch("--from", tmp_path / "names", "--report", report)
        again = fetch("--from", report, "--failed")
    assert (first.exit_code, again.exit_code, world.asked) == (3, 3, [])
    assert "cannot be read" in again.stderr


@pytest.mark.parametrize("option", ["--report", "-o"])
def test_a_list_is_not_written_over_unless_a_run_wrote_it(tmp_path: Path, option: str) -> None:
    names = tmp_path / "names"
    names.write_text("p1\n")
    with served(World()):
        refused = fetch("--from", names, option, names)
        assert (refused.exit_code, names.read_text()) == (2, "p1\n")
        fetch("--from", names, "-f", "jsonl", "-o", tmp_path / "records")
        replaced = fetch("--from", tmp_path / "records", "-f", "jsonl", option, tmp_path / "records")
    assert "would overwrite the list" in refused.stderr
    assert replaced.exit_code == 0
