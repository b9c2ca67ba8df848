"""What earlier runs wrote, as lists of targets: the slugs of records, the targets of reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pkgharvest.errors import SettingError, TargetError
from pkgharvest.targets import Hosts, Misread, Named, package_of, parse_target, redacted

LARGEST = 2**28
"""Characters of JSON that are held at once."""

_DECODER = json.JSONDecoder()
_NO_TARGETS = frozenset({TargetError.reason, SettingError.reason})
"""Reasons of failures whose target is the text of a wrong line, which may look like a name."""


class EarlierResults:
    """Reads records or a report, each target once.

    Lines that are values by themselves are read as they come; other documents are held until the
    end. Of a record only the slug counts. A report's lines have ``target`` and ``status``; the
    last one, with the single key ``run``, is passed over.
    """

    def __init__(self, name: str, hosts: Hosts, *, failed: bool) -> None:
        """Take the list's name for messages, and whether only what failed is wanted."""
        self._name = name
        self._hosts = hosts
        self._failed = failed
        self._seen: set[str] = set()
        self._is_report = False
        self._held: list[str] = []
        self._size = 0
        self._start = 0
        self._by_line = False
        """Whether all values so far stood each on a line of its own."""

    def feed(self, number: int, line: str) -> Iterator[Named | Misread]:
        """Take the next line, and yield what it names.

        Raises:
            SettingError: only what failed is wanted, and this is no report; or there is too much.
        """
        if self._held:
            self._hold(line)
        elif line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                self._start = number
                self._hold(line)
            else:
                self._by_line = True
                yield from self._targets(value, line, (_skip_space(line, 0), len(line)), number)

    def end(self) -> Iterator[Named | Misread]:
        """Yield what the documents name that were held.

        Raises:
            SettingError: they are no JSON; the message tells the line.
        """
        text, line, end = "\n".join(self._held), self._start, 0
        self._held.clear()
        while (start := _skip_space(text, end)) < len(text):
            line += text.count("\n", end, start)
            try:
                value, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                if not self._by_line:
                    raise SettingError(_no_json(self._name, error, self._start, line)) from error
                for number, rest in enumerate(text[start:].split("\n"), line):
                    yield from self._values_on(rest, number)
                return
            lines = text.count("\n", start, end)
            self._by_line = self._by_line and not lines
            yield from self._targets(value, text, (start, end), line)
            line += lines

    def _values_on(self, text: str, line: int) -> Iterator[Named | Misread]:
        """Yield what the values on a line name, where one line that is broken must not hide the others."""
        end = 0
        while (start := _skip_space(text, end)) < len(text):
            try:
                value, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError):
                yield Misread(line, redacted(text[start:]), TargetError("the line is no JSON"))
                return
            yield from self._targets(value, text, (start, end), line)

    def _hold(self, line: str) -> None:
        self._held.append(line)
        self._size += len(line) + 1
        if self._size > LARGEST:
            raise SettingError(f"{self._name} holds more than {LARGEST:,} characters of JSON")

    def _targets(
        self,
        value: Any,  # noqa: ANN401  any JSON
        text: str,
        span: tuple[int, int],
        line: int,
    ) -> Iterator[Named | Misread]:
        before = span[0]
        for entry, first, end in _entries(value, text, *span):
            line += text.count("\n", before, first)
            before = first
            try:
                if target := self._target(entry):
                    yield target
            except TargetError as error:
                yield Misread(line, redacted(_name_in(entry) or text[first:end]), error)

    def _target(self, entry: Any) -> Named | None:  # noqa: ANN401  any JSON
        """Return what an entry names, None if it names nothing, nothing new, or nothing that is wanted."""
        if isinstance(entry, dict) and entry.keys() == {"run"}:
            self._is_report = True
            return None
        if isinstance(entry, dict) and {"target", "status"} <= entry.keys():
            self._is_report = True
            if self._failed and entry["status"] != "failed":
                return None
            if entry.get("reason") in _NO_TARGETS and isinstance(entry.get("message"), str):
                raise TargetError(entry["message"])
            target = _reported(entry, self._hosts)
            return self._once(target, target.key)
        if self._failed:
            if not self._is_report:
                raise no_report(self._name)
            raise TargetError("no line of a report")
        slug = entry.get("slug") if isinstance(entry, dict) else None
        if not isinstance(slug, str):
            raise TargetError("neither a record, for want of a slug, nor a line of a report")
        return self._once(package_of(slug), slug)

    def _once(self, target: Named, key: str) -> Named | None:
        if key in self._seen:
            return None
        self._seen.add(key)
        return target


def no_report(name: str) -> SettingError:
    """Return the error for a list that was to be a report."""
    return SettingError(f"{name} is no report, so --failed has nothing to choose from")


def _reported(entry: dict[str, Any], hosts: Hosts) -> Named:
    text = entry["target"]
    if not isinstance(text, str):
        raise TargetError("the target is no text")
    return package_of(text) if text == entry.get("slug") else parse_target(text, hosts)


def _name_in(entry: Any) -> str:  # noqa: ANN401  any JSON
    """Return the target that a report's line tells, so that the next report tells it too; else nothing."""
    name = entry.get("target") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""


def _entries(
    value: Any,  # noqa: ANN401  any JSON
    text: str,
    start: int,
    end: int,
) -> Iterator[tuple[Any, int, int]]:
    """Yield the entries of a document that has been decoded, each with its place in the text."""
    if isinstance(value, list):
        yield from _elements(text, start)
    elif isinstance(value, dict) and isinstance(value.get("results"), list):
        *_, results = (at for key, at in _members(text, start) if key == "results")
        yield from _elements(text, results)
    else:
        yield value, start, end


def _elements(text: str, start: int) -> Iterator[tuple[Any, int, int]]:
    at = _skip_space(text, start + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        yield value, at, end
        at = _next(text, end)


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yield the keys of an object, each with the place of its value."""
    at = _skip_space(text, start + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        at = _skip_space(text, _skip_space(text, end) + 1)
        yield key, at
        at = _next(text, _DECODER.raw_decode(text, at)[1])


def _next(text: str, end: int) -> int:
    at = _skip_space(text, end)
    return _skip_space(text, at + 1) if text[at] == "," else at


def _skip_space(text: str, index: int) -> int:
    while index < len(text) and text[index].isspace():
        index += 1
    return index


def _no_json(name: str, error: Exception, start: int, line: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{name}:{start + error.lineno - 1}: no JSON: {error.msg}"
    return f"{name}:{line}: no JSON that can be read"
