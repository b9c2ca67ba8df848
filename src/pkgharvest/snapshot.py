"""The folder of records: one ``<slug>.json`` per package, read as base records, replaced one by one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pkgharvest.bases import keys_of_record, keys_of_target, slug_key
from pkgharvest.errors import OccupiedError, OutputError, SettingError
from pkgharvest.files import replacing, sweep
from pkgharvest.lock import locked
from pkgharvest.output import Status
from pkgharvest.record import (
    Record,
    RecordError,
    decode_record,
    decode_records,
    encode_api,
    encode_line,
    fetched_at,
)
from pkgharvest.targets import CatalogTarget, Hosts, PackageTarget, Target

LOCK = ".pkgharvest.lock"
"""The file that stands for the lock of a folder, while a run works on it."""
_ENDING = ".json"


class Folder:
    """The records of a folder, found as `pkgharvest.bases.Bases` are.

    A record is read when it is asked for. Where its name alone does not lead to it, all files are
    read once, and their keys are kept.
    """

    def __init__(self, path: Path, hosts: Hosts) -> None:
        """Take the folder, and the hosts by which repositories are told.

        Raises:
            OutputError: it cannot be read, or is no folder.
        """
        self.path = path
        self._hosts = hosts
        self._names = _names(path)
        self._by_key: dict[str, str] | None = None

    def of(self, target: Target) -> Record | None:
        """Return the record of the target's package; see `Bases`.

        Raises:
            OccupiedError: the file that has the record's name holds no record, or cannot be read.
        """
        name = self.name_of(target.slug) if isinstance(target, PackageTarget) else None
        if name is None:
            names = (self._keys.get(key) for key in keys_of_target(target))
            name = next(filter(None, names), None)
        return self.read(name) if name else None

    def of_slug(self, slug: str) -> Record | None:
        """Return the record of a slug; see `Bases`, raises as `of` does."""
        name = self.name_of(slug)
        return self.read(name) if name else None

    def name_of(self, slug: str) -> str | None:
        """Return the name of the file of a slug, in whatever case it is written; None if there is none."""
        return self._names.get(slug.casefold())

    def slugs(self) -> list[str]:
        """Return the slugs that files are named for, sorted."""
        return sorted(name.removesuffix(_ENDING) for name in self._names.values())

    def read(self, name: str) -> Record | None:
        """Return the record in a file, None if the file is gone.

        Raises:
            OccupiedError: it holds something else, or cannot be read.
        """
        path = self.path / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise OccupiedError(f"{path} is no file", "Move it out of the way")
            record = decode_record(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OccupiedError(f"{path} cannot be read: {error.strerror}", _FORCE) from error
        except RecordError as error:
            raise OccupiedError(f"{path} holds no record: {error}", _FORCE) from error
        if record.slug.casefold() != name.removesuffix(_ENDING).casefold():
            raise OccupiedError(f"{path} holds the record of {record.slug!r}", _FORCE)
        return record

    @property
    def _keys(self) -> dict[str, str]:
        if self._by_key is None:
            self._by_key = {}
            for name in self._names.values():
                try:
                    record = self.read(name)
                except OccupiedError:  # told to those who want this file
                    continue
                for key in keys_of_record(record, self._hosts) if record else ():
                    self._by_key[key] = name
        return self._by_key


_FORCE = "Mend or remove it, or overwrite it with --force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What may be done to the files of a folder."""

    only_changed: bool = False
    """Leave a file alone, bytes and time, if nothing but ``last_fetched`` would change."""
    force: bool = False
    """Overwrite what is no record of the package."""


class Snapshot(Folder):
    """A folder that is kept up to date: base records, and documents in the sense of `output.Documents`."""

    def __init__(self, path: Path, hosts: Hosts, manners: Manners) -> None:
        """Take the folder, the hosts, and what may be done."""
        super().__init__(path, hosts)
        self._manners = manners

    def of(self, target: Target) -> Record | None:
        """Return the record of the target's package; see `Bases`.

        Raises:
            OccupiedError: its file is not to be overwritten, so that there is no need to ask.
        """
        try:
            record = super().of(target)
        except OccupiedError:
            if not self._manners.force:
                raise
            record = None
        if record is not None:
            self._check(record.slug)
        elif not isinstance(target, CatalogTarget):
            self._check(target.slug)
        return record

    def of_slug(self, slug: str) -> Record | None:
        """Return the record of a slug; see `Bases`, raises as `of` does."""
        try:
            return super().of_slug(slug)
        except OccupiedError:
            if self._manners.force:
                return None
            raise

    def add(self, record: Record, base: Record | None = None) -> Status:
        """Put a record in place; see `output.Documents`.

        Raises:
            OccupiedError: what is there is not to be overwritten; other records can be written.
            OutputError: it cannot be written, and others neither.
        """
        path = self.path / f"{record.slug}{_ENDING}"
        self._check(record.slug)
        old = self.of_slug(record.slug)
        if old is not None and not self._manners.force and not self._is_same(old, base):
            raise OccupiedError(f"{path} holds another package, of {old.repo_url}", _FORCE)
        if old is not None and self._manners.only_changed and _is_alike(old, record):
            return "unchanged"
        with replacing(path, swept=True) as file:
            file.write(encode_api(record))
        self._names[record.slug.casefold()] = path.name
        return "ok"

    def keep(self, record: Record) -> None:
        """Put a record in place that is young enough, unless that is where it comes from."""
        if self.of_slug(record.slug) is None:
            self.add(record)

    def finish(self) -> None:
        """Do nothing: all is written."""

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _check(self, slug: str) -> None:
        """Make sure that the file of a slug can be replaced, as far as that can be known.

        Raises:
            OccupiedError: it cannot.
        """
        path = self.path / f"{slug}{_ENDING}"
        name = self.name_of(slug)
        if name not in (None, path.name):
            raise OccupiedError(f"{path} and {name} differ by case alone", "Some file systems ignore case")
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            if path.is_symlink():
                raise OccupiedError(f"{path} is a link to nothing", "Move it out of the way") from error
            return
        except OSError as error:
            raise OccupiedError(f"{path} cannot be written: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            raise OccupiedError(f"{path} is no file", "Move it out of the way")
        if not os.access(path, os.W_OK):
            raise OccupiedError(f"{path} is read-only", "Make it writable, or remove it")

    def _is_same(self, old: Record, base: Record | None) -> bool:
        """Tell whether a file's record and the base are of one package; the base may come from elsewhere."""
        if base is None:
            return False
        keys = set(keys_of_record(old, self._hosts)) - {slug_key(old.slug)}
        return old.repo_url == base.repo_url or not keys.isdisjoint(keys_of_record(base, self._hosts))


def _is_alike(old: Record, new: Record) -> bool:
    """Tell whether records differ in nothing but the moment of the harvest; the zone of times counts."""
    return encode_line(old) == encode_line(fetched_at(new, old.last_fetched))


@contextmanager
def snapshot(path: Path, hosts: Hosts, manners: Manners) -> Iterator[Snapshot]:
    """Yield a folder that is kept up to date; it is made if need be, and locked while it is worked on.

    Temporary files of runs that were killed are removed.

    Raises:
        BusyError: another run works on it.
        OutputError: it cannot be written, or is no folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path} is no folder") from error
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made: {error.strerror}") from error
    with locked(path / LOCK):
        sweep(path)
        yield Snapshot(path, hosts, manners)


def read_records(path: Path, called: str, advice: str) -> list[Record]:
    """Return the records of a file, in any form.

    Args:
        path: of the file.
        called: what a message is to call it where it cannot be read.
        advice: what to do then.

    Raises:
        SettingError: it cannot be read, or holds something else.
    """
    try:
        return list(decode_records(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingError(f"{called} cannot be read: {error.strerror}", advice) from error
    except (RecordError, UnicodeDecodeError) as error:
        message = f"{path} holds what is not a record: {error}"
        raise SettingError(message, "Mend the record, or name another file") from error


def _names(path: Path) -> dict[str, str]:
    """Return the names of the files of records, by their slugs in lower case."""
    names: dict[str, str] = {}
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                slug = entry.name.removesuffix(_ENDING)
                if slug != entry.name and slug.isascii() and not entry.name.startswith("."):
                    names[slug.casefold()] = entry.name
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be read: {error.strerror}") from error
    return names
