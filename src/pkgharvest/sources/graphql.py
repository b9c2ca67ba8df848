"""GitHub's GraphQL API, without I/O: the facts and the year's commits of many repositories in one query.

https://docs.github.com/en/graphql
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode

import msgspec

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    OverloadedError,
    RefusedError,
    UpstreamError,
    detached,
)
from pkgharvest.net.message import Request, Response, Token
from pkgharvest.sources import answers, github
from pkgharvest.sources.github import Commit, CommitPage, Facts, Reading
from pkgharvest.targets import Repository

T = TypeVar("T")

_HISTORY = """history(first: 100, since: %s%s) {
  totalCount pageInfo { hasNextPage endCursor } nodes { oid authoredDate committedDate }
}"""

_FACTS = """fragment F on Repository {
  databaseId nameWithOwner url description stargazerCount forkCount isArchived
  defaultBranchRef { target { ... on Commit { committedDate %s } } }
}"""


class _Node(msgspec.Struct, rename="camel"):
    oid: str
    authored_date: str | None = None
    committed_date: str | None = None


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None


class _History(msgspec.Struct, rename="camel"):
    total_count: github.Count
    page_info: _PageInfo
    nodes: list[_Node | None]


class _Target(msgspec.Struct, rename="camel"):
    committed_date: str | None = None
    history: _History | None = None


class _Branch(msgspec.Struct):
    target: _Target | None


class _Repository(msgspec.Struct, rename="camel"):
    database_id: int
    name_with_owner: github.FullName
    url: str
    description: str | None
    stargazer_count: github.Count
    fork_count: github.Count
    is_archived: bool
    default_branch_ref: _Branch | None


class _Page(msgspec.Struct, rename="camel"):
    default_branch_ref: _Branch | None


class _Limit(msgspec.Struct):
    cost: github.Count = 1


class _Error(msgspec.Struct):
    message: str = ""
    type: str = ""
    path: list[Any] | None = None


class _Reply(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[_Error] | None = None


Outcome = Reading | UpstreamError | None
"""What came of one repository of a query; None if it was left unanswered, for it was too much at once."""


@dataclass(frozen=True, slots=True)
class Histories:
    """The answer to a query for repositories."""

    outcomes: tuple[Outcome, ...]
    """In the order of the repositories."""
    cost: int
    """Points of the rate limit."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a repository's history, by committer date, both ends included."""

    repository: Repository
    since: datetime
    until: datetime
    after: str | None = None
    """Where a page of it before ended."""


@dataclass(frozen=True, slots=True)
class Part:
    """A page of a slice."""

    commits: tuple[Commit, ...]
    count: int
    """How many commits the slice has."""
    after: str | None
    """Where the page ends if there is another one."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """The answer to a query for slices."""

    parts: tuple[Part | None, ...]
    """In the order of the slices; None if one was left unanswered."""
    cost: int
    """Points of the rate limit."""


@dataclass(frozen=True, slots=True)
class GraphQL:
    """The queries that GitHub is asked, of one address and with a token."""

    base_url: str
    """Where the REST API lives; the GraphQL API's address follows from it."""
    token: Token | None

    @property
    def url(self) -> str:
        """The address of the API: ``/graphql``, on an Enterprise server ``/api/graphql``."""
        if self.base_url.endswith("/api/v3"):
            return self.base_url.removesuffix("v3") + "graphql"
        return f"{self.base_url}/graphql"

    def histories(self, repositories: Sequence[Repository], since: datetime) -> Request[Histories]:
        """Ask for facts and the commits that were committed since a moment, the newest hundred of each.

        https://docs.github.com/en/graphql/reference/objects#repository
        """
        fields = "\n".join(
            f"r{number}: {_named(repository)} {{ ...F }}" for number, repository in enumerate(repositories)
        )
        fragment = _FACTS % (_HISTORY % (_text(_iso(since)), ""))

        def judge(response: Response) -> Histories:
            reply = self._reply(response, "the repositories")
            outcomes = [
                self._outcome(reply, f"r{number}", repository, since, response)
                for number, repository in enumerate(repositories)
            ]
            if all(outcome is None for outcome in outcomes):
                raise OverloadedError(f"{response.host} could not answer a query of {len(outcomes)}")
            return Histories(tuple(outcomes), _cost(response, reply))

        query = f"query {{\nrateLimit {{ cost }}\n{fields}\n}}\n{fragment}"
        return self._request(query, judge, lambda histories: histories.cost, is_stored=False)

    def more_commits(self, address: str) -> Request[CommitPage]:
        """Ask for a further page of commits, at the address that the page before gave.

        Raises:
            MalformedError: no page gave this address; it was stored, and is broken.
        """
        full_name, _, query = address.partition("#")[2].partition("?")
        owner, _, name = full_name.partition("/")
        values = parse_qs(query)
        if not {"after", "since"} <= values.keys():
            raise MalformedError(f"what is stored of {full_name} names a next page that is none: {address!r}")
        after, since = values["after"][0], values["since"][0]
        history = _HISTORY % (_text(since), f", after: {_text(after)}")
        head = f"rateLimit {{ cost }} r0: repository(owner: {_text(owner)}, name: {_text(name)})"
        branch = f"defaultBranchRef {{ target {{ ... on Commit {{ {history} }} }} }}"

        def judge(response: Response) -> CommitPage:
            reply = self._reply(response, f"the commits of {full_name}")
            found = _decoded(response, (reply.data or {}).get("r0"), _Page)
            if found is None or found.default_branch_ref is None:
                raise OverloadedError(f"{response.host} could not answer the commits of {full_name}")
            return self._page(found.default_branch_ref.target, full_name, since)

        query = f"query {{ {head} {{ {branch} }} }}"
        return self._request(query, judge, lambda _: 1, is_stored=True)

    def slices(self, slices: Sequence[Slice]) -> Request[Sliced]:
        """Ask for slices of histories, the hundred newest commits of each, in one query."""
        fields = "\n".join(
            f"s{number}: {_named(part.repository)} {{ defaultBranchRef {{ target {{ ... on Commit {{ "
            f"{_HISTORY % (_text(_iso(part.since)), _until(part))} }} }} }} }}"
            for number, part in enumerate(slices)
        )

        def judge(response: Response) -> Sliced:
            reply = self._reply(response, "the histories")
            data = reply.data or {}
            found = [_decoded(response, data.get(f"s{number}"), _Page) for number in range(len(slices))]
            return Sliced(tuple(map(_part, found)), _cost(response, reply))

        query = f"query {{\nrateLimit {{ cost }}\n{fields}\n}}"
        return self._request(query, judge, lambda sliced: sliced.cost, is_stored=False)

    def stored(self, repository: Repository) -> Request[Reading]:
        """Return the request under which a reading is stored; no host answers it."""
        url = f"{self.url}#{repository.full_name.lower()}"
        return Request(github.NAME, url, lambda response: answers.decode(response, Reading), token=self.token)

    @staticmethod
    def packed(reading: Reading) -> bytes:
        """Return a reading as the body of what `stored` asks for."""
        return msgspec.json.encode(reading)

    def _request(
        self, query: str, judge: Callable[[Response], T], points: Callable[[T], int], *, is_stored: bool
    ) -> Request[T]:
        headers = {"accept": "application/vnd.github+json", "content-type": "application/json"}
        return Request(
            github.NAME,
            self.url,
            judge,
            headers,
            method="POST",
            body=json.dumps({"query": query}, separators=(",", ":")).encode(),
            token=self.token,
            resource=github.GRAPHQL,
            points=points,
            is_stored=is_stored,
        )

    def _reply(self, response: Response, what: str) -> _Reply:
        """Return an answer with data; what stands in the way of all of it is raised.

        https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
        """
        if response.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
            raise OverloadedError(f"{response.host} took too long for {what} ({response.status})")
        if response.status != HTTPStatus.OK:
            raise github.problem(response, what, self.token)
        reply = answers.decode(response, _Reply)
        for error in reply.errors or ():
            # The type was RATE_LIMITED until 2025 and is RATE_LIMIT since; some answers have the words alone.
            if error.type.startswith("RATE_LIMIT") or "rate limit" in error.message.lower():
                raise github.limited(response, self.token)
        if reply.data is None:
            words = "; ".join(error.message for error in reply.errors or ())[:400]
            raise OverloadedError(f"{response.host} could not answer {what}: {words or 'no data'}")
        return reply

    def _outcome(
        self, reply: _Reply, alias: str, repository: Repository, since: datetime, response: Response
    ) -> Outcome:
        errors = [error for error in reply.errors or () if (error.path or [None])[0] == alias]
        for error in errors:
            if error.type == "NOT_FOUND":
                message = f"{repository.full_name} is not on {response.host}, or is private"
                return NotFoundError(message, "Check the address")
            if error.type == "FORBIDDEN":
                message = f"{response.host} does not give {repository.full_name}: {error.message[:400]}"
                return RefusedError(message)
        try:
            found = _decoded(response, (reply.data or {}).get(alias), _Repository)
            if found is None or errors:
                return None
            return self._reading(found, _iso(since))
        except MalformedError as error:
            return detached(error)

    def _reading(self, found: _Repository, since: str) -> Reading:
        facts = Facts(
            id=found.database_id,
            full_name=found.name_with_owner,
            html_url=found.url,
            description=found.description,
            stargazers_count=found.stargazer_count,
            forks_count=found.fork_count,
            archived=found.is_archived,
        )
        target = found.default_branch_ref.target if found.default_branch_ref else None
        if target is None:
            return Reading(facts, None, CommitPage((), None, None))
        last_commit = github.moment(target.committed_date)
        if last_commit is None:
            raise MalformedError(f"the newest commit of {found.name_with_owner} bears no date")
        return Reading(facts, last_commit, self._page(target, found.name_with_owner, since))

    def _page(self, target: _Target | None, full_name: str, since: str) -> CommitPage:
        history = target.history if target else None
        if history is None:
            raise MalformedError(f"the history of {full_name} is missing")
        info = history.page_info
        query = urlencode({"after": info.end_cursor or "", "since": since})
        address = f"{self.url}#{full_name}?{query}" if info.has_next_page and info.end_cursor else None
        pages = math.ceil(history.total_count / github.PAGE)
        return CommitPage(_commits(history), address, pages, github.moment(since), history.total_count)


def _commits(history: _History) -> tuple[Commit, ...]:
    return tuple(
        Commit(node.oid, github.moment(node.authored_date), github.moment(node.committed_date))
        for node in history.nodes
        if node is not None
    )


def _part(page: _Page | None) -> Part | None:
    target = page.default_branch_ref.target if page and page.default_branch_ref else None
    if target is None or target.history is None:
        return None
    info = target.history.page_info
    after = info.end_cursor if info.has_next_page else None
    return Part(_commits(target.history), target.history.total_count, after)


def _until(part: Slice) -> str:
    after = f", after: {_text(part.after)}" if part.after else ""
    return f", until: {_text(_iso(part.until))}{after}"


def _decoded(response: Response, raw: msgspec.Raw | None, kind: type[T]) -> T | None:
    """Return a part of an answer as a typed value, None for null."""
    if raw is None or bytes(raw) == b"null":
        return None
    return answers.decode(replace(response, body=bytes(raw)), kind)


def _cost(response: Response, reply: _Reply) -> int:
    limit = _decoded(response, (reply.data or {}).get("rateLimit"), _Limit)
    return limit.cost if limit else 1


def _named(repository: Repository) -> str:
    owner, name = _text(repository.owner), _text(repository.name)
    return f"repository(owner: {owner}, name: {name}, followRenames: true)"


def _text(text: str) -> str:
    return json.dumps(text)


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
