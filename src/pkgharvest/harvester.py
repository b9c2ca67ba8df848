"""The harvest: targets in, results out. Knows the network only as a `Fetch`.

Not named ``harvest``: a module of that name would hide the function that the package offers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeVar

from pkgharvest.commits import commits_over_52, last_commit
from pkgharvest.errors import PkgharvestError, RateLimitedError, TargetError, TokenRefusedError
from pkgharvest.net.message import Fetch
from pkgharvest.record import Findings, Record, combine
from pkgharvest.resolve import Resolver
from pkgharvest.results import Failure, Harvested, Result, Skipped
from pkgharvest.sources.github import Facts, GitHub
from pkgharvest.sources.pypi import documentation_of
from pkgharvest.targets import CatalogTarget, Repository, Target
from pkgharvest.visit import Ending, Visit

T = TypeVar("T")
R = TypeVar("R")

_ENDINGS = (TokenRefusedError, RateLimitedError)
"""Errors after which no other target can succeed either."""

CONTRIBUTOR_PAGES = 20
"""Pages of contributors that are read at most. GitHub links the first 500 addresses to logins: five pages."""


@dataclass(frozen=True, slots=True)
class Harvester:
    """The rules by which a target becomes a record."""

    fetch: Fetch
    resolver: Resolver
    github: GitHub
    zone: tzinfo
    """The time zone that the record's times are written in."""
    replaying: bool = False
    """Whether answers come from a recording."""

    async def all(self, targets: Iterable[Target | Failure], *, ahead: int) -> AsyncGenerator[Result]:
        """Yield a result for each target, in their order, as soon as it and those before it are done.

        Two targets that turn out to be one package give one record. A refused token or a rate limit
        that outlasts the run's patience ends it: what is left fails with that error, and is not asked.

        Args:
            targets: what to harvest; failures among them are passed on.
            ahead: how many targets are worked on beyond the one that is next to come out.
        """
        ending = Ending(replaying=self.replaying)

        async def work(target: Target | Failure | Skipped) -> Result:
            if isinstance(target, Failure | Skipped):
                return target
            result = await self.one(target, ending)
            if isinstance(result, Failure) and isinstance(result.error, _ENDINGS):
                ending.note(result.error)
            return result

        written: dict[str, tuple[str, int]] = {}
        async for result in in_order(once(targets), work, ahead=ahead):
            yield _distinct(result, written) if isinstance(result, Harvested) else result

    async def one(self, target: Target, ending: Ending) -> Harvested | Failure:
        """Return the target's record, or why there is none."""
        try:
            return await self._harvest(target, Visit(self.fetch, ending))
        except PkgharvestError as error:
            return _failure(target, error)

    async def _harvest(self, target: Target, ask: Visit) -> Harvested:
        subject = await self.resolver.subject(target, ask)
        facts = await ask(self.github.repository(subject.repository))
        present = _repository(facts, subject.repository.host)
        project, doubt = await self.resolver.project(subject, present, ask)
        page = await ask(self.github.commits(facts.full_name))
        counts_at = await commits_over_52(self.github, facts.full_name, page, ask)
        participants, missing = await self._participants(facts.full_name, subject.base, ask)
        moved_to = facts.html_url if present.key != subject.known_as.key else None
        found = Findings(
            slug=subject.slug,
            fetched=ask.latest,
            repository_name=present.name,
            repository_url=facts.html_url,
            forks=facts.forks_count,
            stars=facts.stargazers_count,
            description=facts.description or "",
            commits_over_52=counts_at(ask.latest),
            last_commit=last_commit(page),
            participants=participants,
            project=subject.project_name if project else None,
            project_title=project.name if project else None,
            version=project.version if project else None,
            documentation_url=documentation_of(project) if project else None,
        )
        moved = f"the repository has moved to {moved_to}" if moved_to else ""
        return Harvested(
            target=target.text,
            record=combine(subject.base, found, self.zone),
            repository_id=facts.id,
            found=subject.found,
            moved_to=moved_to,
            archived=facts.archived,
            warnings=tuple(filter(None, [*subject.warnings, moved, doubt, missing])),
        )

    async def _participants(
        self, full_name: str, base: Record | None, ask: Visit
    ) -> tuple[list[str] | None, str]:
        """Return the logins in the host's order, each once; None and a warning where it cannot list them."""
        logins: dict[str, None] = {}
        page = await ask(self.github.contributors(full_name))
        for _ in range(CONTRIBUTOR_PAGES):
            if page is None:
                kept = "the base record's" if base and base.participants is not None else "unknown"
                return None, f"GitHub cannot list so many contributors; participants are {kept}"
            logins.update(dict.fromkeys(page.logins))
            if page.next_url is None:
                break
            page = await ask(self.github.more_contributors(full_name, page.next_url))
        return list(logins), ""


async def in_order(
    items: Iterable[T], work: Callable[[T], Coroutine[None, None, R]], *, ahead: int
) -> AsyncGenerator[R]:
    """Yield what the work makes of each item, in the order of the items, some of them worked on at once."""
    tasks: deque[asyncio.Task[R]] = deque()
    try:
        for item in items:
            tasks.append(asyncio.create_task(work(item)))
            if len(tasks) > ahead:
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def once(targets: Iterable[Target | Failure]) -> Iterator[Target | Failure | Skipped]:
    """Yield the targets, in place of those that name a package again a note."""
    seen: dict[str, str] = {}
    for target in targets:
        if isinstance(target, Failure) or target.key not in seen:
            yield target
            if not isinstance(target, Failure):
                seen[target.key] = target.text
        else:
            yield Skipped(target.text, None, _same_as(seen[target.key]))


def _distinct(result: Harvested, written: dict[str, tuple[str, int]]) -> Result:
    """Return the result, unless a record of that slug has been written, of this package or another."""
    if result.slug not in written:
        written[result.slug] = (result.target, result.repository_id)
        return result
    first, repository_id = written[result.slug]
    if repository_id == result.repository_id:
        return Skipped(result.target, result.slug, _same_as(first))
    message = f"its slug {result.slug!r} is that of {first}, which is another repository"
    return Failure(result.target, result.slug, TargetError(message, "Harvest them apart"))


def _same_as(text: str) -> str:
    return f"the same package as {text}"


def _failure(target: Target, error: PkgharvestError) -> Failure:
    return Failure(target.text, None if isinstance(target, CatalogTarget) else target.slug, error)


def _repository(facts: Facts, host: str) -> Repository:
    owner, _, name = facts.full_name.partition("/")
    return Repository(owner, name, host)
