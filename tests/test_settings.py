from __future__ import annotations

import os
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import platformdirs
import pytest

from pkgharvest.configuration import read_files
from pkgharvest.errors import SettingError
from pkgharvest.net.cache import Store
from pkgharvest.net.message import Token
from pkgharvest.settings import Settings, TokenSettingError, configuration_folder

ADDRESSES = {
    "github_url": "PKGHARVEST_GITHUB_URL",
    "pypi_url": "PKGHARVEST_PYPI_URL",
    "catalog_url": "PKGHARVEST_CATALOG_URL",
}
RATES = {
    "rest_per_minute": "PKGHARVEST_GITHUB_REST_PER_MINUTE",
    "graphql_per_minute": "PKGHARVEST_GITHUB_GRAPHQL_PER_MINUTE",
    "pypi_per_minute": "PKGHARVEST_PYPI_PER_MINUTE",
}


def test_without_an_environment_the_defaults_hold() -> None:
    settings = Settings.from_environment({})
    assert {field.name: getattr(settings, field.name) for field in fields(settings)} == {
        "github_url": "https://api.github.com",
        "pypi_url": "https://pypi.python.org",
        "catalog_url": "https://djangopackages.org",
        "token": None,
        "timezone": "America/New_York",
        "deadline": 60.0,
        "max_wait": 60.0,
        "jobs": 12,
        "rest_per_minute": 900,
        "graphql_per_minute": 2000,
        "pypi_per_minute": 600,
        "refresh": False,
        "max_age": None,
        "cache": True,
        "cache_folder": None,
        "offline": False,
        "catalog": False,
        "record": None,
        "replay": None,
    }


@pytest.mark.parametrize(("name", "variable"), ADDRESSES.items())
@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("https://pypi.example", "https://pypi.example"),
        ("https://pypi.example/", "https://pypi.example"),
        ("https://pypi.example//", "https://pypi.example"),
        ("https://github.example/api/v3/", "https://github.example/api/v3"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_an_address_comes_from_its_variable(name: str, variable: str, value: str, address: str) -> None:
    settings = Settings.from_environment({variable: value, "PATH": "/bin"})
    assert settings == Settings(**{name: address})  # type: ignore[arg-type]  # names of fields


@pytest.mark.parametrize("variable", [*ADDRESSES.values(), *RATES.values(), "GITHUB_TOKEN", "GH_TOKEN"])
def test_an_empty_variable_is_none(variable: str) -> None:
    assert Settings.from_environment({variable: ""}) == Settings()


BAD_ADDRESSES = [
    "pypi.example",
    "pypi.example:8080",
    "//pypi.example",
    "/pypi",
    "/",
    "ftp://pypi.example",
    "file:///srv/pypi",
    "https://",
    "https:pypi.example",
    "https:///simple",
    "https://pypi.example:port",
    "https://pypi.example:99999",
    "https://pypi.example:-1",
    "https://[::1",
    "https://pypi.example?mirror=1",
    "https://pypi.example/?",
    "https://pypi.example/#top",
    "https://pypi.example/#",
    "https://user@pypi.example",
    "https://user:hidden@pypi.example",
    "https://:hidden@pypi.example",
    "https://hidden@pypi.example:port",
    "https://user:hidden/word@pypi.example",
    "user:hidden@pypi.example",
    "hidden@pypi.example",
    "https://pypi .example",
    "https://pypi.exa\nmple",
    "https://pypi.example\x00",
    "https://pypi.example\\@other.example",
]


@pytest.mark.parametrize(("name", "variable"), ADDRESSES.items())
@pytest.mark.parametrize("value", BAD_ADDRESSES, ids=repr)
def test_a_bad_address_is_told_by_its_variable_and_without_credentials(
    name: str, variable: str, value: str
) -> None:
    changes: dict[str, Any] = {name: value}
    for make in (partial(Settings.from_environment, {variable: value}), partial(Settings, **changes)):
        with pytest.raises(SettingError) as caught:
            make()
        message = str(caught.value)
        assert message.startswith(variable)
        assert "hidden" not in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        ({"GITHUB_TOKEN": "one"}, "GITHUB_TOKEN"),
        ({"GH_TOKEN": "one"}, "GH_TOKEN"),
        ({"GITHUB_TOKEN": "one", "GH_TOKEN": "two"}, "GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "", "GH_TOKEN": "one"}, "GH_TOKEN"),
        ({"GITHUB_TOKEN": " \n", "GH_TOKEN": "one"}, "GH_TOKEN"),
        ({"GITHUB_TOKEN": "one", "GH_TOKEN": "t w o"}, "GITHUB_TOKEN"),
        ({"GITHUB_TOKEN": "  one\r\n"}, "GITHUB_TOKEN"),
        ({"GH_TOKEN": "\tone\n"}, "GH_TOKEN"),
    ],
    ids=repr,
)
def test_the_token_comes_from_the_first_variable_that_holds_one(
    environment: dict[str, str], source: str
) -> None:
    token = Settings.from_environment(environment).token
    assert token is not None
    assert (token.reveal(), token.source) == ("one", source)


@pytest.mark.parametrize(
    "environment", [{"GITHUB_TOKEN": " "}, {"GITHUB_TOKEN": "\n", "GH_TOKEN": ""}], ids=repr
)
def test_a_token_of_spaces_is_none(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment).token is None


@pytest.mark.parametrize(
    "value", ["ghp_abcDEF123", "github_pat_11AB_cd", "v1.0a-b", "gho_/+=~:;!#$%&()*,<>?@[]^{|}"]
)
def test_visible_ascii_is_a_token(value: str) -> None:
    token = Settings.from_environment({"GITHUB_TOKEN": value}).token
    assert token is not None
    assert token.reveal() == value


@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "GH_TOKEN"])
@pytest.mark.parametrize(
    "value",
    [
        "{}\n{}",
        "{}\r\nX-Header: {}",
        "{} {}",
        "{}\t{}",
        '"{}"',
        "'{}'",
        "`{}`",
        "{}ä",
        "{}\x00",
        "{}\x7f",
        "{}\u200b",
    ],
)
def test_what_is_no_token_is_told_without_its_value(variable: str, value: str, marked_token: str) -> None:
    with pytest.raises(TokenSettingError) as caught:
        Settings.from_environment({variable: value.replace("{}", marked_token)})
    message = str(caught.value)
    assert message.startswith(f"{variable} ")
    assert marked_token not in message
    assert "\n" not in message
    assert caught.value.reason == "bad-token"


def test_no_form_of_the_settings_shows_the_token(marked_token: str) -> None:
    settings = Settings.from_environment({"GH_TOKEN": marked_token})
    assert (
        marked_token not in f"{settings} {settings!r} {settings.token} {settings.token!r} {[settings.token]}"
    )
    assert "<token from GH_TOKEN>" in repr(settings)


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kathmandu"])
def test_a_time_zone_is_found_by_its_name(zone: str) -> None:
    assert Settings(timezone=zone).zone == ZoneInfo(zone)


@pytest.mark.parametrize(
    "zone",
    [
        "",
        ".",
        "Mars/Olympus_Mons",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "ä",
        "z" * 300,
        "UTC\n",
    ],
    ids=repr,
)
def test_what_is_no_time_zone_is_told(zone: str) -> None:
    with pytest.raises(SettingError, match="is no time zone"):
        Settings(timezone=zone)


@pytest.mark.parametrize("seconds", [0, 0.5, 60, 86400 * 365])
def test_a_number_of_seconds_is_a_patience(seconds: float) -> None:
    assert Settings(max_wait=seconds).max_wait == seconds


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf"), -1, -0.001])
def test_no_number_of_seconds_is_no_patience(seconds: float) -> None:
    with pytest.raises(SettingError, match="max_wait"):
        Settings(max_wait=seconds)


@pytest.mark.parametrize(("name", "variable"), RATES.items())
@pytest.mark.parametrize(("value", "rate"), [("1", 1), ("15000", 15000), (" 600\n", 600), ("007", 7)])
def test_a_pace_comes_from_its_variable(name: str, variable: str, value: str, rate: int) -> None:
    changes: dict[str, Any] = {name: rate}
    assert Settings.from_environment({variable: value}) == Settings(**changes)


@pytest.mark.parametrize("variable", RATES.values())
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "many", "٦٠", "6²", "1 000", "0x10", "inf"])
def test_what_is_no_pace_is_told_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=rf"^{variable} is .*; it must be a number, 1 or more$"):
        Settings.from_environment({variable: value})


def test_a_pace_of_ever_so_many_digits_is_a_fast_one() -> None:
    settings = Settings.from_environment({RATES["rest_per_minute"]: "9" * 10_000})
    assert settings.rest_per_minute > 10**9


@pytest.mark.parametrize("name", ["jobs", *RATES])
@pytest.mark.parametrize("number", [0, -1])
def test_a_number_below_one_is_told_by_its_name(name: str, number: int) -> None:
    changes: dict[str, Any] = {name: number}
    with pytest.raises(SettingError, match=rf"^{name} is {number}; it must be 1 or more$"):
        Settings(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"cache": False}, {"replay": "demo"}, {"refresh": True}],
    ids=lambda changes: next(iter(changes)),
)
def test_offline_needs_what_is_stored(changes: dict[str, Any]) -> None:
    assert Settings(offline=True).offline
    with pytest.raises(SettingError, match=r"^offline needs what is stored"):
        Settings(offline=True, **changes)


def test_answers_are_stored_in_the_folder_that_is_given(tmp_path: Path) -> None:
    assert Settings(cache_folder=tmp_path).store_folder == tmp_path


def test_answers_are_stored_in_the_cache_folder_of_the_user_by_default() -> None:
    folder = Settings().store_folder
    assert folder == platformdirs.user_cache_path("pkgharvest", appauthor=False)
    assert Path.home() in folder.parents


def test_a_folder_that_is_given_is_where_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(cache_folder=Path("cache")).store_folder == tmp_path / "cache"


def test_without_a_home_there_is_no_folder_that_is_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def expanded(path: str) -> str:
        return path

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", expanded)
    folder = Settings().store_folder
    assert not folder.is_absolute()
    warnings: list[str] = []
    store = Store(folder, warnings.append)
    store.close()
    assert not folder.exists()
    assert [warning.rpartition(": ")[2] for warning in warnings] == [
        "no home folder is known, and XDG_CACHE_HOME holds no absolute path"
    ]


def test_a_run_is_not_recorded_and_replayed_at_once() -> None:
    with pytest.raises(SettingError, match="recorded and replayed at once"):
        Settings(record=Path("a.har"), replay="demo")


@pytest.mark.parametrize(
    ("changes", "code", "catalog"),
    [
        ({}, set(), set()),
        ({"github_url": "https://GitHub.Example/api/v3"}, {"github.example"}, set()),
        ({"catalog_url": "http://127.0.0.1:8000/catalog"}, set(), {"127.0.0.1"}),
    ],
    ids=repr,
)
def test_the_hosts_of_the_addresses_are_known_beside_the_usual_ones(
    changes: dict[str, Any], code: set[str], catalog: set[str]
) -> None:
    hosts = Settings(**changes).hosts
    assert hosts.code == {"github.com", "api.github.com", "ssh.github.com"} | code
    assert hosts.catalog == {"djangopackages.org"} | catalog


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(FrozenInstanceError):
        settings.max_wait = 1  # type: ignore[misc]  # that is the point


def test_settings_with_the_same_token_are_told_apart_by_what_they_hold() -> None:
    token = Token("one", "GITHUB_TOKEN")
    assert Settings(token=token) == Settings(token=token)
    assert Settings(token=token) != Settings()


def test_every_setting_of_a_harvest_comes_from_the_environment_too() -> None:
    environment = {
        "PKGHARVEST_JOBS": "3",
        "PKGHARVEST_MAX_WAIT": "10m",
        "PKGHARVEST_DEADLINE": "5",
        "PKGHARVEST_MAX_AGE": "20h",
        "PKGHARVEST_TIMEZONE": "UTC",
        "PKGHARVEST_CACHE": "no",
        "PKGHARVEST_CACHE_FOLDER": "/srv/store",
        "PKGHARVEST_CATALOG": "1",
        "PKGHARVEST_FORMAT": "jsonl",
        "PKGHARVEST_LOG_FORMAT": "json",
    }
    assert Settings.from_environment(environment) == Settings(
        jobs=3,
        max_wait=600,
        deadline=5,
        max_age=timedelta(hours=20),
        timezone="UTC",
        cache=False,
        cache_folder=Path("/srv/store"),
        catalog=True,
    )


def test_programs_do_not_depend_on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("tool.pkgharvest.jobs = 3")
    assert Settings.from_environment(os.environ) == Settings()


def test_the_configuration_folder_is_the_users() -> None:
    folder = configuration_folder()
    assert folder is not None
    assert folder == platformdirs.user_config_path("pkgharvest", appauthor=False)
    assert Path.home() in folder.parents


@pytest.mark.parametrize("folder", [Path("~/.config/pkgharvest"), RuntimeError("no home")])
def test_where_no_home_is_known_the_user_has_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path | RuntimeError
) -> None:
    """Nor has a folder of the name ``~`` in the working folder one, which may be somebody else's."""

    def user_config_path(*_: object, **__: object) -> Path:
        if isinstance(folder, RuntimeError):
            raise folder
        return folder

    monkeypatch.setattr(platformdirs, "user_config_path", user_config_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~/.config/pkgharvest").mkdir(parents=True)
    (tmp_path / "~/.config/pkgharvest/pkgharvest.toml").write_text("jobs = 3")
    assert configuration_folder() is None
    assert [file.role for file in read_files(None)] == ["project"]


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_deadline_is_some_time(seconds: float) -> None:
    with pytest.raises(SettingError, match="deadline"):
        Settings(deadline=seconds)
