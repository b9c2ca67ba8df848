"""A history put together from slices of time, for repositories with some hundred commits in the window."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from pkgharvest.sources.github import PAGE, Reading
from pkgharvest.sources.graphql import Part, Slice
from pkgharvest.targets import Repository

MOMENT = timedelta(minutes=5)
"""What is not split: imports and rebases write hundreds of commits in a moment."""
READ_ON = 4
"""Pages up to which a slice is read on: most of what is too full is a burst, which no split spreads."""
FILLED = 60
"""Commits that a slice is made for. It holds a hundred, but commits come in bursts."""


class History:
    """A repository's commits of the window in the making, from slices of it."""

    def __init__(self, reading: Reading) -> None:
        """Take what is there: the newest hundred commits, and how many there are."""
        page = reading.page
        self._reading = reading
        self._repository = Repository.named(reading.facts.full_name)
        self._commits = dict.fromkeys(page.commits)
        self._is_whole = True
        self.missing: list[Slice] = []
        """The slices that are still to be asked for."""
        oldest = min((commit.committed for commit in page.commits if commit.committed), default=None)
        since = page.since
        if oldest is None or since is None:
            self.give_up()
        else:
            self._split(Slice(self._repository, since, oldest), len(page.commits) * ((page.pages or 1) - 1))

    def add(self, part: Slice, found: Part | None) -> None:
        """Take in what came of a slice; one with many more commits is split, one with a few more read on."""
        if part not in self.missing:
            return
        self.missing.remove(part)
        if found is None:
            self.give_up()
            return
        self._commits |= dict.fromkeys(found.commits)
        if found.after is None:
            return
        if part.after is None and found.count > READ_ON * PAGE and part.until - part.since > MOMENT:
            self._split(part, found.count)
        else:
            self.missing.append(replace(part, after=found.after))

    def give_up(self) -> None:
        """Leave the reading as it was."""
        self.missing = []
        self._commits = dict.fromkeys(self._reading.page.commits)
        self._is_whole = False

    def reading(self) -> Reading:
        """Return the reading with all commits, or as it was."""
        # Dates that are out of order hide commits from slices of time.
        count = self._reading.page.count
        if self.missing or not self._is_whole or count not in (None, len(self._commits)):
            return self._reading
        page = replace(self._reading.page, commits=tuple(self._commits), next_url=None, pages=1)
        return replace(self._reading, page=page)

    def _split(self, part: Slice, count: int) -> None:
        parts = math.ceil(count / FILLED) if part.until - part.since > MOMENT else 1
        step = (part.until - part.since) / parts
        ends = [part.since + step * number for number in range(parts)] + [part.until]
        self.missing += [Slice(self._repository, *pair) for pair in pairwise(ends)]
