"""PyPI's JSON API, without I/O, and what a project's URLs tell of its repository and documentation.

https://docs.pypi.org/api/json/
https://packaging.python.org/en/latest/specifications/well-known-project-urls/
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import msgspec
from packaging.utils import NormalizedName

from pkgharvest.net.message import Request, Response
from pkgharvest.sources import answers
from pkgharvest.targets import Hosts, Repository, is_on_other_forge, parse_repository

NAME = "PyPI"

# The label "source" and its aliases in the specification, then what people write besides it.
_SOURCE = frozenset({"source", "repository", "sourcecode", "github"})
_SOURCE_TOO = frozenset(
    """code codebase coderepository development git githubpage githubproject githubrepo githubrepository
    gitrepo gitrepository projectrepository repo repositoryurl repourl scm sourcecoderepository
    sourcecodeurl sourcecontrol sourcerepository sources sourceurl src vcs viewsource""".split()
)
_HOMEPAGE = frozenset(
    {"homepage", "home", "homepageurl", "projecthomepage", "projectpage", "projecturl", "url", "website"}
)
_TRACKER = frozenset(
    """bugs bugreports bugtracker changelog changes download downloadurl history issue issues issuetracker
    releasenotes releases reportissues tracker whatsnew""".split()
)
# Parts of labels under which somebody asks for money, whose repository is theirs and not the package's.
_FUNDING = ("fund", "sponsor", "donat", "coffee", "patreon")
_DOCUMENTATION = frozenset({"documentation", "docs"})

_IGNORED = str.maketrans("", "", string.punctuation + string.whitespace)


class Project(msgspec.Struct, frozen=True):
    """What PyPI says of a project (the object ``info``); empty texts and null both mean absent."""

    name: str
    version: str
    project_urls: dict[str, str | None] | None = None
    home_page: str | None = None
    download_url: str | None = None
    docs_url: str | None = None
    released: datetime | None = None
    """When the first file of the version was uploaded; None if it has none."""


class _File(msgspec.Struct):
    upload_time_iso_8601: datetime | None = None


class _Document(msgspec.Struct):
    info: Project
    urls: msgspec.Raw = msgspec.Raw(b"[]")
    """The files of the version; only a warning depends on them, so that they may have any shape."""

    def project(self) -> Project:
        try:
            files = msgspec.json.decode(self.urls, type=list[_File])
        except msgspec.MsgspecError:
            return self.info
        times = [file.upload_time_iso_8601 for file in files if file.upload_time_iso_8601]
        return msgspec.structs.replace(self.info, released=min(times, default=None))


@dataclass(frozen=True, slots=True)
class Found:
    """A repository, and how it was found."""

    repository: Repository
    rule: str
    """``source``, ``homepage`` or ``other``."""
    label: str
    """The label of the URL as the project wrote it, or the name of the old field."""


@dataclass(frozen=True, slots=True)
class PyPI:
    """The requests that PyPI is asked, of one address."""

    base_url: str
    """Where the index lives, no slash at the end."""

    def project(self, name: NormalizedName) -> Request[Project]:
        """Ask for a project by its normalised name; any other spelling is redirected."""

        def judge(response: Response) -> Project:
            if response.status == HTTPStatus.OK:
                return answers.decode(response, _Document).project()
            raise answers.failure(response, f"the project {name!r}")

        # The CDN in front of PyPI keeps answers for as long, so that asking earlier tells nothing new.
        url = f"{self.base_url}/pypi/{name}/json"
        return Request(NAME, url, judge, {"accept": "application/json"}, believes_age=True)


def documentation_of(project: Project) -> str | None:
    """Return the address of the documentation, None if the project names none."""
    if project.docs_url:
        return project.docs_url
    urls = ((normalise_label(label), url) for label, url in (project.project_urls or {}).items())
    return next((url for label, url in urls if label in _DOCUMENTATION and url), None)


def repository_of(project: Project, hosts: Hosts) -> Found | None:
    """Return the repository that the project's URLs name, None if none of them does.

    Labels of the source come first, those of the specification before others that people use, then
    homepages, trackers and changelogs, then any other label but those of funding, documentation
    last; among equals the project's own order counts. Where the source or the homepage is on a host
    that is not read, only they count: another label would lead to another project. A URL below a
    repository (``/tree/main/package``, ``/issues``) stands for it.
    """
    return next(repositories_of(project, hosts), None)


def repositories_of(project: Project, hosts: Hosts) -> Iterator[Found]:
    """Yield every repository that the project's URLs name, the likeliest first."""
    entries = sorted(_ranked(project), key=lambda entry: entry[0])
    is_elsewhere = any(is_on_other_forge(url) for rank, _, _, url in entries if rank <= _HOMEPAGE_RANK)
    for rank, rule, label, url in entries:
        repository = parse_repository(url, hosts)
        if repository is not None and not (is_elsewhere and rank > _HOMEPAGE_RANK):
            yield Found(repository, rule, label)


def normalise_label(label: str) -> str:
    """Return a label as the specification compares it: without punctuation and space, in lower case."""
    return label.translate(_IGNORED).lower()


def _ranked(project: Project) -> Iterator[tuple[int, str, str, str]]:
    """Yield rank, rule, label and URL of all that the project names, in its own order."""
    fields = {"home_page": project.home_page, "download_url": project.download_url}
    for label, url in [*(project.project_urls or {}).items(), *fields.items()]:
        normalised = normalise_label(label)
        if url and not any(part in normalised for part in _FUNDING):
            rank, rule = _rank(normalised)
            yield rank, rule, label, url


_HOMEPAGE_RANK = 3


def _rank(label: str) -> tuple[int, str]:
    """Return where a normalised label stands (0 is asked first), and the name of the rule."""
    if label in _SOURCE:
        return 0, "source"
    if label in _SOURCE_TOO:
        return 1, "source"
    # "GitHub: name-of-the-repository" is common, and so are "Code (GitHub)" and "Source code (main branch)".
    if "github" in label or label.startswith(("code", "repo", "source")):
        return 2, "source"
    if label in _HOMEPAGE:
        return _HOMEPAGE_RANK, "homepage"
    if label in _TRACKER:
        return 4, "other"
    return (6 if label in _DOCUMENTATION else 5), "other"
