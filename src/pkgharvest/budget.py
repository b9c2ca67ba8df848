"""What a run would cost, from what is known without asking anybody."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pkgharvest.reading import BATCH


@dataclass(slots=True)
class Budget:
    """Requests and points; where it depends on what has changed, the least and the most."""

    signed: bool
    """Whether a token is sent."""
    packages: int = 0
    based: int = 0
    """Packages with an earlier record: of those without a new commit no participants are asked."""
    catalog: int = 0
    fresh: int = 0
    """Packages that are skipped, as their records are young enough."""
    lists: int = 0
    """Grids, categories, catalogs: only the catalog can tell what is in them."""

    def add(self, *, has_base: bool, asks_catalog: bool) -> None:
        """Count a package."""
        self.packages += 1
        self.based += has_base
        self.catalog += asks_catalog

    @property
    def pypi(self) -> int:
        """Requests of PyPI."""
        return self.packages

    @property
    def graphql(self) -> int:
        """Points of GitHub's GraphQL API."""
        return math.ceil(self.packages / BATCH) if self.signed else 0

    @property
    def rest(self) -> tuple[int, int]:
        """Requests of GitHub's REST API, least and most."""
        each = 1 if self.signed else 3
        return self.packages * each - self.based, self.packages * each

    def lines(self, quotas: dict[str, str]) -> list[str]:
        """Return the budget as text, a line each.

        Args:
            quotas: what is left, in words, by ``core`` and ``graphql``.
        """
        least, most = self.rest
        rest = f"{most}" if least == most else f"{least} to {most}"
        told = [
            f"packages: {self.packages}, {self.based} with an earlier record" + self._skipped(),
            f"PyPI: {self.pypi} requests",
            f"GitHub REST: {rest} requests ({quotas['core']})",
        ]
        if self.signed:
            points = "1 point" if self.graphql == 1 else f"{self.graphql} points"
            told.append(f"GitHub GraphQL: {points} ({quotas['graphql']})")
        if self.catalog:
            told.append(f"Django Packages: {self.catalog} requests")
        if self.lists:
            told.append(
                f"and the packages of {self.lists} of the catalog's lists, which it was not asked for"
            )
        return told

    def _skipped(self) -> str:
        return f", {self.fresh} young enough to be skipped" if self.fresh else ""
