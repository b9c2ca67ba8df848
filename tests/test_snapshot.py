from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pkgharvest.bases import HeldRecords, Layers
from pkgharvest.errors import BusyError, OccupiedError, OutputError
from pkgharvest.files import TEMPORARY
from pkgharvest.lock import locked
from pkgharvest.record import Record, decode_record, encode_api, encode_line
from pkgharvest.snapshot import LOCK, Folder, Manners, Snapshot, snapshot
from pkgharvest.targets import DEFAULT_HOSTS, package_of
from services import NOW, catalog_record, package

ROOT = os.geteuid() == 0
FORCE = Manners(force=True)
ONLY_CHANGED = Manners(only_changed=True)
FORCED_ADVICE = "Mend or remove it, or overwrite it with --force"


def record(slug: str = "django-x", **fields: Any) -> Record:
    own = {
        "repo_url": f"https://github.com/ann/{slug}",
        "pypi_url": f"http://pypi.python.org/pypi/{slug}",
        "last_fetched": "2026-03-17T04:00:00.123456-04:00",
    }
    return msgspec.convert(catalog_record(slug=slug, **(own | fields)), Record)


def newer(old: Record, **fields: Any) -> Record:
    """Return what a harvest makes of a base record."""
    return msgspec.structs.replace(old, **({"last_fetched": NOW} | fields))


def put(folder: Path, *records: Record) -> None:
    for one in records:
        (folder / f"{one.slug}.json").write_bytes(encode_api(one))


def taken(folder: Path, manners: Manners | None = None) -> Snapshot:
    return Snapshot(folder, DEFAULT_HOSTS, manners or Manners())


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return bytes, time and number of each file."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.iterdir()
        if path.is_file()
    }


def files(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _, _) in state(folder).items()}


@contextmanager
def as_another_user() -> Iterator[Path]:
    """Yield a folder of one's own, as a user for whom permissions hold."""
    if not ROOT:
        pytest.skip("only root becomes another user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, 65534, 65534)
        os.setresuid(65534, 65534, 0)
        try:
            yield folder
        finally:
            os.setresuid(0, 0, 0)


# The folder.


@pytest.mark.parametrize(
    "target",
    [
        "django-x",
        "https://djangopackages.org/packages/p/django-x/",
        "Django_Project",
        "https://pypi.python.org/pypi/django-project",
        "https://djangopackages.org/api/v4/packages/99/",
        "https://github.com/Ann/Repository.git",
        "git@github.com:ann/repository",
    ],
)
def test_a_record_is_found_by_all_that_names_its_package(tmp_path: Path, target: str) -> None:
    there = record(
        id=99, repo_url="https://github.com/ann/repository", pypi_url="http://pypi.python.org/pypi/Django-Project"
    )  # fmt: skip
    put(tmp_path, there, record("other", id=100))
    assert Folder(tmp_path, DEFAULT_HOSTS).of(package(target)) == there


@pytest.mark.parametrize(
    "target", ["django-y", "https://djangopackages.org/api/v4/packages/98/", "https://github.com/ann/django-y"]
)  # fmt: skip
def test_no_record_is_none(tmp_path: Path, target: str) -> None:
    put(tmp_path, record())
    folder = Folder(tmp_path, DEFAULT_HOSTS)
    assert folder.of(package(target)) is None
    assert folder.of_slug("django-y") is None


def test_a_file_of_the_slug_goes_before_one_of_the_project(tmp_path: Path) -> None:
    put(tmp_path, record("x"), record("a", pypi_url="http://pypi.python.org/pypi/x"))
    found = Folder(tmp_path, DEFAULT_HOSTS).of(package("x"))
    assert found is not None
    assert found.slug == "x"


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    put(tmp_path, record())
    (tmp_path / "broken.json").write_bytes(b"{")
    assert Folder(tmp_path, DEFAULT_HOSTS).of(package("django-x")) == record()


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    put(tmp_path, record())
    (tmp_path / "broken.json").write_bytes(b"{")
    (tmp_path / "folder.json").mkdir()
    assert Folder(tmp_path, DEFAULT_HOSTS).of(package("https://github.com/ann/django-x")) == record()


def test_names_are_found_in_any_case(tmp_path: Path) -> None:
    put(tmp_path, record("Django-X"))
    folder = Folder(tmp_path, DEFAULT_HOSTS)
    assert folder.of(package("django-x")) == record("Django-X")
    assert folder.of_slug("DJANGO-x") == record("Django-X")
    assert folder.name_of("django-x") == "Django-X.json"


def test_what_is_named_otherwise_is_no_record(tmp_path: Path) -> None:
    put(tmp_path, record("b"), record("A"))
    for name in (
        ".hidden.json",
        "readme.md",
        "django-x",
        "\u017f.json",
        "\u212a.json",
        ".json",
        "b.json.orig",
    ):
        (tmp_path / name).write_bytes(encode_api(record()))
    folder = Folder(tmp_path, DEFAULT_HOSTS)
    assert folder.slugs() == ["A", "b"]
    assert [folder.name_of(slug) for slug in ("django-x", "s", "k", "")] == [None] * 4


def test_a_file_that_has_gone_is_no_record(tmp_path: Path) -> None:
    put(tmp_path, record(), record("other"))
    folder = taken(tmp_path)
    assert folder.of(package("https://github.com/ann/django-x")) == record()
    (tmp_path / "django-x.json").unlink()
    assert folder.of(package("https://github.com/ann/django-x")) is None
    assert folder.of(package("django-x")) is None
    assert folder.add(record()) == "ok"


@pytest.mark.parametrize("make", [lambda _: None, lambda path: path.touch()], ids=["missing", "a file"])
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "folder")
    with pytest.raises(OutputError, match=r"^the folder .*/folder cannot be read: "):
        Folder(tmp_path / "folder", DEFAULT_HOSTS)


# What is in the way.

OTHER_TEXTS = {
    "empty": (b"", "holds no record: "),
    "broken": (encode_api(record())[:-20], "holds no record: "),
    "a list": (b"[]", "holds no record: "),
    "another shape": (b'{"slug": "django-x"}', "holds no record: "),
    "a wrong type": (encode_api(record()).replace(b'"id": 99', b'"id": "99"'), "holds no record: "),
    "two records": (encode_api(record()) * 2, "holds no record: "),
    "a conflict of git": (b"<<<<<<< HEAD\n" + encode_api(record()), "holds no record: "),
    "a byte order mark": (b"\xef\xbb\xbf" + encode_api(record()), "holds no record: "),
    "no UTF-8": (encode_api(record(title="\u00e4")).replace(b"\xc3\xa4", b"\xff"), "holds no record: "),
    "nested deeply": (b"[" * 100_000, "holds no record: "),
    "of another slug": (encode_api(record("other")), "holds the record of 'other'"),
    "a slug that is a path": (
        encode_api(record()).replace(b'"slug": "django-x"', b'"slug": "../x"'),
        "holds no record: ",
    ),
}


@pytest.mark.parametrize(("text", "told"), OTHER_TEXTS.values(), ids=OTHER_TEXTS)
def test_what_is_no_record_of_the_package_is_told_and_stays(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "django-x.json"
    path.write_bytes(text)
    before = state(tmp_path)
    target = taken(tmp_path)
    for use in (
        lambda: target.of(package("django-x")),
        lambda: target.of_slug("django-x"),
        lambda: target.add(record()),
        lambda: target.add(record(), record()),
        lambda: target.keep(record()),
    ):
        with pytest.raises(OccupiedError) as caught:
            use()
        assert caught.value.message.startswith(f"{path} {told}")
        assert caught.value.advice == FORCED_ADVICE
    assert state(tmp_path) == before


@pytest.mark.parametrize("text", [text for text, _ in OTHER_TEXTS.values()], ids=OTHER_TEXTS)
@pytest.mark.parametrize("manners", [FORCE, Manners(force=True, only_changed=True)], ids=["", "only changed"])
def test_it_is_overwritten_if_told_to(tmp_path: Path, text: bytes, manners: Manners) -> None:
    (tmp_path / "django-x.json").write_bytes(text)
    target = taken(tmp_path, manners)
    assert target.of(package("django-x")) is None
    assert target.of_slug("django-x") is None
    assert target.add(record()) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(record())}


def test_a_record_that_is_young_enough_takes_the_place_of_what_is_none_if_told_to(tmp_path: Path) -> None:
    (tmp_path / "django-x.json").write_bytes(b"{")
    taken(tmp_path, FORCE).keep(record())
    assert files(tmp_path) == {"django-x.json": encode_api(record())}


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def _link_to_no_folder(path: Path) -> None:
    path.symlink_to("missing/nothing")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _link_to_a_folder(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def _link_to_a_device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("manners", [Manners(), FORCE, ONLY_CHANGED], ids=["", "force", "only changed"])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_folder, "is no file. Move it out of the way"),
        (_pipe, "is no file. Move it out of the way"),
        (_link_to_nothing, "is a link to nothing. Move it out of the way"),
        (_link_to_no_folder, "is a link to nothing. Move it out of the way"),
        (_link_to_itself, "Too many levels of symbolic links"),
        (_link_to_a_folder, "is no file. Move it out of the way"),
        (_link_to_a_device, "is no file. Move it out of the way"),
    ],
)
def test_what_is_no_file_is_told_before_anything_is_asked_and_is_never_replaced(
    tmp_path: Path, make: Callable[[Path], None], told: str, manners: Manners
) -> None:
    path = tmp_path / "django-x.json"
    make(path)
    before = [(path, path.lstat()) for path in sorted(tmp_path.iterdir())]
    target = taken(tmp_path, manners)
    uses: list[Callable[[], object]] = [
        lambda: target.of(package("django-x")),
        lambda: target.add(record()),
        lambda: target.add(record(), record()),
    ]
    for use in uses:
        with pytest.raises(OccupiedError) as caught:
            use()
        assert str(caught.value).startswith(f"{path} ")
        assert told in str(caught.value)
    after = [(path, path.lstat()) for path in sorted(tmp_path.iterdir())]
    assert [(path, old.st_ino, old.st_mode) for path, old in before] == [
        (path, new.st_ino, new.st_mode) for path, new in after
    ]


def test_what_is_no_file_does_not_keep_others_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "django-x.json").mkdir()
    target = taken(tmp_path)
    assert target.of(package("other")) is None
    assert target.add(record("other")) == "ok"


def test_a_link_to_a_file_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(encode_api(record()))
    (tmp_path / "django-x.json").symlink_to("elsewhere/file")
    target = taken(tmp_path)
    base = target.of(package("django-x"))
    assert base == record()
    assert target.add(newer(record()), base) == "ok"
    assert (tmp_path / "django-x.json").is_symlink()
    assert files(tmp_path / "elsewhere") == {"file": encode_api(newer(record()))}


@pytest.mark.parametrize("manners", [Manners(), FORCE], ids=["", "force"])
def test_names_that_differ_by_case_alone_are_never_two_files(tmp_path: Path, manners: Manners) -> None:
    put(tmp_path, record("Django-X"))
    before = state(tmp_path)
    told = r"/django-x\.json and Django-X\.json differ by case alone\. Some file systems ignore case$"
    with pytest.raises(OccupiedError, match=told):
        taken(tmp_path, manners).add(record())
    assert state(tmp_path) == before


def test_a_file_whose_case_is_not_its_slugs_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "DJANGO-X.json").write_bytes(encode_api(record()))
    with pytest.raises(OccupiedError, match="differ by case alone"):
        taken(tmp_path).of(package("django-x"))


def test_a_slug_with_capitals_keeps_its_file(tmp_path: Path) -> None:
    put(tmp_path, record("Django-X"))
    target = taken(tmp_path)
    base = target.of(package("django-x"))
    assert base is not None
    assert target.add(newer(base), base) == "ok"
    assert files(tmp_path) == {"Django-X.json": encode_api(newer(base))}


def test_a_new_file_counts_for_the_case_of_the_next(tmp_path: Path) -> None:
    target = taken(tmp_path)
    target.add(record("Django-X"))
    with pytest.raises(OccupiedError, match="differ by case alone"):
        target.add(record("django-x"))


@pytest.mark.parametrize("mode", [0o000, 0o222])
def test_an_unreadable_file_is_told_and_stays(mode: int) -> None:
    with as_another_user() as folder:
        put(folder, record())
        path = folder / "django-x.json"
        path.chmod(mode)
        target = taken(folder)
        for use in (lambda: target.of(package("django-x")), lambda: target.add(record(), record())):
            with pytest.raises(
                OccupiedError, match=r"/django-x\.json (cannot be read: Permission|is read-only)"
            ):
                use()
        path.chmod(0o644)
        assert files(folder) == {"django-x.json": encode_api(record())}


@pytest.mark.parametrize("manners", [Manners(), FORCE, ONLY_CHANGED], ids=["", "force", "only changed"])
def test_a_read_only_file_is_told_before_anything_is_asked_and_stays(manners: Manners) -> None:
    with as_another_user() as folder:
        put(folder, record())
        (folder / "django-x.json").chmod(0o444)
        before = state(folder)
        target = taken(folder, manners)
        for use in (lambda: target.of(package("django-x")), lambda: target.add(newer(record()), record())):
            with pytest.raises(OccupiedError) as caught:
                use()
            assert caught.value.message == f"{folder}/django-x.json is read-only"
            assert caught.value.advice == "Make it writable, or remove it"
        assert state(folder) == before


def test_a_path_that_is_too_long_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 3800:
        deep = deep / ("n" * 100)
    deep = deep / ("n" * (4000 - len(str(deep))))
    deep.mkdir(parents=True)
    target = taken(deep)
    with pytest.raises(OccupiedError, match=r"cannot be written: File name too long$"):
        target.of(package_of("s" * 200))
    assert target.of(package("s")) is None
    assert target.add(record("s")) == "ok"


# What is written.


def test_a_new_record_is_a_file_in_the_apis_form(tmp_path: Path) -> None:
    assert taken(tmp_path).add(record()) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(record())}


@pytest.mark.parametrize("manners", [Manners(), FORCE, ONLY_CHANGED], ids=["", "force", "only changed"])
def test_a_record_takes_the_place_of_its_base(tmp_path: Path, manners: Manners) -> None:
    put(tmp_path, record(), record("other"))
    target = taken(tmp_path, manners)
    base = target.of(package("django-x"))
    after = newer(record(), repo_watchers=5)
    assert target.add(after, base) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(after), "other.json": encode_api(record("other"))}


def test_a_package_by_its_number_has_no_name_to_look_at_before_the_catalog_has_told_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "django-x.json").mkdir()
    target = taken(tmp_path)
    assert target.of(package("https://djangopackages.org/api/v4/packages/99/")) is None
    with pytest.raises(OccupiedError, match=r"/django-x\.json is no file"):
        target.add(record(), record())


def test_a_new_package_never_takes_the_place_of_another(tmp_path: Path) -> None:
    put(tmp_path, record(repo_url="https://github.com/bob/django-x"))
    before = state(tmp_path)
    target = taken(tmp_path)
    assert target.of(package("https://github.com/ann/django-x")) is None
    with pytest.raises(OccupiedError) as caught:
        target.add(record())
    message = f"{tmp_path}/django-x.json holds another package, of https://github.com/bob/django-x"
    assert caught.value.message == message
    assert caught.value.advice == FORCED_ADVICE
    assert state(tmp_path) == before
    assert taken(tmp_path, FORCE).add(record()) == "ok"


def test_nor_does_one_whose_base_record_comes_from_elsewhere(tmp_path: Path) -> None:
    other = record(repo_url="https://github.com/bob/other", pypi_url="", id=None)
    put(tmp_path, other)
    target = taken(tmp_path)
    bases = Layers([target, HeldRecords([record()], DEFAULT_HOSTS)])
    base = bases.of(package("https://github.com/ann/django-x"))
    assert base == record()
    with pytest.raises(OccupiedError, match=r"holds another package, of https://github\.com/bob/other\. "):
        target.add(newer(record()), base)
    assert files(tmp_path) == {"django-x.json": encode_api(other)}


@pytest.mark.parametrize(
    "fields",
    [
        {"repo_url": "https://github.com/old/name"},
        {"repo_url": "https://github.com/old/name", "pypi_url": ""},
        {"id": None, "pypi_url": ""},
        {"id": None, "pypi_url": "", "repo_url": "https://github.com/Ann/Django-X/"},
        {"id": None, "repo_url": ""},
    ],
    ids=repr,
)
def test_the_catalogs_record_of_the_same_package_is_a_base_too(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    put(tmp_path, record(**fields))
    assert taken(tmp_path).add(newer(record()), record()) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(newer(record()))}


def test_a_record_without_any_address_is_the_same_as_itself(tmp_path: Path) -> None:
    bare = record(id=None, pypi_url="", repo_url="")
    put(tmp_path, bare)
    assert taken(tmp_path).add(newer(bare, repo_url="https://github.com/ann/x"), bare) == "ok"


def test_a_record_that_is_young_enough_is_written_where_there_is_none(tmp_path: Path) -> None:
    put(tmp_path, record("there"))
    before = state(tmp_path)
    target = taken(tmp_path)
    target.keep(newer(record("there")))
    assert state(tmp_path) == before
    target.keep(record("new"))
    target.finish()
    target.close()
    assert files(tmp_path) == {
        "there.json": encode_api(record("there")),
        "new.json": encode_api(record("new")),
    }


def test_what_was_written_is_the_base_from_then_on(tmp_path: Path) -> None:
    target = taken(tmp_path)
    target.add(record())
    assert target.of(package("django-x")) == record()
    assert target.of_slug("django-x") == record()


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, mask: int, mode: int) -> None:
    old = os.umask(mask)
    try:
        with snapshot(tmp_path / "new", DEFAULT_HOSTS, Manners()) as target:
            target.add(record())
    finally:
        os.umask(old)
    assert oct(stat.S_IMODE((tmp_path / "new" / "django-x.json").stat().st_mode)) == oct(mode)
    assert oct(stat.S_IMODE((tmp_path / "new").stat().st_mode)) == oct(0o777 & ~mask)


def test_an_old_file_keeps_its_mode(tmp_path: Path) -> None:
    put(tmp_path, record())
    (tmp_path / "django-x.json").chmod(0o664)
    taken(tmp_path).add(newer(record()), record())
    assert oct(stat.S_IMODE((tmp_path / "django-x.json").stat().st_mode)) == oct(0o664)


# What is left alone.


def test_where_nothing_but_the_moment_would_change_bytes_and_time_stay(tmp_path: Path) -> None:
    put(tmp_path, record())
    before = state(tmp_path)
    assert taken(tmp_path, ONLY_CHANGED).add(newer(record()), record()) == "unchanged"
    assert state(tmp_path) == before
    assert taken(tmp_path).add(newer(record()), record()) == "ok"
    assert state(tmp_path) != before


@pytest.mark.parametrize("moment", [None, "2026-03-17T08:00:00Z", "2026-03-17T08:00:00.000001+05:45"])
def test_however_that_moment_is_written(tmp_path: Path, moment: str | None) -> None:
    old = record(last_fetched=moment)
    put(tmp_path, old)
    before = state(tmp_path)
    assert taken(tmp_path, ONLY_CHANGED).add(newer(old), old) == "unchanged"
    assert state(tmp_path) == before


CHANGES: dict[str, Any] = {
    "category": None,
    "grids": [],
    "id": 98,
    "title": "Other",
    "last_updated": record().created,
    "repo_url": "https://github.com/ann/other",
    "pypi_version": "2",
    "created": None,
    "modified": None,
    "repo_forks": 1,
    "repo_description": "Other",
    "pypi_url": "",
    "documentation_url": "",
    "repo_watchers": 1,
    "commits_over_52": [0],
    "participants": None,
}


def test_all_other_fields_are_compared() -> None:
    assert set(CHANGES) == set(Record.__struct_fields__) - {"slug", "last_fetched"}


@pytest.mark.parametrize("field", CHANGES)
def test_where_anything_else_changes_the_file_is_replaced(tmp_path: Path, field: str) -> None:
    put(tmp_path, record())
    after = newer(record(), **{field: CHANGES[field]})
    assert taken(tmp_path, ONLY_CHANGED).add(after, record()) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(after)}


@pytest.mark.parametrize(
    "text",
    [
        encode_line(record()),
        encode_api(record()) + b"\n",
        encode_api(record()).replace(b"\n", b"\r\n"),
        encode_api(record()).replace(b'{\n    "category"', b'{\n    "more": 1,\n    "category"'),
    ],
    ids=["compact", "a line more", "Windows line ends", "an unknown key"],
)
def test_a_file_of_another_form_is_left_alone(tmp_path: Path, text: bytes) -> None:
    assert text != encode_api(record())
    (tmp_path / "django-x.json").write_bytes(text)
    target = taken(tmp_path, ONLY_CHANGED)
    base = target.of(package("django-x"))
    assert base == decode_record(text)
    assert target.add(newer(record()), base) == "unchanged"
    assert files(tmp_path) == {"django-x.json": text}


def test_a_file_with_times_in_another_zone_is_replaced(tmp_path: Path) -> None:
    there = b'"2012-12-26T09:29:30.670172Z"'
    text = encode_api(record()).replace(b'"2012-12-26T04:29:30.670172-05:00"', there)
    assert there in text
    (tmp_path / "django-x.json").write_bytes(text)
    target = taken(tmp_path, ONLY_CHANGED)
    assert target.add(newer(record()), target.of(package("django-x"))) == "ok"
    assert files(tmp_path) == {"django-x.json": encode_api(newer(record()))}


# The folder, kept up to date.


def test_a_folder_is_made_with_those_above_it_and_locked_while_it_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with snapshot(folder, DEFAULT_HOSTS, Manners()) as target:
        assert files(folder) == {LOCK: f"{os.getpid()}\n".encode()}
        target.add(record())
    assert files(folder) == {"django-x.json": encode_api(record())}


def test_foreign_files_are_left_alone_and_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    foreign = {"README.md": b"1", ".gitignore": b"2", "data.csv": b"3", ".x.json": b"4", "a b.json": b"5"}
    for name, text in foreign.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / ".git").mkdir()
    before = state(tmp_path)
    (tmp_path / f".django-x.json.abc{TEMPORARY}").write_bytes(b"half")
    (tmp_path / LOCK).write_text("1\n")
    with snapshot(tmp_path, DEFAULT_HOSTS, FORCE):
        pass
    assert state(tmp_path) == before
    assert (tmp_path / ".git").is_dir()


def test_a_folder_that_another_run_works_on_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / f".x{TEMPORARY}").write_bytes(b"half")
    with locked(tmp_path / LOCK):
        with pytest.raises(BusyError):
            snapshot(tmp_path, DEFAULT_HOSTS, Manners()).__enter__()
        assert (tmp_path / f".x{TEMPORARY}").exists()


def test_the_lock_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), snapshot(tmp_path, DEFAULT_HOSTS, Manners()):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with snapshot(tmp_path / "link", DEFAULT_HOSTS, Manners()) as target:
        target.add(record())
    assert files(tmp_path / "folder") == {"django-x.json": encode_api(record())}


def _a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def _below_a_file(tmp_path: Path) -> Path:
    return _a_file(tmp_path) / "folder"


def _dangling(tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to("nothing")
    return tmp_path / "link"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_a_file, "{} is no folder"),
        (_dangling, "{} is no folder"),
        (_below_a_file, "the folder {} cannot be made: Not a directory"),
        (lambda tmp_path: tmp_path / ("n" * 300), "the folder {} cannot be made: File name too long"),
        (lambda _: Path("/proc/folder"), "the folder {} cannot be made: No such file or directory"),
        (lambda _: Path("/proc/self"), "{} cannot be written: "),
    ],
    ids=[
        "a file",
        "a link to nothing",
        "below a file",
        "too long",
        "where none can be made",
        "takes no files",
    ],
)
def test_what_cannot_be_a_folder_is_told(tmp_path: Path, make: Callable[[Path], Path], told: str) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught:
        snapshot(path, DEFAULT_HOSTS, Manners()).__enter__()
    assert caught.value.message.startswith(told.format(path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_folder_is_told() -> None:
    with as_another_user() as folder:
        folder.chmod(0o555)
        with pytest.raises(OutputError) as caught:
            snapshot(folder, DEFAULT_HOSTS, Manners()).__enter__()
        assert caught.value.message == f"{folder} cannot be written: Permission denied"
        folder.chmod(0o755)
