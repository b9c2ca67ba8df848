"""What a run would cost: counted by package, told as text."""

from __future__ import annotations

import pytest

from pkgharvest.budget import Budget
from pkgharvest.reading import BATCH

QUOTAS = {"core": "4,990 of 5,000 left", "graphql": "unknown"}


def budget(packages: int, based: int = 0, catalog: int = 0, *, signed: bool = True) -> Budget:
    made = Budget(signed)
    for number in range(packages):
        made.add(has_base=number < based, asks_catalog=number < catalog)
    return made


@pytest.mark.parametrize(
    ("packages", "based", "signed", "graphql", "rest"),
    [
        (0, 0, True, 0, (0, 0)),
        (1, 0, True, 1, (1, 1)),
        (BATCH, 0, True, 1, (BATCH, BATCH)),
        (BATCH + 1, 0, True, 2, (BATCH + 1, BATCH + 1)),
        (1000, 1000, True, 50, (0, 1000)),
        (1000, 400, True, 50, (600, 1000)),
        (0, 0, False, 0, (0, 0)),
        (1, 0, False, 0, (3, 3)),
        (10, 10, False, 0, (20, 30)),
        (10, 4, False, 0, (26, 30)),
    ],
)
def test_a_run_costs_what_its_packages_cost(
    packages: int,
    based: int,
    signed: bool,
    graphql: int,
    rest: tuple[int, int],
) -> None:
    made = budget(packages, based, signed=signed)
    assert (made.packages, made.based) == (packages, based)
    assert (made.pypi, made.graphql, made.rest) == (packages, graphql, rest)


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (
            budget(1000, 400, 20),
            [
                "packages: 1000, 400 with an earlier record",
                "PyPI: 1000 requests",
                "GitHub REST: 600 to 1000 requests (4,990 of 5,000 left)",
                "GitHub GraphQL: 50 points (unknown)",
                "Django Packages: 20 requests",
            ],
        ),
        (
            budget(2, signed=False),
            [
                "packages: 2, 0 with an earlier record",
                "PyPI: 2 requests",
                "GitHub REST: 6 requests (4,990 of 5,000 left)",
            ],
        ),
        (
            budget(0),
            [
                "packages: 0, 0 with an earlier record",
                "PyPI: 0 requests",
                "GitHub REST: 0 requests (4,990 of 5,000 left)",
                "GitHub GraphQL: 0 points (unknown)",
            ],
        ),
    ],
)
def test_the_text_names_each_service_that_would_be_asked_and_what_is_left(
    made: Budget, lines: list[str]
) -> None:
    assert made.lines(QUOTAS) == lines


def test_what_is_skipped_and_what_only_the_catalog_can_tell_are_told_apart() -> None:
    made = budget(2, 1)
    made.fresh, made.lists = 3, 2
    first, *_, last = made.lines(QUOTAS)
    assert first == "packages: 2, 1 with an earlier record, 3 young enough to be skipped"
    assert last == "and the packages of 2 of the catalog's lists, which it was not asked for"
    assert (made.pypi, made.graphql, made.rest) == (2, 1, (1, 2))
