"""Requests and responses as values, and the protocols that move them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
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


class Origin(Enum):
    """Where an answer comes from."""

    NETWORK = "network"
    REVALIDATED = "revalidated"
    """What is stored, and the host has just said that it still holds."""
    STORE = "store"
    """What is stored or recorded; the host was not asked."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a host answered: the body whole and unpacked, the names of the headers in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received: datetime
    """When the last byte arrived, in UTC; of a stored answer, when it was last known to hold."""
    wire: bytes = b""
    """The body as it came, compressed as the header ``content-encoding`` says; empty if it is not known."""
    origin: Origin = Origin.NETWORK

    @property
    def host(self) -> str:
        """The host that answered, for messages."""
        return host_of(self.url)

    @property
    def server_time(self) -> datetime:
        """The host's own time, by which its waits are counted, so that they do not depend on our clock."""
        return http_date(self.headers.get("date", "")) or self.received


@dataclass(slots=True)
class Cost:
    """What was asked of a service, and what that cost of its rate limit."""

    sent: int = 0
    """Requests that went out, answered or not."""
    charged: int = 0
    """Points that they cost."""


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
    resource: str = ""
    """The part of the service whose limits it counts on, as the service calls it."""
    points: Callable[[T], int] = field(default=lambda _: 1, compare=False)
    """What an answer costs of the limit."""
    cost: Cost | None = field(default=None, compare=False)
    """What is sent for this request is counted here too."""
    is_stored: bool = True
    """Whether the answer is kept for later runs."""
    believes_age: bool = False
    """Whether a kept answer is used unasked for as long as it said itself (``Cache-Control: max-age``)."""


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


class Memory(Protocol):
    """Keeps what was answered for later runs; see `pkgharvest.net.cache.Store`."""

    def keep(self, request: Request[T], response: Response, /) -> None:
        """Keep an answer that was understood."""
        ...

    def forget(self, request: Request[T], /) -> None:
        """Drop what is kept of a request."""
        ...

    def move(self, service: str, origin: str, now: datetime, /) -> str | None:
        """Return where an origin has moved to for good."""
        ...

    def remember_move(self, service: str, origin: str, target: str, now: datetime, /) -> None:
        """Keep where an origin has moved to for good."""
        ...


class Forgetful:
    """A `Memory` that keeps nothing."""

    def keep(self, request: Request[T], response: Response, /) -> None:
        """Do nothing."""

    def forget(self, request: Request[T], /) -> None:
        """Do nothing."""

    def move(self, _service: str, _origin: str, _now: datetime, /) -> str | None:
        """Know of no move."""
        return None

    def remember_move(self, service: str, origin: str, target: str, now: datetime, /) -> None:
        """Do nothing."""


def http_date(text: str) -> datetime | None:
    """Return the moment that a header's date tells, None if it is none."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


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
