"""GitHub's REST answers: what they say, and what an answer other than the expected one means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from pkgharvest.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    NotModifiedError,
    NotReadyError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    TokenRefusedError,
    UnavailableError,
    UnreadableError,
    UpstreamError,
)
from pkgharvest.net.message import Request, Response, Token
from pkgharvest.sources.github import (
    Commit,
    CommitPage,
    ContributorPage,
    Facts,
    GitHub,
    problem,
)
from pkgharvest.targets import Repository

API = "https://api.github.com"
SECRET = "ghp_hunter2"
TOKEN = Token(SECRET, "GH_TOKEN")
GITHUB = GitHub(API, TOKEN)

OURS = datetime(2030, 1, 1, tzinfo=UTC)
"""Our clock, which is wrong."""
NOON = datetime(2026, 2, 15, 12, tzinfo=UTC)
"""The host's."""
DATE = {"date": "Sun, 15 Feb 2026 12:00:00 GMT"}

ADVICE = "Set GITHUB_TOKEN: with a token GitHub allows 5,000 requests an hour, not 60"


def answer(
    body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None, url: str = f"{API}/x"
) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(url, status, headers or {}, data, OURS)


def linked(*links: str) -> dict[str, str]:
    return {"link": ", ".join(links)}


def error_of(request: Request[Any], response: Response) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        request.judge(response)
    assert str(caught.value).isprintable()
    return caught.value


REQUESTS: dict[str, Callable[[GitHub], Request[Any]]] = {
    "repository": lambda github: github.repository(Repository("ann", "x")),
    "contributors": lambda github: github.contributors("ann/x"),
    "more contributors": lambda github: github.more_contributors("ann/x", f"{API}/more?page=2"),
    "commits": lambda github: github.commits("ann/x"),
    "more commits": lambda github: github.more_commits("ann/x", f"{API}/more?page=2"),
    "participation": lambda github: github.participation("ann/x"),
}
every_request = pytest.mark.parametrize("build", REQUESTS.values(), ids=REQUESTS)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("repository", f"{API}/repos/ann/x"),
        ("contributors", f"{API}/repos/ann/x/contributors?per_page=100"),
        ("more contributors", f"{API}/more?page=2"),
        ("commits", f"{API}/repos/ann/x/commits?per_page=100"),
        ("more commits", f"{API}/more?page=2"),
        ("participation", f"{API}/repos/ann/x/stats/participation"),
    ],
)
def test_every_request_has_its_address(name: str, url: str) -> None:
    request = REQUESTS[name](GITHUB)
    assert (request.service, request.method, request.url, request.body) == ("GitHub", "GET", url, b"")


@every_request
@pytest.mark.parametrize(
    ("base_url", "version"),
    [
        (API, "2026-03-10"),
        ("https://api.code.example", "2026-03-10"),
        ("https://code.example/api/v3", "2022-11-28"),
    ],
)
def test_every_request_names_the_version_that_the_host_knows(
    build: Callable[[GitHub], Request[Any]], base_url: str, version: str
) -> None:
    assert build(GitHub(base_url)).headers == {
        "accept": "application/vnd.github+json",
        "x-github-api-version": version,
    }


@every_request
def test_a_request_carries_the_token_and_shows_it_nowhere(build: Callable[[GitHub], Request[Any]]) -> None:
    request = build(GITHUB)
    assert request.token is TOKEN
    assert TOKEN.reveal() == SECRET
    assert SECRET not in f"{request!r} {request} {GITHUB!r} {TOKEN} {TOKEN!r} {request.headers}"
    assert build(GitHub(API)).token is None


FACTS = {
    "id": 42,
    "full_name": "ann/x.y_z-1",
    "html_url": "https://github.com/ann/x.y_z-1",
    "description": "Žluť",
    "stargazers_count": 7,
    "forks_count": 3,
    "archived": True,
}
READ = Facts(
    id=42,
    full_name="ann/x.y_z-1",
    html_url="https://github.com/ann/x.y_z-1",
    description="Žluť",
    stargazers_count=7,
    forks_count=3,
    archived=True,
)
REPOSITORY = GITHUB.repository(Repository("ann", "x"))


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in FACTS.items() if key != name}


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (FACTS, READ),
        (FACTS | {"watchers_count": 9, "owner": {"login": "ann"}, "license": None}, READ),
        (FACTS | {"description": None}, Facts(42, READ.full_name, READ.html_url, None, 7, 3, archived=True)),
        (FACTS | {"description": ""}, Facts(42, READ.full_name, READ.html_url, "", 7, 3, archived=True)),
        (without("archived"), Facts(42, READ.full_name, READ.html_url, "Žluť", 7, 3, archived=False)),
    ],
    ids=["documented", "unknown fields", "null description", "empty description", "old server"],
)
def test_the_facts_of_a_repository_are_read(body: dict[str, object], facts: Facts) -> None:
    assert REPOSITORY.judge(answer(body)) == facts


def test_half_a_pair_in_the_description_is_replaced() -> None:
    facts = REPOSITORY.judge(answer(FACTS | {"description": "a\ud800b 🐎"}))
    assert facts.description == "a\ufffdb 🐎"


@pytest.mark.parametrize(
    ("build", "body", "path"),
    [
        ("repository", FACTS | {"forks_count": "3"}, "$.forks_count"),
        ("repository", FACTS | {"stargazers_count": None}, "$.stargazers_count"),
        ("repository", FACTS | {"stargazers_count": 10**30}, "$.stargazers_count"),
        ("repository", FACTS | {"forks_count": -1}, "$.forks_count"),
        ("repository", FACTS | {"id": 4.5}, "$.id"),
        ("repository", FACTS | {"description": ["x"]}, "$.description"),
        ("repository", FACTS | {"full_name": "../../etc"}, "$.full_name"),
        ("repository", FACTS | {"full_name": "ann"}, "$.full_name"),
        ("repository", FACTS | {"full_name": "ann/x?y"}, "$.full_name"),
        ("repository", FACTS | {"full_name": "ann/x\n"}, "$.full_name"),
        ("repository", without("html_url"), "`html_url`"),
        ("repository", [FACTS], "got `array`"),
        ("contributors", {"message": "x"}, "got `object`"),
        ("contributors", [{"login": 7}], "$[0].login"),
        ("contributors", [None], "$[0]"),
        ("more contributors", ["ann"], "$[0]"),
        ("commits", {"message": "x"}, "got `object`"),
        ("commits", [{"sha": "1"}], "$[0]"),
        ("commits", [{"sha": 1, "commit": {}}], "$[0].sha"),
        ("commits", [{"sha": "1", "commit": {"author": "ann"}}], "$[0].commit.author"),
        ("commits", [{"sha": "1", "commit": {"author": {"date": 7}}}], "$[0].commit.author.date"),
        ("more commits", [{"sha": "1", "commit": None}], "$[0].commit"),
        ("participation", {"all": [0] * 51}, "$.all"),
        ("participation", {"all": [0] * 53}, "$.all"),
        ("participation", {"all": [*[0] * 51, -1]}, "$.all[51]"),
        ("participation", {"all": [*[0] * 51, 0.5]}, "$.all[51]"),
        ("participation", {"all": None}, "$.all"),
        ("participation", {"owner": [0] * 52}, "`all`"),
    ],
)
def test_another_shape_is_an_error_that_names_host_and_field(build: str, body: object, path: str) -> None:
    error = error_of(REQUESTS[build](GITHUB), answer(body))
    assert type(error) is MalformedError
    assert error.message.startswith("api.github.com answered in an unexpected shape: ")
    assert path in error.message


@every_request
@pytest.mark.parametrize("body", [b"<html>\n<p>hello", b"", b"nul"], ids=["html", "empty", "cut off"])
def test_what_is_no_json_is_unreadable(build: Callable[[GitHub], Request[Any]], body: bytes) -> None:
    error = error_of(build(GITHUB), answer(body))
    assert type(error) is UnreadableError
    assert error.message.startswith("api.github.com answered what is not JSON: ")


def entry(sha: str, author: object, committer: object) -> dict[str, object]:
    return {
        "sha": sha,
        "node_id": "C_x",
        "commit": {"author": author, "committer": committer, "message": "m"},
    }


def dated(date: str | None) -> dict[str, object]:
    return {"name": "Ann", "email": "ann@x.example", "date": date}


@pytest.mark.parametrize("build", ["commits", "more commits"])
def test_commits_are_read_in_their_order(build: str) -> None:
    body = [
        entry("3", dated("2026-02-15T01:02:03Z"), dated("2026-02-15T05:06:07+05:30")),
        entry("1", dated("1969-12-31T23:59:59Z"), dated("0001-01-01T00:00:00Z")),
        entry("2", dated("2099-01-01T00:00:00-05:00"), dated("2026-01-01T00:00:00Z")),
    ]
    east, west = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-5))
    assert REQUESTS[build](GITHUB).judge(answer(body)) == CommitPage(
        (
            Commit(
                "3",
                datetime(2026, 2, 15, 1, 2, 3, tzinfo=UTC),
                datetime(2026, 2, 15, 5, 6, 7, tzinfo=east),
            ),
            Commit(
                "1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)
            ),
            Commit("2", datetime(2099, 1, 1, tzinfo=west), datetime(2026, 1, 1, tzinfo=UTC)),
        ),
        None,
        None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "author",
    [
        None,
        {},
        dated(None),
        dated(""),
        dated("yesterday"),
        dated("2026-02-30T00:00:00Z"),
        dated("10000-01-01T00:00:00Z"),
        dated("2026-02-15T00:00:00"),
        dated("2026-02-15"),
        dated("0001-01-01T00:00:00+14:00"),
        dated("9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_date_that_is_missing_or_in_no_calendar_is_none(author: object) -> None:
    committer = dated("2026-02-15T00:00:00Z")
    page = GITHUB.commits("ann/x").judge(answer([entry("1", author, committer)]))
    assert page.commits == (Commit("1", None, datetime(2026, 2, 15, tzinfo=UTC)),)
    page = GITHUB.commits("ann/x").judge(answer([entry("1", committer, author)]))
    assert page.commits == (Commit("1", datetime(2026, 2, 15, tzinfo=UTC), None),)


@pytest.mark.parametrize("build", ["commits", "more commits"])
@pytest.mark.parametrize(
    ("status", "body"),
    [(409, {"message": "Git Repository is empty."}), (409, b""), (204, b""), (200, [])],
)
def test_an_empty_repository_has_no_commits(build: str, status: int, body: object) -> None:
    assert REQUESTS[build](GITHUB).judge(answer(body, status)) == CommitPage((), None, None)


@pytest.mark.parametrize("build", ["contributors", "more contributors"])
@pytest.mark.parametrize(
    ("status", "body", "page"),
    [
        (200, [{"login": "ann", "id": 1}, {"login": "bob"}], ContributorPage(("ann", "bob"), None)),
        (200, [{"login": None}, {"login": "ann"}, {}, {"login": ""}], ContributorPage(("ann",), None)),
        (200, [{"type": "Anonymous", "name": "Zoe", "contributions": 3}], ContributorPage((), None)),
        (200, [], ContributorPage((), None)),
        (204, b"", ContributorPage((), None)),
        (
            403,
            {
                "message": "The history or contributor list is too large to list contributors for this "
                "repository via the API."
            },
            None,
        ),
        (403, b"<p>The list is TOO LARGE", None),
    ],
)
def test_contributors_are_read(build: str, status: int, body: object, page: ContributorPage | None) -> None:
    assert REQUESTS[build](GITHUB).judge(answer(body, status)) == page


COUNTS = [*range(52)]


def test_participation_is_the_counts_of_all() -> None:
    body = {"all": COUNTS, "owner": [0] * 52}
    assert GITHUB.participation("ann/x").judge(answer(body)) == COUNTS


def test_participation_that_is_being_computed_is_not_ready() -> None:
    error = error_of(GITHUB.participation("ann/x"), answer({}, 202))
    assert type(error) is NotReadyError
    assert error.message == "api.github.com is still computing the statistics of ann/x"
    assert error.retryable


NEXT = f"{API}/repositories/42/commits?per_page=100&page=2"
LAST = f"{API}/repositories/42/commits?per_page=100&page=17"


@pytest.mark.parametrize(
    ("headers", "next_url", "pages"),
    [
        ({}, None, None),
        (linked(""), None, None),
        (linked(f'<{NEXT}>; rel="next"'), NEXT, None),
        (linked(f"<{NEXT}>; rel=next"), NEXT, None),
        (linked(f'<{NEXT}>;rel="next"', f'<{LAST}>;rel="last"'), NEXT, 17),
        (linked(f'<{LAST}>; rel="last"', f'<{NEXT}>; rel="next"'), NEXT, 17),
        (linked(f'<{API}/x?page=1>; rel="prev"', f'<{NEXT}>; rel="next"'), NEXT, None),
        (linked(f'<{API}/x?page=1>; rel="first"', f'<{API}/x?page=1>; rel="prev"'), None, None),
        (linked(f'<{NEXT}>; title="x"; rel="next"'), NEXT, None),
        (linked(f'<{API}/x?after=abc&per_page=100>; rel="next"'), f"{API}/x?after=abc&per_page=100", None),
        (linked(f'<{API}/x?per_page=100>; rel="last"'), None, None),
        (
            linked("<https://API.GitHub.com:443/x?page=2>; rel=next"),
            "https://API.GitHub.com:443/x?page=2",
            None,
        ),
        (linked("nonsense"), None, None),
    ],
)
def test_the_next_page_and_the_number_of_pages_are_read(
    headers: dict[str, str], next_url: str | None, pages: int | None
) -> None:
    assert GITHUB.commits("ann/x").judge(answer([], 200, headers)) == CommitPage((), next_url, pages)
    assert GITHUB.contributors("ann/x").judge(answer([], 200, headers)) == ContributorPage((), next_url)


@pytest.mark.parametrize("build", ["commits", "more commits", "contributors", "more contributors"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/repositories/42/commits?page=2",
        "http://api.github.com/repositories/42/commits?page=2",
        "https://api.github.com:8443/x?page=2",
        "https://api.github.com.evil.example/x",
        "https://api.github.com@evil.example/x",
        "https://api.github.com:port/x?page=2",
        "https://[/x?page=2",
        "/repositories/42/commits?page=2",
        "//api.github.com/x",
        "",
        "https://evil.example/\x1b[31m",
        # The page that was asked for.
        f"{API}/x",
    ],
)
def test_a_next_page_that_is_none_of_the_hosts_own_is_refused(build: str, url: str) -> None:
    error = error_of(REQUESTS[build](GITHUB), answer([], 200, linked(f'<{url}>; rel="next"')))
    assert type(error) is MalformedError
    assert error.message == f"api.github.com names a next page that is none of its own: {url!r}"


def test_the_next_page_of_an_enterprise_host_is_its_own() -> None:
    github = GitHub("https://code.example:8443/api/v3", TOKEN)
    url = "https://code.example:8443/api/v3/repositories/42/commits?page=2"
    response = answer([], 200, linked(f'<{url}>; rel="next"'), url="https://code.example:8443/api/v3/x")
    assert github.commits("ann/x").judge(response) == CommitPage((), url, None)


def at(seconds: float) -> str:
    return str(int(NOON.timestamp() + seconds))


def spent(seconds: float) -> dict[str, str]:
    """Headers of a limit that is used up until so many seconds after the host's noon."""
    return {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": at(seconds)}


EXCEEDED = {"message": "API rate limit exceeded for 192.0.2.1. (But here's the good news: ...)"}
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}
ABUSE = {"message": "You have triggered an abuse detection mechanism. Please wait a few minutes."}
ALREADY = {"message": "API rate limit already exceeded for user ID 42."}
FORBIDDEN = {"message": "Resource not accessible by personal access token"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        # Used up, by the host's clock; a second more, as it tells no fractions.
        (403, DATE | spent(90), EXCEEDED, 91.0),
        (429, DATE | spent(90), EXCEEDED, 91.0),
        (403, DATE | spent(0), EXCEEDED, 1.0),
        (403, DATE | spent(-3600), EXCEEDED, 1.0),
        (403, DATE | spent(90), FORBIDDEN, 91.0),
        (403, DATE | spent(90), b"", 91.0),
        (403, DATE | spent(90) | {"x-ratelimit-reset": "soon"}, EXCEEDED, None),
        (403, DATE | spent(90) | {"x-ratelimit-reset": ""}, EXCEEDED, None),
        # No Date: our own clock is all there is.
        (403, spent(0) | {"x-ratelimit-reset": str(int(OURS.timestamp()) + 9)}, EXCEEDED, 10.0),
        # Retry-After, in seconds and as a date.
        (403, DATE | {"retry-after": "60"}, SECONDARY, 61.0),
        (403, DATE | {"retry-after": "60"}, b"", 61.0),
        (403, DATE | {"retry-after": "60", "x-ratelimit-remaining": "4999", "x-ratelimit-reset": at(3000)},
         SECONDARY, 61.0),
        (429, DATE | {"retry-after": "0"}, SECONDARY, 1.0),
        (429, DATE | {"retry-after": "Sun, 15 Feb 2026 12:02:00 GMT"}, SECONDARY, 121.0),
        (429, DATE | {"retry-after": "soon"}, SECONDARY, None),
        # Both: the longer one.
        (403, DATE | spent(90) | {"retry-after": "60"}, SECONDARY, 91.0),
        (403, DATE | spent(30) | {"retry-after": "60"}, SECONDARY, 61.0),
        # The text alone; what is left of another limit tells nothing.
        (403, DATE, SECONDARY, None),
        (403, DATE, ABUSE, None),
        (403, DATE, ALREADY, None),
        (403, DATE | {"x-ratelimit-remaining": "12", "x-ratelimit-reset": at(3000)}, SECONDARY, None),
        (403, {}, b"<p>You have exceeded a Secondary Rate Limit", None),
        # 429 is a limit whatever it says.
        (429, DATE, FORBIDDEN, None),
        (429, {}, b"", None),
        (429, {}, b"<html>", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("token", "advice"), [(TOKEN, ""), (None, ADVICE)], ids=["token", "no token"])
def test_a_limit_tells_how_long_to_wait(  # noqa: PLR0913, PLR0917  columns of the table
    status: int,
    headers: dict[str, str],
    body: object,
    wait: float | None,
    token: Token | None,
    advice: str,
) -> None:
    error = problem(answer(body, status, headers), "ann/x", token)
    assert isinstance(error, RateLimitedError)
    assert (error.message, error.advice, error.wait) == (
        "api.github.com wants fewer requests",
        advice,
        wait,
    )
    assert error.retryable


@every_request
def test_every_request_meets_a_limit_as_one(build: Callable[[GitHub], Request[Any]]) -> None:
    error = error_of(build(GitHub(API)), answer(EXCEEDED, 403, DATE | spent(90)))
    assert isinstance(error, RateLimitedError)
    assert (error.wait, error.advice) == (91.0, ADVICE)


TOO_LARGE = {"message": "The history or contributor list is too large to list contributors."}
BLOCKED = {"message": "Repository access blocked", "block": {"reason": "tos", "created_at": None}}
SAML = {
    "message": "Resource protected by organization SAML enforcement. "
    "You must grant your OAuth token access to this organization."
}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (403, FORBIDDEN, FORBIDDEN["message"]),
        (403, SAML, SAML["message"]),
        (403, TOO_LARGE, TOO_LARGE["message"]),
        (403, BLOCKED, "blocked (tos)"),
        (403, {"message": "x", "block": None}, "x"),
        (403, b"<html>\n<p>no", "'<html> <p>no'"),
        (403, b"", "nothing"),
        (403, {"message": 7}, """'{"message": 7}'"""),
        (451, BLOCKED | {"block": {"reason": "dmca"}}, "blocked (dmca)"),
        (451, {"message": "Repository unavailable"}, "Repository unavailable"),
        (
            422,
            {"message": "Validation Failed", "errors": [{"code": "invalid", "field": "q"}]},
            "Validation Failed (invalid: q)",
        ),
    ],
)
def test_a_refusal_is_final_and_tells_why(status: int, body: object, why: str) -> None:
    headers = DATE | {"x-ratelimit-remaining": "4999", "x-ratelimit-reset": at(3000)}
    error = problem(answer(body, status, headers), "ann/x", TOKEN)
    assert type(error) is RefusedError
    assert str(error) == f"api.github.com does not give ann/x: {status} {why}"
    assert not error.retryable


@pytest.mark.parametrize("headers", [DATE | spent(90), DATE | {"retry-after": "60"}])
@pytest.mark.parametrize("body", [TOO_LARGE, BLOCKED])
def test_what_is_blocked_or_too_large_is_no_limit_whatever_the_headers(
    body: object, headers: dict[str, str]
) -> None:
    assert type(problem(answer(body, 403, headers), "ann/x", TOKEN)) is RefusedError


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no\nway\x1b[31m\u202e"},
        {"message": "no", "block": {"reason": "tos\r\n\x07"}},
        {"message": "no " * 10_000},
    ],
    ids=["message", "reason", "long"],
)
@pytest.mark.parametrize("status", [403, 422, 451])
def test_what_a_host_says_is_told_on_one_short_printable_line(body: object, status: int) -> None:
    error = problem(answer(body, status), "ann/x", TOKEN)
    assert type(error) is RefusedError
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def test_a_refused_token_is_named_by_its_variable_alone() -> None:
    error = problem(answer({"message": "Bad credentials"}, 401), "ann/x", TOKEN)
    assert type(error) is TokenRefusedError
    assert str(error) == "api.github.com does not accept the token from GH_TOKEN. Renew or unset it"
    assert SECRET not in repr(error)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 418, 422, 429, 451, 500, 503])
def test_no_error_shows_the_token(status: int) -> None:
    error = problem(answer({"message": "x"}, status), "ann/x", TOKEN)
    assert SECRET not in f"{error} {error!r} {error.advice}"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (202, b"", NotReadyError, "api.github.com is still computing ann/x"),
        (404, {"message": "Not Found"}, NotFoundError,
         "ann/x is not on api.github.com, or is private (404)"),
        (409, b"", ConflictError, "api.github.com has nothing for ann/x"),
        (500, b"", UnavailableError, "api.github.com answered 500 for ann/x: nothing"),
        (502, b"<html>\n<h1>Unicorn!</h1>", UnavailableError,
         "api.github.com answered 502 for ann/x: '<html> <h1>Unicorn!</h1>'"),
        (503, b"", UnavailableError, "api.github.com answered 503 for ann/x: nothing"),
        (504, b"", UnavailableError, "api.github.com answered 504 for ann/x: nothing"),
        (301, b"", RedirectError, "api.github.com answered 301 for ann/x, which leads nowhere"),
        (304, b"", NotModifiedError,
         "api.github.com says that ann/x has not changed, though it was not asked that"),
        (418, b"tea", RefusedError, "api.github.com answered 418 for ann/x: 'tea'"),
    ],
)  # fmt: skip
def test_any_other_status_means_what_it_says(
    status: int, body: object, kind: type[UpstreamError], message: str
) -> None:
    error = problem(answer(body, status), "ann/x", TOKEN)
    assert (type(error), error.message) == (kind, message)


def test_what_is_gone_is_not_asked_again() -> None:
    assert not problem(answer({"message": "Gone"}, 410), "ann/x", TOKEN).retryable


def test_a_host_that_cannot_answer_now_tells_when_it_can() -> None:
    error = problem(answer(b"", 503, {"retry-after": "30"}), "ann/x", TOKEN)
    assert isinstance(error, UnavailableError)
    assert error.after == 30.0


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("repository", 204, RefusedError),
        ("repository", 409, ConflictError),
        ("repository", 404, NotFoundError),
        ("contributors", 404, NotFoundError),
        ("contributors", 409, ConflictError),
        ("contributors", 403, RefusedError),
        ("commits", 404, NotFoundError),
        ("commits", 403, RefusedError),
        ("commits", 202, NotReadyError),
        ("participation", 404, NotFoundError),
    ],
)
def test_a_status_that_means_nothing_to_a_request_is_an_error(
    name: str, status: int, kind: type[UpstreamError]
) -> None:
    assert type(error_of(REQUESTS[name](GITHUB), answer({"message": "x"}, status))) is kind


def test_too_large_is_an_answer_for_contributors_alone() -> None:
    assert type(error_of(GITHUB.commits("ann/x"), answer(TOO_LARGE, 403))) is RefusedError
