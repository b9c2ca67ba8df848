"""The harvest: targets in, results out. Knows the network only as a `Fetch`.

Not named ``harvest``: a module of that name would hide the function that the package offers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from pkgharvest.commits import commits_over_52
from pkgharvest.durations import in_words
from pkgharvest.errors import DownError, NotFoundError, PkgharvestError, StoppedError, TargetError
from pkgharvest.listing import Listed, Listing
from pkgharvest.net.message import Cost, Fetch
from pkgharvest.order import in_groups, in_order, one_by_one
from pkgharvest.reading import Reader
from pkgharvest.record import Findings, Record, combine
from pkgharvest.resolve import Resolver, Subject
from pkgharvest.results import Failure, Harvested, Result, Skipped
from pkgharvest.sources.github import GitHub, Reading
from pkgharvest.sources.pypi import documentation_of
from pkgharvest.targets import CatalogTarget, CollectionTarget, Named, Repository, Target
from pkgharvest.visit import Ending, Visit

T = TypeVar("T")

Package = Target | Listed
"""One package that is to be harvested."""

CONTRIBUTOR_PAGES = 20
"""Pages of contributors that are read at most. GitHub links the first 500 addresses to logins: five pages."""


SUGGESTIONS = 20
"""How often in a run a name is looked for that was perhaps meant: in long lists it is not a typing error."""


@dataclass(slots=True)
class Allowance:
    """A number of times."""

    left: int

    def is_spent(self) -> bool:
        """Take one; tell whether there was none left."""
        self.left -= 1
        return self.left < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvester:
    """The rules by which targets become records."""

    fetch: Fetch
    resolver: Resolver
    github: GitHub
    reader: Reader
    listing: Listing
    zone: tzinfo
    """The time zone that the record's times are written in."""
    refresh: bool = False
    """Whether participants are asked for though nothing has been committed since the base record."""
    suggestions: Allowance = field(default_factory=lambda: Allowance(SUGGESTIONS))
    """How often a name is looked for that was perhaps meant."""
    max_age: timedelta | None = None
    """How old a base record may be so that its package is skipped; None if none is."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The time, by which that is told."""

    async def all(
        self,
        targets: Iterable[Named | Failure] | AsyncIterable[Named | Failure],
        *,
        ahead: int,
        ending: Ending,
    ) -> AsyncGenerator[Result]:
        """Yield a result for each target, in their order, as soon as it and those before it are done.

        Two targets that turn out to be one package give one record. A refused token, a rate limit that
        outlasts the run's patience or a code host that is down ends it: what is left fails with that
        error, and is not asked.
        Where the run is stopped, the targets that have been taken come out, and no further ones are.

        Args:
            targets: what to harvest, taken as there is room; failures among them are passed on.
            ahead: how many batches are worked on beyond the one that is next to come out.
            ending: what can end the run.
        """
        written: dict[str, _Origin] = {}

        async def work(group: list[Package | Failure | Skipped]) -> list[Result]:
            return await self._group(group, ending)

        groups = in_groups(self._due(targets, ending), self.reader.batch, counts=_is_target)
        async with aclosing(in_order(groups, work, ahead=ahead)) as batches:
            async for results in batches:
                for result in results:
                    yield _distinct(result, written)

    async def batch(self, targets: Sequence[Package], ending: Ending) -> list[Harvested | Failure]:
        """Return the record of each target, or why there is none."""
        visits = [Visit(self.fetch, ending) for _ in targets]
        subjects = await _all(map(self.resolver.subject, targets, visits))
        known = [(number, subject) for number, subject in enumerate(subjects) if isinstance(subject, Subject)]
        readings = await self.reader.read(
            [subject.repository for _, subject in known], [visits[number] for number, _ in known]
        )
        for reading in readings:
            if isinstance(reading, DownError):  # no record can be without the code host
                ending.note(reading)
        steps = [
            self._finish(targets[number], subject, reading, visits[number])
            for (number, subject), reading in zip(known, readings, strict=True)
        ]
        finished = dict(zip((number for number, _ in known), await _all(steps), strict=True))
        outcomes = [finished.get(number, subject) for number, subject in enumerate(subjects)]
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, NotFoundError):
                outcomes[number] = await self._advised(outcome, targets[number], visits[number])
        return [
            outcome if isinstance(outcome, Harvested) else _failure(target, outcome, visit.cost)
            for target, outcome, visit in zip(targets, outcomes, visits, strict=True)
        ]

    async def _due(
        self, targets: Iterable[Named | Failure] | AsyncIterable[Named | Failure], ending: Ending
    ) -> AsyncGenerator[Package | Failure | Skipped]:
        """Yield the targets, with a note or a failure in the place of each that is not to be asked for."""
        seen: dict[str, str] = {}
        async with aclosing(self._packages(targets, ending)) as source:
            while not ending.is_stopped:
                try:
                    item = _once(await ending.until(anext(source)), seen)
                except (StopAsyncIteration, StoppedError):
                    return
                yield item if isinstance(item, Failure | Skipped) else self._unless_fresh(item)

    async def _packages(
        self, targets: Iterable[Named | Failure] | AsyncIterable[Named | Failure], ending: Ending
    ) -> AsyncGenerator[Package | Failure]:
        """Yield the targets, with its packages in the place of each that stands for several."""
        async with aclosing(one_by_one(targets)) as named:
            async for target in named:
                if not isinstance(target, CollectionTarget):
                    yield target
                    continue
                try:
                    async with aclosing(self.listing.packages(target, self.fetch, ending)) as packages:
                        async for package in packages:
                            yield package
                except PkgharvestError as error:
                    yield Failure(target.text, None, error, target.place)

    def _unless_fresh(self, target: Package) -> Package | Failure | Skipped:
        """Return the target, a note if its record is young enough, or what speaks against asking for it."""
        try:
            base = self.resolver.bases.of(target.target if isinstance(target, Listed) else target)
        except PkgharvestError as error:
            return _failure(target, error)
        now = self.now()
        if base is None or self.max_age is None or not is_fresh(base, self.max_age, now):
            return target
        age = in_words(now - base.last_fetched) if base.last_fetched else ""
        return Skipped(target.text, base.slug, "fresh", f"fetched {age} ago", base, target.place)

    async def _group(self, group: list[Package | Failure | Skipped], ending: Ending) -> list[Result]:
        """Harvest the targets of a group; what is decided already stays in its place."""
        targets = [item for item in group if not isinstance(item, Failure | Skipped)]
        harvested = iter(await self.batch(targets, ending) if targets else [])
        return [item if isinstance(item, Failure | Skipped) else next(harvested) for item in group]

    async def _advised(self, error: NotFoundError, target: Package, ask: Visit) -> NotFoundError:
        """Return the error, with the name that was perhaps meant."""
        if self.suggestions.is_spent():
            return error
        name = await self.resolver.suggested(target, ask)
        return NotFoundError(error.message, f"Did you mean {name}?") if name else error

    async def _finish(
        self, target: Package, subject: Subject, reading: Reading | PkgharvestError, ask: Visit
    ) -> Harvested:
        """Return the record of a package whose repository has been read."""
        if not isinstance(reading, Reading):
            raise reading
        facts = reading.facts
        present = Repository.named(facts.full_name, subject.repository.host)
        project, doubt = await self.resolver.project(subject, present, ask)
        counts_at = await commits_over_52(self.reader, facts.full_name, reading.page, ask)
        participants, missing = await self._participants(reading, subject.base, ask)
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
            last_commit=reading.last_commit,
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
            released=project.released if project else None,
            base=subject.base,
            place=target.place,
            cost=ask.cost,
        )

    async def _participants(
        self, reading: Reading, base: Record | None, ask: Visit
    ) -> tuple[list[str] | None, str]:
        """Return the logins in the host's order, each once; None and a warning where it cannot list them."""
        if reading.last_commit is None:
            return [], ""
        if base and not self.refresh and _is_newest(reading.last_commit, base):
            return base.participants, ""
        full_name = reading.facts.full_name
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


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a record came from, by which two of one slug are told apart."""

    target: str
    repository_id: int | None
    """None of an earlier record that was young enough: nobody was asked."""
    has_base: bool
    """Whether it is, or starts from, the earlier record of the slug."""

    def is_like(self, other: _Origin) -> bool:
        """Tell whether two records of one slug are of one package."""
        if self.repository_id is None or other.repository_id is None:
            return self.has_base and other.has_base
        return self.repository_id == other.repository_id


async def _all(steps: Iterable[Awaitable[T]]) -> list[T | PkgharvestError]:
    """Return what each step gives or the error that it met, all of them under way at once."""

    async def settled(step: Awaitable[T]) -> T | PkgharvestError:
        try:
            return await step
        except PkgharvestError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(settled(step)) for step in steps]
    return [task.result() for task in tasks]


def is_fresh(base: Record | None, max_age: timedelta, now: datetime) -> bool:
    """Tell whether a record is younger than an age; one from the future is not, as some clock is wrong."""
    if base is None or base.last_fetched is None:
        return False
    return timedelta() <= now - base.last_fetched < max_age


def _is_newest(commit: datetime, base: Record) -> bool:
    """Tell whether a commit is the newest one that the base record knows: then nobody has joined since."""
    return commit.replace(microsecond=0) == base.last_updated


def _is_target(item: Package | Failure | Skipped) -> bool:
    return not isinstance(item, Failure | Skipped)


def _once(target: Package | Failure, seen: dict[str, str]) -> Package | Failure | Skipped:
    """Return the target, or a note in place of one that names a package again."""
    if isinstance(target, Failure):
        return target
    if target.key in seen:
        note = _same_as(seen[target.key])
        return Skipped(target.text, None, "duplicate", note, place=target.place)
    seen[target.key] = target.text
    return target


def _distinct(result: Result, written: dict[str, _Origin]) -> Result:
    """Return the result, unless a record of that slug has come out, of this package or another."""
    match result:
        case Harvested():
            origin = _Origin(result.target, result.repository_id, has_base=result.base is not None)
            slug = result.slug
        case Skipped(record=Record() as record):
            origin, slug = _Origin(result.target, None, has_base=True), record.slug
        case _:
            return result
    first = written.setdefault(slug, origin)
    if first is origin:
        return result
    if first.is_like(origin):
        note = _same_as(first.target)
        return Skipped(result.target, slug, "duplicate", note, place=result.place, cost=result.cost)
    message = f"its slug {slug!r} is that of {first.target}, which is another repository"
    return Failure(result.target, slug, TargetError(message, "Harvest them apart"), result.place, result.cost)


def _same_as(text: str) -> str:
    return f"the same package as {text}"


def _failure(target: Package, error: object, cost: Cost | None = None) -> Failure:
    assert isinstance(error, PkgharvestError)  # noqa: S101  what gave no record gave its error
    slug = None if isinstance(target, CatalogTarget) else target.slug
    return Failure(target.text, slug, error, target.place, cost or Cost())
