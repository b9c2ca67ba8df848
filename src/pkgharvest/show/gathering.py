"""What is to be shown: records in files and folders, and those of a harvest with its warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pkgharvest.errors import OccupiedError, SettingError
from pkgharvest.output import Status
from pkgharvest.record import Record
from pkgharvest.results import Failure, Harvested, Result, Skipped
from pkgharvest.show.comparison import Shown
from pkgharvest.snapshot import Folder, read_records
from pkgharvest.targets import Hosts

OLD = timedelta(days=2 * 365)
"""How long ago a release may be without a warning."""


@dataclass(slots=True)
class Gathered:
    """Documents, in the sense of `pkgharvest.output`, that are kept to be shown."""

    shown: list[Shown] = field(default_factory=list)

    def take(self, result: Result) -> Result:
        """Keep a result, and return it with the warnings that concern those who look at it."""
        if isinstance(result, Harvested):
            result = replace(result, warnings=(*result.warnings, *_concerns(result)))
            return self._keep(Shown(result.record, result.warnings), result)
        if isinstance(result, Skipped) and result.record is not None:
            return self._keep(Shown(result.record), result)
        return result

    def take_read(self, shown: Shown) -> Skipped | None:
        """Keep what a file holds, or return a note if the package is there already."""
        slug = shown.record.slug
        result = self._keep(shown, Skipped(slug, slug, "fresh", "", shown.record))
        return result if isinstance(result, Skipped) and result.reason == "duplicate" else None

    def _keep(self, shown: Shown, result: Harvested | Skipped) -> Harvested | Skipped:
        slug = shown.record.slug
        if any(other.record.slug == slug for other in self.shown):
            return Skipped(result.target, slug, "duplicate", "the package is shown already")
        self.shown.append(shown)
        return result

    def add(self, _record: Record, _base: Record | None = None) -> Status:
        """Do nothing: `take` has it."""
        return "ok"

    def keep(self, _record: Record) -> None:
        """Do nothing: `take` has it."""

    def finish(self) -> None:
        """Do nothing: all is kept."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


def is_path(text: str) -> bool:
    """Tell whether an argument names a file or folder: by its form, as packages and folders share names."""
    return "://" not in text and (
        text.endswith(("/", ".json", ".jsonl")) or text.startswith(("./", "../", "/", "~"))
    )


def records_in(names: Sequence[str], hosts: Hosts) -> Iterator[Shown | Failure]:
    """Yield the records of files, in any form, and of folders; a file that holds none is a failure.

    Raises:
        SettingError: a name leads nowhere.
    """
    for name in names:
        try:
            path = Path(name).expanduser()
        except RuntimeError as error:
            raise SettingError(f"there is no user whose home {name!r} names") from error
        if path.is_dir():
            yield from _in_folder(path, hosts)
        else:
            yield from map(Shown, read_records(path, str(path), "Check the path"))


def _in_folder(path: Path, hosts: Hosts) -> Iterator[Shown | Failure]:
    folder = Folder(path, hosts)
    for slug in folder.slugs():
        try:
            record = folder.of_slug(slug)
        except OccupiedError as error:
            yield Failure(slug, slug, SettingError(error.message, "Mend it, or remove it"))
        else:
            if record is not None:
                yield Shown(record)


def _concerns(result: Harvested) -> Iterator[str]:
    if result.archived:
        yield "the repository is archived: nobody works on it"
    fetched = result.record.last_fetched
    if result.released and fetched and fetched - result.released > OLD:
        version, day = result.record.pypi_version, f"{result.released:%Y-%m-%d}"
        yield f"no release for two years: version {version} is of {day}"
