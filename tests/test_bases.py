"""Earlier records, found by what a target tells of its package."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pkgharvest.bases import Bases, HeldRecords, Layers
from pkgharvest.errors import OccupiedError
from pkgharvest.record import Record, decode_record
from pkgharvest.targets import Hosts, Target
from services import package

HOSTS = Hosts(code=frozenset({"github.com", "api.github.com", "code.example"}))
GOLDEN = decode_record((Path(__file__).parent / "golden" / "django-ltree.json").read_bytes())


def record(slug: str, **fields: object) -> Record:
    nothing = {"id": None, "pypi_url": "", "repo_url": ""}
    return msgspec.structs.replace(GOLDEN, slug=slug, **{**nothing, **fields})


FULL = record(
    "django-x",
    id=7,
    pypi_url="http://pypi.python.org/pypi/Django_X",
    repo_url="https://github.com/Ann/Django-X",
)
RENAMED = record(
    "xtra",
    id=8,
    pypi_url="https://pypi.example/project/django-xtra/",
    repo_url="git@code.example:ann/xtra.git",
)
BARE = record("bare_one")
ELSEWHERE = record("elsewhere", pypi_url="not a URL", repo_url="https://gitlab.com/ann/elsewhere")
BASES = HeldRecords([FULL, RENAMED, BARE, ELSEWHERE], HOSTS)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        # A package: by its slug, else by its name on PyPI.
        ("django-x", FULL),
        ("Django.X", FULL),
        ("django_x", FULL),
        ("https://pypi.example/project/DJANGO-X/", FULL),
        ("https://djangopackages.org/packages/p/django-x/", FULL),
        ("xtra", RENAMED),
        ("django-xtra", RENAMED),
        ("Django_Xtra", RENAMED),
        ("bare_one", BARE),
        ("bare-one", None),
        ("elsewhere", ELSEWHERE),
        ("unknown", None),
        ("7", None),
        # A number of the catalog.
        ("https://djangopackages.org/api/v4/packages/7/", FULL),
        ("https://djangopackages.org/api/v4/packages/8/", RENAMED),
        ("https://djangopackages.org/api/v4/packages/9/", None),
        # A repository: by nothing but its address.
        ("https://github.com/ann/django-x", FULL),
        ("git@github.com:ANN/DJANGO-X.git", FULL),
        ("https://code.example/ann/xtra", RENAMED),
        ("https://github.com/ann/xtra", None),
        ("https://github.com/bob/django-x", None),
        ("https://github.com/ann/bare_one", None),
    ],
)
def test_a_target_finds_the_record_of_its_package(text: str, base: Record | None) -> None:
    assert BASES.of(package(text, HOSTS)) is base


def test_the_slug_counts_before_the_name_on_pypi() -> None:
    by_project = record("other", pypi_url="http://pypi.python.org/pypi/django-x")
    by_slug = record("django-x", pypi_url="http://pypi.python.org/pypi/another")
    for records in ([by_project, by_slug], [by_slug, by_project]):
        assert HeldRecords(records, HOSTS).of(package("django-x")) is by_slug


@pytest.mark.parametrize(
    "text", ["django-x", "https://djangopackages.org/api/v4/packages/7/", "https://github.com/Ann/Django-X"]
)
def test_of_two_records_of_a_package_the_later_one_counts(text: str) -> None:
    later = msgspec.structs.replace(FULL, title="later")
    assert HeldRecords([FULL, RENAMED, later], HOSTS).of(package(text)) is later


def test_no_records_are_a_base_of_nothing() -> None:
    assert HeldRecords([], HOSTS).of(package("django-x")) is None


class Broken:
    """A place whose records are of no use."""

    def slugs(self) -> list[str]:
        return []

    def of(self, _target: Target) -> Record | None:
        raise OccupiedError("django-x.json holds no record")

    def of_slug(self, _slug: str) -> Record | None:
        raise OccupiedError("django-x.json holds no record")


UPPER = HeldRecords([msgspec.structs.replace(FULL, title="upper")], HOSTS)


def test_the_first_place_that_has_a_record_counts() -> None:
    layers = Layers([HeldRecords([], HOSTS), UPPER, BASES])
    assert [layers.of(package(text, HOSTS)) for text in ("django-x", "xtra", "nix")] == [
        UPPER.of_slug("django-x"),
        RENAMED,
        None,
    ]
    assert [layers.of_slug(slug) for slug in ("django-x", "bare_one", "nix")] == [
        UPPER.of_slug("django-x"),
        BARE,
        None,
    ]
    assert Layers([]).of(package("django-x")) is None


def test_a_record_of_no_use_does_not_let_a_later_place_answer_and_is_not_looked_at_after_an_earlier_one() -> (
    None
):
    broken: Bases = Broken()
    for places in ([broken, BASES], [HeldRecords([], HOSTS), broken]):
        with pytest.raises(OccupiedError):
            Layers(places).of(package("django-x"))
        with pytest.raises(OccupiedError):
            Layers(places).of_slug("django-x")
    assert Layers([BASES, broken]).of(package("django-x")) is FULL
    assert Layers([BASES, broken]).of_slug("django-x") is FULL
