"""From a target to what is known of its package before its repository is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from packaging.utils import NormalizedName, canonicalize_name

from pkgharvest.bases import Bases
from pkgharvest.errors import (
    NoRepositoryError,
    NotFoundError,
    PkgharvestError,
    RateLimitedError,
    TargetError,
    UpstreamError,
)
from pkgharvest.listing import Listed
from pkgharvest.record import Record
from pkgharvest.results import Lead
from pkgharvest.sources.catalog import Catalog
from pkgharvest.sources.pypi import Project, PyPI, repositories_of, repository_of
from pkgharvest.targets import (
    CatalogTarget,
    Hosts,
    PackageTarget,
    Repository,
    RepositoryTarget,
    Target,
    parse_project,
    parse_repository,
)
from pkgharvest.visit import Visit

_TYPOS = 3
"""Characters that a mistyped name is shorter or longer at most."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A package whose repository is known."""

    slug: str
    base: Record | None
    repository: Repository
    known_as: Repository
    """The repository that the record will name: the base's, which may have moved, else the same."""
    found: Lead
    """How the repository was found."""
    project_name: NormalizedName
    """The name to ask PyPI for."""
    project: Project | None
    """What PyPI said, if it had to be asked for the repository."""
    is_guess: bool
    """Whether the name is only likely, so that the project counts only if it names the repository itself."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """The rules by which a target leads to a repository and to a project on PyPI."""

    pypi: PyPI
    catalog: Catalog | None
    """None if the catalog is not to be asked."""
    bases: Bases
    hosts: Hosts

    async def subject(self, named: Target | Listed, ask: Visit) -> Subject:
        """Return what is known of a package, with the catalog's record if that has been read already.

        Raises:
            TargetError: only the catalog knows the target, and it is not to be asked.
            NoRepositoryError: nothing tells where the repository is, or it is on a host that is not read.
            UpstreamError: a source that had to be asked did not answer.
        """
        target = named.target if isinstance(named, Listed) else named
        told = (named.record, "catalog", target.warnings) if isinstance(named, Listed) else None
        base, origin, warnings = told or await self._base(target, ask)
        slug = base.slug if base else _slug(target)
        recorded_project = parse_project(base.pypi_url) if base else None
        project_name = recorded_project or _likely_project(target, slug)
        project: Project | None = None
        if isinstance(target, RepositoryTarget):
            repository, how = target.repository, Lead("target")
        elif base and base.repo_url:
            repository, how = self._repository(base.repo_url), Lead(origin)
        else:
            project = await ask(self.pypi.project(project_name))
            repository, how = self._named_by(project, project_name)
        recorded = parse_repository(base.repo_url, self.hosts) if base else None
        return Subject(
            slug=slug,
            base=base,
            repository=repository,
            known_as=recorded or repository,
            found=how,
            project_name=project_name,
            project=project,
            is_guess=recorded_project is None,
            warnings=warnings,
        )

    def _named_by(self, project: Project, name: NormalizedName) -> tuple[Repository, Lead]:
        found = repository_of(project, self.hosts)
        if found is None:
            raise NoRepositoryError(
                f"the project {name!r} names no repository on GitHub among its URLs on PyPI",
                "Give the URL of its repository instead",
            )
        return found.repository, Lead(found.rule, found.label)

    async def project(self, subject: Subject, present: Repository, ask: Visit) -> tuple[Project | None, str]:
        """Return what PyPI says of the package, and a warning or an empty text.

        None where PyPI does not have the project, or a likely name is that of another project, or
        PyPI does not answer and a base record can stand in.

        Args:
            subject: the package.
            present: its repository by its present name.
            ask: fetches.

        Raises:
            UpstreamError: PyPI did not answer, and there is no base record.
        """
        if subject.project is not None:
            return subject.project, ""
        try:
            project = await ask(self.pypi.project(subject.project_name))
        except NotFoundError as error:
            return None, "" if subject.is_guess else error.message
        except RateLimitedError:
            raise
        except UpstreamError as error:
            if subject.base is None:
                raise
            return None, f"version and documentation are the base record's: {error.message}"
        names = {subject.repository.key, present.key}
        if subject.is_guess and names.isdisjoint(self._repositories(project)):
            return (
                None,
                f"the project {subject.project_name!r} on PyPI does not name this repository",
            )
        return project, ""

    async def suggested(self, target: Target | Listed, ask: Visit) -> str | None:
        """Return the slug of a known package whose name is nearly that of a target, None if there is none.

        Known are the base records, and, where it may be asked, what the catalog finds.
        """
        if not isinstance(target, PackageTarget):
            return None
        if found := _nearest(target.slug, self.bases.slugs()):
            return found
        if self.catalog is None:
            return None
        try:
            hits = await ask(self.catalog.search(target.slug[: max(3, len(target.slug) * 2 // 3)]))
        except PkgharvestError:
            return None
        return _nearest(target.slug, (hit.slug for hit in hits))

    def _repositories(self, project: Project) -> Iterator[str]:
        return (found.repository.key for found in repositories_of(project, self.hosts))

    async def _base(self, target: Target, ask: Visit) -> tuple[Record | None, str, tuple[str, ...]]:
        """Return the base record, where it came from, and the target's warnings with those of the search."""
        stored = await self._stored(target, ask)
        if self.catalog is None:
            if stored is None and isinstance(target, CatalogTarget):
                raise TargetError(
                    f"only the catalog knows package {target.number}", "Add --catalog to ask it"
                )
            return stored, "base record", target.warnings
        try:
            record = await self._ask_catalog(self.catalog, target, ask)
        except RateLimitedError:
            raise
        except UpstreamError as error:
            if stored is None:
                raise
            return (
                stored,
                "base record",
                (*target.warnings, f"the catalog's fields are older: {error.message}"),
            )
        if record is not None:
            return record, "catalog", target.warnings
        if stored is None and isinstance(target, CatalogTarget):
            raise NotFoundError(f"the catalog has no package {target.number}")
        return stored, "base record", (*target.warnings, "the package is not in the catalog")

    async def _stored(self, target: Target, ask: Visit) -> Record | None:
        record = self.bases.of(target)
        if record is None and isinstance(target, RepositoryTarget):
            record = self.bases.of_slug(target.slug)
            if record is not None and not await self._has_moved(target, record, ask):
                return None
        return record

    async def _ask_catalog(self, catalog: Catalog, target: Target, ask: Visit) -> Record | None:
        for key in _catalog_keys(target):
            try:
                record = await ask(catalog.package(key))
            except NotFoundError:
                continue
            if self._is_of(target, record) or await self._has_moved(target, record, ask):
                return record
        return None

    def _is_of(self, target: Target, record: Record) -> bool:
        """Tell whether a record is the target's: a slug of digits is taken as a number by the catalog."""
        match target:
            case PackageTarget():
                return canonicalize_name(record.slug) == canonicalize_name(target.slug)
            case CatalogTarget():
                return record.id == target.number
            case _:
                repository = parse_repository(record.repo_url, self.hosts)
                return repository is not None and repository.key == target.repository.key

    async def _has_moved(self, target: Target, record: Record, ask: Visit) -> bool:
        """Tell whether a record with another repository is the target's all the same: its project says so."""
        name = parse_project(record.pypi_url)
        if not isinstance(target, RepositoryTarget) or name is None:
            return False
        try:
            project = await ask(self.pypi.project(name))
        except NotFoundError:
            return False
        return target.repository.key in self._repositories(project)

    def _repository(self, url: str) -> Repository:
        repository = parse_repository(url, self.hosts)
        if repository is None:
            raise NoRepositoryError(
                f"its repository {url!r} is on no host that is read", "Only GitHub is read"
            )
        return repository


def _nearest(slug: str, known: Iterable[str]) -> str | None:
    near = [other for other in known if other != slug and abs(len(other) - len(slug)) <= _TYPOS]
    return next(iter(get_close_matches(slug, near, n=1, cutoff=0.8)), None)


def _slug(target: Target) -> str:
    if isinstance(target, CatalogTarget):  # the catalog's answer, which has a slug, was needed to come here
        raise TargetError(f"only the catalog knows package {target.number}")
    return target.slug


def _likely_project(target: Target, slug: str) -> NormalizedName:
    if isinstance(target, RepositoryTarget):
        return canonicalize_name(target.repository.name)
    return target.project if isinstance(target, PackageTarget) else canonicalize_name(slug)


def _catalog_keys(target: Target) -> list[str]:
    match target:
        case PackageTarget():
            return list(dict.fromkeys([target.slug, target.project]))
        case CatalogTarget():
            return [str(target.number)]
        case _:
            return [target.slug]
