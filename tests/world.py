"""All services as one small world of packages, behind respx: for tests of what a user sees."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from typer.testing import CliRunner, Result

from pkgharvest.cli import app
from pkgharvest.net.clock import JumpingClock
from services import CATALOG, GITHUB, PYPI, catalog_record, project, repository

LIMIT = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4000", "x-ratelimit-reset": "1773850000"}
_ALIAS = re.compile(r'(r\d+): repository\(owner: "ann", name: "([^"]*)"')


@dataclass
class World:
    """Packages ``p1``, ``p2``, ..., each with ann's repository and a project; their numbers are ids."""

    size: int = 30
    page: int = 100
    """Entries that the catalog gives in a list page at most."""
    missing: set[str] = field(default_factory=set)
    """Slugs without a repository."""
    entries: dict[int, Any] = field(default_factory=dict)
    """Entries of the catalog's list, by number, that are other than they should be."""
    categories: dict[int, str] = field(default_factory=lambda: {1: "apps", 2: "tools"})
    """Odd packages are in the first one, even packages in the second."""
    grids: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of packages, by slug or number."""
    first: dict[str, list[httpx.Response | Exception]] = field(default_factory=dict)
    """What comes, by address, before the answer."""
    asked: list[str] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.asked.append(url)
        if self.first.get(url):
            early = self.first[url].pop(0)
            if isinstance(early, Exception):
                raise early
            return early
        body = self._body(url, request)
        if body is None:
            return httpx.Response(404, json={"message": "Not Found"})
        return httpx.Response(200, json=body, headers=LIMIT if url.startswith(GITHUB) else {})

    def record(self, number: int) -> Any:
        slug = f"p{number}"
        own = catalog_record(
            id=number,
            slug=slug,
            title=slug.upper(),
            category=f"{CATALOG}/api/v4/categories/{2 - number % 2}/",
            repo_url=f"https://github.com/ann/{slug}",
            pypi_url=f"http://pypi.python.org/pypi/{slug}",
        )
        return self.entries.get(number, own)

    def counts(self) -> Counter[str]:
        """Return how often each kind of address was asked."""
        return Counter(_kind(url) for url in self.asked)

    def _body(self, url: str, request: httpx.Request) -> Any:
        path = url.partition("://")[2].partition("/")[2]
        if url == f"{GITHUB}/graphql":
            return self._graphql(json.loads(request.content)["query"])
        if url.startswith(GITHUB):
            return self._rest(path.removeprefix("repos/ann/"))
        if url.startswith(PYPI):
            slug = path.split("/")[1]
            urls = {"Source": f"https://github.com/ann/{slug}"}
            return project(slug, project_urls=urls).body if self._number(slug) else None
        return self._catalog(path.removeprefix("api/v4/"), request.url.params)

    def _number(self, slug: str) -> int:
        number = int(slug[1:]) if re.fullmatch(r"p\d+", slug) else 0
        return number if number <= self.size else 0

    def _rest(self, path: str) -> Any:
        slug, _, rest = path.partition("/")
        if not self._number(slug) or slug in self.missing:
            return None
        if rest.startswith("contributors"):
            return [{"login": "ann", "contributions": 1}]
        if rest.startswith("commits"):
            date = {"date": "2026-03-01T12:00:00Z"}
            return [{"sha": "a", "commit": {"author": date, "committer": date}}]
        return repository(f"ann/{slug}", id=self._number(slug)).body

    def _graphql(self, query: str) -> Any:
        told = {alias: self._told(slug) for alias, slug in _ALIAS.findall(query)}
        errors = [
            {"type": "NOT_FOUND", "path": [alias], "message": f"Could not resolve {alias}"}
            for alias, found in told.items()
            if found is None
        ]
        return {"data": {"rateLimit": {"cost": 3}, **told}, **({"errors": errors} if errors else {})}

    def _told(self, slug: str) -> Any:
        if not self._number(slug) or slug in self.missing:
            return None
        date = "2026-03-01T12:00:00Z"
        nodes = [{"oid": "a", "authoredDate": date, "committedDate": date}]
        page = {"totalCount": 1, "pageInfo": {"hasNextPage": False, "endCursor": "end"}, "nodes": nodes}
        return {
            "databaseId": self._number(slug),
            "nameWithOwner": f"ann/{slug}",
            "url": f"https://github.com/ann/{slug}",
            "description": "About",
            "stargazerCount": 12,
            "forkCount": 3,
            "isArchived": False,
            "defaultBranchRef": {"target": {"committedDate": date, "history": page}},
        }

    def _catalog(self, path: str, params: httpx.QueryParams) -> Any:
        kind, _, rest = path.partition("/")
        key = rest.partition("/")[0]
        if kind == "grids":
            return {"title": key, "packages": self.grids[key]} if key in self.grids else None
        if "?" in rest[:1]:
            offset = int(params["offset"])
            everything = (
                [self.record(number) for number in range(self.size, 0, -1)]
                if kind == "packages"
                else [{"id": number, "slug": slug} for number, slug in self.categories.items()]
            )
            end = offset + min(self.page, int(params["limit"]))
            following = f"{CATALOG}/next" if end < len(everything) else None
            return {"count": len(everything), "next": following, "results": everything[offset:end]}
        number = int(key) if key.isdigit() else self._number(key)
        return self.record(number) if 0 < number <= self.size else None


def _kind(url: str) -> str:
    if url.startswith(PYPI):
        return "pypi"
    if url.startswith(GITHUB):
        return next((kind for kind in ("graphql", "contributors", "commits") if kind in url), "repository")
    path = url.removeprefix(f"{CATALOG}/api/v4/")
    return path.partition("?")[0].partition("/")[0] + ("/" if "?" in path else "/..")


def address(number: int) -> str:
    """Return the address of a package in the catalog."""
    return f"{CATALOG}/api/v4/packages/{number}/"


@contextmanager
def served(world: World) -> Iterator[World]:
    """Let the world answer everything, and no wait between attempts take time."""
    with respx.mock(assert_all_called=False) as router, pytest.MonkeyPatch.context() as patch:
        patch.setattr("pkgharvest.session.SystemClock", lambda: JumpingClock(datetime.now(UTC)))
        router.route().mock(side_effect=world.answer)
        yield world


def fetch(*arguments: object, stdin: str = "", signed: bool = True, **environment: str) -> Result:
    """Run the command, with a token or without."""
    token = {"GITHUB_TOKEN": "ghp_markedtokenthatmustnotappearanywhere"} if signed else {}
    texts = ["fetch", "--no-cache", *map(str, arguments)]
    return CliRunner().invoke(app, texts, input=stdin, env={**token, **environment})


def slugs(result: Result) -> list[str]:
    """Return the slugs of the records in JSON Lines on stdout."""
    return [json.loads(line)["slug"] for line in result.stdout.splitlines()]
