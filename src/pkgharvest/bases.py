"""Base records: earlier records, found by what a target tells of its package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from pkgharvest.record import Record
from pkgharvest.targets import (
    CatalogTarget,
    Hosts,
    PackageTarget,
    Target,
    parse_project,
    parse_repository,
)


class Bases(Protocol):
    """Where earlier records are found."""

    def of(self, target: Target, /) -> Record | None:
        """Return the record of the target's package, None if there is none.

        Raises:
            PkgharvestError: what is there is of no use, and the target is better left alone.
        """
        ...

    def of_slug(self, slug: str, /) -> Record | None:
        """Return the record of a slug, None if there is none; raises as `of` does."""
        ...

    def slugs(self) -> Iterable[str]:
        """Return the slugs of all records."""
        ...


class HeldRecords:
    """Earlier records in memory; of two that are alike the later one counts."""

    def __init__(self, records: Iterable[Record], hosts: Hosts) -> None:
        """Take the records, and the hosts by which their repositories are told."""
        self._records: dict[str, Record] = {}
        for record in records:
            for key in keys_of_record(record, hosts):
                self._records[key] = record

    def of(self, target: Target) -> Record | None:
        """Return the record of the target's package; see `Bases`."""
        return next((self._records[key] for key in keys_of_target(target) if key in self._records), None)

    def of_slug(self, slug: str) -> Record | None:
        """Return the record of a slug; see `Bases`."""
        return self._records.get(slug_key(slug))

    def slugs(self) -> list[str]:
        """Return the slugs of all records; see `Bases`."""
        return [record.slug for key, record in self._records.items() if key == slug_key(record.slug)]


class Layers:
    """Several places for earlier records; the first that has one counts."""

    def __init__(self, places: Sequence[Bases]) -> None:
        """Take the places."""
        self._places = places

    def of(self, target: Target) -> Record | None:
        """Return the record of the target's package; see `Bases`."""
        return next(filter(None, (place.of(target) for place in self._places)), None)

    def of_slug(self, slug: str) -> Record | None:
        """Return the record of a slug; see `Bases`."""
        return next(filter(None, (place.of_slug(slug) for place in self._places)), None)

    def slugs(self) -> Iterator[str]:
        """Return the slugs of all records; see `Bases`."""
        return chain.from_iterable(place.slugs() for place in self._places)


def slug_key(slug: str) -> str:
    """Return the key of a slug."""
    return f"slug:{slug}"


def keys_of_target(target: Target) -> list[str]:
    """Return the keys that the record of a target's package may have, the likeliest first."""
    match target:
        case PackageTarget():
            return [slug_key(target.slug), f"project:{target.project}"]
        case CatalogTarget():
            return [f"number:{target.number}"]
        case _:
            return [f"repository:{target.repository.key}"]


def keys_of_record(record: Record, hosts: Hosts) -> Iterator[str]:
    """Yield all keys by which a record is found."""
    yield slug_key(record.slug)
    if project := parse_project(record.pypi_url):
        yield f"project:{project}"
    if record.id is not None:
        yield f"number:{record.id}"
    if repository := parse_repository(record.repo_url, hosts):
        yield f"repository:{repository.key}"
