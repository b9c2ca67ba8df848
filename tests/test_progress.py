"""The bar: what it tells, and that it is there only on a terminal and only while the harvest goes on."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console as RichConsole

from pkgharvest.console import Console
from pkgharvest.errors import RateLimitedError, StoppedError, TargetError
from pkgharvest.net.clock import JumpingClock
from pkgharvest.net.quota import Gate, Patience, Quota, Rules
from pkgharvest.progress import Progress
from pkgharvest.results import Failure, Skipped

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(progress: Progress) -> list[str]:
    paper = io.StringIO()
    RichConsole(file=paper, width=100).print(progress.drawn())
    return [line.rstrip() for line in paper.getvalue().splitlines()]


def progress(total: int | None, gates: dict[str, Gate], passed: float) -> Progress:
    seconds = iter([0.0, passed])
    return Progress(
        RichConsole(file=io.StringIO()), total, gates, seconds=lambda: next(seconds), now=lambda: NOON
    )


def test_it_tells_what_is_done_failed_and_left_and_how_long_that_takes() -> None:
    bar = progress(200, {}, 10.0)
    for number in range(40):
        bar.advance(failed=number < 3)
    [line, services] = drawn(bar)
    assert line.lstrip("━╸╺ ") == "40 of 200, 3 failed, 4.0 a second, 160 left, 0:00:40"
    assert services == ""


def test_nobody_knows_what_is_left_of_a_list_without_end() -> None:
    bar = progress(None, {}, 2.0)
    bar.advance(failed=False)
    assert drawn(bar)[0].lstrip("━╸╺ ") == "1 done, 0.5 a second"


async def test_it_tells_what_is_left_of_quotas_and_until_when_a_service_asks_to_wait() -> None:
    gate = Gate("GitHub", JumpingClock(NOON), Patience(1000), Rules(8))
    gate.quotas["graphql"] = Quota(5000, 17, NOON)
    gate.close(RateLimitedError("wait", wait=90))
    told = drawn(progress(10, {"GitHub": gate}, 1.0))[1]
    assert told == "GitHub asks to wait until 12:01:30 UTC, 90 s; GraphQL: 17 of 5,000 left"


def test_on_a_terminal_the_bar_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = Console(stream)
    with console.progress(2, {}) as show:
        show()
        console.result(Failure("django-x", None, TargetError("no")))
        with console.aside():
            hidden = stream.getvalue()
        assert "\x1b[2K" in hidden  # the lines of the bar are erased
    written = stream.getvalue()
    assert "1 of 2, 1 failed" in written
    assert "django-x: error: no" in written
    assert written.count("\x1b[?25h") == written.count("\x1b[?25l")  # the cursor is shown again


def test_once_the_run_is_stopped_no_bar_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = Console(stream)
    with console.progress(2, {}) as show:
        console.ended(StoppedError("stopped by SIGINT", 2))
        show()
        assert "of 2" not in stream.getvalue()


@pytest.mark.parametrize(
    ("term", "options"),
    [
        pytest.param("dumb", {}, id="a terminal that cannot"),
        pytest.param("xterm", {"quiet": True}, id="quiet"),
        pytest.param("xterm", {"log_format": "json"}, id="a log"),
    ],
)
def test_there_is_no_bar_where_it_would_disturb(
    monkeypatch: pytest.MonkeyPatch, term: str, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("TERM", term)
    stream = Terminal()
    console = Console(stream, **options)
    with console.progress(2, {}) as show:
        show()
        console.result(Skipped("a", "a", "fresh", "fetched 1 hour ago"))
    assert stream.getvalue() == ""


def test_there_is_no_bar_where_stderr_is_no_terminal_though_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    console = Console(stream)
    with console.progress(2, {}) as show, console.aside():
        show()
    assert stream.getvalue() == ""
