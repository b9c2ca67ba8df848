"""What comes out of a harvest for a target: a record, a failure, or nothing because none is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pkgharvest.errors import PkgharvestError
from pkgharvest.net.message import Cost
from pkgharvest.record import Record


@dataclass(frozen=True, slots=True)
class Lead:
    """What led to a repository."""

    rule: str
    """``target``, ``base record`` or ``catalog``; for a URL on PyPI ``source``, ``homepage`` or ``other``."""
    label: str = ""
    """The label of that URL, as the project wrote it."""

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.rule}: {self.label}" if self.label else self.rule


@dataclass(frozen=True, slots=True)
class Harvested:
    """A target that gave a record."""

    target: str
    """What was asked for, credentials left out."""
    record: Record
    repository_id: int
    """The host's own number of the repository, which outlives its names."""
    found: Lead
    """How the repository was found."""
    moved_to: str | None
    """Where the repository is now, if that is not where it was looked for."""
    archived: bool
    warnings: tuple[str, ...]
    released: datetime | None = None
    """When the version was released; None if PyPI does not say."""
    base: Record | None = None
    """The earlier record that this one starts from."""
    place: str = ""
    """Where the target was read, as ``file:line`` or ``file``; empty for the command line."""
    cost: Cost = field(default_factory=Cost)
    """What was asked for this package; a query for many packages is counted with the first of them."""

    @property
    def slug(self) -> str:
        """The record's slug."""
        return self.record.slug


@dataclass(frozen=True, slots=True)
class Failure:
    """A target that gave no record."""

    target: str
    """What was asked for, credentials left out."""
    slug: str | None
    """The slug, as far as the target tells."""
    error: PkgharvestError
    place: str = ""
    """Where the target was read, as ``file:line`` or ``file``; empty for the command line."""
    cost: Cost = field(default_factory=Cost)
    """What was asked for it all the same."""

    @property
    def reason(self) -> str:
        """A word for programs."""
        return self.error.reason

    @property
    def retryable(self) -> bool:
        """Whether trying again later may help."""
        return self.error.retryable


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target for which nothing was asked: none is needed."""

    target: str
    slug: str | None
    reason: Literal["duplicate", "fresh"]
    """``duplicate``: another target is the same package. ``fresh``: its record is young enough."""
    message: str
    """The same for people."""
    record: Record | None = None
    """The record that is young enough."""
    place: str = ""
    """Where the target was read, as ``file:line`` or ``file``; empty for the command line."""
    cost: Cost = field(default_factory=Cost)
    """What was asked before it turned out to be a duplicate."""


Result = Harvested | Failure | Skipped
