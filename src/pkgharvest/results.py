"""What comes out of a harvest for a target: a record, a failure, or nothing because none is needed."""

from __future__ import annotations

from dataclasses import dataclass

from pkgharvest.errors import PkgharvestError
from pkgharvest.record import Record


@dataclass(frozen=True, slots=True)
class Harvested:
    """A target that gave a record."""

    target: str
    """What was asked for, credentials left out."""
    record: Record
    repository_id: int
    """The host's own number of the repository, which outlives its names."""
    found: str
    """How the repository was found: ``target``, ``base record``, ``catalog``, or rule and label of a URL."""
    moved_to: str | None
    """Where the repository is now, if that is not where it was looked for."""
    archived: bool
    warnings: tuple[str, ...]

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
    """A target that needs no record of its own."""

    target: str
    slug: str | None
    reason: str


Result = Harvested | Failure | Skipped
