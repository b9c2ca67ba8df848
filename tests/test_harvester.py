from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from pkgharvest.bases import HeldRecords
from pkgharvest.errors import (
    DownError,
    NotFoundError,
    PkgharvestError,
    RateLimitedError,
    StoppedError,
    TargetError,
    TokenRefusedError,
    UnavailableError,
)
from pkgharvest.harvester import Harvester
from pkgharvest.listing import Listing
from pkgharvest.net.message import Answer, Cost, Request
from pkgharvest.reading import RestReader
from pkgharvest.record import Record
from pkgharvest.resolve import Resolver
from pkgharvest.results import Failure, Harvested, Lead, Result, Skipped
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import GitHub, Reading
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import DEFAULT_HOSTS, Named, Repository, parse_target, whole_catalog
from pkgharvest.visit import Ending, Visit
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
    replies,
    repository,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


def harvester(
    fetch: FakeFetch, *, catalog: bool = False, base: Iterable[Record] = (), **options: Any
) -> Harvester:
    asked = Catalog(CATALOG) if catalog else None
    bases = HeldRecords(base, DEFAULT_HOSTS)
    github = GitHub(GITHUB)
    return Harvester(
        fetch=fetch,
        resolver=Resolver(PyPI(PYPI), asked, bases, DEFAULT_HOSTS),
        github=github,
        listing=Listing(Catalog(CATALOG), bases),
        zone=UTC,
        **{"reader": RestReader(github), **options},
    )


async def one(harvester: Harvester, target: str) -> Harvested | Failure:
    [result] = await harvester.batch([package(target)], Ending())
    return result


async def harvested(
    table: dict[str, Reply | Exception],
    target: str = "django-x",
    *,
    catalog: bool = False,
    base: Iterable[Record] = (),
) -> Harvested | Failure:
    return await one(harvester(FakeFetch(table), catalog=catalog, base=base), target)


def base_record(**fields: Any) -> Record:
    return msgspec.convert(catalog_record(**fields), Record)


EXPECTED = Record(
    category=None,
    grids=[],
    id=None,
    title="django-x",
    slug="django-x",
    last_updated=datetime(2026, 3, 16, 15, 30, tzinfo=UTC),
    last_fetched=NOW,
    repo_url="https://github.com/ann/django-x",
    pypi_version="1.2",
    created=None,
    modified=None,
    repo_forks=3,
    repo_description="About x",
    pypi_url="http://pypi.python.org/pypi/django-x",
    documentation_url="",
    repo_watchers=12,
    commits_over_52=[0] * 50 + [1, 1],
    participants=["ann", "bob"],
)


async def test_a_slug_gives_the_whole_record() -> None:
    fetch = FakeFetch(replies())
    result = await one(harvester(fetch), "django-x")
    assert result == Harvested(
        "django-x", EXPECTED, 7, Lead("source", "Source"), None, archived=False, warnings=()
    )
    assert fetch.asked == [
        f"{PYPI}/pypi/django-x/json",
        f"{GITHUB}/repos/ann/django-x",
        f"{GITHUB}/repos/ann/django-x/commits?per_page=100",
        f"{GITHUB}/repos/ann/django-x/contributors?per_page=100",
    ]


async def test_the_catalog_gives_what_only_it_knows() -> None:
    result = await harvested(replies(), catalog=True)
    base = base_record()
    expected = msgspec.structs.replace(
        EXPECTED,
        category=base.category,
        grids=base.grids,
        id=99,
        title="Django X",
        created=base.created,
        modified=base.modified,
        documentation_url=None,
    )
    assert isinstance(result, Harvested)
    assert (result.record, result.found, result.warnings) == (expected, Lead("catalog"), ())


async def test_a_package_that_the_catalog_does_not_have_is_harvested_with_a_warning() -> None:
    result = await harvested(replies(catalog=Reply({"detail": "No"}, 404)), catalog=True)
    assert isinstance(result, Harvested)
    assert (result.record, result.warnings) == (EXPECTED, ("the package is not in the catalog",))


async def test_a_slug_of_digits_does_not_take_the_package_of_that_number() -> None:
    table = replies() | {f"{CATALOG}/api/v4/packages/99/": Reply(catalog_record())}
    table[f"{PYPI}/pypi/99/json"] = project("99")
    result = await harvested(table, "99", catalog=True)
    assert isinstance(result, Harvested)
    assert (result.slug, result.record.id) == ("99", None)


async def test_the_catalog_is_asked_for_the_normalised_name_too() -> None:
    fetch = FakeFetch(replies())
    result = await one(harvester(fetch, catalog=True), "django_x")
    assert isinstance(result, Harvested)
    assert (result.slug, result.record.id) == ("django-x", 99)
    assert fetch.asked[:2] == [f"{CATALOG}/api/v4/packages/{key}/" for key in ("django_x", "django-x")]


async def test_a_number_is_looked_up_in_the_catalog() -> None:
    table = replies() | {f"{CATALOG}/api/v4/packages/99/": Reply(catalog_record())}
    result = await harvested(table, f"{CATALOG}/api/v4/packages/99/", catalog=True)
    assert isinstance(result, Harvested)
    assert result.slug == "django-x"


@pytest.mark.parametrize(("catalog", "kind"), [(False, TargetError), (True, NotFoundError)])
async def test_a_number_that_nobody_knows_is_a_failure(catalog: bool, kind: type[PkgharvestError]) -> None:
    result = await harvested({}, f"{CATALOG}/api/v4/packages/5/", catalog=catalog)
    assert isinstance(result, Failure)
    assert (type(result.error), result.slug) == (kind, None)


async def test_a_number_is_found_among_the_base_records() -> None:
    result = await harvested(replies(), f"{CATALOG}/api/v4/packages/99/", base=[base_record()])
    assert isinstance(result, Harvested)
    assert (result.slug, str(result.found)) == ("django-x", "base record")


async def test_a_catalog_that_is_down_fails_the_package_unless_there_is_an_older_record() -> None:
    down = replies(catalog=UnavailableError("down"))
    failure = await harvested(down, catalog=True)
    result = await harvested(down, catalog=True, base=[base_record()])
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, UnavailableError)
    assert isinstance(result, Harvested)
    assert result.record.id == 99
    assert result.warnings == ("the catalog's fields are older: down",)


async def test_pypi_that_is_down_fails_the_package_unless_there_is_an_older_record() -> None:
    down = replies(project=UnavailableError("down"))
    failure = await harvested(down, "https://github.com/ann/django-x")
    result = await harvested(down, base=[base_record(pypi_version="1.1")])
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, UnavailableError)
    assert isinstance(result, Harvested)
    assert result.record.pypi_version == "1.1"
    assert result.warnings == ("version and documentation are the base record's: down",)


async def test_a_project_that_left_pypi_keeps_the_base_records_version_with_a_warning() -> None:
    gone = replies(project=Reply({}, 404))
    result = await harvested(gone, base=[base_record(pypi_version="1.1")])
    assert isinstance(result, Harvested)
    assert result.record.pypi_version == "1.1"
    assert result.warnings == ("the project 'django-x' is not on pypi.python.org (404)",)


@pytest.mark.parametrize("service", ["project", "catalog"])
async def test_a_rate_limit_is_never_papered_over_by_a_base_record(service: str) -> None:
    limited = replies(**{service: RateLimitedError("wait")})
    result = await harvested(limited, catalog=True, base=[base_record()])
    assert isinstance(result, Failure)
    assert isinstance(result.error, RateLimitedError)


async def test_a_name_that_is_not_on_pypi_is_a_failure() -> None:
    result = await harvested({}, "no-such")
    assert isinstance(result, Failure)
    assert (result.reason, result.retryable, result.slug) == ("not-found", False, "no-such")
    assert str(result.error) == "the project 'no-such' is not on pypi.python.org (404). Check the name"


async def test_a_project_that_names_no_repository_is_a_failure() -> None:
    result = await harvested(replies(project=project(project_urls={"Home": "https://x.example"})))
    assert isinstance(result, Failure)
    assert result.reason == "no-repository"


async def test_a_base_record_on_another_forge_is_a_failure() -> None:
    result = await harvested(replies(), base=[base_record(repo_url="https://gitlab.com/ann/django-x")])
    assert isinstance(result, Failure)
    assert str(result.error) == (
        "its repository 'https://gitlab.com/ann/django-x' is on no host that is read. Only GitHub is read"
    )


async def test_a_base_record_without_a_repository_leaves_the_question_to_pypi() -> None:
    result = await harvested(replies(), base=[base_record(repo_url="")])
    assert isinstance(result, Harvested)
    assert (result.record.repo_url, result.found) == (
        "https://github.com/ann/django-x",
        Lead("source", "Source"),
    )


async def test_a_repository_that_is_gone_is_a_failure() -> None:
    result = await harvested(replies(repository=Reply({"message": "Not Found"}, 404)))
    assert isinstance(result, Failure)
    assert str(result.error) == (
        "ann/django-x is not on api.github.com, or is private (404). Check the address"
    )


async def test_a_repository_url_finds_its_project_on_pypi() -> None:
    result = await harvested(replies(), "git@github.com:ann/django-x.git")
    assert isinstance(result, Harvested)
    assert (result.record, str(result.found)) == (EXPECTED, "target")


async def test_a_project_of_the_same_name_and_another_repository_is_not_this_package() -> None:
    other = project(project_urls={"Source": "https://github.com/eve/django-x"})
    result = await harvested(replies(project=other), "https://github.com/ann/django-x")
    assert isinstance(result, Harvested)
    assert (result.record.pypi_url, result.record.pypi_version) == ("", None)
    assert result.warnings == ("the project 'django-x' on PyPI does not name this repository",)


async def test_a_repository_that_is_not_on_pypi_gives_a_record_without_version() -> None:
    result = await harvested(replies(project=Reply({}, 404)), "https://github.com/ann/django-x")
    assert isinstance(result, Harvested)
    expected = msgspec.structs.replace(EXPECTED, pypi_url="", pypi_version=None)
    assert (result.record, result.warnings) == (expected, ())


async def test_a_repository_url_takes_the_catalogs_record_of_its_name_only_if_it_is_the_same() -> None:
    same = await harvested(replies(), "https://github.com/ann/django-x", catalog=True)
    other = Reply(catalog_record(repo_url="https://github.com/eve/django-x", pypi_url=""))
    different = await harvested(replies(catalog=other), "https://github.com/ann/django-x", catalog=True)
    assert isinstance(same, Harvested)
    assert isinstance(different, Harvested)
    assert (same.record.id, different.record.id) == (99, None)


async def test_a_moved_repository_keeps_the_base_records_address_and_warns() -> None:
    new = "https://api.github.com/repos/bob/django-x"
    table = replies(repository=repository("bob/django-x"))
    table |= {f"{new}/commits?per_page=100": commits(), f"{new}/contributors?per_page=100": contributors()}
    result = await harvested(table, base=[base_record()])
    assert isinstance(result, Harvested)
    assert result.record.repo_url == "https://github.com/ann/django-x"
    assert result.moved_to == "https://github.com/bob/django-x"
    assert result.warnings == ("the repository has moved to https://github.com/bob/django-x",)


async def test_a_repository_in_another_spelling_has_not_moved() -> None:
    table = replies(repository=repository("Ann/Django-X"))
    new = "https://api.github.com/repos/Ann/Django-X"
    table |= {f"{new}/commits?per_page=100": commits(), f"{new}/contributors?per_page=100": contributors()}
    result = await harvested(table)
    assert isinstance(result, Harvested)
    assert (result.moved_to, result.warnings) == (None, ())
    assert result.record.repo_url == "https://github.com/Ann/Django-X"


async def test_an_empty_repository_has_no_commits_and_no_date_of_its_own() -> None:
    empty = replies(commits=Reply({"message": "Git Repository is empty."}, 409), contributors=Reply(b"", 204))
    fresh = await harvested(empty)
    based = await harvested(empty, base=[base_record(last_updated="2020-01-01T00:00:00Z")])
    assert isinstance(fresh, Harvested)
    assert isinstance(based, Harvested)
    assert fresh.record == msgspec.structs.replace(
        EXPECTED, last_updated=None, commits_over_52=[0] * 52, participants=[]
    )
    assert based.record.last_updated == datetime(2020, 1, 1, tzinfo=UTC)


async def test_too_many_contributors_keep_the_base_records() -> None:
    message = "The history or contributor list is too large to list contributors"
    large = replies(contributors=Reply({"message": message}, 403))
    fresh = await harvested(large)
    based = await harvested(large, base=[base_record(participants=["zoe"])])
    assert isinstance(fresh, Harvested)
    assert isinstance(based, Harvested)
    assert (fresh.record.participants, based.record.participants) == (None, ["zoe"])
    assert [fresh.warnings, based.warnings] == [
        ("GitHub cannot list so many contributors; participants are unknown",),
        ("GitHub cannot list so many contributors; participants are the base record's",),
    ]


async def test_all_pages_of_contributors_are_read_in_their_order() -> None:
    second = f"{GITHUB}/repositories/7/contributors?per_page=100&page=2"
    table = replies(contributors=contributors("ann", "bob", headers={"link": f'<{second}>; rel="next"'}))
    table[second] = contributors("bob", "cid")
    result = await harvested(table)
    assert isinstance(result, Harvested)
    assert result.record.participants == ["ann", "bob", "cid"]


async def test_the_record_is_dated_by_the_last_answer() -> None:
    later = contributors("ann")
    later.moment = NOW + timedelta(days=1)
    result = await harvested(replies(contributors=later))
    assert isinstance(result, Harvested)
    assert result.record.last_fetched == NOW + timedelta(days=1)
    assert result.record.commits_over_52 == [0] * 50 + [1, 1]


async def test_documentation_and_archive_are_told() -> None:
    urls = {"Docs": "https://x.example/docs", "Code": "https://github.com/ann/django-x"}
    table = replies(project=project(project_urls=urls), repository=repository(archived=True))
    result = await harvested(table)
    assert isinstance(result, Harvested)
    assert (result.record.documentation_url, result.archived) == ("https://x.example/docs", True)
    assert result.found == Lead("source", "Code")


async def all_of(fetch: FakeFetch, *targets: str) -> list[Result]:
    parsed = [parse_target(text) for text in targets]
    return [result async for result in harvester(fetch).all(parsed, ahead=2, ending=Ending())]


async def test_the_same_package_twice_is_one_record_and_a_note() -> None:
    fetch = FakeFetch(replies())
    first, again, by_url = await all_of(fetch, "django-x", "Django_X", "https://github.com/ann/django-x")
    note = "the same package as django-x"
    assert isinstance(first, Harvested)
    assert again == Skipped("Django_X", None, "duplicate", note)
    assert by_url == Skipped("https://github.com/ann/django-x", "django-x", "duplicate", note)


async def test_two_repositories_with_one_slug_are_not_one_package() -> None:
    table = replies(project=Reply({}, 404))
    fork = f"{GITHUB}/repos/eve/django-x"
    table |= {fork: repository("eve/django-x", id=8), f"{fork}/commits?per_page=100": commits()}
    table |= {f"{fork}/contributors?per_page=100": contributors()}
    first, second = await all_of(
        FakeFetch(table), "https://github.com/ann/django-x", "https://github.com/eve/django-x"
    )
    assert isinstance(first, Harvested)
    assert isinstance(second, Failure)
    assert str(second.error) == (
        "its slug 'django-x' is that of https://github.com/ann/django-x, which is another repository. "
        "Harvest them apart"
    )


@pytest.mark.parametrize("catalog", [True, False])
async def test_the_present_address_of_a_moved_repository_finds_its_record(catalog: bool) -> None:
    old = catalog_record(repo_url="https://github.com/old/django-x")
    base = [] if catalog else [msgspec.convert(old, Record)]
    fetch = FakeFetch(replies(catalog=Reply(old)))
    result = await one(harvester(fetch, catalog=catalog, base=base), "https://github.com/ann/django-x")
    assert isinstance(result, Harvested)
    assert (result.record.id, result.record.repo_url) == (99, "https://github.com/old/django-x")
    assert result.warnings == ("the repository has moved to https://github.com/ann/django-x",)
    assert fetch.asked.count(f"{PYPI}/pypi/django-x/json") == 1


async def test_one_failing_target_does_not_stop_the_others() -> None:
    results = await all_of(FakeFetch(replies()), "no-such", "django-x", "no-such-either")
    assert [type(result) for result in results] == [Failure, Harvested, Failure]


@pytest.mark.parametrize("error", [TokenRefusedError("no"), RateLimitedError("wait")])
async def test_what_ends_the_run_fails_the_rest_without_asking(error: PkgharvestError) -> None:
    fetch = FakeFetch(replies(repository=error))
    results = await all_of(fetch, "django-x", *(f"other-{number}" for number in range(9)))
    assert len(results) == 10
    assert [result.error for result in results[3:] if isinstance(result, Failure)] == [error] * 7
    assert len(fetch.asked) <= 4


async def test_a_replay_goes_on_to_what_had_been_answered_before_the_run_ended() -> None:
    table = replies(project=Reply({}, 404))
    table[f"{GITHUB}/repos/zoe/first"] = RateLimitedError("wait")
    replayed = harvester(FakeFetch(table))
    targets = [parse_target(f"https://github.com/{name}") for name in ("zoe/first", "ann/django-x")]
    ending = Ending(replaying=True)
    results = [result async for result in replayed.all(targets, ahead=0, ending=ending)]
    assert [type(result) for result in results] == [Failure, Harvested]


async def test_failures_among_the_targets_are_passed_on() -> None:
    failure = Failure("?", None, TargetError("no"))
    passed = harvester(FakeFetch(replies())).all([failure], ahead=1, ending=Ending())
    results = [result async for result in passed]
    assert results == [failure]


async def test_participants_are_not_asked_for_if_nothing_was_committed_since() -> None:
    newest = {"last_updated": "2026-03-16T15:30:00Z", "participants": ["zoe"]}
    fetch = FakeFetch(replies())
    kept = await one(harvester(fetch, base=[base_record(**newest)]), "django-x")
    assert isinstance(kept, Harvested)
    assert kept.record.participants == ["zoe"]
    assert not [url for url in fetch.asked if "contributors" in url]


@pytest.mark.parametrize(
    ("last_updated", "refresh"),
    [("2026-03-16T15:30:00Z", True), ("2026-03-16T15:29:59Z", False), (None, False)],
)
async def test_participants_are_asked_for_if_they_may_have_changed(
    last_updated: str | None, refresh: bool
) -> None:
    base = base_record(last_updated=last_updated, participants=["zoe"])
    result = await one(harvester(FakeFetch(replies()), base=[base], refresh=refresh), "django-x")
    assert isinstance(result, Harvested)
    assert result.record.participants == ["ann", "bob"]


async def test_targets_that_are_given_twice_are_told_apart_by_package() -> None:
    failure = Failure("?", None, TargetError("no"))
    targets = [*(parse_target(text) for text in ("no", "such", "NO")), failure]
    results = [result async for result in harvester(FakeFetch({})).all(targets, ahead=1, ending=Ending())]
    assert [type(result) for result in results] == [Failure, Failure, Skipped, Failure]
    assert results[2:] == [Skipped("NO", None, "duplicate", "the same package as no"), failure]


async def results_of(harvester: Harvester, *targets: str) -> list[Result]:
    return [result async for result in harvester.all(map(parse_target, targets), ahead=1, ending=Ending())]


async def test_a_code_host_that_is_down_ends_the_run_and_nobody_else_is_asked() -> None:
    down = DownError("GitHub is down")
    fetch = FakeFetch(replies(repository=down))
    results = await results_of(harvester(fetch), "django-x", *(f"django-{number}" for number in range(50)))
    assert [result.error for result in results if isinstance(result, Failure)] == [down] * 51
    assert len(fetch.asked) < 10


async def test_an_index_that_is_down_leaves_packages_that_have_a_base_record() -> None:
    fetch = FakeFetch(replies(project=DownError("PyPI is down")))
    fetch.replies[f"{PYPI}/pypi/django-y/json"] = DownError("PyPI is down")
    first, second = await results_of(harvester(fetch, base=[base_record()]), "django-y", "django-x")
    assert isinstance(first, Failure)
    assert isinstance(first.error, DownError)
    assert isinstance(second, Harvested)
    assert second.warnings == ("version and documentation are the base record's: PyPI is down",)


async def test_a_circle_of_contributor_pages_ends_with_what_was_read() -> None:
    first = f"{GITHUB}/repos/ann/django-x/contributors?per_page=100"
    second = f"{first}&page=2"
    table = replies(contributors=contributors("ann", headers={"link": f'<{second}>; rel="next"'}))
    table[second] = contributors("bob", headers={"link": f'<{first}>; rel="next"'})
    fetch = FakeFetch(table)
    result = await one(harvester(fetch), "django-x")
    assert isinstance(result, Harvested)
    assert result.record.participants == ["ann", "bob"]
    assert fetch.asked.count(first) == fetch.asked.count(second) == 1


async def test_a_circle_of_commit_pages_is_a_failure() -> None:
    first = f"{GITHUB}/repos/ann/django-x/commits?per_page=100"
    second = f"{first}&page=2"
    ages = [timedelta(days=number) for number in range(1, 11)]
    table = replies(commits=commits(*ages, headers={"link": f'<{second}>; rel="next"'}))
    table[second] = commits(*ages, start=10, headers={"link": f'<{first}>; rel="next"'})
    fetch = FakeFetch(table)
    result = await one(harvester(fetch), "django-x")
    assert isinstance(result, Failure)
    assert str(result.error) == "the pages of the commits of ann/django-x lead in a circle"
    assert fetch.asked.count(first) == fetch.asked.count(second) == 1


async def test_a_name_that_is_nearly_that_of_a_base_record_is_suggested() -> None:
    known = [base_record(slug="django-pghistory")]
    result = await one(harvester(FakeFetch({}), base=known), "django-pghistroy")
    assert isinstance(result, Failure)
    assert (result.reason, result.error.advice) == ("not-found", "Did you mean django-pghistory?")


async def test_the_catalog_is_searched_for_a_name_where_it_may_be_asked() -> None:
    hits = Reply([{"slug": "django-pghistory"}, {"slug": "other"}])
    found: dict[str, Reply | Exception] = {f"{CATALOG}/api/v4/search/?q=django-pgh": hits}
    asking = await one(harvester(FakeFetch(found), catalog=True), "django-pghistroy")
    not_asking = await one(harvester(FakeFetch(found)), "django-pghistroy")
    assert isinstance(asking, Failure)
    assert isinstance(not_asking, Failure)
    assert asking.error.advice == "Did you mean django-pghistory?"
    assert not_asking.error.advice == "Check the name"


@pytest.mark.parametrize(
    "search", [Reply({"odd": "shape"}), Reply([], 500), Reply([{"slug": "something-else"}]), Reply([])]
)
async def test_without_a_near_name_the_error_stays_as_it_is(search: Reply) -> None:
    table: dict[str, Reply | Exception] = {f"{CATALOG}/api/v4/search/?q=django-pgh": search}
    result = await one(harvester(FakeFetch(table), catalog=True), "django-pghistroy")
    assert isinstance(result, Failure)
    assert result.error.advice == "Check the name"


async def test_in_a_long_list_of_unknown_names_the_search_ends() -> None:
    fetch = FakeFetch({})
    names = [package(f"unknown-{number}") for number in range(30)]
    await harvester(fetch, catalog=True).batch(names, Ending())
    assert sum("/search/" in url for url in fetch.asked) == 20
    assert not any("/search/" in url for url in fetch.asked if url.startswith(PYPI))


async def test_the_release_of_the_version_is_known_and_odd_files_do_no_harm() -> None:
    times = ["2026-01-02T03:04:05.678901Z", "2026-01-01T00:00:00Z", None]
    told = {"urls": [{"upload_time_iso_8601": time} for time in times]}
    released = await harvested(replies(project=Reply(project().body | told)))
    odd = await harvested(replies(project=Reply(project().body | {"urls": "odd"})))
    assert isinstance(released, Harvested)
    assert isinstance(odd, Harvested)
    assert (released.released, odd.released) == (datetime(2026, 1, 1, tzinfo=UTC), None)


HOUR = timedelta(hours=1)


def aged(age: timedelta | None, slug: str = "django-x", **fields: Any) -> Record:
    """Return a base record that was fetched so long before NOW."""
    fetched = None if age is None else (NOW - age).isoformat()
    urls = {"pypi_url": f"http://pypi.python.org/pypi/{slug}", "repo_url": f"https://github.com/ann/{slug}"}
    return base_record(**{"slug": slug, "id": None, "last_fetched": fetched, **urls, **fields})


async def due(
    *targets: str, base: Iterable[Record], fetch: FakeFetch | None = None, max_age: timedelta | None = HOUR
) -> list[Result]:
    made = harvester(fetch or FakeFetch(replies()), base=base, max_age=max_age, now=lambda: NOW)
    parsed = [parse_target(text) for text in targets]
    return [result async for result in made.all(parsed, ahead=2, ending=Ending())]


@pytest.mark.parametrize(
    "target",
    ["django-x", "Django_X", "https://github.com/ann/django-x", "https://github.com/Ann/Django-X.git"],
)
async def test_a_record_that_is_young_enough_is_passed_on_and_nobody_is_asked(target: str) -> None:
    young, fetch = aged(timedelta(minutes=59, seconds=59)), FakeFetch(replies())
    assert await due(target, base=[young], fetch=fetch) == [
        Skipped(target, "django-x", "fresh", "fetched 59 minutes ago", young)
    ]
    assert fetch.asked == []


@pytest.mark.parametrize(
    ("age", "max_age"),
    [
        (HOUR, HOUR),
        (timedelta(days=400), HOUR),
        (timedelta(), timedelta()),
        (-timedelta(microseconds=1), HOUR),
        (-timedelta(days=9), HOUR),
        (None, HOUR),
        (timedelta(), None),
    ],
    ids=["as old", "old", "no age", "just ahead", "from the future", "never fetched", "all are due"],
)
async def test_a_record_that_is_not_young_is_harvested_anew(
    age: timedelta | None, max_age: timedelta | None
) -> None:
    [result] = await due("django-x", base=[aged(age)], max_age=max_age)
    assert isinstance(result, Harvested)


async def test_a_package_without_a_record_is_due() -> None:
    [result] = await due("django-x", base=[aged(timedelta(), "other")])
    assert isinstance(result, Harvested)


async def test_a_young_record_comes_out_once_though_it_is_named_in_two_ways() -> None:
    young = aged(timedelta())
    first, again = await due("django-x", "https://github.com/ann/django-x", base=[young])
    assert first == Skipped("django-x", "django-x", "fresh", "fetched 0 seconds ago", young)
    assert again == Skipped(
        "https://github.com/ann/django-x", "django-x", "duplicate", "the same package as django-x"
    )


async def test_another_repository_with_the_slug_of_a_young_record_fails() -> None:
    fork = f"{GITHUB}/repos/eve/django-x"
    table = replies(project=Reply({}, 404))
    table |= {fork: repository("eve/django-x", id=8), f"{fork}/commits?per_page=100": commits()}
    table |= {f"{fork}/contributors?per_page=100": contributors()}
    names = ["django-x", "https://github.com/eve/django-x"]
    for order in (names, names[::-1]):
        first, second = await due(*order, base=[aged(timedelta())], fetch=FakeFetch(table))
        assert not isinstance(first, Failure)
        assert isinstance(second, Failure)
        assert second.error.message == (
            f"its slug 'django-x' is that of {order[0]}, which is another repository"
        )


class GroupReader(RestReader):
    """Reads nothing, and notes in what groups it was asked."""

    def __init__(self) -> None:
        super().__init__(GitHub(GITHUB))
        self.batch = 20
        self.groups: list[list[str]] = []

    async def read(
        self, repositories: Sequence[Repository], _visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        self.groups.append([repository.name for repository in repositories])
        return [NotFoundError("no") for _ in repositories]


async def test_what_is_skipped_does_not_make_the_batches_smaller() -> None:
    base = [aged(timedelta() if number % 3 else None, f"p{number}") for number in range(90)]
    reader = GroupReader()
    made = harvester(FakeFetch({}), base=base, max_age=HOUR, now=lambda: NOW, reader=reader)
    wrong = Failure("?", None, TargetError("no"))
    targets: list[Named | Failure] = []
    for number in range(90):
        targets += [parse_target(f"p{number}"), parse_target(f"P{number}"), wrong]
    results = [result async for result in made.all(targets, ahead=3, ending=Ending())]
    stale = [f"p{number}" for number in range(0, 90, 3)]
    assert reader.groups == [stale[:20], stale[20:]]
    assert [result.target for result in results] == [
        text for number in range(90) for text in (f"p{number}", f"P{number}", "?")
    ]
    kinds = {(type(result), getattr(result, "reason", "")) for result in results[3:6]}
    assert kinds == {(Skipped, "fresh"), (Skipped, "duplicate"), (Failure, "bad-target")}


@dataclass
class SlowFetch(FakeFetch):
    """Answers some addresses only when it is let."""

    slow: frozenset[str] = frozenset()
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: Request[T]) -> Answer[T]:
        if request.url in self.slow:
            self.asked.append(request.url)
            assert request.cost is not None
            request.cost.sent += 1
            await self.may_answer.wait()
        return await super().__call__(request)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


STOP = StoppedError("stopped by SIGINT", 2)


async def after_stop(
    fetch: FakeFetch, targets: Iterable[Named] | AsyncIterable[Named], *, ahead: int = 2, **options: Any
) -> list[Result]:
    """Return what comes out where the run is stopped once nothing moves any more."""
    ending = Ending()
    results: list[Result] = []

    async def collect() -> None:
        async for result in harvester(fetch, **options).all(targets, ahead=ahead, ending=ending):
            results.append(result)  # noqa: PERF401  what came before the end is wanted too

    running = asyncio.create_task(collect())
    await settle()
    assert not running.done()
    ending.stop(STOP)
    await asyncio.wait_for(running, 5)
    return results


async def test_where_the_run_is_stopped_what_is_finished_comes_out_and_no_target_is_taken() -> None:
    taken: list[str] = []

    def targets() -> Iterable[Named]:
        for name in ("slow", "django-x", "nix", *(f"p{number}" for number in range(50))):
            taken.append(name)
            yield parse_target(name)

    fetch = SlowFetch(replies(), slow=frozenset({f"{PYPI}/pypi/slow/json"}))
    slow, ready, failed = await after_stop(fetch, targets())
    assert slow == Failure("slow", "slow", STOP, cost=Cost(sent=1))
    assert isinstance(ready, Harvested)
    assert isinstance(failed, Failure)
    assert failed.reason == "not-found"
    assert taken == ["slow", "django-x", "nix"]


async def test_a_run_that_is_stopped_before_it_begins_takes_nothing() -> None:
    ending = Ending()
    ending.stop(STOP)
    fetch = FakeFetch(replies())
    made = harvester(fetch).all([parse_target("django-x")], ahead=2, ending=ending)
    assert [result async for result in made] == []
    assert fetch.asked == []


@pytest.mark.parametrize("batch", [1, 20])
async def test_a_run_is_stopped_though_the_next_target_is_long_in_coming(batch: int) -> None:
    closed = False

    async def slowly() -> AsyncGenerator[Named]:
        nonlocal closed
        yield parse_target("django-x")
        try:
            await asyncio.Event().wait()
        finally:
            closed = True

    fetch = FakeFetch(replies())
    reader = RestReader(GitHub(GITHUB))
    reader.batch = batch
    [result] = await after_stop(fetch, slowly(), reader=reader)
    if batch == 1:
        assert isinstance(result, Harvested)
    else:  # others were waited for, to be asked together
        assert result == Failure("django-x", "django-x", STOP)
        assert fetch.asked == []
    assert closed


LIST = f"{CATALOG}/api/v4/packages/?limit=100&offset="


async def test_a_run_is_stopped_while_a_list_is_read_and_the_list_fails() -> None:
    fetch = SlowFetch(replies(), slow=frozenset({f"{LIST}0"}))
    named = [parse_target("django-x"), whole_catalog(CATALOG), parse_target("nix")]
    first, second = await after_stop(fetch, named)
    assert isinstance(first, Harvested)
    assert second == Failure(f"{CATALOG}/api/v4/packages/", None, STOP)


async def test_a_run_is_stopped_though_a_list_has_ended_and_the_next_target_is_long_in_coming() -> None:
    async def slowly() -> AsyncGenerator[Named]:
        yield parse_target(f"{CATALOG}/grids/g/empty/")
        await asyncio.Event().wait()

    empty = Reply({"title": "Empty", "packages": []})
    fetch = FakeFetch({f"{CATALOG}/api/v4/grids/empty/": empty})
    assert await after_stop(fetch, slowly()) == []


def rows(*entries: Any, more: bool = False) -> Reply:
    return Reply({"next": LIST if more else None, "results": list(entries)})


@pytest.mark.parametrize("catalog", [True, False])
async def test_packages_of_a_list_start_from_its_records_and_are_not_asked_for(catalog: bool) -> None:
    fetch = FakeFetch(replies() | {f"{LIST}0": rows(catalog_record(title="From the list"))})
    made = harvester(fetch, catalog=catalog, base=[base_record(title="Older")])
    [result] = [r async for r in made.all([whole_catalog(CATALOG)], ahead=2, ending=Ending())]
    assert isinstance(result, Harvested)
    assert (result.target, result.record.title, result.found) == (
        "django-x",
        "From the list",
        Lead("catalog"),
    )
    assert fetch.asked == [
        f"{LIST}0",
        f"{GITHUB}/repos/ann/django-x",
        f"{GITHUB}/repos/ann/django-x/commits?per_page=100",
        f"{PYPI}/pypi/django-x/json",
        f"{GITHUB}/repos/ann/django-x/contributors?per_page=100",
    ]


async def test_packages_of_a_grid_that_are_known_start_from_their_records() -> None:
    grid = Reply({"title": "Forms", "packages": [f"{CATALOG}/api/v4/packages/99/"]})
    fetch = FakeFetch(replies() | {f"{CATALOG}/api/v4/grids/forms/": grid})
    made = harvester(fetch, base=[base_record(title="Known")])
    target = parse_target(f"{CATALOG}/grids/g/forms/")
    [result] = [r async for r in made.all([target], ahead=2, ending=Ending())]
    assert isinstance(result, Harvested)
    assert (result.target, result.record.title) == (f"{CATALOG}/api/v4/packages/99/", "Known")
    assert [url for url in fetch.asked if url.startswith(CATALOG)] == [f"{CATALOG}/api/v4/grids/forms/"]


async def test_young_packages_of_a_list_are_skipped() -> None:
    young = aged(timedelta(), id=99)
    fetch = FakeFetch({f"{LIST}0": rows(catalog_record(), catalog_record(id=4, slug="nix"))})
    made = harvester(fetch, base=[young], max_age=HOUR, now=lambda: NOW)
    skipped, failed = [r async for r in made.all([whole_catalog(CATALOG)], ahead=2, ending=Ending())]
    assert skipped == Skipped("django-x", "django-x", "fresh", "fetched 0 seconds ago", young)
    assert isinstance(failed, Failure)


async def test_a_list_that_breaks_off_fails_after_what_it_gave_and_the_others_go_on() -> None:
    fetch = FakeFetch(
        replies() | {f"{LIST}0": rows(catalog_record(), more=True), f"{LIST}1": UnavailableError("no")}
    )
    named = [whole_catalog(CATALOG), parse_target("django-x"), parse_target("nix")]
    results = [r async for r in harvester(fetch).all(named, ahead=2, ending=Ending())]
    assert [type(result) for result in results] == [Harvested, Failure, Skipped, Failure]
    assert (results[1].target, getattr(results[1], "reason", "")) == (
        f"{CATALOG}/api/v4/packages/",
        "unavailable",
    )
    assert [result.target for result in results] == ["django-x", results[1].target, "django-x", "nix"]


async def test_a_duplicate_tells_what_was_asked_for_it() -> None:
    class Counting(FakeFetch):
        async def __call__(self, request: Request[T]) -> Answer[T]:
            assert request.cost is not None
            request.cost.sent += 1
            return await super().__call__(request)

    first, again = await all_of(Counting(replies()), "django-x", "https://github.com/ann/django-x")
    assert (first.cost.sent, again.cost.sent) == (4, 4)
    assert isinstance(again, Skipped)
