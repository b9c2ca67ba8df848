from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pkgharvest.commits import PAGES_AT_MOST, commits_over_52, last_commit
from pkgharvest.errors import (
    MalformedError,
    NotReadyError,
    OverloadedError,
    RateLimitedError,
    TokenRefusedError,
    UpstreamError,
)
from pkgharvest.sources.github import CommitPage, GitHub
from pkgharvest.visit import Ending, Visit
from pkgharvest.weeks import weekly_counts
from services import GITHUB, NOW, FakeFetch, Reply, commit, commits

pytestmark = pytest.mark.anyio

NAME = "ann/busy"
FIRST = f"{GITHUB}/repos/{NAME}/commits?per_page=100"
STATISTICS = f"{GITHUB}/repos/{NAME}/stats/participation"
HOUR = timedelta(hours=1)
NOT_READY = Reply({}, 202)


def page_url(number: int) -> str:
    return FIRST if number == 1 else f"{GITHUB}/repositories/7/commits?per_page=100&page={number}"


def history(ages: list[timedelta], *, size: int = 100) -> dict[str, Reply | Exception]:
    """Return the pages of a history, newest first, with the links that GitHub gives."""
    pages = [ages[start : start + size] for start in range(0, len(ages), size)]
    table: dict[str, Reply | Exception] = {}
    for number, page in enumerate(pages, 1):
        links = f'<{page_url(number + 1)}>; rel="next", <{page_url(len(pages))}>; rel="last"'
        headers = {"link": links} if number < len(pages) else {}
        table[page_url(number)] = commits(*page, start=(number - 1) * size, headers=headers)
    return table


async def counted(table: dict[str, Reply | Exception]) -> tuple[list[int], list[str]]:
    fetch = FakeFetch(table)
    github = GitHub(GITHUB)
    ask = Visit(fetch, Ending())
    page = await ask(github.commits(NAME))
    counts_at = await commits_over_52(github, NAME, page, ask)
    return counts_at(NOW), fetch.asked


def expected(ages: list[timedelta]) -> list[int]:
    return weekly_counts([NOW - age for age in ages], NOW)


async def test_one_page_that_reaches_the_windows_start_is_enough() -> None:
    ages = [timedelta(days=5 * number) for number in range(150)]
    assert await counted(history(ages)) == (expected(ages[:100]), [FIRST])


async def test_pages_are_read_until_the_window_is_covered() -> None:
    ages = [timedelta(days=2 * number) for number in range(400)]
    assert await counted(history(ages)) == (expected(ages), [page_url(1), page_url(2)])


async def test_a_short_history_is_read_to_its_end() -> None:
    ages = [number * HOUR for number in range(250)]
    assert await counted(history(ages)) == (expected(ages), [page_url(1), page_url(2), page_url(3)])


async def test_more_than_three_pages_are_left_to_githubs_statistics() -> None:
    ages = [number * HOUR for number in range(1234)]
    table = history(ages) | {STATISTICS: Reply({"all": list(range(52)), "owner": [0] * 52})}
    assert await counted(table) == (list(range(52)), [FIRST, STATISTICS])


async def test_a_history_that_grows_denser_is_left_to_the_statistics_after_three_pages() -> None:
    sparse = [timedelta(days=1.3 * number) for number in range(100)]
    dense = [timedelta(days=131) + number * HOUR for number in range(900)]
    table = history(sparse + dense) | {STATISTICS: Reply({"all": [1] * 52})}
    assert await counted(table) == ([1] * 52, [page_url(1), page_url(2), STATISTICS])


async def test_statistics_that_are_not_ready_leave_the_counting_to_us() -> None:
    ages = [number * HOUR for number in range(1234)]
    counts, asked = await counted(history(ages) | {STATISTICS: NOT_READY})
    assert counts == expected(ages)
    assert asked == [FIRST, STATISTICS, *(page_url(number) for number in range(2, 14))]


async def test_counting_is_given_up_where_it_would_take_too_many_pages() -> None:
    ages = [timedelta(minutes=number) for number in range(PAGES_AT_MOST + 5)]
    with pytest.raises(NotReadyError, match="more than 100 commits"):
        await counted(history(ages, size=1) | {STATISTICS: NOT_READY})


async def test_a_single_commit_with_a_wrong_date_does_not_end_the_reading() -> None:
    year_1970 = NOW - datetime.fromisoformat("1970-01-02T00:00:00Z")
    ages = [timedelta(days=number) for number in range(99)] + [year_1970]
    ages += [timedelta(days=number) for number in range(100, 180)]
    assert await counted(history(ages)) == (expected(ages), [page_url(1), page_url(2)])


async def test_a_commit_that_a_push_shifts_to_the_next_page_counts_once() -> None:
    table = history([timedelta(days=number) for number in range(150)])
    second = table[page_url(2)]
    assert isinstance(second, Reply)
    second.body.insert(0, commit("99", NOW - timedelta(days=99)))
    counts, _ = await counted(table)
    assert counts == expected([timedelta(days=number) for number in range(150)])


@pytest.mark.parametrize(
    ("dates", "newest"),
    [
        pytest.param(["2099-01-01T00:00:00Z", "2026-03-17T12:00:00Z"], 1, id="in the future"),
        pytest.param(["2026-03-18T00:00:00Z", "2026-03-17T23:59:59Z"], 1, id="today"),
        pytest.param(["1969-12-31T23:59:59Z", "2026-03-17T12:00:00Z"], 1, id="before 1970"),
        pytest.param(["0001-01-01T00:00:00Z", "2026-03-17T12:00:00Z"], 1, id="in the year 1"),
        pytest.param(["2026-03-11T12:00:00Z", "2026-03-17T12:00:00Z"], 2, id="out of order"),
        pytest.param(["no date", "2026-03-17T12:00:00Z"], 1, id="no date"),
        pytest.param(["2026-13-40T00:00:00Z", "2026-03-17T12:00:00Z"], 1, id="in no calendar"),
        pytest.param(["2026-03-17T12:00:00", "2026-03-17T12:00:00Z"], 1, id="without a zone"),
    ],
)
async def test_odd_author_dates(dates: list[str], newest: int) -> None:
    body = [commit(str(number), date, "2026-03-17T13:00:00Z") for number, date in enumerate(dates)]
    counts, _ = await counted({FIRST: Reply(body)})
    assert counts == [0] * 51 + [newest]


async def test_a_commit_without_its_author_counts_nowhere() -> None:
    body: list[dict[str, Any]] = [{"sha": "1", "commit": {"author": None}}, {"sha": "2", "commit": {}}]
    counts, _ = await counted({FIRST: Reply(body)})
    assert counts == [0] * 52


def test_the_newest_commit_is_dated_by_its_committer() -> None:
    body = [commit("1", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z")]
    page = GitHub(GITHUB).commits(NAME).judge(Reply(body).response(FIRST))
    assert last_commit(page) == datetime.fromisoformat("2026-02-02T00:00:00Z")
    assert last_commit(CommitPage((), None, None)) is None


def test_a_newest_commit_without_a_date_is_an_error() -> None:
    page = GitHub(GITHUB).commits(NAME).judge(Reply([{"sha": "1", "commit": {}}]).response(FIRST))
    with pytest.raises(MalformedError, match="bears no date"):
        last_commit(page)


def test_nothing_has_been_answered_before_the_first_request() -> None:
    with pytest.raises(LookupError):
        _ = Visit(FakeFetch({}), Ending()).latest


@pytest.mark.parametrize("broken", [Reply({}, 500), Reply({}), Reply({"all": [1]}), Reply({}, 404)])
async def test_statistics_that_fail_leave_the_counting_to_us(broken: Reply) -> None:
    ages = [number * HOUR for number in range(450)]
    counts, asked = await counted(history(ages) | {STATISTICS: broken})
    assert (counts, len(asked)) == (expected(ages), 6)


@pytest.mark.parametrize("error", [RateLimitedError("wait"), TokenRefusedError("no")])
async def test_statistics_do_not_hide_what_ends_the_run(error: UpstreamError) -> None:
    with pytest.raises(type(error)):
        await counted(history([number * HOUR for number in range(450)]) | {STATISTICS: error})


async def test_a_further_page_that_is_too_much_is_left_to_the_statistics() -> None:
    table = history([timedelta(days=2 * number) for number in range(400)])
    table[page_url(2)] = OverloadedError("too much")
    assert (await counted(table | {STATISTICS: Reply({"all": [1] * 52})}))[0] == [1] * 52
    with pytest.raises(OverloadedError):
        await counted(table | {STATISTICS: NOT_READY})
