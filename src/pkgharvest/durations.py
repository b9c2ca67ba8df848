"""Spans of time as people write and read them."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
# Months are not among them, and must not be taken for minutes.
_WORDS = r"s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:(?:ee)?ks?)?"
_PART = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,6}})?)\s*({_WORDS})(?![a-z])\s*", re.ASCII)
_LONGEST = timedelta(days=36_500)


def parse(text: str) -> timedelta:
    """Return the span that a text tells: ``90m``, ``20h``, ``7d``, ``1h30m``, ``2 weeks``.

    Raises:
        ValueError: it tells none, or one of more than a century.
    """
    lowered = text.strip().lower()
    parts = list(_PART.finditer(lowered))
    if not parts or "".join(part[0] for part in parts) != lowered:
        raise ValueError(f"{text!r} is no duration; write one as 90m, 20h or 7d")
    seconds = sum(float(number) * _UNITS[unit[0]] for number, unit in (part.groups() for part in parts))
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is more than a century")
    return timedelta(seconds=seconds)


def in_words(span: timedelta) -> str:
    """Return a span, not negative, in whole units of one size: ``3 hours``, ``1 day``."""
    seconds = int(span.total_seconds())
    unit = next((unit for unit in _NAMES if seconds >= _UNITS[unit]), "s")
    count = seconds // _UNITS[unit]
    return f"{count} {_NAMES[unit]}{'' if count == 1 else 's'}"


def written(span: timedelta) -> str:
    """Return a span, not negative, as `parse` reads it, nothing rounded: ``1d12h``, ``1m30.5s``, ``0s``."""
    rest = span
    parts = []
    for unit in _NAMES:
        count, rest = divmod(rest, timedelta(seconds=_UNITS[unit]))
        if unit == "s" and rest:
            parts.append(f"{count}.{rest // timedelta(microseconds=1):06}".rstrip("0") + "s")
        elif count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
