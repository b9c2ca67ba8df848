"""Requirements as people and tools write them, and the packages that they name."""

from __future__ import annotations

import string
from collections.abc import Iterable
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from pkgharvest.errors import SettingError, TargetError
from pkgharvest.requirements import (
    LONGEST_LINE,
    Include,
    RequirementLines,
    parse_line,
    parse_requirement,
    targets_in_toml,
)
from pkgharvest.targets import DEFAULT_HOSTS, CatalogTarget, Hosts, Misread, PackageTarget, RepositoryTarget

SECRET = "hunter2"
COMMIT = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def told(item: Any) -> str:
    """Return a target as a text: its slug, or owner and name of its repository."""
    assert isinstance(item, PackageTarget | RepositoryTarget)
    return item.repository.full_name if isinstance(item, RepositoryTarget) else item.slug


def read(text: str) -> list[Any]:
    lines = RequirementLines(DEFAULT_HOSTS)
    numbered = enumerate(text.split("\n"), 1)
    return [item for number, line in numbered for item in lines.feed(number, line)] + list(lines.end())


def wrong(items: Iterable[Any]) -> list[tuple[int, str]]:
    return [(item.line, item.text) for item in items if isinstance(item, Misread)]


LINES = [
    # What is no requirement keeps its meaning.
    ("django-x", "django-x"),
    ("django_x", "django_x"),
    ("Django_X", "django-x"),
    ("https://github.com/ann/x", "ann/x"),
    ("git@github.com:ann/x.git", "ann/x"),
    ("github.com/ann/x", "ann/x"),
    ("//github.com/ann/x", "ann/x"),
    ("https://djangopackages.org/packages/p/django-x/", "django-x"),
    # Names with what PEP 508 puts after them.
    ("Django>=4.2,<5", "django"),
    ("Django >= 4.2, < 5", "django"),
    ("Django~=4.2", "django"),
    ("Django==4.2.*", "django"),
    ("Django (>=4.2)", "django"),
    ("django\t>=4", "django"),
    ("celery[redis,auth]", "celery"),
    ("celery [redis] >= 5 ; python_version < '3.9' and extra == \"x\"", "celery"),
    ("zope.interface;python_version<'3'", "zope-interface"),
    ("django_x[y]", "django_x"),
    # Options of one requirement.
    ("django==4.2 --hash=sha256:abc --hash sha256:def", "django"),
    ("django --no-binary", "django"),
    ("django==4.2; python_version>='3' --config-settings='a=b'", "django"),
    ('django -C "--build-option=x"', "django"),
    # Direct URLs: the repository.
    ("x @ git+https://github.com/ann/y.git", "ann/y"),
    ("x@git+https://github.com/ann/y.git@v1.0", "ann/y"),
    (f"x @ git+https://github.com/ann/y.git@{COMMIT}#subdirectory=z", "ann/y"),
    ("x[z] @ https://github.com/ann/y/archive/refs/tags/v1.zip ; python_version > '3'", "ann/y"),
    ("x @ git+ssh://git@github.com/ann/y.git", "ann/y"),
    ("x @ git+ssh://git@github.com:ann/y.git", "ann/y"),
    ("git+https://github.com/ann/y.git@main#egg=x", "ann/y"),
    ("git+https://github.com/ann/y.git ; python_version < '3'", "ann/y"),
    ("git+https://github.com/ann/y#egg=x --hash=sha256:abc", "ann/y"),
    ("https://github.com/ann/y/archive/main.tar.gz", "ann/y"),
    ("https://github.com/ann/y/releases/download/v1/z-1.0-py3-none-any.whl", "ann/y"),
    ("https://codeload.example/x-1.0.tar.gz#egg=y", "y"),
    # Direct URLs: the name beside them.
    ("x @ https://files.example/y-1.0-py3-none-any.whl", "x"),
    ("x @ git+https://gitlab.com/ann/y.git", "x"),
    ("x @ file:///srv/y", "x"),
    ("git+https://gitlab.com/ann/y.git@main#egg=X_y", "x-y"),
    ("git+https://gitlab.com/ann/y.git#subdirectory=z&egg=x[a]", "x"),
    ("hg+https://hg.example/y#egg=x", "x"),
    # Direct URLs: the file's name.
    ("https://files.example/a/My_App-1.0-py3-none-any.whl", "my-app"),
    ("https://files.example/a/my_app-1.0.post1-cp311-cp311-manylinux_2_17_x86_64.whl#sha256=abc", "my-app"),
    ("https://files.example/a/my.app-1.0rc1.tar.gz", "my-app"),
    ("https://files.example/a/my-app-1.0.zip?x=y ; python_version < '3'", "my-app"),
    ("https://files.example/a/my%5Fapp-1.0.zip", "my-app"),
    ("https://pypi.example/packages/ab/my_app-1.0.tar.gz", "my-app"),
    # Editable ones.
    ("-e git+https://github.com/ann/y.git#egg=x", "ann/y"),
    ("-egit+https://github.com/ann/y.git", "ann/y"),
    ("--editable git+https://github.com/ann/y.git", "ann/y"),
    ("--editable=git+https://gitlab.com/ann/y.git#egg=x", "x"),
    ('-e "git+https://github.com/ann/y.git" --config-settings a=b', "ann/y"),
    ("-e x @ git+https://github.com/ann/y.git", "ann/y"),
    ("-e git@github.com:ann/profile:x.git", None),
    ("-e git+https://github.com/ann/profile:x#egg=z", "z"),
    ("-e git@github.com:ann/y.git", "ann/y"),
    ("-e .", None),
    ("-e ./path", None),
    ("-e ../path[extra]", None),
    ("-e path/to", None),
    ("-e git+file:///srv/y#egg=x", None),
    ("--editable=file:///srv/y", None),
    ("--editable .", None),
    # Options of pip.
    ("--index-url https://ann:hunter2@files.example/simple", None),
    ("--index-url=https://files.example/simple", None),
    ("-i https://files.example/simple", None),
    ("--extra-index-url https://files.example", None),
    ("-c constraints.txt", None),
    ("-cconstraints.txt", None),
    ("--constraint=constraints.txt", None),
    ("--no-binary :all:", None),
    ("--pre", None),
    ("-f wheels", None),
    ("--requirements", None),
]


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_a_line_names_what_pip_would_install_from_it(text: str, expected: str | None) -> None:
    target = parse_line(text, DEFAULT_HOSTS)
    assert (None if target is None else told(target)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no name!", "'no name!' is no name of a package"),
        ("django>=", "'django>=' is no name of a package"),
        ("django = 4", "is no name of a package"),
        ("- django", "'- django' is no option of a requirements file"),
        ("-", "is no option"),
        ("-r", "is no option"),
        ("-e", "is no option"),
        ("https://gitlab.com/ann/y", "repositories on gitlab.com are not read yet"),
        ("https://files.example/y.zip", "files.example is no host that is read"),
        ("https://files.example/main-branch.zip", "files.example is no host that is read"),
        ("https://files.example/x-1.0.whl", "files.example is no host that is read"),
        ("https://[/x-1.0.zip", "is no URL"),
        (".", "'.' is a path on this machine"),
        ("..", "is a path on this machine"),
        (".[test]", "is a path on this machine"),
        ("./x", "is a path on this machine"),
        ("../x-1.0.tar.gz", "is a path on this machine"),
        ("/srv/x", "is a path on this machine"),
        ("~/x", "is a path on this machine"),
        ("file:///srv/x#egg=x", "is a path on this machine"),
        ("FILE:x", "is a path on this machine"),
        (".\\x", "is a path on this machine"),
        ("C:\\x", "is a path on this machine"),
        ("x; " + "(" * 3000, "a name of 3003 characters"),
        ("x; python_version < '\\x'", "is no name of a package"),
        ("x" * 200_000, "a name of 200000 characters"),
        ("x" * 201 + ">=1", "a name of 204 characters"),
        ("x>=1;" + "y" * 20_000, "a name of 20005 characters"),
        ("git+https://gitlab.com/a/b#egg=...", "'...' is no name of a package"),
    ],
)
def test_a_line_that_names_nothing_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(TargetError) as refusal:
        parse_line(text, DEFAULT_HOSTS)
    assert problem in refusal.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"https://ann:{SECRET}@gitlab.com/a/b",
        f"x @@ https://ann:{SECRET}@gitlab.com/a/b",
        f"https://files.example/x?token={SECRET}",
        f"git+https://{SECRET}@files.example/x.git",
        f"-x https://ann:{SECRET}@gitlab.com/a/b",
        f"/srv/ann:{SECRET}@x",
        f"https://files.example:${{{SECRET}}}/x",
        f"https://${{{SECRET}}}/x",
        f"https://${{{SECRET}}}@files.example/x",
        f"https://files.example/${{{SECRET}}}/x",
        f"https://github.com/${{{SECRET}}}/x",
        f"https://github.com/a/${{{SECRET}}}",
        f"x @@ ${{{SECRET}}}",
        f"x @@ ${{{SECRET}",
    ],
)
def test_a_wrong_line_shows_neither_credentials_nor_variables(text: str) -> None:
    (item,) = read(text)
    assert isinstance(item, Misread)
    assert SECRET not in f"{item.text} {item.error}"


@pytest.mark.parametrize(
    "text",
    [
        f"git+https://{SECRET}@github.com/ann/y.git",
        f"x @ git+https://ann:{SECRET}@github.com/ann/y.git",
        f"git+https://${{{SECRET}}}@github.com/ann/y.git@v1#egg=x",
        f"-e git+https://${{USER}}:${{{SECRET}}}@github.com/ann/y.git@v1#egg=x",
        f"https://github.com/ann/y?token=${{{SECRET}}}",
        f"https://github.com/ann/y/tree/${{{SECRET}}}",
    ],
)
def test_a_repository_shows_neither_credentials_nor_variables(text: str) -> None:
    target = parse_line(text, DEFAULT_HOSTS)
    assert told(target) == "ann/y"
    assert SECRET not in repr(target)
    assert target is not None
    assert target.warnings == ("the credentials in the URL were dropped",)


def test_repositories_are_told_by_the_hosts() -> None:
    hosts = Hosts(code=frozenset({"code.example"}))
    assert told(parse_line("x @ git+https://code.example/ann/y.git", hosts)) == "ann/y"
    assert told(parse_line("x @ git+https://github.com/ann/y.git", hosts)) == "x"


FILE = """\
# This file is compiled
--index-url https://files.example/simple

asgiref==3.7.2 \\
    --hash=sha256:89b2ef2247e3b562a16eef663bc0e2e703ec6468e2fa8a5cd61cd449786d4f6e \\
    --hash=sha256:9e0ce3aa93a819ba5b45120216b23878cf6e8525eb3848653452b4192b92afed
    # via django
-r other.txt
-rother.txt   # why
--requirement other.txt
--requirement=other.txt
-r "my other.txt"
Dja\\
ngo>=4.2\\
# a comment ends it
flask
no name!
\\
   \\
requests\\
[socks]
./here
last \\"""


def test_a_requirements_file_is_read_as_pip_reads_it() -> None:
    items = read(FILE)
    assert [told(item) for item in items if not isinstance(item, Misread | Include)] == [
        "asgiref",
        "django",
        "flask",
        "requests",
        "last",
    ]
    assert [(item.line, item.path) for item in items if isinstance(item, Include)] == [
        (8, "other.txt"),
        (9, "other.txt"),
        (10, "other.txt"),
        (11, "other.txt"),
        (12, "my other.txt"),
    ]
    assert wrong(items) == [(17, "no name!"), (22, "./here")]


def test_lines_may_end_in_any_way() -> None:
    assert [told(item) for item in read("django \\\r\n>=4\r\nflask\r\n\ufeffx\r")] == ["django", "flask", "x"]


def test_a_line_that_is_continued_for_ever_is_not_kept() -> None:
    lines = RequirementLines(DEFAULT_HOSTS)
    part = "x" * (LONGEST_LINE // 4) + "\\"
    items = [item for number in range(1, 8) for item in lines.feed(number, part)]
    assert [line for line, _ in wrong(items)] == [1]
    assert [line for line, _ in wrong(lines.end())] == [5]


@pytest.mark.parametrize("text", ["https://github.com/a/b", "x y", "", "x @ ", "./x", 'x;a=="\\d"'])
def test_a_requirement_in_a_table_is_one_of_pep_508(text: str) -> None:
    with pytest.raises(TargetError, match="is no requirement"):
        parse_requirement(text, DEFAULT_HOSTS)


PROJECT = """\
[build-system]
requires = ["hatchling"]

[project]
name = "Me_Too"
dependencies = [
    "Django>=4.2",  # why
    'x; python_version < "3.9"',
    "y @ git+https://github.com/ann/y.git",
    "no name!",
    "celery[redis]",
    7,
]

[project.optional-dependencies]
test = ["pytest>=8", "django", "me-too[extra]"]
all = ["me.too[test]", "z; python_version < \\"3\\" and"]

[dependency-groups]
docs = ["sphinx", {include-group = "test"}, {other = "x"}]
lint = ["ruff"]

[tool.poetry.dependencies]
requests = "*"
"""


def test_a_project_names_its_dependencies_its_extras_and_its_groups_each_once() -> None:
    items = list(targets_in_toml(PROJECT, "pyproject.toml", DEFAULT_HOSTS))
    assert [told(item) for item in items if not isinstance(item, Misread)] == [
        "django",
        "x",
        "ann/y",
        "celery",
        "pytest",
        "sphinx",
        "ruff",
    ]
    assert wrong(items) == [
        (10, "no name!"),
        (6, "dependencies"),
        (17, 'z; python_version < "3" and'),
        (20, "docs"),
        (20, "docs"),
    ]
    unknown = next(item for item in items if isinstance(item, Misread) and item.line == 20)
    assert unknown.error.message == "there is no group 'test' to include"


LOCK = f"""\
lock-version = "1.0"

[[packages]]
name = "attrs"
version = "25.1.0"
wheels = [{{name = "attrs-25.1.0-py3-none-any.whl", url = "https://files.example/attrs.whl"}}]

[[packages]]
name = "y"
vcs = {{type = "git", url = "https://github.com/ann/y.git", commit-id = "{COMMIT}"}}

[[packages]]
name = "elsewhere"
[packages.vcs]
type = "git"
url = "https://gitlab.com/ann/elsewhere"

[[packages]]
name = "local"
directory = {{path = ".", editable = true}}

[[packages]]
name = "attrs"
marker = "python_version < '3'"

  [[ packages ]]
version = "1"

[[packages]]
name = "no name!"

[[packages]]
name = "here"
vcs = {{type = "git", path = "../here"}}
"""


@pytest.mark.parametrize("name", ["pylock.toml", "pylock.dev.toml", "folder/pylock.toml", "a\\pylock.x.toml"])
def test_a_lock_names_its_packages_and_their_repositories_each_once(name: str) -> None:
    items = list(targets_in_toml(LOCK, name, DEFAULT_HOSTS))
    found = [told(item) for item in items if not isinstance(item, Misread)]
    assert found == ["attrs", "ann/y", "elsewhere", "here"]
    assert wrong(items) == [(26, "packages"), (30, "no name!")]


@pytest.mark.parametrize("name", ["mypylock.toml", "pylock.a.b.toml", "lock.toml", "pylock.toml/x.toml"])
def test_another_toml_file_is_no_lock(name: str) -> None:
    assert list(targets_in_toml(LOCK, name, DEFAULT_HOSTS)) == []


@pytest.mark.parametrize("text", ["", "\n", "# nothing", "[project]\nname = 'x'", "[tool.x]\ny = 1"])
@pytest.mark.parametrize("name", ["pyproject.toml", "pylock.toml"])
def test_a_file_without_the_tables_names_nothing(text: str, name: str) -> None:
    assert list(targets_in_toml(text, name, DEFAULT_HOSTS)) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("pyproject.toml", "\n[project\n", r"^pyproject.toml:2: no TOML: "),
        ("pylock.toml", "a = 1\r\na = 2\r\n", r"^pylock.toml:2: no TOML: "),
        ("x.toml", "a = [\n1,\n", r"^x.toml:2: no TOML: .*end of document"),
        ("x.toml", f"a = {'[' * 5000}", r"^x.toml:1: no TOML: "),
        ("x.toml", f"a = {'9' * 5000}", r"^x.toml:1: no TOML: "),
        ("x.toml", "\nproject = 1", r"^x.toml:2: project is no table$"),
        ("x.toml", "[project]\ndependencies = 'x'", r"^x.toml:2: dependencies is no list$"),
        ("x.toml", "[project]\noptional-dependencies = []", r"^x.toml:2: optional-dependencies is no table$"),
        ("x.toml", "[dependency-groups]\n\ntest = {}", r"^x.toml:3: test is no list$"),
        ("x.toml", "dependency-groups = 1", r"^x.toml:1: dependency-groups is no table$"),
        ("pylock.toml", "[packages]", r"^pylock.toml:1: packages is no list$"),
    ],
)
def test_broken_toml_is_refused_with_file_and_line(name: str, text: str, problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        list(targets_in_toml(text, name, DEFAULT_HOSTS))


def test_entries_of_a_lock_that_are_no_packages_are_wrong() -> None:
    items = list(targets_in_toml("packages = [1, {name = 2}]", "pylock.toml", DEFAULT_HOSTS))
    assert wrong(items) == [(1, "packages"), (1, "packages")]


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: not name.lower().endswith((".com", ".org"))
)
REQUIREMENTS = st.tuples(
    NAMES,
    st.sampled_from(["", "[a]", " [a, b-c]"]),
    st.sampled_from(["", ">=1", " == 1.*", "~=1.0,!=1.2", " (<2)"]),
    st.sampled_from(["", "; python_version < '3'", ' ; extra == "x" or os_name == "nt"']),
    st.sampled_from(["", " --hash=sha256:abc", " \\\n  --hash=sha256:abc \\\n --hash=sha256:d", "  # why"]),
)


@given(st.lists(REQUIREMENTS))
def test_valid_requirements_give_their_names(requirements: list[tuple[str, ...]]) -> None:
    found = read("\n".join("".join(parts) for parts in requirements))
    assert [item.project for item in found] == [canonicalize_name(parts[0]) for parts in requirements]


@given(st.lists(REQUIREMENTS))
def test_valid_requirements_in_a_project_give_their_names_once(requirements: list[tuple[str, ...]]) -> None:
    entries = ", ".join(f"'''{''.join(parts[:4])}'''" for parts in requirements)
    text = f"[project]\ndependencies = [{entries}]"
    found = [
        item.key for item in targets_in_toml(text, "x.toml", DEFAULT_HOSTS) if not isinstance(item, Misread)
    ]
    names = [f"package:{canonicalize_name(parts[0])}" for parts in requirements]
    assert found == list(dict.fromkeys(names))


PIECES = st.sampled_from(
    r"""-r -e -c --hash= --editable --requirement= git+ https:// ssh:// file: ./ git@ user:pw@ github.com /
    gitlab.com a/b x-1.0 .whl .tar.gz #egg= & @ ${X} [y] >= ==1 ; python_version ' " ( ) \ , ~ # .""".split()
) | st.sampled_from([" ", "\n", "\t", "\\\n", "\0", "\r", "é"])


def is_sound(item: Any) -> bool:
    """Tell whether an item is fit to be shown and worked on."""
    if isinstance(item, Include):
        return bool(item.path)
    if isinstance(item, Misread):
        return item.line > 0 and item.text.isprintable() and str(item.error).isprintable()
    if isinstance(item, CatalogTarget):
        return item.text.isprintable()
    return item.text.isprintable() and set(item.slug) <= set(string.ascii_lowercase + string.digits + "-_")


@given(st.text() | st.lists(PIECES, max_size=15).map("".join))
@example("x; python_version < '\0'")
@example("x; python_version < '\ud800'")
@example(f"x=={'9' * 5000}")
@example("x @ https://[")
@example("https://host/" + "9" * 5000 + "-1-py3-none-any.whl")
@example("https://host/x-" + "9" * 5000 + ".tar.gz")
def test_any_text_gives_sound_items(text: str) -> None:
    assert all(is_sound(item) for item in read(text))


TOML_PIECES = st.sampled_from(
    """dependencies name packages vcs x = [ ] { } , " ' 7 include-group url django \\u0000 .""".split()
) | st.sampled_from(["\n", "\ud800", "[project]\n", "[dependency-groups]\n", "[[packages]]\n"])


@given(
    st.text() | st.lists(TOML_PIECES, max_size=15).map("".join),
    st.sampled_from(["pyproject.toml", "pylock.toml"]),
)
@example("packages=[{name='x',vcs={url='https://['}}]", "pylock.toml")
@example("[project]\ndependencies=[\"x; a < '\\u0000'\", '''\n''']", "pyproject.toml")
def test_any_toml_gives_sound_items_or_is_refused(text: str, name: str) -> None:
    try:
        items = list(targets_in_toml(text, name, DEFAULT_HOSTS))
    except SettingError as error:
        assert error.message.startswith(f"{name}:")  # noqa: PT017  most texts raise, and that is fine
    else:
        assert all(is_sound(item) for item in items)


def test_the_line_of_each_nameless_package_is_told() -> None:
    text = "version = 1\r\n\r\n" + "[[packages]]\r\nx = 1\r\n" * 3 + " [[ packages ]]\r\n"
    items = list(targets_in_toml(text, "pylock.toml", DEFAULT_HOSTS))
    assert wrong(items) == [(line, "packages") for line in (3, 5, 7, 9)]


def test_a_lock_of_nameless_packages_takes_time_in_proportion_to_its_length() -> None:
    started = process_time()
    items = list(targets_in_toml("[[packages]]\n" * 20_000, "pylock.toml", DEFAULT_HOSTS))
    assert process_time() - started < 15  # the headers were once searched for each of them
    assert wrong(items)[-1] == (20_000, "packages")


def test_the_lines_of_what_is_wrong_are_searched_only_for_so_long() -> None:
    entries = "".join(f'"!{number}",\n' for number in range(20_000))
    items = wrong(targets_in_toml(f"[project]\ndependencies = [\n{entries}]\n", "x.toml", DEFAULT_HOSTS))
    assert [line for line, _ in items[:3]] == [3, 4, 5]
    assert items[-1][0] == 1
