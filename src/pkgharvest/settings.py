"""What a run is told: addresses, the token, the rules; in one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import platformdirs

from pkgharvest import durations
from pkgharvest.errors import SettingError
from pkgharvest.net.message import Token
from pkgharvest.targets import DEFAULT_HOSTS, Hosts

# Scheme, host or [IPv6], perhaps a port and a path; no credentials, query or fragment.
_ADDRESS = re.compile(r"https?://(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?(?:/[^?#\s]*)?", re.ASCII | re.IGNORECASE)
_TOKEN_VARIABLES = ("GITHUB_TOKEN", "GH_TOKEN")
# Visible ASCII without quotes: what fits a header, and what every kind of GitHub's tokens is made of.
_TOKEN = re.compile(r"[!#-&(-_a-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run.

    Raises:
        SettingError: one of them is wrong; the message names it.
    """

    github_url: str = "https://api.github.com"
    """Where GitHub's REST API lives; an Enterprise server's ends in ``/api/v3``."""
    pypi_url: str = "https://pypi.python.org"
    """Where PyPI, or a mirror with its JSON API, lives."""
    catalog_url: str = "https://djangopackages.org"
    """Where Django Packages lives."""
    token: Token | None = None
    """For GitHub alone; a text is taken as one."""
    timezone: str = "America/New_York"
    """The zone that times are written in; the site's own by default."""
    max_wait: float = 60.0
    """Seconds that the run may wait for rate limits in all."""
    jobs: int = 12
    """Requests under way to GitHub at once. GitHub allows 100; with an answer in 0.1 s, 12 were faster than
    8 and cost the same in the benchmark, while httpx's pool slows down as it grows."""
    rest_per_minute: int = 900
    """What GitHub's REST API is asked in a minute at most, its published limit."""
    graphql_per_minute: int = 2000
    """The same for its GraphQL API."""
    pypi_per_minute: int = 600
    """What PyPI is asked in a minute at most. It names no limit, and wants no thousands in minutes."""
    refresh: bool = False
    """Whether to ask for what cannot have changed, and for what was missing not long ago."""
    max_age: timedelta | None = None
    """A package whose base record is younger is skipped; None if none is."""
    cache: bool = True
    """Whether answers are stored, and what is stored is revalidated instead of asked anew."""
    cache_folder: Path | None = None
    """Where answers are stored, None for the user's cache folder."""
    offline: bool = False
    """Whether to answer from what is stored, whatever its age, and open no connection."""
    catalog: bool = False
    """Whether the catalog is asked for base records."""
    record: Path | None = None
    """The file that the run is recorded in."""
    replay: str | None = None
    """The recording that the run is answered from, ``demo`` for the one that is shipped."""

    def __post_init__(self) -> None:
        """Check the values."""
        if isinstance(self.token, str):
            object.__setattr__(self, "token", _checked_token(self.token, "Settings"))
        for name in ("github_url", "pypi_url", "catalog_url"):
            _check_address(name, getattr(self, name))
        if not 0 <= self.max_wait < float("inf"):
            raise SettingError(f"max_wait is {self.max_wait}; it must be a number of seconds, 0 or more")
        if self.offline and (not self.cache or self.replay is not None or self.refresh):
            raise SettingError("offline needs what is stored: not with no_cache, replay or refresh")
        for name in ("jobs", *_RATES):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.record is not None and self.replay is not None:
            raise SettingError("a run cannot be recorded and replayed at once")
        _ = self.zone

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings that environment variables give, see the README for their names.

        Raises:
            SettingError: a variable is wrong; no message shows the token.
        """
        addresses = {name: environment.get(variable, "") for name, variable in _ADDRESSES.items()}
        rates = {name: _number(variable, environment) for name, variable in _RATES.items()}
        given: dict[str, Any] = {name: url.rstrip("/") for name, url in addresses.items() if url}
        given |= {name: rate for name, rate in rates.items() if rate is not None}
        return replace(cls(token=_token(environment)), **given)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone by its name."""
        try:
            return ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise SettingError(
                f"{self.timezone!r} is no time zone", "Give a name as America/New_York"
            ) from error

    @property
    def store_folder(self) -> Path:
        """The folder of stored answers; relative where the user has no home, and then of no use."""
        if self.cache_folder is not None:
            return self.cache_folder.absolute()
        return platformdirs.user_cache_path("pkgharvest", appauthor=False)

    @property
    def hosts(self) -> Hosts:
        """The hosts that targets are told by; the hosts of the addresses are among them."""
        return Hosts(
            code=DEFAULT_HOSTS.code | {_hostname(self.github_url)},
            catalog=DEFAULT_HOSTS.catalog | {_hostname(self.catalog_url)},
        )


def age(text: str) -> timedelta:
    """Return the age that a text tells.

    Raises:
        SettingError: it tells none.
    """
    try:
        return durations.parse(text)
    except ValueError as error:
        raise SettingError(str(error)) from error


_ADDRESSES = {
    "github_url": "PKGHARVEST_GITHUB_URL",
    "pypi_url": "PKGHARVEST_PYPI_URL",
    "catalog_url": "PKGHARVEST_CATALOG_URL",
}


_RATES = {
    "rest_per_minute": "PKGHARVEST_GITHUB_REST_PER_MINUTE",
    "graphql_per_minute": "PKGHARVEST_GITHUB_GRAPHQL_PER_MINUTE",
    "pypi_per_minute": "PKGHARVEST_PYPI_PER_MINUTE",
}


def _number(variable: str, environment: Mapping[str, str]) -> int | None:
    text = environment.get(variable, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise SettingError(f"{variable} is {text!r}; it must be a number, 1 or more")
    return int(text[:10])


def _hostname(url: str) -> str:
    return urlsplit(url).hostname or ""


def _check_address(name: str, url: str) -> None:
    variable = _ADDRESSES[name]
    if "@" in url:  # not shown: it may be a password
        raise SettingError(f"{variable} holds credentials", "Give the address without them")
    try:
        is_address = _ADDRESS.fullmatch(url) and urlsplit(url).port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingError(f"{variable} is no address: {url!r}", "Give one as https://host/path")


def _token(environment: Mapping[str, str]) -> Token | None:
    for variable in _TOKEN_VARIABLES:
        if value := environment.get(variable, "").strip():
            return _checked_token(value, variable)
    return None


def _checked_token(value: str, source: str) -> Token:
    if not _TOKEN.fullmatch(value):
        message = f"{source} holds characters that are in no token: a space, a quote, or no ASCII"
        raise TokenSettingError(message, "Set it again")
    return Token(value, source)


class TokenSettingError(SettingError):
    """The variable of the token holds what is no token."""

    reason = "bad-token"
