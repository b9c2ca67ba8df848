"""What a run is told: addresses, the token, the rules; in one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import platformdirs

from pkgharvest import keys
from pkgharvest.errors import SettingError
from pkgharvest.net.message import Token
from pkgharvest.targets import DEFAULT_HOSTS, Hosts

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
    deadline: float = 60.0
    """Seconds that a request may take, from the first byte sent to the last one received; asking again, with
    the pauses between, is begun no later than after as many."""
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
        for name, variable in _ADDRESSES.items():
            keys.address(variable, getattr(self, name))
        if not 0 <= self.max_wait < float("inf"):
            raise SettingError(f"max_wait is {self.max_wait}; it must be a number of seconds, 0 or more")
        if not 0 < self.deadline < float("inf"):
            raise SettingError(f"deadline is {self.deadline}; it must be a number of seconds, more than 0")
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

        Configuration files are the command's affair: what a program does must not depend on the folder
        that it runs in. The variables of the command alone are checked and otherwise left.

        Raises:
            SettingError: a variable is wrong, or begins with ``PKGHARVEST_`` and is none of ours; no
                message shows the token.
        """
        ours = {field.name for field in fields(cls)}
        given: dict[str, Any] = {
            keys.BY_NAME[name].field: value for name, value in keys.in_environment(environment).items()
        }
        return cls(
            token=token_in(environment), **{name: value for name, value in given.items() if name in ours}
        )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone by its name."""
        return keys.zone_named(self.timezone)

    @property
    def store_folder(self) -> Path:
        """The folder of stored answers; relative where the user has no home, and then of no use."""
        if self.cache_folder is not None:
            return self.cache_folder.absolute()
        try:
            return platformdirs.user_cache_path("pkgharvest", appauthor=False)
        except RuntimeError:  # some versions of the library; others leave a literal ~ in the path
            return Path("pkgharvest")

    @property
    def hosts(self) -> Hosts:
        """The hosts that targets are told by; the hosts of the addresses are among them."""
        return Hosts(
            code=DEFAULT_HOSTS.code | {_hostname(self.github_url)},
            catalog=DEFAULT_HOSTS.catalog | {_hostname(self.catalog_url)},
        )


def configuration_folder() -> Path | None:
    """Return the folder of the user's configuration file, None where the user has no home."""
    try:
        folder = platformdirs.user_config_path("pkgharvest", appauthor=False)
    except RuntimeError:  # some versions of the library; others leave a literal ~ in the path
        return None
    return folder if folder.is_absolute() else None


def token_in(environment: Mapping[str, str]) -> Token | None:
    """Return the token of the first variable that holds one.

    Raises:
        TokenSettingError: what it holds is no token.
    """
    for variable in _TOKEN_VARIABLES:
        if value := environment.get(variable, "").strip():
            return _checked_token(value, variable)
    return None


_ADDRESSES = {
    key.field: key.variable for key in keys.KEYS if key.field in ("github_url", "pypi_url", "catalog_url")
}
_RATES = ("rest_per_minute", "graphql_per_minute", "pypi_per_minute")


def _hostname(url: str) -> str:
    return urlsplit(url).hostname or ""


def _checked_token(value: str, source: str) -> Token:
    if not _TOKEN.fullmatch(value):
        message = f"{source} holds characters that are in no token: a space, a quote, or no ASCII"
        raise TokenSettingError(message, "Set it again")
    return Token(value, source)


class TokenSettingError(SettingError):
    """The variable of the token holds what is no token."""

    reason = "bad-token"
