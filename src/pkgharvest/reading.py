"""Repositories read in batches: by GraphQL with a token, by REST without one, from the store offline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pkgharvest.commits import CommitSource, last_commit
from pkgharvest.errors import (
    ENDINGS,
    MalformedError,
    NotFoundError,
    OverloadedError,
    OversizedError,
    PkgharvestError,
    RefusedError,
    UnreadableError,
)
from pkgharvest.net.message import Memory, Request, Response
from pkgharvest.slices import History
from pkgharvest.sources.github import CommitPage, GitHub, Reading
from pkgharvest.sources.graphql import GraphQL, Outcome, Slice
from pkgharvest.targets import Repository
from pkgharvest.visit import Visit

BATCH = 20
"""Repositories in a query at the start. Public tools that ask for a hundred commits of each meet time-outs
from 30 on; with 20 a query costs one point."""


PAGES_SLICED = 50
"""Pages of commits in the window up to which a history is read by GraphQL to its end; GitHub's statistics
cost less beyond."""
GIVEN_UP = 20
"""Queries in a row that answered nothing, after which the rest of the run is left to REST."""
SLICES = 40
"""Slices in a query."""
ROUNDS = 12
"""How often slices that turned out too full are split."""


class Reader(CommitSource, Protocol):
    """Reads repositories."""

    batch: int
    """How many it is best given at once."""

    async def read(
        self, repositories: Sequence[Repository], visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        """Return what was read of each repository, or why it was not; the visits take note of the answers."""
        ...


class RestReader:
    """Reads repositories one by one, in two requests each."""

    def __init__(self, github: GitHub) -> None:
        """Take what builds the requests."""
        self.batch = 1
        self._github = github

    async def read(
        self, repositories: Sequence[Repository], visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        """Read each repository in turn; see `Reader`."""
        return [await self.one(*pair) for pair in zip(repositories, visits, strict=True)]

    async def one(self, repository: Repository, ask: Visit) -> Reading | PkgharvestError:
        """Return what was read of a repository, or why it was not."""
        try:
            facts = await ask(self._github.repository(repository))
            page = await ask(self._github.commits(facts.full_name))
            return Reading(facts, last_commit(page), page)
        except PkgharvestError as error:
            return error

    def more_commits(self, full_name: str, url: str) -> Request[CommitPage]:
        """Ask for a further page of commits."""
        return self._github.more_commits(full_name, url)

    def participation(self, full_name: str) -> Request[list[int]]:
        """Ask for GitHub's own counts."""
        return self._github.participation(full_name)


class GraphReader(RestReader):
    """Reads many repositories a query. What is too much at once is halved, down to one, then left to REST."""

    def __init__(self, github: GitHub, graphql: GraphQL, since: datetime, memory: Memory) -> None:
        """Take what builds the requests, the start of the commits, and what keeps the readings for later."""
        super().__init__(github)
        self.batch = BATCH
        self._graphql = graphql
        self._since = since
        self._memory = memory
        self._size = BATCH
        self._failed = 0

    async def read(
        self, repositories: Sequence[Repository], visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        """Read the repositories in as few queries as they can be answered in; see `Reader`."""
        results: list[Reading | PkgharvestError] = []
        while len(results) < len(repositories):
            part = slice(len(results), len(results) + self._size)
            results += await self._read(repositories[part], visits[part])
        return results

    def more_commits(self, full_name: str, url: str) -> Request[CommitPage]:
        """Ask for a further page of commits, of either list."""
        if url.startswith(f"{self._graphql.url}#"):
            return self._graphql.more_commits(url)
        return super().more_commits(full_name, url)

    async def _read(
        self, repositories: Sequence[Repository], visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        if self._failed >= GIVEN_UP:
            return await super().read(repositories, visits)
        try:
            outcomes = await self._query(repositories, visits)
        except (OverloadedError, MalformedError, UnreadableError, OversizedError):
            outcomes = [None] * len(repositories)
        except (NotFoundError, RefusedError):  # a server without GraphQL, a token that may not use it
            return await super().read(repositories, visits)
        except PkgharvestError as error:
            return [error] * len(repositories)
        left = [number for number, outcome in enumerate(outcomes) if outcome is None]
        self._failed = self._failed + 1 if len(left) == len(outcomes) else 0
        if not left:
            self._size = min(BATCH, self._size + 1)
            return [outcome for outcome in outcomes if outcome is not None]
        if len(repositories) == 1:
            return [await self.one(repositories[0], visits[0])]
        self._size = max(1, min(self._size, len(repositories) // 2))
        return await self._fill(outcomes, left, repositories, visits)

    async def _fill(
        self,
        outcomes: list[Outcome],
        left: list[int],
        repositories: Sequence[Repository],
        visits: Sequence[Visit],
    ) -> list[Reading | PkgharvestError]:
        """Ask again, in halves of what was too much, for what was left unanswered."""
        half = max(1, len(repositories) // 2)
        filled: dict[int, Reading | PkgharvestError | None] = dict(enumerate(outcomes))
        for start in range(0, len(left), half):
            some = left[start : start + half]
            answers = await self._read([repositories[i] for i in some], [visits[i] for i in some])
            filled.update(zip(some, answers, strict=True))
        return [outcome for outcome in filled.values() if outcome is not None]

    async def _query(self, repositories: Sequence[Repository], visits: Sequence[Visit]) -> list[Outcome]:
        request = self._graphql.histories(repositories, self._since)
        answer = await visits[0].beside(request)
        for visit in visits:
            visit.note(answer.received)
        outcomes = await self._completed(list(answer.value.outcomes), visits)
        for repository, visit, outcome in zip(repositories, visits, outcomes, strict=True):
            if isinstance(outcome, Reading):
                body = self._graphql.packed(outcome)
                stored = self._graphql.stored(repository)
                self._memory.keep(stored, Response(stored.url, 200, {}, body, visit.latest, wire=body))
        return outcomes

    async def _completed(self, outcomes: list[Outcome], visits: Sequence[Visit]) -> list[Outcome]:
        """Return the readings with all commits of the window, where there are a few pages more of them.

        They are asked for in slices of time, many a query, for the cost of one page. What cannot be
        had like this stays as it is, and is finished one by one.
        """
        busy = {
            number: History(outcome)
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, Reading) and 1 < (outcome.page.pages or 1) <= PAGES_SLICED
        }
        for _ in range(ROUNDS):
            wanted = [(number, part) for number, history in busy.items() for part in history.missing]
            if not wanted:
                break
            for start in range(0, len(wanted), SLICES):
                await self._slice(wanted[start : start + SLICES], busy, visits)
        return [busy[i].reading() if i in busy else outcome for i, outcome in enumerate(outcomes)]

    async def _slice(
        self, wanted: list[tuple[int, Slice]], busy: dict[int, History], visits: Sequence[Visit]
    ) -> None:
        try:
            request = self._graphql.slices([part for _, part in wanted])
            answer = await visits[wanted[0][0]].beside(request)
        except ENDINGS:
            raise
        except PkgharvestError:
            for number, _ in wanted:
                busy[number].give_up()
            return
        for (number, part), found in zip(wanted, answer.value.parts, strict=True):
            busy[number].add(part, found)
            visits[number].note(answer.received)


class StoredReader(GraphReader):
    """Reads from what is stored, whichever way it came there."""

    async def read(
        self, repositories: Sequence[Repository], visits: Sequence[Visit]
    ) -> list[Reading | PkgharvestError]:
        """Take each repository as a query left it, else as REST did; see `Reader`."""
        return [await self._stored(*pair) for pair in zip(repositories, visits, strict=True)]

    async def _stored(self, repository: Repository, ask: Visit) -> Reading | PkgharvestError:
        try:
            return await ask(self._graphql.stored(repository))
        except PkgharvestError:  # it is not there, or of no use any more
            return await self.one(repository, ask)
