"""The report: a line for each target, the run's line last, and figures that add up."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import httpx
import msgspec
import pytest

from pkgharvest.errors import NotFoundError, OutputError, TargetError
from pkgharvest.net.clock import SystemClock
from pkgharvest.net.message import Cost
from pkgharvest.net.quota import Gate, Patience, Quota, Rules
from pkgharvest.record import Record
from pkgharvest.report import Report, reporting
from pkgharvest.results import Failure, Harvested, Lead, Result, Skipped
from pkgharvest.version import __version__
from services import CATALOG, GITHUB, NOW, PYPI, catalog_record
from world import World, address, fetch, served, slugs

RECORD = msgspec.convert(catalog_record(last_fetched="2026-03-18T11:30:00-04:00"), Record)
FOUND = Lead("source", "Code")
HARVESTED = Harvested(
    "https://github.com/ann/django-x",
    RECORD,
    7,
    FOUND,
    "https://github.com/bob/django-x",
    archived=True,
    warnings=("it has moved",),
    cost=Cost(4, 3),
)
NOTHING: dict[str, Any] = {
    "reason": None,
    "message": None,
    "retryable": None,
    "place": None,
    "repository_id": None,
    "moved_to": None,
    "archived": None,
    "found": None,
    "warnings": [],
    "window_end": None,
    "requests": 0,
    "charged": 0,
}
OK = {
    **NOTHING,
    "target": "https://github.com/ann/django-x",
    "slug": "django-x",
    "status": "ok",
    "repository_id": 7,
    "moved_to": "https://github.com/bob/django-x",
    "archived": True,
    "found": {"rule": "source", "label": "Code"},
    "warnings": ["it has moved"],
    "window_end": "2026-03-18T00:00:00Z",
    "requests": 4,
    "charged": 3,
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def of_run(path: Path) -> dict[str, Any]:
    """Return the run's line, after a look at whether it is the last and all figures add up."""
    *targets, last = lines(path)
    assert last.keys() == {"run"}
    run: dict[str, Any] = last["run"]
    for name in ("requests", "charged"):
        assert sum(line[name] for line in targets) + run["for_lists"][name] == run[name]
        assert sum(quota[name] for quota in run["quotas"]) == run[name]
    for status in ("ok", "unchanged", "skipped", "failed"):
        assert sum(line["status"] == status for line in targets) == run[status]
    return run


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (HARVESTED, OK),
        (
            Failure("?", None, TargetError("'?' is no name", "Give one"), "list.txt:3"),
            {
                **NOTHING,
                "target": "?",
                "slug": None,
                "status": "failed",
                "reason": "bad-target",
                "message": "'?' is no name. Give one",
                "retryable": False,
                "place": "list.txt:3",
            },
        ),
        (
            Failure("x", "x", NotFoundError("gone"), cost=Cost(2, 1)),
            {
                **NOTHING,
                "target": "x",
                "slug": "x",
                "status": "failed",
                "reason": "not-found",
                "message": "gone",
                "retryable": False,
                "requests": 2,
                "charged": 1,
            },
        ),
        (
            Skipped("x", "x", "fresh", "fetched 3 hours ago", RECORD),
            {
                **NOTHING,
                "target": "x",
                "slug": "x",
                "status": "skipped",
                "reason": "fresh",
                "message": "fetched 3 hours ago",
            },
        ),
        (
            Skipped("X", None, "duplicate", "the same package as x", cost=Cost(1, 1)),
            {
                **NOTHING,
                "target": "X",
                "slug": None,
                "status": "skipped",
                "reason": "duplicate",
                "message": "the same package as x",
                "requests": 1,
                "charged": 1,
            },
        ),
    ],
)
def test_the_line_of_a_target_is_whole(result: Result, line: dict[str, Any]) -> None:
    written: list[bytes] = []
    Report(written.append, NOW).add(result)
    [text] = written
    assert text.endswith(b"}\n")
    assert json.loads(text) == line
    assert list(json.loads(text)) == ["target", "slug", "status", *NOTHING]


def test_a_file_that_is_left_alone_is_unchanged() -> None:
    written: list[bytes] = []
    Report(written.append, NOW).add(HARVESTED, "unchanged")
    assert json.loads(written[0]) == OK | {"status": "unchanged"}


def test_the_line_of_the_run_counts_and_tells_what_is_left() -> None:
    written: list[bytes] = []
    report = Report(written.append, NOW)
    report.add(HARVESTED)
    report.add(HARVESTED, "unchanged")
    report.add(Skipped("x", "x", "fresh", "fetched 3 hours ago"))
    report.add(Failure("x", "x", NotFoundError("gone")))
    gate = Gate("GitHub", SystemClock(), Patience(0), Rules())
    gate.costs |= {"core": Cost(3, 2), "graphql": Cost(1, 7)}
    gate.quotas["core"] = Quota(5000, 4998, NOW + timedelta(hours=1))
    report.finish(3, 1.23456, {"GitHub": gate}, Cost(5, 4))
    assert json.loads(written[-1]) == {
        "run": {
            "version": __version__,
            "started": "2026-03-18T15:30:00.123456Z",
            "seconds": 1.235,
            "exit_code": 3,
            "ok": 1,
            "unchanged": 1,
            "skipped": 1,
            "failed": 1,
            "requests": 4,
            "charged": 9,
            "for_lists": {"requests": 5, "charged": 4},
            "quotas": [
                {
                    "service": "GitHub",
                    "resource": "core",
                    "requests": 3,
                    "charged": 2,
                    "limit": 5000,
                    "remaining": 4998,
                    "reset": "2026-03-18T16:30:00.123456Z",
                },
                {
                    "service": "GitHub",
                    "resource": "graphql",
                    "requests": 1,
                    "charged": 7,
                    "limit": None,
                    "remaining": None,
                    "reset": None,
                },
            ],
        }
    }


def test_a_report_that_cannot_be_written_takes_the_other_lines_and_tells_in_the_end() -> None:
    tried: list[bytes] = []

    def full(data: bytes) -> None:
        tried.append(data)
        raise OutputError("the device is full")

    report = Report(full, NOW)
    report.add(HARVESTED)
    report.add(HARVESTED)
    with pytest.raises(OutputError, match="the device is full"):
        report.finish(0, 1, {}, Cost())
    assert len(tried) == 1


@pytest.mark.parametrize("begins", [True, False])
def test_the_old_report_stays_until_a_run_has_begun(tmp_path: Path, begins: bool) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text("old")
    with reporting(path, NOW) as report:
        if begins:
            report.begin()
        report.finish(0, 1, {}, Cost())
        assert path.read_text() == "old"
    assert (path.read_text() == "old") is not begins
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_a_report_writes_none() -> None:
    with reporting(None, NOW) as report:
        report.add(HARVESTED)
        report.finish(0, 1, {}, Cost())


def test_a_report_that_has_no_place_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError), reporting(tmp_path / "none" / "x.jsonl", NOW):
        raise AssertionError("the run must not begin")


@pytest.mark.parametrize("signed", [True, False])
def test_a_run_reports_each_target_in_its_order_and_the_requests_add_up(tmp_path: Path, signed: bool) -> None:
    path = tmp_path / "report.jsonl"
    targets = ["p1", "P1", "nix", "p2", "https://github.com/ann/p1", "p3"]
    with served(World(missing={"p3"})) as world:
        result = fetch(*targets, "--report", path, "-f", "jsonl", signed=signed)
    assert (result.exit_code, slugs(result)) == (3, ["p1", "p2"])
    told = [(line["target"], line["status"], line["reason"]) for line in lines(path)[:-1]]
    assert told == [
        ("p1", "ok", None),
        ("P1", "skipped", "duplicate"),
        ("nix", "failed", "not-found"),
        ("p2", "ok", None),
        ("https://github.com/ann/p1", "skipped", "duplicate"),
        ("p3", "failed", "not-found"),
    ]
    run = of_run(path)
    assert (run["exit_code"], run["requests"]) == (3, len(world.asked))
    quotas = {(quota["service"], quota["resource"]): quota for quota in run["quotas"]}
    assert quotas["GitHub", "core"]["remaining"] == 4000
    assert quotas["PyPI", ""]["requests"] == 5
    if signed:
        assert (quotas["GitHub", "graphql"]["requests"], quotas["GitHub", "graphql"]["charged"]) == (1, 3)


def test_a_query_for_many_is_counted_with_the_first_of_them(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with served(World()):
        fetch("p1", "p2", "p3", "--report", path)
    assert [(line["requests"], line["charged"]) for line in lines(path)[:-1]] == [(3, 5), (2, 2), (2, 2)]
    assert (of_run(path)["requests"], of_run(path)["charged"]) == (7, 9)


@pytest.mark.parametrize("signed", [True, False])
def test_what_is_sent_again_and_where_it_is_redirected_is_counted_too(tmp_path: Path, signed: bool) -> None:
    path = tmp_path / "report.jsonl"
    project, there = f"{PYPI}/pypi/p1/json", f"{PYPI}/pypi/p1/json?there"
    contributors = f"{GITHUB}/repos/ann/p1/contributors?per_page=100"
    first: dict[str, list[httpx.Response | Exception]] = {
        project: [
            httpx.Response(503),
            httpx.ConnectError("no"),
            httpx.Response(302, headers={"location": there}),
        ],
        contributors: [httpx.Response(502), httpx.Response(200, content=b"<html>")],
        f"{GITHUB}/graphql": [httpx.ReadTimeout("slow"), httpx.Response(502)],
        f"{PYPI}/pypi/p4/json": [httpx.ConnectError("no") for _ in range(9)],
    }
    with served(World(first=first)) as world:
        result = fetch("p1", "p3", "p4", "--report", path, signed=signed)
    assert result.exit_code == 3
    assert [line["status"] for line in lines(path)[:-1]] == ["ok", "ok", "failed"]
    assert of_run(path)["requests"] == len(world.asked)
    assert world.counts()["contributors"] == 4


def test_what_lists_cost_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    grids = {"g": [address(3), address(8)]}
    with served(World(size=8, page=3, grids=grids)) as world:
        result = fetch(
            f"{CATALOG}/grids/g/g/", f"{CATALOG}/categories/apps/", "--report", path, "-f", "jsonl"
        )
    assert (result.exit_code, slugs(result)) == (0, ["p3", "p8", "p7", "p5", "p1"])
    run = of_run(path)
    assert run["for_lists"] == {"requests": 7, "charged": 7}
    assert run["requests"] == len(world.asked)
    assert (run["ok"], run["skipped"]) == (5, 1)
    assert [line["target"] for line in lines(path)[:-1]] == ["p3", "p8", "p7", "p5", "p3", "p1"]


def test_every_kind_of_line_comes_out_of_a_folder(tmp_path: Path) -> None:
    folder, path = tmp_path / "snap", tmp_path / "report.jsonl"
    with served(World()):
        assert fetch("p1", "p2", "p3", "-o", f"{folder}/").exit_code == 0
        old = json.loads((folder / "p2.json").read_bytes())
        for number, change in ((2, {"last_fetched": "2026-01-01T00:00:00Z"}), (3, {"repo_watchers": 1})):
            changed = old | {"last_fetched": "2026-01-01T00:00:00Z", "slug": f"p{number}"} | change
            text = json.dumps(changed, indent=4, ensure_ascii=False).replace("p2", f"p{number}")
            (folder / f"p{number}.json").write_text(text + "\n")
        (folder / "p4.json").write_text("{")
        result = fetch(
            *("p1", "p2", "p3", "p4", "nix", "-o", folder, "--only-changed", "--max-age", "1h"),
            *("--report", path),
        )
    assert result.exit_code == 7
    told = [(line["slug"], line["status"], line["reason"]) for line in lines(path)[:-1]]
    assert told == [
        ("p1", "skipped", "fresh"),
        ("p2", "unchanged", None),
        ("p3", "ok", None),
        ("p4", "failed", "occupied"),
        ("nix", "failed", "not-found"),
    ]
    assert of_run(path)["exit_code"] == 7


def test_a_record_that_has_no_place_tells_what_was_asked_for_it(tmp_path: Path) -> None:
    other = catalog_record(slug="p1", repo_url="https://github.com/eve/p1", pypi_url="")
    (tmp_path / "p1.json").write_text(json.dumps(other))
    path = tmp_path / "report.jsonl"
    with served(World()) as world:
        result = fetch("https://github.com/ann/p1", "-o", tmp_path, "--report", path)
    [line, _] = lines(path)
    assert (result.exit_code, line["reason"], line["requests"]) == (7, "occupied", len(world.asked))
    assert line["requests"] > 0
    assert of_run(path)["failed"] == 1
    assert json.loads((tmp_path / "p1.json").read_bytes()) == other


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["p1", "--from", "none.txt"], 2),
        (["p1", "--max-age", "soon"], 2),
        (["--from", "-", "--strict"], 2),
        (["p1", "-o", "none/x.json"], 7),
        (["p1", "https://github.com/ann/p1", "-o", "snap/"], 2),
        (["p1", "--base", "none.json"], 2),
    ],
)
def test_the_old_report_stays_if_the_run_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "report.jsonl"
    path.write_text("old")
    with served(World()) as world:
        result = fetch(*arguments, "--report", path, stdin="p1\n../x\n")
    assert (result.exit_code, path.read_text(), world.asked) == (code, "old", [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "x.jsonl", "--report", "x.jsonl"],
        ["-o", "x.jsonl", "--report", "link.jsonl"],
        ["-o", "x.jsonl", "--report", "./sub/../x.jsonl"],
        ["--record", "x.har", "--report", "x.har"],
        ["-o", "snap/", "--report", "snap"],
        ["-o", "snap/", "--report", "snap/p1.json"],
        ["-o", "snap", "--report", "snap/report.json"],
        ["-o", "snap/", "--record", "snap/run.json"],
        ["--report", "-"],
        ["--record", "-"],
    ],
)
def test_a_report_in_the_place_of_an_output_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.jsonl").symlink_to("x.jsonl")
    Path("snap").mkdir()
    Path("sub").mkdir()
    with served(World()) as world:
        result = fetch("p1", *arguments)
    assert (result.exit_code, result.stdout, world.asked) == (2, "", [])
    assert sorted(map(str, Path().rglob("*"))) == ["link.jsonl", "snap", "sub"]


def test_a_report_can_lie_in_the_folder_where_its_name_is_no_records(tmp_path: Path) -> None:
    with served(World()):
        result = fetch("p1", "-o", f"{tmp_path}/", "--report", tmp_path / "report.jsonl")
        again = fetch("p1", "-o", f"{tmp_path}/", "--report", tmp_path / "report.jsonl", "--only-changed")
    assert (result.exit_code, again.exit_code) == (0, 0)
    assert lines(tmp_path / "report.jsonl")[0]["status"] == "unchanged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p1.json", "report.jsonl"]


def test_what_failed_is_run_again_from_the_report(tmp_path: Path) -> None:
    path, again = tmp_path / "report.jsonl", tmp_path / "again.jsonl"
    (tmp_path / "list.txt").write_text(
        "p1\nhttps://github.com/ann/p2.git\n../x\nP_3\nhttps://x:y@github.com/ann/p4\n"
    )
    with served(World(missing={"p2", "p4"}, size=5)) as world:
        first = fetch("--from", tmp_path / "list.txt", "p5", "--report", path, "-f", "jsonl")
        world.missing.clear()
        world.asked.clear()
        second = fetch("--from", path, "--failed", "--report", again, "-f", "jsonl")
        whole = fetch("--from", path, "-f", "jsonl")
    assert (first.exit_code, slugs(first)) == (3, ["p5", "p1"])
    failed = [line for line in lines(path)[:-1] if line["status"] == "failed"]
    assert [(line["target"], line["place"]) for line in failed] == [
        ("https://github.com/ann/p2.git", f"{tmp_path}/list.txt:2"),
        ("../x", f"{tmp_path}/list.txt:3"),
        ("P_3", f"{tmp_path}/list.txt:4"),
        ("https://github.com/ann/p4", f"{tmp_path}/list.txt:5"),
    ]
    assert (second.exit_code, slugs(second)) == (3, ["p2", "p4"])
    assert [(line["target"], line["status"]) for line in lines(again)[:-1]] == [
        ("https://github.com/ann/p2.git", "ok"),
        ("../x", "failed"),
        ("P_3", "failed"),
        ("https://github.com/ann/p4", "ok"),
    ]
    assert slugs(whole) == ["p5", "p1", "p2", "p4"]


def test_a_report_can_be_replaced_by_that_of_its_own_failures(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with served(World(missing={"p1"})) as world:
        fetch("p1", "p2", "--report", path)
        world.missing.clear()
        result = fetch("--from", path, "--failed", "--report", path, "-f", "jsonl")
    assert (result.exit_code, slugs(result)) == (0, ["p1"])
    assert [line["target"] for line in lines(path)[:-1]] == ["p1"]


def test_lists_that_failed_are_read_again_from_the_report(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    grid, second = f"{CATALOG}/api/v4/grids/g/", f"{CATALOG}/api/v4/packages/?limit=100&offset=2"
    refused: list[httpx.Response | Exception] = [httpx.Response(403)]
    first = {grid: refused.copy(), second: refused.copy(), address(2): refused.copy()}
    world = World(size=4, page=2, grids={"g": [address(1)], "h": [address(2)]}, first=first)
    with served(world):
        result = fetch(
            *(f"{CATALOG}/grids/g/g/", f"{CATALOG}/grids/g/h/", "--all-catalog", "--report", path),
            *("-f", "jsonl"),
        )
        again = fetch("--from", path, "--failed", "-f", "jsonl")
    assert (result.exit_code, slugs(result)) == (3, ["p4", "p3"])
    failed = [line["target"] for line in lines(path)[:-1] if line["status"] == "failed"]
    assert failed == [f"{CATALOG}/grids/g/g/", address(2), f"{CATALOG}/api/v4/packages/"]
    assert (again.exit_code, slugs(again)) == (3, ["p1", "p4", "p3", "p2"])
    assert "Add --catalog to ask it" in again.stderr


def test_documents_that_cannot_be_written_leave_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with served(World()):
        result = fetch("p1", "p2", "-o", "/dev/full", "-f", "json", "--report", path)
    assert result.exit_code == 7
    run = of_run(path)
    assert run["exit_code"] == 7
    assert "/dev/full cannot be written: No space left on device" in result.stderr


def test_a_report_on_a_full_device_is_told_and_the_records_are_whole(tmp_path: Path) -> None:
    with served(World()):
        result = fetch("p1", "-o", tmp_path / "x.jsonl", "-f", "jsonl", "--report", "/dev/full")
    assert result.exit_code == 7
    assert re.sub(r"[\d,]+ bytes", "N bytes", result.stderr) == (
        "error: /dev/full cannot be written: No space left on device (N bytes)\n"
    )
    assert json.loads((tmp_path / "x.jsonl").read_bytes())["slug"] == "p1"


DEMO = ["django-ltree", "django-pghistory", "djorm-ext-pgfulltext"]


def process(*arguments: str, **options: Any) -> Popen[bytes]:
    command = [sys.executable, "-m", "pkgharvest", "fetch", "--replay", "demo", "--catalog", *arguments]
    return Popen(command, stderr=PIPE, **options)


def test_a_closed_stdout_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with process(*DEMO, "--report", str(path), stdout=PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141
    *targets, last = lines(path)
    assert [(line["target"], line["status"], line["message"]) for line in targets] == [
        (name, "failed", "nobody reads the records")
        for name in ("django-ltree", "django-pghistory", "djorm-ext-pgfulltext")
    ]
    assert (last["run"]["exit_code"], last["run"]["failed"], last["run"]["ok"]) == (141, 3, 0)


def test_a_full_stdout_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with Path("/dev/full").open("wb") as full, process(*DEMO, "--report", str(path), stdout=full) as running:
        assert running.stderr is not None
        told = running.stderr.read().decode()
    assert running.returncode == 7
    assert told.splitlines()[:2] == [
        "error: the standard output cannot be written: No space left on device",
        "not asked any more: django-pghistory, djorm-ext-pgfulltext",
    ]
    *targets, last = lines(path)
    assert [(line["status"], line["reason"], line["retryable"]) for line in targets] == [
        ("failed", "output", False)
    ] * 3
    assert (last["run"]["exit_code"], last["run"]["failed"]) == (7, 3)


def test_a_run_that_is_stopped_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "pkgharvest", "fetch", "django-x", "nix", "--report", str(path)]
        environment = {**os.environ, "PKGHARVEST_PYPI_URL": address}
        with Popen([*command, "--no-cache"], stderr=PIPE, env=environment) as running:
            connection, _ = silent.accept()
            running.send_signal(signal.SIGTERM)
            assert running.stderr is not None
            running.stderr.read()
            connection.close()
    assert running.returncode == 143
    *targets, last = lines(path)
    assert [(line["target"], line["reason"], line["retryable"]) for line in targets] == [
        ("django-x", "stopped", True),
        ("nix", "stopped", True),
    ]
    assert (last["run"]["exit_code"], last["run"]["failed"]) == (143, 2)


def test_the_start_of_a_run_is_told_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    before = datetime.now(UTC)
    with served(World()):
        fetch("p1", "--report", path)
    run = of_run(path)
    assert before <= datetime.fromisoformat(run["started"]) <= datetime.now(UTC)
    assert run["started"].endswith("Z")
    assert run["seconds"] >= 0
