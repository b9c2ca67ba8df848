"""What the answers of all JSON services have in common: statuses, retry times, typed bodies."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TypeVar

import msgspec

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    NotModifiedError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    UnavailableError,
    UnreadableError,
    UpstreamError,
    printable,
)
from pkgharvest.net.message import Response, http_date

T = TypeVar("T")

_SHOWN = 80
_LONGEST_WAIT = 999_999_999.0
"""Seconds; what is beyond leads out of the calendar."""


def decode(response: Response, kind: type[T]) -> T:
    """Return the body as a typed value, unknown fields left out.

    Text that is not valid UTF-8 and halves of surrogate pairs become U+FFFD.

    Raises:
        UnreadableError: the body is no JSON.
        MalformedError: it is, but a field has another type; the message names the path of the field.
    """
    try:
        return msgspec.json.decode(response.body, type=kind)
    except msgspec.ValidationError as error:
        if not _is_whole(response.body):  # a wrong type was met before the place where it breaks off
            raise _unreadable(response) from error
        raise _malformed(response, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(response, kind)


def _decode_leniently(response: Response, kind: type[T]) -> T:
    try:
        # json takes lone surrogates; through UTF-16 the pairs are joined and the rest is replaced.
        text = json.dumps(json.loads(response.body.decode("utf-8-sig", "replace")), ensure_ascii=False)
        return msgspec.json.decode(
            text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), type=kind
        )
    except msgspec.ValidationError as error:
        raise _malformed(response, error) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(response) from error


def _is_whole(body: bytes) -> bool:
    """Tell whether a body is JSON to its end; text that is not valid UTF-8 and any depth pass."""
    try:
        json.loads(body.decode("utf-8-sig", "replace"))
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def _unreadable(response: Response) -> UnreadableError:
    message = f"{response.host} answered what is not JSON: {excerpt(response.body)}"
    return UnreadableError(message, "Try again later")


def _malformed(response: Response, error: msgspec.ValidationError) -> MalformedError:
    return MalformedError(
        f"{response.host} answered in an unexpected shape: {error}",
        "If this lasts, report it with a recording (--record)",
    )


def excerpt(body: bytes) -> str:
    """Return the first characters of a body, on one line and printable."""
    shown = printable(body[: 4 * _SHOWN].decode("utf-8", "replace"))[:_SHOWN]
    return f"'{shown}'" if shown else "nothing"


def retry_after(response: Response) -> float | None:
    """Return the seconds that Retry-After asks to wait, None where it is missing or makes no sense.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after (seconds or a date)
    """
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = http_date(text)
    if until is None:
        return None
    return min(max(0.0, (until - response.server_time).total_seconds()), _LONGEST_WAIT)


def failure(response: Response, what: str) -> UpstreamError:
    """Return the error that a status other than 200 means, by the rules of HTTP alone.

    Args:
        response: the answer.
        what: what was asked for, for the message: "the project django-x".
    """
    host, status = response.host, response.status
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return NotFoundError(f"{what} is not on {host} ({status})", "Check the name")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(f"{host} wants fewer requests", wait=retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"{host} answered {status} for {what}: {excerpt(response.body)}"
        return UnavailableError(message, "Try again later", after=retry_after(response))
    if status == HTTPStatus.NOT_MODIFIED:
        message = f"{host} says that {what} has not changed, though it was not asked that"
        return NotModifiedError(message, "Try again later")
    if status in range(HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.BAD_REQUEST):
        return RedirectError(f"{host} answered {status} for {what}, which leads nowhere")
    return RefusedError(f"{host} answered {status} for {what}: {excerpt(response.body)}")
