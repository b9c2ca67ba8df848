"""What each answer means, by its status, headers and body alone: the cases that are known, in one table.

The forms are those that GitHub, PyPI and Django Packages have given from 2019 to 2026.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from conftest import MARKED_TOKEN
from pkgharvest.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    NotModifiedError,
    NotReadyError,
    OverloadedError,
    PkgharvestError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    RetiredError,
    TokenRefusedError,
    UnavailableError,
    UnreadableError,
    UpstreamError,
)
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Request, Response, Token
from pkgharvest.net.quota import Patience
from pkgharvest.net.retry import RetryPolicy
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import CommitPage, ContributorPage, GitHub
from pkgharvest.sources.graphql import GraphQL, Slice
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import Repository

T = TypeVar("T")

OURS = datetime(2026, 2, 15, 12, tzinfo=UTC)
"""When the answers arrive, by our clock."""
AHEAD = OURS + timedelta(days=3)
"""The clock of a host that is ahead of us."""
DATE = {"date": f"{OURS:%a, %d %b %Y %H:%M:%S} GMT"}
LATER = {"date": f"{AHEAD:%a, %d %b %Y %H:%M:%S} GMT"}

TOKEN = Token(MARKED_TOKEN, "GITHUB_TOKEN")
GITHUB = GitHub("https://api.github.com", TOKEN)
GRAPHQL = GraphQL("https://api.github.com", TOKEN)
ANN = Repository("ann", "x")
REQUESTS: dict[str, Request[Any]] = {
    "repository": GITHUB.repository(ANN),
    "contributors": GITHUB.contributors("ann/x"),
    "commits": GITHUB.commits("ann/x"),
    "statistics": GITHUB.participation("ann/x"),
    "limits": GITHUB.limits(),
    "query": GRAPHQL.histories([ANN], OURS),
    "slices": GRAPHQL.slices([Slice(ANN, OURS, OURS)]),
    "page": GRAPHQL.more_commits(f"{GRAPHQL.url}#ann/x?after=c&since=2025-02-16T00%3A00%3A00Z"),
    "project": PyPI("https://pypi.example").project(canonicalize_name("x")),
    "package": Catalog("https://catalog.example").package("x"),
}


@dataclass(frozen=True)
class Case:
    """An answer, and what it means: an error with some of its fields, or a value."""

    name: str
    request: str
    status: int
    headers: Mapping[str, str]
    body: object
    meaning: object
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def response(self) -> Response:
        return response_to(REQUESTS[self.request], self.status, self.headers, self.body)


def response_to(request: Request[T], status: int, headers: Mapping[str, str], body: object) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(request.url, status, headers, data, OURS)


def spent(clock: datetime, seconds: float) -> dict[str, str]:
    """Return the headers of a limit that is used up for so many seconds more."""
    reset = str(int((clock + timedelta(seconds=seconds)).timestamp()))
    return {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}


LEFT = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4993", "x-ratelimit-reset": "1771164000"}
FOR_AN_ADDRESS = {
    "message": "API rate limit exceeded for 192.0.2.1. (But here's the good news: Authenticated requests get "
    "a higher rate limit. Check out the documentation for more details.)"
}
FOR_A_USER = {"message": "API rate limit exceeded for user ID 42. If you reach out to GitHub Support ..."}
ALREADY = {"message": "API rate limit already exceeded for user ID 42."}
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}
SECONDARY_2023 = {"message": "You have exceeded a secondary rate limit and have been temporarily blocked."}
ABUSE = {
    "message": "You have triggered an abuse detection mechanism. Please wait a few minutes before you ..."
}
HTML_LIMIT = b"<html><h1>Whoa there!</h1><p>You have exceeded a secondary rate limit."
UNICORN = b"<!DOCTYPE html>\n<title>Unicorn! &middot; GitHub</title>"
SAML = {"message": "Resource protected by organization SAML enforcement. You must grant your token access."}
NO_AGENT = (
    b"Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
)
TOO_LARGE = {
    "message": "The history or contributor list is too large to list contributors for this repository."
}
BLOCKED = {
    "message": "Repository access blocked",
    "block": {"reason": "tos", "html_url": "https://x.example"},
}
DMCA = {"message": "Repository access blocked", "block": {"reason": "dmca"}}
INVALID = {
    "message": "Validation Failed",
    "errors": [
        {"resource": "Commit", "field": "since", "code": "invalid"},
        {"resource": "Search", "code": "custom", "message": "no"},
        "more",
        {"message": "without a code"},
    ],
}
RETIRED = {
    "message": "API version 2022-11-28 is no longer supported.",
    "documentation_url": "https://x.example",
}
UNKNOWN_VERSION = {"message": "Unsupported API version: 2026-03-10"}
DELETED = {"message": "This issue was deleted"}
TIMED_OUT = {
    "data": None,
    "errors": [
        {"message": "Something went wrong while executing your query. This may be the result of a timeout"}
    ],
}


def queried(*errors: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"data": data or None, "errors": list(errors)}


HURRIED: dict[str, object] = {"hurried": True}

CASES = [
    # Faults 8 and 9: being computed, and nothing.
    Case("202", "statistics", 202, DATE, {}, NotReadyError),
    Case("204 contributors", "contributors", 204, DATE, b"", ContributorPage((), None)),
    Case("204 commits", "commits", 204, DATE, b"", CommitPage((), None, None)),
    # 10 to 13: redirects that were not followed, and a 304 that was never asked for.
    Case("301 without a place", "repository", 301, DATE, {"message": "Moved Permanently"}, RedirectError),
    Case("304", "repository", 304, DATE, b"", NotModifiedError),
    Case("304 of a query", "query", 304, DATE, b"", NotModifiedError),
    Case("304 of PyPI", "project", 304, DATE, b"", NotModifiedError),
    # 14: credentials.
    Case("401", "repository", 401, DATE, {"message": "Bad credentials"}, TokenRefusedError),
    Case("401 of a query", "query", 401, DATE, {"message": "Bad credentials"}, TokenRefusedError),
    Case("401 with limits", "commits", 401, DATE | spent(OURS, 9), {"message": "Requires"},
         TokenRefusedError),
    # 15: the primary limit, with and without headers.
    Case("403 primary", "repository", 403, DATE | spent(OURS, 90), FOR_AN_ADDRESS,
         RateLimitedError, {"wait": 91.0, "hurried": False}),
    Case("429 primary", "repository", 429, DATE | spent(OURS, 90), FOR_A_USER,
         RateLimitedError, {"wait": 91.0, "hurried": False}),
    Case("403 primary, their clock ahead", "commits", 403, LATER | spent(AHEAD, 90), FOR_A_USER,
         RateLimitedError, {"wait": 91.0}),
    Case("403 primary, no Date", "commits", 403, spent(OURS, 90), FOR_A_USER, RateLimitedError,
         {"wait": 91.0}),
    Case("403 primary, no Date, their clock ahead", "commits", 403, spent(AHEAD, 90), FOR_A_USER,
         RateLimitedError, {"wait": 3900.0}),
    Case("403 primary, no Date, their clock behind", "commits", 403, spent(OURS, -7200), FOR_A_USER,
         RateLimitedError, {"wait": 1.0}),
    Case("403 primary, a reset beyond the calendar", "commits", 403,
         DATE | spent(OURS, 0) | {"x-ratelimit-reset": "9" * 40}, FOR_A_USER, RateLimitedError,
         {"wait": 3900.0}),
    Case("403 primary, empty", "repository", 403, DATE | spent(OURS, 90), b"", RateLimitedError,
         {"wait": 91.0}),
    Case("403 primary, no headers", "repository", 403, {}, FOR_A_USER, RateLimitedError, {"wait": None}),
    Case("403 already exceeded", "repository", 403, DATE | LEFT, ALREADY, RateLimitedError, {"wait": None}),
    # 16: the secondary limit that says how long.
    Case("403 secondary, seconds", "repository", 403, DATE | LEFT | {"retry-after": "60"}, SECONDARY,
         RateLimitedError, HURRIED | {"wait": 61.0}),
    Case("429 secondary, seconds", "query", 429, DATE | {"retry-after": "60"}, SECONDARY,
         RateLimitedError, HURRIED | {"wait": 61.0}),
    Case("403 secondary, a date", "commits", 403, DATE | {"retry-after": "Sun, 15 Feb 2026 12:02:00 GMT"},
         SECONDARY_2023, RateLimitedError, HURRIED | {"wait": 121.0}),
    Case("403 secondary, a date by their clock", "commits", 403,
         LATER | {"retry-after": "Wed, 18 Feb 2026 12:02:00 GMT"}, SECONDARY, RateLimitedError,
         {"wait": 121.0}),
    Case("403 secondary, a date, no Date", "commits", 403, {"retry-after": "Sun, 15 Feb 2026 12:02:00 GMT"},
         SECONDARY, RateLimitedError, {"wait": 121.0}),
    Case("403 secondary, the end of the calendar", "commits", 403,
         DATE | {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, SECONDARY,
         RateLimitedError, {"wait": 1_000_000_000.0}),
    Case("403 with Retry-After and no words", "repository", 403, DATE | {"retry-after": "5"}, b"",
         RateLimitedError, {"wait": 6.0}),
    # 17: the secondary limit that does not.
    Case("403 secondary, no headers", "repository", 403, {}, SECONDARY, RateLimitedError,
         HURRIED | {"wait": None}),
    Case("403 secondary, some left", "repository", 403, DATE | LEFT, SECONDARY_2023,
         RateLimitedError, HURRIED | {"wait": None}),
    Case("403 abuse detection", "commits", 403, DATE, ABUSE, RateLimitedError, HURRIED | {"wait": None}),
    Case("403 secondary, HTML", "commits", 403, DATE, HTML_LIMIT, RateLimitedError, HURRIED | {"wait": None}),
    # 18: 403 that is no limit.
    Case("403 permission", "repository", 403, DATE | LEFT,
         {"message": "Resource not accessible by personal access token"}, RefusedError),
    Case("403 SAML", "repository", 403, DATE | LEFT, SAML, RefusedError),
    Case("403 User-Agent", "repository", 403, DATE, NO_AGENT, RefusedError),
    Case("403 blocked", "repository", 403, DATE | LEFT, BLOCKED, RefusedError,
         {"message": "api.github.com does not give ann/x: 403 blocked (tos)"}),
    Case("403 blocked, none left", "repository", 403, DATE | spent(OURS, 90), BLOCKED, RefusedError),
    Case("403 too large", "contributors", 403, DATE | LEFT, TOO_LARGE, None),
    Case("403 too large elsewhere", "commits", 403, DATE | LEFT, TOO_LARGE, RefusedError),
    Case("403 HTML", "repository", 403, DATE, UNICORN, RefusedError),
    Case("403 of PyPI", "project", 403, DATE, b"<html>no", RefusedError),
    # 19: absent, or not shown.
    Case("404", "repository", 404, DATE, {"message": "Not Found"}, NotFoundError,
         {"message": "ann/x is not on api.github.com, or is private (404)"}),
    Case("404 of PyPI", "project", 404, DATE, {"message": "Not Found"}, NotFoundError),
    Case("404 of the catalog", "package", 404, DATE, {"detail": "Not found."}, NotFoundError),
    Case("404 HTML", "package", 404, DATE, UNICORN, NotFoundError),
    # 20: an empty repository.
    Case("409", "commits", 409, DATE, {"message": "Git Repository is empty."}, CommitPage((), None, None)),
    Case("409 elsewhere", "repository", 409, DATE, {"message": "Conflict"}, ConflictError),
    # 21: what was wrong with the request.
    Case("422", "commits", 422, DATE, INVALID, RefusedError,
         {"message": "api.github.com does not give the commits of ann/x: 422 Validation Failed "
                     "(invalid: since, custom: Search)"}),
    Case("422, errors of another shape", "commits", 422, DATE, {"message": "no", "errors": "all"},
         RefusedError,
         {"message": "api.github.com does not give the commits of ann/x: 422 no"}),
    Case("422, HTML", "statistics", 422, DATE, UNICORN, RefusedError),
    # 22: 429 whatever it says.
    Case("429", "repository", 429, DATE, b"", RateLimitedError, HURRIED | {"wait": None}),
    Case("429 HTML", "query", 429, {}, b"<html>Too many requests", RateLimitedError,
         HURRIED | {"wait": None}),
    Case("429 of PyPI", "project", 429, DATE | {"retry-after": "7"}, b"", RateLimitedError, {"wait": 7.0}),
    Case("429 of the catalog", "package", 429, DATE, {"detail": "throttled"}, RateLimitedError,
         {"wait": None}),
    # 23: blocked by law.
    Case("451", "repository", 451, DATE, DMCA, RefusedError,
         {"message": "api.github.com does not give ann/x: 451 blocked (dmca)"}),
    # 24: a version of the API that is not answered, and what is gone for other reasons.
    Case("410 version", "repository", 410, DATE, RETIRED, RetiredError, {"advice": "Update pkgharvest"}),
    Case("410 version of a query", "query", 410, DATE, RETIRED, RetiredError),
    Case("400 version", "commits", 400, DATE, UNKNOWN_VERSION, RetiredError),
    Case("410 deleted", "repository", 410, DATE, DELETED, NotFoundError),
    Case("410 HTML", "repository", 410, DATE, UNICORN, NotFoundError),
    Case("410 of PyPI", "project", 410, DATE, RETIRED, NotFoundError),
    Case("400", "commits", 400, DATE, {"message": "Problems parsing JSON"}, RefusedError),
    # 25: not now.
    Case("500", "repository", 500, DATE, {"message": "Server Error"}, UnavailableError, {"after": None}),
    Case("502", "commits", 502, {}, UNICORN, UnavailableError, {"after": None}),
    Case("503, seconds", "repository", 503, DATE | {"retry-after": "7"}, UNICORN, UnavailableError,
         {"after": 7.0}),
    Case("503, a date", "project", 503, DATE | {"retry-after": "Sun, 15 Feb 2026 12:00:30 GMT"}, b"",
         UnavailableError, {"after": 30.0}),
    Case("503 of a query", "query", 503, DATE, UNICORN, UnavailableError),
    # 26: too much at once.
    Case("504", "commits", 504, DATE, b"", UnavailableError),
    Case("502 of a query", "query", 502, DATE, TIMED_OUT, OverloadedError),
    Case("502 HTML of a query", "slices", 502, DATE, UNICORN, OverloadedError),
    Case("504 of a query", "page", 504, DATE, b"", OverloadedError),
    Case("200 timed out", "query", 200, DATE, TIMED_OUT, OverloadedError),
    Case("200 resource limits", "query", 200, DATE,
         queried({"type": "RESOURCE_LIMITS_EXCEEDED", "path": ["r0"], "message": "Resource limits exceeded."},
                 r0=None), OverloadedError),
    # Upstreams 2.4: a limit with 200.
    Case("200 RATE_LIMITED", "query", 200, DATE | spent(OURS, 90),
         queried({"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 42."}),
         RateLimitedError, {"wait": 91.0, "hurried": False}),
    Case("200 RATE_LIMIT", "query", 200, DATE | LEFT,
         queried({"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": ALREADY["message"]}),
         RateLimitedError, {"wait": None}),
    Case("200 already exceeded, untyped", "slices", 200, DATE, queried(ALREADY), RateLimitedError),
    Case("200 secondary", "page", 200, {"retry-after": "60"}, queried(SECONDARY),
         RateLimitedError, HURRIED | {"wait": 61.0}),
    Case("200 limit with data", "slices", 200, DATE,
         queried({"type": "RATE_LIMIT", "message": ""}, s0=None), RateLimitedError),
    # Bodies that are not what was asked for.
    Case("200 HTML", "repository", 200, DATE, UNICORN, UnreadableError),
    Case("200 HTML of a query", "query", 200, DATE, UNICORN, UnreadableError),
    Case("200 HTML of the catalog", "package", 200, DATE, UNICORN, UnreadableError),
    Case("200 another shape", "package", 200, DATE, [], MalformedError),
    Case("200 another shape, deeper than can be read", "contributors", 200, DATE, b"[" * 10**5 + b"]" * 10**5,
         MalformedError),
    Case("200 another shape that breaks off", "contributors", 200, DATE, b'{"message": "Serv',
         UnreadableError),
    Case("200 another shape of a project that breaks off", "project", 200, DATE, b'[{"info": {"name"',
         UnreadableError),
    Case("200 another shape of a query that breaks off", "query", 200, DATE, b'{"data": [1, oops]}',
         UnreadableError),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_means(case: Case) -> None:
    meaning: object
    try:
        meaning = REQUESTS[case.request].judge(case.response)
    except UpstreamError as error:
        meaning = error
    if isinstance(case.meaning, type):
        assert type(meaning) is case.meaning
    else:
        assert meaning == case.meaning
    assert {name: getattr(meaning, name) for name in case.fields} == case.fields


def test_the_name_of_a_case_is_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_no_request_takes_a_refusal_for_an_answer(name: str, status: int) -> None:
    with pytest.raises(UpstreamError):
        REQUESTS[name].judge(response_to(REQUESTS[name], status, DATE, {"message": "no"}))


@pytest.mark.parametrize(
    "link",
    [
        "<" * 60_000,
        '<x?page=1>; rel="' * 4_000,
        "<" + "?page=1" * 9_000,
        "<x>" + ";" * 60_000,
        "<x>;" + " rel=" * 12_000,
    ],
    ids=lambda link: link[:12],
)
def test_a_long_header_of_links_is_read_soon(link: str) -> None:
    started = monotonic()
    page = REQUESTS["commits"].judge(response_to(REQUESTS["commits"], 200, {"link": link}, []))
    assert page == CommitPage((), None, None)
    assert monotonic() - started < 1


@pytest.mark.parametrize("number", ["9" * 5000, "0", "-1", "x", "١"])
@pytest.mark.parametrize("address", ["https://api.github.com/x", "https://[/x"])
def test_a_last_page_of_no_sensible_number_is_not_known(address: str, number: str) -> None:
    links = {"link": f'<{address}?page={number}>; rel="last"'}
    page = REQUESTS["commits"].judge(response_to(REQUESTS["commits"], 200, links, []))
    assert page == CommitPage((), None, None)


def test_a_host_that_wants_a_token_where_there_is_none_says_which() -> None:
    request = GitHub("https://api.github.com").repository(ANN)
    with pytest.raises(TokenRefusedError) as caught:
        request.judge(response_to(request, 401, DATE, {"message": "Requires authentication"}))
    assert str(caught.value) == "api.github.com wants a token. Set GITHUB_TOKEN"


# Whatever an answer holds.

texts = st.text(max_size=40) | st.sampled_from(
    [
        "0",
        "60",
        "9" * 30,
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "/there",
        "https://[",
        "https://elsewhere.example/x",
        "https://api.github.com:99999/",
        '<https://api.github.com/x?page=2>; rel="next", <//[?page=5>; rel="last"',
        '<https://elsewhere.example/x>; rel="next"',
    ]
)
names = st.sampled_from(
    "date retry-after link location x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset "
    "content-type content-encoding etag".split()
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "message errors block reason code data type path r0 s0 rateLimit cost info name version "
                "id full_name login sha commit author date all resources".split()
            ),
            values,
            max_size=5,
        )
    ),
    max_leaves=20,
)
bodies = st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())
statuses = st.integers(100, 999) | st.sampled_from(
    [200, 202, 204, 301, 302, 304, 307, 400, 401, 403, 404, 409, 410, 422, 429, 451, 500, 502, 503, 504]
)


@dataclass
class Babel:
    """Answers everything with the same, whatever it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def __call__(self, request: Request[T]) -> Response:
        return Response(request.url, self.status, self.headers, self.body, OURS)


@pytest.mark.anyio
@pytest.mark.parametrize("name", REQUESTS)
@given(status=statuses, headers=st.dictionaries(names, texts, max_size=5), body=bodies)
@example(status=503, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, body=b"")
@example(status=403, headers=spent(OURS, 0) | {"x-ratelimit-reset": "999999999999"}, body=b"")
@settings(max_examples=settings().max_examples, deadline=None)
async def test_whatever_is_answered_is_a_value_or_an_error_of_ours_that_does_not_show_the_token(
    name: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    fetch = Fetcher(
        Babel(status, headers, body),
        JumpingClock(OURS),
        policy=RetryPolicy(),
        patience=Patience(120),
        rules={},
    )
    met: PkgharvestError | None = None
    try:
        await fetch(REQUESTS[name])
    except PkgharvestError as error:
        met = error
    if met is not None:
        assert met.message.isprintable()
        assert MARKED_TOKEN not in f"{met} {met!r} {''.join(traceback.format_exception(met))}"
