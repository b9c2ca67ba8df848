"""What a user names, as typed values: slugs, PyPI names, and URLs in the forms that people paste."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from packaging.utils import NormalizedName, canonicalize_name

from pkgharvest.errors import TargetError

LONGEST_NAME = 200
"""No slug or project of PyPI or the catalog comes near; a file name of this length fits everywhere."""

LONGEST_URL = 2000
LONGEST_SHOWN = 80
"""Characters of a text in a message."""
LONGEST_NUMBER = 18
"""Digits of a catalog number: what a 64-bit column holds."""

_SLUG = re.compile(r"[a-z0-9_-]*[a-z0-9][a-z0-9_-]*")
_RECORDED_SLUG = re.compile(r"[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*")
# https://packaging.python.org/en/latest/specifications/name-normalization/
_PROJECT = re.compile(r"[a-z0-9]|[a-z0-9][a-z0-9._-]*[a-z0-9]", re.IGNORECASE | re.ASCII)
_OWNER = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}", re.IGNORECASE | re.ASCII)
_REPOSITORY_NAME = re.compile(r"(?!\.{1,2}$)[a-z0-9._-]{1,100}", re.IGNORECASE | re.ASCII)
# git's own short form; digits after the colon are a port, not a path.
_SCP_LIKE = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?!\d+(?:/|$))/?(?P<path>.+)")
_MIXED = re.compile(r"^((?:git\+)?ssh://[^/?#]*):(?!\d*(?:/|$))")
_BARE_HOST = re.compile(r"(?:[^/?#\s]*@)?[\w-]+(?:\.[\w-]+)+(?::\d+)?/", re.ASCII)
# ``git@`` is an account of the host, not a secret.
_CREDENTIALS = re.compile(r"(^(?:[^/?#@:]*:/+)*/*)(?!git@[^@/?#]*(?:[/?#]|$))[^/?#]*@")
# https://pip.pypa.io/en/stable/reference/requirements-file-format/#using-environment-variables
_VARIABLE = re.compile(r"\$\{[^}]*\}?")
_QUERY = re.compile(r"\?[^\s#]*")
_CATALOG_PATH = re.compile(r"/(?:packages/p|api/v4/packages)/([^/]+)/?$")

_WHOLE_PATH = re.compile(r"/api/v4/packages/?$")
_GRID_PATH = re.compile(r"/(?:grids/g|api/v4/grids)/([A-Za-z0-9_-]{1,200})/?$")
_CATEGORY_PATH = re.compile(r"/(?:api/v4/)?categories/([A-Za-z0-9_-]{1,200})/?$")

_SCHEMES = frozenset({"https", "http", "git", "ssh", "git+https", "git+http", "git+ssh", "git+git"})

# First segments of paths on GitHub that are its own pages, not accounts.
_NOT_OWNERS = frozenset(
    """about account apps blog business codespaces collections contact copilot customer-stories dashboard
    discussions enterprise events explore features gist issues join login logout marketplace new
    notifications orgs organizations pricing pulls readme search security settings site sponsors stars
    team teams topics trending user-attachments users""".split()
)

OTHER_FORGES = frozenset(
    {"gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "sourceforge.net", "salsa.debian.org"}
)
"""Code hosts that people name and that are not read yet; told apart for the message."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Host names by what lives there; PyPI and its mirrors are known by a name that begins with ``pypi.``."""

    code: frozenset[str] = frozenset({"github.com", "api.github.com", "ssh.github.com"})
    catalog: frozenset[str] = frozenset({"djangopackages.org"})


DEFAULT_HOSTS = Hosts()


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on a code host."""

    owner: str
    name: str
    host: str = "github.com"

    @classmethod
    def named(cls, full_name: str, host: str = "github.com") -> Self:
        """Return the repository of an ``owner/name``."""
        owner, _, name = full_name.partition("/")
        return cls(owner, name, host)

    @property
    def full_name(self) -> str:
        """``owner/name``, as written."""
        return f"{self.owner}/{self.name}"

    @property
    def url(self) -> str:
        """The address for a browser."""
        return f"https://{self.host}/{self.full_name}"

    @property
    def key(self) -> str:
        """What is equal for two spellings of one repository: hosts ignore case."""
        return f"{self.host}/{self.full_name}".lower()


@dataclass(frozen=True, slots=True)
class PackageTarget:
    """A package by its slug or its name on PyPI."""

    text: str
    """What the user wrote, credentials left out."""
    slug: str
    project: NormalizedName
    """The name that the package has on PyPI if it is the usual one."""
    warnings: tuple[str, ...] = ()
    place: str = field(default="", compare=False)
    """Where it was read, as ``file:line`` or ``file``; empty for the command line."""

    @property
    def key(self) -> str:
        """What is equal for two targets that name one package."""
        return f"package:{self.project}"


@dataclass(frozen=True, slots=True)
class CatalogTarget:
    """A package by its number in the catalog; only the catalog knows its slug."""

    text: str
    number: int
    warnings: tuple[str, ...] = ()
    place: str = field(default="", compare=False)
    """Where it was read, as ``file:line`` or ``file``; empty for the command line."""

    @property
    def key(self) -> str:
        """What is equal for two targets that name one package."""
        return f"catalog:{self.number}"


@dataclass(frozen=True, slots=True)
class RepositoryTarget:
    """A package by its repository."""

    text: str
    """What the user wrote, credentials left out."""
    repository: Repository
    warnings: tuple[str, ...] = ()
    place: str = field(default="", compare=False)
    """Where it was read, as ``file:line`` or ``file``; empty for the command line."""

    @property
    def slug(self) -> str:
        """The slug that the repository's name makes."""
        return slug_of(self.repository.name)

    @property
    def key(self) -> str:
        """What is equal for two targets that name one package."""
        return f"repository:{self.repository.key}"


@dataclass(frozen=True, slots=True)
class CollectionTarget:
    """Several packages: those of a grid, of a category, or of the whole catalog."""

    text: str
    kind: Literal["grid", "category", "catalog"]
    name: str = ""
    """Slug or number of the grid or category."""
    warnings: tuple[str, ...] = ()
    place: str = field(default="", compare=False)
    """Where it was read, as ``file:line`` or ``file``; empty for the command line."""

    @property
    def key(self) -> str:
        """What is equal for two targets that name the same packages."""
        return f"{self.kind}:{self.name}"


Target = PackageTarget | CatalogTarget | RepositoryTarget
"""One package."""
Named = Target | CollectionTarget
"""What a text can name."""


@dataclass(frozen=True, slots=True)
class Misread:
    """A text in a list that names nothing which can be read."""

    line: int
    """Number of the line, from 1."""
    text: str
    """What is written there, as `redacted` leaves it."""
    error: TargetError


def whole_catalog(url: str) -> CollectionTarget:
    """Return all packages of the catalog that lives at an address; the text can be parsed again."""
    return CollectionTarget(f"{url}/api/v4/packages/", "catalog")


def parse_target(text: str, hosts: Hosts = DEFAULT_HOSTS) -> Named:
    """Return what a text names.

    A text in the slug's alphabet (``[a-z0-9_-]``) is a slug as it stands; any other name is one of
    PyPI's, and its slug is its normalised form. In a URL only host and path count; credentials in
    it are dropped, with a warning on the target.

    Raises:
        TargetError: the text names nothing that can be read; the message says why.
    """
    stripped = text.strip()
    if not stripped:
        raise TargetError("an empty name", "Give a slug, a PyPI name or a URL")
    if not stripped.isprintable():
        raise TargetError(f"{_shown(stripped)} holds characters that no name has")
    split = _split_url(stripped, hosts)
    return _parse_name(stripped) if split is None else _parse_url(stripped, split, hosts)


def package_of(slug: str) -> PackageTarget:
    """Return the package whose slug is exactly this one, as a record has it, capitals included.

    Raises:
        TargetError: it is no slug.
    """
    if len(slug) > LONGEST_NAME or not _RECORDED_SLUG.fullmatch(slug):
        raise TargetError(f"{_shown(slug)} is no slug")
    return _package(slug, slug)


def redacted(text: str) -> str:
    """Return a text fit for a message: printable, shortened, no credentials, queries or ``${VARIABLES}``."""
    text = _VARIABLE.sub("...", text)
    if "://" in text:
        text = _QUERY.sub("", text)
    if "@" in text and not re.match(r"(?:\w+://)?git@[^@]*$", text):
        # What stands before an @ may be a password, however the rest of the text is meant.
        scheme = re.match(r"[\w+]+:/+", text)
        text = (scheme[0] if scheme else "") + "...@" + text.rpartition("@")[2]
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= LONGEST_SHOWN else escaped[: LONGEST_SHOWN - 3] + "..."


def parse_repository(url: str, hosts: Hosts = DEFAULT_HOSTS) -> Repository | None:
    """Return the repository that a URL from elsewhere (a project's metadata) lies in, None if in none."""
    try:
        target = parse_target(url, hosts)
    except TargetError:
        return None
    return target.repository if isinstance(target, RepositoryTarget) else None


def is_on_other_forge(url: str) -> bool:
    """Tell whether a URL from elsewhere leads to a code host that is not read."""
    try:
        return _host(urlsplit(url)) in OTHER_FORGES
    except ValueError:
        return False


def parse_project(url: str) -> NormalizedName | None:
    """Return the project that a URL of PyPI or of a mirror names, None if it names none."""
    try:
        split = urlsplit(url)
        return canonicalize_name(_project_in(split)) if _is_pypi(_host(split)) else None
    except (TargetError, ValueError):
        return None


def slug_of(name: str) -> str:
    """Return the slug of a package that is known by this name."""
    return name if _SLUG.fullmatch(name) else canonicalize_name(name)


def _parse_name(text: str) -> PackageTarget:
    shown = _shown(text)
    if len(text) > LONGEST_NAME:
        raise TargetError(f"a name of {len(text)} characters; the longest that is taken has {LONGEST_NAME}")
    if not (_SLUG.fullmatch(text) or _PROJECT.fullmatch(text)):
        advice = "Give a slug, a PyPI name or a URL"
        owner, _, name = text.partition("/")
        if _OWNER.fullmatch(owner) and _REPOSITORY_NAME.fullmatch(name):
            advice = f"For a repository on GitHub write https://github.com/{text}"
        raise TargetError(f"{shown} is no name of a package", advice)
    return _package(text, slug_of(text))


def _split_url(text: str, hosts: Hosts) -> SplitResult | None:
    """Return the parts of a URL, of ``user@host:path``, or of a URL without its scheme; else None."""
    if "://" in text:
        # ssh://git@host:owner/name mixes git's two forms, and is common all the same.
        url = _MIXED.sub(r"\1/", text)
    elif text.startswith("//"):
        url = f"https:{text}"
    elif match := _SCP_LIKE.fullmatch(text):
        user = f"{match['user']}@" if match["user"] else ""
        url = f"ssh://{user}{match['host']}/{match['path']}"
    elif _BARE_HOST.match(text) or _is_known(text.lower().removeprefix("www."), hosts):
        url = f"https://{text}"
    else:
        return None
    if len(url) > LONGEST_URL:
        raise TargetError(f"a URL of {len(url)} characters")
    try:
        split = urlsplit(url)
        _ = split.port  # reading it checks it
    except ValueError as error:
        # Some of the errors quote the credentials.
        why = f": {error}" if not re.search(r"@|\$\{", str(error)) else ""
        raise TargetError(f"{_shown(text)} is no URL{why}") from None
    return split


def _parse_url(text: str, split: SplitResult, hosts: Hosts) -> Named:
    plain = _without_credentials(text)
    shown = re.split("[?#]", plain, maxsplit=1)[0]  # a query can hold a token
    if split.scheme.lower() not in _SCHEMES:
        raise TargetError(
            f"{_shown(shown)}: {split.scheme}:// is no scheme of a repository or package",
            "Give the address with https://",
        )
    warnings = () if plain == text else ("the credentials in the URL were dropped",)
    host = _host(split)
    if host in hosts.catalog and (target := _in_catalog(shown, split.path, warnings)):
        return target
    if _is_pypi(host):
        return _package(shown, canonicalize_name(_project_in(split)), warnings)
    if host in hosts.code:
        return RepositoryTarget(shown, _repository_in(shown, host, split), warnings)
    if host in hosts.catalog:
        raise TargetError(f"{_shown(shown)} is no address of a package in the catalog")
    if host in OTHER_FORGES:
        message = f"{_shown(shown)}: repositories on {host} are not read yet, only those on GitHub"
        raise TargetError(message, "Give the address of a mirror on GitHub, if there is one")
    raise TargetError(
        f"{_shown(shown)}: {redacted(host) or 'the empty host'} is no host that is read",
        "Give a URL of GitHub, PyPI or Django Packages",
    )


def _in_catalog(shown: str, path: str, warnings: tuple[str, ...]) -> Named | None:
    if _WHOLE_PATH.search(path):
        return CollectionTarget(shown, "catalog", warnings=warnings)
    if match := _GRID_PATH.search(path):
        return CollectionTarget(shown, "grid", match[1], warnings)
    if match := _CATEGORY_PATH.search(path):
        return CollectionTarget(shown, "category", match[1], warnings)
    if match := _CATALOG_PATH.search(path):
        return _catalog_target(shown, unquote(match[1]), path, warnings)
    return None


def _catalog_target(shown: str, key: str, path: str, warnings: tuple[str, ...]) -> Target:
    # The API takes digits as a number; on the site's pages they are a slug like any other.
    if key.isascii() and key.isdigit() and "/api/" in path and len(key) <= LONGEST_NUMBER:
        return CatalogTarget(shown, int(key), warnings)
    slug = key.lower()
    if not _SLUG.fullmatch(slug) or len(slug) > LONGEST_NAME:
        raise TargetError(f"{_shown(shown)}: {_shown(key)} is no slug")
    return _package(shown, slug, warnings)


def _package(shown: str, slug: str, warnings: tuple[str, ...] = ()) -> PackageTarget:
    # A slug may begin or end with a hyphen, a project may not.
    return PackageTarget(shown, slug, canonicalize_name(slug.strip("-_")), warnings)


def _project_in(split: SplitResult) -> str:
    """Return the project's name in a path as ``/project/NAME/``, ``/pypi/NAME/json``, ``/simple/NAME/``."""
    segments = _segments(split)
    if len(segments) < 2 or segments[0] not in {"project", "pypi", "simple", "p"}:  # noqa: PLR2004
        raise TargetError(f"{_shown(split.geturl())} is no address of a project on PyPI")
    name = segments[1]
    if not _PROJECT.fullmatch(name) or len(name) > LONGEST_NAME:
        raise TargetError(f"{_shown(name)} is no name of a project on PyPI")
    return name


def _repository_in(shown: str, host: str, split: SplitResult) -> Repository:
    segments = _segments(split)
    is_api = host.startswith("api.")
    if segments[:2] == ["api", "v3"]:
        is_api, segments = True, segments[2:]
    if is_api:
        if segments[:1] != ["repos"]:
            raise TargetError(f"{_shown(shown)} names no repository by owner and name")
        segments = segments[1:]
    if not segments:
        raise TargetError(f"{_shown(shown)} names no repository", "Give the URL with owner and name")
    owner = segments[0]
    if owner.lower() in _NOT_OWNERS:
        raise TargetError(f"{_shown(shown)} is a page of {host}, not a repository")
    if len(segments) == 1:
        raise TargetError(
            f"{_shown(shown)} names an owner, not a repository", "Give the URL with owner and name"
        )
    # pip's form names a revision after the path: git+https://host/owner/name.git@v1.0
    name = segments[1].partition("@")[0].removesuffix(".git")
    if not _OWNER.fullmatch(owner) or not _REPOSITORY_NAME.fullmatch(name):
        raise TargetError(f"{_shown(shown)}: {_shown(f'{owner}/{name}')} is no name of a repository")
    return Repository(owner, name, re.sub(r"^(?:api|ssh)\.", "", host))


def _segments(split: SplitResult) -> list[str]:
    return [unquote(segment) for segment in split.path.split("/") if segment]


def _host(split: SplitResult) -> str:
    return (split.hostname or "").rstrip(".").removeprefix("www.")


def _is_pypi(host: str) -> bool:
    return host.startswith("pypi.")


def _is_known(host: str, hosts: Hosts) -> bool:
    return host in hosts.code | hosts.catalog | OTHER_FORGES


def _without_credentials(text: str) -> str:
    """Return a URL without its user and password, and without the names of variables that may hold them."""
    return _VARIABLE.sub("...", _CREDENTIALS.sub(r"\1", text, count=1))


def _shown(text: str) -> str:
    """Return a text between quotation marks, as `redacted` leaves it."""
    return f"'{redacted(text)}'"
