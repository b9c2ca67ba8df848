"""GitHub's REST API, without I/O: requests are built, responses judged and parsed.

https://docs.github.com/en/rest
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from pkgharvest.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    NotReadyError,
    RateLimitedError,
    RefusedError,
    RetiredError,
    TokenRefusedError,
    UpstreamError,
)
from pkgharvest.net.message import Request, Response, Token, origin_of
from pkgharvest.net.quota import renewal
from pkgharvest.record import Moment
from pkgharvest.sources import answers
from pkgharvest.targets import Repository
from pkgharvest.weeks import WEEKS

T = TypeVar("T")

NAME = "GitHub"
CORE = "core"
GRAPHQL = "graphql"

PAGE = 100
"""Entries per page, the most that GitHub gives: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api"""

# https://docs.github.com/en/rest/about-the-rest-api/api-versions: the newest, so that it lasts longest;
# Enterprise servers (whose addresses end in /api/v3) lag behind and know the first one.
_VERSION = "2026-03-10"
_ENTERPRISE_VERSION = "2022-11-28"

_SHOWN = 400
"""Characters of GitHub's own words in a message."""

_LINK = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?(next|last)\b')
_PAGE_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

FullName = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+/[\w.-]+\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""A number of things; no API of GitHub has larger ones: https://spec.graphql.org/October2021/#sec-Int"""


class Facts(msgspec.Struct, frozen=True):
    """What GitHub says of a repository.

    https://docs.github.com/en/rest/repos/repos#get-a-repository
    """

    id: int
    full_name: FullName
    """``owner/name`` as it is called now, after every renaming."""
    html_url: str
    description: str | None
    stargazers_count: Count
    forks_count: Count
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the default branch; a date is None where it is missing or in no calendar."""

    sha: str
    authored: Moment | None
    committed: Moment | None


@dataclass(frozen=True, slots=True)
class CommitPage:
    """A page of the commit list, newest first; ``commits`` is empty for an empty repository."""

    commits: tuple[Commit, ...]
    next_url: str | None
    """The address of the next page, for `GitHub.more_commits`."""
    pages: int | None
    """How many pages the whole list has, None if the answer does not tell."""
    since: Moment | None = None
    """Where the list begins, by committer date, if not with the first commit: ``pages`` counts from there."""
    count: int | None = None
    """How many commits the whole list has, None if the answer does not tell."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a repository at first, whichever way."""

    facts: Facts
    last_commit: Moment | None
    """Committer date of the newest commit of the default branch; None for an empty repository."""
    page: CommitPage
    """The newest commits."""


@dataclass(frozen=True, slots=True)
class ContributorPage:
    """A page of the contributor list: logins, those with most commits first."""

    logins: tuple[str, ...]
    next_url: str | None


class _Signature(msgspec.Struct):
    date: str | None = None


class _CommitData(msgspec.Struct):
    author: _Signature | None = None
    committer: _Signature | None = None


class _CommitEntry(msgspec.Struct):
    sha: str
    commit: _CommitData


class _Contributor(msgspec.Struct):
    login: str | None = None


class _Participation(msgspec.Struct):
    all: Annotated[list[Count], msgspec.Meta(min_length=WEEKS, max_length=WEEKS)]


class Limit(msgspec.Struct, frozen=True):
    """A rate limit: requests or points an hour, what is left of them, and when all are there again."""

    limit: Count
    remaining: Count
    reset: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
    """Seconds since 1970, within the calendar."""


class _Limits(msgspec.Struct):
    resources: dict[str, Limit]


class _Block(msgspec.Struct):
    reason: str = ""


class _Problem(msgspec.Struct):
    message: str = ""
    block: _Block | None = None
    errors: Any = None


@dataclass(frozen=True, slots=True)
class GitHub:
    """The requests that GitHub is asked, of one address and with one token or none."""

    base_url: str
    """Where the REST API lives, no slash at the end: ``https://api.github.com``."""
    token: Token | None = None

    def repository(self, repository: Repository) -> Request[Facts]:
        """Ask for a repository's facts; a renamed one answers with a redirect to its number.

        https://docs.github.com/en/rest/repos/repos#get-a-repository
        """
        url = f"{self.base_url}/repos/{repository.full_name}"
        return self._request(url, repository.full_name, lambda response: answers.decode(response, Facts))

    def contributors(self, full_name: str) -> Request[ContributorPage | None]:
        """Ask for the first page of contributors; None where GitHub calls the list too large.

        https://docs.github.com/en/rest/repos/repos#list-repository-contributors
        """
        return self.more_contributors(full_name, f"{self._of(full_name)}/contributors?per_page={PAGE}")

    def more_contributors(self, full_name: str, url: str) -> Request[ContributorPage | None]:
        """Ask for a further page of contributors, at the address that the page before gave."""
        what = f"the contributors of {full_name}"
        return self._request(url, what, self._contributors, accept=_is_too_large)

    def commits(self, full_name: str) -> Request[CommitPage]:
        """Ask for the newest commits of the default branch.

        Without ``since``, which would move and so change the address and its ETag every day.
        https://docs.github.com/en/rest/commits/commits#list-commits
        """
        return self.more_commits(full_name, f"{self._of(full_name)}/commits?per_page={PAGE}")

    def more_commits(self, full_name: str, url: str) -> Request[CommitPage]:
        """Ask for a further page of commits, at the address that the page before gave."""
        return self._request(url, f"the commits of {full_name}", self._commits, accept=_is_empty)

    def participation(self, full_name: str) -> Request[list[int]]:
        """Ask for GitHub's own 52 counts, oldest first; it may have to compute them (NotReadyError).

        https://docs.github.com/en/rest/metrics/statistics#get-the-weekly-commit-count
        """
        what = f"the statistics of {full_name}"
        url = f"{self._of(full_name)}/stats/participation"
        return self._request(url, what, lambda response: answers.decode(response, _Participation).all)

    def limits(self) -> Request[dict[str, Limit]]:
        """Ask for the rate limits by resource, which costs nothing of them.

        https://docs.github.com/en/rest/rate-limit/rate-limit
        """
        url = f"{self.base_url}/rate_limit"
        request = self._request(url, "the limits", lambda answer: answers.decode(answer, _Limits).resources)
        return replace(request, is_stored=False, points=lambda _: 0)

    def _of(self, full_name: str) -> str:
        return f"{self.base_url}/repos/{full_name}"

    def _request(
        self,
        url: str,
        what: str,
        parse: Callable[[Response], T],
        accept: Callable[[Response], bool] = lambda _: False,
    ) -> Request[T]:
        def judge(response: Response) -> T:
            if response.status == HTTPStatus.OK or accept(response):
                return parse(response)
            raise problem(response, what, self.token)

        version = _ENTERPRISE_VERSION if self.base_url.endswith("/api/v3") else _VERSION
        headers = {"accept": "application/vnd.github+json", "x-github-api-version": version}
        return Request(NAME, url, judge, headers, token=self.token, resource=CORE)

    def _contributors(self, response: Response) -> ContributorPage | None:
        if response.status == HTTPStatus.NO_CONTENT:
            return ContributorPage((), None)
        if response.status == HTTPStatus.FORBIDDEN:
            return None
        entries = answers.decode(response, list[_Contributor])
        logins = tuple(entry.login for entry in entries if entry.login)
        return ContributorPage(logins, self._next_url(response))

    def _commits(self, response: Response) -> CommitPage:
        if response.status != HTTPStatus.OK:
            return CommitPage((), None, None)
        commits = tuple(map(_commit, answers.decode(response, list[_CommitEntry])))
        return CommitPage(commits, self._next_url(response), _page_number(_links(response).get("last", "")))

    def _next_url(self, response: Response) -> str | None:
        """Return the address of the next page, which must be on this API: the token goes there."""
        url = _links(response).get("next")
        if url is not None and (not _has_origin(url, origin_of(self.base_url)) or url == response.url):
            raise MalformedError(f"{response.host} names a next page that is none of its own: {url!r}")
        return url


def _links(response: Response) -> dict[str, str]:
    """Return the addresses of the next and the last page, as far as they are told.

    https://www.rfc-editor.org/rfc/rfc8288#section-3
    """
    return {match[2]: match[1] for match in reversed(list(_LINK.finditer(response.headers.get("link", ""))))}


def _page_number(url: str) -> int | None:
    try:
        numbers = parse_qs(urlsplit(url).query).get("page", [""])
    except ValueError:  # no URL at all
        return None
    return int(numbers[0]) if _PAGE_NUMBER.fullmatch(numbers[0]) else None


def _has_origin(url: str, origin: str) -> bool:
    try:
        return origin_of(url) == origin
    except ValueError:  # no URL at all
        return False


def _is_empty(response: Response) -> bool:
    """Tell whether the repository has no commits: 409, or 204 as some lists do instead of an empty one."""
    return response.status in (HTTPStatus.CONFLICT, HTTPStatus.NO_CONTENT)


def _is_too_large(response: Response) -> bool:
    """Tell the two answers apart from errors: no contributors (204), and more than GitHub lists (403)."""
    if response.status == HTTPStatus.FORBIDDEN:
        return "too large" in _problem(response).message.lower()
    return response.status == HTTPStatus.NO_CONTENT


def _commit(entry: _CommitEntry) -> Commit:
    return Commit(entry.sha, _moment(entry.commit.author), _moment(entry.commit.committer))


def _moment(signature: _Signature | None) -> datetime | None:
    return moment(signature.date) if signature else None


def moment(text: str | None) -> datetime | None:
    """Return the moment in UTC that a date of GitHub's tells, None where it is missing or in no calendar."""
    try:
        parsed = datetime.fromisoformat(text or "")
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):  # 0001-01-01 in Asia is no date in UTC
        return None


def _problem(response: Response) -> _Problem:
    try:
        return answers.decode(response, _Problem)
    except UpstreamError:
        return _Problem(answers.excerpt(response.body))


def problem(response: Response, what: str, token: Token | None) -> UpstreamError:
    """Return the error that an answer other than the expected one means.

    A 403 or 429 is a rate limit, or it is not: headers and message decide, never the status alone.
    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api

    Args:
        response: the answer.
        what: what was asked for, for the message.
        token: the token that was sent, for the name of the variable it came from.
    """
    if response.status == HTTPStatus.UNAUTHORIZED:
        if token is None:
            return TokenRefusedError(f"{response.host} wants a token", "Set GITHUB_TOKEN")
        return TokenRefusedError(
            f"{response.host} does not accept the token from {token.source}", "Renew or unset it"
        )
    if response.status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return _forbidden(response, what, token)
    return _STATUSES.get(response.status, answers.failure)(response, what)


def _forbidden(response: Response, what: str, token: Token | None) -> UpstreamError:
    told = _problem(response)
    if not told.block and "too large" not in told.message.lower() and _is_limit(response, told.message):
        return limited(response, token)
    return _refused(response, what)


def limited(response: Response, token: Token | None) -> RateLimitedError:
    """Return the error of an answer that is about a rate limit, with the wait that it asks for."""
    return RateLimitedError(
        f"{response.host} wants fewer requests",
        advice(token),
        wait=_wait(response),
        hurried=response.headers.get("x-ratelimit-remaining") != "0",
    )


def advice(token: Token | None) -> str:
    """Return what helps against the rate limit."""
    return "" if token else "Set GITHUB_TOKEN: with a token GitHub allows 5,000 requests an hour, not 60"


def _is_limit(response: Response, message: str) -> bool:
    headers, message = response.headers, message.lower()
    return (
        response.status == HTTPStatus.TOO_MANY_REQUESTS
        or "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in message
        or "abuse detection" in message
    )


def _wait(response: Response) -> float | None:
    """Return the seconds until the host takes requests again, by its own clock; None if it does not say."""
    after = answers.retry_after(response)
    waits = [] if after is None else [after + 1]  # as the host's clock tells no fractions
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdigit():
        waits.append(max(renewal(int(reset[:12]), response), 1.0))
    return max(waits, default=None)


def _refused(response: Response, what: str) -> UpstreamError:
    told = _problem(response)
    why = f"blocked ({told.block.reason})" if told.block else told.message
    details = f" ({codes})" if (codes := _codes(told.errors)) else ""
    return RefusedError(
        f"{response.host} does not give {what}: {response.status} {why[:_SHOWN]}{details[:_SHOWN]}"
    )


def _codes(errors: object) -> str:
    """Return the codes of what was wrong with a request, each with the field if there is one.

    https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed
    """
    entries = errors if isinstance(errors, list) else []
    told = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("code"), str)]
    return ", ".join(f"{entry['code']}: {entry.get('field') or entry.get('resource')}" for entry in told)


def _gone(response: Response, what: str) -> UpstreamError:
    """Return what 400 and 410 mean: the version of the API is not answered, or as everywhere.

    https://docs.github.com/en/rest/about-the-rest-api/api-versions
    """
    told = _problem(response).message
    if "version" in told.lower():
        message = f"{response.host} does not answer this version of its API: {response.status}"
        return RetiredError(f"{message} {told[:_SHOWN]}", "Update pkgharvest")
    return answers.failure(response, what)


def _not_found(response: Response, what: str) -> UpstreamError:
    return NotFoundError(
        f"{what} is not on {response.host}, or is private ({response.status})", "Check the address"
    )


def _not_ready(response: Response, what: str) -> UpstreamError:
    return NotReadyError(f"{response.host} is still computing {what}", "Try again in a minute")


_STATUSES: dict[int, Callable[[Response, str], UpstreamError]] = {
    HTTPStatus.ACCEPTED: _not_ready,
    HTTPStatus.BAD_REQUEST: _gone,
    HTTPStatus.GONE: _gone,
    HTTPStatus.NOT_FOUND: _not_found,
    HTTPStatus.CONFLICT: lambda response, what: ConflictError(f"{response.host} has nothing for {what}"),
    HTTPStatus.UNPROCESSABLE_ENTITY: _refused,
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: _refused,
}
