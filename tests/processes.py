"""The command as a process, and the services that it asks, for tests of what surrounds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pkgharvest
from pkgharvest.record import decode_record, encode_api
from services import Reply, commits, contributors, project, repository

SOURCE = str(Path(pkgharvest.__file__).parent.parent)


class Services:
    """PyPI and GitHub of packages ``p-N``; some of them hang until they are let go."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.asked: list[str] = []
        self.signed: set[str] = set()
        """What was sent as ``Authorization``."""
        self.go = threading.Event()
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                services.asked.append(self.path)
                services.signed.add(self.headers.get("authorization", ""))
                if any(f"/repos/o/{name}" in self.path for name in services.hanging):
                    services.go.wait(20)
                reply = services.reply(self.path)
                body = json.dumps(reply.body).encode()
                with suppress(OSError):
                    self.send_response(reply.status)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def reply(self, path: str) -> Reply:
        name = next((part for part in path.replace("?", "/").split("/") if part.startswith("p-")), "")
        if not name or name == "p-missing":
            return Reply({"message": "Not Found"}, 404)
        if "/pypi/" in path:
            return project(name, project_urls={"Source": f"https://github.com/o/{name}"})
        if "/commits" in path:
            return commits(timedelta(days=9))
        if "/contributors" in path:
            return contributors("ann")
        return repository(f"o/{name}", description="Über ☃")

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


def environment(services: Services, **more: str) -> dict[str, str]:
    """Return what the command cannot do without."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": SOURCE,
        "PKGHARVEST_GITHUB_URL": services.url,
        "PKGHARVEST_PYPI_URL": services.url,
        **more,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pkgharvest", "fetch", *arguments]


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(arguments, capture_output=True, check=False, **options)


@contextmanager
def running(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    begun: Any = subprocess.Popen(arguments, **options)
    with begun as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def records(folder: Path) -> set[str]:
    """Return the slugs of the records of a folder, which hold whole records and nothing else."""
    slugs = set()
    for path in folder.iterdir():
        text = path.read_bytes()
        record = decode_record(text)
        assert encode_api(record) == text
        assert (path.name, len(record.commits_over_52)) == (f"{record.slug}.json", 52)
        slugs.add(record.slug)
    return slugs
