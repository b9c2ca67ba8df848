"""The shipped recording, and with it the whole line from the command to the golden bytes."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pkgharvest
from pkgharvest import Failure, Harvested, Settings, harvest
from pkgharvest.cli import app

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
SLUGS = [path.stem for path in GOLDEN]
DEMO = json.loads(resources.files(pkgharvest).joinpath("recordings", "demo.har").read_bytes())

FILLED_IN_BY_A_HARVEST = """
    last_updated last_fetched pypi_version repo_forks repo_watchers repo_description
    commits_over_52 participants
""".split()


def test_there_are_three_golden_records() -> None:
    assert SLUGS == ["django-ltree", "django-pghistory", "djorm-ext-pgfulltext"]


@pytest.mark.parametrize("golden", GOLDEN, ids=SLUGS)
def test_the_replayed_record_is_the_golden_one(golden: Path) -> None:
    result = CliRunner().invoke(app, ["fetch", golden.stem, "--catalog", "--replay", "demo"])
    assert result.exit_code == 0
    assert result.stdout_bytes == golden.read_bytes()


def test_several_records_come_in_the_order_of_the_targets() -> None:
    targets = list(reversed(SLUGS))
    result = CliRunner().invoke(app, ["fetch", *targets, "--catalog", "--replay", "demo"])
    assert result.stdout_bytes == b"".join(path.read_bytes() for path in reversed(GOLDEN))


def test_the_catalogs_answers_in_the_recording_hold_nothing_that_a_harvest_fills_in() -> None:
    answers = [
        json.loads(entry["response"]["content"]["text"])
        for entry in DEMO["log"]["entries"]
        if entry["request"]["url"].startswith("https://djangopackages.org/")
    ]
    assert len(answers) == 3
    assert [[answer[name] for name in FILLED_IN_BY_A_HARVEST] for answer in answers] == [
        [None, None, None, 0, 0, "", [], []]
    ] * 3


def test_without_the_catalog_the_repository_comes_from_pypi() -> None:
    [result] = harvest(["django-pghistory"], Settings(replay="demo"))
    assert isinstance(result, Harvested)
    assert str(result.found) == "source: Repository"
    assert result.record.repo_url == "https://github.com/AmbitionEng/django-pghistory"
    assert (result.record.id, result.record.category, result.record.grids) == (None, None, [])


def test_what_is_not_in_the_recording_is_a_failure() -> None:
    [result] = harvest(["no-such"], Settings(replay="demo"))
    assert isinstance(result, Failure)
    assert result.reason == "not-recorded"


def test_the_addresses_are_the_real_services_and_no_credentials_are_in_it() -> None:
    origins = {"/".join(entry["request"]["url"].split("/")[:3]) for entry in DEMO["log"]["entries"]}
    assert origins == {"https://api.github.com", "https://djangopackages.org", "https://pypi.python.org"}
    text = json.dumps(DEMO).lower()
    assert [word for word in ("authorization:", "set-cookie", "127.0.0.1", "ghp_") if word in text] == []
