"""The catalog's API: what is asked, and what its answers say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    UnreadableError,
)
from pkgharvest.net.message import Request, Response
from pkgharvest.record import Record
from pkgharvest.sources.catalog import Catalog, Categories, Category, Grid, Odd, Page, number_in
from services import CATALOG, NOW, Reply, catalog_record

SITE = Catalog(CATALOG)
REQUESTS: dict[str, Request[Any]] = {
    "packages/django-x/": SITE.package("django-x"),
    "packages/99/": SITE.package("99"),
    "packages/?limit=100&offset=0": SITE.packages(0),
    "packages/?limit=100&offset=300": SITE.packages(300),
    "grids/forms/": SITE.grid("forms"),
    "grids/4/": SITE.grid("4"),
    "categories/?limit=100&offset=0": SITE.categories(0),
}


def judged(request: Request[Any], body: Any, status: int = 200, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return request.judge(Reply(body, status, names).response(request.url))


def page(*entries: Any, **fields: Any) -> Page:
    told = judged(
        SITE.packages(0), {"count": 9, "next": None, "previous": None, "results": entries, **fields}
    )
    assert isinstance(told, Page)
    return told


@pytest.mark.parametrize("path", REQUESTS)
def test_everything_is_asked_below_the_api_as_json_and_without_a_token(path: str) -> None:
    request = REQUESTS[path]
    assert request.url == f"{CATALOG}/api/v4/{path}"
    assert (request.service, request.method, request.token) == ("Django Packages", "GET", None)
    assert request.headers == {"accept": "application/json"}


def test_a_package_is_a_record() -> None:
    told = judged(SITE.package("django-x"), catalog_record(unknown=1))
    assert told == msgspec.convert(catalog_record(), Record)


def test_a_grid_names_its_packages() -> None:
    body = {"id": 4, "slug": "forms", "title": "Forms", "packages": ["a", "b"], "header": True}
    assert judged(SITE.grid("forms"), body) == Grid(title="Forms", packages=["a", "b"])


def test_a_page_of_categories() -> None:
    body = {"count": 1, "next": "more", "results": [{"id": 1, "slug": "apps", "title": "Apps"}]}
    assert judged(SITE.categories(0), body) == Categories(results=[Category(id=1, slug="apps")], next="more")


def test_a_page_of_packages_is_read_entry_by_entry() -> None:
    first, second = catalog_record(), catalog_record(id=5, slug="other")
    told = page(first, second, next=f"{CATALOG}/api/v4/packages/?limit=100&offset=100")
    assert told.next
    assert list(told.records()) == [msgspec.convert(entry, Record) for entry in (first, second)]


@pytest.mark.parametrize(
    ("entry", "number", "told"),
    [
        (catalog_record(id=7, slug="../x"), 7, "Expected `str` matching regex"),
        (catalog_record(id=7, title=None), 7, "Expected `str`, got `null` - at `$.title`"),
        (catalog_record(id="7"), None, "Expected `int | null`, got `str` - at `$.id`"),
        ({"id": 8}, 8, "missing required field"),
        ([], None, "Expected `object`, got `array`"),
        (None, None, "Expected `object`, got `null`"),
        ("\ud800", None, "Expected `object`, got `str`"),
    ],
)
def test_an_odd_entry_is_told_by_its_number_and_the_others_are_records(
    entry: Any, number: int | None, told: str
) -> None:
    first, odd, last = page(catalog_record(), entry, catalog_record(id=1)).records()
    assert isinstance(first, Record)
    assert isinstance(odd, Odd)
    assert isinstance(last, Record)
    assert odd.number == number
    assert isinstance(odd.error, MalformedError)
    assert odd.error.message.startswith("a package in the catalog's list is no record: ")
    assert told in odd.error.message


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"detail": "Not found."}, 404, NotFoundError),
        ({}, 429, RateLimitedError),
        (b"<html>", 503, UnavailableError),
        (b"<html>", 200, UnreadableError),
        ([], 200, MalformedError),
        ({"results": {}}, 200, MalformedError),
    ],
)
def test_what_is_no_answer_is_an_error(path: str, body: Any, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        judged(REQUESTS[path], body, status)
    assert type(caught.value) is kind


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"results": []}', b'{"results": [], "x": "\xff"}'])
def test_a_page_that_is_not_quite_json_is_read_all_the_same(body: bytes) -> None:
    response = Response(f"{CATALOG}/", 200, {}, body, NOW)
    assert SITE.packages(0).judge(response) == Page(results=[])


def test_an_entry_with_bad_bytes_is_odd_and_known_by_its_number() -> None:
    entry = json.dumps(catalog_record()).encode().replace(b"Django X", b"Django \xff")
    response = Response(f"{CATALOG}/", 200, {}, b'{"results": [' + entry + b"]}", NOW)
    [found] = SITE.packages(0).judge(response).records()
    assert isinstance(found, Odd)
    assert found.number == 99


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (f"{CATALOG}/api/v4/packages/7/", 7),
        (f"{CATALOG}/api/v4/categories/1/?format=json", 1),
        ("/api/v4/packages/12/", 12),
        (f"{CATALOG}/api/v4/packages/7", None),
        (f"{CATALOG}/api/v4/packages/django-x/", None),
        (f"{CATALOG}/api/v4/packages/7/8", None),
        (f"{CATALOG}/api/v4/packages/{'9' * 19}/", None),
        (f"{CATALOG}/api/v4/packages/٧/", None),
        ("", None),
    ],
)
def test_the_number_at_the_end_of_an_address(url: str, number: int | None) -> None:
    assert number_in(url) == number


def test_the_address_of_a_package_leads_to_its_number() -> None:
    assert SITE.address(7) == f"{CATALOG}/api/v4/packages/7/"
    assert number_in(SITE.address(7)) == 7
