"""What can be set: the keys of configuration files and environment variables, and what each of them takes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pkgharvest import durations
from pkgharvest.errors import SettingError

PREFIX = "PKGHARVEST_"
"""How the names of our environment variables begin."""

# Scheme, host or [IPv6], perhaps a port and a path; no credentials, query or fragment.
_ADDRESS = re.compile(r"https?://(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?(?:/[^?#\s]*)?", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,10}(?:\.\d{1,9})?", re.ASCII)
_LONGEST = timedelta(days=36_500).total_seconds()
_LARGEST = 10**10 - 1
_TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_OF_ONE_RUN = frozenset(
    """all-catalog base config dry-run failed force from output quiet record replay report strict
    verbose""".split()
)

Take = Callable[[str, object], object]
"""Takes what a message is to call the setting, and a value as TOML types it; returns the value in use.
Raises a `SettingError` where the type or the value is wrong."""


@dataclass(frozen=True, slots=True)
class Key:
    """A setting that configuration files and the environment may give."""

    name: str
    """In files; with two hyphens before it, that of the option, if there is one."""
    field: str
    """Of `Settings` or, for what concerns the command alone, of `configuration.Choices`."""
    take: Take
    typed: Callable[[str], object] = str
    """What TOML would type where the environment has a text; the text itself if it is nothing of the kind."""

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.replace("-", "_").upper()


def in_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """Return what environment variables set, by the name of the key; an empty one sets nothing.

    Raises:
        SettingError: one is wrong, or begins as ours do and is none of them.
    """
    ours = {key.variable: key for key in KEYS}
    found: dict[str, object] = {}
    for variable in sorted(environment):
        text = environment[variable].strip()
        if variable in ours and text:
            key = ours[variable]
            found[key.name] = key.take(variable, key.typed(text))
        elif variable.startswith(PREFIX) and variable not in ours:
            refuse(variable, variable.removeprefix(PREFIX), {key.name: key.variable for key in KEYS})
    return found


def refuse(label: str, name: str, known: Mapping[str, str]) -> NoReturn:
    """Tell that a name is no key, and what to write instead.

    Args:
        label: what the message is to call it.
        name: what was written for a key.
        known: how each key is written there, by its name.

    Raises:
        SettingError: always.
    """
    plain = name.replace("_", "-").lower()
    if "token" in plain:
        raise SettingError(f"{label}: a token is no setting", "Set GITHUB_TOKEN in the environment")
    if plain in _OF_ONE_RUN:
        raise SettingError(f"{label}: this belongs to a single run", f"Give it as the option --{plain}")
    raise SettingError(f"{label} is no setting", _nearest(plain[:_LONGEST_SHOWN], known))


def _nearest(plain: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(plain, known, n=1)
    return f"Did you mean {known[close[0]]}?" if close else "Take it away; the README lists the settings"


def address(label: str, value: object) -> str:
    """Return the address of a service without a slash at its end."""
    text = _text(label, value, "an address as https://host/path")
    if "@" in text:  # not shown: it may be a password
        raise SettingError(f"{label} holds credentials", "Give the address without them")
    try:
        is_address = _ADDRESS.fullmatch(text) and urlsplit(text).port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingError(f"{label} is no address: {text!r}", "Give one as https://host/path")
    return text.rstrip("/")


def zone(label: str, value: object) -> str:
    """Return the name of a time zone that there is."""
    text = _text(label, value, "the name of a time zone as America/New_York")
    zone_named(text, f"{label}: ")
    return text


def zone_named(name: str, beginning: str = "") -> ZoneInfo:
    """Return a time zone by its name; what is wrong with it is told after the beginning.

    Raises:
        SettingError: there is no such zone, or the machine knows of none at all.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        if not available_timezones():
            message = f"{beginning}nothing on this machine knows the time zone {name!r}, or any other"
            raise SettingError(message, "Install the package tzdata") from error
        raise SettingError(
            f"{beginning}{name!r} is no time zone", "Give a name as America/New_York"
        ) from error


def number(label: str, value: object) -> int:
    """Return a whole number above 0; one of more than ten digits is as good as the largest of ten."""
    if type(value) is not int or value < 1:
        _refuse(label, value, "a number, 1 or more")
    return min(value, _LARGEST)


def truth(label: str, value: object) -> bool:
    """Return whether something is wanted."""
    if not isinstance(value, bool):
        _refuse(label, value, "true or false")
    return value


def wait(label: str, value: object) -> float:
    """Return seconds, from their number or a duration as ``10m``; more than a century is one."""
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if _SECONDS.fullmatch(text) else _seconds(text, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        _refuse(label, value, "a number of seconds, 0 or more, or a duration as 10m")
    return float(min(value, _LONGEST))


def deadline(label: str, value: object) -> float:
    """Return seconds that something may take, see `wait`; none at all are too few."""
    seconds = wait(label, value)
    if seconds == 0:
        _refuse(label, value, "more than 0 seconds")
    return seconds


def age(label: str, value: object) -> timedelta:
    """Return a span of time from a duration as ``20h``."""
    text = _text(label, value, "a duration as 90m, 20h or 7d")
    try:
        return durations.parse(text)
    except ValueError as error:
        raise SettingError(f"{label}: {error}") from error


def folder(label: str, value: object) -> Path:
    """Return the path of a folder, ``~`` taken for the user's home."""
    text = _text(label, value, "the path of a folder")
    if not text or not text.isprintable():
        _refuse(label, value, "the path of a folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise SettingError(f"{label}: there is no user whose home {text!r} names") from error


def one_of(*words: str) -> Take:
    """Return what takes one of these words."""
    expected = f"{', '.join(words[:-1])} or {words[-1]}"

    def take(label: str, value: object) -> str:
        text = _text(label, value, expected)
        return text if text in words else _refuse(label, value, expected)

    return take


def _seconds(text: str, otherwise: object) -> object:
    try:
        return durations.parse(text).total_seconds()
    except ValueError:
        return otherwise


def _digits(text: str) -> int | str:
    if not (text.isascii() and text.isdigit()):
        return text
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= len(str(_LARGEST)) else _LARGEST


def _truth(text: str) -> bool | str:
    return _TRUTH.get(text.lower(), text)


def _text(label: str, value: object, expected: str) -> str:
    return value if isinstance(value, str) else _refuse(label, value, expected)


def _refuse(label: str, value: object, expected: str) -> NoReturn:
    raise SettingError(f"{label} is {_shown(value)}; it must be {expected}")


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value) if isinstance(value, float) or abs(value) <= _LARGEST else "a number of many digits"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return "a date or time"


_LONGEST_SHOWN = 80

KEYS = (
    Key("catalog", "catalog", truth, _truth),
    Key("format", "format", one_of("json", "jsonl", "list")),
    Key("max-age", "max_age", age),
    Key("only-changed", "only_changed", truth, _truth),
    Key("if-running", "if_running", one_of("fail", "skip")),
    Key("timezone", "timezone", zone),
    Key("max-wait", "max_wait", wait),
    Key("deadline", "deadline", deadline),
    Key("jobs", "jobs", number, _digits),
    Key("refresh", "refresh", truth, _truth),
    Key("cache", "cache", truth, _truth),
    Key("cache-folder", "cache_folder", folder),
    Key("offline", "offline", truth, _truth),
    Key("log-format", "log_format", one_of("text", "logfmt", "json")),
    Key("github-url", "github_url", address),
    Key("pypi-url", "pypi_url", address),
    Key("catalog-url", "catalog_url", address),
    Key("github-rest-per-minute", "rest_per_minute", number, _digits),
    Key("github-graphql-per-minute", "graphql_per_minute", number, _digits),
    Key("pypi-per-minute", "pypi_per_minute", number, _digits),
)
"""All keys, in the order in which people are shown them."""

BY_NAME = {key.name: key for key in KEYS}
