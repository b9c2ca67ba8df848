from __future__ import annotations

import pytest

from pkgharvest.errors import UnavailableError, UnreachableError, UntrustedError
from pkgharvest.net.outage import Outage

GONE = UnreachableError("gone", "Try again")
BUSY = UnavailableError("busy")
FORGED = UntrustedError("forged")


def counted(outage: Outage, moments: list[float], error: UnreachableError | UnavailableError) -> list[bool]:
    return [outage.add(error, moment) for moment in moments]


@pytest.mark.parametrize("error", [GONE, BUSY], ids=["gone", "busy"])
def test_twenty_failures_in_a_row_are_an_outage(error: UnreachableError | UnavailableError) -> None:
    moments = [100.0 + number for number in range(22)]
    assert counted(Outage(), moments, error) == [False] * 19 + [True] * 3


def test_ever_so_many_failures_are_none_until_they_last_longer_than_retries_do() -> None:
    outage = Outage()
    assert counted(outage, [100.0 + number / 100 for number in range(1000)], GONE) == [False] * 1000
    assert outage.add(GONE, 110.0)


def test_what_asking_again_cannot_mend_need_not_last() -> None:
    assert counted(Outage(), [100.0] * 21, FORGED) == [False] * 19 + [True] * 2


def test_an_answer_begins_count_and_time_anew() -> None:
    outage = Outage()
    moments = [float(number) for number in range(19)]
    assert counted(outage, moments, GONE) == [False] * 19
    outage.end()
    assert counted(outage, [20.0] * 19, GONE) == [False] * 19
    assert not outage.add(GONE, 29.9)
    assert outage.add(GONE, 30.0)


def test_the_rest_of_the_run_is_told_how_often_and_what_was_met_last() -> None:
    outage = Outage()
    counted(outage, [0.0] * 20, GONE)
    error = outage.error("PyPI", GONE)
    assert str(error) == (
        "PyPI has failed 20 times in a row and is not asked any more; the last time: gone. Try again later"
    )
    assert (error.reason, error.retryable, error.attempts) == ("down", True, 1)
