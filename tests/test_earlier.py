"""Records and reports of earlier runs as lists of targets."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pkgharvest.earlier import EarlierResults
from pkgharvest.errors import SettingError
from pkgharvest.record import decode_records, encode_api, encode_line
from pkgharvest.targets import (
    DEFAULT_HOSTS,
    CatalogTarget,
    Misread,
    PackageTarget,
    RepositoryTarget,
    package_of,
)


def read(text: str, *, failed: bool = False) -> list[Any]:
    results = EarlierResults("x.json", DEFAULT_HOSTS, failed=failed)
    numbered = enumerate(text.split("\n"), 1)
    return [item for number, line in numbered for item in results.feed(number, line)] + list(results.end())


def told(text: str, *, failed: bool = False) -> list[Any]:
    """Return the texts of targets, and the lines of what is none."""
    return [item.line if isinstance(item, Misread) else item.text for item in read(text, failed=failed)]


def record(slug: str) -> dict[str, Any]:
    return {
        "category": None,
        "title": "}{",
        "slug": slug,
        "participants": ["results", '"'],
        "commits": [1, 2],
    }


RECORDS = [record("x"), record("Django_X"), record("7")]
ENVELOPE = {"count": 3, "next": None, "results": RECORDS, "after": {"results": [1]}}
INDENTED = [json.dumps(one, indent=4) for one in RECORDS]

FORMS = [
    "\n".join(json.dumps(one) for one in RECORDS),
    "\n".join(INDENTED) + "\n",
    "".join(INDENTED),
    " ".join(json.dumps(one) for one in RECORDS),
    json.dumps(RECORDS),
    json.dumps(RECORDS, indent=2),
    json.dumps(ENVELOPE),
    json.dumps(ENVELOPE, indent=2) + "\n\n",
    "\r\n".join(json.dumps(ENVELOPE, indent=2).splitlines()),
    json.dumps(RECORDS[0]) + "\n" + json.dumps(RECORDS[1:], indent=1),
    "\n\n" + INDENTED[0] + "\n" + "\n".join(json.dumps(one) for one in RECORDS[1:]),
    "  " + json.dumps({"results": []}) + "\n [ ] \n" + json.dumps(ENVELOPE, indent=1),
    json.dumps({"results": RECORDS[:1]})[:-1] + ', "results": ' + json.dumps(RECORDS) + "}",
]


@pytest.mark.parametrize("text", FORMS)
def test_records_in_any_form_give_their_slugs_as_they_are(text: str) -> None:
    assert read(text) == [package_of("x"), package_of("Django_X"), package_of("7")]


def test_what_the_command_writes_is_read(golden_records: str) -> None:
    records = list(decode_records(golden_records))
    slugs = [one.slug for one in records]
    assert slugs
    for encode in (encode_api, encode_line):
        text = b"".join(encode(one) for one in records).decode()
        assert [item.slug for item in read(text)] == slugs


@pytest.fixture
def golden_records() -> str:
    full = {
        "category": None,
        "grids": [],
        "id": 1,
        "title": "X",
        "slug": "x",
        "last_updated": None,
        "last_fetched": None,
        "repo_url": "https://github.com/ann/x",
        "pypi_version": None,
        "created": None,
        "modified": None,
        "repo_forks": 0,
        "repo_description": "é\n",
        "pypi_url": "",
        "documentation_url": None,
        "repo_watchers": 0,
        "commits_over_52": [0] * 52,
        "participants": None,
    }
    return json.dumps([full, full | {"slug": "Y_z"}])


def test_a_slug_is_given_once_and_others_that_are_alike_too() -> None:
    text = "".join(json.dumps({"slug": slug}) + "\n" for slug in ["x", "a_b", "x", "a-b", "a_b"])
    assert told(text) == ["x", "a_b", "a-b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"slug": "x"}\n{"title": "no slug"}\n{"slug": 7}\n{"slug": "y"}', ["x", 2, 3, "y"]),
        ('[\n{"slug": "x"},\n\n7,\n{"slug": "../x"}, {"slug": ""},\n{"slug": "y"}]', ["x", 4, 5, 5, "y"]),
        ('{"count": 2,\n"results":\n[\n{"slug": "x"}, null,\n"y"\n]}\n[true]\n', ["x", 4, 5, 7]),
        ('{"slug": "x"}\n{"slug": "---"}\n{"slug": "%s"}' % ("y" * 201), ["x", 2, 3]),
        ('{"results": 1}', [1]),
        ('{"slug": "\\ud800"}', [1]),
    ],
)
def test_what_has_no_slug_is_told_with_its_line(text: str, expected: list[Any]) -> None:
    assert told(text) == expected


def test_what_is_told_of_a_wrong_entry_is_its_text() -> None:
    (item,) = read('[{"title":\n "https://ann:hunter2@host/"}]')
    assert item.text.isprintable()
    assert "hunter2" not in item.text
    (item,) = read("[\n  {\n} ]")
    assert (item.line, item.text) == (2, "{\\n}")
    assert item.error.message == "neither a record, for want of a slug, nor a line of a report"


def test_a_broken_line_among_lines_is_wrong_and_the_others_go_on() -> None:
    text = '{"slug": "x"}\n{"slug": "y\n{"slug": "z"}\nno JSON\n\n{"slug": "a"} {"slug": "b"}\n{"slug"'
    assert told(text) == ["x", 2, "z", 4, "a", "b", 7]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1),
        ('\n{"slug": "x"', 2),
        ('[\n{"slug": "x"},\n{"slug" "y"}\n]', 3),
        ('{"slug": "x"}\n{\n"slug": "y"}\n{\n"slug" 7}', 5),
        ("{slug: 1}", 1),
        ("[" * 100_000, 1),
        ("[" + "9" * 5000 + "]", 1),
    ],
)
def test_broken_documents_are_refused_with_file_and_line(text: str, line: int) -> None:
    with pytest.raises(SettingError, match=f"^x.json:{line}: no JSON"):
        read(text)


def test_more_than_can_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgharvest.earlier.LARGEST", 100)
    assert told('{"slug": "x"}\n' * 100) == ["x"]
    with pytest.raises(SettingError, match=r"x\.json holds more than 100 characters of JSON"):
        read("[" + "\n" * 100 + "]")


REPORT = """\
{"target": "django", "slug": "django", "status": "ok", "moved_to": null}
{"target": "https://github.com/ann/x", "slug": "x", "status": "failed", "reason": "unavailable"}
{"target": "Django_X", "slug": "Django_X", "status": "failed"}
{"target": "Flask_Y", "slug": "flask-y", "status": "failed"}
{"target": "https://djangopackages.org/api/v4/packages/7/", "slug": null, "status": "failed"}
{"target": "no name!", "slug": null, "status": "failed", "place": "list.txt:4"}
{"target": "x", "slug": "x", "status": "skipped"}
{"target": "django", "slug": "django", "status": "failed"}
{"target": "https://github.com/Ann/X", "slug": "x", "status": "failed"}
{"run": {"records": 1}}
"""


def test_a_report_names_its_targets_each_once() -> None:
    items = read(REPORT)
    kinds = [
        PackageTarget,
        RepositoryTarget,
        PackageTarget,
        PackageTarget,
        CatalogTarget,
        Misread,
        PackageTarget,
    ]
    assert [type(item) for item in items] == kinds
    assert [item.slug for item in items if isinstance(item, PackageTarget)] == [
        "django",
        "Django_X",
        "flask-y",
        "x",
    ]


def test_of_a_report_what_failed_can_be_chosen() -> None:
    assert told(REPORT, failed=True) == [
        "https://github.com/ann/x",
        "Django_X",
        "Flask_Y",
        "https://djangopackages.org/api/v4/packages/7/",
        6,
        "django",
    ]


@pytest.mark.parametrize("text", ["", "\n", '{"run": {}}\n', '{"target": "x", "status": "ok"}'])
def test_of_a_report_without_failures_nothing_is_chosen(text: str) -> None:
    assert read(text, failed=True) == []


@pytest.mark.parametrize(
    "text", ['{"slug": "x"}', "[7]", '[\n{"slug": "x"}]', '{"target": "x"}', '{"run": 1, "slug": "x"}']
)
def test_of_what_is_no_report_nothing_can_be_chosen(text: str) -> None:
    with pytest.raises(SettingError, match=r"^x\.json is no report, so --failed has nothing to choose from$"):
        read(text, failed=True)


def test_what_is_wrong_in_a_report_does_not_make_it_none() -> None:
    text = '{"target": "x", "status": "failed"}\n{"slug": "y"}\n{"target": 7, "status": "failed"}\n{"tar'
    assert told(text, failed=True) == ["x", 2, 3, 4]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["slug", "results", "target", "status"]), inner)
    ),
    max_leaves=20,
)


@given(st.lists(VALUES), st.sampled_from([None, 1]), st.booleans())
def test_any_values_are_targets_or_wrong_and_never_lost(
    values: list[Any], indent: int | None, failed: bool
) -> None:
    text = "\n".join(json.dumps(value, indent=indent) for value in values)
    try:
        items = read(text, failed=failed)
    except SettingError as error:
        assert failed
        assert "is no report" in error.message  # noqa: PT017  values refused only for want of a report
    else:
        lines = text.count("\n") + 1
        for item in items:
            assert not isinstance(item, Misread) or 1 <= item.line <= lines
            assert item.text.isprintable()


SLUGS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{0,5}[A-Za-z0-9]", fullmatch=True), unique=True)


@given(SLUGS, st.sampled_from([None, 0, 3]), st.sampled_from(["one", "list", "envelope"]))
def test_any_slugs_in_any_form_come_back(slugs: list[str], indent: int | None, form: str) -> None:
    records = [{"x": [{}], "slug": slug} for slug in slugs]
    if form == "one":
        text = "\n".join(json.dumps(one, indent=indent) for one in records)
    else:
        text = json.dumps(records if form == "list" else {"count": 0, "results": records}, indent=indent)
    assert [item.slug for item in read(text)] == slugs


@given(st.text(alphabet='{}[]":,\n 1"slugx\\'), st.booleans())
@example('{"slug": "x"}\n{"results": [', True)
@example('[1,"\n', False)
def test_any_text_gives_items_or_is_refused(text: str, failed: bool) -> None:
    try:
        items = read(text, failed=failed)
    except SettingError as error:
        assert error.message.startswith("x.json")  # noqa: PT017  most texts raise, and that is fine
    else:
        assert all(item.text.isprintable() for item in items)


def test_after_a_broken_line_the_others_are_read_each_by_itself() -> None:
    lines = ['{"slug": "a"}', '{"slug": "b"', '{"slug": "c"} {"slug": "d"} x', "", "{", '"slug": "e"}']
    assert told("\n".join(lines)) == ["a", 2, "c", "d", 3, 5, 6, 6]


@pytest.mark.parametrize("line", ["[1,", '{"a":[1,', "x"])
def test_a_text_of_broken_lines_takes_time_in_proportion_to_its_length(line: str) -> None:
    started = process_time()
    items = read("\n".join(['{"slug": "a"}', *[line] * 100_000]))
    assert process_time() - started < 15  # each line was once searched from the beginning of all of them
    assert [items[0].text, items[-1].line] == ["a", 100_001]
