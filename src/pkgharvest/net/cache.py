"""Stored answers: one SQLite file, always revalidated, told apart by method, address, Accept and token.

Requests carry the validators of what is stored, and a 304 brings it back at no cost of quota:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pkgharvest.errors import NotStoredError, UpstreamError
from pkgharvest.net.encoding import unpack
from pkgharvest.net.message import Exchange, Origin, Request, Response, Token, origin_of
from pkgharvest.net.quota import Quota

T = TypeVar("T")

_VERSION = 1
FILE = f"answers-{_VERSION}.sqlite3"
"""The name bears the version of the tables: another version leaves this file alone."""

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    identity BLOB PRIMARY KEY,
    address BLOB NOT NULL,
    status INTEGER NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    checked REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_address ON answers (address, checked);
CREATE TABLE IF NOT EXISTS moves (
    service TEXT, origin TEXT, target TEXT NOT NULL, seen REAL NOT NULL, PRIMARY KEY (service, origin)
);
CREATE TABLE IF NOT EXISTS quotas (
    identity BLOB PRIMARY KEY, most INTEGER NOT NULL, remaining INTEGER NOT NULL, reset REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS salts (salt BLOB NOT NULL);
"""

BELIEVED: Mapping[int, timedelta] = {
    HTTPStatus.NOT_FOUND: timedelta(hours=24),
    HTTPStatus.GONE: timedelta(days=7),
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: timedelta(days=7),
}
"""Statuses that are believed for a while without asking: repeated requests for what is missing count
against us (the page above). Other than these only 200 is stored."""

_MAX_AGE = re.compile(r"\bmax-age=(\d{1,6})\b")
_DAMAGE = (TypeError, ValueError, OverflowError, OSError)
"""What values of another kind than ours lead to: anybody may have written to the file."""
_MOVES_KEPT = timedelta(days=30)
_UNPACKED = 64 * 2**20

# What is read of stored answers later; the other headers are of their moment.
_HEADERS = frozenset({"cache-control", "etag", "last-modified", "link", "content-type", "content-encoding"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire: bytes
    """The body as it came, compressed or not."""
    checked: datetime
    """When the host last said that this is so, in UTC."""
    is_own: bool
    """Whether the same token was given it; of another's only the date is sent: ETags depend on tokens."""

    def validators(self) -> dict[str, str]:
        """Return the headers that make a request conditional, as they were received."""
        names = {"last-modified": "if-modified-since"} | ({"etag": "if-none-match"} if self.is_own else {})
        return {
            names[name]: value
            for name, value in self.headers.items()
            if name in names and value.isascii() and value.isprintable()  # what can be sent
        }

    def believed(self, request: Request[T]) -> timedelta:
        """Return how long the answer is used without asking."""
        if self.status == HTTPStatus.OK and request.believes_age:
            match = _MAX_AGE.search(self.headers.get("cache-control", ""))
            return timedelta(seconds=int(match[1])) if match else timedelta()
        return BELIEVED.get(self.status, timedelta())


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds."""

    path: Path
    size: int
    """Bytes on the disk."""
    answers: int
    oldest: datetime | None
    newest: datetime | None


class Store:
    """The file of stored answers. A broken file is set aside; one that cannot be used is done without."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        """Take the folder, which is made if need be, and whom to tell, once, that there is no store."""
        self.path = folder / FILE
        self._warn = warn
        self._salt = b""
        self._connection = self._opened()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def find(self, request: Request[T]) -> Stored | None:
        """Return what is stored for a request, if need be what another token was given."""
        columns = "SELECT status, headers, body, checked FROM answers WHERE "
        own = self._rows(columns + "identity = ?", self._identity(request))
        rows = own or self._rows(columns + "address = ? ORDER BY checked DESC LIMIT 1", _address(request))
        for status, headers, body, checked in rows:
            try:
                told = msgspec.json.decode(headers, type=dict[str, str])
                unpacked = unpack(body, told.get("content-encoding", ""), _UNPACKED, "the store")
                moment = _moment(checked)
            except (msgspec.DecodeError, UpstreamError, *_DAMAGE):  # the row is as good as none
                self.forget(request)
                break
            return Stored(status, told, unpacked, body, moment, bool(own))
        return None

    def keep(self, request: Request[T], response: Response) -> None:
        """Store an answer that was understood, unless it came from here or is of a passing kind."""
        if not request.is_stored or response.origin is Origin.STORE:
            return
        if response.status not in {HTTPStatus.OK, *BELIEVED}:
            return
        headers = {name: value for name, value in response.headers.items() if name in _HEADERS}
        self._rows(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
            self._identity(request),
            _address(request),
            response.status,
            msgspec.json.encode(headers),
            response.wire,
            response.received.timestamp(),
        )

    def forget(self, request: Request[T]) -> None:
        """Drop what is stored for a request, whoever was given it: it turned out to be of no use."""
        self._rows("DELETE FROM answers WHERE address = ?", _address(request))

    def move(self, service: str, origin: str, now: datetime) -> str | None:
        """Return where an origin of a service has moved to for good, None if that is not known."""
        # What was seen in the future was seen by a clock that was wrong.
        seen = ((now - _MOVES_KEPT).timestamp(), now.timestamp())
        query = "SELECT target FROM moves WHERE service = ? AND origin = ? AND seen > ? AND seen <= ?"
        rows = self._rows(query, service, origin, *seen)
        return next((target for (target,) in rows if _is_origin(target)), None)

    def remember_move(self, service: str, origin: str, target: str, now: datetime) -> None:
        """Note where an origin of a service has moved to for good."""
        self._rows(
            "INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?)", service, origin, target, now.timestamp()
        )

    def quota(self, resource: str, token: Token | None, now: datetime) -> Quota | None:
        """Return what was left of a rate limit when it was last told, None if that is over."""
        query = "SELECT most, remaining, reset FROM quotas WHERE identity = ? AND reset > ?"
        for most, remaining, reset in self._rows(query, self._owner(resource, token), now.timestamp()):
            with suppress(*_DAMAGE):
                return Quota(int(most), int(remaining), _moment(reset))
        return None

    def remember_quota(self, resource: str, token: Token | None, quota: Quota) -> None:
        """Note what is left of a rate limit."""
        values = (quota.limit, quota.remaining, quota.reset.timestamp())
        self._rows("INSERT OR REPLACE INTO quotas VALUES (?, ?, ?, ?)", self._owner(resource, token), *values)

    def contents(self) -> Contents:
        """Return what the store holds."""
        count, *ends = next(
            iter(self._rows("SELECT count(*), min(checked), max(checked) FROM answers")), (0,)
        )
        oldest = newest = None
        with suppress(*_DAMAGE):  # there are none, or one is broken
            oldest, newest = (_moment(end) for end in ends)
        files = self.path.parent.glob(f"{FILE}*")
        return Contents(self.path, sum(file.stat().st_size for file in files), count, oldest, newest)

    def clear(self) -> None:
        """Drop all that is stored."""
        self._rows("DELETE FROM answers")
        self._rows("DELETE FROM moves")
        self._rows("DELETE FROM quotas")
        self._rows("VACUUM")
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _identity(self, request: Request[T]) -> bytes:
        """Return what tells requests apart; the token is in it as a salted hash alone."""
        return _hash(_address(request), self._owner("", request.token))

    def _owner(self, resource: str, token: Token | None) -> bytes:
        return _hash(self._salt, resource.encode(), token.reveal().encode() if token else b"")

    def _opened(self) -> sqlite3.Connection | None:
        try:
            return self._connected()
        except (sqlite3.OperationalError, OSError) as error:  # busy, full, read-only: nothing is broken
            self._fail(error)
            return None
        except sqlite3.DatabaseError:
            return self._replaced()

    def _replaced(self) -> sqlite3.Connection | None:
        """Set the broken file aside and begin with a new one."""
        aside = self.path.with_suffix(".corrupt")
        self._warn(f"the stored answers in {self.path} are broken; they are set aside as {aside.name}")
        try:
            self.path.replace(aside)
            for end in ("-wal", "-shm"):
                self.path.with_name(FILE + end).unlink(missing_ok=True)
            return self._connected()
        except (sqlite3.DatabaseError, OSError) as error:
            self._fail(error)
            return None

    def _connected(self) -> sqlite3.Connection:
        if not self.path.is_absolute():  # a literal ~, or what XDG_CACHE_HOME is not to be
            raise OSError("no home folder is known, and XDG_CACHE_HOME holds no absolute path")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # sqlite3 would let everybody read it
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None)
        try:
            # Readers beside a writer; where the file system cannot do that, SQLite keeps to its own way.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            insert = "INSERT INTO salts SELECT ? WHERE NOT EXISTS (SELECT 1 FROM salts)"
            connection.execute(insert, (secrets.token_bytes(16),))
            (self._salt,) = connection.execute("SELECT CAST(salt AS BLOB) FROM salts").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        if self._connection is not None:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as error:
                with suppress(sqlite3.DatabaseError):
                    self._connection.close()
                self._connection = None
                if type(error) is sqlite3.DatabaseError:  # the file itself, not what was asked of it
                    self._connection = self._replaced()
                else:
                    self._fail(error)
        return []

    def _fail(self, error: Exception) -> None:
        self._warn(f"the stored answers in {self.path} cannot be used, so all is asked anew: {error}")


class Cached:
    """An `Exchange` that sends the validators of what is stored, and answers a 304 with it."""

    def __init__(
        self, exchange: Exchange, store: Store, now: Callable[[], datetime], *, refresh: bool
    ) -> None:
        """Take what sends requests, the store, the time, and whether to ask all anew."""
        self._exchange = exchange
        self._store = store
        self._now = now
        self._refresh = refresh

    async def __call__(self, request: Request[T]) -> Response:
        """Send the request, unless what is stored says that it is in vain; see `Exchange`."""
        stored = None if self._refresh or request.method != "GET" else self._store.find(request)
        if stored is None:
            return await self._exchange(request)
        age = self._now() - stored.checked
        if stored.is_own and timedelta() <= age < stored.believed(request):
            return restored(stored, request.url)
        if stored.status != HTTPStatus.OK:
            return await self._exchange(request)
        conditional = replace(request, headers={**request.headers, **stored.validators()})
        response = await self._exchange(conditional)
        if response.status != HTTPStatus.NOT_MODIFIED:
            return response
        headers = {**stored.headers, **response.headers}
        if "content-encoding" in stored.headers:
            headers["content-encoding"] = stored.headers["content-encoding"]
        else:
            headers.pop("content-encoding", None)
        return replace(
            restored(stored, request.url),
            headers=headers,
            received=response.received,
            origin=Origin.REVALIDATED,
        )


class Offline:
    """An `Exchange` that answers from the store, whatever its age, and opens no connection."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store

    async def __call__(self, request: Request[T]) -> Response:
        """Return what is stored.

        Raises:
            NotStoredError: nothing is.
        """
        stored = self._store.find(request)
        if stored is None:
            raise NotStoredError(f"nothing is stored for {request.url}", "Run without --offline first")
        return restored(stored, request.url)


def restored(stored: Stored, url: str) -> Response:
    """Return a stored answer as if it had just come."""
    return Response(
        url, stored.status, stored.headers, stored.body, stored.checked, stored.wire, Origin.STORE
    )


def _moment(seconds: float) -> datetime:
    """Return the moment so many seconds after 1970; raises one of `_DAMAGE` where none was stored by us."""
    if seconds < 0:
        raise ValueError("no answer is so old")
    return datetime.fromtimestamp(seconds, UTC)


def _is_origin(text: object) -> bool:
    try:
        return isinstance(text, str) and text.startswith(("http://", "https://")) and origin_of(text) == text
    except ValueError:
        return False


def _address(request: Request[T]) -> bytes:
    accept = request.headers.get("accept", "")
    return _hash(request.method.encode(), request.url.encode(), accept.encode(), request.body)


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()
