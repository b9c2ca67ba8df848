"""Base records: earlier records, found by what a target tells of its package."""

from __future__ import annotations

from collections.abc import Iterable

from pkgharvest.record import Record
from pkgharvest.targets import (
    CatalogTarget,
    Hosts,
    PackageTarget,
    Target,
    parse_project,
    parse_repository,
)


class Bases:
    """Earlier records in memory; of two that are alike the later one counts."""

    def __init__(self, records: Iterable[Record], hosts: Hosts) -> None:
        """Take the records, and the hosts by which their repositories are told."""
        self._records: dict[str, Record] = {}
        for record in records:
            for key in _keys(record, hosts):
                self._records[key] = record

    def of(self, target: Target) -> Record | None:
        """Return the record of the target's package, None if there is none."""
        match target:
            case PackageTarget():
                keys = [f"slug:{target.slug}", f"project:{target.project}"]
            case CatalogTarget():
                keys = [f"number:{target.number}"]
            case _:
                keys = [f"repository:{target.repository.key}"]
        return next((self._records[key] for key in keys if key in self._records), None)

    def of_slug(self, slug: str) -> Record | None:
        """Return the record of a slug, None if there is none."""
        return self._records.get(f"slug:{slug}")


def _keys(record: Record, hosts: Hosts) -> Iterable[str]:
    yield f"slug:{record.slug}"
    if project := parse_project(record.pypi_url):
        yield f"project:{project}"
    if record.id is not None:
        yield f"number:{record.id}"
    if repository := parse_repository(record.repo_url, hosts):
        yield f"repository:{repository.key}"
