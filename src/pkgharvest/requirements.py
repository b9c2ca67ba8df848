"""Requirements as targets: requirements files, and the tables of ``pyproject.toml`` and ``pylock.toml``."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from pkgharvest.errors import SettingError, TargetError
from pkgharvest.targets import (
    Hosts,
    Misread,
    Named,
    RepositoryTarget,
    parse_repository,
    parse_target,
    redacted,
)

LONGEST_LINE = 2**20
"""Characters of a line with those that continue it."""
SEARCHED = 2**26
"""Characters that are searched for the lines of what is wrong in TOML, so that no file takes long."""
_LONGEST_REQUIREMENT = 10_000

_COMMENT = re.compile(r"(?:^|\s)#")
_LOCAL = re.compile(r"\.{1,2}(?:$|[/\\\[])|/(?!/)|~|file:|[a-z]:[/\\]", re.IGNORECASE)
# https://pip.pypa.io/en/stable/reference/requirements-file-format/#supported-options
_INCLUDE = re.compile(r"(?:-r\s*|--requirement(?:\s*=\s*|\s+))(\S.*)")
_EDITABLE = re.compile(r"(?:-e\s*|--editable(?:\s*=\s*|\s+))(\S.*)")
_OPTION = re.compile(r"--[a-z]|-[cfi]\s*\S")
_OPTIONS_OF_ONE = re.compile(r"\s(?:--[a-z]|-C)")
_FILE = re.compile(r"(?:^|[\s@+])file:")
_EGG = re.compile(r"(?:^|&)egg=([A-Za-z0-9._-]+)")
_LOCK = re.compile(r"pylock\.(?:[^.]+\.)?toml")
_PACKAGE = re.compile(r"(?m)^[ \t]*\[\[[ \t]*packages[ \t]*\]\]")
_TOML_LINE = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class Include:
    """A file whose lines belong where its name stands."""

    line: int
    path: str
    """Relative to the file that names it."""


class RequirementLines:
    """Reads a text list line by line: targets as the command takes them, and what pip reads from such a file.

    ``#`` begins a comment where it begins the line or follows a space; a backslash at the end
    continues a line. pip's rules: https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """

    def __init__(self, hosts: Hosts) -> None:
        """Take the hosts by which targets are told."""
        self._hosts = hosts
        self._parts: list[str] = []
        self._size = 0
        self._start = 0

    def feed(self, number: int, line: str) -> Iterator[Named | Misread | Include]:
        """Take the next line without its line feed, and yield what it completes."""
        line = line.removesuffix("\r").removeprefix("\ufeff")
        if not self._parts:
            self._start = number
        is_comment = line.lstrip().startswith("#")
        continues = line.endswith("\\") and not is_comment
        self._parts.append(f" {line}" if is_comment else line.removesuffix("\\") if continues else line)
        self._size += len(line)
        if not continues or self._size > LONGEST_LINE:
            yield from self.end()

    def end(self) -> Iterator[Named | Misread | Include]:
        """Yield what the last line leaves, if it was to be continued."""
        text = "".join(self._parts)
        self._parts.clear()
        self._size = 0
        text = _COMMENT.split(text, maxsplit=1)[0].strip()
        if not text:
            return
        if match := _INCLUDE.fullmatch(text):
            yield Include(self._start, _unquoted(match[1]))
            return
        try:
            target = parse_line(text, self._hosts)
        except TargetError as error:
            yield Misread(self._start, redacted(text), error)
        else:
            if target is not None:
                yield target


def parse_line(text: str, hosts: Hosts) -> Named | None:
    """Return what a line of a text list names, None for an option of pip's that names no package.

    What `parse_target` takes keeps its meaning; other lines are read as pip does.

    Raises:
        TargetError: the line names nothing that can be read.
    """
    if not text.startswith("-"):
        return _listed(_OPTIONS_OF_ONE.split(text, maxsplit=1)[0], hosts)
    if match := _EDITABLE.fullmatch(text):
        what = _unquoted(_OPTIONS_OF_ONE.split(match[1], maxsplit=1)[0])
        is_url = "://" in what or parse_repository(what, hosts) is not None
        return _listed(what, hosts) if is_url and not _FILE.search(what) else None
    if not _OPTION.match(text):
        raise TargetError(f"'{redacted(text)}' is no option of a requirements file")
    return None


def parse_requirement(text: str, hosts: Hosts) -> Named:
    """Return the package of a PEP 508 requirement: the repository that its URL leads to, else its name.

    Raises:
        TargetError: the text is no requirement.
    """
    return _target_of(_requirement(text), hosts)


def targets_in_toml(text: str, name: str, hosts: Hosts) -> Iterator[Named | Misread]:
    """Yield the packages of a ``pyproject.toml`` or, by its name, a ``pylock.toml``; each once.

    https://packaging.python.org/en/latest/specifications/pyproject-toml/,
    https://packaging.python.org/en/latest/specifications/dependency-groups/ and
    https://packaging.python.org/en/latest/specifications/pylock-toml/ tell the tables.

    Args:
        text: the whole file.
        name: its path, also for messages.
        hosts: by which repositories are told.

    Raises:
        SettingError: the text is no TOML, or its tables have another shape; the message tells the line.
    """
    is_lock = _LOCK.fullmatch(re.split(r"[/\\]", name)[-1])
    table = _Tables(text, name)
    seen: set[str] = set()
    for item in _in_lock(table, hosts) if is_lock else _in_project(table, hosts):
        if isinstance(item, Misread):
            yield item
        elif item.key not in seen:
            seen.add(item.key)
            yield item


class _Tables:
    """A TOML document, and where in its text things stand."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._name = name
        self._searched = 0
        try:
            self.root = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            match = _TOML_LINE.search(str(error))
            line = int(match[1]) if match else self._text.rstrip("\n").count("\n") + 1
            reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
            raise SettingError(f"{name}:{line}: no TOML: {reason}") from error

    def table(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        value = parent.get(key, {})
        return value if isinstance(value, dict) else self._refuse(key, "table")

    def list(self, parent: dict[str, Any], key: str) -> list[Any]:
        value = parent.get(key, [])
        return value if isinstance(value, list) else self._refuse(key, "list")

    def line_of(self, value: object, key: str) -> int:
        """Return the line on which a text first stands, or else what it belongs to.

        1 if neither does, or so much has been searched for others that it would take too long.
        """
        forms = [key]
        if isinstance(value, str):
            escaped = json.dumps(value, ensure_ascii=False)
            forms = [escaped, f"'{value}'", escaped[1:-1], value, key]
        for form in forms:
            if self._searched > SEARCHED:
                break
            found = self._text.find(form)
            self._searched += len(self._text) if found < 0 else found
            if found >= 0:
                return self._text.count("\n", 0, found) + 1
        return 1

    def line_of_package(self, number: int) -> int:
        """Return the line on which one of the packages of a lock begins; 1 if no header tells."""
        return self._headers[number] if number < len(self._headers) else 1

    @cached_property
    def _headers(self) -> tuple[int, ...]:
        """The lines on which packages of a lock begin."""
        starts = [0, *(match.start() for match in _PACKAGE.finditer(self._text))]
        between = (self._text.count("\n", *pair) for pair in pairwise(starts))
        return tuple(accumulate(between, initial=1))[1:]

    def _refuse(self, key: str, kind: str) -> Any:  # noqa: ANN401  it never returns
        raise SettingError(f"{self._name}:{self.line_of(None, key)}: {key} is no {kind}")


def _is_group(entry: dict[str, Any], tables: _Tables) -> bool:
    """Tell whether the group that an entry includes is there; it is read by itself."""
    groups = tables.table(tables.root, "dependency-groups")
    name = entry["include-group"]
    return isinstance(name, str) and canonicalize_name(name) in map(canonicalize_name, groups)


def _in_project(tables: _Tables, hosts: Hosts) -> Iterator[Named | Misread]:
    project = tables.table(tables.root, "project")
    name = project.get("name")
    own = canonicalize_name(name) if isinstance(name, str) else None
    for key, entry in _requirements(tables, project):
        if isinstance(entry, dict) and "include-group" in entry and _is_group(entry, tables):
            continue
        try:
            if isinstance(entry, dict) and "include-group" in entry:
                raise TargetError(f"there is no group {entry['include-group']!r} to include")  # noqa: TRY301
            if not isinstance(entry, str):
                raise TargetError(f"an entry of {key} is no text")  # noqa: TRY301  told like the others
            requirement = _requirement(entry)
            if canonicalize_name(requirement.name) != own:
                yield _target_of(requirement, hosts)
        except TargetError as error:
            shown = entry if isinstance(entry, str) else key
            yield Misread(tables.line_of(entry, key), redacted(shown), error)


def _requirements(tables: _Tables, project: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield each requirement with the key of the list in which it stands."""
    optional = tables.table(project, "optional-dependencies")
    groups = tables.table(tables.root, "dependency-groups")
    places = [(project, "dependencies"), *((optional, key) for key in optional)]
    for parent, key in [*places, *((groups, key) for key in groups)]:
        for entry in tables.list(parent, key):
            yield key, entry


def _in_lock(tables: _Tables, hosts: Hosts) -> Iterator[Named | Misread]:
    for number, package in enumerate(tables.list(tables.root, "packages")):
        name = package.get("name") if isinstance(package, dict) else None
        if not isinstance(name, str):
            error = TargetError("a package has no name")
            yield Misread(tables.line_of_package(number), "packages", error)
        elif "directory" not in package:
            vcs = package.get("vcs")
            url = vcs.get("url") if isinstance(vcs, dict) else None
            try:
                yield (isinstance(url, str) and _repository(url, hosts)) or _named(name)
            except TargetError as error:
                yield Misread(tables.line_of(name, "packages"), redacted(name), error)


def _listed(text: str, hosts: Hosts) -> Named:
    if _LOCAL.match(text):
        raise TargetError(f"'{redacted(text)}' is a path on this machine", "Give the package's name or a URL")
    try:
        return parse_target(text, hosts)
    except TargetError:
        target = _as_pip_reads(text, hosts)
        if target is None:
            raise
        return target


def _as_pip_reads(text: str, hosts: Hosts) -> Named | None:
    try:
        return parse_requirement(text, hosts)
    except TargetError:
        return _of_url(re.split(r"\s;", text, maxsplit=1)[0].strip(), hosts)


def _requirement(text: str) -> Requirement:
    if len(text) > _LONGEST_REQUIREMENT:
        raise TargetError(f"a requirement of {len(text)} characters")
    try:
        if "\\" not in text:  # strings in markers are read as Python's, and a backslash makes it warn
            return Requirement(text)
    except (ValueError, SyntaxError, RecursionError):  # what they say may quote a password
        pass
    raise TargetError(f"'{redacted(text)}' is no requirement")


def _target_of(requirement: Requirement, hosts: Hosts) -> Named:
    repository = _repository(requirement.url, hosts) if requirement.url else None
    return repository or _named(requirement.name)


def _of_url(url: str, hosts: Hosts) -> Named | None:
    """Return what a URL without a name names: a repository, the name after it, or that of a file."""
    try:
        split = urlsplit(url)
    except ValueError:
        return None
    if not split.scheme or not split.netloc:
        return None
    if repository := _repository(url, hosts):
        return repository
    if egg := _EGG.search(unquote(split.fragment)):
        return _named(egg[1])
    name = _name_in_file(unquote(split.path.rpartition("/")[2]))
    return _named(name) if name else None


def _name_in_file(name: str) -> str | None:
    try:
        return (parse_wheel_filename if name.endswith(".whl") else parse_sdist_filename)(name)[0]
    except ValueError:
        return None


def _repository(url: str, hosts: Hosts) -> RepositoryTarget | None:
    try:
        target = parse_target(url, hosts)
    except TargetError:
        return None
    return target if isinstance(target, RepositoryTarget) else None


def _named(name: str) -> Named:
    # Without hosts a name is never taken for an address.
    return parse_target(name, Hosts(frozenset(), frozenset()))


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
