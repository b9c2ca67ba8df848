"""The packages of a grid, of a category, of the whole catalog: what one target stands for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from pkgharvest.bases import Bases
from pkgharvest.errors import ENDINGS, MalformedError, NotFoundError, PkgharvestError, TargetError, printable
from pkgharvest.net.message import Cost, Fetch
from pkgharvest.record import Record
from pkgharvest.results import Failure
from pkgharvest.sources.catalog import Catalog, Odd, number_in
from pkgharvest.targets import CatalogTarget, CollectionTarget, PackageTarget, package_of
from pkgharvest.visit import Ending, Visit


@dataclass(frozen=True, slots=True)
class Listed:
    """A package with the record that the catalog has just shown."""

    target: PackageTarget
    record: Record

    @property
    def text(self) -> str:
        """The slug."""
        return self.target.text

    @property
    def slug(self) -> str:
        """The slug."""
        return self.target.slug

    @property
    def place(self) -> str:
        """Nowhere: the catalog named it."""
        return ""

    @property
    def key(self) -> str:
        """What is equal for two targets that name one package."""
        return self.target.key


@dataclass(frozen=True, slots=True)
class Listing:
    """The rules by which a collection leads to its packages."""

    catalog: Catalog
    bases: Bases
    cost: Cost = field(default_factory=Cost)
    """What was asked so far to learn which packages there are."""

    async def packages(
        self, target: CollectionTarget, fetch: Fetch, ending: Ending
    ) -> AsyncGenerator[Listed | CatalogTarget | Failure]:
        """Yield the packages of a collection, in the catalog's order.

        They come with the catalog's records, as its lists hold them; those packages of a grid that
        have an earlier record come without, and are not asked for.

        Raises:
            PkgharvestError: the catalog did not answer.
        """
        ask = Visit(fetch, ending)
        ask.cost = self.cost
        match target.kind:
            case "grid":
                packages = self._of_grid(target.name, ask)
            case "category":
                packages = self._of_category(target.name, ask)
            case "catalog":
                packages = self._of_all(ask)
        async with aclosing(packages):
            async for package in packages:
                yield package

    async def _of_grid(self, key: str, ask: Visit) -> AsyncGenerator[Listed | CatalogTarget | Failure]:
        grid = await ask(self.catalog.grid(key))
        for url in grid.packages:
            number = number_in(url)
            if number is None:
                yield Failure(printable(url), None, MalformedError("the grid names what is no package"))
            else:
                yield await self._numbered(CatalogTarget(self.catalog.address(number), number), ask)

    async def _numbered(self, target: CatalogTarget, ask: Visit) -> Listed | CatalogTarget | Failure:
        try:
            if self.bases.of(target) is not None:
                return target
            return _listed(await ask(self.catalog.package(str(target.number))))
        except ENDINGS:
            raise
        except PkgharvestError as error:
            return Failure(target.text, None, error)

    async def _of_category(self, key: str, ask: Visit) -> AsyncGenerator[Listed | Failure]:
        number = await self._number_of_category(key, ask)
        async for package in self._of_all(ask):
            if isinstance(package, Failure) or number_in(package.record.category or "") == number:
                yield package

    async def _number_of_category(self, key: str, ask: Visit) -> int:
        offset, is_last = 0, False
        while not is_last:
            page = await ask(self.catalog.categories(offset))
            for category in page.results:
                if key in (category.slug, str(category.id)):
                    return category.id
            offset += len(page.results)
            is_last = not (page.next and page.results)
        raise NotFoundError(f"the catalog has no category {key!r}", "Check the name")

    async def _of_all(self, ask: Visit) -> AsyncGenerator[Listed | Failure]:
        """Yield all packages; one that moves to the next page, as another is added meanwhile, only once."""
        seen: set[int | None] = set()
        offset, is_last = 0, False
        while not is_last:
            page = await ask(self.catalog.packages(offset))
            for place, found in enumerate(page.records(), offset):
                number = found.id if isinstance(found, Record) else found.number
                if number is None or number not in seen:
                    seen.add(number)
                    yield self._entry(found, place)
            offset += len(page.results)
            is_last = not (page.next and page.results)

    def _entry(self, found: Record | Odd, place: int) -> Listed | Failure:
        """Return the package of an entry of the list, or a failure that names it as well as can be."""
        if isinstance(found, Record):
            try:
                return _listed(found)
            except TargetError as error:
                found = Odd(found.id, MalformedError(f"a package in the catalog's list: {error.message}"))
        name = f"entry {place} of the catalog" if found.number is None else self.catalog.address(found.number)
        return Failure(name, None, found.error)


def _listed(record: Record) -> Listed:
    return Listed(package_of(record.slug), record)
