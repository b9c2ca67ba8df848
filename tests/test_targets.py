"""Texts that people paste, and what they name."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from pkgharvest.errors import TargetError
from pkgharvest.targets import (
    CatalogTarget,
    CollectionTarget,
    Hosts,
    PackageTarget,
    Repository,
    RepositoryTarget,
    package_of,
    parse_project,
    parse_repository,
    parse_target,
    redacted,
    slug_of,
)

ENTERPRISE = Hosts(code=frozenset({"github.com", "api.github.com", "code.example"}))
DROPPED = "the credentials in the URL were dropped"
SECRET = "hunter2"

PACKAGES = [
    ("django-pghistory", "django-pghistory", "django-pghistory"),
    ("  django-pghistory\n", "django-pghistory", "django-pghistory"),
    ("x", "x", "x"),
    ("7", "7", "7"),
    ("a" * 200, "a" * 200, "a" * 200),
    # The alphabet of slugs: as it stands.
    ("django_x", "django_x", "django-x"),
    ("django--x", "django--x", "django-x"),
    ("django-x-", "django-x-", "django-x"),
    ("_django", "_django", "django"),
    # Any other spelling is one of PyPI's.
    ("Django-X", "django-x", "django-x"),
    ("DJANGO_X", "django-x", "django-x"),
    ("zope.interface", "zope-interface", "zope-interface"),
    ("Zope._-Interface", "zope-interface", "zope-interface"),
    # PyPI and its mirrors.
    ("https://pypi.example/project/Django_X/", "django-x", "django-x"),
    ("https://pypi.example/project/Django_X/1.0/", "django-x", "django-x"),
    ("https://pypi.example/project/django-x/#history", "django-x", "django-x"),
    ("https://pypi.example/pypi/django.x/json", "django-x", "django-x"),
    ("https://pypi.example/simple/django-x/", "django-x", "django-x"),
    ("https://pypi.example/p/django-x", "django-x", "django-x"),
    ("http://pypi.python.org/pypi/x/json", "x", "x"),
    ("http://pypi.python.org/pypi/x", "x", "x"),
    ("HTTPS://WWW.PYPI.EXAMPLE/project/x", "x", "x"),
    ("pypi.example/project/x/", "x", "x"),
    # Django Packages.
    ("https://djangopackages.org/packages/p/django-x/", "django-x", "django-x"),
    ("https://djangopackages.org/packages/p/django_x", "django_x", "django-x"),
    ("https://djangopackages.org/packages/p/Django-X/", "django-x", "django-x"),
    ("https://www.djangopackages.org/packages/p/django-x/", "django-x", "django-x"),
    ("djangopackages.org/packages/p/django-x/", "django-x", "django-x"),
    ("https://djangopackages.org/api/v4/packages/django-x/", "django-x", "django-x"),
    ("https://djangopackages.org/api/v4/packages/django-x/?format=json", "django-x", "django-x"),
    # On a page digits are a slug; the API alone takes them as a number.
    ("https://djangopackages.org/packages/p/42/", "42", "42"),
]

NUMBERS = [
    ("https://djangopackages.org/api/v4/packages/42/", 42),
    ("https://djangopackages.org/api/v4/packages/42", 42),
    ("http://djangopackages.org/api/v4/packages/0042/?format=json", 42),
    ("djangopackages.org/api/v4/packages/42/", 42),
]

REPOSITORIES = [
    ("https://github.com/a/b", "a/b"),
    ("http://github.com/a/b", "a/b"),
    ("git://github.com/a/b.git", "a/b"),
    ("ssh://git@github.com/a/b.git", "a/b"),
    ("ssh://git@github.com:22/a/b.git", "a/b"),
    ("git@github.com:a/b.git", "a/b"),
    ("git@github.com:/a/b.git", "a/b"),
    ("git@github.com:a/b", "a/b"),
    ("github.com:a/b.git", "a/b"),
    ("git+https://github.com/a/b.git@v1.0#egg=b", "a/b"),
    ("git+https://github.com/a/b@main", "a/b"),
    ("git+http://github.com/a/b.git", "a/b"),
    ("git+ssh://git@github.com/a/b.git@v1.0", "a/b"),
    ("git+git://github.com/a/b.git", "a/b"),
    ("github.com/a/b", "a/b"),
    ("www.github.com/a/b", "a/b"),
    ("GitHub.com/a/b", "a/b"),
    ("https://www.github.com/a/b", "a/b"),
    ("https://github.com/a/b.git", "a/b"),
    ("https://github.com/a/b/", "a/b"),
    ("https://github.com/a/b.git/", "a/b"),
    ("https://github.com//a//b", "a/b"),
    ("https://github.com/a/b/tree/main/sub", "a/b"),
    ("https://github.com/a/b/issues/3", "a/b"),
    ("https://github.com/a/b/blob/main/README.md#usage", "a/b"),
    ("https://github.com/a/b?tab=readme-ov-file", "a/b"),
    ("https://github.com/a/b#readme", "a/b"),
    ("https://github.com/a/b/?x=1#y", "a/b"),
    ("HTTPS://GITHUB.COM/A/B", "A/B"),
    ("https://github.com./a/b", "a/b"),
    ("https://github.com:443/a/b", "a/b"),
    ("https://github.com/a/b.js", "a/b.js"),
    ("https://github.com/a/.github", "a/.github"),
    ("https://github.com/a-b/c_d.e-f", "a-b/c_d.e-f"),
    ("https://github.com/%61/%62", "a/b"),
    ("https://api.github.com/repos/a/b", "a/b"),
    ("https://api.github.com/repos/a/b/commits?per_page=100", "a/b"),
    ("api.github.com/repos/a/b", "a/b"),
    ("https://api.github.com/repos/a/repos", "a/repos"),
    # Names that are parts of the API's addresses, in the addresses of pages.
    ("https://github.com/a/repos", "a/repos"),
    ("https://github.com/a/repos/tree/main/api/x", "a/repos"),
    ("https://github.com/a/b/tree/main/api/repos", "a/b"),
    ("https://github.com/a/b/tree/main/api/repos/c/d", "a/b"),
]

CREDENTIALS = [
    (f"https://user:{SECRET}@github.com/a/b", "https://github.com/a/b"),
    (f"https://{SECRET}@github.com/a/b.git", "https://github.com/a/b.git"),
    (f"https://git:{SECRET}@github.com/a/b", "https://github.com/a/b"),
    (f"https://user:p@{SECRET}@github.com/a/b", "https://github.com/a/b"),
    (f"git+https://x-access-token:{SECRET}@github.com/a/b@main", "git+https://github.com/a/b@main"),
    (f"ssh://{SECRET}@github.com/a/b", "ssh://github.com/a/b"),
    (f"user:{SECRET}@github.com/a/b", "github.com/a/b"),
    (f"{SECRET}@github.com:a/b", "github.com:a/b"),
    (f"https://git@{SECRET}@github.com/a/b", "https://github.com/a/b"),
    (f"https://u:{SECRET}@pypi.example/project/x/", "https://pypi.example/project/x/"),
    (f"https://u:{SECRET}@djangopackages.org/packages/p/x/", "https://djangopackages.org/packages/p/x/"),
    (
        f"https://u:{SECRET}@djangopackages.org/api/v4/packages/7/",
        "https://djangopackages.org/api/v4/packages/7/",
    ),
]

BAD = [
    ("", "an empty name"),
    (" \t ", "an empty name"),
    ("../../etc/passwd", "'../../etc/passwd' is no name of a package"),
    ("..", "'..' is no name"),
    (".", "'.' is no name"),
    ("/etc/passwd", "'/etc/passwd' is no name"),
    ("a\\b", "is no name"),
    ("-", "'-' is no name"),
    ("--quiet=1", "is no name"),
    ("a b", "'a b' is no name of a package"),
    ("django-x==1.0", "is no name"),
    ("%2e%2e", "'%2e%2e' is no name"),
    ("a" * 201, "a name of 201 characters"),
    ("a" * 300, "a name of 300 characters; the longest that is taken has 200"),
    ("a\x00b", "'a\\x00b' holds characters that no name has"),
    ("\x00", "'\\x00' holds characters"),
    ("a\nb", "'a\\nb' holds characters"),
    ("\x1b[31mred", "'\\x1b[31mred' holds characters"),
    ("x\u202egnp", "'x\\u202egnp' holds characters"),
    ("x\u200by", "'x\\u200by' holds characters"),
    ("\ud800", "'\\ud800' holds characters"),
    ("https://github.com/a/b\x7f", "holds characters"),
    ("café", "'café' is no name"),
    ("джанго", "'джанго' is no name"),
    ("ſ", "'ſ' is no name"),
    ("\u212a", "is no name"),
    ("①", "'①' is no name"),
    ("https://pypi.example/project/ſ/", "is no name of a project on PyPI"),
    ("https://github.com/ſ/b", "is no name of a repository"),
    ("https://github.com/a/ı", "is no name of a repository"),
    ("a/b", "'a/b' is no name of a package. For a repository on GitHub write https://github.com/a/b"),
    ("https://github.com", "'https://github.com' names no repository"),
    ("github.com/", "'github.com/' names no repository"),
    ("github.com", "'github.com' names no repository"),
    ("https://github.com/only-owner", "names an owner, not a repository"),
    ("https://github.com/only-owner/", "names an owner, not a repository"),
    ("https://github.com/sponsors/x", "is a page of github.com, not a repository"),
    ("https://github.com/orgs/x/repositories", "is a page of github.com, not a repository"),
    ("https://github.com/Marketplace/x", "is a page of github.com, not a repository"),
    ("https://github.com/%2e%2e/b", "'../b' is no name of a repository"),
    ("https://github.com/a/%2e%2e", "'a/..' is no name of a repository"),
    ("https://github.com/a/..", "'a/..' is no name of a repository"),
    ("https://github.com/a/b%2fc", "'a/b/c' is no name of a repository"),
    ("https://github.com/a/b%00", "'a/b\\x00' is no name of a repository"),
    ("https://github.com/a/.git", "'a/' is no name of a repository"),
    ("https://github.com/a/" + "b" * 101, "is no name of a repository"),
    ("https://github.com/café/b", "'café/b' is no name of a repository"),
    ("https://api.github.com/repos/a", "names an owner, not a repository"),
    ("ftp://x", "'ftp://x': ftp:// is no scheme of a repository or package"),
    ("file:///etc/passwd", "file:// is no scheme"),
    ("javascript://github.com/a/b", "javascript:// is no scheme"),
    ("://github.com/a/b", ":// is no scheme"),
    ("https://gitlab.com/a/b", "repositories on gitlab.com are not read yet, only those on GitHub"),
    ("gitlab.com/a/b", "repositories on gitlab.com are not read yet"),
    ("git@bitbucket.org:a/b.git", "repositories on bitbucket.org are not read yet"),
    ("https://codeberg.org/a/b", "repositories on codeberg.org are not read yet"),
    ("https://git.sr.ht/~a/b", "repositories on git.sr.ht are not read yet"),
    ("https://unknown.example/a/b", "unknown.example is no host that is read"),
    ("https://github.com.evil.example/a/b", "github.com.evil.example is no host that is read"),
    ("https://gist.github.com/a/b", "gist.github.com is no host that is read"),
    ("https://a.github.io/b", "a.github.io is no host that is read"),
    ("https://github.com@evil.example/a/b", "evil.example is no host that is read"),
    ("https://code.example/a/b", "code.example is no host that is read"),
    ("https:///a/b", "no host"),
    ("https://github.com:port/a/b", "is no URL"),
    ("https://github.com:99999/a/b", "is no URL"),
    ("https://[::1/a/b", "is no URL"),
    ("https://[zz]/a/b", ""),
    ("https://exa\u2100mple.example/a/b", "is no URL"),
    ("https://github.com/a/b?" + "x" * 2000, "a URL of 2023 characters"),
    ("https://pypi.example/", "is no address of a project on PyPI"),
    ("https://pypi.example/project/", "is no address of a project on PyPI"),
    ("https://pypi.example/user/x/", "is no address of a project on PyPI"),
    ("https://pypi.example/project/%2e%2e/", "'..' is no name of a project on PyPI"),
    ("https://pypi.example/project/" + "a" * 201, "is no name of a project on PyPI"),
    ("https://djangopackages.org/", "is no address of a package in the catalog"),
    ("https://djangopackages.org/grids/", "is no address of a package in the catalog"),
    ("https://djangopackages.org/packages/p/%2e%2e/", "'..' is no slug"),
    ("https://djangopackages.org/packages/p/a.b/", "'a.b' is no slug"),
    ("https://djangopackages.org/packages/p/a%00b/", "'a\\x00b' is no slug"),
    ("https://djangopackages.org/packages/p/" + "a" * 201, "is no slug"),
]

BAD_WITH_CREDENTIALS = [
    f"https://u:{SECRET}@unknown.example/a/b",
    f"https://u:{SECRET}@github.com/only-owner",
    f"https://u:{SECRET}@github.com:port/a/b",
    f"https://u:{SECRET}@pypi.example/user/x/",
    f"ftp://u:{SECRET}@github.com/a/b",
    f"https://u:{SECRET}@[::1/a/b",
    f"https://u:{SECRET}@exa\u2100mple.example/a/b",
    f"https://u:{SECRET}@",
    f"https://u:{SECRET}@/a/b",
    f"https://u:{SECRET}@.github.com/a/b",
    f"https:/u:{SECRET}@github.com/a/b",
    f"https://https://u:{SECRET}@github.com/a/b",
    f"u:{SECRET}@localhost/b",
    f"u:{SECRET}@localhost",
    f"https://u:{SECRET}@github.com/a/b\x7f",
]

SAME = [
    ("django-x", "Django_X"),
    ("django_x", "django-x"),
    ("zope.interface", "Zope-Interface"),
    ("django-x", "https://pypi.example/project/Django.X/"),
    ("django-x", "https://djangopackages.org/packages/p/django_x/"),
    (
        "https://djangopackages.org/api/v4/packages/7/",
        "http://djangopackages.org/api/v4/packages/07?format=json",
    ),
    ("https://github.com/a/b", "git@github.com:A/B.git"),
    ("https://github.com/a/b", "https://api.github.com/repos/a/b"),
    ("https://github.com/a/b", "https://WWW.GitHub.com/A/b/tree/main"),
]

DIFFERENT = [
    ("a-b", "ab"),
    ("b", "https://github.com/a/b"),
    ("https://github.com/a/b", "https://github.com/c/b"),
    ("7", "https://djangopackages.org/api/v4/packages/7/"),
    ("https://github.com/a/b", "https://code.example/a/b"),
]


def message_of(text: str) -> str:
    with pytest.raises(TargetError) as caught:
        parse_target(text)
    return str(caught.value)


@pytest.mark.parametrize(("text", "slug", "project"), PACKAGES)
def test_names_and_pages_of_packages_are_packages(text: str, slug: str, project: str) -> None:
    target = parse_target(text)
    assert isinstance(target, PackageTarget)
    assert (target.text, target.slug, target.project) == (shown(text), slug, project)
    assert (target.key, target.warnings) == (f"package:{project}", ())


def shown(text: str) -> str:
    """Return a target's text: a query or fragment can hold a token, and is left out."""
    return re.split("[?#]", text.strip(), maxsplit=1)[0]


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_numbers_in_the_catalogs_api_are_catalog_numbers(text: str, number: int) -> None:
    target = parse_target(text)
    assert target == CatalogTarget(shown(text), number)
    assert target.key == f"catalog:{number}"


@pytest.mark.parametrize(("text", "full_name"), REPOSITORIES)
def test_addresses_in_a_repository_name_the_repository(text: str, full_name: str) -> None:
    owner, _, name = full_name.partition("/")
    target = parse_target(text)
    assert target == RepositoryTarget(shown(text), Repository(owner, name))
    assert target.key == f"repository:github.com/{full_name.lower()}"
    assert isinstance(target, RepositoryTarget)
    assert target.repository.url == f"https://github.com/{full_name}"


@pytest.mark.parametrize(("text", "shown"), CREDENTIALS)
def test_credentials_are_dropped_with_a_warning(text: str, shown: str) -> None:
    target = parse_target(text)
    assert (target.text, target.warnings) == (shown, (DROPPED,))
    assert SECRET not in repr(target) + target.key


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_what_names_nothing_is_refused_in_one_printable_line(text: str, problem: str) -> None:
    message = message_of(text)
    assert problem in message
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize("text", BAD_WITH_CREDENTIALS)
def test_a_refusal_does_not_repeat_credentials(text: str) -> None:
    message = message_of(text)
    assert SECRET not in message
    assert message.isprintable()


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_package_have_one_key(one: str, other: str) -> None:
    assert parse_target(one).key == parse_target(other).key


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_packages_have_different_keys(one: str, other: str) -> None:
    assert parse_target(one, ENTERPRISE).key != parse_target(other, ENTERPRISE).key


@pytest.mark.parametrize(
    "text",
    [
        "https://code.example/a/b",
        "https://code.example:8443/a/b.git",
        "https://CODE.example/a/b/tree/main",
        "git@code.example:a/b.git",
        "code.example/a/b",
        "https://code.example/api/v3/repos/a/b",
        "https://code.example/api/v3/repos/a/b/commits",
    ],
)
def test_a_repository_on_an_enterprise_host_keeps_its_host(text: str) -> None:
    target = parse_target(text, ENTERPRISE)
    assert target == RepositoryTarget(text, Repository("a", "b", "code.example"))
    assert target.key == "repository:code.example/a/b"
    assert isinstance(target, RepositoryTarget)
    assert target.repository.url == "https://code.example/a/b"


def test_a_catalog_at_another_address_is_known_by_its_host() -> None:
    hosts = Hosts(catalog=frozenset({"catalog.example"}))
    text = "https://catalog.example/packages/p/x/"
    assert parse_target(text, hosts) == PackageTarget(text, "x", canonicalize_name("x"))
    with pytest.raises(TargetError, match=r"djangopackages\.org is no host that is read"):
        parse_target("https://djangopackages.org/packages/p/x/", hosts)


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://github.com/a/django-x", "django-x"),
        ("https://github.com/a/django_x", "django_x"),
        ("https://github.com/a/Django.X", "django-x"),
        ("https://github.com/a/x.js", "x-js"),
    ],
)
def test_the_slug_of_a_repository_is_made_of_its_name(url: str, slug: str) -> None:
    target = parse_target(url)
    assert isinstance(target, RepositoryTarget)
    assert target.slug == slug


@pytest.mark.parametrize(
    ("name", "slug"), [("django-x", "django-x"), ("a_b", "a_b"), ("A_B", "a-b"), ("a.b", "a-b")]
)
def test_slug_of_leaves_slugs_and_normalises_names(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/a/b/issues", Repository("a", "b")),
        ("https://code.example/a/b", Repository("a", "b", "code.example")),
        ("https://github.com/a", None),
        ("https://github.com/sponsors/a", None),
        ("https://gitlab.com/a/b", None),
        ("https://pypi.example/project/b/", None),
        ("a-name", None),
        ("UNKNOWN", None),
        ("", None),
        ("https://[", None),
    ],
)
def test_parse_repository_takes_repositories_alone(url: str, repository: Repository | None) -> None:
    assert parse_repository(url, ENTERPRISE) == repository


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("http://pypi.python.org/pypi/Django_X", "django-x"),
        ("https://pypi.example/project/django-x/", "django-x"),
        ("https://pypi.example/user/x/", None),
        ("https://pypi.example/project/%2e%2e/", None),
        ("https://github.com/a/b", None),
        ("django-x", None),
        ("", None),
        ("https://[", None),
    ],
)
def test_parse_project_takes_projects_alone(url: str, project: str | None) -> None:
    assert parse_project(url) == project


PIECES = st.sampled_from(
    """https:// http:// git+ssh:// git@ user:pw@ www. github.com api.github.com gitlab.com pypi.example
    djangopackages.org / // : @ # ? .git . .. %2e %2f %00 a b-c D_e repos api v3 v4 packages p project
    tree sponsors 42 :22 [ ] ſ é""".split()
)


@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
@example("https://github.com/a/...")
@example("https://github.com/a/._.")
@example("https://pypi.example/project/ſ")
@example("İ")
def test_any_text_is_a_safe_target_or_a_printable_error(text: str) -> None:
    try:
        target = parse_target(text)
    except TargetError as error:
        assert str(error).isprintable()  # noqa: PT017  most texts raise, and that is fine
    else:
        assert target.text.isprintable()
        if not isinstance(target, CatalogTarget | CollectionTarget):
            assert re.fullmatch(r"[a-z0-9_-]+", target.slug, re.ASCII)
            assert len(target.slug) <= 200


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@github.com:a/b.git",
        "git+ssh://git@github.com:a/b.git",
        "ssh://git@ssh.github.com:443/a/b.git",
        "//github.com/a/b",
    ],
)
def test_forms_that_mix_others_name_the_repository(text: str) -> None:
    assert parse_repository(text) == Repository("a", "b")


def test_a_number_of_a_repository_is_no_owner_and_name() -> None:
    with pytest.raises(TargetError, match="names no repository by owner and name"):
        parse_target("https://api.github.com/repositories/123")


def test_a_query_is_not_told_on() -> None:
    assert f"{SECRET}" not in repr(parse_target(f"https://github.com/a/b?access_token={SECRET}"))


@pytest.mark.parametrize(
    ("slug", "project"),
    [("x", "x"), ("Django_X", "django-x"), ("_x-", "x"), ("7", "7"), ("A" * 200, "a" * 200)],
)
def test_a_recorded_slug_is_kept_as_it_is(slug: str, project: str) -> None:
    assert package_of(slug) == PackageTarget(slug, slug, canonicalize_name(project))


@pytest.mark.parametrize(
    "slug", ["", "-", "__", "a.b", "a b", "x\n", "é", "ſ", "https://github.com/a/b", "x" * 201]
)
def test_what_is_no_recorded_slug_is_refused(slug: str) -> None:
    with pytest.raises(TargetError, match="is no slug"):
        package_of(slug)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("django", "django"),
        ("git@github.com:a/b", "git@github.com:a/b"),
        ("https://ann:hunter2@host/x", "https://...@host/x"),
        ("x @ git+https://hunter2@host/x", "...@host/x"),
        ("https://host/x?token=hunter2#egg=x", "https://host/x#egg=x"),
        ("https://host/x?token=hunter2 ; y", "https://host/x ; y"),
        ("what?", "what?"),
        ("https://${HUNTER}@host/${HUNTER}/x", "https://...@host/.../x"),
        ("${HUNTER", "..."),
        ("a\x1b[31m\u202e", "a\\x1b[31m\\u202e"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
        ("", ""),
    ],
)
def test_a_text_is_shown_on_one_line_without_secrets(text: str, shown: str) -> None:
    assert redacted(text) == shown


@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_shown_short_and_printable(text: str) -> None:
    assert redacted(text).isprintable()
    assert len(redacted(text)) <= 80


@pytest.mark.parametrize(
    "text",
    [
        "https://${HUNTER}@github.com/a/b",
        "https://${USER}:${HUNTER}@github.com/a/b.git",
        "git+https://x:${HUNTER}@github.com/a/b@v1",
    ],
)
def test_variables_are_dropped_like_the_credentials_that_they_hold(text: str) -> None:
    target = parse_target(text)
    assert isinstance(target, RepositoryTarget)
    assert (target.repository, target.warnings) == (Repository("a", "b"), (DROPPED,))
    assert "HUNTER" not in repr(target)
