"""What holds for every test: no network beyond this machine, no environment or home of the user's."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

MARKED_TOKEN = "ghp_markedtokenthatmustnotappearanywhere"
GOLDEN = Path(__file__).parent / "golden"
_connect = socket.socket.connect


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def marked_token() -> str:
    """Return a token that the whole run is searched for."""
    return MARKED_TOKEN


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Take away what the user's environment could change, and give a home that is empty."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith(("PKGHARVEST_", "SSL_CERT_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "TZ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a connection to any other machine an error."""

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test connects to {address}")
        _connect(self, address)

    def look_up(host: str | None, *arguments: Any, **options: Any) -> Any:
        if host not in (None, "127.0.0.1", "::1"):
            raise AssertionError(f"a test looks up {host}")
        return _look_up(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


_look_up = socket.getaddrinfo


@pytest.fixture(autouse=True)
def no_token_in_output(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Search what a test printed and wrote for the marked token."""
    yield
    printed = "".join(capfd.readouterr())
    assert MARKED_TOKEN not in printed
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert MARKED_TOKEN.encode() not in path.read_bytes(), path
