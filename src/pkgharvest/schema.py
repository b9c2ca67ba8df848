"""The JSON Schema of what the command writes: a record, the API's list of records, a line of a report.

The dialect is https://json-schema.org/draft/2020-12. Names, types and order come from the structs; what those
cannot say to a reader of JSON stands in tables here.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pkgharvest.record import Record
from pkgharvest.report import LastLine, TargetLine

Document = Literal["record", "list", "report"]
"""What there is a schema of; of a report it is one line."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class RecordList(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope that the API puts around a page of records."""

    count: int
    next: str | None
    previous: str | None
    results: list[Record]


_TYPES: dict[Document, tuple[type, ...]] = {
    "record": (Record,),
    "list": (RecordList,),
    "report": (TargetLine, LastLine),
}

_REPORT = "A line of a report: what came of a target, or, as the last line, what came of the run."

_DESCRIPTIONS = {
    "Record": "One package, as the Django Packages API v4 shows it. Further fields may come.",
    "Record.category": "URL of the category in the catalog; null if no earlier record gave it.",
    "Record.grids": "URLs of the grids in the catalog that compare the package.",
    "Record.id": "Number of the package in the catalog; null if no earlier record gave it.",
    "Record.title": "The package's name for people.",
    "Record.slug": "The package's name in the catalog; for most packages the one on PyPI.",
    "Record.last_updated": "Committer date of the newest commit of the default branch; null without one.",
    "Record.last_fetched": "When the last answer of the harvest arrived; null if there was no harvest yet.",
    "Record.repo_url": "Address of the repository.",
    "Record.pypi_version": "The version that PyPI shows; null if the package is not on PyPI.",
    "Record.created": "When the catalog's entry was made; null if no earlier record gave it.",
    "Record.modified": "When the catalog's entry was last edited; null if no earlier record gave it.",
    "Record.repo_forks": "Forks of the repository.",
    "Record.repo_description": "The host's description of the repository; empty if it has none.",
    "Record.pypi_url": "Address of the project on PyPI; empty if the package is not there.",
    "Record.documentation_url": "Address of the documentation; empty or null if none is known.",
    "Record.repo_watchers": "Stars of the repository: the API calls them watchers.",
    "Record.commits_over_52": "Commits of each of the last 52 weeks by author date, oldest week first. "
    "A harvest gives all 52; the catalog may have fewer.",
    "Record.participants": "Logins of the contributors, those with most commits first; null if the host "
    "cannot list them.",
    "RecordList": "The list of the Django Packages API v4.",
    "RecordList.count": "How many records there are on all pages.",
    "RecordList.next": "URL of the next page; null on the last one. A harvest writes a single page.",
    "RecordList.previous": "URL of the previous page; null on the first one.",
    "RecordList.results": "The records of this page.",
    "TargetLine": "What came of a target. What does not apply is null.",
    "TargetLine.target": "What was asked for, credentials left out.",
    "TargetLine.slug": "The slug of its package; null if the target does not tell it.",
    "TargetLine.status": "unchanged: the file that is there says the same, and was left alone.",
    "TargetLine.reason": "Why it was skipped or failed, in a word.",
    "TargetLine.message": "The same for people.",
    "TargetLine.retryable": "Whether trying again later may help.",
    "TargetLine.place": "Where the target was read, as file:line; null for the command line.",
    "TargetLine.repository_id": "The host's own number of the repository, which outlives its names.",
    "TargetLine.moved_to": "Where the repository is now, if that is not where it was looked for.",
    "TargetLine.archived": "Whether the repository is archived.",
    "TargetLine.found": "How the repository was found.",
    "TargetLine.warnings": "What else was told of the package.",
    "TargetLine.window_end": "The end of the 52 weeks that were counted.",
    "TargetLine.requests": "What was asked for it; a query for many packages counts with the first.",
    "TargetLine.charged": "What that cost of rate limits.",
    "Lead": "What led to a repository.",
    "Lead.rule": "target, base record or catalog; for a URL on PyPI source, homepage or other.",
    "Lead.label": "The label of that URL, as the project wrote it; empty for the other rules.",
    "LastLine": "The last line of a report.",
    "LastLine.run": "What came of the run.",
    "RunLine": "What came of the run.",
    "RunLine.version": "The version of pkgharvest.",
    "RunLine.started": "When the run began.",
    "RunLine.seconds": "How long it took.",
    "RunLine.exit_code": "The exit code of the command.",
    "RunLine.ok": "Targets that gave a record.",
    "RunLine.unchanged": "Targets whose file was left alone.",
    "RunLine.skipped": "Targets for which nothing was asked.",
    "RunLine.failed": "Targets that gave no record.",
    "RunLine.requests": "What was asked in all.",
    "RunLine.charged": "What that cost of rate limits.",
    "RunLine.for_lists": "What it took to learn which packages grids, categories and the catalog hold.",
    "RunLine.quotas": "What was asked of each service, by the parts that have rate limits of their own.",
    "Requests": "What was asked, and what that cost.",
    "Requests.requests": "Requests that went out, answered or not.",
    "Requests.charged": "What they cost of rate limits.",
    "Quota": "What was asked of a part of a service, and what is left of its rate limit if it told.",
    "Quota.service": "The service.",
    "Quota.resource": "The service's name of that part.",
    "Quota.requests": "Requests that went out, answered or not.",
    "Quota.charged": "What they cost of the rate limit.",
    "Quota.limit": "What the service allows until the reset.",
    "Quota.remaining": "What is left of that.",
    "Quota.reset": "When all of it can be had again.",
}

_COUNTS = frozenset(
    """repo_forks repo_watchers count requests charged seconds exit_code ok unchanged skipped failed
    limit remaining""".split()
)

_BOUNDS: dict[str, dict[str, Any]] = {
    # The patterns are ECMAScript's, which has no \Z, and whose $ is the end alone.
    "Record.slug": {"pattern": r"^[A-Za-z0-9_-]{1,200}$"},
    "Record.commits_over_52": {"maxItems": 52, "items": {"type": "integer", "minimum": 0}},
}


def schema(document: Document) -> dict[str, Any]:
    """Return the JSON Schema of a document, with all that it refers to.

    It says of what is written that every field is there, whatever may be left out where it is read.
    """
    roots, definitions = msgspec.json.schema_components(_TYPES[document], ref_template="#/$defs/{name}")
    complete = {name: _complete(name, definition) for name, definition in definitions.items()}
    head = {"$schema": DIALECT}
    if len(roots) > 1:
        line = {"title": "ReportLine", "description": _REPORT, "anyOf": list(roots)}
        return head | line | {"$defs": complete}
    [kind] = _TYPES[document]
    root = complete.pop(kind.__name__)
    return head | root | ({"$defs": complete} if complete else {})


def encode_schema(document: Document) -> bytes:
    """Return the schema in the form of the records: four spaces of indentation, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(schema(document)), indent=4) + b"\n"


def _complete(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    fields = definition["properties"]
    return definition | {
        "description": _DESCRIPTIONS[name],
        "properties": {field: _field(name, field, keywords) for field, keywords in fields.items()},
        "required": list(fields),
        "additionalProperties": True,
    }


def _field(name: str, field: str, keywords: dict[str, Any]) -> dict[str, Any]:
    path = f"{name}.{field}"
    least = {"minimum": 0} if field in _COUNTS else {}
    given = {keyword: value for keyword, value in keywords.items() if keyword != "default"}
    return {"description": _DESCRIPTIONS[path]} | given | least | _BOUNDS.get(path, {})
