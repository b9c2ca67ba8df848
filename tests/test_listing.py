"""What grids, categories and the whole catalog stand for, and what it costs to learn that."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from pkgharvest.bases import HeldRecords
from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    OccupiedError,
    RateLimitedError,
    StoppedError,
    UnavailableError,
)
from pkgharvest.listing import Listed, Listing
from pkgharvest.net.message import Answer, Request
from pkgharvest.record import Record
from pkgharvest.results import Failure
from pkgharvest.sources.catalog import Catalog
from pkgharvest.targets import (
    DEFAULT_HOSTS,
    CatalogTarget,
    CollectionTarget,
    Target,
    parse_target,
    whole_catalog,
)
from pkgharvest.visit import Ending
from services import CATALOG, FakeFetch, Reply, catalog_record

pytestmark = pytest.mark.anyio

API = f"{CATALOG}/api/v4"
PACKAGES = f"{API}/packages/?limit=100&offset="
CATEGORIES = f"{API}/categories/?limit=100&offset=0"

Item = Listed | CatalogTarget | Failure


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return catalog_record(**{"id": number, "slug": f"p{number}", **fields})


def record(number: int, **fields: Any) -> Record:
    return msgspec.convert(entry(number, **fields), Record)


def page(*entries: Any, more: bool = False) -> Reply:
    return Reply({"count": 0, "next": f"{API}/more" if more else None, "results": list(entries)})


def collection(text: str) -> CollectionTarget:
    target = parse_target(text)
    assert isinstance(target, CollectionTarget)
    return target


GRID = collection(f"{CATALOG}/grids/g/forms/")
ALL = whole_catalog(CATALOG)


async def listed(
    fetch: FakeFetch, target: CollectionTarget, base: Iterable[Record] = (), ending: Ending | None = None
) -> list[Item]:
    listing = Listing(Catalog(CATALOG), HeldRecords(base, DEFAULT_HOSTS))
    async with aclosing(listing.packages(target, fetch, ending or Ending())) as packages:
        return [package async for package in packages]


def names(items: Iterable[Item]) -> list[str]:
    return [item.text if not isinstance(item, Failure) else f"! {item.target}" for item in items]


@pytest.mark.parametrize("url", [f"{CATALOG}/grids/g/forms/", f"{API}/grids/forms/", f"{API}/grids/4/"])
async def test_a_grid_gives_its_packages_in_its_order_each_with_its_record(url: str) -> None:
    key = url.rstrip("/").rpartition("/")[2]
    table: dict[str, Reply | Exception] = {
        f"{API}/grids/{key}/": Reply({"title": "F", "packages": [f"{API}/packages/{n}/" for n in (7, 3)]}),
        **{f"{API}/packages/{n}/": Reply(entry(n)) for n in (3, 7)},
    }
    fetch = FakeFetch(table)
    seven, three = await listed(fetch, collection(url))
    assert isinstance(seven, Listed)
    assert isinstance(three, Listed)
    assert (seven.record, three.record) == (record(7), record(3))
    assert (seven.text, seven.slug, seven.key) == ("p7", "p7", "package:p7")
    assert fetch.asked == [f"{API}/grids/{key}/", f"{API}/packages/7/", f"{API}/packages/3/"]


async def test_packages_of_a_grid_that_have_an_earlier_record_are_not_asked_for() -> None:
    grid = Reply({"title": "F", "packages": [f"{API}/packages/{n}/" for n in (7, 3)]})
    fetch = FakeFetch({f"{API}/grids/forms/": grid, f"{API}/packages/3/": Reply(entry(3))})
    seven, three = await listed(fetch, GRID, [record(7)])
    assert seven == CatalogTarget(f"{API}/packages/7/", 7)
    assert isinstance(three, Listed)
    assert fetch.asked == [f"{API}/grids/forms/", f"{API}/packages/3/"]


async def test_what_is_wrong_with_one_package_of_a_grid_does_not_hide_the_others() -> None:
    urls = [f"{API}/packages/{n}/" for n in (1, 2, 3, 4)] + ["https://x.example/\x1b[31m"]
    table: dict[str, Reply | Exception] = {
        f"{API}/grids/forms/": Reply({"title": "F", "packages": urls}),
        urls[0]: UnavailableError("not now"),
        urls[1]: Reply({}, 404),
        urls[2]: Reply(entry(3, slug="---")),
        urls[3]: Reply(entry(4)),
    }
    found = await listed(FakeFetch(table), GRID)
    assert names(found) == [*(f"! {url}" for url in urls[:3]), "p4", "! https://x.example/\ufffd[31m"]
    reasons = [item.reason for item in found if isinstance(item, Failure)]
    assert reasons == ["unavailable", "not-found", "bad-target", "malformed"]


@pytest.mark.parametrize("error", [RateLimitedError("wait"), StoppedError("SIGINT", 2)])
async def test_what_ends_the_run_ends_a_grid(error: Exception) -> None:
    grid = Reply({"title": "F", "packages": [f"{API}/packages/7/", f"{API}/packages/8/"]})
    fetch = FakeFetch({f"{API}/grids/forms/": grid, f"{API}/packages/7/": error})
    with pytest.raises(type(error)):
        await listed(fetch, GRID)
    assert len(fetch.asked) == 2


async def test_an_earlier_record_of_no_use_fails_its_package_alone() -> None:
    class Broken(HeldRecords):
        def of(self, target: Target) -> Record | None:
            if target == CatalogTarget(f"{API}/packages/7/", 7):
                raise OccupiedError("p7.json holds no record")
            return None

    grid = Reply({"title": "F", "packages": [f"{API}/packages/{n}/" for n in (7, 8)]})
    fetch = FakeFetch({f"{API}/grids/forms/": grid, f"{API}/packages/8/": Reply(entry(8))})
    listing = Listing(Catalog(CATALOG), Broken([], DEFAULT_HOSTS))
    found = [item async for item in listing.packages(GRID, fetch, Ending())]
    assert names(found) == [f"! {API}/packages/7/", "p8"]


async def test_an_unknown_grid_is_an_error_and_an_empty_one_is_none() -> None:
    with pytest.raises(NotFoundError, match=r"the grid 'forms' is not on djangopackages\.org"):
        await listed(FakeFetch({}), GRID)
    assert await listed(FakeFetch({f"{API}/grids/forms/": Reply({"title": "F", "packages": []})}), GRID) == []


@pytest.mark.parametrize(
    "url", [f"{CATALOG}/categories/tools/", f"{API}/categories/tools/", f"{API}/categories/2/"]
)
async def test_a_category_is_picked_out_of_the_whole_catalog(url: str) -> None:
    own = f"{API}/categories/2/"
    table: dict[str, Reply | Exception] = {
        CATEGORIES: page({"id": 1, "slug": "apps"}, {"id": 2, "slug": "tools"}),
        f"{PACKAGES}0": page(
            entry(5, category=own), entry(4), entry(3, category=f"{own}?format=json"), entry(2, category=None)
        ),
    }
    fetch = FakeFetch(table)
    assert names(await listed(fetch, collection(url))) == ["p5", "p3"]
    assert fetch.asked == [CATEGORIES, f"{PACKAGES}0"]


@pytest.mark.parametrize("key", ["nix", "3", "Apps"])
async def test_an_unknown_category_is_told_before_the_catalog_is_read(key: str) -> None:
    first = page({"id": 1, "slug": "apps"}, more=True)
    second = page({"id": 22, "slug": "tools"})
    table: dict[str, Reply | Exception] = {CATEGORIES: first, CATEGORIES[:-1] + "1": second}
    fetch = FakeFetch(table)
    with pytest.raises(NotFoundError, match=f"the catalog has no category '{key}'. Check the name"):
        await listed(fetch, collection(f"{CATALOG}/categories/{key}/"))
    assert fetch.asked == list(table)


async def test_the_whole_catalog_comes_page_by_page_and_is_taken_as_it_is_wanted() -> None:
    table: dict[str, Reply | Exception] = {
        f"{PACKAGES}0": page(*map(entry, range(300, 200, -1)), more=True),
        f"{PACKAGES}100": page(*map(entry, range(200, 100, -1)), more=True),
        f"{PACKAGES}200": page(*map(entry, range(100, 90, -1))),
    }
    fetch = FakeFetch(table)
    assert names(await listed(fetch, ALL)) == [f"p{number}" for number in range(300, 90, -1)]
    assert fetch.asked == list(table)

    lazy = FakeFetch(table)
    listing = Listing(Catalog(CATALOG), HeldRecords([], DEFAULT_HOSTS))
    async with aclosing(listing.packages(ALL, lazy, Ending())) as packages:
        for _ in range(100):
            await anext(packages)
    assert lazy.asked == [f"{PACKAGES}0"]


async def test_a_site_that_gives_shorter_pages_than_asked_is_read_to_its_end() -> None:
    table: dict[str, Reply | Exception] = {
        f"{PACKAGES}0": page(entry(5), entry(4), more=True),
        f"{PACKAGES}2": page(entry(3), entry(2), more=True),
        f"{PACKAGES}4": page(entry(1)),
    }
    assert names(await listed(FakeFetch(table), ALL)) == ["p5", "p4", "p3", "p2", "p1"]


async def test_an_empty_page_that_promises_more_is_the_end() -> None:
    fetch = FakeFetch({f"{PACKAGES}0": page(more=True)})
    assert await listed(fetch, ALL) == []
    assert fetch.asked == [f"{PACKAGES}0"]


async def test_a_row_that_moves_to_the_next_page_meanwhile_comes_once() -> None:
    table: dict[str, Reply | Exception] = {
        f"{PACKAGES}0": page(entry(5), {"id": 4}, more=True),
        f"{PACKAGES}2": page({"id": 4}, entry(5), entry(3), more=True),
        f"{PACKAGES}5": page(entry(3), entry(2)),
    }
    assert names(await listed(FakeFetch(table), ALL)) == ["p5", f"! {API}/packages/4/", "p3", "p2"]


async def test_rows_without_a_number_cannot_be_told_apart_and_all_come() -> None:
    rows = page(entry(5, id=None, slug="a"), entry(5, id=None, slug="b"))
    assert names(await listed(FakeFetch({f"{PACKAGES}0": rows}), ALL)) == ["a", "b"]


async def test_odd_rows_fail_by_a_name_that_can_be_asked_for_again_where_there_is_one() -> None:
    rows = page(entry(5), entry(4, slug="__"), entry(3, title=7), "?", entry(2))
    found = await listed(FakeFetch({f"{PACKAGES}0": rows}), ALL)
    assert names(found) == [
        "p5",
        f"! {API}/packages/4/",
        f"! {API}/packages/3/",
        "! entry 3 of the catalog",
        "p2",
    ]
    errors = [item.error for item in found if isinstance(item, Failure)]
    assert [type(error) for error in errors] == [MalformedError] * 3
    assert errors[0].message == "a package in the catalog's list: '__' is no slug"
    assert parse_target(f"{API}/packages/4/") == CatalogTarget(f"{API}/packages/4/", 4)


async def test_a_catalog_that_fails_in_the_middle_has_given_what_came_before() -> None:
    fetch = FakeFetch(
        {f"{PACKAGES}0": page(entry(5), more=True), f"{PACKAGES}1": UnavailableError("not now")}
    )
    listing = Listing(Catalog(CATALOG), HeldRecords([], DEFAULT_HOSTS))
    packages = listing.packages(ALL, fetch, Ending())
    assert names([await anext(packages)]) == ["p5"]
    with pytest.raises(UnavailableError):
        await anext(packages)


async def test_a_category_whose_packages_do_not_tell_theirs_holds_none_of_them() -> None:
    rows = page(entry(5, category="apps"), entry(4, category=""), "?")
    table: dict[str, Reply | Exception] = {CATEGORIES: page({"id": 1, "slug": "apps"}), f"{PACKAGES}0": rows}
    found = await listed(FakeFetch(table), collection(f"{API}/categories/1/"))
    assert names(found) == ["! entry 2 of the catalog"]


async def test_the_cost_of_all_lists_is_added_up() -> None:
    class Charging(FakeFetch):
        async def __call__(self, request: Request[Any]) -> Answer[Any]:
            assert request.cost is not None
            request.cost.sent += 1
            request.cost.charged += 2
            return await super().__call__(request)

    grid = Reply({"title": "F", "packages": [f"{API}/packages/7/"]})
    table: dict[str, Reply | Exception] = {
        f"{API}/grids/forms/": grid,
        f"{API}/packages/7/": Reply(entry(7)),
        f"{PACKAGES}0": page(entry(5)),
    }
    listing = Listing(Catalog(CATALOG), HeldRecords([], DEFAULT_HOSTS))
    for target in (GRID, ALL):
        assert [item async for item in listing.packages(target, Charging(table), Ending())]
    assert (listing.cost.sent, listing.cost.charged) == (3, 6)


def test_the_whole_catalog_has_a_name_that_can_be_read_again() -> None:
    assert parse_target(ALL.text) == ALL
    assert ALL.text == f"{API}/packages/"
