"""Valid documents with something in them that nobody expects."""

from __future__ import annotations

import copy
import unicodedata
from typing import Any

from hypothesis import strategies as st

STEERING = ["\x00", "\x1b[31m", "\x7f", "\x9b31m", "\x85", "\u202e", "\u2066", "\u2028", "\ufeff"]
HOSTILE = [
    *STEERING,
    "",
    "a\nlevel=error event=x",
    "\ud800",
    "\udfff x",
    "../../x",
    "..",
    "/etc/x",
    "-rf",
    "--output=x",
    "%2e%2e%2f",
    "javascript:x",
    "http://[",
    "https://user:pass@host:99999/x",
    "y" * 5000,
]
MOMENTS = [
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-02-28T24:00:00Z",
    "2026-03-17T00:00:00",
    "2026-03-17",
]
NUMBERS = [0, -1, 1.5, 1e300, 2**31, 2**63 - 1, 2**63, 2**64, 10**25, 10**400]

texts = st.sampled_from([*HOSTILE, *MOMENTS]) | st.text(st.characters(), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def steering(text: str) -> list[str]:
    """Return the characters of a text, line feeds aside, that could steer a terminal or break a line."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [one for one in text if one != "\n" and unicodedata.category(one) in kinds]


@st.composite
def mutated(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """Return a document of which up to so many parts are replaced, dropped, doubled or wrapped up."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        changed = _changed(draw, changed)
    return changed


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Return a value with one part changed: some part of a part, or the value itself."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if _is_list(value) else []
    if not keys or draw(st.integers(0, 9)) == 0:
        return _replaced(draw, value)
    key = draw(st.sampled_from(keys))
    action = draw(st.sampled_from(["drop", "double", *["descend"] * 8]))
    if action == "drop":
        del value[key]
    elif action == "double" and _is_list(value):
        value.insert(key, copy.deepcopy(value[key]))
    else:
        value[key] = _changed(draw, value[key])
    return value


def _replaced(draw: st.DrawFn, value: Any) -> Any:
    action = draw(st.sampled_from(["list", "object", "longer", *["value"] * 6]))
    if action == "list":
        return [value]
    if action == "object":
        return {"x": value}
    if action == "longer" and isinstance(value, str):
        return value + draw(texts)
    return draw(values)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
