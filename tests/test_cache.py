from __future__ import annotations

import gzip
import json
import os
import random
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    NotStoredError,
    PkgharvestError,
    RefusedError,
    UnreadableError,
)
from pkgharvest.net.cache import BELIEVED, FILE, Cached, Contents, Offline, Store
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Cost, Exchange, Memory, Origin, Request, Response, Token
from pkgharvest.net.quota import Patience, Quota
from pkgharvest.net.retry import RetryPolicy
from pkgharvest.results import Failure
from pkgharvest.session import Session
from pkgharvest.settings import Settings

pytestmark = pytest.mark.anyio

T = TypeVar("T")

START = datetime(2026, 2, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = "https://here.example"
THERE = "https://there.example"
URL = f"{HERE}/a?page=1"
ETAG = 'W/"0a1b"'
DATE = "Sun, 01 Feb 2026 10:00:00 GMT"
BOTH = {"etag": ETAG, "last-modified": DATE}
TOKEN = Token("one-token", "GITHUB_TOKEN")
OTHER = Token("other-token", "GH_TOKEN")
VALIDATORS = ("if-none-match", "if-modified-since")


def ask(url: str = URL, *, token: Token | None = TOKEN, **changes: Any) -> Request[Response]:
    request = Request("service", url, lambda response: response, {"accept": "application/json"}, token=token)
    return replace(request, **changes)


def answer(
    body: bytes = b"{}", status: int = 200, headers: Mapping[str, str] = BOTH, *, url: str = URL
) -> Response:
    is_packed = "content-encoding" in headers
    return Response(url, status, headers, body, START, gzip.compress(body) if is_packed else body)


class Upstream:
    """Gives one answer after the other, the last for good, at a time that can be moved; notes requests."""

    def __init__(self, *answers: Response, passed: timedelta = timedelta()) -> None:
        self.answers = list(answers)
        self.passed = passed
        self.asked: list[Request[Any]] = []

    def now(self) -> datetime:
        return START + self.passed

    async def __call__(self, request: Request[T]) -> Response:
        self.asked.append(request)
        response = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return replace(response, url=request.url, received=self.now())

    @property
    def validators(self) -> list[dict[str, str]]:
        """The validators of each request."""
        return [
            {name: request.headers[name] for name in VALIDATORS if name in request.headers}
            for request in self.asked
        ]


class Opened:
    """A store in a folder, and what it warned of."""

    def __init__(self, folder: Path) -> None:
        self.warnings: list[str] = []
        self.store = Store(folder, self.warnings.append)

    def cached(self, upstream: Upstream, *, refresh: bool = False) -> Cached:
        return Cached(upstream, self.store, upstream.now, refresh=refresh)

    def keep(self, response: Response, request: Request[Any] | None = None) -> None:
        self.store.keep(request or ask(), response)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """A store that must give no cause for a warning."""
    opened = Opened(tmp_path / "cache")
    yield opened
    opened.store.close()
    assert opened.warnings == []


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (result,) = connection.execute("PRAGMA integrity_check").fetchone()
    return str(result)


# Revalidation.


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        pytest.param({"etag": 'W/"0a1b"'}, {"if-none-match": 'W/"0a1b"'}, id="a weak tag"),
        pytest.param({"etag": '"0a1b"'}, {"if-none-match": '"0a1b"'}, id="a strong tag"),
        pytest.param({"etag": "0a1b-gzip"}, {"if-none-match": "0a1b-gzip"}, id="a tag without quotes"),
        pytest.param({"last-modified": DATE}, {"if-modified-since": DATE}, id="a date"),
        pytest.param({"last-modified": "soon"}, {"if-modified-since": "soon"}, id="a date that is none"),
        pytest.param(BOTH, {"if-none-match": ETAG, "if-modified-since": DATE}, id="both"),
        pytest.param({"content-type": "text/plain"}, {}, id="neither"),
    ],
)
async def test_validators_are_sent_back_exactly_as_they_were_received(
    opened: Opened, stored: dict[str, str], sent: dict[str, str]
) -> None:
    opened.keep(answer(headers=stored))
    upstream = Upstream(answer())
    await opened.cached(upstream)(ask())
    assert upstream.validators == [sent]
    assert upstream.asked[0].headers["accept"] == "application/json"


async def test_what_is_not_stored_is_asked_for_as_it_is(opened: Opened) -> None:
    upstream = Upstream(answer(b"new"))
    request = ask()
    assert (await opened.cached(upstream)(request)).body == b"new"
    assert upstream.asked[0] is request


@pytest.mark.parametrize("encoding", [None, "gzip"])
@pytest.mark.parametrize("told", [{}, {"content-encoding": "gzip"}, {"content-encoding": "br"}], ids=repr)
async def test_a_304_gives_the_stored_body_with_the_new_headers_and_time(
    opened: Opened, encoding: str | None, told: dict[str, str]
) -> None:
    packing = {} if encoding is None else {"content-encoding": encoding}
    first = answer(b"the body", headers={**BOTH, "link": "<next>", "date": "then", **packing})
    opened.keep(first)
    new = {"etag": 'W/"2c3d"', "date": "now", "x-ratelimit-remaining": "7", **told}
    upstream = Upstream(answer(b"", 304, new), passed=HOUR)
    response = await opened.cached(upstream)(ask())
    kept = {"last-modified": DATE, "link": "<next>", **new}
    kept.pop("content-encoding", None)
    assert response == Response(
        URL, 200, {**kept, **packing}, b"the body", START + HOUR, first.wire, Origin.REVALIDATED
    )


async def test_a_revalidated_answer_is_stored_with_its_new_validators_and_time(opened: Opened) -> None:
    opened.keep(answer(b"the body", headers={**BOTH, "content-encoding": "gzip"}))
    upstream = Upstream(answer(b"", 304, {"etag": 'W/"2c3d"'}), passed=HOUR)
    cached = opened.cached(upstream)
    opened.keep(await cached(ask()))
    response = await cached(ask())
    assert upstream.validators[1] == {"if-none-match": 'W/"2c3d"', "if-modified-since": DATE}
    assert (response.body, opened.store.contents().newest) == (b"the body", START + HOUR)


async def test_a_200_replaces_what_is_stored(opened: Opened) -> None:
    opened.keep(answer(b"old"))
    upstream = Upstream(answer(b"new", headers={"etag": '"new"'}))
    response = await opened.cached(upstream)(ask())
    assert (response.body, response.origin) == (b"new", Origin.NETWORK)
    opened.keep(response)
    await opened.cached(upstream)(ask())
    assert upstream.validators[1] == {"if-none-match": '"new"'}
    assert opened.store.contents().answers == 1


@pytest.mark.parametrize("status", [202, 403, 404, 429, 500])
async def test_another_answer_to_a_conditional_request_is_passed_on(opened: Opened, status: int) -> None:
    opened.keep(answer(b"old"))
    response = await opened.cached(Upstream(answer(b"no", status, {})))(ask())
    assert (response.status, response.body, response.origin) == (status, b"no", Origin.NETWORK)


async def test_a_refresh_sends_no_validators(opened: Opened) -> None:
    opened.keep(answer(b"old"))
    upstream = Upstream(answer(b"new"))
    assert (await opened.cached(upstream, refresh=True)(ask())).body == b"new"
    assert upstream.validators == [{}]


async def test_a_post_is_always_asked_anew(opened: Opened) -> None:
    request = ask(method="POST", body=b"{}")
    opened.keep(answer(b"old"), request)
    upstream = Upstream(answer(b"new"))
    assert (await opened.cached(upstream)(request)).body == b"new"
    assert upstream.validators == [{}]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers SET headers = x'00'",
        "UPDATE answers SET body = x'00'",
        "UPDATE answers SET checked = -62135596800.0",
        "UPDATE answers SET checked = 1e300",
        "UPDATE answers SET checked = 'yesterday'",
    ],
    ids=["headers", "body", "the year 1", "no year", "no time"],
)
@pytest.mark.parametrize("token", [TOKEN, OTHER], ids=["its own", "of another token"])
async def test_a_row_that_is_damaged_is_as_good_as_none(opened: Opened, damage: str, token: Token) -> None:
    opened.keep(answer(b"old", headers={**BOTH, "content-encoding": "gzip"}), ask(token=token))
    with closing(sqlite3.connect(opened.store.path)) as connection, connection:
        connection.execute(damage)
    with pytest.raises(NotStoredError):
        await Offline(opened.store)(ask())
    upstream = Upstream(answer(b"new"))
    response = await opened.cached(upstream)(ask())
    assert (response.body, upstream.validators) == (b"new", [{}])


# Identity.


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"service": "another", "resource": "core"}, True),
        ({"headers": {"accept": "application/json", "x-version": "2"}}, True),
        ({"token": Token("one-token", "from elsewhere")}, True),
        ({"url": f"{HERE}/a?page=2"}, False),
        ({"url": f"{HERE}/A?page=1"}, False),
        ({"url": f"{THERE}/a?page=1"}, False),
        ({"method": "HEAD"}, False),
        ({"headers": {"accept": "text/html"}}, False),
        ({"headers": {}}, False),
        ({"body": b"{}"}, False),
    ],
    ids=repr,
)
async def test_requests_are_told_apart_by_method_address_accept_and_body(
    opened: Opened, changes: dict[str, Any], is_same: bool
) -> None:
    opened.keep(answer())
    stored = opened.store.find(replace(ask(), **changes))
    assert (stored is not None) is is_same
    assert stored is None or stored.is_own


@pytest.mark.parametrize(("one", "another"), [(TOKEN, OTHER), (TOKEN, None), (None, TOKEN)], ids=repr)
async def test_of_the_answer_to_another_token_only_the_date_is_sent(
    opened: Opened, one: Token | None, another: Token | None
) -> None:
    opened.keep(answer(b"shared"), ask(token=one))
    upstream = Upstream(answer(b"", 304))
    response = await opened.cached(upstream)(ask(token=another))
    assert upstream.validators == [{"if-modified-since": DATE}]
    assert (response.body, response.origin) == (b"shared", Origin.REVALIDATED)


async def test_each_token_keeps_its_own_answer(opened: Opened) -> None:
    upstream = Upstream(answer())
    for token in (TOKEN, OTHER, None):
        name = token.reveal() if token else "none"
        opened.keep(answer(name.encode(), headers={"etag": f'"{name}"'}), ask(token=token))
    for token in (TOKEN, OTHER, None):
        await opened.cached(upstream)(ask(token=token))
    tags = [sent["if-none-match"] for sent in upstream.validators]
    assert tags == ['"one-token"', '"other-token"', '"none"']


async def test_of_several_other_tokens_the_newest_answer_counts(opened: Opened) -> None:
    for number, token in enumerate((OTHER, TOKEN)):
        response = answer(b"%d" % number, headers={"last-modified": str(number)})
        opened.keep(replace(response, received=START - number * HOUR), ask(token=token))
    stored = opened.store.find(ask(token=None))
    assert stored is not None
    assert (stored.body, stored.checked, stored.is_own) == (b"0", START, False)


async def test_no_token_is_in_the_files(opened: Opened, marked_token: str) -> None:
    token = Token(marked_token, "GITHUB_TOKEN")
    private = {**BOTH, "set-cookie": marked_token, "x-echo": f"Bearer {marked_token}"}
    opened.keep(answer(headers=private), ask(token=token))
    opened.store.remember_quota("core", token, Quota(60, 1, START + HOUR))
    files = list(opened.store.path.parent.iterdir())
    assert opened.store.path in files
    for file in files:
        assert marked_token.encode() not in file.read_bytes()


async def test_two_stores_hash_the_same_token_to_different_identities(tmp_path: Path) -> None:
    def identities(folder: Path) -> list[Any]:
        opened = Opened(folder)
        opened.keep(answer())
        opened.store.close()
        with closing(sqlite3.connect(opened.store.path)) as connection:
            return connection.execute("SELECT identity FROM answers").fetchall()

    assert identities(tmp_path / "one") != identities(tmp_path / "two")


# What is kept.


@pytest.mark.parametrize("status", [200, 404, 410, 451])
async def test_these_answers_are_stored(opened: Opened, status: int) -> None:
    opened.keep(answer(b"body", status))
    stored = opened.store.find(ask())
    assert stored is not None
    assert (stored.status, stored.body) == (status, b"body")


@pytest.mark.parametrize(
    "status", [201, 202, 204, 301, 302, 304, 307, 308, 400, 401, 403, 409, 422, 429, 500, 502, 503, 504]
)
async def test_no_other_answers_are_stored(opened: Opened, status: int) -> None:
    opened.keep(answer(b"body", status))
    assert opened.store.find(ask()) is None


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        pytest.param(ask(is_stored=False), answer(), id="a request that is not for storing"),
        pytest.param(ask(), replace(answer(), origin=Origin.STORE), id="an answer from the store"),
    ],
)
async def test_what_is_not_to_be_stored_is_not(
    opened: Opened, request_: Request[Any], response: Response
) -> None:
    opened.keep(response, request_)
    assert opened.store.contents().answers == 0


async def test_what_is_forgotten_is_so_for_every_token_and_that_address_alone(opened: Opened) -> None:
    for token in (TOKEN, OTHER, None):
        opened.keep(answer(), ask(token=token))
    opened.keep(answer(), ask(f"{HERE}/b"))
    opened.store.forget(ask())
    assert [opened.store.find(ask(token=token)) for token in (TOKEN, OTHER, None)] == [None] * 3
    assert opened.store.find(ask(f"{HERE}/b")) is not None


DAY, WEEK = timedelta(days=1), timedelta(days=7)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("status", "believed"), [(404, DAY), (410, WEEK), (451, WEEK)])
async def test_what_is_missing_is_believed_for_a_while_without_asking(
    opened: Opened, status: int, believed: timedelta
) -> None:
    assert BELIEVED[status] == believed
    opened.keep(answer(b"gone", status))
    upstream = Upstream(answer(b"back"), passed=believed - SECOND)
    cached = opened.cached(upstream)
    response = await cached(ask())
    assert (response.status, response.body, response.origin) == (status, b"gone", Origin.STORE)
    assert (response.received, upstream.asked) == (START, [])
    upstream.passed = believed
    assert (await cached(ask())).body == b"back"
    assert upstream.validators == [{}]


@pytest.mark.parametrize("status", [404, 410, 451])
async def test_a_refresh_asks_for_what_was_missing(opened: Opened, status: int) -> None:
    opened.keep(answer(b"gone", status))
    upstream = Upstream(answer(b"back"))
    assert (await opened.cached(upstream, refresh=True)(ask())).body == b"back"


@pytest.mark.parametrize("status", [404, 410, 451])
async def test_what_another_token_was_not_shown_is_asked_for(opened: Opened, status: int) -> None:
    opened.keep(answer(b"gone", status), ask(token=OTHER))
    upstream = Upstream(answer(b"here"))
    assert (await opened.cached(upstream)(ask())).body == b"here"
    assert upstream.validators == [{}]


QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("believes_age", "control", "age", "is_asked"),
    [
        (True, "max-age=900, public", timedelta(), False),
        (True, "public, max-age=900", QUARTER - SECOND, False),
        pytest.param(True, "max-age=900, public", QUARTER, True, id="too old"),
        pytest.param(True, "max-age=900, public", -SECOND, True, id="of the future"),
        pytest.param(True, "max-age=0", timedelta(), True, id="of no age"),
        pytest.param(True, "max-age=soon", timedelta(), True, id="an age that is none"),
        pytest.param(True, "max-age=99999999999999", SECOND, True, id="an age beyond sense"),
        pytest.param(True, "s-maxage=900", SECOND, True, id="an age for others"),
        pytest.param(True, "", SECOND, True, id="no word of it"),
        pytest.param(False, "max-age=900, public", SECOND, True, id="a request that does not believe it"),
    ],
)
async def test_what_is_there_is_used_unasked_only_for_as_long_as_it_said_and_the_request_believes(
    opened: Opened, believes_age: bool, control: str, age: timedelta, is_asked: bool
) -> None:
    request = ask(believes_age=believes_age)
    opened.keep(answer(headers={**BOTH, "cache-control": control}), request)
    upstream = Upstream(answer(b"", 304), passed=age)
    response = await opened.cached(upstream)(request)
    assert len(upstream.asked) == int(is_asked)
    assert response.origin is (Origin.REVALIDATED if is_asked else Origin.STORE)
    assert response.received == START + (age if is_asked else timedelta())


async def test_a_304_begins_the_age_of_an_answer_anew(opened: Opened) -> None:
    request = ask(believes_age=True)
    opened.keep(answer(headers={**BOTH, "cache-control": "max-age=900"}), request)
    upstream = Upstream(answer(b"", 304, {}), passed=QUARTER)
    cached = opened.cached(upstream)
    opened.keep(await cached(request), request)
    upstream.passed = 2 * QUARTER - SECOND
    assert ((await cached(request)).origin, len(upstream.asked)) == (Origin.STORE, 1)


@pytest.mark.parametrize(
    ("token", "refresh"), [(OTHER, False), (TOKEN, True)], ids=["another token", "a refresh"]
)
async def test_what_said_its_age_is_asked_for_by(opened: Opened, token: Token, refresh: bool) -> None:
    opened.keep(answer(headers={**BOTH, "cache-control": "max-age=900"}))
    upstream = Upstream(answer(b"new"))
    response = await opened.cached(upstream, refresh=refresh)(ask(token=token, believes_age=True))
    assert response.body == b"new"


# Offline.


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=1000)])
@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_offline_answers_whatever_the_age(
    opened: Opened, status: int, method: str, age: timedelta
) -> None:
    request = ask(method=method, body=b"{}")
    response = answer(b"old", status, {**BOTH, "content-encoding": "gzip", "date": "then"})
    opened.keep(replace(response, received=START - age), request)
    stored = {**BOTH, "content-encoding": "gzip"}
    assert await Offline(opened.store)(request) == Response(
        URL, status, stored, b"old", START - age, response.wire, Origin.STORE
    )


async def test_offline_says_what_is_not_stored_and_what_helps(opened: Opened) -> None:
    opened.keep(answer())
    with pytest.raises(NotStoredError) as caught:
        await Offline(opened.store)(ask(f"{HERE}/b"))
    assert (caught.value.message, caught.value.advice) == (
        f"nothing is stored for {HERE}/b",
        "Run without --offline first",
    )


async def test_offline_opens_no_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings = Settings(
            github_url=address, pypi_url=address, catalog_url=address, cache_folder=tmp_path, offline=True
        )
        async with Session(settings) as session:
            results = [
                result async for result in session.harvest(["some-package", "https://github.com/owner/name"])
            ]
        with pytest.raises(BlockingIOError):
            server.accept()
    assert [type(result.error) for result in results if isinstance(result, Failure)] == [NotStoredError] * 2


# Moves and quotas.


async def test_a_move_is_remembered_for_a_month(opened: Opened) -> None:
    store = opened.store
    store.remember_move("service", HERE, THERE, START)
    month = timedelta(days=30)
    assert store.move("service", HERE, START + month - SECOND) == THERE
    assert store.move("service", HERE, START + month) is None
    assert (store.move("another", HERE, START), store.move("service", THERE, START)) == (None, None)
    store.remember_move("service", HERE, "https://elsewhere.example", START + month)
    assert store.move("service", HERE, START + month) == "https://elsewhere.example"


async def test_a_quota_is_remembered_until_its_reset_by_resource_and_token(opened: Opened) -> None:
    store, quota = opened.store, Quota(5000, 4000, START + HOUR)
    store.remember_quota("core", TOKEN, Quota(5000, 4321, START + HOUR))
    store.remember_quota("core", TOKEN, quota)
    assert store.quota("core", TOKEN, START + HOUR - SECOND) == quota
    assert store.quota("core", TOKEN, START + HOUR) is None
    others = [("graphql", TOKEN), ("core", OTHER), ("core", None)]
    assert [store.quota(resource, token, START) for resource, token in others] == [None] * 3


@pytest.mark.parametrize("target", ["http://[", "javascript:x", f"{THERE}/path", "", "x"])
async def test_a_move_to_what_is_no_origin_is_as_good_as_none(opened: Opened, target: str) -> None:
    opened.store.remember_move("service", HERE, target, START)
    assert opened.store.move("service", HERE, START) is None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE quotas SET reset = 1e300",
        "UPDATE quotas SET reset = 'soon'",
        "UPDATE quotas SET remaining = 'many'",
        "UPDATE quotas SET most = x'00'",
    ],
)
async def test_a_quota_that_is_damaged_is_as_good_as_none(opened: Opened, damage: str) -> None:
    opened.store.remember_quota("core", TOKEN, Quota(5000, 4000, START + HOUR))
    with closing(sqlite3.connect(opened.store.path)) as connection, connection:
        connection.execute(damage)
    assert opened.store.quota("core", TOKEN, START) is None


@pytest.mark.parametrize("moment", [1e300, "soon", -1.0])
async def test_contents_with_a_damaged_time_are_counted_all_the_same(opened: Opened, moment: object) -> None:
    opened.keep(answer(b"old"))
    with closing(sqlite3.connect(opened.store.path)) as connection, connection:
        connection.execute("UPDATE answers SET checked = ?", (moment,))
    contents = opened.store.contents()
    assert (contents.answers, contents.oldest, contents.newest) == (1, None, None)


# The file.


async def test_what_is_stored_is_there_in_the_next_run(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    first.keep(answer(b"kept"))
    first.store.remember_move("service", HERE, THERE, START)
    first.store.close()
    second = Opened(tmp_path)
    stored = second.store.find(ask())
    assert stored is not None
    assert (stored.body, stored.is_own, second.store.move("service", HERE, START)) == (b"kept", True, THERE)
    second.store.close()
    assert first.warnings + second.warnings == []


async def test_the_contents_are_told(opened: Opened) -> None:
    empty = opened.store.contents()
    assert (empty.path.name, empty.answers, empty.oldest, empty.newest) == (FILE, 0, None, None)
    for number in range(3):
        response = replace(answer(os.urandom(100_000)), received=START + number * HOUR)
        opened.keep(response, ask(f"{HERE}/{number}"))
    contents = opened.store.contents()
    assert contents == Contents(opened.store.path, contents.size, 3, START, START + 2 * HOUR)
    assert contents.size >= 300_000
    assert contents.size == sum(file.stat().st_size for file in contents.path.parent.iterdir())


async def test_a_cleared_store_holds_nothing_is_small_and_can_be_used(opened: Opened) -> None:
    store = opened.store
    for number in range(3):
        opened.keep(answer(os.urandom(100_000)), ask(f"{HERE}/{number}"))
    store.remember_move("service", HERE, THERE, START)
    store.remember_quota("core", TOKEN, Quota(60, 1, START + HOUR))
    store.clear()
    assert (store.contents().answers, store.move("service", HERE, START)) == (0, None)
    assert store.quota("core", TOKEN, START) is None
    assert store.contents().size < 100_000
    opened.keep(answer())
    assert store.contents().answers == 1


async def test_only_the_user_can_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened = Opened(tmp_path / "cache" / "pkgharvest")
        opened.keep(answer())
    finally:
        os.umask(before)
    folder = opened.store.path.parent
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    opened.store.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert FILE in modes
    assert set(modes.values()) == {0o600}


HEADER = b"SQLite format 3\x00"


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"garbage" * 1000, id="no database"),
        pytest.param(HEADER, id="the beginning of a database"),
        pytest.param(HEADER + b"\xff" * 5000, id="the beginning and garbage"),
        pytest.param(bytes(5000), id="zeros"),
    ],
)
async def test_a_broken_file_is_set_aside_with_one_warning(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(garbage)
    for end in ("-wal", "-shm"):
        path.with_name(FILE + end).write_bytes(garbage)
    opened = Opened(tmp_path)
    opened.keep(answer(b"new"))
    aside = path.with_suffix(".corrupt")
    assert opened.warnings == [f"the stored answers in {path} are broken; they are set aside as {aside.name}"]
    assert aside.read_bytes() == garbage
    stored = opened.store.find(ask())
    assert stored is not None
    assert stored.body == b"new"
    opened.store.close()
    assert integrity(path) == "ok"
    again = Opened(tmp_path)
    again.store.close()
    assert (again.warnings, len(opened.warnings)) == ([], 1)


@pytest.mark.parametrize("beginning", [b"", b"S"], ids=repr)
async def test_a_file_that_has_hardly_begun_is_a_new_store(tmp_path: Path, beginning: bytes) -> None:
    (tmp_path / FILE).write_bytes(beginning)
    opened = Opened(tmp_path)
    opened.keep(answer())
    assert (opened.store.contents().answers, opened.warnings) == (1, [])
    opened.store.close()


async def test_a_file_that_is_broken_inside_is_set_aside_when_that_is_met(tmp_path: Path) -> None:
    first = Opened(tmp_path)
    for number in range(100):
        first.keep(answer(os.urandom(2000)), ask(f"{HERE}/{number}"))
    first.store.close()
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        roots = connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'answers'").fetchall()
    with path.open("r+b") as file:
        for (root,) in roots:
            file.seek((root - 1) * size)
            file.write(b"\xff" * size)
    opened = Opened(tmp_path)
    upstream = Upstream(answer(b"new"))
    cached = opened.cached(upstream)
    for _ in range(2):
        response = await cached(ask())
        assert response.body == b"new"
        opened.keep(response)
    opened.store.close()
    assert opened.warnings == [
        f"the stored answers in {path} are broken; they are set aside as {path.with_suffix('.corrupt').name}"
    ]
    again = Opened(tmp_path)
    assert (again.store.contents().answers, again.warnings) == (1, [])
    again.store.close()


async def use_all_of(opened: Opened) -> None:
    """Do all that can be done with a store that does not work, which must go on as if there were none."""
    store, upstream = opened.store, Upstream(answer(b"new"))
    for _ in range(3):
        opened.keep(answer(b"old"))
        store.forget(ask(f"{HERE}/b"))
        store.remember_move("service", HERE, THERE, START)
        store.remember_quota("core", TOKEN, Quota(60, 1, START + HOUR))
        assert (await opened.cached(upstream)(ask())).body == b"new"
        with pytest.raises(NotStoredError):
            await Offline(store)(ask())
        assert store.move("service", HERE, START) is None
        assert store.quota("core", TOKEN, START) is None
        contents = store.contents()
        assert (contents.answers, contents.oldest, contents.newest) == (0, None, None)
        store.clear()
    store.close()
    store.close()


def as_a_file(folder: Path) -> Path:
    folder.touch()
    return folder


def below_a_file(folder: Path) -> Path:
    return as_a_file(folder) / "pkgharvest"


def with_a_folder_as_file(folder: Path) -> Path:
    (folder / FILE).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("make", [as_a_file, below_a_file, with_a_folder_as_file])
async def test_without_a_place_to_store_there_is_one_warning_and_all_goes_on(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    opened = Opened(make(tmp_path / "cache"))
    await use_all_of(opened)
    (warning,) = opened.warnings
    assert warning.startswith(
        f"the stored answers in {opened.store.path} cannot be used, so all is asked anew"
    )


@pytest.mark.parametrize("table", ["answers", "moves", "quotas"])
async def test_a_database_that_fails_in_the_middle_is_done_without_after_one_warning(
    tmp_path: Path, table: str
) -> None:
    opened = Opened(tmp_path)
    opened.keep(answer(b"old"))
    with closing(sqlite3.connect(opened.store.path)) as connection, connection:
        connection.execute(f"DROP TABLE {table}")
    opened.store.find(ask())
    opened.store.move("service", HERE, START)
    opened.store.quota("core", TOKEN, START)
    await use_all_of(opened)
    (warning,) = opened.warnings
    assert warning.endswith(f"no such table: {table}")
    again = Opened(tmp_path)
    again.keep(answer())
    assert (again.store.contents().answers, again.warnings) == (1, [])
    again.store.close()


# Several processes, and killed ones.

WRITER = """
import sys
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from pkgharvest.net.cache import Store
from pkgharvest.net.message import Request, Response

folder, name, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = Store(folder, lambda text: print("warning:", text, flush=True))
for number in islice(count(), most or None):
    for path in (f"{name}/{number}", f"shared/{number % 5}"):
        request = Request("service", f"https://here.example/{path}", lambda response: response)
        body = path.encode() * 500
        store.keep(request, Response(request.url, 200, {"etag": path}, body, datetime.now(UTC), body))
        assert store.find(request) is not None
    print(number, flush=True)
store.close()
"""


def writing(folder: Path, name: str, most: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(most)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def bodies(folder: Path) -> dict[str, bytes]:
    """Return the bodies by their tags, from a file that must be whole."""
    assert integrity(folder / FILE) == "ok"
    with closing(sqlite3.connect(folder / FILE)) as connection:
        rows = connection.execute("SELECT headers, body FROM answers").fetchall()
    return {json.loads(headers)["etag"]: body for headers, body in rows}


async def test_several_processes_write_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    writers = [writing(folder, f"process-{number}", 50) for number in range(4)]
    told = [writer.communicate(timeout=60)[0].splitlines() for writer in writers]
    assert told == [[str(number) for number in range(50)]] * 4
    assert [writer.returncode for writer in writers] == [0] * 4
    found = bodies(folder)
    assert len(found) == 4 * 50 + 5
    assert all(body == tag.encode() * 500 for tag, body in found.items())
    with closing(sqlite3.connect(folder / FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM salts").fetchone() == (1,)


async def test_a_process_killed_at_any_moment_leaves_a_whole_file_with_all_that_it_said(
    tmp_path: Path,
) -> None:
    chance = random.Random(3)  # noqa: S311  moments, no secrets
    for turn in range(10):
        lines = chance.choice([0, 1, 2, chance.randrange(300)])
        with writing(tmp_path, f"turn-{turn}") as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline().strip() for _ in range(lines)]
            writer.kill()
            said += writer.stdout.read().split()
        opened = Opened(tmp_path)
        opened.store.close()
        assert opened.warnings == []
        found = bodies(tmp_path)
        assert "warning:" not in said
        assert {f"turn-{turn}/{number}" for number in said} <= set(found)
        assert all(body == tag.encode() * 500 for tag, body in found.items())


# Under a fetcher.


def strict(response: Response) -> str:
    match response.status, response.body:
        case 200, b"cut":
            raise UnreadableError("the body is not whole")
        case 200, b"[]":
            raise MalformedError("the body is a list")
        case 200, body:
            return body.decode()
        case 403, _:
            raise RefusedError("blocked")
        case _:
            raise NotFoundError("missing")


def fetcher(exchange: Exchange, memory: Memory) -> Fetcher:
    policy, patience = RetryPolicy(random=random.Random(1)), Patience(0)  # noqa: S311  jitter, no secret
    return Fetcher(exchange, JumpingClock(START), policy=policy, patience=patience, rules={}, memory=memory)


def ask_strictly(url: str = URL, token: Token | None = TOKEN) -> Request[str]:
    return Request("service", url, strict, token=token)


@pytest.mark.parametrize(
    ("response", "error", "kept"),
    [
        (answer(b"yes"), None, True),
        (answer(b"", 404), NotFoundError, True),
        (answer(b"", 403), RefusedError, False),
        (answer(b"cut"), UnreadableError, False),
        (answer(b"[]"), MalformedError, False),
    ],
    ids=["whole", "missing", "refused", "cut off", "malformed"],
)
async def test_a_fetcher_keeps_only_what_was_understood(
    opened: Opened, response: Response, error: type[PkgharvestError] | None, kept: bool
) -> None:
    fetch = fetcher(opened.cached(Upstream(response)), opened.store)
    if error is None:
        await fetch(ask_strictly())
    else:
        with pytest.raises(error):
            await fetch(ask_strictly())
    assert opened.store.contents().answers == int(kept)


@pytest.mark.parametrize("body", [b"cut", b"[]"])
async def test_a_new_answer_that_is_not_understood_does_not_replace_the_old_one(
    opened: Opened, body: bytes
) -> None:
    opened.keep(answer(b"old"), ask_strictly())
    with pytest.raises((UnreadableError, MalformedError)):
        await fetcher(opened.cached(Upstream(answer(body))), opened.store)(ask_strictly())
    stored = opened.store.find(ask_strictly())
    assert stored is not None
    assert stored.body == b"old"


@pytest.mark.parametrize("body", [b"cut", b"[]"])
@pytest.mark.parametrize("is_fresh", [True, False], ids=["used unasked", "revalidated"])
async def test_a_stored_answer_that_is_not_understood_any_more_is_forgotten_and_asked_for_anew(
    opened: Opened, body: bytes, is_fresh: bool
) -> None:
    request = replace(ask_strictly(), believes_age=is_fresh)
    opened.keep(answer(body, headers={**BOTH, "cache-control": "max-age=900"}), request)
    new = answer(b"new")
    upstream = Upstream(*([new] if is_fresh else [answer(b"", 304), new]))
    fetch = fetcher(opened.cached(upstream), opened.store)
    assert (await fetch(request)).value == "new"
    revalidation = {"if-none-match": ETAG, "if-modified-since": DATE}
    assert upstream.validators == [*([] if is_fresh else [revalidation]), {}]
    stored = opened.store.find(request)
    assert stored is not None
    assert stored.body == b"new"
    assert fetch.gates["service"].costs == {"": Cost(sent=len(upstream.asked), charged=1)}


@pytest.mark.parametrize(
    ("token", "stored", "costs"),
    [
        pytest.param(TOKEN, answer(b"yes"), {"": Cost(1, 0)}, id="a 304 with a token is free"),
        pytest.param(None, answer(b"yes"), {"": Cost(1, 1)}, id="a 304 without one is not"),
        pytest.param(TOKEN, answer(b"", 404), {}, id="what is believed is not asked"),
    ],
)
async def test_a_second_run_costs(
    opened: Opened, token: Token | None, stored: Response, costs: dict[str, Cost]
) -> None:
    request = ask_strictly(token=token)
    opened.keep(stored, request)
    fetch = fetcher(opened.cached(Upstream(answer(b"", 304))), opened.store)
    if stored.status == 200:
        answered = await fetch(request)
        assert answered.value == "yes"
    else:
        with pytest.raises(NotFoundError):
            await fetch(request)
    assert {name: gate.costs for name, gate in fetch.gates.items()} == {"service": costs}


async def test_a_redirected_answer_is_revalidated_at_its_new_address(opened: Opened) -> None:
    away = answer(b"", 302, {"location": f"{HERE}/b"})
    upstream = Upstream(away, answer(b"yes"), away, answer(b"", 304))
    for _ in range(2):
        answered = await fetcher(opened.cached(upstream), opened.store)(ask_strictly())
        assert answered.value == "yes"
    assert [request.url for request in upstream.asked] == [URL, f"{HERE}/b"] * 2
    assert upstream.validators == [{}, {}, {}, {"if-none-match": ETAG, "if-modified-since": DATE}]


async def test_a_move_of_an_origin_is_remembered_by_the_next_fetcher(opened: Opened) -> None:
    gone = answer(b"", 301, {"location": f"{THERE}/a"})
    first = Upstream(gone, answer(b"a"))
    second = Upstream(answer(b"b"))
    for upstream, path, token in ((first, "a", None), (second, "b", None), (second, "c", TOKEN)):
        await fetcher(upstream, opened.store)(ask_strictly(f"{HERE}/{path}", token))
    assert [request.url for request in first.asked] == [f"{HERE}/a", f"{THERE}/a"]
    assert [request.url for request in second.asked] == [f"{THERE}/b", f"{HERE}/c"]


async def test_offline_a_fetcher_tells_what_is_not_stored_and_counts_nothing(opened: Opened) -> None:
    opened.keep(answer(b"yes"), ask_strictly())
    fetch = fetcher(Offline(opened.store), opened.store)
    assert (await fetch(ask_strictly())).value == "yes"
    with pytest.raises(NotStoredError):
        await fetch(ask_strictly(f"{HERE}/b"))
    assert fetch.gates["service"].costs == {}
