"""A small PyPI and GitHub of their own for the benchmark: every answer after the same latency.

    python tests/benchmarks/server.py LATENCY_MS

The first line on stdout is the port. Package ``p-N`` has the repository ``o/p-N`` with 30 commits in
the year and 12 contributors. GET /counts tells how often each kind was asked, and begins anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

ALIAS = re.compile(r'(\w+): repository\(owner: "o", name: "([\w-]+)"')
KINDS = [
    ("pypi", re.compile(r"/pypi/([\w-]+)/json")),
    ("contributors", re.compile(r"/repos/o/([\w-]+)/contributors")),
    ("commits", re.compile(r"/repos/o/([\w-]+)/commits")),
    ("repository", re.compile(r"/repos/o/([\w-]+)")),
]
NOW = datetime.now(UTC)
DATES = [f"{NOW - timedelta(days=11 * number + 1):%Y-%m-%dT%H:%M:%SZ}" for number in range(30)]
FILLER = {f"field_{number}": f"https://api.github.example/a/long/address/{number}" for number in range(40)}


def facts(name: str) -> dict[str, object]:
    return {"id": 1, "full_name": f"o/{name}", "html_url": f"https://github.com/o/{name}", "archived": False,
            "description": "About it", "stargazers_count": 5, "forks_count": 1, **FILLER}  # fmt: skip


def history(name: str) -> dict[str, object]:
    nodes = [
        {"oid": f"{name}-{number}", "authoredDate": date, "committedDate": date}
        for number, date in enumerate(DATES)
    ]
    page = {"totalCount": 30, "pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": nodes}
    return {
        "databaseId": 1,
        "nameWithOwner": f"o/{name}",
        "url": f"https://github.com/o/{name}",
        "description": "About it",
        "stargazerCount": 5,
        "forkCount": 1,
        "isArchived": False,
        "defaultBranchRef": {"target": {"committedDate": DATES[0], "history": page}},
    }


def answer(kind: str, name: str) -> object:
    match kind:
        case "pypi":
            urls = {"Source": f"https://github.com/o/{name}"}
            info = {"name": name, "version": "1.0", "project_urls": urls, "description": "words " * 800}
            return {"info": info, "releases": {f"0.{number}": [FILLER] for number in range(20)}}
        case "contributors":
            return [{"login": f"user-{number}", "contributions": 9, **FILLER} for number in range(12)]
        case "commits":
            return [
                {"sha": f"{name}-{number}", "commit": {"author": {"date": date}, "committer": {"date": date}},
                 **FILLER}
                for number, date in enumerate(DATES)
            ]  # fmt: skip
        case _:
            return facts(name)


class Server:
    """Answers requests one after the other on each connection."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.counts: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = lines[0].split(" ")
                await asyncio.sleep(0 if target == "/counts" else self.latency)
                writer.write(self.respond(method, target, headers, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        if target == "/counts":
            counts, self.counts = self.counts, Counter()
            return packed(200, json.dumps(counts).encode())
        if method == "POST":
            self.counts["graphql"] += 1
            aliases = ALIAS.findall(json.loads(body)["query"])
            data: dict[str, object] = {alias: history(name) for alias, name in aliases}
            return packed(200, json.dumps({"data": {"rateLimit": {"cost": 1}, **data}}).encode())
        for kind, pattern in KINDS:
            if match := pattern.match(target):
                content = json.dumps(answer(kind, match[1])).encode()
                tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
                same = headers.get("if-none-match") == tag
                self.counts[f"{kind} 304" if same else kind] += 1
                return packed(304, b"", tag) if same else packed(200, content, tag)
        return packed(404, b"{}")


def packed(status: int, body: bytes, tag: str = "") -> bytes:
    # PyPI's; what is stored of GitHub's answers is revalidated whatever they say of their age.
    etag = f"etag: {tag}\r\ncache-control: max-age=900, public\r\n" if tag else ""
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{etag}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main(latency: float) -> None:
    server = await asyncio.start_server(Server(latency).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000))
