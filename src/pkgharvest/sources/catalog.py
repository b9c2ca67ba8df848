"""The Django Packages API v4, without I/O: the one source that knows ids, categories and grids.

https://djangopackages.org/api/v4/ and the page "API" of its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from pkgharvest.errors import MalformedError
from pkgharvest.net.message import Request, Response
from pkgharvest.record import Record, RecordError, decode_record
from pkgharvest.sources import answers

T = TypeVar("T")

NAME = "Django Packages"
PAGE = 100
"""Entries of a list page: fewer requests than the API's own 20, which volunteers answer."""

_NUMBER = re.compile(r"/(\d{1,18})/(?:$|\?)", re.ASCII)


class Grid(msgspec.Struct, frozen=True):
    """A table that compares packages."""

    title: str
    packages: list[str]
    """Addresses of the packages in the API."""


class Category(msgspec.Struct, frozen=True):
    """A kind of packages."""

    id: int
    slug: str


class Hit(msgspec.Struct, frozen=True):
    """A package that a search found."""

    slug: str


class _Numbered(msgspec.Struct, frozen=True):
    id: int


class Odd(msgspec.Struct, frozen=True):
    """An entry of the list of packages that is no record."""

    number: int | None
    """The package's number, as far as the entry tells."""
    error: MalformedError


class Page(msgspec.Struct, frozen=True):
    """A page of the list of packages; they are decoded one by one, as one may be odd."""

    results: list[msgspec.Raw]
    next: str | None = None
    """Address of the next page. Only whether there is one counts: a page may be shorter than was asked."""

    def records(self) -> Iterator[Record | Odd]:
        """Yield the record of each package, or what is wrong with it."""
        for entry in self.results:
            try:
                yield decode_record(bytes(entry))
            except RecordError as error:
                message = f"a package in the catalog's list is no record: {error}"
                yield Odd(_number_of(entry), MalformedError(message))


class Categories(msgspec.Struct, frozen=True):
    """A page of the list of categories."""

    results: list[Category]
    next: str | None = None
    """See `Page`."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The requests that the catalog is asked, of one address."""

    base_url: str
    """Where the site lives, no slash at the end: ``https://djangopackages.org``."""

    def package(self, key: str) -> Request[Record]:
        """Ask for the record of a slug, or of a number: the API takes a key of digits alone as a number."""
        return self._request(f"packages/{key}/", Record, f"the package {key!r}")

    def address(self, number: int) -> str:
        """Return the address of a package in the API."""
        return f"{self.base_url}/api/v4/packages/{number}/"

    def packages(self, offset: int) -> Request[Page]:
        """Ask for a page of all packages, newest first."""
        return self._request(f"packages/?limit={PAGE}&offset={offset}", Page, "the list of packages")

    def search(self, text: str) -> Request[list[Hit]]:
        """Ask for packages, 20 at most, whose name or description holds a text of slug characters."""
        return self._request(f"search/?q={text}", list[Hit], f"packages like {text!r}")

    def grid(self, key: str) -> Request[Grid]:
        """Ask for a grid by slug or number."""
        return self._request(f"grids/{key}/", Grid, f"the grid {key!r}")

    def categories(self, offset: int) -> Request[Categories]:
        """Ask for a page of all categories: the API does not find one by its slug."""
        return self._request(
            f"categories/?limit={PAGE}&offset={offset}", Categories, "the list of categories"
        )

    def _request(self, path: str, kind: type[T], what: str) -> Request[T]:
        def judge(response: Response) -> T:
            if response.status == HTTPStatus.OK:
                return answers.decode(response, kind)
            raise answers.failure(response, what)

        return Request(NAME, f"{self.base_url}/api/v4/{path}", judge, {"accept": "application/json"})


def number_in(url: str) -> int | None:
    """Return the number at the end of one of the API's addresses, None if it has none."""
    match = _NUMBER.search(url)
    return int(match[1]) if match else None


def _number_of(entry: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(bytes(entry), type=_Numbered).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
