from __future__ import annotations

import doctest
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

import pkgharvest
from pkgharvest import Failure, Harvested, Session, Settings, aharvest, harvest
from pkgharvest.errors import SettingError, TargetError
from pkgharvest.net.clock import SystemClock
from pkgharvest.targets import parse_target

DEMO = Settings(replay="demo", catalog=True)


def test_the_example_of_the_package_is_right() -> None:
    assert doctest.testmod(pkgharvest).failed == 0
    assert doctest.testmod(pkgharvest).attempted > 0


def test_results_come_one_by_one_and_the_rest_can_be_left() -> None:
    taken: list[str] = []

    def targets() -> Iterator[str]:
        for number in range(1000):
            taken.append(f"p{number}")
            yield f"p{number}"

    results = harvest(targets(), DEMO)
    first = next(results)
    assert isinstance(first, Failure)
    assert first.target == "p0"
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(taken) < 100


def test_a_bad_target_is_a_failure_among_the_results() -> None:
    bad, good = harvest(["../x", parse_target("django-ltree")], DEMO)
    assert isinstance(bad, Failure)
    assert isinstance(bad.error, TargetError)
    assert isinstance(good, Harvested)


def test_the_async_twin_gives_the_same() -> None:
    async def collect() -> list[object]:
        return [result async for result in aharvest(["django-ltree"], DEMO)]

    assert anyio.run(collect) == list(harvest(["django-ltree"], DEMO))


def test_settings_come_from_the_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGHARVEST_GITHUB_URL", "nowhere")
    with pytest.raises(SettingError, match="PKGHARVEST_GITHUB_URL is no address"):
        next(harvest(["x"]))


def test_a_session_must_be_open() -> None:
    async def use() -> None:
        await anext(Session(DEMO).harvest(["x"]))

    with pytest.raises(RuntimeError, match="async with"):
        anyio.run(use)


def test_the_demo_survives_being_recorded_again(tmp_path: Path) -> None:
    """A recording that something else wrote has no addresses in it; those of the settings are taken."""
    archive = tmp_path / "foreign.har"
    archive.write_text('{"log": {"version": "1.2", "entries": []}}')
    [result] = harvest(["x"], Settings(replay=str(archive)))
    assert isinstance(result, Failure)
    assert result.reason == "not-recorded"


def test_the_systems_clock_tells_the_time_in_utc() -> None:
    clock = SystemClock()
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.monotonic() <= clock.monotonic()


def test_a_token_may_be_given_as_a_text_and_is_not_shown(marked_token: str) -> None:
    settings = Settings(token=marked_token)  # type: ignore[arg-type]  # a text is taken as a token
    assert marked_token not in repr(settings)


def test_one_text_is_not_several_targets() -> None:
    with pytest.raises(TypeError, match="pass a list"):
        next(harvest("django-ltree", DEMO))
