"""The record: one package in the JSON shape of the Django Packages API v4, and its text forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Annotated, Any

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time with its offset from UTC."""


Slug = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,200}\Z")]
"""The package's name in the catalog; also the name of its file, hence the narrow alphabet."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One package, with the API's field names, in the API's order.

    None in a field of the catalog (``category`` to ``id``, ``created``, ``modified``) means that
    no base record was there to give it.
    """

    category: str | None
    """URL of the category in the catalog."""
    grids: list[str]
    """URLs of the grids in the catalog that compare the package."""
    id: int | None
    """Number of the package in the catalog."""
    title: str
    slug: Slug
    last_updated: Moment | None
    """Committer date of the newest commit of the default branch; None for an empty repository."""
    last_fetched: Moment | None
    """When the last answer of the harvest arrived; None if the catalog never fetched it."""
    repo_url: str
    pypi_version: str | None
    """The version that PyPI shows; None if the package is not on PyPI."""
    created: Moment | None
    """When the catalog's entry was made."""
    modified: Moment | None
    """When the catalog's entry was last edited."""
    repo_forks: int
    repo_description: str
    pypi_url: str
    """Address of the project on PyPI; empty if the package is not on PyPI."""
    documentation_url: str | None
    """Empty if the project names none; None if the catalog says so and PyPI names none."""
    repo_watchers: int
    """Stars: the API calls them watchers."""
    commits_over_52: list[int]
    """Commits of the last 52 weeks by author date, oldest week first."""
    participants: list[str] | None
    """Logins, those with most commits first; None if the host cannot list them and no base record could."""


PYPI_URL = "http://pypi.python.org/pypi/{}"
"""The form that the API's records bear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a harvest found out about a package, whatever the services call it."""

    slug: str
    fetched: datetime
    repository_name: str
    repository_url: str
    forks: int
    stars: int
    description: str
    commits_over_52: list[int]
    last_commit: datetime | None
    """Committer date of the newest commit; None for an empty repository."""
    participants: list[str] | None
    """None if the host cannot list them."""
    project: str | None = None
    """Normalised name on PyPI; None if PyPI does not say."""
    project_title: str | None = None
    version: str | None = None
    documentation_url: str | None = None


def combine(base: Record | None, found: Findings, zone: tzinfo) -> Record:
    """Return the record of what was found, on top of an earlier record of the package.

    The base gives what only the catalog knows and what it has decided (title, addresses); of what a
    harvest finds it gives only what no source could say.
    """
    start = base or _NOTHING
    project = found.project
    last_commit = found.last_commit.replace(microsecond=0) if found.last_commit else start.last_updated
    return Record(
        category=start.category,
        grids=start.grids,
        id=start.id,
        title=start.title or found.project_title or found.repository_name,
        slug=start.slug or found.slug,
        last_updated=_in_zone(last_commit, zone) if last_commit else None,
        last_fetched=_in_zone(found.fetched, zone),
        repo_url=start.repo_url or found.repository_url,
        pypi_version=found.version or start.pypi_version,
        created=start.created,
        modified=start.modified,
        repo_forks=found.forks,
        repo_description=found.description,
        pypi_url=start.pypi_url or (PYPI_URL.format(project) if project else ""),
        documentation_url=found.documentation_url or start.documentation_url,
        repo_watchers=found.stars,
        commits_over_52=found.commits_over_52,
        participants=start.participants if found.participants is None else found.participants,
    )


def fetched_at(record: Record, moment: datetime | None) -> Record:
    """Return the record as if it had been fetched at another moment."""
    return msgspec.structs.replace(record, last_fetched=moment)


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return the moment with the offset that the zone has then, as it is read again.

    With the zone itself, a time of the hour that comes twice in autumn equals none that is read.
    """
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # at the ends of the calendar, which broken clocks do write
        return moment
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()), fold=0)


_NOTHING = Record(
    category=None,
    grids=[],
    id=None,
    title="",
    slug="",
    last_updated=None,
    last_fetched=None,
    repo_url="",
    pypi_version=None,
    created=None,
    modified=None,
    repo_forks=0,
    repo_description="",
    pypi_url="",
    documentation_url="",
    repo_watchers=0,
    commits_over_52=[],
    participants=None,
)


class RecordError(ValueError):
    """A text is not a record, or not a list of records."""


def decode_record(text: bytes) -> Record:
    """Return the record that a JSON object is; unknown fields are left out.

    Raises:
        RecordError: the text is no JSON or has another shape.
    """
    try:
        return msgspec.json.decode(text, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(str(error)) from error


def decode_records(text: str) -> Iterator[Record]:
    """Yield the records of a text in any form that the command or the API writes.

    That is: one record or several one after the other (``json``), one a line (``jsonl``), the list
    envelope with ``results`` (``list``), or a JSON list.

    Raises:
        RecordError: something in the text is no JSON or no record; the message tells where.
    """
    decoder = json.JSONDecoder()
    end = 0
    while (start := _skip_space(text, end)) < len(text):
        try:
            _, end = decoder.raw_decode(text, start)
            # msgspec refuses what json lets pass: NaN, halves of surrogate pairs.
            value = msgspec.json.decode(text[start:end])
            yield from msgspec.convert(_listed(value), list[Record])
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            line = text.count("\n", 0, start) + 1
            raise RecordError(f"line {line}: {error}") from error


def _skip_space(text: str, index: int) -> int:
    while index < len(text) and text[index].isspace():
        index += 1
    return index


def _listed(value: Any) -> Any:  # noqa: ANN401  JSON before it is known to be a record
    if isinstance(value, dict) and "results" in value:
        return value["results"]
    return value if isinstance(value, list) else [value]


def encode_api(record: Record) -> bytes:
    """Return the record as the API shows it: UTF-8, four spaces of indentation, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(record), indent=4) + b"\n"


def encode_line(record: Record) -> bytes:
    """Return the record on one line, the newline included."""
    return msgspec.json.encode(record) + b"\n"
