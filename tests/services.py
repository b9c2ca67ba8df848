"""Small fakes of the services: real implementations of the protocols over dictionaries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pkgharvest.net.client import Bounds, Network
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.message import Answer, Request, Response, Token
from pkgharvest.sources import github, pypi
from pkgharvest.targets import DEFAULT_HOSTS, CollectionTarget, Hosts, Target, parse_target

T = TypeVar("T")

NOW = datetime(2026, 3, 18, 15, 30, 0, 123456, tzinfo=UTC)
GITHUB = "https://api.github.com"
PYPI = "https://pypi.python.org"
CATALOG = "https://djangopackages.org"


def package(text: str, hosts: Hosts = DEFAULT_HOSTS) -> Target:
    """Return the one package that a text names."""
    target = parse_target(text, hosts)
    assert not isinstance(target, CollectionTarget)
    return target


@dataclass
class Reply:
    """What a service answers to one request."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    moment: datetime = NOW

    def response(self, url: str) -> Response:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return Response(url, self.status, self.headers, body, self.moment)


@dataclass
class FakeFetch:
    """A `Fetch` over a table of addresses; an exception in the table is raised."""

    replies: dict[str, Reply | Exception]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, request: Request[T]) -> Answer[T]:
        self.asked.append(request.url)
        reply = self.replies.get(request.url, Reply({"message": "Not Found"}, 404))
        if isinstance(reply, Exception):
            raise reply
        response = reply.response(request.url)
        return Answer(request.judge(response), response.received)


def repository(full_name: str = "ann/django-x", **fields: Any) -> Reply:
    return Reply(
        {
            "id": 7,
            "full_name": full_name,
            "html_url": f"https://github.com/{full_name}",
            "description": "About x",
            "stargazers_count": 12,
            "forks_count": 3,
            "archived": False,
            "unknown": [1],
            **fields,
        }
    )


def commits(*ages: timedelta, start: int = 0, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a page of commits so long before NOW, author and committer date alike."""
    entries = [commit(str(start + number), NOW - age) for number, age in enumerate(ages)]
    return Reply(entries, headers=headers or {})


def commit(sha: str, authored: datetime | str, committed: datetime | str | None = None) -> dict[str, Any]:
    def text(moment: datetime | str) -> str:
        return moment if isinstance(moment, str) else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    return {
        "sha": sha,
        "commit": {"author": {"date": text(authored)}, "committer": {"date": text(committed or authored)}},
    }


def contributors(*logins: str | None, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply([{"login": login, "contributions": 1} for login in logins], headers=headers or {})


def project(name: str = "django-x", **info: Any) -> Reply:
    urls = {"Source": "https://github.com/ann/django-x"}
    return Reply({"info": {"name": name, "version": "1.2", "project_urls": urls, **info}, "urls": []})


def catalog_record(**fields: Any) -> dict[str, Any]:
    return {
        "category": f"{CATALOG}/api/v4/categories/1/",
        "grids": [f"{CATALOG}/api/v4/grids/4/"],
        "id": 99,
        "title": "Django X",
        "slug": "django-x",
        "last_updated": None,
        "last_fetched": None,
        "repo_url": "https://github.com/ann/django-x",
        "pypi_version": None,
        "created": "2012-12-26T04:29:30.670172-05:00",
        "modified": "2026-01-28T14:51:38.364173-05:00",
        "repo_forks": 0,
        "repo_description": "",
        "pypi_url": "http://pypi.python.org/pypi/django-x",
        "documentation_url": None,
        "repo_watchers": 0,
        "commits_over_52": [],
        "participants": [],
        **fields,
    }


def replies(**changes: Reply | Exception) -> dict[str, Reply | Exception]:
    """Return what the services say of django-x, some of it changed by the names of the parts."""
    parts: dict[str, Reply | Exception] = {
        "project": project(),
        "repository": repository(),
        "commits": commits(timedelta(days=2), timedelta(days=9)),
        "contributors": contributors("ann", "bob", None, "ann"),
        "catalog": Reply(catalog_record()),
        **changes,
    }
    addresses = {
        "project": f"{PYPI}/pypi/django-x/json",
        "repository": f"{GITHUB}/repos/ann/django-x",
        "commits": f"{GITHUB}/repos/ann/django-x/commits?per_page=100",
        "contributors": f"{GITHUB}/repos/ann/django-x/contributors?per_page=100",
        "catalog": f"{CATALOG}/api/v4/packages/django-x/",
        "participation": f"{GITHUB}/repos/ann/django-x/stats/participation",
    }
    return {addresses[name]: reply for name, reply in parts.items()}


def network(bounds: Bounds | None = None) -> Network:
    at_once = dict.fromkeys(("service", github.NAME, pypi.NAME), 2)
    return Network(
        JumpingClock(NOW), user_agent="pkgharvest/test", bounds=bounds or Bounds(), at_once=at_once
    )


def ask(url: str, *, token: Token | None = None, body: bytes = b"", **headers: str) -> Request[Response]:
    return Request(
        "service",
        url,
        lambda response: response,
        headers=headers,
        method="POST" if body else "GET",
        body=body,
        token=token,
    )
