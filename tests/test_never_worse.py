"""Whatever happens to runs, each file holds its old bytes or a complete newer record."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pkgharvest import files, lock, snapshot
from pkgharvest.errors import OccupiedError, UnavailableError
from pkgharvest.harvester import Harvester
from pkgharvest.listing import Listing
from pkgharvest.reading import RestReader
from pkgharvest.record import Record, RecordError, decode_record, encode_api
from pkgharvest.resolve import Resolver
from pkgharvest.results import Harvested
from pkgharvest.snapshot import Manners
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import GitHub
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import DEFAULT_HOSTS
from pkgharvest.visit import Ending
from services import (
    CATALOG,
    GITHUB,
    NOW,
    PYPI,
    FakeFetch,
    Reply,
    catalog_record,
    commits,
    contributors,
    package,
    project,
    repository,
)

# Children of a process with threads could meet locks that nobody lets go of; these only write and end.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

NAMES = ["one", "two", "three"]
OURS = {module.__file__ for module in (files, lock, snapshot)}
FOREIGN = {"README.md": b"about", ".gitignore": b"*.tmp"}


def killed_at(line: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that ends at once at a line of the code that writes; tell whether it did.

    Nothing is closed, flushed or removed then, as after ``kill -9``.
    """
    pid = os.fork()
    if pid == 0:
        lines = count(1)

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename not in OURS:
                return None
            if event == "line" and next(lines) == line:
                os._exit(9)
            return trace

        code = 1
        try:
            sys.settrace(trace)
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9)
    return code == 9


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("old", "step"), [(True, 2), (False, 5)], ids=["an old file", "no file"])
def test_a_run_that_is_killed_at_any_place_leaves_a_whole_file_and_nothing_after_the_next(
    tmp_path: Path, old: bool, step: int
) -> None:
    before = msgspec.convert(catalog_record(slug="one"), Record)
    after = msgspec.structs.replace(before, last_fetched=NOW)
    path = tmp_path / "one.json"
    seen: set[bytes | None] = set()

    def work() -> None:
        with snapshot.snapshot(tmp_path, DEFAULT_HOSTS, Manners()) as target:
            target.add(after, before)

    for line in count(1, step):
        path.unlink(missing_ok=True)
        if old:
            path.write_bytes(encode_api(before))
        was_killed = killed_at(line, work)
        seen.add(path.read_bytes() if path.exists() else None)
        with snapshot.snapshot(tmp_path, DEFAULT_HOSTS, Manners()):
            pass
        assert contents(tmp_path).keys() <= {"one.json"}
        if not was_killed:
            break
    assert line > 100
    assert seen == {encode_api(before) if old else None, encode_api(after)}


@dataclass(frozen=True)
class Run:
    """A run over all packages."""

    only_changed: bool = False
    force: bool = False
    killed_at: int | None = None


@dataclass(frozen=True)
class Change:
    """What the services say of a package from then on; None if they say nothing."""

    name: str
    stars: int | None


@dataclass(frozen=True)
class Damage:
    """What somebody writes in the place of a record; None removes it."""

    name: str
    text: bytes | None


@dataclass
class World:
    """The services, the folder, and the time."""

    folder: Path
    stars: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(NAMES, 1))
    now: datetime = NOW

    def harvester(self, bases: snapshot.Snapshot) -> Harvester:
        github = GitHub(GITHUB)
        return Harvester(
            fetch=FakeFetch({url: reply for name in NAMES for url, reply in self._replies(name).items()}),
            resolver=Resolver(PyPI(PYPI), None, bases, DEFAULT_HOSTS),
            github=github,
            reader=RestReader(github),
            listing=Listing(Catalog(CATALOG), bases),
            zone=UTC,
        )

    def _replies(self, name: str) -> dict[str, Reply | Exception]:
        stars = self.stars[name]
        if stars is None:
            return {f"{GITHUB}/repos/ann/{name}": UnavailableError("busy")}
        urls = {"Source": f"https://github.com/ann/{name}"}
        parts = {
            f"{PYPI}/pypi/{name}/json": project(name, project_urls=urls),
            f"{GITHUB}/repos/ann/{name}": repository(f"ann/{name}", stargazers_count=stars),
            f"{GITHUB}/repos/ann/{name}/commits?per_page=100": commits(timedelta(days=9)),
            f"{GITHUB}/repos/ann/{name}/contributors?per_page=100": contributors("ann"),
        }
        return {url: Reply(part.body, part.status, part.headers, self.now) for url, part in parts.items()}

    def run(self, run: Run) -> None:
        """Harvest all packages into the folder."""

        async def harvest() -> None:
            manners = Manners(only_changed=run.only_changed, force=run.force)
            with snapshot.snapshot(self.folder, DEFAULT_HOSTS, manners) as target:
                results = self.harvester(target).all(map(package, NAMES), ahead=1, ending=Ending())
                async for result in results:
                    if isinstance(result, Harvested):
                        try:
                            target.add(result.record, result.base)
                        except OccupiedError:
                            continue

        asyncio.run(harvest())

    def play(self, operation: Run | Change | Damage) -> None:
        """Do what the operation says, and see whether the folder is right."""
        match operation:
            case Change(name, stars):
                self.stars[name] = stars
            case Damage(name, None):
                (self.folder / f"{name}.json").unlink(missing_ok=True)
            case Damage(name, bytes(text)):
                (self.folder / f"{name}.json").write_bytes(text)
            case Run():
                self.now += timedelta(hours=1)
                before = contents(self.folder)
                was_killed = operation.killed_at is not None and killed_at(
                    operation.killed_at, lambda: self.run(operation)
                )
                if operation.killed_at is None:
                    self.run(operation)
                self._check(operation, before, is_whole=not was_killed)

    def _check(self, run: Run, before: dict[str, bytes], *, is_whole: bool) -> None:
        after = contents(self.folder)
        for name in NAMES:
            old, new = (there.get(f"{name}.json") for there in (before, after))
            if new != old:
                self._check_newer(name, run, old, new)
            elif is_whole:
                self._check_older(name, run, old)
        assert {name: after.get(name) for name in FOREIGN} == FOREIGN
        if is_whole:
            assert after.keys() <= {*FOREIGN, *(f"{name}.json" for name in NAMES)}

    def _check_newer(self, name: str, run: Run, old: bytes | None, new: bytes | None) -> None:
        """A file that changed holds a complete record of this run, and what only the old one knew."""
        assert new is not None
        record = decode_record(new)
        assert encode_api(record) == new
        assert (record.slug, record.last_fetched, record.repo_watchers) == (name, self.now, self.stars[name])
        base = known(old)
        assert old is None or base is not None or run.force
        if base is not None:
            kept = ("id", "category", "grids", "title", "created", "modified", "repo_url", "pypi_url")
            assert [getattr(record, key) for key in kept] == [getattr(base, key) for key in kept]
            assert not run.only_changed or old != encode_api(
                msgspec.structs.replace(record, last_fetched=base.last_fetched)
            )

    def _check_older(self, name: str, run: Run, old: bytes | None) -> None:
        """After a run that was not killed there is a reason for each file that did not change."""
        base = known(old)
        if self.stars[name] is not None:
            is_kept = old is not None and base is None and not run.force
            is_alike = run.only_changed and base is not None and base.repo_watchers == self.stars[name]
            assert is_kept or is_alike


def known(text: bytes | None) -> Record | None:
    if text is None:
        return None
    try:
        return decode_record(text)
    except RecordError:
        return None


OPERATIONS = st.one_of(
    st.builds(Run, st.booleans(), st.booleans(), st.none() | st.integers(1, 550)),
    st.builds(Change, st.sampled_from(NAMES), st.none() | st.integers(0, 3)),
    st.builds(Damage, st.sampled_from(NAMES), st.sampled_from([None, b"", b"{", b"null"])),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(OPERATIONS, min_size=1, max_size=8))
@example([Run(killed_at=n) for n in range(20, 500, 60)] + [Run()])
@example([Run(), Run(only_changed=True), Change("two", 2), Run(only_changed=True, killed_at=400), Run()])
@example([Run(), Damage("one", b"{"), Change("two", None), Run(), Run(force=True)])
def test_any_sequence_of_runs_failures_kills_and_changes_leaves_whole_files(
    operations: list[Run | Change | Damage],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for foreign, text in FOREIGN.items():
            (folder / foreign).write_bytes(text)
        seed = catalog_record(
            slug="one", title="One", repo_url="https://github.com/ann/one/", last_fetched=None
        )  # fmt: skip
        (folder / "one.json").write_bytes(encode_api(msgspec.convert(seed, Record)))
        world = World(folder)
        for operation in operations:
            world.play(operation)
        world.stars = dict.fromkeys(NAMES, 9)
        world.play(Run(force=True))
        assert {known((folder / f"{name}.json").read_bytes()).repo_watchers for name in NAMES} == {9}  # type: ignore[union-attr]  # an error then
