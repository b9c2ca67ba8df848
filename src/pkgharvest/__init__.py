"""Harvest package metadata from PyPI and GitHub into records of the Django Packages API.

Examples:
    >>> from pkgharvest import Settings, harvest
    >>> [result] = harvest(["django-ltree"], Settings(replay="demo", catalog=True))
    >>> result.record.repo_watchers
    72

`harvest` and its async twin `aharvest` yield a `Harvested`, a `Failure` or a `Skipped` for each
target. `Session` is what both are made of, for those who want the costs too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pkgharvest.version import __version__

if TYPE_CHECKING:
    from pkgharvest.errors import PkgharvestError as PkgharvestError
    from pkgharvest.library import aharvest as aharvest
    from pkgharvest.library import harvest as harvest
    from pkgharvest.record import Record as Record
    from pkgharvest.record import decode_record as decode_record
    from pkgharvest.record import decode_records as decode_records
    from pkgharvest.record import encode_api as encode_api
    from pkgharvest.results import Failure as Failure
    from pkgharvest.results import Harvested as Harvested
    from pkgharvest.results import Result as Result
    from pkgharvest.results import Skipped as Skipped
    from pkgharvest.session import Session as Session
    from pkgharvest.settings import Settings as Settings

# Imported when first asked for: the command must start without a network library.
_HOMES = {
    "Failure": "results",
    "Harvested": "results",
    "PkgharvestError": "errors",
    "Record": "record",
    "Result": "results",
    "Session": "session",
    "Settings": "settings",
    "Skipped": "results",
    "aharvest": "library",
    "decode_record": "record",
    "decode_records": "record",
    "encode_api": "record",
    "harvest": "library",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  names of a table


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
