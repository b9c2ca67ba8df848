"""Whatever comes from outside: a record that says what the answers say, or an error of ours; never more."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mutations import HOSTILE, MOMENTS, mutated, steering, texts, values
from pkgharvest.bases import HeldRecords
from pkgharvest.console import Console, LogFormat
from pkgharvest.errors import OccupiedError, PkgharvestError, SettingError
from pkgharvest.harvester import Harvester
from pkgharvest.listing import Listing
from pkgharvest.net.message import Cost, Forgetful, Token
from pkgharvest.output import Format, documents
from pkgharvest.reading import GraphReader, RestReader
from pkgharvest.record import Record, RecordError, decode_record, decode_records, encode_api
from pkgharvest.report import Report
from pkgharvest.resolve import Resolver
from pkgharvest.results import Failure, Harvested, Result
from pkgharvest.schema import schema
from pkgharvest.session import Session
from pkgharvest.settings import Settings
from pkgharvest.snapshot import Manners, Snapshot
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.github import GitHub
from pkgharvest.sources.graphql import GraphQL
from pkgharvest.sources.pypi import PyPI
from pkgharvest.targets import DEFAULT_HOSTS, parse_target, whole_catalog
from pkgharvest.visit import Ending
from pkgharvest.weeks import window
from services import (
    CATALOG,
    GITHUB,
    NOW,
    PYPI,
    FakeFetch,
    Reply,
    catalog_record,
    commit,
    commits,
    package,
    replies,
    repository,
)

pytestmark = pytest.mark.anyio

EXAMPLES = settings().max_examples

ZONE = ZoneInfo("America/New_York")
RECORD = jsonschema.Draft202012Validator(schema("record"))
REST = {
    "project": {
        "info": {
            "name": "django-x",
            "version": "1.2",
            "project_urls": {"Source": "https://github.com/ann/django-x", "Docs": "https://x.example"},
            "home_page": None,
            "download_url": "",
            "docs_url": None,
        },
        "urls": [{"upload_time_iso_8601": "2026-01-01T00:00:00.123456Z"}],
    },
    "repository": repository().body,
    "commits": commits(timedelta(days=2), timedelta(days=9), timedelta(days=400)).body,
    "contributors": [{"login": "ann", "contributions": 2}, {"login": None}, {"login": "bob"}],
    "participation": {"all": [1] * 52, "owner": [0] * 52},
    "catalog": catalog_record(),
}
NODES = [
    {"oid": str(age), "authoredDate": f"{NOW - timedelta(days=age):%Y-%m-%dT%H:%M:%SZ}"}
    | {"committedDate": f"{NOW - timedelta(days=age):%Y-%m-%dT%H:%M:%SZ}"}
    for age in (2, 9, 400)
]
BRANCH = {
    "target": {
        "committedDate": NODES[0]["committedDate"],
        "history": {
            "totalCount": 3,
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "nodes": NODES,
        },
    }
}
GRAPH = {
    "data": {
        "rateLimit": {"cost": 1},
        "r0": {
            "databaseId": 7,
            "nameWithOwner": "ann/django-x",
            "url": "https://github.com/ann/django-x",
            "description": "About x",
            "stargazerCount": 13,
            "forkCount": 4,
            "isArchived": False,
            "defaultBranchRef": BRANCH,
        },
        "s0": {"defaultBranchRef": BRANCH},
    },
    "errors": [],
}
BUSY = json.loads(json.dumps(GRAPH))
BUSY["data"]["r0"]["defaultBranchRef"]["target"]["history"]["totalCount"] = 250
BUSY["data"]["r0"]["defaultBranchRef"]["target"]["history"]["pageInfo"] = {
    "hasNextPage": True,
    "endCursor": "x",
}

links = st.sampled_from(
    [f'<{GITHUB}/repos/ann/django-x/commits?page={page}>; rel="next"' for page in (2, "x")]
    + ['<http://[>; rel="next"', '<https://elsewhere.example/>; rel="next"', "<>; rel=last", ""]
)


def any_of(document: Any) -> st.SearchStrategy[Reply]:
    """Return answers with a document, much as it is or not."""
    headers = st.fixed_dictionaries({}, optional={"link": links, "x-ratelimit-remaining": texts})
    return st.builds(Reply, mutated(document, most=2), st.just(200), st.just({}) | headers)


def harvester(fetch: FakeFetch, *, graphql: bool, catalog: bool, base: list[Record]) -> Harvester:
    token = Token("token", "GITHUB_TOKEN") if graphql else None
    github, site = GitHub(GITHUB, token), Catalog(CATALOG)
    graph = GraphQL(GITHUB, token)
    bases = HeldRecords(base, DEFAULT_HOSTS)
    return Harvester(
        fetch=fetch,
        resolver=Resolver(PyPI(PYPI), site if catalog else None, bases, DEFAULT_HOSTS),
        github=github,
        reader=GraphReader(github, graph, window(NOW)[0], Forgetful()) if graphql else RestReader(github),
        listing=Listing(site, bases),
        zone=ZONE,
    )


def cleaned(value: Any) -> Any:
    """Return JSON with U+FFFD for halves of surrogate pairs."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def check_written(*results: Result) -> None:
    """Make sure that what is told and written of results is whole, and steers no terminal."""
    for form in ("text", "logfmt", "json"):
        check_told(form, *results)
    report = bytearray()
    written = Report(report.extend, NOW)
    for result in results:
        written.add(result)
    written.finish(0, 1.0, {}, Cost())
    lines = report.decode().split("\n")
    assert len(lines) == len(results) + 2
    assert [json.loads(line)["target"] for line in lines[:-2]] == [result.target for result in results]
    for result in results:
        if isinstance(result, Harvested):
            check_record(result.record)


def check_told(form: LogFormat, *results: Result) -> None:
    stream = io.StringIO()
    console = Console(stream, verbose=True, log_format=form)
    for result in results:
        console.result(result)
    assert steering(stream.getvalue()) == []
    if form == "json":
        assert all(json.loads(line) for line in stream.getvalue().splitlines())


def check_record(record: Record) -> None:
    document = encode_api(record)
    assert decode_record(document) == record
    assert list(RECORD.iter_errors(json.loads(document.decode()))) == []
    forms: list[Format] = ["json", "jsonl", "list"]
    for form in forms:
        plain, shown = bytearray(), bytearray()
        for out, is_terminal in ((plain, False), (shown, True)):
            target = documents(form, out.extend, is_terminal=is_terminal)
            target.add(record)
            target.finish()
            target.close()
        assert steering(shown.decode()) == []
        assert json.loads(plain) == json.loads(shown)


def expected(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record must say by the REST answers, as far as one page tells."""
    facts, project = answers["repository"], answers["project"]["info"]
    asked = answers["contributors"] if answers["commits"] else []  # without commits nobody is asked for
    logins = [entry.get("login") for entry in asked]
    return {
        "repo_forks": facts["forks_count"],
        "repo_watchers": facts["stargazers_count"],
        "repo_description": facts["description"] or "",
        "repo_url": facts["html_url"],
        "pypi_version": project["version"],
        "title": project["name"],
        "participants": list(dict.fromkeys(filter(None, logins))),
    }


def part(record: Record, names: Mapping[str, Any]) -> dict[str, Any]:
    told = msgspec.to_builtins(record)
    return {name: told[name] for name in names}


ANSWERS = st.sets(st.sampled_from(list(REST)), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: any_of(document) if name in names else st.just(Reply(document))
            for name, document in REST.items()
        }
    )
)


@settings(max_examples=3 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANSWERS, st.booleans())
async def test_whatever_is_answered_by_rest_is_a_record_that_says_so_or_an_error(
    answers: dict[str, Reply], catalog: bool
) -> None:
    fetch = FakeFetch(replies(**answers))
    [result] = await harvester(fetch, graphql=False, catalog=catalog, base=[]).batch(
        [package("django-x")], Ending()
    )
    check_written(result)
    if isinstance(result, Harvested) and not catalog and f"{PYPI}/pypi/django-x/json" in fetch.asked:
        wanted = expected({name: cleaned(reply.body) for name, reply in answers.items()})
        wanted["title"] = wanted["title"] or answers["repository"].body["full_name"].partition("/")[2]
        assert part(result.record, wanted) == wanted


@settings(max_examples=3 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_of(GRAPH) | any_of(BUSY))
@example(Reply(GRAPH))
async def test_whatever_is_answered_by_graphql_is_a_record_that_says_so_or_an_error(graph: Reply) -> None:
    fetch = FakeFetch(replies() | {f"{GITHUB}/graphql": graph})
    [result] = await harvester(fetch, graphql=True, catalog=False, base=[]).batch(
        [package("django-x")], Ending()
    )
    check_written(result)
    if isinstance(result, Harvested):
        if f"{GITHUB}/repos/ann/django-x" in fetch.asked:
            wanted = {"repo_forks": 3, "repo_watchers": 12, "repo_description": "About x"}
        else:
            facts = cleaned(graph.body)["data"]["r0"]
            wanted = {
                "repo_forks": facts["forkCount"],
                "repo_watchers": facts["stargazerCount"],
                "repo_description": facts["description"] or "",
                "repo_url": facts["url"],
            }
        assert part(result.record, wanted) == wanted


@pytest.mark.parametrize("date", MOMENTS)
@pytest.mark.parametrize("has_pages", [False, True])
async def test_commits_may_be_of_any_date(date: str, has_pages: bool) -> None:
    graph = json.loads(json.dumps(BUSY if has_pages else GRAPH))
    target = graph["data"]["r0"]["defaultBranchRef"]["target"]
    for node in target["history"]["nodes"]:
        node["authoredDate"] = node["committedDate"] = date
    table = replies(commits=Reply([commit("1", date)])) | {f"{GITHUB}/graphql": Reply(graph)}
    for graphql in (False, True):
        [result] = await harvester(FakeFetch(table), graphql=graphql, catalog=False, base=[]).batch(
            [package("django-x")], Ending()
        )
        check_written(result)


@pytest.mark.parametrize("count", [-1, 2**63, 10**400])
async def test_a_number_of_commits_that_is_none_gives_no_record(count: int) -> None:
    graph = json.loads(json.dumps(GRAPH))
    graph["data"]["r0"]["defaultBranchRef"]["target"]["history"]["totalCount"] = count
    fetch = FakeFetch(replies() | {f"{GITHUB}/graphql": Reply(graph)})
    [result] = await harvester(fetch, graphql=True, catalog=False, base=[]).batch(
        [package("django-x")], Ending()
    )
    assert isinstance(result, Failure)
    assert result.reason == "malformed"
    assert "totalCount" in str(result.error)


@pytest.mark.parametrize("field", ["stargazers_count", "forks_count"])
@pytest.mark.parametrize("count", [-1, 2**63, 10**400])
async def test_a_count_that_is_none_gives_no_record(field: str, count: int) -> None:
    fetch = FakeFetch(replies(repository=Reply({**REST["repository"], field: count})))
    [result] = await harvester(fetch, graphql=False, catalog=False, base=[]).batch(
        [package("django-x")], Ending()
    )
    assert isinstance(result, Failure)
    assert result.reason == "malformed"


PAGE = {"count": 2, "next": None, "previous": None, "results": [catalog_record(), catalog_record(id=8)]}


@settings(max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_of(PAGE), any_of({"title": "Forms", "packages": [f"{CATALOG}/api/v4/packages/99/", "x"]}))
async def test_whatever_the_catalog_lists_is_packages_or_failures(page: Reply, grid: Reply) -> None:
    table = replies() | {
        f"{CATALOG}/api/v4/packages/?limit=100&offset=0": page,
        f"{CATALOG}/api/v4/packages/99/": Reply(catalog_record()),
        f"{CATALOG}/api/v4/grids/forms/": grid,
    }
    targets = [whole_catalog(CATALOG), parse_target(f"{CATALOG}/grids/g/forms/")]
    asked = harvester(FakeFetch(table), graphql=False, catalog=False, base=[])
    results = [result async for result in asked.all(targets, ahead=2, ending=Ending())]
    assert results
    check_written(*results)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(mutated(catalog_record()) | st.builds(lambda *of: list(of), mutated(catalog_record())) | values)
def test_any_json_is_records_that_say_the_same_or_no_records(document: Any) -> None:
    text = json.dumps(document)
    try:
        records = list(decode_records(text))
    except RecordError:
        return
    told = document.get("results", [document]) if isinstance(document, dict) else document
    assert len(records) == len(told)
    for record, said in zip(records, told, strict=True):
        same = ("slug", "title", "repo_description", "participants", "repo_watchers", "pypi_version")
        assert part(record, dict.fromkeys(same)) == {name: said[name] for name in same}


FILES = (
    st.binary(max_size=50)
    | mutated(catalog_record()).map(lambda value: json.dumps(value).encode())
    | mutated(catalog_record()).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode(errors="replace")
    )
)
NEW = msgspec.convert(catalog_record(last_fetched="2026-03-18T15:30:00Z"), Record)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(FILES, st.booleans(), st.booleans(), st.sampled_from(["django-x", "Django-X", "other"]))
def test_whatever_a_file_of_the_folder_holds_a_package_is_written_or_the_file_stays(
    content: bytes, force: bool, only_changed: bool, name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records")
        path.mkdir()
        (path / f"{name}.json").write_bytes(content)
        snapshot = Snapshot(path, DEFAULT_HOSTS, Manners(force=force, only_changed=only_changed))
        before = {one.name: one.read_bytes() for one in path.iterdir()}
        try:
            base = snapshot.of(package("django-x"))
            status = snapshot.add(NEW, base)
        except OccupiedError as error:
            assert error.message.isprintable()  # noqa: PT017  either is right
            assert {one.name: one.read_bytes() for one in path.iterdir()} == before
        else:
            written = (path / f"{'django-x' if name == 'other' else name}.json").read_bytes()
            assert decode_record(written).slug.casefold() == "django-x"
            assert status == "unchanged" or written == encode_api(NEW)
        assert [one.name for one in Path(folder).iterdir()] == ["records"]


def entry(url: str, body: Any) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-03-18T15:30:00Z",
        "time": 12.5,
        "request": {
            "method": "GET",
            "url": url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": "accept", "value": "application/json"}],
            "queryString": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": "date", "value": "Wed, 18 Mar 2026 15:30:00 GMT"}],
            "content": {"size": 1, "mimeType": "application/json", "text": json.dumps(body)},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 12.5, "receive": 0},
    }


ARCHIVE = {
    "log": {
        "version": "1.2",
        "_pkgharvest": {
            "github": GITHUB,
            "pypi": PYPI,
            "catalog": CATALOG,
            "signed": False,
            "started": "2026-03-18T15:30:00Z",
        },
        "entries": [
            entry(f"{PYPI}/pypi/django-x/json", REST["project"]),
            entry(f"{GITHUB}/repos/ann/django-x", REST["repository"]),
            entry(f"{GITHUB}/repos/ann/django-x/commits?per_page=100", REST["commits"]),
            entry(f"{GITHUB}/repos/ann/django-x/contributors?per_page=100", REST["contributors"]),
            entry(f"{GITHUB}/rate_limit", {"resources": {"core": {"limit": 1, "remaining": 1, "reset": 1}}}),
        ],
    }
}


async def replayed(archive: Any) -> list[Result]:
    """Return what a replay gives, a result for the package at the least."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(json.dumps(archive).encode())
        file.flush()
        async with Session(Settings(replay=file.name)) as session:
            results = [result async for result in session.harvest(["django-x"])]
            try:
                await session.limits()
            except PkgharvestError as error:
                assert error.message.isprintable()  # noqa: PT017  most archives hold them
        return results


async def test_the_archive_that_is_mutated_is_whole() -> None:
    [result] = await replayed(ARCHIVE)
    assert isinstance(result, Harvested)
    assert part(result.record, expected(REST)) == expected(REST)


@settings(max_examples=3 * EXAMPLES, deadline=None)
@given(mutated(ARCHIVE, most=2))
async def test_any_archive_is_replayed_or_refused(archive: Any) -> None:
    try:
        results = await replayed(archive)
    except SettingError as error:
        assert error.message.isprintable()  # noqa: PT017  either is right
    else:
        assert len(results) == 1
        check_written(*results)


@pytest.mark.parametrize("moment", [*MOMENTS[:4], "1969-12-31T23:59:59Z", "9500-01-01T00:00:00Z"])
@pytest.mark.parametrize("place", ["run", "entry"])
async def test_a_recording_near_the_ends_of_the_calendar_is_refused(moment: str, place: str) -> None:
    archive = json.loads(json.dumps(ARCHIVE))
    if place == "run":
        archive["log"]["_pkgharvest"]["started"] = moment
        with pytest.raises(SettingError, match="is no time at which anything was asked"):
            await replayed(archive)
    else:
        archive["log"]["entries"][1]["startedDateTime"] = moment
        [result] = await replayed(archive)
        assert isinstance(result, Failure)
        assert result.reason == "bad-setting"


@pytest.mark.parametrize("reset", [-1, 10**12, 2**63, 10**400])
async def test_a_limit_that_is_whole_in_no_calendar_is_no_limit(reset: int) -> None:
    archive = json.loads(json.dumps(ARCHIVE))
    limits = {"resources": {"core": {"limit": 1, "remaining": 1, "reset": reset}}}
    archive["log"]["entries"][4]["response"]["content"]["text"] = json.dumps(limits)
    with tempfile.NamedTemporaryFile() as file:
        file.write(json.dumps(archive).encode())
        file.flush()
        async with Session(Settings(replay=file.name)) as session:
            with pytest.raises(PkgharvestError, match=r"unexpected shape.*\.reset"):
                await session.limits()


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text])
async def test_hostile_texts_in_every_place_stay_data(hostile: str) -> None:
    facts = repository(description=hostile, html_url=f"https://github.com/{hostile}")
    table = replies(
        project=Reply({**REST["project"], "info": {**REST["project"]["info"], "version": hostile}}),
        repository=facts,
        contributors=Reply([{"login": hostile}]),
    )
    [result] = await harvester(FakeFetch(table), graphql=False, catalog=False, base=[]).batch(
        [package("django-x")], Ending()
    )
    assert isinstance(result, Harvested)
    check_written(result)
    clean = cleaned(hostile)
    record = result.record
    assert (record.repo_description, record.pypi_version, record.participants) == (clean, clean, [clean])
    assert record.slug == "django-x"


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text != "-rf"])
def test_no_record_has_a_slug_that_could_leave_the_folder(hostile: str) -> None:
    document = json.dumps(catalog_record(slug=hostile)).encode()
    with pytest.raises(RecordError):
        decode_record(document)


def test_an_advice_that_quotes_what_others_wrote_is_printable() -> None:
    assert str(SettingError("no", "Did you mean \x1b[1m\u202e?")) == "no. Did you mean \ufffd[1m\ufffd?"
