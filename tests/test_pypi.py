"""PyPI's answers, and what a project's URLs tell of its repository and documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from pkgharvest.errors import (
    MalformedError,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    RefusedError,
    UnavailableError,
    UnreadableError,
    UpstreamError,
)
from pkgharvest.net.message import Request, Response
from pkgharvest.sources.pypi import (
    Found,
    Project,
    PyPI,
    documentation_of,
    normalise_label,
    repositories_of,
    repository_of,
)
from pkgharvest.targets import Hosts, Repository

HOSTS = Hosts()
OURS = datetime(2030, 1, 1, tzinfo=UTC)
"""Our clock, which is wrong."""
THEIRS = "Sun, 15 Feb 2026 12:00:00 GMT"

GITHUB = "https://github.com/ann/x"
SITE = "https://x.example/"
DOCS = "https://x.readthedocs.io/"


def named(**fields: Any) -> Project:
    return Project(name="x", version="1.0", **fields)


def urls(mapping: dict[str, str | None] | None = None, /, **labels: str | None) -> Project:
    return named(project_urls=labels if mapping is None else mapping)


# Labels and addresses as projects publish them; the repository is ann/x where no other is meant.
PUBLISHED: list[tuple[str, Project, tuple[str, str, str] | None]] = [
    # Labels of the specification, in any case and spelling.
    ("Source", urls(Source=GITHUB), ("ann/x", "source", "Source")),
    ("source", urls(source=GITHUB), ("ann/x", "source", "source")),
    ("SOURCE", urls(SOURCE=GITHUB), ("ann/x", "source", "SOURCE")),
    ("Source Code", urls({"Source Code": GITHUB}), ("ann/x", "source", "Source Code")),
    ("source-code", urls({"source-code": GITHUB}), ("ann/x", "source", "source-code")),
    ("source_code", urls(source_code=GITHUB), ("ann/x", "source", "source_code")),
    ("Repository", urls(Repository=GITHUB), ("ann/x", "source", "Repository")),
    ("repository", urls(repository=GITHUB), ("ann/x", "source", "repository")),
    ("GitHub", urls(GitHub=GITHUB), ("ann/x", "source", "GitHub")),
    ("Github", urls(Github=GITHUB), ("ann/x", "source", "Github")),
    # Labels that the specification misses.
    ("Code", urls(Code=GITHUB), ("ann/x", "source", "Code")),
    ("code", urls(code=GITHUB), ("ann/x", "source", "code")),
    ("Repo", urls(Repo=GITHUB), ("ann/x", "source", "Repo")),
    ("Git", urls(Git=GITHUB), ("ann/x", "source", "Git")),
    ("VCS", urls(VCS=GITHUB), ("ann/x", "source", "VCS")),
    ("Sources", urls(Sources=GITHUB), ("ann/x", "source", "Sources")),
    ("Repository URL", urls({"Repository URL": GITHUB}), ("ann/x", "source", "Repository URL")),
    ("Source Repository", urls({"Source Repository": GITHUB}), ("ann/x", "source", "Source Repository")),
    ("Source Control", urls({"Source Control": GITHUB}), ("ann/x", "source", "Source Control")),
    ("GitHub repo", urls({"GitHub: repo": GITHUB}), ("ann/x", "source", "GitHub: repo")),
    ("GitHub Project", urls({"GitHub Project": GITHUB}), ("ann/x", "source", "GitHub Project")),
    ("GitHub and a name", urls({"GitHub: x-server": GITHUB}), ("ann/x", "source", "GitHub: x-server")),
    ("Source and a branch", urls({"Source (main)": GITHUB}), ("ann/x", "source", "Source (main)")),
    # Homepages.
    ("Homepage", urls(Homepage=GITHUB), ("ann/x", "homepage", "Homepage")),
    ("homepage", urls(homepage=GITHUB), ("ann/x", "homepage", "homepage")),
    ("Home", urls(Home=GITHUB), ("ann/x", "homepage", "Home")),
    ("Home Page", urls({"Home Page": GITHUB}), ("ann/x", "homepage", "Home Page")),
    ("Website", urls(Website=GITHUB), ("ann/x", "homepage", "Website")),
    ("URL", urls(URL=GITHUB), ("ann/x", "homepage", "URL")),
    # Any other label.
    (
        "Bug Tracker",
        urls({"Homepage": SITE, "Bug Tracker": f"{GITHUB}/issues"}),
        ("ann/x", "other", "Bug Tracker"),
    ),
    (
        "Changelog",
        urls(Documentation=DOCS, Changelog=f"{GITHUB}/blob/main/CHANGELOG.md"),
        ("ann/x", "other", "Changelog"),
    ),
    ("Release notes", urls({"Release notes": f"{GITHUB}/releases"}), ("ann/x", "other", "Release notes")),
    ("docs in the readme", urls(Documentation=f"{GITHUB}#readme"), ("ann/x", "other", "Documentation")),
    ("docs in the wiki", urls(Docs=f"{GITHUB}/wiki"), ("ann/x", "other", "Docs")),
    ("CI", urls(CI=f"{GITHUB}/actions"), ("ann/x", "other", "CI")),
    ("empty label", urls({"": GITHUB}), ("ann/x", "other", "")),
    ("label of signs", urls({"***": GITHUB}), ("ann/x", "other", "***")),
    ("label in another script", urls({"Исходный код": GITHUB}), ("ann/x", "other", "Исходный код")),
    # Addresses in all their forms.
    (".git", urls(Source=f"{GITHUB}.git"), ("ann/x", "source", "Source")),
    ("trailing slash", urls(Source=f"{GITHUB}/"), ("ann/x", "source", "Source")),
    ("http", urls(Source="http://github.com/ann/x"), ("ann/x", "source", "Source")),
    ("www", urls(Source="https://www.github.com/ann/x"), ("ann/x", "source", "Source")),
    ("git", urls(Source="git://github.com/ann/x.git"), ("ann/x", "source", "Source")),
    ("ssh", urls(Source="ssh://git@github.com/ann/x.git"), ("ann/x", "source", "Source")),
    ("scp-like", urls(Source="git@github.com:ann/x.git"), ("ann/x", "source", "Source")),
    ("git+https", urls(Source="git+https://github.com/ann/x.git"), ("ann/x", "source", "Source")),
    ("no scheme", urls(Source="github.com/ann/x"), ("ann/x", "source", "Source")),
    ("upper case", urls(Source="https://GitHub.com/Ann/X"), ("Ann/X", "source", "Source")),
    ("space around", urls(Source=f" {GITHUB}\n"), ("ann/x", "source", "Source")),
    ("tree/main", urls(Source=f"{GITHUB}/tree/main"), ("ann/x", "source", "Source")),
    ("issues as homepage", urls(Homepage=f"{GITHUB}/issues"), ("ann/x", "homepage", "Homepage")),
    ("query", urls(Source=f"{GITHUB}?tab=readme-ov-file"), ("ann/x", "source", "Source")),
    (
        "folder of a monorepo",
        urls(Source="https://github.com/ann/mono/tree/main/packages/x"),
        ("ann/mono", "source", "Source"),
    ),
    (
        "folder called repos",
        urls(Source="https://github.com/ann/mono/tree/main/api/repos/x"),
        ("ann/mono", "source", "Source"),
    ),
    # Several addresses.
    ("source after homepage", urls(Homepage=SITE, Source=GITHUB), ("ann/x", "source", "Source")),
    (
        "source before a homepage in another repository",
        urls(Homepage="https://github.com/ann/site", Source=GITHUB),
        ("ann/x", "source", "Source"),
    ),
    (
        "label of the specification before another",
        urls(Code="https://github.com/ann/other", Repository=GITHUB),
        ("ann/x", "source", "Repository"),
    ),
    (
        "exact label before one that begins so",
        urls({"GitHub: other": "https://github.com/ann/other", "Code": GITHUB}),
        ("ann/x", "source", "Code"),
    ),
    (
        "homepage before issues elsewhere",
        urls({"Issues": "https://github.com/ann/tracker/issues", "Home": GITHUB}),
        ("ann/x", "homepage", "Home"),
    ),
    (
        "the project's own order among equals",
        urls({"Source": GITHUB, "GitHub": "https://github.com/ann/mirror"}),
        ("ann/x", "source", "Source"),
    ),
    (
        "the other order",
        urls({"GitHub": "https://github.com/ann/mirror", "Source": GITHUB}),
        ("ann/mirror", "source", "GitHub"),
    ),
    (
        "source elsewhere, homepage on GitHub",
        urls(Source="https://gitlab.com/ann/x", Homepage=GITHUB),
        ("ann/x", "homepage", "Homepage"),
    ),
    (
        "source is an owner, homepage a repository",
        urls(Source="https://github.com/ann", Homepage=GITHUB),
        ("ann/x", "homepage", "Homepage"),
    ),
    ("null, then a repository", urls(Source=None, Homepage=GITHUB), ("ann/x", "homepage", "Homepage")),
    ("empty, then a repository", urls(Source="", Code=GITHUB), ("ann/x", "source", "Code")),
    ("nonsense, then a repository", urls(Source="UNKNOWN", Code=GITHUB), ("ann/x", "source", "Code")),
    # Sponsors and funding.
    (
        "sponsors page",
        urls(Sponsor="https://github.com/sponsors/ann", Tracker=f"{GITHUB}/issues"),
        ("ann/x", "other", "Tracker"),
    ),
    (
        "sponsors page below a label of the source",
        urls({"GitHub Sponsors": "https://github.com/sponsors/ann", "Home": GITHUB}),
        ("ann/x", "homepage", "Home"),
    ),
    ("sponsors page alone", urls(Funding="https://github.com/sponsors/ann"), None),
    ("funding that names a repository", urls(Funding="https://github.com/ann/sponsorship"), None),
    ("donations that name a repository", urls({"Donate!": "https://github.com/ann/donate"}), None),
    (
        "funding before a tracker",
        urls({"funding": "https://github.com/ann/fund", "Bug tracker": f"{GITHUB}/issues"}),
        ("ann/x", "other", "Bug tracker"),
    ),
    # The old fields.
    ("home_page", named(home_page=GITHUB), ("ann/x", "homepage", "home_page")),
    ("home_page with a slash", named(home_page=f"{GITHUB}/"), ("ann/x", "homepage", "home_page")),
    (
        "download_url",
        named(download_url=f"{GITHUB}/archive/v1.0.tar.gz"),
        ("ann/x", "other", "download_url"),
    ),
    (
        "home_page before download_url",
        named(download_url="https://github.com/ann/dist/releases", home_page=GITHUB),
        ("ann/x", "homepage", "home_page"),
    ),
    (
        "home_page beside a site",
        named(home_page=GITHUB, project_urls={"Homepage": SITE}),
        ("ann/x", "homepage", "home_page"),
    ),
    (
        "Homepage before home_page",
        named(home_page="https://github.com/ann/old", project_urls={"Homepage": GITHUB}),
        ("ann/x", "homepage", "Homepage"),
    ),
    (
        "source before home_page",
        named(home_page="https://github.com/ann/old", project_urls={"Code": GITHUB}),
        ("ann/x", "source", "Code"),
    ),
    ("home_page UNKNOWN", named(home_page="UNKNOWN", download_url="UNKNOWN"), None),
    # None.
    ("null project_urls", named(project_urls=None), None),
    ("no project_urls", urls({}), None),
    ("null addresses", urls(Source=None, Homepage=None), None),
    ("a site and docs", urls(Homepage=SITE, Documentation=DOCS), None),
    ("docs on github.io", urls(Documentation="https://ann.github.io/x/"), None),
    ("an owner", urls(Homepage="https://github.com/ann"), None),
    ("an organisation", urls(Source="https://github.com/orgs/ann/repositories"), None),
    (
        "GitLab alone",
        urls(Source="https://gitlab.com/ann/x", Issues="https://gitlab.com/ann/x/-/issues"),
        None,
    ),
    ("Bitbucket alone", named(home_page="https://bitbucket.org/ann/x"), None),
    ("a gist", urls(Source="https://gist.github.com/ann/0123456789abcdef"), None),
    ("a raw file", urls(Source="https://raw.githubusercontent.com/ann/x/main/x.py"), None),
    ("a host that looks alike", urls(Source="https://github.com.example/ann/x"), None),
    ("the index itself", urls(Homepage="https://pypi.example/project/x/"), None),
    ("broken addresses", urls(Source="https://[", Home="http://github.com:x/ann/x", Code="\x00"), None),
]


@pytest.mark.parametrize(
    ("project", "expected"), [row[1:] for row in PUBLISHED], ids=[row[0] for row in PUBLISHED]
)
def test_the_repository_is_told_by_the_labels(
    project: Project, expected: tuple[str, str, str] | None
) -> None:
    found = repository_of(project, HOSTS)
    if expected is None:
        assert found is None
    else:
        owner, _, name = expected[0].partition("/")
        assert found == Found(Repository(owner, name), *expected[1:])


def test_all_repositories_come_with_the_likeliest_first() -> None:
    project = named(
        project_urls={
            "Issues": "https://github.com/ann/tracker/issues",
            "Home": "https://github.com/ann/site",
            "Docs": DOCS,
            "Code": "https://github.com/ann/code",
            "Source": "https://github.com/ann/source",
            "GitHub: x": "https://github.com/ann/x",
            "Funding": "https://github.com/ann/fund",
        },
        home_page="https://github.com/ann/old",
    )
    found = [(entry.repository.name, entry.label) for entry in repositories_of(project, HOSTS)]
    assert found == [
        ("source", "Source"),
        ("code", "Code"),
        ("x", "GitHub: x"),
        ("site", "Home"),
        ("old", "home_page"),
        ("tracker", "Issues"),
    ]


def test_a_repository_on_an_enterprise_host_is_found() -> None:
    project = urls(Source="https://code.example/ann/x")
    hosts = Hosts(code=frozenset({"code.example"}))
    assert repository_of(project, hosts) == Found(Repository("ann", "x", "code.example"), "source", "Source")
    assert repository_of(project, HOSTS) is None


@pytest.mark.parametrize(
    ("project", "address"),
    [
        (urls(Documentation=DOCS), DOCS),
        (urls(documentation=DOCS), DOCS),
        (urls(DOCUMENTATION=DOCS), DOCS),
        (urls(Docs=DOCS), DOCS),
        (urls(docs=DOCS), DOCS),
        (urls({"docs:": DOCS}), DOCS),
        (urls(Homepage=SITE, Docs=DOCS, Documentation="https://second.example/"), DOCS),
        (urls(Documentation=None, Docs=DOCS), DOCS),
        (urls(Documentation="", Docs=DOCS), DOCS),
        (named(docs_url="https://pythonhosted.example/x/", project_urls={"Docs": DOCS}),
         "https://pythonhosted.example/x/"),
        (named(docs_url="", project_urls={"Docs": DOCS}), DOCS),
        (named(docs_url=None, project_urls=None), None),
        (urls({}), None),
        (urls(Documentation=None), None),
        (urls(Documentation=""), None),
        (urls(Homepage=SITE, Source=GITHUB, Changelog=f"{GITHUB}/releases"), None),
        (urls({"Documentation (old)": DOCS}), None),
    ],
)  # fmt: skip
def test_the_documentation_is_told_by_its_field_or_its_label(project: Project, address: str | None) -> None:
    assert documentation_of(project) == address


@pytest.mark.parametrize(
    ("label", "normalised"),
    [
        ("Source Code", "sourcecode"),
        ("source-code", "sourcecode"),
        ("SOURCE_CODE", "sourcecode"),
        (" Source\tcode:\n", "sourcecode"),
        ("GitHub: repo", "githubrepo"),
        ("Change.Log!", "changelog"),
        ("!?", ""),
        ("", ""),
        ("Код", "код"),
    ],
)
def test_labels_are_compared_without_punctuation_space_and_case(label: str, normalised: str) -> None:
    assert normalise_label(label) == normalised


REQUEST = PyPI("https://pypi.example").project(canonicalize_name("Django_X"))


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(REQUEST.url, status, headers or {}, data, OURS)


def error_of(response: Response, request: Request[Project] = REQUEST) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        request.judge(response)
    assert str(caught.value).isprintable()
    return caught.value


def test_a_project_is_asked_for_by_its_normalised_name() -> None:
    assert (REQUEST.service, REQUEST.method, REQUEST.url) == (
        "PyPI",
        "GET",
        "https://pypi.example/pypi/django-x/json",
    )
    assert REQUEST.headers == {"accept": "application/json"}
    assert REQUEST.token is None


def test_a_project_is_read_and_unknown_fields_are_left_out() -> None:
    info = {
        "name": "Django_X",
        "version": "1.2",
        "project_urls": {"Source": GITHUB, "Homepage": None},
        "home_page": "",
        "download_url": None,
        "docs_url": DOCS,
        "classifiers": ["Framework :: Django"],
        "downloads": {"last_day": -1},
    }
    project = REQUEST.judge(answer({"info": info, "last_serial": 7, "urls": [], "releases": {}}))
    assert project == Project(
        name="Django_X",
        version="1.2",
        project_urls={"Source": GITHUB, "Homepage": None},
        home_page="",
        download_url=None,
        docs_url=DOCS,
    )


def test_a_project_with_a_name_and_a_version_alone_is_read() -> None:
    assert REQUEST.judge(answer({"info": {"name": "x", "version": "1.0"}})) == named()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"info": {"name": "x", "version": 1.0}}, "$.info.version"),
        ({"info": {"name": "x", "version": None}}, "$.info.version"),
        ({"info": {"name": ["x"], "version": "1"}}, "$.info.name"),
        ({"info": {"name": "x"}}, "$.info"),
        ({"info": {"name": "x", "version": "1", "project_urls": []}}, "$.info.project_urls"),
        ({"info": {"name": "x", "version": "1", "project_urls": {"Source": 7}}}, "$.info.project_urls[...]"),
        ({"info": {"name": "x", "version": "1", "docs_url": False}}, "$.info.docs_url"),
        ({"info": None}, "$.info"),
        ({}, "`info`"),
        ([], "got `array`"),
        (None, "got `null`"),
    ],
)
def test_another_shape_is_an_error_that_names_host_and_field(body: object, path: str) -> None:
    error = error_of(answer(body))
    assert type(error) is MalformedError
    assert error.message.startswith("pypi.example answered in an unexpected shape: ")
    assert path in error.message
    assert not error.retryable


def test_another_shape_below_text_that_is_not_clean_is_the_same_error() -> None:
    error = error_of(answer(b'{"info": {"name": "\\ud800", "version": 1}}'))
    assert type(error) is MalformedError
    assert "$.info.version" in error.message


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        (b"<html>\n<title>Busy</title>", "'<html> <title>Busy</title>'"),
        (b"", "nothing"),
        (b'{"info": {"name": "x", "vers', """'{"info": {"name": "x", "vers'"""),
        (b"\x00\x1b[31m", "'\ufffd\ufffd[31m'"),
        (b'{"info": NaN}', "'{\"info\": NaN}'"),
        (b'{"a":' * 100_000, """'{"a":{"a":"""),
        (
            b'{"info": {"name": "\\ud800", "a": 1' + b"0" * 5000 + b"}}",
            """'{"info": {"name": "\\ud800", "a": 10""",
        ),
    ],
    ids=["html", "empty", "cut off", "control characters", "NaN", "nested", "long number"],
)
def test_what_is_no_json_is_an_error_that_shows_its_beginning(body: bytes, excerpt: str) -> None:
    error = error_of(answer(body))
    assert type(error) is UnreadableError
    assert error.message.startswith(f"pypi.example answered what is not JSON: {excerpt}")
    assert len(error.message) < 200
    assert error.retryable


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (b"\\ud800", "\ufffd"),
        (b"a\\udc00b", "a\ufffdb"),
        (b"\\ud83d\\udc0e", "🐎"),
        (b"\\ud800\\ud83d\\udc0e", "\ufffd🐎"),
        (b"\xff", "\ufffd"),
        (b"caf\xe9", "caf\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        ("Žluť 🐎".encode(), "Žluť 🐎"),
    ],
    ids=["high", "low", "pair", "high and pair", "no UTF-8", "Latin-1", "half in UTF-8", "clean"],
)
def test_text_that_is_not_clean_is_replaced(name: bytes, read: str) -> None:
    project = REQUEST.judge(answer(b'{"info": {"name": "' + name + b'", "version": "1.0"}}'))
    assert project == Project(name=read, version="1.0")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert REQUEST.judge(answer(b'\xef\xbb\xbf{"info": {"name": "x", "version": "1.0"}}')) == named()


@pytest.mark.parametrize("status", [404, 410])
def test_an_unknown_project_is_not_found(status: int) -> None:
    error = error_of(answer({"message": "Not Found"}, status))
    assert type(error) is NotFoundError
    assert error.message == f"the project 'django-x' is not on pypi.example ({status})"
    assert not error.retryable


RETRY_AFTER = [
    (None, None),
    ("120", 120.0),
    (" 7 ", 7.0),
    ("0", 0.0),
    ("Sun, 15 Feb 2026 12:01:30 GMT", 90.0),
    ("Sunday, 15-Feb-26 12:01:30 GMT", 90.0),
    ("Sun Feb 15 12:01:30 2026", 90.0),
    ("Sun, 15 Feb 2026 11:00:00 GMT", 0.0),
    ("Sun, 15 Feb 2026 12:01:30 -0000", 90.0),
    ("Thu, 01 Jan 0001 00:00:00 GMT", 0.0),
    ("soon", None),
    ("-5", None),
    ("1.5", None),
    ("²", None),
    ("", None),
    ("9" * 30, 999_999_999.0),
    ("Sun, 15 Feb 2026 12:01:30 +99999999999999999999", None),
    ("Sun, 99999999999999999999 Feb 2026 12:01:30 GMT", None),
]


@pytest.mark.parametrize(("text", "seconds"), RETRY_AFTER)
def test_a_limit_tells_how_long_to_wait_by_the_hosts_clock(text: str | None, seconds: float | None) -> None:
    headers = {"date": THEIRS} | ({} if text is None else {"retry-after": text})
    error = error_of(answer(b"", 429, headers))
    assert isinstance(error, RateLimitedError)
    assert (error.message, error.wait) == ("pypi.example wants fewer requests", seconds)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 15 Feb 2026 12:00:00 +99999999999999999999"])
def test_without_a_date_that_makes_sense_our_own_clock_counts(date: str | None) -> None:
    headers = {"retry-after": "Tue, 01 Jan 2030 00:00:09 GMT"} | ({} if date is None else {"date": date})
    error = error_of(answer(b"", 429, headers))
    assert isinstance(error, RateLimitedError)
    assert error.wait == 9.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("30", 30.0)])
def test_a_host_that_cannot_answer_now_is_unavailable(
    status: int, text: str | None, seconds: float | None
) -> None:
    headers = {} if text is None else {"retry-after": text}
    error = error_of(answer(b"<html>\n<h1>Backend is unhealthy</h1>", status, headers))
    assert isinstance(error, UnavailableError)
    assert error.message == (
        f"pypi.example answered {status} for the project 'django-x': '<html> <h1>Backend is unhealthy</h1>'"
    )
    assert (error.after, error.retryable) == (seconds, True)


@pytest.mark.parametrize("status", [300, 302])
def test_a_redirect_that_was_not_followed_leads_nowhere(status: int) -> None:
    error = error_of(answer(b"", status))
    assert type(error) is RedirectError
    assert error.message == f"pypi.example answered {status} for the project 'django-x', which leads nowhere"


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 451])
def test_any_other_status_is_a_refusal(status: int) -> None:
    error = error_of(answer(b"no\x07", status))
    assert type(error) is RefusedError
    assert error.message == f"pypi.example answered {status} for the project 'django-x': 'no\ufffd'"


@pytest.mark.parametrize(
    ("urls", "full_name"),
    [
        (
            {"Documentation": "https://github.com/o/docs", "Bug Tracker": "https://github.com/o/r/issues"},
            "o/r",
        ),
        ({"Source": "https://gitlab.com/o/r", "Based on": "https://github.com/other/thing"}, None),
        ({"Source": "https://gitlab.com/o/r", "Repository": "https://github.com/o/r"}, "o/r"),
        ({"Homepage": "https://github.com/o/home", "Code (GitHub)": "https://github.com/o/r"}, "o/r"),
        ({"Homepage": "https://github.com/o/home", "Project on GitHub": "https://github.com/o/r"}, "o/r"),
        ({"Buy me a coffee": "https://github.com/o/me"}, None),
    ],
)
def test_labels_that_mislead_do_not(urls: dict[str, str], full_name: str | None) -> None:
    found = repository_of(Project("x", "1", project_urls=dict(urls)), Hosts())
    assert (found and found.repository.full_name) == full_name
