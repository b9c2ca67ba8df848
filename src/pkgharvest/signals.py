"""What ends a run from outside: SIGINT, SIGTERM, SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pkgharvest.errors import StoppedError

if TYPE_CHECKING:
    import asyncio

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(KeyboardInterrupt):
    """A signal came while nothing was there to be finished."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__()
        self.number = number


@contextmanager
def raised() -> Iterator[None]:
    """Raise `Signalled` where a signal comes; one that the caller ignores (``nohup``) stays ignored."""

    def handle(number: int, _frame: FrameType | None) -> NoReturn:
        raise Signalled(number)

    heeded = _heeded()
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def told(loop: asyncio.AbstractEventLoop, stop: Callable[[StoppedError], None]) -> Iterator[None]:
    """Tell of the first signal while an event loop runs; a second one ends the process at once.

    Not a second SIGHUP: a terminal that is closed sends it, and the shell that loses it sends another.
    """
    heeded = _heeded()
    before = {number: signal.getsignal(number) for number in heeded}

    def handle(number: signal.Signals) -> None:
        if not before:  # both came before the loop could turn to the first
            return
        before.clear()
        for other in heeded:
            loop.remove_signal_handler(other)
            signal.signal(other, signal.SIG_IGN if other is signal.SIGHUP else signal.SIG_DFL)
        stop(stopped(number))

    for number in heeded:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def stopped(number: int) -> StoppedError:
    """Return the error that a signal means."""
    return StoppedError(f"stopped by {signal.Signals(number).name}", number)


def _heeded() -> list[signal.Signals]:
    return [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
