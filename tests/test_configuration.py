from __future__ import annotations

import json
import os
import tomllib
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgharvest import durations
from pkgharvest.configuration import (
    DEFAULT,
    Choices,
    Configuration,
    File,
    as_json,
    configure,
    lines,
    read_files,
)
from pkgharvest.errors import SettingError
from pkgharvest.keys import BY_NAME, KEYS
from pkgharvest.settings import Settings

FOLDER = Path("/srv/packages")

# For each key two values, as TOML has them, as the environment has them, and as they are in force.
VALUES: dict[str, list[tuple[str, str, object]]] = {
    "catalog": [("true", "yes", True), ("false", "0", False)],
    "format": [('"jsonl"', "jsonl", "jsonl"), ('"list"', "list", "list")],
    "max-age": [
        ('"20h"', "20h", timedelta(hours=20)),
        ('"1h30m"', "1h30m", timedelta(minutes=90)),
    ],
    "only-changed": [("true", "on", True), ("false", "off", False)],
    "if-running": [('"skip"', "skip", "skip"), ('"fail"', "fail", "fail")],
    "timezone": [('"UTC"', "UTC", "UTC"), ('"Asia/Kathmandu"', "Asia/Kathmandu", "Asia/Kathmandu")],
    "max-wait": [('"10m"', "10m", 600.0), ("2.5", "2.5", 2.5)],
    "deadline": [('"2m"', "2m", 120.0), ("7.5", "7.5", 7.5)],
    "jobs": [("3", "3", 3), ("0x10", "16", 16)],
    "refresh": [("true", "True", True), ("false", "No", False)],
    "cache": [("false", "false", False), ("true", "1", True)],
    "cache-folder": [('"/a"', "/a", Path("/a")), ('"/b/c"', "/b/c", Path("/b/c"))],
    "offline": [("true", "1", True), ("false", "no", False)],
    "log-format": [('"logfmt"', "logfmt", "logfmt"), ('"json"', "json", "json")],
    "github-url": [
        ('"https://a.example/api/v3/"', "https://a.example/api/v3/", "https://a.example/api/v3"),
        ('"http://b.example"', "http://b.example", "http://b.example"),
    ],
    "pypi-url": [
        ('"https://a.example"', "https://a.example", "https://a.example"),
        ('"http://b.example"', "http://b.example", "http://b.example"),
    ],
    "catalog-url": [
        ('"https://a.example"', "https://a.example", "https://a.example"),
        ('"http://b.example"', "http://b.example", "http://b.example"),
    ],
    "github-rest-per-minute": [("15000", "15000", 15000), ("1", "1", 1)],
    "github-graphql-per-minute": [("15000", "15000", 15000), ("1", "1", 1)],
    "pypi-per-minute": [("15000", "15000", 15000), ("1", "1", 1)],
}
NAMES = [key.name for key in KEYS]
LEVELS = ["user", "project", "environment", "option"]


def user(text: str | None, name: str = "pkgharvest.toml") -> File:
    return File(name, "user", FOLDER, text)


def project(text: str | None) -> File:
    return File("pyproject.toml", "project", FOLDER, text)


def in_force(configuration: Configuration, name: str) -> object:
    """Return the value that a run takes for a key."""
    field = BY_NAME[name].field
    owner = configuration.choices if hasattr(configuration.choices, field) else configuration.settings
    return getattr(owner, field)


def at_levels(name: str, levels: dict[str, int]) -> Configuration:
    """Return what is in force where levels set a key to one of its values."""
    toml = {level: VALUES[name][which][0] for level, which in levels.items()}
    typed = {level: tomllib.loads(f"x = {text}")["x"] for level, text in toml.items()}
    files = [
        project(f"[tool.pkgharvest]\n{name} = {toml['project']}" if "project" in toml else None),
        user(f"{name} = {toml['user']}" if "user" in toml else None),
    ]
    environment = (
        {BY_NAME[name].variable: VALUES[name][levels["environment"]][1]} if "environment" in levels else {}
    )
    return configure({name: typed.get("option")}, environment, files)


def test_every_key_is_a_field_and_has_two_values_to_tell_apart() -> None:
    assert set(VALUES) == set(NAMES)
    assert all(first[2] != second[2] for first, second in VALUES.values())
    named = {field.name for kind in (Settings, Choices) for field in fields(kind)}
    assert {key.field for key in KEYS} == named - {"token", "record", "replay"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("which", [0, 1])
def test_each_level_overrules_those_below_it(name: str, level: str, which: int) -> None:
    below = dict.fromkeys(LEVELS[: LEVELS.index(level)], 1 - which)
    configuration = at_levels(name, below | {level: which})
    value = VALUES[name][which][2]
    sources = {
        "user": "pkgharvest.toml",
        "project": "pyproject.toml",
        "environment": BY_NAME[name].variable,
        "option": f"--no-{name}" if value is False else f"--{name}",
    }
    assert (in_force(configuration, name), configuration.given[name].source) == (value, sources[level])
    others = {found.source for other, found in configuration.given.items() if other != name}
    assert others == {DEFAULT}


def test_without_anything_the_defaults_hold() -> None:
    configuration = configure(
        {}, {"PATH": "/bin", "PKGHARVEST_JOBS": "", "PKGHARVEST_CACHE": " "}, [user(None)]
    )
    assert (configuration.settings, configuration.choices) == (Settings(), Choices())
    assert {found.source for found in configuration.given.values()} == {DEFAULT}


def test_each_level_adds_to_the_others() -> None:
    files = [project('[tool.pkgharvest]\njobs = 2\ntimezone = "UTC"'), user("jobs = 1\nmax-wait = 5")]
    configuration = configure({"catalog": True}, {"PKGHARVEST_REFRESH": "1"}, files)
    assert configuration.settings == Settings(jobs=2, timezone="UTC", max_wait=5, catalog=True, refresh=True)


def test_the_token_comes_from_the_environment_and_what_the_run_alone_concerns_is_passed_on(
    marked_token: str,
) -> None:
    settings = configure({}, {"GH_TOKEN": marked_token}, record=Path("a.har")).settings
    assert settings.token is not None
    assert (settings.token.source, settings.record) == ("GH_TOKEN", Path("a.har"))
    assert configure({}, {}, replay="demo").settings.replay == "demo"


BAD: dict[str, list[tuple[str, str]]] = {
    "catalog": [('"yes"', "is 'yes'; it must be true or false"), ("1", "is 1; it must be true or false")],
    "format": [
        ('"xml"', "is 'xml'; it must be json, jsonl or list"),
        ("[]", "is a list; it must be json, jsonl or list"),
    ],
    "max-age": [
        ('"soon"', ": 'soon' is no duration; write one as 90m, 20h or 7d"),
        ("20", "is 20; it must be a duration as 90m, 20h or 7d"),
        ("12:00:00", "is a date or time; it must be a duration as 90m, 20h or 7d"),
    ],
    "only-changed": [("{}", "is a table; it must be true or false")],
    "if-running": [('"wait"', "is 'wait'; it must be fail or skip")],
    "timezone": [
        ('"Mars"', ": 'Mars' is no time zone. Give a name as America/New_York"),
        ("1.5", "is 1.5; it must be the name of a time zone as America/New_York"),
    ],
    "max-wait": [
        (text, f"is {shown}; it must be a number of seconds, 0 or more, or a duration as 10m")
        for text, shown in [
            ("-1", "-1"),
            ("nan", "nan"),
            ("inf", "inf"),
            ("true", "true"),
            ('"a while"', "'a while'"),
            ('"-5"', "'-5'"),
        ]
    ],
    "deadline": [
        ("0", "is 0; it must be more than 0 seconds"),
        ('"long"', "is 'long'; it must be a number of seconds, 0 or more, or a duration as 10m"),
    ],
    "jobs": [
        ("0", "is 0; it must be a number, 1 or more"),
        ("1.0", "is 1.0; it must be a number, 1 or more"),
        ('"3"', "is '3'; it must be a number, 1 or more"),
        ("true", "is true; it must be a number, 1 or more"),
    ],
    "refresh": [('"1"', "is '1'; it must be true or false")],
    "cache": [("0", "is 0; it must be true or false")],
    "cache-folder": [
        ('""', "is ''; it must be the path of a folder"),
        ('"a\\u0000b"', "is 'a\\x00b'; it must be the path of a folder"),
        ('"~no-such-user-here/x"', ": there is no user whose home '~no-such-user-here/x' names"),
        ("false", "is false; it must be the path of a folder"),
    ],
    "offline": [("1979-05-27", "is a date or time; it must be true or false")],
    "log-format": [('"xml"', "is 'xml'; it must be text, logfmt or json")],
    "github-url": [
        ('"nowhere"', "is no address: 'nowhere'. Give one as https://host/path"),
        ('"https://ann:secret@a.example"', "holds credentials. Give the address without them"),
        ("7", "is 7; it must be an address as https://host/path"),
    ],
    "pypi-url": [
        ("0x" + "f" * 5000, "is a number of many digits; it must be an address as https://host/path")
    ],
    "catalog-url": [(f'"{"x" * 200}"', f"is no address: '{'x' * 200}'. Give one as https://host/path")],
    "github-rest-per-minute": [(f'"{"x" * 200}"', f"is '{'x' * 80}...'; it must be a number, 1 or more")],
    "github-graphql-per-minute": [("-5", "is -5; it must be a number, 1 or more")],
    "pypi-per-minute": [("-0", "is 0; it must be a number, 1 or more")],
}


@pytest.mark.parametrize(("name", "text", "told"), [(name, *case) for name in NAMES for case in BAD[name]])
def test_a_wrong_value_is_told_with_file_line_key_and_what_is_expected(
    name: str, text: str, told: str
) -> None:
    for file, line in (
        (user(f"# ours\n\n{name} = {text}\n"), "pkgharvest.toml:3"),
        (project(f"[tool]\npkgharvest.{name} = {text}"), "pyproject.toml:2"),
    ):
        with pytest.raises(SettingError) as caught:
            configure({}, {}, [file])
        parting = "" if told.startswith(":") else " "
        assert str(caught.value) == f"{line}: {name}{parting}{told}"


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("PKGHARVEST_JOBS", "many", "is 'many'; it must be a number, 1 or more"),
        ("PKGHARVEST_CACHE", "maybe", "is 'maybe'; it must be true or false"),
        (
            "PKGHARVEST_MAX_WAIT",
            "1e3",
            "is '1e3'; it must be a number of seconds, 0 or more, or a duration as 10m",
        ),
        ("PKGHARVEST_FORMAT", "JSON", "is 'JSON'; it must be json, jsonl or list"),
        ("PKGHARVEST_PYPI_URL", "nowhere", "is no address: 'nowhere'. Give one as https://host/path"),
        ("PKGHARVEST_JOB", "3", "is no setting. Did you mean PKGHARVEST_JOBS?"),
        ("PKGHARVEST_MAXWAIT", "3", "is no setting. Did you mean PKGHARVEST_MAX_WAIT?"),
        ("PKGHARVEST_Jobs", "3", "is no setting. Did you mean PKGHARVEST_JOBS?"),
        ("PKGHARVEST_X", "", "is no setting. Take it away; the README lists the settings"),
        ("PKGHARVEST_", "", "is no setting. Take it away; the README lists the settings"),
        ("PKGHARVEST_REPLAY", "demo", ": this belongs to a single run. Give it as the option --replay"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(variable: str, text: str, told: str) -> None:
    parting = "" if told.startswith(":") else " "
    for make in (
        lambda: configure({}, {variable: text}),
        lambda: Settings.from_environment({variable: text}),
    ):
        with pytest.raises(SettingError) as caught:
            make()
        assert str(caught.value) == f"{variable}{parting}{told}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"jobs": 0}, "--jobs is 0; it must be a number, 1 or more"),
        ({"max-wait": "soon"}, "--max-wait is 'soon'; it must be a number of seconds, 0 or more, or a "),
        ({"max-age": "20"}, "--max-age: '20' is no duration; write one as 90m, 20h or 7d"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as caught:
        configure(options, {}, [user("jobs = 2")])
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_wait = 3", "1: max_wait is no setting. Did you mean max-wait?"),
        ("\n'Jobs' = 3", "2: Jobs is no setting. Did you mean jobs?"),
        ("pypi_uri = 'x'", "1: pypi_uri is no setting. Did you mean pypi-url?"),
        ("colour = true", "1: colour is no setting. Take it away; the README lists the settings"),
        ("jobs = 1\n'' = 1", "2:  is no setting. Take it away; the README lists the settings"),
        ("output = 'x'", "1: output: this belongs to a single run. Give it as the option --output"),
        ("record = 'x'", "1: record: this belongs to a single run. Give it as the option --record"),
        ("dry-run = true", "1: dry-run: this belongs to a single run. Give it as the option --dry-run"),
        ("jobs = 1\n[fetch]\njobs = 2", "2: fetch: there is no such table. Write its keys at the top of "),
        ("x = '''\nmax_age\n'''\nmax_age = '1d'", "1: x is no setting. "),
        ("max-age = '''\nmax_age = 1\n'''\nmax_age = '1d'", "1: max-age: 'max_age = 1\\n' is no duration"),
        ('timezone = """\nMars"""', "1: timezone: 'Mars' is no time zone. "),
        ("# jobs\njobs = [\n  1,\n]", "2: jobs is a list; it must be a number, 1 or more"),
    ],
)  # fmt: skip
def test_what_is_no_setting_is_told_with_its_line_and_the_nearest_key(text: str, told: str) -> None:
    for file_text in (text, text.replace("\n", "\r\n")):
        with pytest.raises(SettingError) as caught:
            configure({}, {}, [user(file_text)])
        assert f"{caught.value} ".startswith(f"pkgharvest.toml:{told.replace(':  ', ': ')}")


def test_a_key_that_is_written_in_a_way_of_its_own_is_told_without_a_line() -> None:
    with pytest.raises(SettingError) as caught:
        configure({}, {}, [user('"jo\\u0062" = 3')])
    assert str(caught.value) == "pkgharvest.toml: job is no setting. Did you mean jobs?"


def test_a_long_file_of_mistakes_is_told_soon() -> None:
    text = "".join(f"jo{number} = 0\n" for number in range(40_000)) + "jo = 1\n"
    with pytest.raises(SettingError, match=r"^pkgharvest\.toml:1: jo0 is no setting\."):
        configure({}, {}, [user(text)])
    with pytest.raises(SettingError, match=r"^pkgharvest\.toml: jobs is 0"):
        configure({}, {}, [user("# jobs\n" * 4000 + "jobs = 0")])


@pytest.mark.parametrize("name", ["token", "github-token", "github_token", "GH_TOKEN"])
def test_a_token_in_a_file_is_refused_without_being_shown(name: str, marked_token: str) -> None:
    for file in (
        user(f"{name} = '{marked_token}'"),
        project(f"[tool.pkgharvest]\n{name} = '{marked_token}'"),
    ):
        with pytest.raises(SettingError) as caught:
            configure({}, {}, [file])
        assert str(caught.value).endswith(
            f"{name}: a token is no setting. Set GITHUB_TOKEN in the environment"
        )
    with pytest.raises(SettingError, match=r"^PKGHARVEST_GITHUB_TOKEN: a token is no setting\."):
        configure({}, {"PKGHARVEST_GITHUB_TOKEN": marked_token})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jobs = 3\njobs = 4", "pkgharvest.toml:2: no TOML: Cannot overwrite a value"),
        ("\njobs = ", "pkgharvest.toml:2: no TOML: Invalid value"),
        ("jobs = 3\n[", "pkgharvest.toml:2: no TOML: "),
        ("a = " + "[" * 5000, "pkgharvest.toml: no TOML: nested too deep"),
        ("a = " + "9" * 5000, "pkgharvest.toml: no TOML: "),
    ],
)
def test_broken_toml_is_told_with_file_and_line(text: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        configure({}, {}, [user(text)])
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'", "[tool.other]\njob = 1", "[tool.pkgharvest]"])
def test_a_project_that_says_nothing_changes_nothing(text: str) -> None:
    assert configure({}, {}, [project(text)]).settings == Settings()


@pytest.mark.parametrize(("text", "key"), [("tool = 1", "tool"), ("[tool]\npkgharvest = true", "pkgharvest")])
def test_a_project_whose_table_is_none_is_refused(text: str, key: str) -> None:
    with pytest.raises(SettingError) as caught:
        configure({}, {}, [project(text)])
    assert str(caught.value) == f"pyproject.toml: {key} is no table. Write the settings in [tool.pkgharvest]"


@pytest.mark.parametrize(
    ("text", "path"), [("store", FOLDER / "store"), ("/a/b", Path("/a/b")), ("~/x", Path("~/x").expanduser)]
)
def test_a_path_in_a_file_starts_where_the_file_is(text: str, path: Any) -> None:
    settings = configure({}, {}, [user(f"cache-folder = '{text}'")]).settings
    assert settings.cache_folder == (path() if callable(path) else path)


def test_a_path_in_the_environment_starts_in_the_working_folder() -> None:
    assert Settings.from_environment({"PKGHARVEST_CACHE_FOLDER": "store"}).cache_folder == Path("store")


ELSEWHERE = "github-url = 'https://else.example'"


def test_a_project_cannot_send_the_token_elsewhere(marked_token: str) -> None:
    files = [project(f"[tool.pkgharvest]\n{ELSEWHERE}"), user(ELSEWHERE)]
    with pytest.raises(SettingError) as caught:
        configure({}, {"GH_TOKEN": marked_token}, files)
    assert str(caught.value) == (
        "the token in GH_TOKEN is not sent to https://else.example, which pyproject.toml names. "
        "Name it in PKGHARVEST_GITHUB_URL if it may have the token, or unset GH_TOKEN"
    )
    assert configure({}, {}, files).settings.github_url == "https://else.example"
    trusted = {"GH_TOKEN": marked_token, "PKGHARVEST_GITHUB_URL": "https://else.example"}
    assert configure({}, trusted, files).settings.token is not None
    assert configure({}, {"GH_TOKEN": marked_token}, files[1:]).settings.github_url == "https://else.example"
    usual = [project("[tool.pkgharvest]\ngithub-url = 'https://api.github.com/'")]
    assert configure({}, {"GH_TOKEN": marked_token}, usual).settings.token is not None


@pytest.mark.parametrize(
    ("options", "replay", "told"),
    [
        ({}, None, "offline = true (pkgharvest.toml), refresh = true (PKGHARVEST_REFRESH)"),
        (
            {"cache": False, "refresh": False},
            None,
            "offline = true (pkgharvest.toml), cache = false (--no-cache)",
        ),
        ({"refresh": False}, "demo", "offline = true (pkgharvest.toml), --replay"),
    ],
)
def test_settings_that_contradict_each_other_are_told_with_their_sources(
    options: dict[str, Any], replay: str | None, told: str
) -> None:
    with pytest.raises(SettingError) as caught:
        configure(options, {"PKGHARVEST_REFRESH": "1"}, [user("offline = true")], replay=replay)
    assert str(caught.value) == (
        f"offline needs what is stored, so these do not go together: {told}. "
        "Overrule one of them, as with --no-offline"
    )


def test_the_files_are_looked_for_in_the_working_folder_and_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    assert [(file.role, file.text) for file in read_files(None)] == [("project", None), ("user", None)]
    folder = Path.home() / ".config" / "pkgharvest"
    folder.mkdir(parents=True)
    (folder / "pkgharvest.toml").write_bytes(b"\xef\xbb\xbfjobs = 3\r\n")
    (tmp_path / "pyproject.toml").write_text("[tool.pkgharvest]\nrefresh = true\n")
    found = configure({}, {}, read_files(None))
    assert found.settings == Settings(jobs=3, refresh=True)
    assert [file.name for file in found.files] == ["pyproject.toml", "~/.config/pkgharvest/pkgharvest.toml"]


def test_a_named_file_stands_for_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path.home() / ".config" / "pkgharvest"
    folder.mkdir(parents=True)
    (folder / "pkgharvest.toml").write_text("jobs = 3")
    named = tmp_path / "cron.toml"
    named.write_text("refresh = true")
    (tmp_path / "pyproject.toml").write_text("tool.pkgharvest.refresh = false")
    found = configure({}, {}, read_files(named))
    assert found.settings == Settings()
    assert [file.role for file in found.files] == ["project", "named"]


def test_a_named_project_file_is_read_by_its_table(tmp_path: Path) -> None:
    named = tmp_path / "pyproject.toml"
    named.write_text("[project]\nname = 'x'\n[tool.pkgharvest]\njobs = 7")
    assert configure({}, {}, read_files(named)).settings.jobs == 7


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml cannot be read: there is no such file$"):
        read_files(tmp_path / "none.toml")


@pytest.mark.parametrize("role", ["user", "project"])
def test_a_file_that_cannot_be_read_is_told(
    role: Literal["user", "project"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    names = {"user": "pkgharvest/pkgharvest.toml", "project": "pyproject.toml"}
    (tmp_path / names[role]).mkdir(parents=True)
    with pytest.raises(SettingError, match=r"^the settings in .*\.toml cannot be read: Is a directory"):
        read_files(None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("")
    (tmp_path / "a.toml").chmod(0)
    with pytest.raises(SettingError, match=r"a\.toml cannot be read: Permission denied$"):
        read_files(tmp_path / "a.toml")


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("jobs = 1\n# Größe\n".encode("latin-1"))
    with pytest.raises(SettingError, match=r"a\.toml:2: no TOML: it is not in UTF-8$"):
        read_files(tmp_path / "a.toml")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="the machine has no endless device")
def test_a_file_without_end_is_told() -> None:
    with pytest.raises(SettingError, match=r"more than 4,194,304 bytes$"):
        read_files(Path("/dev/zero"))


def shown() -> Configuration:
    files = [
        project("[project]"),
        user("cache-folder = 'store'\nmax-age = '36h'", "~/.config/pkgharvest/pkgharvest.toml"),
    ]
    environment = {"PKGHARVEST_MAX_WAIT": "90.5", "GH_TOKEN": "hidden"}
    return configure({"catalog": True}, environment, files)


def test_what_is_in_force_is_shown_as_a_table() -> None:
    assert (
        "\n".join(lines(shown()))
        == """\
key                        value                       source
catalog                    true                        --catalog
format                     json                        default
max-age                    1d12h                       ~/.config/pkgharvest/pkgharvest.toml
only-changed               false                       default
if-running                 fail                        default
timezone                   America/New_York            default
max-wait                   1m30.5s                     PKGHARVEST_MAX_WAIT
deadline                   1m                          default
jobs                       12                          default
refresh                    false                       default
cache                      true                        default
cache-folder               /srv/packages/store         ~/.config/pkgharvest/pkgharvest.toml
offline                    false                       default
log-format                 not set                     default
github-url                 https://api.github.com      default
pypi-url                   https://pypi.python.org     default
catalog-url                https://djangopackages.org  default
github-rest-per-minute     900                         default
github-graphql-per-minute  2000                        default
pypi-per-minute            600                         default
token                      set                         GH_TOKEN

file                                  state
pyproject.toml                        read, nothing in [tool.pkgharvest]
~/.config/pkgharvest/pkgharvest.toml  read"""
    )


def test_what_is_in_force_is_shown_to_programs() -> None:
    told = json.loads(as_json(shown()))
    assert list(told["settings"]) == NAMES
    assert [
        told["settings"][name] for name in ("max-age", "max-wait", "cache-folder", "jobs", "log-format")
    ] == [
        {"value": 129600.0, "source": "~/.config/pkgharvest/pkgharvest.toml"},
        {"value": 90.5, "source": "PKGHARVEST_MAX_WAIT"},
        {"value": "/srv/packages/store", "source": "~/.config/pkgharvest/pkgharvest.toml"},
        {"value": 12, "source": "default"},
        {"value": None, "source": "default"},
    ]
    assert told["token"] == {"set": True, "source": "GH_TOKEN"}
    assert told["files"] == [
        {"name": "pyproject.toml", "role": "project", "state": "read, nothing in [tool.pkgharvest]"},
        {"name": "~/.config/pkgharvest/pkgharvest.toml", "role": "user", "state": "read"},
    ]


def test_names_of_files_do_not_steer_the_terminal() -> None:
    assert "\x1b" not in "\n".join(lines(configure({}, {}, [user("jobs = 1", "a\x1b[31m.toml")])))


words = st.sampled_from([*NAMES, "tool", "token", "record", "max_wait", "x", '""', "a.b"])
scalars = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "false", "12:30:00", "1979-05-27", "[]", "{}", "[[1], {a = 2}]", "0x" + "f" * 99]
    ),
    st.text(max_size=20).map(lambda text: json.dumps(text, ensure_ascii=True)),
    st.sampled_from([toml for cases in VALUES.values() for toml, _, _ in cases]),
)
statements = st.lists(st.tuples(words, scalars).map(" = ".join), max_size=4).map("\n".join)


@settings(deadline=None)
@given(st.one_of(st.text(), statements), st.sampled_from(["", "[tool.pkgharvest]\n", "[tool]\n"]))
def test_any_file_gives_settings_or_says_what_is_wrong(text: str, heading: str) -> None:
    for file in (user(heading + text), project(heading + text)):
        try:
            found = configure({}, {}, [file])
        except SettingError as error:
            assert str(error).startswith((file.name, "offline needs what is stored"))  # noqa: PT017  either is right
        else:
            assert json.loads(as_json(found))["settings"].keys() == set(NAMES)


@given(st.dictionaries(st.sampled_from([key.variable for key in KEYS]), st.text(max_size=20), max_size=3))
def test_any_environment_gives_settings_or_says_what_is_wrong(environment: dict[str, str]) -> None:
    try:
        assert isinstance(configure({}, environment).settings, Settings)
    except SettingError as error:
        assert str(error).startswith(("PKGHARVEST_", "offline needs what is stored"))  # noqa: PT017  either is right


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36_500)))
def test_a_span_is_written_as_it_is_read(span: timedelta) -> None:
    assert abs(durations.parse(durations.written(span)) - span) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (60, "1m"), (90.5, "1m30.5s"), (0.001, "0.001s"), (129600, "1d12h"), (3601, "1h1s")],
)
def test_spans_are_written_shortly(seconds: float, text: str) -> None:
    assert durations.written(timedelta(seconds=seconds)) == text
