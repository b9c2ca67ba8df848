"""The requests made for one package."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pkgharvest.net.message import Fetch, Request

T = TypeVar("T")


class Visit:
    """Fetches for one package, and remembers when the last answer came."""

    def __init__(self, fetch: Fetch) -> None:
        """Take what fetches."""
        self._fetch = fetch
        self._latest: datetime | None = None

    async def __call__(self, request: Request[T]) -> T:
        """Return the judged answer; raises `UpstreamError`."""
        answer = await self._fetch(request)
        self._latest = max(self._latest or answer.received, answer.received)
        return answer.value

    @property
    def latest(self) -> datetime:
        """When the last answer came, in UTC.

        Raises:
            LookupError: nothing has been answered yet.
        """
        if self._latest is None:
            raise LookupError("nothing has been answered yet")
        return self._latest
