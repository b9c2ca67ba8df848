"""The rooms and the direction of their imports; each library in one room; nothing slow at the start."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import pkgharvest

SOURCE = Path(pkgharvest.__file__).parent

# From top to bottom; a module imports only what stands below its own line.
ROOMS = [
    ["__main__"],
    ["cli"],
    ["options"],
    ["run", "schema", "show.page", "show.gathering"],
    ["configuration", "console", "library", "lists", "report", "snapshot"],
    ["output", "session", "budget", "progress"],
    ["settings", "harvester"],
    ["resolve", "reading"],
    ["listing"],
    ["commits", "bases", "results", "slices", "lock"],
    ["visit", "sources.graphql"],
    ["sources.catalog", "sources.github", "sources.pypi"],
    ["sources.answers", "net.client", "net.fetch", "net.recording", "net.cache"],
    ["show.terminal", "show.markdown", "show.html"],
    ["show.comparison"],
    ["keys", "record", "net.retry", "net.outage", "net.quota", "net.encoding", "files", "order"],
    ["net.message", "weeks", "requirements", "earlier"],
    ["targets", "net.clock", "signals"],
    ["errors", "version", "durations"],
]
HEIGHT = {room: -line for line, rooms in enumerate(ROOMS) for room in rooms}
PACKAGES = {"__init__", "sources.__init__", "net.__init__", "show.__init__"}

HOMES = {
    "anyio": {"library"},
    "httpx": {"net.client"},
    "msgspec": {
        "net.cache",
        "net.recording",
        "record",
        "report",
        "run",
        "schema",
        "sources.answers",
        "sources.catalog",
        "sources.github",
        "sources.graphql",
        "sources.pypi",
    },
    "packaging": {"requirements", "resolve", "sources.pypi", "targets"},
    "platformdirs": {"settings"},
    "rich": {"console", "progress", "show.terminal"},
    "tenacity": {"net.retry"},
    "typer": {"cli", "options"},
}


def modules() -> list[str]:
    paths = (path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py"))
    return sorted(".".join(path.parts) for path in paths)


def imports_of(module: str) -> set[str]:
    """Return the full names of all modules that a module imports, wherever in its text."""
    tree = ast.parse((SOURCE / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_module_has_a_room() -> None:
    assert set(modules()) - PACKAGES == set(HEIGHT)


@pytest.mark.parametrize("module", sorted(HEIGHT))
def test_imports_point_downwards(module: str) -> None:
    own = {name.removeprefix("pkgharvest.") for name in imports_of(module)} & set(HEIGHT)
    assert {room for room in own if HEIGHT[room] >= HEIGHT[module]} == set()


def test_each_library_is_imported_where_it_belongs() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules():
        for name in imports_of(module):
            library = name.partition(".")[0]
            if library != "pkgharvest" and library not in sys.stdlib_module_names:
                found[library].add(module)
    assert dict(found) == HOMES


SLOW = {"httpx", "rich.progress", "asyncio", "tenacity", "sqlite3", "pydantic", "importlib.metadata"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["fetch", "--help"],
        ["fetch"],
        ["fetch", "--format", "xml"],
        ["config"],
        ["fetch", "../x"],
        ["schema", "--help"],
        ["schema", "targets"],
    ],
)
def test_what_asks_nothing_imports_nothing_slow(arguments: list[str]) -> None:
    program = (
        "import sys, json\n"
        "from pkgharvest.cli import main\n"
        f"sys.argv = ['pkgharvest', *{arguments!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.__stdout__)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    loaded = json.loads(run.stdout.splitlines()[-1])
    assert SLOW & set(loaded) == set()
    assert run.returncode in (0, 2)


def test_what_is_offered_can_be_had() -> None:
    assert {name: getattr(pkgharvest, name).__name__ for name in ("Record", "Settings", "harvest")} == {
        "Record": "Record",
        "Settings": "Settings",
        "harvest": "harvest",
    }
    assert all(getattr(pkgharvest, name) for name in pkgharvest.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pkgharvest.nothing  # noqa: B018
