"""Measure a harvest beside a plain httpx loop: ``python tests/benchmarks [PACKAGES] [LATENCY_MS]...``.

The loop asks four requests a package (PyPI, repository, contributors, commits), sixteen at once, and
decodes the answers: the floor for a program that asks for everything. Both run in processes of their
own against a server on this machine. Prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
PACES = ("GITHUB_REST", "GITHUB_GRAPHQL", "PYPI")


def loop(address: str, packages: int) -> None:
    """Ask for everything, plainly."""
    import httpx

    async def one(client: httpx.AsyncClient, name: str, places: asyncio.Semaphore) -> None:
        paths = [
            f"/pypi/{name}/json",
            *(f"/repos/o/{name}{end}" for end in ("", "/contributors", "/commits")),
        ]
        async with places:
            for path in paths:
                json.loads((await client.get(address + path)).content)

    async def run() -> None:
        places = asyncio.Semaphore(16)
        async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
            for number in range(packages):
                group.create_task(one(client, f"p-{number}", places))

    asyncio.run(run())


def harvest(address: str, packages: int, base: str, output: str) -> None:
    """Harvest, by the command itself."""
    from pkgharvest.cli import main

    names = Path(f"{output}.names")
    names.write_text("".join(f"p-{number}\n" for number in range(packages)))
    for service in ("GITHUB", "PYPI", "CATALOG"):
        os.environ[f"PKGHARVEST_{service}_URL"] = address
    for pace in PACES:
        os.environ[f"PKGHARVEST_{pace}_PER_MINUTE"] = "1000000000"
    os.environ["GITHUB_TOKEN"] = "made-up"
    options = ["--base", base] if base else []
    sys.argv = ["pkgharvest", "fetch", "--from", str(names), "-f", "jsonl", "-o", output, *options]
    main()


def measured(*arguments: str, environment: dict[str, str]) -> tuple[float, float, float]:
    """Run one side in a process of its own; return seconds, CPU seconds and peak memory in MiB."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    program = [sys.executable, str(HERE), *arguments]
    told = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu, float(told.splitlines()[-1])


def compare(packages: int, latency: str) -> None:
    """Print a row for the loop, and for a cold, a warm and a based harvest."""
    program = [sys.executable, str(HERE / "server.py"), latency]
    with (
        subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "HOME": folder}
        first, rest = f"{folder}/first.jsonl", f"{folder}/rest.jsonl"
        sides = {
            "httpx loop": ("loop", address, str(packages)),
            "cold": ("harvest", address, str(packages), "", first),
            "warm": ("harvest", address, str(packages), "", rest),
            "warm, with base records": ("harvest", address, str(packages), first, rest),
        }
        for name, arguments in sides.items():
            seconds, cpu, memory = measured(*arguments, environment=environment)
            with urllib.request.urlopen(f"{address}/counts") as answer:  # noqa: S310  our own server
                counts = json.load(answer)
            asked = ", ".join(f"{kind} {count / packages:.2f}" for kind, count in sorted(counts.items()))
            row = [
                str(packages),
                f"{latency} ms",
                name,
                f"{seconds:.1f}",
                f"{cpu:.1f}",
                f"{memory:.0f}",
                asked,
            ]
            print("|", " | ".join(row), "|", flush=True)
        server.terminate()


def main(arguments: list[str]) -> None:
    """Run one side, or compare them."""
    match arguments:
        case ["loop" | "harvest" as side, address, packages, *files]:
            try:
                loop(address, int(packages)) if side == "loop" else harvest(address, int(packages), *files)
            except SystemExit as error:
                if error.code:
                    raise
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        case [packages, *latencies]:
            print("| packages | latency | run | seconds | CPU seconds | peak MiB | requests a package |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for latency in latencies or ["20", "100"]:
                compare(int(packages), latency)
        case []:
            main(["1000"])


if __name__ == "__main__":
    main(sys.argv[1:])
