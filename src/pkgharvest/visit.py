"""The requests made for one package."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pkgharvest.errors import ENDINGS, PkgharvestError, StoppedError
from pkgharvest.net.message import Answer, Cost, Fetch, Request

T = TypeVar("T")


class Ending:
    """What ended the run, if anything did: known to all visits, so that none goes on asking."""

    def __init__(self, *, replaying: bool = False) -> None:
        """Begin with a run that goes on; a replay goes on to its end, with what was answered before."""
        self._replaying = replaying
        self._error: PkgharvestError | None = None
        self._stopped: StoppedError | None = None
        self._waiting: set[asyncio.Task[Any]] = set()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped the run."""
        return self._stopped is not None

    def note(self, error: PkgharvestError) -> None:
        """End the run: what is under way is finished."""
        self._error = self._error or error

    def stop(self, error: StoppedError) -> None:
        """End the run now: what is under way is given up, and raises the error where it waits."""
        if self._stopped is None:
            self._stopped = error
            for task in self._waiting:
                task.cancel()

    def check(self) -> None:
        """Raise what ended the run."""
        if self._stopped is not None:
            raise self._stopped
        if self._error is not None and not self._replaying:
            raise self._error.with_traceback(None)  # which would grow with each raise

    async def until(self, step: Awaitable[T]) -> T:
        """Return what a step gives, unless the run is stopped meanwhile.

        Raises:
            StoppedError: it was.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  coroutines run in tasks
        is_outermost = task not in self._waiting  # a list is read within the wait for the next target
        self._waiting.add(task)
        try:
            return await step
        except asyncio.CancelledError:
            if self._stopped is None or task.uncancel():  # somebody else cancelled it
                raise
            raise self._stopped from None
        finally:
            if is_outermost:
                self._waiting.discard(task)


class Visit:
    """Fetches for one package, each thing once, and remembers when the last answer came."""

    def __init__(self, fetch: Fetch, ending: Ending) -> None:
        """Take what fetches, and what can end the run."""
        self._fetch = fetch
        self._ending = ending
        self._answers: dict[tuple[str, bytes], Answer[Any]] = {}
        self._latest: datetime | None = None
        self.cost = Cost()
        """What was asked so far."""

    async def __call__(self, request: Request[T]) -> T:
        """Return the judged answer.

        Raises:
            UpstreamError: there is none.
            PkgharvestError: the run has ended.
        """
        asked = (request.url, request.body)
        if asked not in self._answers:
            self._answers[asked] = await self.beside(request)
        answer: Answer[T] = self._answers[asked]
        self.note(answer.received)
        return answer.value

    async def beside(self, request: Request[T]) -> Answer[T]:
        """Fetch for others too: the answer is handed out as it is, and not remembered.

        Raises:
            UpstreamError: there is none; one after which no other request can succeed ends the run.
            PkgharvestError: the run has ended.
        """
        self._ending.check()
        try:
            return await self._ending.until(self._fetch(replace(request, cost=self.cost)))
        except ENDINGS as error:
            self._ending.note(error)
            raise

    def note(self, received: datetime) -> None:
        """Take note of when an answer for this package came."""
        self._latest = max(self._latest or received, received)

    @property
    def latest(self) -> datetime:
        """When the last answer came, in UTC.

        Raises:
            LookupError: nothing has been answered yet.
        """
        if self._latest is None:
            raise LookupError("nothing has been answered yet")
        return self._latest
