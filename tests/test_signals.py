from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pkgharvest import signals
from pkgharvest.errors import StoppedError

ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
AFTERWARDS = [signal.SIG_DFL, signal.SIG_DFL, signal.SIG_IGN]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Begin with the handlers of a new process, and put the test run's back."""
    before = {number: signal.getsignal(number) for number in ALL}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in ALL]


@pytest.mark.parametrize("number", ALL)
def test_a_signal_is_raised_where_it_comes(number: signal.Signals) -> None:
    before = handlers()
    with pytest.raises(signals.Signalled) as caught, signals.raised():
        os.kill(os.getpid(), number)
    assert caught.value.number == number
    assert handlers() == before


def test_a_signal_is_not_taken_for_an_error() -> None:
    assert not issubclass(signals.Signalled, Exception)


def test_without_a_signal_nothing_is_raised_and_nothing_is_changed() -> None:
    before = handlers()
    with signals.raised():
        assert handlers() != before
    assert handlers() == before


@pytest.mark.parametrize("number", ALL)
def test_what_the_caller_ignores_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    stopped: list[StoppedError] = []

    async def run() -> None:
        with signals.told(asyncio.get_running_loop(), stopped.append):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.001)
            assert signal.getsignal(number) is signal.SIG_IGN

    with signals.raised():
        os.kill(os.getpid(), number)
        asyncio.run(run())
        os.kill(os.getpid(), number)
    assert stopped == []
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_is_told_and_a_second_one_ends_the_process_unless_it_is_sighup(
    number: signal.Signals,
) -> None:
    stopped: list[StoppedError] = []

    async def run() -> list[Any]:
        with signals.told(asyncio.get_running_loop(), stopped.append):
            os.kill(os.getpid(), number)
            for _ in range(3):
                await asyncio.sleep(0.001)
            return handlers()

    with signals.raised():
        assert asyncio.run(run()) == AFTERWARDS
        assert handlers() == AFTERWARDS  # while the run is being closed
    assert [(error.signal, error.message) for error in stopped] == [(number, f"stopped by {number.name}")]
    assert 128 + stopped[0].signal == CODES[number]


def test_without_a_signal_the_handlers_are_put_back_after_the_loop() -> None:
    async def run() -> None:
        with signals.told(asyncio.get_running_loop(), lambda _: pytest.fail("nobody stopped it")):
            await asyncio.sleep(0)

    with signals.raised():
        before = handlers()
        asyncio.run(run())
        assert handlers() == before
        with pytest.raises(signals.Signalled):
            os.kill(os.getpid(), signal.SIGTERM)


def test_two_signals_at_once_are_told_as_one() -> None:
    stopped: list[int] = []

    async def run() -> None:
        with signals.told(asyncio.get_running_loop(), lambda error: stopped.append(error.signal)):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert stopped == [signal.SIGTERM]
