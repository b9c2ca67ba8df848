"""Machines as they are: clocks, zones, locales, few files, odd proxies and certificates."""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

import pkgharvest
from pkgharvest.errors import UnreachableError
from pkgharvest.harvester import is_fresh
from pkgharvest.net.cache import Store
from pkgharvest.net.client import translated
from pkgharvest.net.clock import Clock, JumpingClock, SystemClock
from pkgharvest.record import Findings, Record, combine, decode_record, encode_line
from pkgharvest.session import Session
from pkgharvest.settings import Settings
from pkgharvest.weeks import weekly_counts, window
from processes import Services, command, environment, records, run
from services import NOW, ask, network
from world import World, served


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services()
    yield services
    services.close()


# Clocks.


async def harvested(clock: Clock, recording: Path | None = None) -> Record:
    with served(World()):
        async with Session(Settings(cache=False, record=recording), clock=clock) as session:
            [result] = [result async for result in session.harvest(["p1"])]
    record = getattr(result, "record", None)
    assert isinstance(record, Record)
    return record


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("moment", "fetched"),
    [
        # The year ends in New York five hours later.
        ("2027-01-01T04:59:59.5Z", "2026-12-31T23:59:59.500000-05:00"),
        ("2027-01-01T05:00:00Z", "2027-01-01T00:00:00-05:00"),
        ("2028-02-29T12:00:00Z", "2028-02-29T07:00:00-05:00"),
        ("2028-03-01T04:30:00Z", "2028-02-29T23:30:00-05:00"),
        # An hour is left out, and an hour comes twice.
        ("2026-03-08T06:59:59Z", "2026-03-08T01:59:59-05:00"),
        ("2026-03-08T07:00:00Z", "2026-03-08T03:00:00-04:00"),
        ("2026-11-01T05:30:00Z", "2026-11-01T01:30:00-04:00"),
        ("2026-11-01T06:30:00Z", "2026-11-01T01:30:00-05:00"),
        # Clocks that nobody has set, and beyond what 32 bits hold.
        ("1970-01-01T00:00:10Z", "1969-12-31T19:00:10-05:00"),
        ("2038-01-19T03:14:08Z", "2038-01-18T22:14:08-05:00"),
    ],
)
async def test_a_record_bears_the_time_of_the_site_on_any_day(moment: str, fetched: str) -> None:
    record = await harvested(JumpingClock(datetime.fromisoformat(moment)))
    written = json.loads(encode_line(record))["last_fetched"]
    assert written == fetched
    again = decode_record(encode_line(record))
    assert again == record
    assert again.last_fetched == datetime.fromisoformat(moment)


@pytest.mark.parametrize("day", ["2028-02-29", "2028-03-01", "2029-02-28", "2026-12-31", "2027-01-01"])
def test_the_weeks_are_of_seven_days_over_leap_days_and_years(day: str) -> None:
    moment = datetime.fromisoformat(f"{day}T23:59:59.999999+00:00")
    start, end = window(moment)
    assert (end - start, f"{end:%Y-%m-%d}") == (timedelta(days=364), day)
    dates = [start + timedelta(hours=hour) for hour in range(-5, 364 * 24 + 5)]
    assert weekly_counts(dates, moment) == [168] * 52


@pytest.mark.parametrize(
    ("now", "age", "fresh"),
    [
        # From 01:30 to 01:30 an hour has passed in the night that has it twice.
        ("2026-11-01T01:30:00-05:00", timedelta(hours=1), False),
        ("2026-11-01T01:29:59-05:00", timedelta(hours=1), True),
        ("2026-11-01T01:29:59-04:00", timedelta(days=1), False),  # the clock has been set back
        ("2026-11-02T00:29:59-05:00", timedelta(days=1), True),
        ("2026-11-02T00:30:00-05:00", timedelta(days=1), False),
    ],
)
def test_an_age_is_of_hours_that_have_passed(now: str, age: timedelta, *, fresh: bool) -> None:
    zone = Settings().zone
    fetched = datetime(2026, 11, 1, 1, 30, tzinfo=zone)
    found = Findings(
        slug="p1",
        fetched=fetched,
        repository_name="p1",
        repository_url="",
        forks=0,
        stars=0,
        description="",
        commits_over_52=[],
        last_commit=None,
        participants=None,
    )
    moment = datetime.fromisoformat(now)
    for base in (combine(None, found, zone), decode_record(encode_line(combine(None, found, zone)))):
        assert is_fresh(base, age, moment) is fresh
        assert is_fresh(base, age, moment.astimezone(UTC)) is fresh


def test_the_clock_of_a_run_stands_still_where_the_machines_is_set_back() -> None:
    moments = [NOW, NOW + timedelta(seconds=2), NOW - timedelta(days=400), NOW, NOW + timedelta(seconds=3)]
    told = iter(moments)
    clock = SystemClock(lambda: next(told))
    assert [clock.now() for _ in moments[1:]] == [moments[1], moments[1], moments[1], moments[4]]


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_over_midnight_moves_no_window(tmp_path: Path) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)  # the commit of the world is of the day before
    moments = iter([midnight + timedelta(seconds=1)])
    clock = SystemClock(lambda: next(moments, midnight - timedelta(hours=1)))
    recording = tmp_path / "run.har"
    record = await harvested(clock, recording)
    assert record.commits_over_52 == [0] * 51 + [1]
    entries = msgspec.json.decode(recording.read_bytes())["log"]["entries"]
    assert [entry["time"] for entry in entries] == [0] * len(entries)
    assert entries


def test_a_move_that_was_seen_in_the_future_is_not_believed(tmp_path: Path) -> None:
    store = Store(tmp_path, pytest.fail)
    store.remember_move("PyPI", "https://a.example", "https://b.example", NOW)
    assert store.move("PyPI", "https://a.example", NOW) == "https://b.example"
    assert store.move("PyPI", "https://a.example", NOW - timedelta(seconds=1)) is None
    store.close()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "<+99>-99", ":/etc/passwd"])
def test_the_zone_of_the_machine_does_not_matter(services: Services, tmp_path: Path, zone: str) -> None:
    env = environment(services, HOME=str(tmp_path), TZ=zone)
    before = datetime.now(UTC)
    ended = run(command("p-0", "p-missing", "--log-format", "json"), env=env)
    after = datetime.now(UTC)
    fetched = decode_record(ended.stdout).last_fetched
    assert fetched is not None
    assert before <= fetched <= after
    assert fetched.utcoffset() == fetched.astimezone(Settings().zone).utcoffset()
    told = datetime.fromisoformat(json.loads(ended.stderr.splitlines()[0])["time"])
    assert before - timedelta(milliseconds=1) <= told <= after


# Zone data.


def test_without_the_systems_zone_data_the_packages_own_is_taken(services: Services, tmp_path: Path) -> None:
    ended = run(command("p-0"), env=environment(services, HOME=str(tmp_path), PYTHONTZPATH=""))
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert decode_record(ended.stdout).last_fetched is not None


def test_a_machine_without_any_zone_data_is_told_what_it_lacks(services: Services, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['tzdata'] = None; from pkgharvest.cli import main; main()"
    env = environment(services, HOME=str(tmp_path), PYTHONTZPATH="")
    ended = run([sys.executable, "-c", hidden, "fetch", "p-0"], env=env)
    assert (ended.returncode, ended.stdout, services.asked) == (2, b"", [])
    assert ended.stderr.decode() == (
        "error: nothing on this machine knows the time zone 'America/New_York', or any other. "
        "Install the package tzdata\n"
    )


# Locales.

LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "no_SUCH.latin1", "PYTHONIOENCODING": "ascii:strict"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_any_locale_takes_any_text(services: Services, tmp_path: Path, locale: dict[str, str]) -> None:
    env = environment(services, HOME=str(tmp_path), **locale)
    (tmp_path / "lïste").write_text("p-0\nnö\n", encoding="utf-8")
    fetched = run(command("--from", "lïste", "-f", "jsonl", "-o", "dàta", "-v"), env=env, cwd=tmp_path)
    assert (fetched.returncode, fetched.stdout) == (3, b"")
    assert b"Traceback" not in fetched.stderr
    assert [line.isascii() for line in fetched.stderr.splitlines()].count(False) <= 3
    written = (tmp_path / "dàta").read_bytes()
    assert decode_record(written).repo_description == "Über ☃"
    for form in ("table", "markdown"):
        shown = run([*command()[:-1], "show", "./dàta", "-f", form], env=env, cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, b"")
        assert form == "table" or "Über ☃".encode() in shown.stdout


# Open files.


def test_few_open_files_are_enough(services: Services, tmp_path: Path) -> None:
    names = [f"p-{number}" for number in range(100)]
    (tmp_path / "list").write_text("\n".join(names))
    arguments = ["--from", "list", "--jobs", "12", "-o", "out/", "--report", "report", "--record", "run.har"]
    ended = run(
        command(*arguments),
        env=environment(services, HOME=str(tmp_path)),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)),
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert records(tmp_path / "out") == set(names)


@pytest.mark.anyio
async def test_too_few_open_files_are_told(services: Services) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with network() as exchange:
        assert (await exchange(ask(services.url))).status == 404  # Python has now read the files it needs
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(UnreachableError) as caught:
                await exchange(ask("http://127.0.0.1:1"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert str(caught.value) == (
        "127.0.0.1:1 cannot be reached: this process has too many open files. "
        "Raise the limit (ulimit -n), or lower --jobs"
    )


def test_too_many_open_files_are_known_however_they_are_wrapped() -> None:
    cause = OSError(errno.EMFILE, "Too many open files")
    group = ExceptionGroup("several addresses", [OSError(errno.ECONNREFUSED, "refused"), cause])
    for inner in (cause, group):
        error = httpx.ConnectError("All connection attempts failed")
        error.__cause__ = inner
        assert "too many open files" in str(translated(error, "x.example"))
    other = httpx.ConnectError("x")
    other.__cause__ = ExceptionGroup("several addresses", [OSError(errno.ECONNREFUSED, "refused")])
    assert "too many" not in str(translated(other, "x.example"))


# Proxies and certificates.


def test_a_proxy_that_works_is_asked(services: Services, tmp_path: Path) -> None:
    """What answers any host with the answers for its path is a proxy."""
    env = environment(services, HOME=str(tmp_path), HTTP_PROXY=services.url)
    env |= {"PKGHARVEST_GITHUB_URL": "http://github.example", "PKGHARVEST_PYPI_URL": "http://pypi.example"}
    ended = run(command("p-0"), env=env)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "http://pypi.example/pypi/p-0/json" in services.asked


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there_is_hinted_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://user:hidden@127.0.0.1:1")
    async with network() as exchange:
        with pytest.raises(UnreachableError) as caught:
            await exchange(ask("http://pypi.example/"))
    line = str(caught.value)
    assert line.startswith("pypi.example cannot be reached: no connection")
    assert line.endswith("Check the connection and the proxy settings of the environment and try again")
    assert "hidden" not in line


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HTTPS_PROXY", "http://", "the proxy settings of the environment are wrong. Check HTTPS_PROXY, "),
        ("ALL_PROXY", " ", "the proxy settings of the environment are wrong. Check HTTPS_PROXY, "),
        ("HTTP_PROXY", "http://h:0", "the proxy settings of the environment are wrong. Check HTTPS_PROXY, "),
        (
            "SSL_CERT_FILE",
            "/nowhere",
            "the certificates to trust cannot be read: No such file or directory. ",
        ),
        ("SSL_CERT_FILE", os.devnull, "the certificates to trust cannot be read: no certificate is in it. "),
        ("SSL_CERT_FILE", "/", "the certificates to trust cannot be read: Is a directory. "),
    ],
)
def test_wrong_surroundings_are_told_in_one_line(
    services: Services, tmp_path: Path, variable: str, value: str, told: str
) -> None:
    ended = run(command("p-0"), env=environment(services, HOME=str(tmp_path), **{variable: value}))
    assert (ended.returncode, ended.stdout, services.asked) == (2, b"", [])
    [line] = ended.stderr.decode().splitlines()
    assert line.startswith(f"error: {told}")
    assert variable in line


# Ways to run Python.


@pytest.mark.parametrize("options", ["-OO -bb -W error", "-X dev -W error"])
def test_the_ways_to_run_python_change_nothing(services: Services, tmp_path: Path, options: str) -> None:
    files = ["-o", "out/", "--report", "report", "--record", "run.har"]
    arguments = ["fetch", "p-0", "p-missing", "not a name", *files, "-v"]
    python = [sys.executable, *options.split(), "-m", "pkgharvest"]
    env = environment(services, HOME=str(tmp_path))
    refused = run([*python, *arguments], env=env, cwd=tmp_path)
    assert (refused.returncode, services.asked) == (2, [])
    arguments.remove("not a name")
    ended = run([*python, *arguments], env=env, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (3, b"")
    assert records(tmp_path / "out") == {"p-0"}
    replayed = run([*python, "fetch", "p-0", "p-missing", "--replay", "run.har"], env=env, cwd=tmp_path)
    assert (replayed.returncode, decode_record(replayed.stdout).slug) == (3, "p-0")
    for told in (refused, ended, replayed):
        assert b"Traceback" not in told.stderr
        assert b"Warning" not in told.stderr


def test_no_assert_decides_anything() -> None:
    """Asserts for the type checker alone, each marked and with its reason."""
    for path in Path(pkgharvest.__file__).parent.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith("assert "):
                assert "# noqa: S101  " in line, f"{path.name}: {line}"
