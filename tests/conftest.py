"""What holds for every test: no network beyond this machine, no environment or home of the user's."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test asserts timings. Where the versions of libraries are what is tested, few examples do.
settings.register_profile("usual", deadline=None)
settings.register_profile("few", deadline=None, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

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


@pytest.fixture
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of the test, which is empty; what is stored goes below it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    """Take away what the user's environment could change, and give a home that is empty."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith(("PKGHARVEST_", "SSL_CERT_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "TZ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(own_home))


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
def no_token_in_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_home: Path
) -> Any:
    """Search what a test printed, wrote and stored for the marked token, and what its processes told."""
    places: set[str] = set()

    def communicate(self: subprocess.Popen[Any], *arguments: Any, **options: Any) -> Any:
        told = _communicate(self, *arguments, **options)
        for name, value in {"the output of a process": told, "the arguments of a process": self.args}.items():
            if MARKED_TOKEN in repr(value):
                places.add(name)
        return told

    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
    yield
    if any(MARKED_TOKEN in text for text in capfd.readouterr()):
        places.add("what was printed")
    for path in (*tmp_path.rglob("*"), *own_home.rglob("*")):
        if MARKED_TOKEN in str(path) or (path.is_file() and MARKED_TOKEN.encode() in path.read_bytes()):
            places.add(path.name.replace(MARKED_TOKEN, "..."))
    if places:
        pytest.fail(f"the token is in {', '.join(sorted(places))}", pytrace=False)


_communicate = subprocess.Popen.communicate
