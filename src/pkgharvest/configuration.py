"""The settings in force: from options, the environment, the project's file, the user's, and the defaults."""

from __future__ import annotations

import io
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pkgharvest import durations, keys
from pkgharvest.errors import SettingError, printable
from pkgharvest.settings import Settings, configuration_folder, token_in

FILE = "pkgharvest.toml"
PROJECT = "pyproject.toml"
TABLE = ("tool", "pkgharvest")
"""Where the settings are in a ``pyproject.toml``."""

DEFAULT = "default"
"""The source of what nobody has set."""

_LARGEST = 2**22
_SEARCHED = 2**21
"""Characters that are read again to find the line of a key, so that no file takes long."""
_TOML_LINE = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class File:
    """A file that was looked for."""

    name: str
    """As people are shown it."""
    role: Literal["user", "project", "named"]
    folder: Path
    """Where it is; relative paths in it start there."""
    text: str | None
    """What it holds, None if there is no such file."""

    @property
    def table(self) -> tuple[str, ...]:
        """The keys that lead to the settings."""
        return TABLE if Path(self.name).name == PROJECT else ()


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it comes from."""

    value: object
    source: str
    """An option, a variable, the name of a file, or ``default``."""
    role: str = ""
    """Of the file that it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Settings of the command that concern no harvest from a program."""

    format: Literal["json", "jsonl", "list"] = "json"
    """The form of records on a stream or in a file."""
    only_changed: bool = False
    """Whether files of a folder are left alone where nothing but ``last_fetched`` would change."""
    if_running: Literal["fail", "skip"] = "fail"
    """What to do if another run works on the folder."""
    log_format: Literal["text", "logfmt", "json"] | None = None
    """The form of lines on stderr; None for text, of which a run without a terminal shows errors alone."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force, and why."""

    settings: Settings
    choices: Choices
    given: Mapping[str, Given]
    """Every key, in the order of `keys.KEYS`."""
    files: Sequence[File]
    """Those that were looked for, the one that overrules first."""

    def is_option(self, name: str) -> bool:
        """Return whether a key has its value from an option of this run."""
        return self.given[name].source.startswith("--")


def configure(
    options: Mapping[str, object],
    environment: Mapping[str, str],
    files: Sequence[File] = (),
    *,
    record: Path | None = None,
    replay: str | None = None,
) -> Configuration:
    """Return the settings that are in force.

    Args:
        options: those of the command line by their keys, None for those that were not given.
        environment: the variables; the token comes from here alone.
        files: those that were looked for, the one that overrules first.
        record: the file that the run is recorded in.
        replay: the recording that the run is answered from.

    Raises:
        SettingError: a setting is wrong or unknown, told with the place where it is written.
    """
    given = _defaults()
    for file in reversed(files):
        given |= _in_file(file)
    for name, value in keys.in_environment(environment).items():
        given[name] = Given(value, keys.BY_NAME[name].variable)
    for name, value in options.items():
        if value is not None:
            option = f"--no-{name}" if value is False else f"--{name}"
            given[name] = Given(keys.BY_NAME[name].take(option, value), option)
    token = token_in(environment)
    if token is not None:
        _check_token_stays(given["github-url"], token.source)
    _check_offline(given, replay)
    values: dict[str, Any] = {keys.BY_NAME[name].field: found.value for name, found in given.items()}
    choices = Choices(**{name: values.pop(name) for name in Choices.__dataclass_fields__})
    settings = Settings(**values, token=token, record=record, replay=replay)
    return Configuration(settings, choices, given, files)


def read_files(named: Path | None) -> list[File]:
    """Return the files of settings: the working folder's ``pyproject.toml``, and the user's or the one named.

    Raises:
        SettingError: one cannot be read, or the named one is missing.
    """
    project = _read(Path(PROJECT), PROJECT, "project")
    if named is None:
        folder = configuration_folder()
        if folder is None:
            return [project]
        path = folder / FILE
        return [project, _read(path, _from_home(path), "user")]
    file = _read(named, str(named), "named")
    if file.text is None:
        raise SettingError(f"the settings in {named} cannot be read: there is no such file")
    return [project, file]


def _read(path: Path, name: str, role: Literal["user", "project", "named"]) -> File:
    text: str | None = None
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise SettingError(f"the settings in {name} cannot be read: more than {_LARGEST:,} bytes")
        text = data.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        advice = "Make it readable, or name another with --config" if role == "user" else ""
        raise SettingError(f"the settings in {name} cannot be read: {error.strerror}", advice) from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{name}:{_line_at(data, error.start)}: no TOML: it is not in UTF-8") from error
    return File(name, role, path.parent, text)


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _from_home(path: Path) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111  Path.home() fails where there is none
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _defaults() -> dict[str, Given]:
    values = {**_fields(Choices()), **_fields(Settings())}
    return {key.name: Given(values[key.field], DEFAULT) for key in keys.KEYS}


def _fields(value: Choices | Settings) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _in_file(file: File) -> dict[str, Given]:
    """Return what a file sets, by key."""
    if file.text is None:
        return {}
    found: dict[str, Given] = {}
    for name, value in _table(file).items():
        label = f"{_place(file, name)}: {name}"
        key = keys.BY_NAME.get(name)
        if key is None and isinstance(value, dict):
            raise SettingError(f"{label}: there is no such table", f"Write its keys {_where(file)}")
        if key is None:
            keys.refuse(label, name, {known: known for known in keys.BY_NAME})
        taken = key.take(label, value)
        found[name] = Given(file.folder / taken if isinstance(taken, Path) else taken, file.name, file.role)
    return found


def _table(file: File) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.text or "")
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise SettingError(f"{file.name}{_line_in(reason, file)}: no TOML: {reason}") from error
    return _below(document, file)


def _line_in(reason: str, file: File) -> str:
    """Return the line that a message of the parser tells, after a colon; nothing if it tells none."""
    if "(at end of document)" in reason:
        return f":{len((file.text or '').rstrip().splitlines())}"
    match = _TOML_LINE.search(reason)
    return f":{match[1]}" if match else ""


def _below(document: dict[str, Any], file: File) -> dict[str, Any]:
    value: Any = document
    for key in file.table:
        value = value.get(key, {})
        if not isinstance(value, dict):
            raise SettingError(f"{file.name}: {key} is no table", f"Write the settings {_where(file)}")
    return value  # type: ignore[no-any-return]  # the loop has seen that it is a table


def _where(file: File) -> str:
    return f"in [{'.'.join(file.table)}]" if file.table else "at the top of the file, without a table"


def _place(file: File, name: str) -> str:
    """Return the file and, where it can be told, the line in which a key is set."""
    text, start, searched = file.text or "", 0, 0
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        if name in line:
            searched += start
            if searched > _SEARCHED:
                break
            if _sets(replace(file, text=text[:start]), line, name):
                return f"{file.name}:{number}"
        start += len(line)
    return file.name


def _sets(before: File, line: str, name: str) -> bool:
    """Return whether a line sets a key, perhaps to what goes on below it, after the text before it."""
    for whole in (line, f"{line.partition('=')[0]} = 0"):
        try:
            if name in _table(replace(before, text=f"{before.text}{whole}")):
                return True
        except SettingError:
            continue
    return False


def _check_token_stays(address: Given, variable: str) -> None:
    """Refuse to send the token where a file says that may have come with somebody else's project."""
    if address.role == "project" and address.value != Settings().github_url:
        raise SettingError(
            f"the token in {variable} is not sent to {address.value}, which {address.source} names",
            f"Name it in {keys.BY_NAME['github-url'].variable} if it may have the token, or unset {variable}",
        )


def _check_offline(given: Mapping[str, Given], replay: str | None) -> None:
    """Tell who contradicts whom; `Settings` knows the values alone."""
    offline = given["offline"]
    rivals = [name for name, value in (("cache", False), ("refresh", True)) if given[name].value is value]
    if not offline.value or not (rivals or replay is not None):
        return
    said = [f"{name} = {_written(given[name].value)} ({given[name].source})" for name in ("offline", *rivals)]
    said += ["--replay"] if replay is not None else []
    raise SettingError(
        f"offline needs what is stored, so these do not go together: {', '.join(said)}",
        "Overrule one of them, as with --no-offline",
    )


def lines(configuration: Configuration) -> Iterator[str]:
    """Yield what is in force, for people: a table of key, value and source, and the files."""
    token = configuration.settings.token
    rows = [
        (name, _written(_in_use(name, configuration)), given.source)
        for name, given in configuration.given.items()
    ]
    rows.append(("token", "set", token.source) if token else ("token", "not set", DEFAULT))
    yield from _aligned([("key", "value", "source"), *rows])
    yield ""
    yield from _aligned([("file", "state"), *((file.name, _state(file)) for file in configuration.files)])


def as_json(configuration: Configuration) -> str:
    """Return what is in force, for programs: durations in seconds, of the token only where it comes from."""
    token = configuration.settings.token
    told = {
        "settings": {
            name: {"value": _plain(_in_use(name, configuration)), "source": given.source}
            for name, given in configuration.given.items()
        },
        "token": {"set": token is not None, "source": token.source if token else None},
        "files": [
            {"name": file.name, "role": file.role, "state": _state(file)} for file in configuration.files
        ],
    }
    return json.dumps(told, indent=4) + "\n"


def _in_use(name: str, configuration: Configuration) -> object:
    """Return the value of a key, where nothing is set what is done then."""
    if name == "cache-folder":
        return configuration.settings.store_folder
    if name in ("max-wait", "deadline"):
        return timedelta(seconds=getattr(configuration.settings, keys.BY_NAME[name].field))
    return configuration.given[name].value


def _written(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case timedelta():
            return durations.written(value)
        case Path():
            return _from_home(value)
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value


def _state(file: File) -> str:
    if file.text is None:
        return "not there"
    if not file.table or _table(file):
        return "read"
    return f"read, nothing {_where(file)}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
