"""Merge recordings into one, with other addresses: how the shipped demo was made.

    python tests/recordings/merge.py OUT.har FROM=TO [FROM=TO]... IN.har [IN.har]...

Each FROM in the recordings (an address that a service was recorded at) becomes TO. Of two entries
for one request the first stays. The demo's recordings were made one package at a time, each with the
clock of `pkgharvest` standing still at the ``last_fetched`` of that package's golden record.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def merged(archives: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one archive with the entries of all, each request once."""
    log = dict(archives[0]["log"])
    entries: dict[tuple[str, str], Any] = {}
    for archive in archives:
        for entry in archive["log"]["entries"]:
            entries.setdefault((entry["request"]["method"], entry["request"]["url"]), entry)
    log["entries"] = list(entries.values())
    return {"log": log}


def resized(archive: dict[str, Any]) -> dict[str, Any]:
    """Return the archive with the sizes of its texts as they are now."""
    for entry in archive["log"]["entries"]:
        content = entry["response"]["content"]
        content["size"] = len(content.get("text", "").encode())
    return archive


def main(arguments: list[str]) -> None:
    """Run the command line."""
    output, *rest = arguments
    addresses = [argument.split("=", 1) for argument in rest if "://" in argument]
    archives = []
    for name in (argument for argument in rest if "://" not in argument):
        text = Path(name).read_text(encoding="utf-8")
        for old, new in addresses:
            text = text.replace(old, new)
        archives.append(json.loads(text))
    archive = resized(merged(archives))
    head = {key: value for key, value in archive["log"].items() if key != "entries"}
    entries = ",\n".join(
        json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in archive["log"]["entries"]
    )
    text = f'{{"log": {json.dumps(head)[:-1]}, "entries": [\n{entries}\n]}}}}\n'
    Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
