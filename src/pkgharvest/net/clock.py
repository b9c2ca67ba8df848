"""Time as it is passed in: the date, seconds that pass, and the sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the network line knows of time."""

    def now(self) -> datetime:
        """Return the date and time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The machine's clock, which may be set back: then the date and time stand still until it is there again.

    So no answer comes before its request, and the window of a run is never one that begins earlier.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take what tells the machine's date and time, in UTC."""
        self._now = now
        self._latest = now()

    def now(self) -> datetime:
        """Return the machine's date and time, in UTC, or the latest so far."""
        self._latest = max(self._latest, self._now())
        return self._latest

    def monotonic(self) -> float:
        """Return the machine's seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        await asyncio.sleep(seconds)


class JumpingClock:
    """A clock on which nobody waits: to sleep is to move it. For replays and tests."""

    def __init__(self, start: datetime) -> None:
        """Take the date and time to begin at."""
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        """Return the start."""
        return self._start

    def monotonic(self) -> float:
        """Return the seconds that have been slept."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Move on by so many seconds, and let others run."""
        self._passed += seconds
        await asyncio.sleep(0)
