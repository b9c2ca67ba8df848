"""Repositories read in batches: what is asked again and how, and that the commits found are the real ones."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgharvest.commits import commits_over_52
from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    NotStoredError,
    OversizedError,
    PkgharvestError,
    RateLimitedError,
    RefusedError,
    SettingError,
    TokenRefusedError,
    UnreachableError,
    UnreadableError,
    UpstreamError,
)
from pkgharvest.net.message import Answer, Forgetful, Request, Response, Token
from pkgharvest.reading import BATCH, PAGES_SLICED, SLICES, GraphReader, RestReader, StoredReader
from pkgharvest.sources.github import GitHub, Reading
from pkgharvest.sources.graphql import GraphQL
from pkgharvest.targets import Repository
from pkgharvest.visit import Ending, Visit
from pkgharvest.weeks import weekly_counts, window
from services import GITHUB as API
from services import FakeFetch, Reply, commit
from services import repository as rest_repository

pytestmark = pytest.mark.anyio

T = TypeVar("T")

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)
SINCE = window(NOW)[0]
SECOND = timedelta(seconds=1)
TOKEN = Token("ghp_hunter2", "GH_TOKEN")
GITHUB = GitHub(API, TOKEN)
GRAPHQL = GraphQL(API, TOKEN)

_ARGUMENT = re.compile(r'(\w+): "?([^",)]+)"?')


@dataclass
class Real:
    """A repository as it is, its commits newest first as git lists them: moments of committing."""

    dates: Sequence[datetime] = ()
    full_name: str = ""
    """What it is called now, if that is not what it is asked for by."""

    def shas(self) -> set[str]:
        return {f"c{number}" for number, date in enumerate(self.dates) if date >= SINCE}

    def history(self, since: str, until: str | None, after: str | None) -> dict[str, Any]:
        start = datetime.fromisoformat(since)
        end = datetime.fromisoformat(until) if until else NOW + timedelta(days=9999)
        held = [(number, date) for number, date in enumerate(self.dates) if start <= date <= end]
        first = int(after.removeprefix("at ")) if after else 0
        page = held[first : first + 100]
        info = {"hasNextPage": first + 100 < len(held), "endCursor": f"at {first + len(page)}"}
        nodes = [
            {"oid": f"c{number}", "authoredDate": _text(date), "committedDate": _text(date)}
            for number, date in page
        ]
        return {"totalCount": len(held), "pageInfo": info, "nodes": nodes}


@dataclass
class Server:
    """GitHub's two APIs over a table of repositories."""

    repositories: dict[str, Real | None] = field(default_factory=dict)
    most: int = 10**9
    """Aliases that a query for repositories may have; with more it is too much at once."""
    heavy: frozenset[str] = frozenset()
    """Repositories that are left out of an answer whose query asks for more than one."""
    hopeless: frozenset[str] = frozenset()
    """Repositories that are left out of every answer."""
    unsliced: frozenset[str] = frozenset()
    """Repositories whose slices are left out."""
    error: PkgharvestError | None = None
    """What every query for repositories meets."""
    slice_error: PkgharvestError | None = None
    """What every query for slices meets."""
    queries: list[list[str]] = field(default_factory=list)
    """The repositories of each query for repositories."""
    sliced: list[int] = field(default_factory=list)
    """The number of slices of each query for slices."""
    pages: int = 0
    rest: list[str] = field(default_factory=list)
    clock: datetime = NOW

    async def __call__(self, request: Request[T]) -> Answer[T]:
        await asyncio.sleep(0)
        self.clock += SECOND
        if request.method == "POST":
            assert request.url == GRAPHQL.url
            status, body = self._query(json.loads(request.body)["query"])
        else:
            self.rest.append(request.url.removeprefix(f"{API}/repos/"))
            status, body = self._rest(self.rest[-1])
        response = Response(request.url, status, {}, json.dumps(body).encode(), self.clock)
        return Answer(request.judge(response), response.received)

    def _query(self, query: str) -> tuple[int, Any]:
        assert query.count("{") == query.count("}")
        assert "first: 100" in query
        assert "rateLimit { cost }" in query
        found = re.findall(r'\b([rs]\d+): repository\(owner: "([^"]*)", name: "([^"]*)"', query)
        names = [f"{owner}/{name}" for _, owner, name in found]
        if found[0][0].startswith("s"):
            return self._slices(query, names)
        arguments = [_arguments(text) for text in re.findall(r"history\(([^)]*)\)", query)]
        (told,) = arguments
        if "after" in told:
            self.pages += 1
            return 200, self._told({"r0": self._branch(names[0], told)})
        return self._repositories(names, told)

    def _repositories(self, names: list[str], told: dict[str, str]) -> tuple[int, Any]:
        self.queries.append(names)
        if self.error:
            raise self.error
        if len(names) > self.most:
            return 502, None
        data: dict[str, Any] = {}
        errors = []
        for number, name in enumerate(names):
            alias = f"r{number}"
            left_out = name in self.hopeless or (name in self.heavy and len(names) > 1)
            real = None if left_out else self.repositories.get(name)
            data[alias] = real and self._facts(name, real, told)
            if left_out:
                errors.append({"type": "RESOURCE_LIMITS_EXCEEDED", "path": [alias], "message": "Too much"})
            elif real is None:
                errors.append({"type": "NOT_FOUND", "path": [alias], "message": "Could not resolve"})
        return 200, self._told(data, errors)

    def _facts(self, name: str, real: Real, told: dict[str, str]) -> dict[str, Any]:
        full_name = real.full_name or name
        return {
            "databaseId": 7,
            "nameWithOwner": full_name,
            "url": f"https://github.com/{full_name}",
            "description": None,
            "stargazerCount": 1,
            "forkCount": 2,
            "isArchived": False,
            **(self._branch(name, told) if real.dates else {"defaultBranchRef": None}),
        }

    def _slices(self, query: str, names: list[str]) -> tuple[int, Any]:
        self.sliced.append(len(names))
        if self.slice_error:
            raise self.slice_error
        histories = [_arguments(text) for text in re.findall(r"history\(([^)]*)\)", query)]
        return 200, self._told(
            {
                f"s{number}": None if name in self.unsliced else self._branch(name, told)
                for number, (name, told) in enumerate(zip(names, histories, strict=True))
            }
        )

    def _branch(self, name: str, told: dict[str, str]) -> dict[str, Any]:
        real = self._real(name)
        history = real.history(told["since"], told.get("until"), told.get("after"))
        return {"defaultBranchRef": {"target": {"committedDate": _text(real.dates[0]), "history": history}}}

    def _real(self, name: str) -> Real:
        """Return a repository by its name, former or present."""
        for known, real in self.repositories.items():
            if real and name in (known, real.full_name):
                return real
        raise LookupError(name)

    @staticmethod
    def _told(data: dict[str, Any], errors: Sequence[Any] = ()) -> dict[str, Any]:
        data = {"rateLimit": {"cost": 1}, **data}
        return {"data": data, "errors": list(errors)} if errors else {"data": data}

    def _rest(self, path: str) -> tuple[int, Any]:
        name, _, rest = path.partition("/commits")
        real = self.repositories.get(name)
        if real is None:
            return 404, {"message": "Not Found"}
        if rest:
            return 200, [commit(f"c{number}", date) for number, date in enumerate(real.dates[:100])]
        return 200, rest_repository(real.full_name or name).body


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _arguments(text: str) -> dict[str, str]:
    return dict(_ARGUMENT.findall(text))


@dataclass
class Kept:
    """A `Memory` over a dictionary, and the `Fetch` that answers from it."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    received: dict[str, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def keep(self, request: Request[Any], response: Response) -> None:
        self.bodies[request.url] = response.wire
        self.received[request.url] = response.received

    def forget(self, request: Request[Any]) -> None:
        del self.bodies[request.url]

    def move(self, _service: str, _origin: str, _now: datetime) -> str | None:
        return None

    def remember_move(self, service: str, origin: str, target: str, now: datetime) -> None:
        pass

    async def __call__(self, request: Request[T]) -> Answer[T]:
        self.asked.append(request.url)
        if request.url not in self.bodies:
            raise NotStoredError("nothing is stored")
        received = self.received.get(request.url, NOW)
        response = Response(request.url, 200, {}, self.bodies[request.url], received)
        return Answer(request.judge(response), received)


def named(*names: str) -> list[Repository]:
    return [Repository(name, "x") for name in names]


def many(count: int) -> list[Repository]:
    return named(*(f"o{number}" for number in range(count)))


def server_of(repositories: Sequence[Repository], **options: Any) -> Server:
    """Return a server where each of the repositories has a commit of its own."""
    reals: dict[str, Real | None] = {
        repository.full_name: Real([NOW - timedelta(days=1 + number)])
        for number, repository in enumerate(repositories)
    }
    return Server(reals, **options)


def reader_of(memory: Any = None) -> GraphReader:
    return GraphReader(GITHUB, GRAPHQL, SINCE, memory or Forgetful())


def visits_to(fetch: Any, count: int) -> list[Visit]:
    ending = Ending()
    return [Visit(fetch, ending) for _ in range(count)]


async def read(
    server: Server, repositories: Sequence[Repository], reader: RestReader | None = None
) -> list[Reading | PkgharvestError]:
    visits = visits_to(server, len(repositories))
    return await (reader or reader_of()).read(repositories, visits)


def told(results: Sequence[Reading | PkgharvestError]) -> list[str]:
    """Return the name of each repository that was read, the kind of each error."""
    return [
        result.facts.full_name if isinstance(result, Reading) else type(result).__name__ for result in results
    ]


def full_names(repositories: Sequence[Repository]) -> list[str]:
    return [repository.full_name for repository in repositories]


def sizes(server: Server) -> list[int]:
    return [len(names) for names in server.queries]


async def test_without_a_token_each_repository_takes_two_requests() -> None:
    server = server_of(named("ann", "bob"))
    server.repositories["bob/x"] = Real([NOW - timedelta(days=2)], "dan/y")
    server.repositories["dan/y"] = server.repositories["bob/x"]
    reader = RestReader(GITHUB)
    results = await read(server, named("ann", "bob", "cat"), reader)
    assert told(results) == ["ann/x", "dan/y", "NotFoundError"]
    commits = "commits?per_page=100"
    assert server.rest == ["ann/x", f"ann/x/{commits}", "bob/x", f"dan/y/{commits}", "cat/x"]
    assert isinstance(results[1], Reading)
    assert results[1].last_commit == NOW - timedelta(days=2)
    assert [entry.sha for entry in results[1].page.commits] == ["c0"]
    assert reader.batch == 1


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ({"": Reply({}, 401)}, TokenRefusedError),
        ({"": rest_repository("ann/x"), "/commits?per_page=100": Reply({}, 451)}, RefusedError),
        ({"": rest_repository("ann/x"), "/commits?per_page=100": UnreachableError("gone")}, UnreachableError),
        (
            {"": rest_repository("ann/x"), "/commits?per_page=100": Reply([commit("a", "no date")])},
            MalformedError,
        ),
    ],
)
async def test_an_error_of_one_repository_is_handed_back(
    replies: dict[str, Any], kind: type[UpstreamError]
) -> None:
    fetch = FakeFetch({f"{API}/repos/ann/x{end}": reply for end, reply in replies.items()})
    (result,) = await RestReader(GITHUB).read(named("ann"), visits_to(fetch, 1))
    assert type(result) is kind


async def test_nothing_to_read_asks_nothing() -> None:
    server = Server()
    for reader in (RestReader(GITHUB), reader_of(), StoredReader(GITHUB, GRAPHQL, SINCE, Forgetful())):
        assert await reader.read([], []) == []
    assert server.queries == []


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (20, [20]), (21, [20, 1]), (50, [20, 20, 10])])
async def test_with_a_token_twenty_repositories_take_a_query(count: int, expected: list[int]) -> None:
    repositories = many(count)
    server, reader = server_of(repositories), reader_of()
    assert told(await read(server, repositories, reader)) == full_names(repositories)
    assert sizes(server) == expected
    assert server.rest == []
    assert reader.batch == BATCH == 20


async def test_repositories_are_told_apart_and_come_in_order() -> None:
    server = Server(
        {
            "ann/x": Real([NOW - timedelta(days=1)]),
            "bob/x": Real([NOW - timedelta(days=1)], "dan/y"),
            "cat/x": Real(),
        }
    )
    results = await read(server, named("cat", "nobody", "ann", "bob", "ann"))
    assert told(results) == ["cat/x", "NotFoundError", "ann/x", "dan/y", "ann/x"]
    assert isinstance(results[0], Reading)
    assert (results[0].last_commit, results[0].page.commits) == (None, ())
    assert (len(server.queries), server.rest) == (1, [])


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 9, 10, 19])
async def test_what_is_too_much_at_once_is_halved_down_to_one_then_left_to_rest(most: int) -> None:
    repositories = many(20)
    server = server_of(repositories, most=most)
    assert told(await read(server, repositories)) == full_names(repositories)
    assert max(sizes(server)[1:]) <= 10
    assert len(server.queries) < 2 * 20
    assert len(server.rest) == (0 if most else 2 * 20)


async def test_a_batch_is_halved_in_order() -> None:
    repositories = many(8)
    server = server_of(repositories, most=2)
    await read(server, repositories)
    assert sizes(server) == [8, 4, 2, 2, 4, 2, 2]
    assert [name for names in server.queries if len(names) == 2 for name in names] == full_names(repositories)


async def test_only_what_was_left_unanswered_is_asked_again() -> None:
    repositories = many(20)
    heavy = frozenset({"o3/x", "o17/x"})
    server = server_of(repositories, heavy=heavy)
    assert told(await read(server, repositories)) == full_names(repositories)
    assert {name for names in server.queries[1:] for name in names} == heavy
    assert [name for names in server.queries for name in names].count("o0/x") == 1
    assert len(server.queries) <= 4
    assert server.rest == []


async def test_what_cannot_be_answered_even_alone_is_left_to_rest() -> None:
    repositories = [*many(5), *named("nobody")]
    server = server_of(repositories[:5], hopeless=frozenset({"o2/x"}))
    assert told(await read(server, repositories)) == [*full_names(repositories[:5]), "NotFoundError"]
    assert server.rest == ["o2/x", "o2/x/commits?per_page=100"]
    assert len(server.queries) <= 3


async def test_the_size_goes_down_for_the_batches_to_come_and_grows_back_slowly() -> None:
    repositories = many(400)
    server, reader = server_of(repositories, most=5), reader_of()
    await read(server, repositories[:20], reader)
    server.queries.clear()
    server.most = 10**9
    await read(server, repositories, reader)
    *grown, _ = sizes(server)
    assert grown[0] <= 10
    assert grown[-1] == BATCH
    assert grown[1:] == [min(BATCH, size + 1) for size in grown[:-1]]


async def test_a_server_that_is_slow_for_good_is_not_tried_with_everything_each_time() -> None:
    server, reader = server_of(many(100), most=5), reader_of()
    assert told(await read(server, many(100), reader)) == full_names(many(100))
    assert len(server.queries) < 2 * 100 / 5 + 20
    assert server.rest == []


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("no connection"),
        RateLimitedError("wait", wait=5),
        TokenRefusedError("no"),
        SettingError("the run has ended"),
    ],
)
async def test_an_error_for_all_is_that_of_each_repository(error: PkgharvestError) -> None:
    server = server_of(many(3), error=error)
    assert await read(server, many(3)) == [error] * 3
    assert sizes(server) == [3]
    assert server.rest == []


@pytest.mark.parametrize("error", [MalformedError("x"), UnreadableError("x"), OversizedError("x")])
async def test_an_answer_that_cannot_be_read_is_too_much_at_once(error: PkgharvestError) -> None:
    server = server_of(many(4), error=error)
    assert told(await read(server, many(4))) == full_names(many(4))
    assert sizes(server) == [4, 2, 1, 1, 2, 1, 1]
    assert len(server.rest) == 8


@pytest.mark.parametrize("error", [NotFoundError("no such API"), RefusedError("not with this token")])
async def test_where_there_are_no_queries_rest_is_asked(error: PkgharvestError) -> None:
    server = server_of(many(4), error=error)
    assert told(await read(server, many(4))) == full_names(many(4))
    assert sizes(server) == [4]
    assert len(server.rest) == 8


async def test_what_ends_the_run_is_not_asked_again() -> None:
    server, ending = server_of(many(45), error=TokenRefusedError("no")), Ending()
    visits = [Visit(server, ending) for _ in range(45)]
    assert told(await reader_of().read(many(45), visits)) == ["TokenRefusedError"] * 45
    assert sizes(server) == [20]


async def test_the_visits_note_when_the_answers_came() -> None:
    server = server_of(many(3), heavy=frozenset({"o1/x"}), hopeless=frozenset({"o2/x"}))
    visits = visits_to(server, 3)
    await reader_of().read(many(3), visits)
    assert sizes(server) == [3, 1, 1]
    # Three queries and, for the last repository, two requests.
    assert [visit.latest for visit in visits] == [NOW + SECOND * number for number in (1, 2, 5)]


async def test_a_visit_notes_the_slices_too() -> None:
    server = server_of(many(2))
    server.repositories["o1/x"] = Real(spread(250))
    visits = visits_to(server, 2)
    await reader_of().read(many(2), visits)
    assert len(server.sliced) >= 1
    assert [visit.latest for visit in visits] == [NOW + SECOND, NOW + SECOND * (1 + len(server.sliced))]


def spread(count: int, *, start: datetime = SINCE, end: datetime = NOW) -> list[datetime]:
    """Return moments at equal distances, newest first."""
    step = (end - start) / (count + 1)
    return [(end - step * number).replace(microsecond=0) for number in range(1, count + 1)]


def burst(count: int, moment: datetime) -> list[datetime]:
    return [moment] * count


def ordered(*parts: Sequence[datetime]) -> list[datetime]:
    return sorted((date for part in parts for date in part), reverse=True)


MIDDLE = datetime(2025, 9, 9, 12, 0, 0, tzinfo=UTC)
NEVER = SINCE - timedelta(days=400)


async def read_one(dates: Sequence[datetime], **options: Any) -> tuple[Server, Reading]:
    server = Server({"ann/x": Real(dates)}, **options)
    (reading,) = await read(server, named("ann"))
    assert isinstance(reading, Reading)
    return server, reading


def assert_whole(reading: Reading, dates: Sequence[datetime]) -> None:
    shas = [entry.sha for entry in reading.page.commits]
    assert len(shas) == len(set(shas))
    assert set(shas) == Real(dates).shas()
    assert reading.page.next_url is None
    assert reading.last_commit == dates[0]


@pytest.mark.parametrize(
    "dates",
    [
        pytest.param(spread(1), id="one"),
        pytest.param(spread(100), id="a page"),
        pytest.param(spread(101), id="a page and one"),
        pytest.param(spread(200), id="two pages"),
        pytest.param(spread(1000), id="ten pages"),
        pytest.param(spread(100 * PAGES_SLICED), id="as many as are sliced"),
        pytest.param([*spread(300), *spread(500, start=NEVER, end=SINCE)], id="older ones beyond"),
        pytest.param(spread(500, start=NEVER, end=SINCE), id="older ones alone"),
        pytest.param(ordered(spread(150), burst(400, MIDDLE)), id="a burst"),
        pytest.param(ordered(spread(150), burst(650, MIDDLE)), id="a large burst"),
        pytest.param(ordered(spread(99), burst(300, NOW - timedelta(days=3))), id="a burst on the edge"),
        pytest.param(burst(450, NOW - timedelta(days=1)), id="nothing but a burst"),
        pytest.param(burst(450, SINCE), id="a burst as the window begins"),
        pytest.param(ordered(burst(150, SINCE), burst(150, SINCE + SECOND)), id="two seconds"),
        pytest.param(
            ordered(*(burst(300, MIDDLE + timedelta(days=20 * n)) for n in range(6))), id="six bursts"
        ),
        pytest.param(spread(900, start=NOW - timedelta(days=2)), id="two busy days"),
        pytest.param(spread(900, end=SINCE + timedelta(days=2)), id="two busy days long ago"),
        pytest.param(spread(400, start=MIDDLE, end=MIDDLE + timedelta(minutes=4)), id="four busy minutes"),
    ],
)
async def test_a_busy_repository_is_read_to_the_start_of_the_window(dates: list[datetime]) -> None:
    server, reading = await read_one(dates)
    assert_whole(reading, dates)
    assert len(server.queries) == 1
    assert (server.pages, server.rest) == (0, [])
    assert max(server.sliced, default=0) <= SLICES
    pages = -(-len(Real(dates).shas()) // 100)
    # A slice is made for sixty commits, and the rounds are few.
    assert sum(server.sliced) <= (0 if pages <= 1 else 4 * pages + 60)
    assert len(server.sliced) <= 8 + pages


async def test_the_slices_of_many_repositories_share_queries() -> None:
    repositories = many(20)
    server = server_of(repositories)
    histories = {name: spread(130 + 10 * number) for number, name in enumerate(full_names(repositories))}
    server.repositories.update({name: Real(dates) for name, dates in histories.items()})
    for result, dates in zip(await read(server, repositories), histories.values(), strict=True):
        assert isinstance(result, Reading)
        assert_whole(result, dates)
    assert sizes(server) == [20]
    assert len(server.sliced) <= 8
    assert max(server.sliced) <= SLICES


async def test_a_renamed_repository_is_read_to_the_start_of_the_window_too() -> None:
    server = Server({"ann/x": Real(spread(300), "dan/y")})
    (reading,) = await read(server, named("ann"))
    assert isinstance(reading, Reading)
    assert_whole(reading, spread(300))


async def test_more_pages_than_are_sliced_are_left_as_they_are() -> None:
    dates = spread(100 * PAGES_SLICED + 1)
    server, reading = await read_one(dates)
    assert server.sliced == []
    assert [entry.sha for entry in reading.page.commits] == [f"c{number}" for number in range(100)]
    assert reading.page.next_url is not None
    assert reading.page.pages == PAGES_SLICED + 1


def assert_first_page(reading: Reading, pages: int) -> None:
    assert [entry.sha for entry in reading.page.commits] == [f"c{number}" for number in range(100)]
    assert reading.page.next_url is not None
    assert (reading.page.pages, reading.page.since) == (pages, SINCE)


@pytest.mark.parametrize(
    "options",
    [
        {"unsliced": frozenset({"ann/x"})},
        {"slice_error": UnreachableError("no connection")},
        {"slice_error": MalformedError("another shape")},
        {"slice_error": RefusedError("no")},
    ],
)
async def test_where_slices_cannot_be_had_the_first_page_leads_to_the_next(options: dict[str, Any]) -> None:
    server, reading = await read_one(spread(300), **options)
    assert_first_page(reading, 3)
    assert len(server.sliced) == 1
    visit = Visit(server, Ending())
    visit.note(NOW)
    counts_at = await commits_over_52(reader_of(), "ann/x", reading.page, visit)
    assert counts_at(NOW) == weekly_counts(spread(300), NOW)
    assert (server.pages, server.rest) == (2, [])


async def test_one_repository_whose_slices_are_left_out_does_not_harm_the_others() -> None:
    dates = spread(250)
    server = Server({name: Real(dates) for name in ("ann/x", "bob/x")}, unsliced=frozenset({"ann/x"}))
    ann, bob = await read(server, named("ann", "bob"))
    assert isinstance(ann, Reading)
    assert isinstance(bob, Reading)
    assert_first_page(ann, 3)
    assert_whole(bob, dates)


@pytest.mark.parametrize("error", [RateLimitedError("wait", wait=5), TokenRefusedError("no")])
async def test_what_ends_the_run_while_slices_are_asked_for_ends_it(error: PkgharvestError) -> None:
    server = Server({"ann/x": Real(spread(300))}, slice_error=error)
    assert await read(server, named("ann")) == [error]
    assert server.rest == []


async def test_a_burst_that_takes_too_long_leaves_the_first_page() -> None:
    server, reading = await read_one(ordered(spread(150), burst(2000, MIDDLE)))
    assert_first_page(reading, 22)
    assert len(server.sliced) <= 20


@pytest.mark.parametrize("place", [50, 99])
async def test_dates_out_of_order_lose_no_commit(place: int) -> None:
    dates = spread(300)
    dates[place] = SINCE + timedelta(days=3)
    server, reading = await read_one(dates)
    if reading.page.next_url is None:
        assert_whole(reading, dates)
    else:
        assert_first_page(reading, 3)
    assert server.rest == []


async def test_commits_that_came_after_the_first_page_are_left_for_the_next_time() -> None:
    dates = spread(300)
    server = Server({"ann/x": Real(dates)})

    async def pushing(request: Request[T]) -> Answer[T]:
        answer = await server(request)
        if len(server.queries) == 1 and not server.sliced:
            server.repositories["ann/x"] = replace(Real(dates), dates=[*dates, NOW + timedelta(days=1)])
        return answer

    (reading,) = await reader_of().read(named("ann"), visits_to(pushing, 1))
    assert isinstance(reading, Reading)
    assert_whole(reading, dates)


HISTORIES = st.lists(
    st.one_of(
        st.tuples(
            st.integers(1, 200), st.integers(-(60 * 86_400), 363 * 86_400), st.integers(0, 400 * 86_400)
        ),
        st.tuples(st.integers(1, 350), st.integers(0, 363 * 86_400), st.integers(0, 5)),
    ),
    max_size=6,
)
"""Stretches of a history: how many commits, seconds after the window's start, how many seconds long."""


def dates_of(stretches: Sequence[tuple[int, int, int]]) -> list[datetime]:
    dates = [
        SINCE + timedelta(seconds=start + number * length // count)
        for count, start, length in stretches
        for number in range(count)
    ]
    return sorted((date for date in dates if date <= NOW), reverse=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(HISTORIES, min_size=1, max_size=3))
def test_the_commits_found_are_those_of_the_repository(histories: list[list[tuple[int, int, int]]]) -> None:
    repositories = many(len(histories))
    all_dates = [dates_of(stretches) for stretches in histories]
    server = Server({f"o{number}/x": Real(dates) for number, dates in enumerate(all_dates)})
    results = asyncio.run(read(server, repositories))
    for result, dates in zip(results, all_dates, strict=True):
        assert isinstance(result, Reading)
        if result.page.next_url is not None:  # a burst that takes more rounds than there are
            assert_first_page(result, -(-len(Real(dates).shas()) // 100))
        elif dates:
            assert_whole(result, dates)
    commits = sum(map(len, all_dates))
    assert len(server.queries) == 1
    assert sum(server.sliced) <= commits / 4 + 12 * len(histories)
    assert len(server.sliced) <= sum(server.sliced) / SLICES + 12


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 60),
    st.integers(0, 25),
    st.frozensets(st.integers(0, 59), max_size=8),
    st.frozensets(st.integers(0, 59), max_size=3),
    st.frozensets(st.integers(0, 59), max_size=5),
)
def test_every_repository_is_read_in_its_place_whatever_is_left_out(
    count: int, most: int, heavy: frozenset[int], hopeless: frozenset[int], missing: frozenset[int]
) -> None:
    repositories = many(count)
    options = {
        kind: frozenset(f"o{number}/x" for number in numbers)
        for kind, numbers in (("heavy", heavy), ("hopeless", hopeless))
    }
    server = server_of(repositories, most=most, **options)
    for number in missing:
        server.repositories.pop(f"o{number}/x", None)
    expected = [
        "NotFoundError" if number in missing else repository.full_name
        for number, repository in enumerate(repositories)
    ]
    assert told(asyncio.run(read(server, repositories))) == expected
    assert max(sizes(server)) <= BATCH
    assert len(server.queries) <= 2 * count + 1


async def test_a_further_page_is_asked_for_where_the_page_before_came_from() -> None:
    _, reading = await read_one(spread(300), unsliced=frozenset({"ann/x"}))
    assert reading.page.next_url
    reader = reader_of()
    assert reader.more_commits("ann/x", reading.page.next_url).method == "POST"
    url = f"{API}/repositories/7/commits?per_page=100&page=2"
    for source in (reader, RestReader(GITHUB)):
        assert source.more_commits("ann/x", url) == GITHUB.more_commits("ann/x", url)
        assert source.participation("ann/x") == GITHUB.participation("ann/x")


def stored_reader() -> StoredReader:
    return StoredReader(GITHUB, GRAPHQL, SINCE, Forgetful())


async def test_what_a_query_told_is_kept_and_comes_back_equal_with_the_moment_it_came() -> None:
    repositories = named("ann", "bob", "cat", "nobody", "eve")
    server = server_of(repositories[:1], unsliced=frozenset({"eve/x"}))
    server.repositories |= {"bob/x": Real(spread(250), "dan/y"), "cat/x": Real(), "eve/x": Real(spread(250))}
    kept = Kept()
    visits = visits_to(server, 5)
    results = await reader_of(kept).read(repositories, visits)
    assert told(results) == ["ann/x", "dan/y", "cat/x", "NotFoundError", "eve/x"]

    again = visits_to(kept, 5)
    stored = await stored_reader().read(repositories, again)
    assert [item for item in stored if isinstance(item, Reading)] == [results[n] for n in (0, 1, 2, 4)]
    assert isinstance(stored[3], NotStoredError)
    assert [again[n].latest for n in (0, 1, 2, 4)] == [visits[n].latest for n in (0, 1, 2, 4)]


async def test_a_stored_repository_is_found_whatever_the_case_of_its_name() -> None:
    kept = Kept()
    await reader_of(kept).read(named("Ann"), visits_to(server_of(named("Ann")), 1))
    assert told(await stored_reader().read(named("aNN"), visits_to(kept, 1))) == ["Ann/x"]


async def test_what_rest_told_is_not_kept_as_what_a_query_told() -> None:
    kept, server = Kept(), server_of(many(2), hopeless=frozenset({"o1/x"}))
    await reader_of(kept).read(many(2), visits_to(server, 2))
    assert list(kept.bodies) == [GRAPHQL.stored(many(1)[0]).url]


REST_BODIES = {
    f"{API}/repos/ann/x": json.dumps(rest_repository("ann/x").body).encode(),
    f"{API}/repos/ann/x/commits?per_page=100": json.dumps([commit("c0", NOW)]).encode(),
}


@pytest.mark.parametrize("body", [None, b"{}", b"{", b'{"facts": 1}'])
async def test_where_no_query_told_anything_of_use_what_rest_told_is_taken(body: bytes | None) -> None:
    kept = Kept(dict(REST_BODIES))
    if body is not None:
        kept.bodies[GRAPHQL.stored(named("ann")[0]).url] = body
    results = await stored_reader().read(named("ann", "bob"), visits_to(kept, 2))
    assert told(results) == ["ann/x", "NotStoredError"]
    assert kept.asked[0] == GRAPHQL.stored(named("ann")[0]).url
