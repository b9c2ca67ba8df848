"""The window of 52 weeks and its counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.weeks import WEEK, WEEKS, weekly_counts, window

NOW = datetime(2026, 2, 15, 23, 8, 42, tzinfo=UTC)
END = datetime(2026, 2, 15, tzinfo=UTC)
START = datetime(2025, 2, 16, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NEW_YORK = ZoneInfo("America/New_York")

ZONES = st.sampled_from(
    [UTC, NEW_YORK, ZoneInfo("Asia/Kolkata"), timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))]
)
# hypothesis takes bounds without a zone.
MOMENTS = st.datetimes(
    datetime.fromisoformat("2008-01-01"), datetime.fromisoformat("2100-01-01"), timezones=ZONES
)
NEAR = st.datetimes(
    datetime.fromisoformat("2024-06-01"), datetime.fromisoformat("2026-06-01"), timezones=ZONES
)
DATES = st.lists(st.datetimes(timezones=ZONES) | NEAR)


def only(bucket: int) -> list[int]:
    return [int(index == bucket) for index in range(WEEKS)]


NOWHERE = [0] * WEEKS


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        (NOW, START, END),
        (END, START, END),
        (END + timedelta(days=1) - TICK, START, END),
        (END - TICK, START - timedelta(days=1), END - timedelta(days=1)),
        # Late on the 14th in New York it is the 15th in UTC.
        (datetime(2026, 2, 14, 19, 0, tzinfo=NEW_YORK), START, END),
        (datetime(2026, 2, 14, 18, 59, tzinfo=NEW_YORK), START - timedelta(days=1), END - timedelta(days=1)),
        # Leap days count as any other.
        (
            datetime(2024, 3, 1, 12, tzinfo=UTC),
            datetime(2023, 3, 3, tzinfo=UTC),
            datetime(2024, 3, 1, tzinfo=UTC),
        ),
    ],
)
def test_the_window_ends_at_midnight_utc_and_is_52_weeks_long(
    moment: datetime, start: datetime, end: datetime
) -> None:
    assert window(moment) == (start, end)


@pytest.mark.parametrize(
    ("date", "counts"),
    [
        (START, only(0)),
        (START - TICK, NOWHERE),
        (START + WEEK - TICK, only(0)),
        (START + WEEK, only(1)),
        (END - WEEK - TICK, only(50)),
        (END - WEEK, only(51)),
        (END - TICK, only(51)),
        (END, NOWHERE),
        # The same edge, written with other offsets.
        (datetime(2026, 2, 15, 5, 29, 59, tzinfo=ZoneInfo("Asia/Kolkata")), only(51)),
        (datetime(2026, 2, 15, 5, 30, tzinfo=ZoneInfo("Asia/Kolkata")), NOWHERE),
        (datetime(2025, 2, 15, 19, 0, tzinfo=NEW_YORK), only(0)),
        (datetime(2025, 2, 15, 18, 59, tzinfo=NEW_YORK), NOWHERE),
        # Of today, of the future, and what broken clocks write.
        (NOW, NOWHERE),
        (NOW + timedelta(days=400), NOWHERE),
        (datetime.max.replace(tzinfo=UTC), NOWHERE),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), NOWHERE),
        (datetime(1970, 1, 1, tzinfo=UTC), NOWHERE),
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), NOWHERE),
        (datetime.min.replace(tzinfo=UTC), NOWHERE),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), NOWHERE),
    ],
)
def test_a_date_counts_in_its_week_alone(date: datetime, counts: list[int]) -> None:
    assert weekly_counts([date], NOW) == counts


def test_no_dates_make_52_zeros() -> None:
    assert weekly_counts([], NOW) == NOWHERE


def test_dates_of_one_week_add_up() -> None:
    assert weekly_counts(iter([START, START, START + WEEK]), NOW) == [2, 1, *[0] * 50]


@given(DATES, MOMENTS)
def test_there_are_52_counts_whose_sum_is_the_dates_in_the_window(
    dates: list[datetime], moment: datetime
) -> None:
    counts = weekly_counts(dates, moment)
    start, end = window(moment)
    assert len(counts) == 52
    assert sum(counts) == sum(start <= date < end for date in dates)


@given(st.data(), DATES, MOMENTS)
def test_the_order_of_the_dates_does_not_matter(
    data: st.DataObject, dates: list[datetime], moment: datetime
) -> None:
    shuffled = data.draw(st.permutations(dates))
    assert weekly_counts(shuffled, moment) == weekly_counts(dates, moment)


@given(DATES, MOMENTS)
def test_seven_days_later_everything_moves_by_one(dates: list[datetime], moment: datetime) -> None:
    # In New York seven days on the wall may be an hour more or less.
    moment = moment.astimezone(UTC)
    assert weekly_counts(dates, moment + WEEK)[:-1] == weekly_counts(dates, moment)[1:]


@given(st.integers(0, WEEKS), MOMENTS, ZONES)
def test_a_date_at_an_edge_is_in_the_week_that_begins(edge: int, moment: datetime, zone: timezone) -> None:
    date = (window(moment)[0] + edge * WEEK).astimezone(zone)
    assert weekly_counts([date], moment) == only(edge)
    assert weekly_counts([(date.astimezone(UTC) - TICK).astimezone(zone)], moment) == only(edge - 1)


@given(MOMENTS)
def test_the_window_is_in_whole_utc_days_and_has_begun(moment: datetime) -> None:
    start, end = window(moment)
    assert (end - start, end.time(), end.tzinfo) == (timedelta(days=364), datetime.min.time(), UTC)
    assert timedelta(0) <= moment - end < timedelta(days=1)


@given(DATES, MOMENTS, ZONES, ZONES)
def test_the_zones_that_times_are_written_in_do_not_matter(
    dates: list[datetime], moment: datetime, one: timezone, other: timezone
) -> None:
    dates = [date for date in dates if 1 < date.year < 9999]
    rewritten = [date.astimezone(one) for date in dates]
    assert weekly_counts(rewritten, moment.astimezone(other)) == weekly_counts(dates, moment)


@pytest.mark.parametrize(
    "change",
    [datetime(2025, 3, 9, 7, tzinfo=UTC), datetime(2025, 11, 2, 6, tzinfo=UTC)],
    ids=["forward", "back"],
)
@pytest.mark.parametrize("hours", [-24, -1, 0, 1, 24])
def test_daylight_saving_changes_nothing(change: datetime, hours: int) -> None:
    moment = change + timedelta(hours=hours)
    dates = [change + timedelta(hours=step) for step in range(-24 * 30, 24 * 3)]
    in_new_york = [date.astimezone(NEW_YORK) for date in dates]
    counts = weekly_counts(dates, moment)
    assert weekly_counts(in_new_york, moment.astimezone(NEW_YORK)) == counts
    # A full week holds 168 hours on both sides of the change.
    assert counts[-4:] == [168] * 4
