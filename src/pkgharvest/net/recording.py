"""Recordings: what a run asked and was answered, as an HTTP Archive (HAR 1.2).

http://www.softwareishard.com/blog/har-12-spec/ . Names that begin with an underscore are ours, as the
format allows. Credentials are left out: of the request's headers and of what the answers tell of them.
"""

from __future__ import annotations

import base64
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pkgharvest.errors import (
    NotRecordedError,
    OversizedError,
    SettingError,
    UnreachableError,
    UnreadableError,
    UntrustedError,
    UpstreamError,
)
from pkgharvest.net.clock import Clock
from pkgharvest.net.message import Exchange, Request, Response, moved, origin_of
from pkgharvest.record import Moment
from pkgharvest.version import __version__

T = TypeVar("T")

_PRIVATE = frozenset(
    """authorization proxy-authorization cookie set-cookie x-oauth-scopes x-accepted-oauth-scopes
    x-oauth-client-id x-accepted-github-permissions github-authentication-token-expiration
    x-github-request-id""".split()
)
_HTTP = "HTTP/1.1"
_MILLISECOND = timedelta(milliseconds=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Near its ends the calendar has no room for windows, waits and zones."""


class Origins(msgspec.Struct, frozen=True):
    """Where the recorded run asked, so that a replay asks the same."""

    github: str
    pypi: str
    catalog: str
    signed: bool
    """Whether a token was sent."""
    started: Moment | None = None
    """When the run began."""


class _Pair(msgspec.Struct):
    name: str
    value: str


class _PostData(msgspec.Struct, rename="camel"):
    mime_type: str
    text: str = ""


class _HarRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    method: str
    url: str
    http_version: str
    cookies: list[_Pair]
    headers: list[_Pair]
    query_string: list[_Pair]
    headers_size: int
    body_size: int
    post_data: _PostData | None = None


class _Content(msgspec.Struct, rename="camel", omit_defaults=True):
    size: int
    mime_type: str
    text: str = ""
    encoding: str | None = None


class _HarResponse(msgspec.Struct, rename="camel", omit_defaults=True):
    status: int
    status_text: str
    http_version: str
    cookies: list[_Pair]
    headers: list[_Pair]
    content: _Content
    redirect_url: str = msgspec.field(name="redirectURL")
    headers_size: int
    body_size: int
    error: str | None = msgspec.field(name="_error", default=None)
    reason: str | None = msgspec.field(name="_reason", default=None)


class _Timings(msgspec.Struct):
    send: float
    wait: float
    receive: float


class _Entry(msgspec.Struct, rename="camel"):
    started_date_time: Moment
    time: float
    """Milliseconds from the start to the last byte."""
    request: _HarRequest
    response: _HarResponse
    cache: dict[str, object]
    timings: _Timings


class _Log(msgspec.Struct):
    entries: list[_Entry]
    origins: Origins | None = msgspec.field(name="_pkgharvest", default=None)


class _Archive(msgspec.Struct):
    log: _Log


class Recorder:
    """An `Exchange` that writes down what another one does, entry by entry, to a stream."""

    def __init__(
        self, exchange: Exchange, clock: Clock, write: Callable[[bytes], object], origins: Origins
    ) -> None:
        """Take the exchange to listen to, and where to write; the head is written at once."""
        self._exchange = exchange
        self._clock = clock
        self._out = write
        self._separator = b"\n"
        head = {
            "version": "1.2",
            "creator": {"name": "pkgharvest", "version": __version__},
            "_pkgharvest": origins,
            "pages": [],
        }
        self._out(b'{"log": ' + msgspec.json.encode(head)[:-1] + b', "entries": [')

    async def __call__(self, request: Request[T]) -> Response:
        """Pass the request on, and write down what came of it."""
        started = self._clock.now()
        try:
            response = await self._exchange(request)
        except UpstreamError as error:
            self._write(_entry(request, _no_response(error), started, self._clock.now()))
            raise
        self._write(_entry(request, _response(response), started, response.received))
        return response

    def finish(self) -> None:
        """Write the end of the archive; the stream stays open."""
        self._out(b"\n]}}\n")

    def _write(self, entry: _Entry) -> None:
        self._out(self._separator + msgspec.json.encode(entry))
        self._separator = b",\n"


class Replay:
    """An `Exchange` that answers from an archive and opens no connection.

    What was asked more than once is answered in the recorded order, the last answer for good.
    """

    def __init__(self, archive: bytes) -> None:
        """Take the text of the archive.

        Raises:
            SettingError: it is no HTTP Archive.
        """
        try:
            log = msgspec.json.decode(archive, type=_Archive).log
            recorded = log.origins.started if log.origins else None
            starts = (entry.started_date_time for entry in log.entries)
            self.started = _in_calendar(recorded or min(starts, default=datetime.now(UTC)))
            """When the recorded run began."""
            self._answers = _by_request(log.entries)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SettingError(f"the recording is no HTTP Archive: {error}") from error
        self.origins = log.origins
        """Where the recorded run asked; None in an archive that something else wrote."""
        self._moved = _moves(log.entries)

    async def __call__(self, request: Request[T]) -> Response:
        """Return the recorded answer, or raise the recorded error.

        Raises:
            NotRecordedError: the archive holds no answer.
        """
        body = request.body.decode()
        for url in (request.url, self._present_address(request.url)):
            answers = self._answers.get((request.method, url, body))
            if answers:
                return _answered(answers.popleft() if len(answers) > 1 else answers[0])
        message = f"the recording holds no answer to {request.method} {request.url}"
        raise NotRecordedError(
            message, "Name what was recorded, with the same options; the demo was made with --catalog"
        )

    def _present_address(self, url: str) -> str:
        """Return where a URL had moved to when its request was recorded: only the first one asked in vain."""
        origin = origin_of(url)
        return moved(url, self._moved[origin]) if origin in self._moved else url


def _by_request(entries: Iterable[_Entry]) -> dict[tuple[str, str, str], deque[_Entry]]:
    table: dict[tuple[str, str, str], deque[_Entry]] = defaultdict(deque)
    for entry in entries:
        asked = entry.request
        table[asked.method, asked.url, asked.post_data.text if asked.post_data else ""].append(entry)
    return dict(table)


def _moves(entries: Iterable[_Entry]) -> dict[str, str]:
    moves = {}
    for entry in entries:
        old, new = entry.request.url, entry.response.redirect_url
        with suppress(ValueError):  # no address; nothing can have moved there
            if new and moved(old, origin_of(new)) == new:
                moves[origin_of(old)] = origin_of(new)
    return moves


def _entry(request: Request[T], response: _HarResponse, started: datetime, ended: datetime) -> _Entry:
    time = round((ended - started) / _MILLISECOND, 3)
    return _Entry(started, time, _request(request), response, {}, _Timings(0, time, 0))


def _request(request: Request[T]) -> _HarRequest:
    kind = request.headers.get("content-type", "application/json")
    return _HarRequest(
        method=request.method,
        url=request.url,
        http_version=_HTTP,
        cookies=[],
        headers=_pairs(request.headers),
        query_string=[
            _Pair(name, value)
            for name, value in parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
        ],
        headers_size=-1,
        body_size=len(request.body),
        post_data=_PostData(kind, request.body.decode()) if request.body else None,
    )


def _response(response: Response) -> _HarResponse:
    known = response.status in HTTPStatus.__members__.values()
    return _HarResponse(
        status=response.status,
        status_text=HTTPStatus(response.status).phrase if known else "",
        http_version=_HTTP,
        cookies=[],
        headers=_pairs(response.headers),
        content=_content(response.body, response.headers.get("content-type", "")),
        redirect_url=response.headers.get("location", ""),
        headers_size=-1,
        body_size=-1,
    )


def _no_response(error: UpstreamError) -> _HarResponse:
    """Return what browsers write where there was no answer: status 0 and the error's text."""
    empty = _Content(0, "x-unknown")
    return _HarResponse(0, "", "", [], [], empty, "", -1, -1, error=str(error), reason=error.reason)


def _content(body: bytes, kind: str) -> _Content:
    try:
        return _Content(len(body), kind, body.decode())
    except UnicodeDecodeError:
        return _Content(len(body), kind, base64.b64encode(body).decode(), "base64")


def _pairs(headers: Mapping[str, str]) -> list[_Pair]:
    return [_Pair(name, value) for name, value in headers.items() if name.lower() not in _PRIVATE]


_ERRORS: dict[str | None, type[UpstreamError]] = {
    error.reason: error for error in (UnreachableError, UntrustedError, UnreadableError, OversizedError)
}


def _answered(entry: _Entry) -> Response:
    response = entry.response
    if response.status == 0:
        raise _ERRORS.get(response.reason, UnreachableError)(response.error or "the recorded request failed")
    content = response.content
    try:
        body = base64.b64decode(content.text) if content.encoding == "base64" else content.text.encode()
        received = _in_calendar(entry.started_date_time + timedelta(microseconds=round(entry.time * 1000)))
    except (ValueError, OverflowError) as error:
        raise SettingError(f"the recording of {entry.request.url} is broken: {error}") from error
    headers = {pair.name.lower(): pair.value for pair in response.headers}
    return Response(entry.request.url, response.status, headers, body, received, body)


def _in_calendar(moment: datetime) -> datetime:
    """Return a moment in UTC.

    Raises:
        ValueError: it is too near to the ends of the calendar.
    """
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError(f"{moment.isoformat()} is no time at which anything was asked")
    return moment.astimezone(UTC)
