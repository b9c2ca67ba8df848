"""The only code that opens connections: bounds of time and size, and httpx's errors in our words."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from pkgharvest.errors import (
    OversizedError,
    SettingError,
    UnreachableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.clock import Clock
from pkgharvest.net.encoding import MIB, unpack
from pkgharvest.net.message import Request, Response, host_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may take; times in seconds, sizes in bytes."""

    connect: float = 5.0
    read: float = 15.0
    """Silence of the host."""
    total: float = 60.0
    """From the first byte sent to the last one received."""
    wire: int = 32 * MIB
    unpacked: int = 64 * MIB


class Network:
    """An `Exchange` over the network; a context manager that closes its connections."""

    def __init__(self, clock: Clock, *, user_agent: str, bounds: Bounds, at_once: Mapping[str, int]) -> None:
        """Take the clock that stamps answers, and the connections to keep to each service.

        Raises:
            SettingError: a proxy or certificate variable of the environment is wrong.
        """
        self._clock = clock
        self._bounds = bounds
        self._headers = {"user-agent": user_agent, "accept-encoding": "gzip"}
        self._tls = _certificates()
        # A pool of httpx slows down as it grows, so that each service has one of its own.
        try:
            _check_proxies()
            self._clients = {service: self._new_client(most) for service, most in at_once.items()}
        except (httpx.InvalidURL, ImportError, ValueError) as error:
            # The errors' own texts can hold the proxy's password; this kind does not.
            told = f": {str(error).rstrip('.')}" if isinstance(error, ImportError) else ""
            raise SettingError(
                f"the proxy settings of the environment are wrong{told}",
                "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY",
            ) from error

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def __call__(self, request: Request[T]) -> Response:
        """Send the request once; see `Exchange`.

        Raises:
            UnreachableError: no connection, or it broke, or the host was silent or slow for too long.
            UntrustedError: the host's certificate cannot be verified.
            UnreadableError: the answer's compression is broken.
            OversizedError: the answer is larger than the bounds allow.
        """
        host = host_of(request.url)
        try:
            async with asyncio.timeout(self._bounds.total):
                return await self._exchange(request)
        except TimeoutError as error:
            message = f"{host} took longer than {self._bounds.total:g} s to answer"
            raise UnreachableError(message, "Try again later") from error
        except (httpx.LocalProtocolError, UnicodeError) as error:
            raise translated(error, host) from None  # its text holds the headers, and so the token
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            # An OSError comes through where TLS breaks amid a body.
            raise translated(error, host) from error

    async def _exchange(self, request: Request[T]) -> Response:
        host = host_of(request.url)
        headers = dict(request.headers)
        if request.token is not None:
            headers["authorization"] = f"Bearer {request.token.reveal()}"
        client = self._clients[request.service]
        async with client.stream(
            request.method, request.url, headers=headers, content=request.body
        ) as answer:
            raw = await self._read(answer, host)
        fields = {name.lower(): value for name, value in answer.headers.items()}
        body = unpack(raw, fields.get("content-encoding", ""), self._bounds.unpacked, host)
        return Response(request.url, answer.status_code, fields, body, self._clock.now(), raw)

    async def _read(self, answer: httpx.Response, host: str) -> bytes:
        chunks = bytearray()
        async for chunk in answer.aiter_raw():
            chunks += chunk
            if len(chunks) > self._bounds.wire:
                raise OversizedError(f"{host} answered with more than {self._bounds.wire // MIB} MiB")
        return bytes(chunks)

    def _new_client(self, connections: int) -> httpx.AsyncClient:
        bounds = self._bounds
        return httpx.AsyncClient(
            headers=self._headers,
            verify=self._tls,
            timeout=httpx.Timeout(bounds.read, connect=bounds.connect, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            # GitHub's ETags depend on cookies, and no service needs one from us.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted: those of the environment, else those that come along."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        what = "no certificate is in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(
            f"the certificates to trust cannot be read: {what}", "Check SSL_CERT_FILE and SSL_CERT_DIR"
        ) from error


def _check_proxies() -> None:
    """Raise a ValueError for a proxy that could not be asked: httpx looks when it connects."""
    for kind, proxy in getproxies().items():
        if kind != "no":
            address = urlsplit(proxy if "://" in proxy else f"//{proxy}")
            if not (address.hostname or "").strip() or address.port == 0:
                raise ValueError("a proxy without a host or with port 0")


def translated(error: Exception, host: str) -> UpstreamError:
    """Return one of httpx's errors as ours. httpx's own texts can hold headers, and so are not passed on."""
    if _is_out_of_files(error):
        message = f"{host} cannot be reached: this process has too many open files"
        return UnreachableError(message, "Raise the limit (ulimit -n), or lower --jobs")
    if _is_certificate_problem(error):
        message = f"the certificate of {host} cannot be verified"
        return UntrustedError(
            message, "If a proxy of your own answers, name its certificate in SSL_CERT_FILE"
        )
    what = next((text for kind, text in _TEXTS if isinstance(error, kind)), "the request failed")
    if isinstance(error, httpx.ConnectError) and str(error):
        what = f"{what} ({error})"
    is_by_proxy = any(kind != "no" for kind in getproxies())
    checked = "the connection and the proxy settings of the environment" if is_by_proxy else "the connection"
    return UnreachableError(f"{host} cannot be reached: {what}", f"Check {checked} and try again")


_TEXTS: list[tuple[type[Exception], str]] = [
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.ConnectError, "no connection"),
    (httpx.TimeoutException, "no answer in time"),
    (httpx.ProxyError, "the proxy refused"),
    (httpx.RemoteProtocolError, "it closed the connection, or did not answer in HTTP"),
    (httpx.NetworkError, "the connection broke"),
    (httpx.LocalProtocolError, "the request cannot be sent"),
    (UnicodeError, "the request cannot be sent"),
    (httpx.InvalidURL, "its address is wrong"),
    (httpx.UnsupportedProtocol, "its address is wrong"),
    (OSError, "the connection broke"),
]


def _is_certificate_problem(error: BaseException) -> bool:
    return any(
        isinstance(each, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(each)
        for each in _behind(error)
    )


def _is_out_of_files(error: BaseException) -> bool:
    return any(
        isinstance(each, OSError) and each.errno in (errno.EMFILE, errno.ENFILE) for each in _behind(error)
    )


def _behind(error: BaseException) -> list[BaseException]:
    """Return an error and all that it comes from: its causes, and the errors of a group, as of addresses."""
    found = [error]
    for each in found:  # grows meanwhile
        grouped = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        for other in (each.__cause__ or each.__context__, *grouped):
            # Causes can be set in a circle.
            if other is not None and not any(other is known for known in found):
                found.append(other)
    return found
