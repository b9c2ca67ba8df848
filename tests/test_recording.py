from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.errors import (
    NotRecordedError,
    OversizedError,
    PkgharvestError,
    SettingError,
    UnreachableError,
    UnreadableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.message import Request, Response, Token
from pkgharvest.net.recording import Origins, Recorder, Replay

pytestmark = pytest.mark.anyio

T = TypeVar("T")

START = datetime(2026, 2, 15, 12, tzinfo=UTC)
HERE = "https://here.example"
THERE = "https://there.example"
ORIGINS = Origins(github=HERE, pypi=THERE, catalog=THERE, signed=True)


class TickingClock:
    """A clock on which a part of a second passes with every look at it."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return START + timedelta(microseconds=1_000_003 * (self.looks - 1))

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a recording waits {seconds} s")


class Upstream:
    """Gives one outcome after the other, whatever is asked."""

    def __init__(self, outcomes: Sequence[Response | Exception]) -> None:
        self.outcomes = iter(outcomes)

    async def __call__(self, _: Request[T]) -> Response:
        outcome = next(self.outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def ask(url: str, body: bytes = b"", token: Token | None = None, **headers: str) -> Request[Response]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    method = "POST" if body else "GET"
    return Request("service", url, lambda response: response, names, method, body, token)


def answer(url: str, body: bytes = b"{}", status: int = 200, **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(url, status, names, body, START + timedelta(minutes=1))


async def recorded(*exchanges: tuple[Request[Response], Response | Exception]) -> bytes:
    """Return the archive of a run."""
    out = bytearray()
    upstream = Upstream([outcome for _, outcome in exchanges])
    recorder = Recorder(upstream, TickingClock(), out.extend, ORIGINS)
    for request, outcome in exchanges:
        if isinstance(outcome, Exception):
            with pytest.raises(type(outcome)) as caught:
                await recorder(request)
            assert caught.value is outcome
        else:
            assert await recorder(request) is outcome
    recorder.finish()
    return bytes(out)


# http://www.softwareishard.com/blog/har-12-spec/ : the fields that are not optional. A list of one
# shape stands for any number of such values, None for what may hold anything.
_PAIR: dict[str, Any] = {"name": str, "value": str}
_NUMBER = (int, float)
_ENTRY: dict[str, Any] = {
    "startedDateTime": str,
    "time": _NUMBER,
    "request": {
        "method": str,
        "url": str,
        "httpVersion": str,
        "cookies": [_PAIR],
        "headers": [_PAIR],
        "queryString": [_PAIR],
        "headersSize": int,
        "bodySize": int,
    },
    "response": {
        "status": int,
        "statusText": str,
        "httpVersion": str,
        "cookies": [_PAIR],
        "headers": [_PAIR],
        "content": {"size": int, "mimeType": str},
        "redirectURL": str,
        "headersSize": int,
        "bodySize": int,
    },
    "cache": {},
    "timings": {"send": _NUMBER, "wait": _NUMBER, "receive": _NUMBER},
}
_HAR: dict[str, Any] = {
    "log": {"version": str, "creator": {"name": str, "version": str}, "entries": [_ENTRY]},
}
_OPTIONAL = {
    "log": {"browser", "pages", "comment"},
    "request": {"postData", "comment"},
    "response": {"comment"},
    "content": {"compression", "text", "encoding", "comment"},
    "timings": {"blocked", "dns", "connect", "ssl", "comment"},
    "entries": {"pageref", "serverIPAddress", "connection", "comment"},
}


def problems(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return where a value differs from a shape of the specification."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [found for item in value for found in problems(item, shape[0], path)]
    if not isinstance(shape, dict):
        return [] if isinstance(value, shape) else [f"{path} is {value!r}"]
    if not isinstance(value, dict):
        return [f"{path} is no object"]
    missing = [f"{path}.{name} is missing" for name in shape if name not in value]
    known = set(shape) | _OPTIONAL.get(path.rpartition(".")[2], set())
    unknown = [
        f"{path}.{name} is unknown" for name in value if name not in known and not name.startswith("_")
    ]
    inner = [
        f for name in shape if name in value for f in problems(value[name], shape[name], f"{path}.{name}")
    ]
    return missing + unknown + inner


async def test_an_archive_is_har_1_2_on_every_level(marked_token: str) -> None:
    archive = await recorded(
        (
            ask(f"{HERE}/a?page=2&page=3&q=a+b%26c", accept="application/json"),
            answer(f"{HERE}/a", b'{"a": "\xc3\xa4"}'),
        ),
        (
            ask(f"{HERE}/graphql", b'{"query": ""}', Token(marked_token, "GH_TOKEN")),
            answer(f"{HERE}/graphql"),
        ),
        (ask(f"{HERE}/b"), answer(f"{HERE}/b", b"", 301, location=f"{THERE}/b")),
        (ask(f"{HERE}/c"), answer(f"{HERE}/c", b"\xff\x00", 599, content_type="image/png")),
        (ask(f"{HERE}/d"), UnreachableError("here.example cannot be reached")),
    )
    har = json.loads(archive)
    assert problems(har, _HAR) == []
    log = har["log"]
    assert (log["version"], log["creator"]["name"], log["pages"]) == ("1.2", "pkgharvest", [])
    assert [entry["request"]["method"] for entry in log["entries"]] == ["GET", "POST", "GET", "GET", "GET"]
    pairs = [("page", "2"), ("page", "3"), ("q", "a b&c")]
    assert log["entries"][0]["request"]["queryString"] == [{"name": n, "value": v} for n, v in pairs]
    assert log["entries"][1]["request"]["postData"] == {
        "mimeType": "application/json",
        "text": '{"query": ""}',
    }
    statuses = [(entry["response"]["status"], entry["response"]["statusText"]) for entry in log["entries"]]
    assert statuses == [(200, "OK"), (200, "OK"), (301, "Moved Permanently"), (599, ""), (0, "")]
    assert log["entries"][2]["response"]["redirectURL"] == f"{THERE}/b"
    assert log["entries"][3]["response"]["content"]["mimeType"] == "image/png"
    for entry in log["entries"]:
        assert datetime.fromisoformat(entry["startedDateTime"]).utcoffset() == timedelta(0)
        assert sum(entry["timings"].values()) == entry["time"] >= 0


async def test_an_empty_parameter_is_among_the_parameters() -> None:
    har = json.loads(await recorded((ask(f"{HERE}/a?since=&page=2"), answer(f"{HERE}/a"))))
    pairs = [{"name": "since", "value": ""}, {"name": "page", "value": "2"}]
    assert har["log"]["entries"][0]["request"]["queryString"] == pairs


async def test_an_archive_of_nothing_is_whole() -> None:
    archive = await recorded()
    assert problems(json.loads(archive), _HAR) == []
    replay = Replay(archive)
    assert replay.origins == ORIGINS
    with pytest.raises(NotRecordedError):
        await replay(ask(f"{HERE}/a"))


async def test_credentials_and_what_is_said_of_them_are_left_out(marked_token: str) -> None:
    private = {
        "Authorization": f"Bearer {marked_token}",
        "Proxy-Authorization": f"Basic {marked_token}",
        "Cookie": f"session={marked_token}",
        "Accept": "application/json",
    }
    told = {
        "set-cookie": f"session={marked_token}",
        "x-oauth-scopes": "repo, user",
        "x-accepted-oauth-scopes": "repo",
        "x-oauth-client-id": "client",
        "x-accepted-github-permissions": "contents=read",
        "github-authentication-token-expiration": "2026-12-31 00:00:00 UTC",
        "x-github-request-id": "ABCD:1234",
        "X-OAuth-Scopes": "repo",
        "etag": '"abc"',
    }
    token = Token(marked_token, "GITHUB_TOKEN")
    request = Request("service", f"{HERE}/a", lambda response: response, private, token=token)
    archive = await recorded((request, Response(f"{HERE}/a", 200, told, b"{}", START)))
    assert marked_token.encode() not in archive
    assert b"authorization" not in archive.lower()
    entry = json.loads(archive)["log"]["entries"][0]
    assert entry["request"]["headers"] == [{"name": "Accept", "value": "application/json"}]
    assert entry["response"]["headers"] == [{"name": "etag", "value": '"abc"'}]


BODIES = [
    b"",
    b"{}",
    "größer ☃".encode(),
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"a\r\nb\x00\x1b",
    b"\xed\xa0\x80",
]


@pytest.mark.parametrize("body", BODIES, ids=repr)
async def test_a_body_comes_back_to_the_byte(body: bytes) -> None:
    archive = await recorded((ask(f"{HERE}/a"), answer(f"{HERE}/a", body)))
    assert (await Replay(archive)(ask(f"{HERE}/a"))).body == body


async def test_what_is_no_text_is_written_in_base64() -> None:
    body = b"\x1f\x8b\xff\x00"
    har = json.loads(await recorded((ask(f"{HERE}/a"), answer(f"{HERE}/a", body, content_type="image/png"))))
    content = {"size": 4, "mimeType": "image/png", "text": b64encode(body).decode(), "encoding": "base64"}
    assert har["log"]["entries"][0]["response"]["content"] == content


async def test_requests_are_told_apart_by_method_url_and_body() -> None:
    one, two = (ask(f"{HERE}/graphql", body) for body in (b'{"query": 1}', b'{"query": 2}'))
    plain = ask(f"{HERE}/graphql")
    archive = await recorded(
        (one, answer(f"{HERE}/graphql", b"1")),
        (two, answer(f"{HERE}/graphql", b"2")),
        (plain, answer(f"{HERE}/graphql", b"3")),
    )
    replay = Replay(archive)
    assert [(await replay(request)).body for request in (plain, two, one)] == [b"3", b"2", b"1"]


async def test_a_repeated_request_is_answered_in_the_recorded_order_and_then_by_the_last_for_good() -> None:
    request = ask(f"{HERE}/a")
    archive = await recorded(*[(request, answer(f"{HERE}/a", body)) for body in (b"1", b"2", b"3")])
    replay = Replay(archive)
    assert [(await replay(request)).body for _ in range(5)] == [b"1", b"2", b"3", b"3", b"3"]


@pytest.mark.parametrize("kind", [UnreachableError, UntrustedError, UnreadableError, OversizedError])
async def test_an_error_is_recorded_and_raised_again(kind: type[UpstreamError]) -> None:
    request = ask(f"{HERE}/a")
    error = kind("here.example cannot be reached", "Try again later")
    archive = await recorded((request, error), (request, answer(f"{HERE}/a", b"at last")))
    assert json.loads(archive)["log"]["entries"][0]["response"]["status"] == 0
    replay = Replay(archive)
    with pytest.raises(UpstreamError) as caught:
        await replay(request)
    assert (type(caught.value), str(caught.value)) == (kind, str(error))
    assert (await replay(request)).body == b"at last"


async def test_an_error_that_is_not_of_the_upstream_leaves_the_archive_whole() -> None:
    archive = await recorded(
        (ask(f"{HERE}/a"), KeyError("a bug")), (ask(f"{HERE}/b"), answer(f"{HERE}/b", b"answer"))
    )
    assert len(json.loads(archive)["log"]["entries"]) == 1
    assert (await Replay(archive)(ask(f"{HERE}/b"))).body == b"answer"


@given(
    body=st.binary(),
    values=st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), max_size=4),
    status=st.integers(100, 599),
    late=st.timedeltas(timedelta(0), timedelta(days=2)),
)
async def test_any_answer_survives(body: bytes, values: list[str], status: int, late: timedelta) -> None:
    headers = {f"x-header-{number}": value for number, value in enumerate(values)}
    response = Response(f"{HERE}/a", status, headers, body, START + late)
    archive = await recorded((ask(f"{HERE}/a"), response))
    assert problems(json.loads(archive), _HAR) == []
    assert await Replay(archive)(ask(f"{HERE}/a")) == replace(response, wire=body)


async def test_the_clock_of_a_replay_starts_with_the_first_request() -> None:
    archive = await recorded(*[(ask(f"{HERE}/{path}"), answer(f"{HERE}/{path}")) for path in "ab"])
    entries = json.loads(archive)["log"]["entries"]
    backwards = json.dumps({"log": {"entries": entries[::-1]}}).encode()
    assert (Replay(archive).started, Replay(backwards).started) == (START, START)


async def test_the_clock_of_a_replay_starts_with_the_run_where_the_recording_tells() -> None:
    earlier = START - timedelta(minutes=5)
    out = bytearray()
    upstream = Upstream([answer(f"{HERE}/a")])
    recorder = Recorder(
        upstream, TickingClock(), out.extend, msgspec.structs.replace(ORIGINS, started=earlier)
    )
    await recorder(ask(f"{HERE}/a"))
    recorder.finish()
    replay = Replay(bytes(out))
    assert (replay.started, replay.origins) == (earlier, msgspec.structs.replace(ORIGINS, started=earlier))


async def test_after_a_move_a_request_is_found_under_either_address() -> None:
    archive = await recorded(
        (ask(f"{HERE}/a?x=1"), answer(f"{HERE}/a?x=1", b"", 301, location=f"{THERE}/a?x=1")),
        (ask(f"{THERE}/a?x=1"), answer(f"{THERE}/a?x=1", b"a")),
        (ask(f"{THERE}/b?y=2"), answer(f"{THERE}/b?y=2", b"b")),
    )
    replay = Replay(archive)
    assert (await replay(ask(f"{HERE}/a?x=1"))).status == 301
    for origin in (HERE, THERE):
        response = await replay(ask(f"{origin}/b?y=2"))
        assert (response.url, response.body) == (f"{THERE}/b?y=2", b"b")


async def test_a_redirect_to_another_path_moves_nothing() -> None:
    archive = await recorded(
        (ask(f"{HERE}/a"), answer(f"{HERE}/a", b"", 301, location=f"{THERE}/elsewhere")),
        (ask(f"{THERE}/b"), answer(f"{THERE}/b", b"b")),
    )
    with pytest.raises(NotRecordedError):
        await Replay(archive)(ask(f"{HERE}/b"))


@pytest.mark.parametrize(
    "location",
    ["/b", "//there.example/b", "https://here.example:99999/a", "https://[::1/a", "ftp://x/a", "https://"],
)
async def test_any_location_comes_back_as_it_was(location: str) -> None:
    archive = await recorded((ask(f"{HERE}/a"), answer(f"{HERE}/a", b"", 302, location=location)))
    assert (await Replay(archive)(ask(f"{HERE}/a"))).headers == {"location": location}


async def test_what_was_not_asked_is_named() -> None:
    replay = Replay(await recorded((ask(f"{HERE}/a"), answer(f"{HERE}/a"))))
    with pytest.raises(
        NotRecordedError, match=r"^the recording holds no answer to POST https://here\.example/a\?b=c"
    ):
        await replay(ask(f"{HERE}/a?b=c", b"{}"))


def har(**changes: Any) -> bytes:
    """Return an archive of one entry with some of its fields changed."""
    entry = {
        "startedDateTime": "2026-02-15T12:00:00.000Z",
        "time": 5,
        "request": {
            "method": "GET",
            "url": f"{HERE}/a",
            "httpVersion": "HTTP/2",
            "cookies": [],
            "headers": [],
            "queryString": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "",
            "httpVersion": "HTTP/2",
            "cookies": [],
            "headers": [],
            "content": {"size": 2, "mimeType": "application/json", "text": "{}"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 5, "receive": 0},
        **changes,
    }
    return json.dumps({"log": {"version": "1.2", "creator": {}, "entries": [entry]}}).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"no json",
        b"[]",
        b"{}",
        b'{"log": {}}',
        b'{"log": {"entries": {}}}',
        b'{"log": {"entries": [{}]}}',
        b'{"log": {"entries": []}',
        b"[" * 100_000,
        har(time="long"),
        har(startedDateTime="yesterday"),
        har(startedDateTime="2026-02-15T12:00:00.000"),
        har(response=None),
    ],
    ids=lambda text: text[:40].decode(errors="replace"),
)
def test_what_is_no_archive_is_refused(text: bytes) -> None:
    with pytest.raises(SettingError) as caught:
        Replay(text)
    assert str(caught.value).startswith("the recording is no HTTP Archive: ")


def _with_content(**content: Any) -> bytes:
    entry = json.loads(har())["log"]["entries"][0]
    entry["response"]["content"] = {"size": 1, "mimeType": "", **content}
    return har(**entry)


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(_with_content(text="x", encoding="base64"), id="half a group of base64"),
        pytest.param(_with_content(text="ä", encoding="base64"), id="base64 that is not ASCII"),
        pytest.param(_with_content(text="\ud800"), id="half a character"),
        pytest.param(har(time=1e30), id="a time beyond all dates"),
        pytest.param(har(startedDateTime="9999-12-31T23:59:59.999Z"), id="a date at the end of all dates"),
    ],
)
async def test_a_broken_answer_of_an_archive_is_an_error_of_ours(archive: bytes) -> None:
    with pytest.raises(PkgharvestError):
        await Replay(archive)(ask(f"{HERE}/a"))


def browser_archive() -> bytes:
    """Return an archive with the fields that browsers add to what they export."""
    entry = json.loads(har())["log"]["entries"][0]
    entry["_initiator"] = {"type": "other"}
    entry["_priority"] = "VeryHigh"
    entry["pageref"] = "page_1"
    entry["serverIPAddress"] = "192.0.2.1"
    entry["connection"] = "443"
    entry["startedDateTime"] = "2026-02-15T13:00:00.500+01:00"
    entry["time"] = 12.345678
    entry["cache"] = {"afterRequest": None}
    entry["timings"] = {
        "blocked": 1.5,
        "dns": -1,
        "connect": -1,
        "ssl": -1,
        "send": 0.1,
        "wait": 10,
        "receive": 1,
    }
    entry["request"]["headers"] = [{"name": ":authority", "value": "here.example"}]
    entry["request"]["cookies"] = [{"name": "a", "value": "b", "httpOnly": True, "expires": None}]
    entry["response"]["headers"] = [{"name": "Content-Type", "value": "application/json"}]
    entry["response"]["_transferSize"] = 300
    entry["response"]["_error"] = None
    entry["response"]["content"]["compression"] = 10
    form = json.loads(json.dumps(entry))
    form["request"] |= {"method": "POST", "url": f"{HERE}/form"}
    form["request"]["postData"] = {
        "mimeType": "application/x-www-form-urlencoded",
        "params": [{"name": "a", "value": "b"}],
    }
    log = {
        "version": "1.2",
        "creator": {"name": "WebInspector", "version": "537.36"},
        "browser": {"name": "A browser", "version": "1"},
        "pages": [
            {"startedDateTime": "2026-02-15T12:00:00.000Z", "id": "page_1", "title": "", "pageTimings": {}}
        ],
        "entries": [entry, form],
        "comment": "",
    }
    return json.dumps({"log": log}).encode()


async def test_an_archive_that_a_browser_exported_is_replayed() -> None:
    replay = Replay(browser_archive())
    assert replay.origins is None
    received = datetime(2026, 2, 15, 12, 0, 0, 512_346, tzinfo=UTC)
    response = await replay(ask(f"{HERE}/a"))
    assert response == Response(
        f"{HERE}/a", 200, {"content-type": "application/json"}, b"{}", received, b"{}"
    )
    assert response.received.utcoffset() == timedelta(0)
