"""Faults on real sockets of this machine: what the user is told, how often is asked, for how long."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from pkgharvest.errors import (
    DownError,
    MalformedError,
    NotModifiedError,
    OversizedError,
    RedirectError,
    SettingError,
    UnreachableError,
    UnreadableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.cache import Cached, Store
from pkgharvest.net.client import Bounds
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.encoding import MIB
from pkgharvest.net.fetch import Fetcher
from pkgharvest.net.message import Exchange, Request, Token
from pkgharvest.net.quota import Patience, Rules
from pkgharvest.net.retry import RetryPolicy
from pkgharvest.sources.github import GitHub
from pkgharvest.sources.pypi import NAME, Project, PyPI
from pkgharvest.targets import Repository
from services import NOW, ask, network

pytestmark = pytest.mark.anyio

BASE = "https://api.example"
JSON = json.dumps({"info": {"name": "x", "version": "1.0"}, "urls": ["a package"] * 100}).encode()
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


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


def dripping(head: bytes, pause: float = 0.01) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(head)
        while not reader.at_eof():
            writer.write(b" ")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), pause)

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
    asked: int
    """How often the host is asked in all."""
    bounds: Bounds = field(default_factory=Bounds)


def told(body: object, *headers: str) -> Serve:
    return answering(answer_with(json.dumps(body).encode(), *headers))


def status(line: str, *headers: str) -> Serve:
    lines = [f"HTTP/1.1 {line}", "Content-Length: 0", *headers, "", ""]
    return answering("\r\n".join(lines).encode())


def pouring(head: bytes, piece: bytes) -> Serve:
    """Send a piece again and again, as fast as it is taken, until the connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(head)
        while not reader.at_eof():
            writer.write(piece)
            await writer.drain()

    return serve


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
CLOSED = "it closed the connection, or did not answer in HTTP"
BROKE = "the connection broke"
SLOW = Bounds(total=0.1)

FAULTS = {
    # Broken connections.
    "closed without an answer": Fault(answering(b""), UnreachableError, CLOSED, 4),
    "reset without an answer": Fault(resetting(b""), UnreachableError, BROKE, 4),
    "no HTTP": Fault(answering(b"SSH-2.0-OpenSSH_9.6\r\n"), UnreachableError, CLOSED, 4),
    "reset amid the head": Fault(resetting(b"HTTP/1.1 200 OK\r\nContent-"), UnreachableError, BROKE, 4),
    "reset amid the body": Fault(resetting(answer_with(JSON, length=5000)), UnreachableError, BROKE, 4),
    "a body shorter than its length": Fault(
        answering(answer_with(JSON, length=5000)), UnreachableError, CLOSED, 4
    ),
    "cut between chunks": Fault(answering(CHUNKED + b"3\r\nabc\r\n"), UnreachableError, CLOSED, 4),
    "cut amid a chunk": Fault(answering(CHUNKED + b"30\r\nabc"), UnreachableError, CLOSED, 4),
    "a chunk of no length": Fault(answering(CHUNKED + b"many\r\nabc\r\n"), UnreachableError, CLOSED, 4),
    "two lengths": Fault(answering(answer_with(JSON, "Content-Length: 1")), UnreachableError, CLOSED, 4),
    # Compression.
    "cut gzip and a clean end": Fault(
        answering(GZIPPED + PACKED[:-100]), UnreadableError, "answered with an incomplete body", 3
    ),
    "gzip without its last byte": Fault(
        answering(answer_with(PACKED[:-1], "Content-Encoding: gzip")),
        UnreadableError,
        "answered with an incomplete body",
        3,
    ),
    "no gzip": Fault(
        answering(answer_with(JSON, "Content-Encoding: gzip")),
        UnreadableError,
        "answered with broken compression",
        3,
    ),
    "gzip with a wrong checksum": Fault(
        answering(answer_with(PACKED[:-8] + bytes(8), "Content-Encoding: gzip")),
        UnreadableError,
        "answered with broken compression",
        3,
    ),
    "an encoding that was not asked for": Fault(
        answering(answer_with(JSON, "Content-Encoding: br")), UnreadableError, "not asked for: 'br'", 3
    ),
    "two encodings": Fault(
        answering(answer_with(PACKED, "Content-Encoding: gzip", "Content-Encoding: gzip")),
        UnreadableError,
        "not asked for: 'gzip, gzip'",
        3,
    ),
    # Size.
    "a body over the bound": Fault(
        answering(answer_with(bytes(3 * MIB))),
        OversizedError,
        "answered with more than 1 MiB",
        1,
        Bounds(wire=MIB),
    ),
    "a body without end": Fault(
        pouring(b"HTTP/1.1 200 OK\r\n\r\n", bytes(MIB // 4)),
        OversizedError,
        "answered with more than 1 MiB",
        1,
        Bounds(wire=MIB),
    ),
    "chunks without end": Fault(
        pouring(CHUNKED, b"10000\r\n" + bytes(0x10000) + b"\r\n"),
        OversizedError,
        "answered with more than 1 MiB",
        1,
        Bounds(wire=MIB),
    ),
    "headers without end": Fault(
        pouring(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n" * 100), UnreachableError, CLOSED, 4
    ),
    "a header without end": Fault(
        pouring(b"HTTP/1.1 200 OK\r\nX-Header: ", b"value" * 1000), UnreachableError, CLOSED, 4
    ),
    "a gzip bomb": Fault(
        answering(answer_with(BOMB, "Content-Encoding: gzip")),
        OversizedError,
        "unpacks to more than 2 MiB",
        1,
        Bounds(unpacked=2 * MIB),
    ),
    # Time.
    "a host that drips its body": Fault(
        dripping(b"HTTP/1.1 200 OK\r\n\r\n"), UnreachableError, "took longer than 0.1 s to answer", 4, SLOW
    ),
    "a host that drips its head": Fault(
        dripping(b"HTTP/1.1 200 OK\r\nX: "), UnreachableError, "took longer than 0.1 s to answer", 4, SLOW
    ),
    "a silent host": Fault(staying_silent, UnreachableError, "no answer in time", 4, Bounds(read=0.1)),
    "a host that is silent amid the body": Fault(
        dripping(answer_with(b"", length=5000), pause=60),
        UnreachableError,
        "no answer in time",
        4,
        Bounds(read=0.1),
    ),
    # Redirects and answers that make no sense.
    "a redirect in a circle": Fault(
        status("302 Found", "Location: "), RedirectError, "redirects in a circle", 6
    ),
    "a permanent redirect in a circle": Fault(
        status("301 Moved Permanently", "Location: "), RedirectError, "redirects in a circle", 6
    ),
    "a redirect to another scheme": Fault(
        status("301 Moved Permanently", "Location: ftp://127.0.0.1/x"), RedirectError, "where we do not go", 1
    ),
    "a redirect to a port that is none": Fault(
        status("301 Moved Permanently", "Location: http://127.0.0.1:99999/x"),
        RedirectError,
        "which is no address",
        1,
    ),
    "a redirect to nowhere": Fault(status("301 Moved Permanently"), RedirectError, "leads nowhere", 1),
    "a 304 that was not asked for": Fault(
        status("304 Not Modified", 'ETag: "1"'), NotModifiedError, "it was not asked that", 2
    ),
    # Bodies.
    "nothing": Fault(answering(answer_with(b"")), UnreadableError, "answered what is not JSON: nothing", 3),
    "HTML that calls itself JSON": Fault(
        answering(answer_with(b"<html>\n<p>Hello", "Content-Type: application/json")),
        UnreadableError,
        "answered what is not JSON: '<html> <p>Hello'",
        3,
    ),
    "cut JSON and a clean end": Fault(
        answering(b"HTTP/1.1 200 OK\r\n\r\n" + JSON[:-9]), UnreadableError, "what is not JSON: '{", 3
    ),
    "JSON of ever so many levels": Fault(
        answering(answer_with(b'{"a":' * 100_000)), UnreadableError, "what is not JSON: '{", 3
    ),
    "a list for an object": Fault(told([JSON.decode()]), MalformedError, "got `array`", 1),
    "null for an object": Fault(told({"info": None}), MalformedError, "$.info", 1),
    "a number for a text": Fault(
        told({"info": {"name": "x", "version": 10**30}}), MalformedError, "$.info.version", 1
    ),
    "a field that is missing": Fault(told({"info": {"name": "x"}}), MalformedError, "`version`", 1),
}

LONGEST = 2.0
"""Seconds that a fault may take with the bounds above, all attempts together."""
MOST_MEMORY = 16 * MIB
"""What may be held at once with the bounds above, the side of the host included."""


class Counted:
    """Serves, and counts the requests."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self._serve(reader, writer)


def fetcher(exchange: Exchange) -> Fetcher:
    """Return a fetcher that waits for no retry."""
    rules = {NAME: Rules(8)}
    return Fetcher(exchange, JumpingClock(NOW), policy=RetryPolicy(), patience=Patience(0), rules=rules)


def project_at(url: str) -> Request[Project]:
    return PyPI(url.removesuffix("/a")).project(canonicalize_name("x"))


@contextmanager
def within(seconds: float, memory: int) -> Iterator[None]:
    """Assert that what is done here takes no more time and memory."""
    tracemalloc.start()
    started = monotonic()
    try:
        yield
        took, (_, peak) = monotonic() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < seconds
    assert peak < memory


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_host_is_named_in_one_line_soon_and_asked_again_as_often_as_that_helps(
    fault: Fault,
) -> None:
    host = Counted(fault.serve)
    async with serving(host) as url, network(fault.bounds) as exchange:
        with within(LONGEST, MOST_MEMORY), pytest.raises(UpstreamError) as caught:
            await fetcher(exchange)(project_at(url))
    message = caught.value.message
    assert type(caught.value) is fault.error
    assert fault.text in message
    assert url.removeprefix("http://").removesuffix("/a") in message
    assert message.isprintable()
    assert len(message) < 250
    assert host.asked == fault.asked


async def test_after_a_fault_the_next_request_succeeds() -> None:
    turns = iter([answer_with(JSON, length=5000), answer_with(b"whole")])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(next(turns))(reader, writer)

    async with serving(serve) as url, network() as exchange:
        with pytest.raises(UnreachableError):
            await exchange(ask(url))
        assert (await exchange(ask(url))).body == b"whole"


async def test_json_that_calls_itself_something_else_is_read() -> None:
    async with serving(answering(answer_with(JSON, "Content-Type: text/html"))) as url, network() as exchange:
        answer = await fetcher(exchange)(project_at(url))
    assert answer.value == Project("x", "1.0")


@pytest.mark.parametrize("is_told", [True, False], ids=["between requests", "as the next one arrives"])
async def test_a_connection_that_was_kept_and_is_closed_is_made_anew(is_told: bool) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await head_of(reader)
        writer.write(answer_with(JSON))
        await writer.drain()
        if not is_told:
            await head_of(reader)

    async with serving(serve) as url, network() as exchange:
        fetch = fetcher(exchange)
        for _ in range(3):
            assert (await fetch(project_at(url))).value == Project("x", "1.0")
            if is_told:
                await asyncio.sleep(0.02)
    assert connections == 3


async def test_a_name_that_nobody_knows_is_told_and_looked_up_four_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = []

    def unknown(host: bytes, *_: Any, **__: Any) -> None:
        looked_up.append(host.decode())
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with network() as exchange:
        with within(LONGEST, MOST_MEMORY), pytest.raises(UnreachableError) as caught:
            await fetcher(exchange)(project_at("https://index.invalid/a"))
    assert str(caught.value) == (
        "index.invalid cannot be reached: no connection ([Errno -2] Name or service not known). "
        "Check the connection and try again"
    )
    assert looked_up == ["index.invalid"] * 4


async def test_a_service_that_refuses_all_connections_is_left_alone_soon() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        clock = JumpingClock(NOW)
        async with network() as exchange:
            fetch = Fetcher(
                exchange, clock, policy=RetryPolicy(), patience=Patience(0), rules={NAME: Rules(8)}
            )
            errors: list[UpstreamError] = []
            for number in range(1000):
                with pytest.raises(UnreachableError) as caught:
                    await fetch(PyPI(url).project(canonicalize_name(f"x{number}")))
                errors.append(caught.value)
    assert fetch.gates[NAME].costs[""].sent < 50
    assert clock.monotonic() < 60
    assert isinstance(errors[-1], DownError)
    assert errors[-900:] == [errors[-1]] * 900


# Where the token goes.


async def test_the_token_is_not_taken_to_where_an_answer_points(marked_token: str) -> None:
    heard: list[bytes] = []

    async def overhear(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await head_of(reader))

    def pointing(elsewhere: str, *, redirects: bool) -> Serve:
        entries = [{"login": "ann", "url": elsewhere, "html_url": elsewhere}]
        links = f'Link: <{elsewhere}?page=2>; rel="next"'
        return status("301 Moved", f"Location: {elsewhere}") if redirects else told(entries, links)

    async with serving(overhear) as elsewhere, network() as exchange:
        for redirects, kind in ((True, RedirectError), (False, MalformedError)):
            async with serving(pointing(elsewhere, redirects=redirects)) as url:
                github = GitHub(url.removesuffix("/a"), Token(marked_token, "GITHUB_TOKEN"))
                with pytest.raises(UpstreamError) as caught:
                    await fetcher(exchange)(github.contributors("ann/x"))
                assert type(caught.value) is kind
    assert heard == []


async def test_addresses_in_a_body_are_not_asked(marked_token: str) -> None:
    heard: list[bytes] = []

    async def overhear(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await head_of(reader))

    async with serving(overhear) as elsewhere, network() as exchange:
        facts = {
            "id": 1,
            "full_name": "ann/x",
            "description": elsewhere,
            "stargazers_count": 1,
            "forks_count": 1,
            **dict.fromkeys(("url", "html_url", "commits_url", "contributors_url"), elsewhere),
        }
        host = Counted(told(facts))
        async with serving(host) as url:
            github = GitHub(url.removesuffix("/a"), Token(marked_token, "GITHUB_TOKEN"))
            answer = await fetcher(exchange)(github.repository(Repository("ann", "x")))
    assert answer.value.html_url == elsewhere
    assert (heard, host.asked) == ([], 1)


async def test_a_validator_that_fits_no_header_is_not_sent(tmp_path: Path) -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await head_of(reader))
        date = "Sun, 15 Feb 2026 12:00:00 GMT"
        writer.write(answer_with(JSON, 'ETag: "žluť"', f"Last-Modified: {date}"))

    store = Store(tmp_path, pytest.fail)
    async with serving(serve) as url, network() as exchange:
        cached = Cached(exchange, store, lambda: NOW, refresh=False)
        fetch = Fetcher(
            cached, JumpingClock(NOW), policy=RetryPolicy(), patience=Patience(0), rules={}, memory=store
        )
        for _ in range(2):
            assert (await fetch(project_at(url))).value == Project("x", "1.0")
    store.close()
    assert [b"if-modified-since" in head.lower() for head in heads] == [False, True]
    assert not any(b"if-none-match" in head.lower() for head in heads)


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


@pytest.mark.parametrize("end", ["\n", "\r\nX-Header: 1", "\0", "ž"])
async def test_a_token_that_fits_no_header_is_shown_in_no_form_of_the_error(
    marked_token: str, end: str
) -> None:
    async with serving(answering(b"never")) as url, network() as exchange:
        with pytest.raises(UnreachableError, match="the request cannot be sent") as caught:
            await exchange(ask(url, token=Token(f"{marked_token}{end}", "GITHUB_TOKEN")))
    shown = "".join(traceback.format_exception(caught.value))
    assert marked_token not in f"{shown} {caught.value} {caught.value!r}"


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
    assert ".." not in message
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
