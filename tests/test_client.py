from __future__ import annotations

import errno
import gzip
import os
import tracemalloc

import httpx
import pytest
import respx

from pkgharvest.errors import OversizedError, UpstreamError
from pkgharvest.net.client import translated
from pkgharvest.net.encoding import MIB, unpack
from pkgharvest.net.message import Response, Token
from services import NOW, ask, network

pytestmark = pytest.mark.anyio

BASE = "https://api.example"


# What is sent, and every error of httpx.


@pytest.mark.parametrize("signed", [False, True])
async def test_a_request_bears_these_headers(marked_token: str, signed: bool) -> None:
    token = Token(marked_token, "GITHUB_TOKEN") if signed else None
    with respx.mock(base_url=BASE) as api:
        route = api.get("/a", params={"page": "2"}).respond(200, json={})
        async with network() as exchange:
            await exchange(ask(f"{BASE}/a?page=2", token=token, accept="application/json"))
    headers = dict(route.calls.last.request.headers)
    assert headers.pop("connection") == "keep-alive"
    assert headers == {
        "host": "api.example",
        "user-agent": "pkgharvest/test",
        "accept": "application/json",
        "accept-encoding": "gzip",
        **({"authorization": f"Bearer {marked_token}"} if signed else {}),
    }


async def test_a_token_is_not_kept_for_the_next_request(marked_token: str) -> None:
    with respx.mock(base_url=BASE) as api:
        route = api.get("/a").respond(200)
        async with network() as exchange:
            await exchange(ask(f"{BASE}/a", token=Token(marked_token, "GITHUB_TOKEN")))
            await exchange(ask(f"{BASE}/a"))
    assert ["authorization" in call.request.headers for call in route.calls] == [True, False]


async def test_a_body_is_posted_as_it_is() -> None:
    with respx.mock(base_url=BASE) as api:
        route = api.post("/graphql").respond(200, json={})
        async with network() as exchange:
            await exchange(ask(f"{BASE}/graphql", body=b'{"query": "\xc3\xa4"}'))
    sent = route.calls.last.request
    assert (sent.content, sent.headers["content-length"]) == (b'{"query": "\xc3\xa4"}', "15")


async def test_the_answer_is_returned_whole_with_headers_in_lower_case_and_the_time() -> None:
    with respx.mock(base_url=BASE) as api:
        api.get("/a").respond(404, content=b"nothing", headers={"X-RateLimit-Limit": "60"})
        async with network() as exchange:
            response = await exchange(ask(f"{BASE}/a"))
    headers = {"x-ratelimit-limit": "60", "content-length": "7"}
    assert response == Response(f"{BASE}/a", 404, headers, b"nothing", NOW, b"nothing")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_returned_not_followed(status: int) -> None:
    with respx.mock(base_url=BASE) as api:
        api.get("/a").respond(status, headers={"location": f"{BASE}/b"})
        async with network() as exchange:
            response = await exchange(ask(f"{BASE}/a"))
    assert (response.status, response.headers["location"]) == (status, f"{BASE}/b")


async def test_cookies_are_not_sent_back() -> None:
    with respx.mock(base_url=BASE) as api:
        route = api.get("/a").respond(200, headers={"set-cookie": "session=1"})
        async with network() as exchange:
            await exchange(ask(f"{BASE}/a"))
            await exchange(ask(f"{BASE}/a"))
    assert ["cookie" in call.request.headers for call in route.calls] == [False, False]


LEAK = "Illegal header value b'Bearer {}'\nsecond line"
# Texts of the resolver and the operating system; the request's headers are not made yet.
NO_HEADERS_IN_THESE: dict[type[Exception], str] = {httpx.ConnectError: "[Errno -2] Name or service not known"}
# Cookies are never looked up by name.
NOT_OF_A_REQUEST = {httpx.CookieConflict}


def _errors_of_httpx() -> list[type[Exception]]:
    everything = (getattr(httpx, name) for name in httpx.__all__)
    errors = [thing for thing in everything if isinstance(thing, type) and issubclass(thing, Exception)]
    return [error for error in errors if error not in NOT_OF_A_REQUEST]


def _instance(kind: type[Exception], text: str) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        request = httpx.Request("GET", BASE)
        return kind(text, request=request, response=httpx.Response(500, request=request))
    if issubclass(
        kind, (httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead)
    ):
        return kind()
    return kind(text)


def test_the_walk_over_the_errors_of_httpx_meets_all_families() -> None:
    errors = _errors_of_httpx()
    assert {httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.DecodingError} <= set(errors)
    assert len(errors) >= 25


@pytest.mark.parametrize("kind", _errors_of_httpx(), ids=lambda kind: kind.__name__)
async def test_every_error_of_httpx_becomes_one_of_ours_in_one_line_without_the_token(
    kind: type[Exception], marked_token: str
) -> None:
    text = NO_HEADERS_IN_THESE.get(kind, LEAK.format(marked_token))
    with respx.mock(base_url=BASE) as api:
        api.get("/a").mock(side_effect=_instance(kind, text))
        async with network() as exchange:
            with pytest.raises(UpstreamError) as caught:
                await exchange(ask(f"{BASE}/a", token=Token(marked_token, "GITHUB_TOKEN")))
    message = str(caught.value)
    assert message.startswith("api.example ")
    assert "\n" not in message
    assert marked_token not in message


# Compression on its own.

BOMB = gzip.compress(bytes(20_000_000))


@pytest.mark.parametrize("size", [0, 1, 1000, 4096])
def test_a_body_as_large_as_the_bound_is_unpacked(size: int) -> None:
    body = os.urandom(size)
    assert unpack(gzip.compress(body), "gzip", max(size, 1), "api.example") == body


@pytest.mark.parametrize("body", [bytes(1001), os.urandom(1001), bytes(1000 + 258)], ids=len)
def test_a_body_larger_than_the_bound_is_refused(body: bytes) -> None:
    with pytest.raises(OversizedError):
        unpack(gzip.compress(body), "gzip", 1000, "api.example")


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OversizedError):
            unpack(BOMB, "gzip", MIB, "api.example")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_causes_that_go_in_a_circle_are_looked_through_once() -> None:
    first, second = httpx.ConnectError("first"), OSError(errno.EMFILE, "second")
    first.__cause__, second.__cause__ = second, ExceptionGroup("tried", [first])
    told = translated(first, "api.example")
    assert str(told) == (
        "api.example cannot be reached: this process has too many open files. "
        "Raise the limit (ulimit -n), or lower --jobs"
    )
