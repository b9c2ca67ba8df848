"""The Django Packages API v4, without I/O: the one source that knows ids, categories and grids.

https://djangopackages.org/api/v4/ and the page "API" of its documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from pkgharvest.net.message import Request, Response
from pkgharvest.record import Record
from pkgharvest.sources import answers

NAME = "Django Packages"


@dataclass(frozen=True, slots=True)
class Catalog:
    """The requests that the catalog is asked, of one address."""

    base_url: str
    """Where the site lives, no slash at the end: ``https://djangopackages.org``."""

    def package(self, key: str) -> Request[Record]:
        """Ask for the record of a slug, or of a number: the API takes a key of digits alone as a number."""

        def judge(response: Response) -> Record:
            if response.status == HTTPStatus.OK:
                return answers.decode(response, Record)
            raise answers.failure(response, f"the package {key!r}")

        headers = {"accept": "application/json"}
        return Request(NAME, f"{self.base_url}/api/v4/packages/{key}/", judge, headers)
