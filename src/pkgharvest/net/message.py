"""Requests and responses as values, and the protocols that move them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class Token:
    """A secret for a header; no ``repr`` or ``str`` shows it."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        """Take the secret and the name of the variable that it comes from."""
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the secret, for the header alone."""
        return self._value

    def __repr__(self) -> str:
        """Return where the token comes from."""
        return f"<token from {self.source}>"


@dataclass(frozen=True, slots=True)
class Response:
    """What a host answered: the body whole and unpacked, the names of the headers in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received: datetime
    """When the last byte arrived, in UTC."""

    @property
    def host(self) -> str:
        """The host that answered, for messages."""
        return host_of(self.url)


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """What to ask, and the function that judges the answer.

    ``judge`` is pure: it returns what the answer says or raises the `UpstreamError` that tells what
    the answer means; whether to ask again follows from the error.
    """

    service: str
    """Who is asked, for messages; what is asked of one service passes one gate."""
    url: str
    judge: Callable[[Response], T] = field(compare=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""
    token: Token | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a host said, judged."""

    value: T
    received: datetime
    """When the answer arrived, in UTC."""


class Fetch(Protocol):
    """Ask until there is an answer, an error that asking again would not mend, or no patience left."""

    async def __call__(self, request: Request[T], /) -> Answer[T]:
        """Return the judged answer; raises `UpstreamError`."""
        ...


class Exchange(Protocol):
    """Send one request once."""

    async def __call__(self, request: Request[T], /) -> Response:
        """Return whatever was answered, redirects included; raises `UnreachableError` and its like."""
        ...


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the port left out where it is the scheme's own."""
    split = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(split.scheme)
    port = f":{split.port}" if split.port not in (None, usual) else ""
    return f"{split.scheme}://{split.hostname}{port}"


def host_of(url: str) -> str:
    """Return host and, where it is not the usual one, port of a URL."""
    return origin_of(url).partition("://")[2]


def moved(url: str, origin: str) -> str:
    """Return the same path and query at another origin."""
    split = urlsplit(url)
    return origin + split.path + (f"?{split.query}" if split.query else "")
