from __future__ import annotations

import asyncio
import gzip
import importlib.util
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import httpx
import pytest
import respx

from pkgharvest.errors import (
    OversizedError,
    SettingError,
    UnreachableError,
    UnreadableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.client import Bounds, Network
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.encoding import MIB, unpack
from pkgharvest.net.message import Request, Response, Token

pytestmark = pytest.mark.anyio

START = datetime(2026, 2, 15, 12, tzinfo=UTC)
BASE = "https://api.example"
JSON = b'{"name": "a package"}' * 50
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def network(bounds: Bounds | None = None) -> Network:
    return Network(
        JumpingClock(START), user_agent="pkgharvest/test", bounds=bounds or Bounds(), at_once={"service": 2}
    )


def ask(url: str, *, token: Token | None = None, body: bytes = b"", **headers: str) -> Request[Response]:
    return Request(
        "service",
        url,
        lambda response: response,
        headers=headers,
        method="POST" if body else "GET",
        body=body,
        token=token,
    )


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
    assert response == Response(f"{BASE}/a", 404, headers, b"nothing", START, b"nothing")


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


async def test_a_token_that_fits_no_header_is_not_shown(marked_token: str) -> None:
    async with serving(answering(b"never")) as url, network() as exchange:
        with pytest.raises(UnreachableError) as caught:
            await exchange(ask(url, token=Token(f"{marked_token}\n", "GITHUB_TOKEN")))
    assert marked_token not in str(caught.value)


# Real sockets.


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on this machine, one request a connection unless the function reads more; yield the address."""

    connections = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
    await asyncio.gather(*filter(None, connections))


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def answer_with(body: bytes, *headers: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {size}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answering(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(data)
        await writer.drain()

    return serve


def resetting(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(data)
        await writer.drain()
        connection = writer.get_extra_info("socket")
        # To close with a linger of no seconds is to reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return serve


async def staying_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def dripping(head: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(head)
        while not reader.at_eof():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    return serve


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "Gzip"])
async def test_a_gzip_body_is_unpacked_and_kept_as_it_came(encoding: str) -> None:
    packed = gzip.compress(JSON)
    data = answer_with(packed, f"Content-Encoding: {encoding}")
    async with serving(answering(data)) as url, network() as exchange:
        response = await exchange(ask(url))
    assert (response.status, response.body, response.wire) == (200, JSON, packed)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(answer_with(JSON), id="as it is"),
        pytest.param(answer_with(JSON, "Content-Encoding: identity"), id="identity"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + JSON, id="until the connection closes"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(JSON), JSON),
            id="chunked",
        ),
    ],
)
async def test_a_plain_body_is_left_as_it_is(data: bytes) -> None:
    async with serving(answering(data)) as url, network() as exchange:
        response = await exchange(ask(url))
    assert (response.status, response.body) == (200, JSON)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_is_empty_whatever_its_encoding(status: str) -> None:
    data = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n\r\n".encode()
    async with serving(answering(data)) as url, network() as exchange:
        response = await exchange(ask(url))
    assert (response.status, response.body) == (int(status[:3]), b"")


PACKED = gzip.compress(os.urandom(500))
BOMB = gzip.compress(bytes(20_000_000))


@dataclass(frozen=True)
class Fault:
    serve: Serve
    error: type[UpstreamError]
    text: str
    bounds: Bounds = field(default_factory=Bounds)


FAULTS = {
    "closed without an answer": Fault(answering(b""), UnreachableError, "closed the connection"),
    "reset without an answer": Fault(resetting(b""), UnreachableError, "the connection broke"),
    "no HTTP": Fault(answering(b"SSH-2.0-OpenSSH_9.6\r\n"), UnreachableError, "did not answer in HTTP"),
    "reset amid the body": Fault(
        resetting(answer_with(JSON, length=5000)), UnreachableError, "the connection broke"
    ),
    "a body shorter than its length": Fault(
        answering(answer_with(JSON, length=5000)), UnreachableError, "closed the connection"
    ),
    "cut between chunks": Fault(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        UnreachableError,
        "closed the connection",
    ),
    "cut gzip and a clean end": Fault(
        answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + PACKED[:-100]),
        UnreadableError,
        "incomplete body",
    ),
    "gzip without its last byte": Fault(
        answering(answer_with(PACKED[:-1], "Content-Encoding: gzip")), UnreadableError, "incomplete body"
    ),
    "no gzip": Fault(
        answering(answer_with(JSON, "Content-Encoding: gzip")), UnreadableError, "broken compression"
    ),
    "gzip with a wrong checksum": Fault(
        answering(answer_with(PACKED[:-8] + bytes(8), "Content-Encoding: gzip")),
        UnreadableError,
        "broken compression",
    ),
    "an encoding that was not asked for": Fault(
        answering(answer_with(JSON, "Content-Encoding: br")), UnreadableError, "not asked for: 'br'"
    ),
    "two encodings": Fault(
        answering(answer_with(PACKED, "Content-Encoding: gzip", "Content-Encoding: gzip")),
        UnreadableError,
        "not asked for: 'gzip, gzip'",
    ),
    "a body over the bound": Fault(
        answering(answer_with(bytes(3 * MIB))),
        OversizedError,
        "more than 1 MiB",
        Bounds(wire=MIB),
    ),
    "a body without end over the bound": Fault(
        answering(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(3 * MIB)),
        OversizedError,
        "more than 1 MiB",
        Bounds(wire=MIB),
    ),
    "a gzip bomb": Fault(
        answering(answer_with(BOMB, "Content-Encoding: gzip")),
        OversizedError,
        "unpacks to more than 2 MiB",
        Bounds(unpacked=2 * MIB),
    ),
    "a host that drips its body": Fault(
        dripping(b"HTTP/1.1 200 OK\r\n\r\n"), UnreachableError, "took longer than", Bounds(total=0.2)
    ),
    "a host that drips its head": Fault(
        dripping(b"HTTP/1.1 200 OK\r\nX: "), UnreachableError, "took longer than", Bounds(total=0.2)
    ),
    "a silent host": Fault(staying_silent, UnreachableError, "no answer in time", Bounds(read=0.2)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_host_is_named_in_one_line_and_soon(fault: Fault) -> None:
    async with serving(fault.serve) as url, network(fault.bounds) as exchange:
        started = monotonic()
        with pytest.raises(UpstreamError) as caught:
            await exchange(ask(url))
        took = monotonic() - started
    message = str(caught.value)
    assert type(caught.value) is fault.error
    assert fault.text in message
    assert message.startswith(url.removeprefix("http://").removesuffix("/a"))
    assert "\n" not in message
    assert took < 2


async def test_after_a_fault_the_next_request_succeeds() -> None:
    turns = iter([answer_with(JSON, length=5000), answer_with(b"whole")])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(next(turns))(reader, writer)

    async with serving(serve) as url, network() as exchange:
        with pytest.raises(UnreachableError):
            await exchange(ask(url))
        assert (await exchange(ask(url))).body == b"whole"


async def test_a_refused_connection_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with network() as exchange:
            with pytest.raises(
                UnreachableError, match=rf"^127\.0\.0\.1:{port} cannot be reached: no connection"
            ):
                await exchange(ask(f"http://127.0.0.1:{port}/"))


async def test_requests_one_after_the_other_share_a_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await head_of(reader)
            writer.write(answer_with(gzip.compress(JSON), "Content-Encoding: gzip"))
            await writer.drain()

    async with serving(serve) as url, network() as exchange:
        bodies = [(await exchange(ask(url))).body for _ in range(80)]
    assert (set(bodies), len(bodies), connections) == ({JSON}, 80, 1)


# Compression on its own.


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


# TLS.


@dataclass(frozen=True)
class Certificate:
    file: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([openssl, "req", "-x509", *kind, *subject, *files], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return Certificate(folder / "certificate.pem", server)


async def test_a_host_with_a_certificate_of_its_own_making_is_not_trusted(certificate: Certificate) -> None:
    async with serving(answering(answer_with(JSON)), certificate.server) as url, network() as exchange:
        with pytest.raises(UntrustedError) as caught:
            await exchange(ask(url))
    host = url.removeprefix("https://").removesuffix("/a")
    assert caught.value.message == f"the certificate of {host} cannot be verified"
    assert "SSL_CERT_FILE" in caught.value.advice


async def test_a_certificate_named_in_the_environment_is_trusted(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    async with serving(answering(answer_with(JSON)), certificate.server) as url, network() as exchange:
        assert (await exchange(ask(url))).body == JSON


async def test_tls_that_breaks_amid_the_body_is_a_broken_connection(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer_with(JSON, length=5000))
        await writer.drain()
        # A record of TLS that nobody has sealed, past the layer that would.
        os.write(writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        await reader.read()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    async with serving(serve, certificate.server) as url, network(Bounds(read=0.4)) as exchange:
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await exchange(ask(url))


async def test_a_host_without_tls_where_it_is_expected_cannot_be_reached() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(serve) as url, network() as exchange:
        with pytest.raises(UnreachableError) as caught:
            await exchange(ask(url.replace("http://", "https://")))
    assert type(caught.value) is UnreachableError


# The environment.


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "http://proxy.example:no-number"),
        ("https_proxy", "http://127.0.0.1:99999"),
        ("http_proxy", "127.0.0.1:99999"),
        ("HTTP_PROXY", "http://user:hidden@proxy.example:no-number"),
        ("HTTP_PROXY", "http://user:hidden/word@proxy.example:8080"),
        ("HTTP_PROXY", "http://user:hidden#word@proxy.example:8080"),
        ("ALL_PROXY", "ftp://user:hidden@proxy.example"),
        pytest.param(
            "ALL_PROXY",
            "socks5://user:hidden@127.0.0.1:1",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("socksio") is not None, reason="SOCKS is supported here"
            ),
        ),
        ("NO_PROXY", "fd00::/8"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("SSL_CERT_FILE", os.devnull),
        ("SSL_CERT_FILE", "/"),
    ],
)
def test_a_bad_environment_is_told_by_the_names_of_its_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError) as caught:
        network()
    message = str(caught.value)
    assert variable.upper() in message
    assert "hidden" not in message
    assert "\n" not in message


async def test_hosts_that_need_no_proxy_are_asked_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:8080")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,::1,localhost:99999,.here.example")
    async with serving(answering(answer_with(JSON))) as url, network() as exchange:
        assert (await exchange(ask(url))).body == JSON


async def test_a_proxy_that_is_not_there_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hidden@127.0.0.1:{unused.getsockname()[1]}")
        async with network() as exchange:
            with pytest.raises(UnreachableError) as caught:
                await exchange(ask("http://api.example/a"))
    assert str(caught.value).startswith("api.example cannot be reached: ")
    assert "hidden" not in str(caught.value)


async def test_a_proxy_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(refusal)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.removesuffix("/a"))
        async with network() as exchange:
            with pytest.raises(UnreachableError, match=r"^api\.example cannot be reached: the proxy refused"):
                await exchange(ask(f"{BASE}/a"))
