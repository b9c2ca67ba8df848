from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from typer.testing import CliRunner, Result

from pkgharvest.cli import app
from pkgharvest.version import __version__
from services import GITHUB, PYPI, Reply, catalog_record, project, replies

LIMIT = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "57", "x-ratelimit-reset": "1773850000"}


@pytest.fixture
def services() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


def serve(router: respx.MockRouter, table: dict[str, Reply | Exception]) -> None:
    """Answer as the table says, anything else with 404."""
    for url, reply in table.items():
        assert isinstance(reply, Reply)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        router.get(url).respond(reply.status, headers={**LIMIT, **reply.headers}, content=body)
    router.route().respond(404, json={"message": "Not Found"})


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["fetch", *arguments], env=environment)


def test_a_record_goes_to_stdout_and_nothing_to_stderr(services: respx.MockRouter) -> None:
    serve(services, replies())
    result = run("django-x")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["repo_watchers"] == 12


def test_several_targets_in_every_format(services: respx.MockRouter) -> None:
    serve(services, replies())
    document = run("django-x").stdout
    line = run("django-x", "--format", "jsonl").stdout
    listed = json.loads(run("django-x", "-f", "list").stdout)
    assert len(document.splitlines()) > 70
    assert len(line.splitlines()) == 1
    same = json.loads(line) | {"last_fetched": json.loads(document)["last_fetched"]}
    assert same == json.loads(document)
    assert {key: listed[key] for key in ("count", "next", "previous")} == {
        "count": 1,
        "next": None,
        "previous": None,
    }


def test_a_package_costs_three_requests_of_github_and_one_of_pypi(services: respx.MockRouter) -> None:
    serve(services, replies())
    result = run("django-x", "--verbose")
    assert result.stderr.splitlines()[-1].endswith(
        "(PyPI: 1 request, 1 charged, 57 of 60 left until 16:06 UTC; "
        "GitHub: 3 requests, 3 charged, 57 of 60 left until 16:06 UTC)"
    )


def test_the_catalog_is_asked_only_if_wanted(services: respx.MockRouter) -> None:
    serve(services, replies())
    run("django-x")
    assert not [call for call in services.calls if call.request.url.host == "djangopackages.org"]
    assert json.loads(run("django-x", "--catalog").stdout)["id"] == 99


def test_the_token_goes_to_github_alone(services: respx.MockRouter, marked_token: str) -> None:
    serve(services, replies())
    result = run("django-x", "--catalog", "-v", GITHUB_TOKEN=marked_token)
    sent = {call.request.url.host for call in services.calls if "authorization" in call.request.headers}
    assert sent == {"api.github.com"}
    assert marked_token not in result.output


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("", "an empty name"),
        ("../../etc/passwd", "'../../etc/passwd' is no name of a package"),
        ("https://github.com/only-owner", "names an owner, not a repository"),
        ("https://github.com/sponsors/x", "is a page of github.com, not a repository"),
        ("ftp://x", "ftp:// is no scheme"),
        ("x" * 300, "a name of 300 characters"),
        ("https://gitlab.com/a/b", "repositories on gitlab.com are not read yet"),
    ],
)
def test_what_cannot_be_parsed_is_told_before_anything_is_asked(
    services: respx.MockRouter, target: str, told: str
) -> None:
    result = run("django-x", target)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert told in result.stderr
    assert services.calls.call_count == 0


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "django-x: error: the project 'django-x' is not on pypi.python.org (404). Check the name"),
        (
            replies(project=project(project_urls=None)),
            "django-x: error: the project 'django-x' names no repository on GitHub among its URLs on PyPI. ",
        ),
        (
            replies(repository=Reply({}, 404)),
            "django-x: error: ann/django-x is not on api.github.com, or is private (404). Check the address",
        ),
        (
            replies(repository=Reply({"id": "seven"})),
            "django-x: error: api.github.com answered in an unexpected shape: Expected `int`, got `str`",
        ),
    ],
)
def test_a_target_that_fails_is_one_line_and_exit_3(
    services: respx.MockRouter, table: dict[str, Reply | Exception], told: str
) -> None:
    serve(services, table)
    result = run("django-x")
    line, summary = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (3, "")
    assert line.startswith(told)
    assert summary.startswith("0 records, 1 failed in ")


def test_a_failing_target_does_not_stop_the_others(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, replies())
    result = run("no-such", "django-x", "-f", "jsonl", "-o", str(tmp_path / "x.jsonl"))
    assert (result.exit_code, result.stdout) == (3, "")
    [line] = (tmp_path / "x.jsonl").read_bytes().splitlines()
    assert json.loads(line)["slug"] == "django-x"


def test_the_same_package_twice_is_one_record_and_a_note(services: respx.MockRouter) -> None:
    serve(services, replies())
    result = run("django-x", "Django.X", "-f", "jsonl")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert result.stderr == "Django.X: skipped: the same package as django-x\n"
    assert run("django-x", "Django.X", "-q").stderr == ""


def test_an_old_file_stays_if_nothing_was_harvested(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, {})
    (tmp_path / "x.json").write_text("old")
    assert run("no-such", "-o", str(tmp_path / "x.json")).exit_code == 3
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.json", "old")]


def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(
    services: respx.MockRouter, tmp_path: Path
) -> None:
    result = run("django-x", "-o", str(tmp_path / "none" / "x.json"))
    assert (result.exit_code, services.calls.call_count) == (7, 0)
    assert "cannot be written: No such file or directory" in result.stderr


def test_base_records_carry_over(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, replies())
    (tmp_path / "base.json").write_text(json.dumps({"count": 1, "results": [catalog_record()]}))
    record = json.loads(run("django-x", "--base", str(tmp_path / "base.json")).stdout)
    assert (record["id"], record["title"], record["repo_watchers"]) == (99, "Django X", 12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "holds what is not a record: line 1:"),
        ('{"slug": 1}', "holds what is not a record: line 1: "),
        (b"\xff", "holds what is not a record: "),
    ],
)
def test_bad_base_records_are_told_before_anything_is_asked(
    services: respx.MockRouter, tmp_path: Path, text: str | bytes | None, told: str
) -> None:
    path = tmp_path / "base.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run("django-x", "--base", str(path))
    assert (result.exit_code, services.calls.call_count) == (2, 0)
    assert told in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        ([], {}, 2, "give at least one target, or a list with --from"),
        (["x", "--format", "xml"], {}, 2, "'xml' is not one of"),
        (["x", "--timezone", "Mars/Base"], {}, 2, "'Mars/Base' is no time zone"),
        (["x", "--max-wait", "-1"], {}, 2, "--max-wait is '-1'; it must be a number of seconds"),
        (["x", "--replay", "demo", "--record", "x.har"], {}, 2, "cannot be recorded and replayed at once"),
        (["x", "--replay", "no/such.har"], {}, 2, "the recording 'no/such.har' cannot be read"),
        (["x"], {"PKGHARVEST_PYPI_URL": "nowhere"}, 2, "PKGHARVEST_PYPI_URL is no address"),
        (["x"], {"HTTPS_PROXY": "socks5://127.0.0.1:1"}, 2, "Check HTTPS_PROXY"),
        (["x"], {"GITHUB_TOKEN": "two words"}, 4, "GITHUB_TOKEN holds characters that are in no token"),
        (["https://djangopackages.org/api/v4/packages/1/"], {}, 3, "Add --catalog to ask it"),
    ],
)
def test_what_is_wrong_from_the_start(
    services: respx.MockRouter, arguments: list[str], environment: dict[str, str], code: int, told: str
) -> None:
    result = run(*arguments, **environment)
    assert (result.exit_code, result.stdout, services.calls.call_count) == (code, "", 0)
    assert told in result.stderr


def test_a_refused_token_ends_the_run_with_exit_4(services: respx.MockRouter, marked_token: str) -> None:
    serve(services, replies(repository=Reply({"message": "Bad credentials"}, 401)))
    result = run(
        "django-x", *(f"https://github.com/a/b{number}" for number in range(20)), GH_TOKEN=marked_token
    )
    lines = result.stderr.splitlines()
    assert result.exit_code in (3, 4)
    assert "does not accept the token from GH_TOKEN. Renew or unset it" in result.stderr
    assert lines[-1].startswith("0 records, ")
    assert marked_token not in result.output


def test_a_rate_limit_beyond_max_wait_ends_the_run_with_exit_5(services: respx.MockRouter) -> None:
    headers = {
        "date": "Wed, 18 Mar 2026 15:00:00 GMT",
        "x-ratelimit-limit": "60",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1773849600",
    }
    services.get(f"{PYPI}/pypi/django-x/json").respond(json=project().body)
    services.route(host="api.github.com").respond(
        403, headers=headers, json={"message": "API rate limit exceeded"}
    )
    result = run("django-x", *(f"https://github.com/a/b{number}" for number in range(12)))
    lines = result.stderr.splitlines()
    assert result.exit_code == 5
    assert "django-x: error: api.github.com wants fewer requests. Run again after " in lines[0]
    assert "--max-wait 3601. Set GITHUB_TOKEN: with a token GitHub allows 5,000 requests" in lines[0]
    assert lines[1].startswith("not asked any more: https://github.com/a/b0, ")
    assert lines[1].endswith(" and 2 more")
    assert lines[2].startswith("0 records, 1 failed, 12 not asked in ")


def test_upstreams_that_cannot_be_reached_are_exit_6(services: respx.MockRouter) -> None:
    services.route().mock(side_effect=httpx.UnsupportedProtocol("no"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.sleep", _no_sleep)
        result = run("django-x", "https://github.com/a/b")
    assert result.exit_code == 6
    assert "pypi.python.org cannot be reached" in result.stderr


async def _no_sleep(_seconds: float) -> None:
    """Return at once, in place of the sleep between attempts."""


def test_control_characters_of_others_do_not_reach_the_terminal(services: respx.MockRouter) -> None:
    hostile = Reply({"message": "no\x1b[31m \u202e\x07 way"}, 422)
    serve(services, replies(repository=hostile))
    result = run("django-x")
    assert "\x1b" not in result.stderr
    assert "no�[31m �� way" in result.stderr


def test_the_version_is_shown() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"pkgharvest {__version__}\n")


def process(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pkgharvest", *arguments], **options)


def test_a_closed_pipe_ends_quietly() -> None:
    with process(
        *("fetch", "--replay", "demo", "--catalog", "django-ltree", "django-pghistory", "-q"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no full device")
def test_a_full_device_is_exit_7() -> None:
    with (
        Path("/dev/full").open("wb") as full,
        process(
            "fetch", "--replay", "demo", "django-pghistory", stdout=full, stderr=subprocess.PIPE
        ) as running,
    ):
        assert running.stderr is not None
        told = running.stderr.read().decode()
    assert running.returncode == 7
    first, summary = told.splitlines()
    assert first == "error: the standard output cannot be written: No space left on device"
    assert summary.startswith("0 records in ")


def test_an_interrupt_is_exit_130_and_leaves_the_old_file(tmp_path: Path) -> None:
    output = tmp_path / "x.json"
    output.write_text("old")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with process(
            *("fetch", "-o", str(output), "django-x"),
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PKGHARVEST_PYPI_URL": address},
        ) as running:
            assert running.stderr is not None
            connection, _ = silent.accept()
            running.send_signal(signal.SIGINT)
            told = running.stderr.read().decode()
            connection.close()
    assert running.returncode == 130
    assert re.sub(r"[\d.]+ s$", "N s", told) == (
        "error: stopped by SIGINT. Run again for the rest\nnot asked any more: django-x\n"
        "0 records, 1 not asked in N s\n"
    )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.json", "old")]


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are closed as POSIX does")
@pytest.mark.parametrize(
    ("closing", "code"), [(">&-", 7), ("2>&-", 0), ("<&-", 0), (">&- 2>&- <&-", 7)], ids=str
)
def test_closed_standard_streams_are_no_reason_for_a_traceback(closing: str, code: int) -> None:
    command = f"{sys.executable} -m pkgharvest fetch --replay demo --catalog django-ltree {closing}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert "Traceback" not in run.stderr


def test_a_recorded_run_replays_to_the_same_bytes_and_lines(
    services: respx.MockRouter, tmp_path: Path, marked_token: str
) -> None:
    serve(services, replies(project=Reply(b"<html>", 200)))
    archive = str(tmp_path / "run.har")
    targets = ["django-x", "https://github.com/ann/django-x", "no-such"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.sleep", _no_sleep)
        first = run(*targets, "--catalog", "--record", archive, GITHUB_TOKEN=marked_token)
    services.clear()
    again = run(*targets, "--catalog", "--replay", archive)
    assert first.exit_code == again.exit_code == 3
    assert first.stdout_bytes == again.stdout_bytes != b""
    assert first.stderr.splitlines()[:-1] == again.stderr.splitlines()[:-1]


def test_what_was_recorded_until_an_error_is_a_whole_archive(
    services: respx.MockRouter, tmp_path: Path
) -> None:
    serve(services, replies())
    archive = tmp_path / "run.har"
    assert run("django-x", "--record", str(archive), "-o", "/dev/full").exit_code == 7
    assert len(json.loads(archive.read_bytes())["log"]["entries"]) == 4


def test_output_and_recording_in_one_file_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    assert run("django-x", "-o", path, "--record", path).exit_code == 2


def test_a_recording_of_another_code_host_is_replayed_without_its_setting(
    services: respx.MockRouter, tmp_path: Path
) -> None:
    host = "https://code.example"
    table = {url.replace(GITHUB, f"{host}/api/v3"): reply for url, reply in replies().items()}
    serve(services, table)
    archive = str(tmp_path / "run.har")
    target = f"{host}/ann/django-x"
    first = run(target, "--record", archive, PKGHARVEST_GITHUB_URL=f"{host}/api/v3")
    again = run(target, "--replay", archive)
    assert (first.exit_code, first.stdout) == (0, again.stdout)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no full device")
def test_a_stderr_that_cannot_be_written_does_not_stop_the_records() -> None:
    with (
        Path("/dev/full").open("wb") as full,
        process("fetch", "--replay", "demo", "django-pghistory", "-v", stdout=-1, stderr=full) as running,
    ):
        assert running.stdout is not None
        assert json.loads(running.stdout.read())["slug"] == "django-pghistory"
    assert running.returncode == 0


def test_a_pipe_is_written_by_its_name() -> None:
    command = f"{sys.executable} -m pkgharvest fetch --replay demo -q django-pghistory -o /dev/stdout | cat"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert json.loads(shown.stdout)["slug"] == "django-pghistory"


def test_targets_come_from_lists_too(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, replies())
    (tmp_path / "list.txt").write_text("# the packages\n\ndjango-x  # the only one\n../x\nno-such\n")
    result = run("--from", str(tmp_path / "list.txt"), "-f", "jsonl")
    assert (result.exit_code, len(result.stdout.splitlines())) == (3, 1)
    told = result.stderr.splitlines()
    assert told[0].startswith(f"{tmp_path}/list.txt:4: error: '../x' is a path on this machine")
    assert told[1].startswith("no-such: error: ")


def test_targets_come_from_stdin_too(services: respx.MockRouter) -> None:
    serve(services, replies())
    result = CliRunner().invoke(app, ["fetch", "--from", "-", "-q"], input="django-x\n")
    assert json.loads(result.stdout)["slug"] == "django-x"


def test_a_list_that_cannot_be_read_is_told_before_anything_is_asked(services: respx.MockRouter) -> None:
    result = run("--from", "no/such.txt", "django-x")
    assert (result.exit_code, services.calls.call_count) == (2, 0)
    assert "the list no/such.txt cannot be read" in result.stderr


def test_an_empty_list_gives_nothing_and_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "list.txt").touch()
    result = run("--from", str(tmp_path / "list.txt"))
    assert (result.exit_code, result.stdout) == (0, "")


def test_what_is_stored_is_revalidated_and_answers_offline(services: respx.MockRouter) -> None:
    table = replies()
    for reply in table.values():
        assert isinstance(reply, Reply)
        reply.headers = {"etag": 'W/"tag"'}
    serve(services, table)
    first = json.loads(run("django-x").stdout)
    services.clear()
    router = services.route(headers={"if-none-match": 'W/"tag"'}).respond(304)
    again = json.loads(run("django-x").stdout)
    assert router.call_count == 4
    services.clear()
    asked = services.calls.call_count
    offline = run("django-x", "--offline")
    assert (offline.exit_code, json.loads(offline.stdout)) == (0, again)
    assert again | {"last_fetched": None} == first | {"last_fetched": None}
    failing = run("other", "--offline")
    assert (failing.exit_code, services.calls.call_count) == (3, asked)
    assert failing.stderr.splitlines()[0] == (
        "other: error: nothing is stored for https://pypi.python.org/pypi/other/json. "
        "Run without --offline first"
    )


def test_without_a_cache_nothing_is_stored(services: respx.MockRouter) -> None:
    serve(services, replies())
    run("django-x", "--no-cache")
    assert not list(Path(os.environ["HOME"]).rglob("*.sqlite3"))


def test_what_was_missing_is_not_asked_for_again_unless_refreshed(services: respx.MockRouter) -> None:
    serve(services, {})
    codes = [run(*arguments).exit_code for arguments in (["x"], ["x"], ["x", "--refresh"])]
    assert (codes, services.calls.call_count) == ([3, 3, 3], 2)


def test_a_dry_run_asks_nobody_and_tells_the_costs(services: respx.MockRouter, marked_token: str) -> None:
    result = run("a", "b", "A", "--dry-run", "--catalog")
    signed = run("a", "b", "--dry-run", GITHUB_TOKEN=marked_token)
    assert result.stdout.splitlines() == [
        "packages: 2, 0 with an earlier record",
        "PyPI: 2 requests",
        "GitHub REST: 6 requests (60 an hour, unless some are spent)",
        "Django Packages: 2 requests",
    ]
    assert signed.stdout.splitlines()[2:] == [
        "GitHub REST: 2 requests (5000 an hour, unless some are spent)",
        "GitHub GraphQL: 1 point (5000 an hour, unless some are spent)",
    ]
    assert services.calls.call_count == 0


LIMITS = {
    name: {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1773850000}
    for name in ("core", "graphql", "x")
}


def test_limits_are_shown_for_people_and_programs(services: respx.MockRouter) -> None:
    services.get(f"{GITHUB}/rate_limit").respond(json={"resources": LIMITS})
    runner = CliRunner()
    assert runner.invoke(app, ["limits"]).stdout.splitlines() == [
        "GitHub REST: 4999 of 5000 left until 16:06 UTC",
        "GitHub GraphQL: 4999 of 5000 left until 16:06 UTC",
    ]
    told = json.loads(runner.invoke(app, ["limits", "--format", "json"]).stdout)
    assert told["core"] == {"limit": 5000, "remaining": 4999, "reset": "2026-03-18T16:06:40Z"}


def test_a_server_without_limits_says_so(services: respx.MockRouter) -> None:
    services.get(f"{GITHUB}/rate_limit").respond(404, json={"message": "Rate limiting is not enabled."})
    result = CliRunner().invoke(app, ["limits"])
    assert (result.exit_code, result.stderr) == (
        2,
        "error: this server has no rate limits. They may be switched off\n",
    )


def test_the_stored_answers_are_shown_and_dropped(services: respx.MockRouter) -> None:
    serve(services, replies())
    runner = CliRunner()
    empty = runner.invoke(app, ["cache", "info"]).stdout
    run("django-x")
    full = runner.invoke(app, ["cache", "info"]).stdout
    assert "answers-1.sqlite3: 0 answers, " in empty
    assert "answers-1.sqlite3: 4 answers, " in full
    assert "last confirmed between " in full
    assert runner.invoke(app, ["cache", "clear"]).stdout == "4 answers dropped\n"
    assert ": 0 answers, " in runner.invoke(app, ["cache", "info"]).stdout


def test_a_store_that_cannot_be_used_is_a_warning(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, replies())
    (tmp_path / "file").touch()
    result = run("django-x", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert (result.exit_code, json.loads(result.stdout)["slug"]) == (0, "django-x")
    assert result.stderr.startswith("warning: the stored answers in ")


@pytest.fixture
def user_file(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of the user's configuration file; its folder is there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    folder = Path.home() / ".config" / "pkgharvest"
    folder.mkdir(parents=True)
    return folder / "pkgharvest.toml"


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_settings_come_from_files_variables_and_options(
    services: respx.MockRouter, user_file: Path, working_folder: Path
) -> None:
    serve(services, replies())
    user_file.write_text('format = "list"\ntimezone = "UTC"\ncatalog = true\n')
    (working_folder / "pyproject.toml").write_text('[tool.pkgharvest]\nformat = "jsonl"\n')
    [line] = run("django-x").stdout.splitlines()
    record = json.loads(line)
    assert (record["id"], record["last_fetched"][-1]) == (99, "Z")
    assert "count" in json.loads(run("django-x", PKGHARVEST_FORMAT="list").stdout)
    last = run("django-x", "-f", "json", "--no-catalog", "--timezone", "Asia/Tokyo", PKGHARVEST_FORMAT="list")
    assert (json.loads(last.stdout)["id"], json.loads(last.stdout)["last_fetched"][-6:]) == (None, "+09:00")


def test_a_named_file_of_settings_stands_for_the_users(
    services: respx.MockRouter, user_file: Path, tmp_path: Path
) -> None:
    serve(services, replies())
    user_file.write_text("no settings")
    (tmp_path / "cron.toml").write_text('format = "list"')
    assert json.loads(run("django-x", "--config", str(tmp_path / "cron.toml")).stdout)["count"] == 1


COMMANDS = [["fetch", "django-x"], ["limits"], ["config"], ["cache", "info"], ["cache", "clear"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_mistake_in_a_file_is_told_by_every_command_before_anything_is_asked(
    services: respx.MockRouter, user_file: Path, tmp_path: Path, arguments: list[str]
) -> None:
    user_file.write_text("jobs = 3\nmax_wait = 3\n")
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout, services.calls.call_count) == (2, "", 0)
    told = "pkgharvest.toml:2: max_wait is no setting. Did you mean max-wait?\n"
    assert result.stderr == f"error: ~/.config/pkgharvest/{told}"
    missing = CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "none.toml")])
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert missing.stderr.endswith("none.toml cannot be read: there is no such file\n")


def test_a_form_of_lines_may_come_from_a_variable(services: respx.MockRouter) -> None:
    serve(services, {})
    told = [json.loads(line) for line in run("x", PKGHARVEST_LOG_FORMAT="json").stderr.splitlines()]
    assert [line["event"] for line in told] == ["failed", "summary"]
    assert run("x", "--log-format", "text", PKGHARVEST_LOG_FORMAT="json").stderr.startswith("x: error: ")


def test_what_a_variable_says_of_folders_or_files_holds_where_it_has_a_meaning(
    services: respx.MockRouter, tmp_path: Path
) -> None:
    serve(services, replies())
    environment = {"PKGHARVEST_FORMAT": "jsonl", "PKGHARVEST_ONLY_CHANGED": "1"}
    folder = f"{tmp_path}/snapshot/"
    assert len(run("django-x", **environment).stdout.splitlines()) == 1
    assert run("django-x", "-o", folder, **environment).exit_code == 0
    first = (tmp_path / "snapshot" / "django-x.json").read_bytes()
    assert run("django-x", "-o", folder, **environment).exit_code == 0
    assert (tmp_path / "snapshot" / "django-x.json").read_bytes() == first
    assert run("django-x", "-o", folder, "--no-only-changed", **environment).exit_code == 0
    assert (tmp_path / "snapshot" / "django-x.json").read_bytes() != first
    assert "has no meaning there" in run("django-x", "-o", folder, "-f", "jsonl").stderr
    assert "are for a folder" in run("django-x", "--only-changed").stderr


def test_answers_are_stored_where_the_settings_say(services: respx.MockRouter, tmp_path: Path) -> None:
    serve(services, replies())
    (tmp_path / "cron.toml").write_text('cache-folder = "store"')
    run("django-x", "--config", f"{tmp_path}/cron.toml")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["answers-1.sqlite3"]
    told = CliRunner().invoke(app, ["cache", "info", "--config", f"{tmp_path}/cron.toml"]).stdout
    assert told.startswith(f"{tmp_path}/store/answers-1.sqlite3: 4 answers, ")
    kept = run("django-x", "--no-cache", "--config", f"{tmp_path}/cron.toml", PKGHARVEST_CACHE="1")
    assert kept.exit_code == 0


def test_a_wait_may_be_given_as_a_duration(services: respx.MockRouter) -> None:
    headers = {"date": "Wed, 18 Mar 2026 15:00:00 GMT", "retry-after": "601"}
    services.get(f"{PYPI}/pypi/django-x/json").respond(json=project().body)
    services.route(host="api.github.com").respond(
        403, headers=headers, json={"message": "secondary rate limit"}
    )
    result = run("django-x", "--max-wait", "10m")
    assert (result.exit_code, "--max-wait 602" in result.stderr) == (5, True)


def test_the_settings_in_force_are_shown(user_file: Path, working_folder: Path, marked_token: str) -> None:
    user_file.write_text("jobs = 3")
    environment = {"GITHUB_TOKEN": marked_token, "PKGHARVEST_REFRESH": "on"}
    result = CliRunner().invoke(app, ["config"], env=environment)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr) == (0, "")
    for row in (
        ["jobs", "3", "~/.config/pkgharvest/pkgharvest.toml"],
        ["refresh", "true", "PKGHARVEST_REFRESH"],
        ["token", "set", "GITHUB_TOKEN"],
        ["pyproject.toml", "not", "there"],
        ["~/.config/pkgharvest/pkgharvest.toml", "read"],
    ):
        assert row in rows
    told = json.loads(CliRunner().invoke(app, ["config", "--format", "json"], env=environment).stdout)
    assert told["settings"]["jobs"] == {"value": 3, "source": "~/.config/pkgharvest/pkgharvest.toml"}
    assert told["token"] == {"set": True, "source": "GITHUB_TOKEN"}
    assert not list(working_folder.iterdir())


def test_limits_are_not_asked_for_offline(services: respx.MockRouter) -> None:
    result = CliRunner().invoke(app, ["limits"], env={"PKGHARVEST_OFFLINE": "1"})
    assert (result.exit_code, services.calls.call_count) == (2, 0)
    assert (
        result.stderr
        == "error: GitHub tells its limits, and offline is set. Unset it: see PKGHARVEST_OFFLINE\n"
    )


def test_a_list_whose_name_is_no_text_is_reported_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/list-\xff.txt")
    Path(name).write_text("no name!\n")
    report = tmp_path / "report.jsonl"
    result = run("--from", name, "--report", str(report))
    assert (result.exit_code, result.stdout) == (3, "")
    lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert lines[0]["place"] == f"{tmp_path}/list-\ufffd.txt:1"
    assert lines[0]["reason"] == "bad-target"
    assert lines[1]["run"]["exit_code"] == 3


def test_the_place_of_the_stored_answers_is_printable(tmp_path: Path) -> None:
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff\xc2\x9b31m")
    result = CliRunner().invoke(app, ["cache", "info"], env={"XDG_CACHE_HOME": folder})
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{tmp_path}/\ufffd\ufffd31m/" in result.stdout


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param({"side_effect": httpx.ConnectError("CERTIFICATE_VERIFY_FAILED")}, 6, id="not reached"),
        pytest.param({"return_value": httpx.Response(429, headers={"retry-after": "999"})}, 5, id="limited"),
        pytest.param({"return_value": httpx.Response(401, json={})}, 4, id="refused"),
    ],
)
def test_limits_that_cannot_be_had_have_the_code_of_the_cause(
    services: respx.MockRouter, answer: dict[str, Any], code: int
) -> None:
    services.get("https://api.github.com/rate_limit").mock(**answer)
    result = CliRunner().invoke(app, ["limits", "--config", os.devnull], env={"GITHUB_TOKEN": "t"})
    assert (result.exit_code, result.stdout) == (code, "")


def test_the_deadline_of_a_request_is_a_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = run("django-x", PKGHARVEST_PYPI_URL=address, PKGHARVEST_DEADLINE="0.1")
    assert result.exit_code == 6
    assert "took longer than 0.1 s to answer" in result.stderr
