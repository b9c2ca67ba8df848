"""A repository's commits of the window, from the list of commits or from GitHub's own statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from pkgharvest.errors import (
    ENDINGS,
    MalformedError,
    NotReadyError,
    OverloadedError,
    UpstreamError,
)
from pkgharvest.net.message import Request
from pkgharvest.sources.github import Commit, CommitPage
from pkgharvest.visit import Visit
from pkgharvest.weeks import weekly_counts, window

PAGES_COUNTED = 3
"""Pages of commits beyond which GitHub's own statistics are asked instead."""
PAGES_AT_MOST = 100
"""Pages of commits beyond which counting is given up: 10,000 commits in the window."""

SKEWED = 5
"""Commits in a row that must be older than the window before the list counts as read to its start.
A single one may bear a wrong date; git's own ``--since`` looks as far beyond one."""


class CommitSource(Protocol):
    """What builds the requests for a repository's commits."""

    def more_commits(self, full_name: str, url: str, /) -> Request[CommitPage]:
        """Ask for a further page of commits."""
        ...

    def participation(self, full_name: str, /) -> Request[list[int]]:
        """Ask for GitHub's own counts."""
        ...


CountsAt = Callable[[datetime], list[int]]
"""The 52 counts, oldest first, of the window at a moment."""


async def commits_over_52(source: CommitSource, full_name: str, page: CommitPage, ask: Visit) -> CountsAt:
    """Return the counts of the default branch, reading on from the first page as far as needed.

    The list is in the order of committer dates, and an author date is normally not later: a list
    that is read back to the window's start by committer date holds every author date in it. The
    commits that were read are counted, whatever the order of their dates.

    Args:
        source: builds the requests.
        full_name: ``owner/name`` of the repository.
        page: the newest commits.
        ask: fetches.

    Raises:
        UpstreamError: a further page could not be had; MalformedError where the pages lead in a circle;
            NotReadyError where there are more commits than can be counted and GitHub has not computed
            its statistics.
    """
    commits = list(page.commits)
    read, asked = 1, False
    addresses: set[str] = set()
    while page.next_url and not _covers(page.commits, window(ask.latest)[0]):
        needed = page.pages if page.since else _pages_needed(commits, read, page.pages, ask.latest)
        if not asked and (needed or 0) > PAGES_COUNTED:
            asked = True
            counts = await _participation(source, full_name, ask)
            if counts is not None:
                return _always(counts)
        if page.next_url in addresses:
            raise MalformedError(f"the pages of the commits of {full_name} lead in a circle")
        addresses.add(page.next_url)
        if read == PAGES_AT_MOST:
            message = f"{full_name} has more than {len(commits)} commits in the last 52 weeks to count"
            raise NotReadyError(f"{message}, and GitHub's statistics are not ready", "Try again later")
        try:
            page = await ask(source.more_commits(full_name, page.next_url))
        except OverloadedError:
            told = None if asked else await _participation(source, full_name, ask)
            if told is None:
                raise
            return _always(told)
        commits += page.commits
        read += 1
    # A push between two pages shifts commits to the next one: each counts once.
    dates = {commit.sha: commit.authored for commit in commits}
    return lambda moment: weekly_counts(filter(None, dates.values()), moment)


def _always(counts: list[int]) -> CountsAt:
    return lambda _: counts


async def _participation(source: CommitSource, full_name: str, ask: Visit) -> list[int] | None:
    """Return GitHub's own counts, None if it has none to give: they are a short cut, and counting goes on."""
    try:
        return await ask(source.participation(full_name))
    except ENDINGS:
        raise
    except UpstreamError:
        return None


def last_commit(page: CommitPage) -> datetime | None:
    """Return the committer date of the newest commit, None for an empty repository.

    Raises:
        MalformedError: the newest commit bears no date.
    """
    if not page.commits:
        return None
    committed = page.commits[0].committed
    if committed is None:
        raise MalformedError("the newest commit bears no date")
    return committed


def _covers(commits: Sequence[Commit], start: datetime) -> bool:
    """Tell whether a page reaches beyond the start of the window, by committer date."""
    return all(commit.committed and commit.committed < start for commit in commits[-SKEWED:])


def _pages_needed(commits: Sequence[Commit], read: int, pages: int | None, now: datetime) -> float:
    """Guess how many pages reach back to the window's start, from how far the pages read so far reach."""
    start = window(now)[0]
    oldest = min((commit.committed for commit in commits if commit.committed), default=now)
    reached = (now - max(oldest, start)) / (now - start)
    needed = math.ceil(read / reached) if reached > 0 else math.inf
    return min(max(needed, read + 1), pages or math.inf)
