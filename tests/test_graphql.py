"""GitHub's GraphQL answers: what they say of each repository, and what stands in the way of all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    OverloadedError,
    RateLimitedError,
    RefusedError,
    TokenRefusedError,
    UnavailableError,
    UnreadableError,
    UpstreamError,
)
from pkgharvest.net.message import Request, Response, Token
from pkgharvest.sources.github import Commit, CommitPage, Facts, Reading
from pkgharvest.sources.graphql import GraphQL, Histories, Part, Slice, Sliced
from pkgharvest.targets import Repository

SECRET = "ghp_hunter2"
TOKEN = Token(SECRET, "GH_TOKEN")
GRAPHQL = GraphQL("https://api.github.com", TOKEN)
URL = "https://api.github.com/graphql"

ANN, BOB, CAT = (Repository(owner, f"{owner}s") for owner in ("ann", "bob", "cat"))
SINCE = datetime(2025, 2, 16, tzinfo=UTC)
UNTIL = datetime(2025, 3, 16, tzinfo=UTC)
NEWEST = datetime(2026, 2, 14, 9, 30, tzinfo=UTC)

OURS = datetime(2030, 1, 1, tzinfo=UTC)
"""Our clock, which is wrong."""
NOON = datetime(2026, 2, 15, 12, tzinfo=UTC)
"""The host's."""
DATE = {"date": "Sun, 15 Feb 2026 12:00:00 GMT"}
HOURLY = {**DATE, "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOON.timestamp()) + 1800)}

TOO_LATE = (
    "Something went wrong while executing your query. This may be the result of a timeout, or it could be "
    "a GitHub bug. Please include `A0:B1` when reporting this issue."
)


def answer(body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(URL, status, headers or {}, data, OURS)


def node(sha: str, committed: str = "2026-02-14T09:30:00Z", authored: str | None = None) -> dict[str, Any]:
    return {"oid": sha, "authoredDate": authored or committed, "committedDate": committed}


def history(*nodes: dict[str, Any] | None, count: int | None = None, after: str | None = None) -> Any:
    info = {"hasNextPage": after is not None, "endCursor": after or "end"}
    return {"totalCount": len(nodes) if count is None else count, "pageInfo": info, "nodes": list(nodes)}


def branch(told: Any, committed: str | None = "2026-02-14T09:30:00Z") -> dict[str, Any]:
    return {"target": {"committedDate": committed, "history": told}}


def found(full_name: str = "ann/anns", **fields: Any) -> dict[str, Any]:
    return {
        "databaseId": 7,
        "nameWithOwner": full_name,
        "url": f"https://github.com/{full_name}",
        "description": "About",
        "stargazerCount": 12,
        "forkCount": 3,
        "isArchived": False,
        "defaultBranchRef": branch(history(node("a"), node("b"))),
        **fields,
    }


def problem(message: str = "No", *path: object, **fields: Any) -> dict[str, Any]:
    return {"message": message, **({"path": list(path)} if path else {}), **fields}


def reply(*errors: dict[str, Any], cost: int = 1, **aliases: Any) -> dict[str, Any]:
    data = {"rateLimit": {"cost": cost}, **aliases}
    return {"data": data, **({"errors": list(errors)} if errors else {})}


def query_of(request: Request[Any]) -> str:
    query = json.loads(request.body)["query"]
    assert isinstance(query, str)
    return query


def asked(*repositories: Repository) -> Request[Histories]:
    return GRAPHQL.histories(repositories or (ANN, BOB, CAT), SINCE)


def only(body: dict[str, Any]) -> Any:
    """Return the outcome of the one repository of a query."""
    return asked(ANN).judge(answer(body)).outcomes[0]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.github.com", URL),
        ("https://github.example.org/api/v3", "https://github.example.org/api/graphql"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/graphql"),
    ],
)
def test_the_address_follows_from_that_of_the_rest_api(base: str, url: str) -> None:
    assert GraphQL(base, TOKEN).url == url
    assert GraphQL(base, TOKEN).histories([ANN], SINCE).url == url


PAGE_ADDRESS = f"{URL}#ann/anns?after=c2&since=2025-02-16T00%3A00%3A00Z"
REQUESTS: list[Request[Any]] = [
    asked(),
    GRAPHQL.more_commits(PAGE_ADDRESS),
    GRAPHQL.slices([Slice(ANN, SINCE, UNTIL)]),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=["histories", "page", "slices"])
def test_queries_are_posted_as_json_with_the_token_and_count_on_the_limit_of_graphql(
    request_: Request[Any],
) -> None:
    assert (request_.service, request_.method, request_.url) == ("GitHub", "POST", URL)
    assert request_.headers["content-type"] == "application/json"
    assert request_.token is TOKEN
    assert request_.resource == "graphql"
    assert list(json.loads(request_.body)) == ["query"]
    assert SECRET not in repr(request_)
    assert SECRET.encode() not in request_.body


def test_answers_to_many_repositories_are_not_stored() -> None:
    assert not asked().is_stored
    assert not GRAPHQL.slices([Slice(ANN, SINCE, UNTIL)]).is_stored


def test_each_repository_is_asked_for_under_an_alias_of_its_own() -> None:
    query = query_of(asked())
    aliases = re.findall(
        r'^(r\d+): repository\(owner: "(\w+)", name: "(\w+)", followRenames: true\)', query, re.MULTILINE
    )
    assert aliases == [("r0", "ann", "anns"), ("r1", "bob", "bobs"), ("r2", "cat", "cats")]
    assert 'since: "2025-02-16T00:00:00Z"' in query
    assert query.count("{") == query.count("}")


def test_moments_are_written_in_utc() -> None:
    since = SINCE.astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert asked().body == GRAPHQL.histories((ANN, BOB, CAT), since).body


@pytest.mark.parametrize("name", ['a"b', "a\\", "a\nb"])
def test_names_cannot_change_the_query(name: str) -> None:
    assert f"owner: {json.dumps(name)}, name: {json.dumps(name)}" in query_of(asked(Repository(name, name)))


def test_a_repository_that_is_found_gives_its_facts_its_newest_commit_and_its_commits() -> None:
    told = history(
        node("a", "2026-02-14T09:30:00Z", "2026-02-13T22:00:00-02:00"),
        None,
        node("b", "2025-02-17T00:00:00Z"),
    )
    reading = only(reply(r0=found(defaultBranchRef=branch(told))))
    assert isinstance(reading, Reading)
    assert reading.facts == Facts(
        7, "ann/anns", "https://github.com/ann/anns", "About", 12, 3, archived=False
    )
    assert reading.last_commit == NEWEST
    assert reading.page.commits == (
        Commit("a", datetime(2026, 2, 14, tzinfo=UTC), NEWEST),
        Commit("b", SINCE + timedelta(days=1), SINCE + timedelta(days=1)),
    )
    assert (reading.page.next_url, reading.page.pages, reading.page.since) == (None, 1, SINCE)


@pytest.mark.parametrize(
    ("fields", "fact", "value"),
    [
        ({"description": None}, "description", None),
        ({"isArchived": True}, "archived", True),
        ({"nameWithOwner": "dan/anns"}, "full_name", "dan/anns"),
        ({"url": "https://github.com/dan/anns"}, "html_url", "https://github.com/dan/anns"),
        ({"unknown": [1]}, "id", 7),
    ],
)
def test_facts_are_told_as_they_are_now(fields: dict[str, Any], fact: str, value: object) -> None:
    assert getattr(only(reply(r0=found(**fields))).facts, fact) == value


@pytest.mark.parametrize("ref", [None, {"target": None}])
def test_an_empty_repository_has_facts_and_no_commits(ref: object) -> None:
    reading = only(reply(r0=found(defaultBranchRef=ref)))
    assert reading.facts.id == 7
    assert reading.last_commit is None
    assert (reading.page.commits, reading.page.next_url) == ((), None)


def test_a_repository_without_commits_in_the_window_has_a_newest_commit() -> None:
    reading = only(reply(r0=found(defaultBranchRef=branch(history(), "2019-01-01T00:00:00Z"))))
    assert reading.last_commit == datetime(2019, 1, 1, tzinfo=UTC)
    assert (reading.page.commits, reading.page.next_url) == ((), None)


NOT_FOUND = problem("Could not resolve to a Repository with the name 'bob/bobs'.", "r1", type="NOT_FOUND")
FORBIDDEN = problem(
    "Resource protected by organization SAML enforcement. You must grant your token access.",
    "r1",
    type="FORBIDDEN",
    extensions={"saml_failure": True},
)
TOO_MUCH = problem("Resource limits for this query exceeded.", "r1", type="RESOURCE_LIMITS_EXCEEDED")
TOO_DEEP = problem("Resource limits exceeded.", "r1", "defaultBranchRef", type="RESOURCE_LIMITS_EXCEEDED")
TOO_MUCH_SOMEWHERE = problem("Resource limits for this query exceeded.", type="RESOURCE_LIMITS_EXCEEDED")


@pytest.mark.parametrize(
    ("errors", "told", "kind"),
    [
        ([NOT_FOUND], {"r1": None}, NotFoundError),
        ([FORBIDDEN], {"r1": None}, RefusedError),
        ([TOO_MUCH], {"r1": None}, None),
        ([TOO_MUCH_SOMEWHERE], {"r1": None}, None),
        ([TOO_MUCH_SOMEWHERE], {}, None),
        ([TOO_DEEP], {"r1": found("bob/bobs", defaultBranchRef=None)}, None),
        ([TOO_MUCH, NOT_FOUND], {"r1": None}, NotFoundError),
        ([], {"r1": None}, None),
        ([], {}, None),
        ([], {"r1": found("bob/bobs", stargazerCount="many")}, MalformedError),
        ([], {"r1": found("bob/bobs", forkCount=2**31)}, MalformedError),
        ([], {"r1": found("bob/bobs", databaseId=None)}, MalformedError),
        ([], {"r1": found("bob", url="x")}, MalformedError),
        ([], {"r1": found("bob/../x")}, MalformedError),
        ([], {"r1": found("bob/bobs", stargazerCount=-1)}, MalformedError),
        ([], {"r1": found("bob/bobs", forkCount=2**63)}, MalformedError),
        ([], {"r1": []}, MalformedError),
        ([], {"r1": {}}, MalformedError),
        ([], {"r1": found("bob/bobs", defaultBranchRef=branch(None))}, MalformedError),
        ([], {"r1": found("bob/bobs", defaultBranchRef=branch(history(), None))}, MalformedError),
        ([], {"r1": found("bob/bobs", defaultBranchRef={"target": {}})}, MalformedError),
        ([], {"r1": found("bob/bobs", defaultBranchRef=branch({"nodes": []}))}, MalformedError),
    ],
)
def test_what_is_wrong_with_one_repository_is_wrong_with_that_one_alone(
    errors: list[dict[str, Any]], told: dict[str, Any], kind: type[UpstreamError] | None
) -> None:
    body = reply(*errors, r0=found("ann/anns"), r2=found("cat/cats"), **told)
    first, second, third = asked().judge(answer(body)).outcomes
    assert isinstance(first, Reading)
    assert isinstance(third, Reading)
    assert (first.facts.full_name, third.facts.full_name) == ("ann/anns", "cat/cats")
    assert second is None if kind is None else type(second) is kind
    if isinstance(second, UpstreamError):  # kept as a value: it must not hold the answer
        assert (second.__traceback__, second.__cause__, second.__context__) == (None, None, None)


def test_what_is_missing_is_named_and_what_is_forbidden_says_why() -> None:
    def message(error: dict[str, Any]) -> str:
        outcome = asked(ANN, BOB).judge(answer(reply(error, r0=found(), r1=None))).outcomes[1]
        return str(outcome)

    assert message(NOT_FOUND) == "bob/bobs is not on api.github.com, or is private. Check the address"
    assert "SAML enforcement" in message(FORBIDDEN)
    assert "bob/bobs" in message(FORBIDDEN)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>502", 502),
        ({"message": "We couldn't respond to your request in time."}, 502),
        (b"", 504),
        ({"data": None, "errors": [problem(TOO_LATE)]}, 200),
        ({"data": None, "errors": [problem(TOO_LATE)]}, 502),
        ({"data": None}, 200),
        ({"errors": [problem("Something else")]}, 200),
        ({}, 200),
        (reply(TOO_MUCH, r0=None, r1=None, r2=None), 200),
        (reply(), 200),
    ],
)
def test_an_answer_with_nothing_in_it_was_too_much_at_once(body: object, status: int) -> None:
    with pytest.raises(OverloadedError):
        asked().judge(answer(body, status))


def test_the_words_of_an_answer_without_data_are_passed_on() -> None:
    with pytest.raises(OverloadedError, match="may be the result of a timeout"):
        asked().judge(answer({"data": None, "errors": [problem(TOO_LATE)]}))


LIMITS: list[tuple[object, int]] = [
    ({"errors": [problem("API rate limit exceeded", type="RATE_LIMITED")]}, 200),
    (
        {
            "errors": [
                problem(
                    "API rate limit already exceeded for user ID 1.",
                    type="RATE_LIMIT",
                    code="graphql_rate_limit",
                )
            ]
        },
        200,
    ),
    ({"data": None, "errors": [problem("", type="RATE_LIMIT", code="graphql_rate_limit")]}, 200),
    ({"data": None, "errors": [problem("You have exceeded a secondary rate limit")]}, 200),
    ({"data": None, "errors": [problem("First"), problem("API Rate Limit exceeded")]}, 200),
    (reply(problem("API rate limit exceeded", type="RATE_LIMITED"), r0=found()), 200),
    ({"message": "API rate limit exceeded for user ID 1."}, 403),
    ({"message": "You have exceeded a secondary rate limit."}, 403),
    ({"message": ""}, 429),
]


@pytest.mark.parametrize(("body", "status"), LIMITS)
@pytest.mark.parametrize(
    ("headers", "wait", "hurried"),
    [
        (HOURLY, 1801, False),
        ({**HOURLY, "x-ratelimit-remaining": "4"}, None, True),
        ({**HOURLY, "x-ratelimit-remaining": "4", "retry-after": "30"}, 31, True),
        ({}, None, True),
    ],
)
@pytest.mark.parametrize("request_", REQUESTS, ids=["histories", "page", "slices"])
def test_a_rate_limit_in_any_form_tells_how_long_to_wait_by_the_clock_of_the_host(  # noqa: PLR0913, PLR0917
    request_: Request[Any],
    headers: Mapping[str, str],
    wait: float | None,
    hurried: bool,
    body: object,
    status: int,
) -> None:
    with pytest.raises(RateLimitedError) as caught:
        request_.judge(answer(body, status, headers))
    assert caught.value.wait == wait
    assert caught.value.hurried is hurried
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "status", "headers", "kind"),
    [
        ({"message": "Bad credentials"}, 401, {}, TokenRefusedError),
        ({"message": "Resource not accessible by personal access token"}, 403, {}, RefusedError),
        ({"message": "Forbidden"}, 403, HOURLY, RateLimitedError),
        ({"message": "Not Found"}, 404, {}, NotFoundError),
        (b"", 500, {}, UnavailableError),
        (b"", 503, {}, UnavailableError),
        (b"<html>", 200, {}, UnreadableError),
        ([], 200, {}, MalformedError),
        ({"data": []}, 200, {}, MalformedError),
        ({"data": {}, "errors": "no"}, 200, {}, MalformedError),
    ],
)
@pytest.mark.parametrize("request_", REQUESTS, ids=["histories", "page", "slices"])
def test_other_answers_mean_what_they_mean_everywhere(
    request_: Request[Any], body: object, status: int, headers: Mapping[str, str], kind: type[UpstreamError]
) -> None:
    with pytest.raises(UpstreamError) as caught:
        request_.judge(answer(body, status, headers))
    assert type(caught.value) is kind


def test_a_refused_token_is_told_by_the_name_of_its_variable() -> None:
    with pytest.raises(TokenRefusedError, match="GH_TOKEN"):
        asked().judge(answer({"message": "Bad credentials"}, 401))


@pytest.mark.parametrize(
    ("limit", "points"),
    [({"rateLimit": {"cost": 3}}, 3), ({"rateLimit": None}, 1), ({}, 1), ({"rateLimit": {}}, 1)],
)
def test_a_query_costs_the_points_that_the_answer_tells(limit: dict[str, Any], points: int) -> None:
    for request_, data in (
        (asked(ANN), {"r0": found()}),
        (GRAPHQL.slices([Slice(ANN, SINCE, UNTIL)]), {"s0": {"defaultBranchRef": branch(history())}}),
    ):
        judged: Any = request_.judge(answer({"data": {**data, **limit}}))
        assert judged.cost == points
        assert request_.points(judged) == points


def next_page(count: int, after: str) -> str:
    """Return the address of the page after the first, of so many commits."""
    told = history(node("a"), count=count, after=after)
    reading = only(reply(r0=found("dan/anns", defaultBranchRef=branch(told))))
    assert isinstance(reading, Reading)
    assert reading.page.pages == -(-count // 100)
    assert reading.page.next_url is not None
    return reading.page.next_url


@pytest.mark.parametrize("after", ["c2 99", "a+b/c==", "a&b#c?d"])
def test_the_next_page_is_asked_for_under_the_present_name_from_where_the_page_before_ended(
    after: str,
) -> None:
    address = next_page(101, after)
    assert address.startswith(f"{URL}#dan/anns?")
    assert parse_qs(address.partition("?")[2]) == {"after": [after], "since": ["2025-02-16T00:00:00Z"]}
    query = query_of(GRAPHQL.more_commits(address))
    assert 'r0: repository(owner: "dan", name: "anns")' in query
    assert f'since: "2025-02-16T00:00:00Z", after: {json.dumps(after)}' in query
    assert query.count("{") == query.count("}")


def test_further_pages_tell_commits_and_the_page_after() -> None:
    request = GRAPHQL.more_commits(next_page(250, "c1"))
    told = history(node("b"), count=250, after="c2")
    page = request.judge(answer(reply(r0={"defaultBranchRef": branch(told)})))
    assert isinstance(page, CommitPage)
    assert [commit.sha for commit in page.commits] == ["b"]
    assert (page.pages, page.since) == (3, SINCE)
    assert page.next_url == next_page(250, "c2")

    told = history(node("c"), count=250)
    last = GRAPHQL.more_commits(page.next_url).judge(answer(reply(r0={"defaultBranchRef": branch(told)})))
    assert [commit.sha for commit in last.commits] == ["c"]
    assert last.next_url is None


def test_pages_of_different_places_are_different_requests() -> None:
    bodies = {GRAPHQL.more_commits(next_page(250, after)).body for after in ("c1", "c2")}
    assert len(bodies) == 2


@pytest.mark.parametrize("told", [{"r0": None}, {}, {"r0": {"defaultBranchRef": None}}])
def test_a_page_that_is_left_out_was_too_much(told: dict[str, Any]) -> None:
    with pytest.raises(OverloadedError, match="dan/anns"):
        GRAPHQL.more_commits(next_page(250, "c1")).judge(answer(reply(TOO_MUCH, **told)))


def test_a_page_without_a_history_is_malformed() -> None:
    with pytest.raises(MalformedError):
        GRAPHQL.more_commits(PAGE_ADDRESS).judge(answer(reply(r0={"defaultBranchRef": {"target": None}})))


def test_slices_are_asked_for_with_both_ends_and_where_the_page_before_ended() -> None:
    query = query_of(GRAPHQL.slices([Slice(ANN, SINCE, UNTIL), Slice(BOB, SINCE, UNTIL, 'c"1')]))
    ends = 'first: 100, since: "2025-02-16T00:00:00Z", until: "2025-03-16T00:00:00Z"'
    assert re.search(rf's0: repository\(owner: "ann", name: "anns".*{ends}\)', query)
    assert re.search(rf's1: repository\(owner: "bob", name: "bobs".*{ends}, after: "c\\"1"\)', query)
    assert query.count("{") == query.count("}")


def test_slices_tell_commits_how_many_there_are_and_where_the_page_ended() -> None:
    slices = [Slice(ANN, SINCE, UNTIL), Slice(BOB, SINCE, UNTIL), Slice(CAT, SINCE, UNTIL)]
    body = reply(
        TOO_MUCH,
        cost=2,
        s0={"defaultBranchRef": branch(history(node("a"), None, count=130, after="c1"))},
        s1=None,
        s2={"defaultBranchRef": branch(history(node("c")))},
    )
    commits = [(Commit(sha, NEWEST, NEWEST),) for sha in "ac"]
    parts = (Part(commits[0], 130, "c1"), None, Part(commits[1], 1, None))
    assert GRAPHQL.slices(slices).judge(answer(body)) == Sliced(parts, 2)


@pytest.mark.parametrize("told", [{"s0": {"defaultBranchRef": ref}} for ref in (None, {"target": None})])
def test_a_slice_of_no_branch_is_left_unanswered(told: dict[str, Any]) -> None:
    sliced = GRAPHQL.slices([Slice(ANN, SINCE, UNTIL)]).judge(answer(reply(**told)))
    assert sliced.parts == (None,)


READINGS = [
    only(reply(r0=found(description=None, isArchived=True))),
    only(reply(r0=found(defaultBranchRef=None))),
    only(reply(r0=found(defaultBranchRef=branch(history(node("a"), count=700, after="c1"))))),
    only(reply(r0=found(defaultBranchRef=branch(history(node("a", authored="0001-01-01T00:00:00Z")))))),
    only(reply(r0=found(defaultBranchRef=branch(history(node("a", authored="2026-02-30T00:00:00Z")))))),
    only(reply(r0=found(description="Ünïcode \u2028 \U0001f40d"))),
]


@pytest.mark.parametrize("reading", READINGS)
def test_a_reading_that_is_stored_comes_back_equal(reading: Reading) -> None:
    assert GRAPHQL.stored(ANN).judge(answer(GRAPHQL.packed(reading))) == reading


def test_readings_are_stored_by_repository_whatever_the_case_and_for_the_token() -> None:
    request = GRAPHQL.stored(Repository("Ann", "Anns"))
    assert request == GRAPHQL.stored(ANN)
    assert request != GRAPHQL.stored(BOB)
    assert request.is_stored
    assert request.token is TOKEN
    assert (request.method, request.url) == ("GET", f"{URL}#ann/anns")


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{", UnreadableError), ({"facts": {}}, MalformedError), ([], MalformedError)]
)
def test_a_stored_reading_of_another_shape_is_told(body: object, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        GRAPHQL.stored(ANN).judge(answer(body))


def test_a_stored_reading_without_zones_is_told() -> None:
    page = CommitPage((Commit("1", datetime(2026, 2, 1, tzinfo=UTC), None),), None, 1)
    packed = GRAPHQL.packed(Reading(Facts(7, "ann/anns", "", None, 1, 1), None, page))
    for body, is_whole in ((packed, True), (packed.replace(b"00:00:00Z", b"00:00:00"), False)):
        with nullcontext() if is_whole else pytest.raises(MalformedError):
            assert GRAPHQL.stored(ANN).judge(answer(body)).page == page


@pytest.mark.parametrize("query", ["", "?", "?after=x", "?since=x", "?after=&since=", "?\x9b"])
def test_the_address_of_a_further_page_that_no_page_gave_is_refused(query: str) -> None:
    with pytest.raises(MalformedError, match="names a next page that is none") as caught:
        GRAPHQL.more_commits(f"{GRAPHQL.url}#ann/x{query}")
    assert caught.value.message.isprintable()
