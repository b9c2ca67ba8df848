"""The window of 52 weeks and its counts: pure functions of moments.

GitHub's weekly participation counts the same way, by author date and with merges, from seven days
ago at UTC midnight to today's for the newest week:
https://docs.github.com/en/rest/metrics/statistics#get-the-weekly-commit-count
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

WEEKS = 52
WEEK = timedelta(days=7)


def window(moment: datetime) -> tuple[datetime, datetime]:
    """Return the start and the end (exclusive) of the window at a moment, both 00:00 UTC.

    The window ends with the UTC day before the moment's and is 52 x 7 days long.

    Args:
        moment: any aware datetime; only its UTC date matters.
    """
    end = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return end - WEEKS * WEEK, end


def weekly_counts(author_dates: Iterable[datetime], moment: datetime) -> list[int]:
    """Return 52 counts, oldest week first, of the author dates in the window at a moment.

    A date in the future, of the day that has begun, or from before the window (back to year 1,
    which broken clocks do write) is in no week. The order of the dates does not matter.

    Args:
        author_dates: aware datetimes in any zone; commits are told apart by the caller.
        moment: an aware datetime, see `window`.
    """
    start, end = window(moment)
    counts = [0] * WEEKS
    for date in author_dates:
        if start <= date < end:
            counts[(date - start) // WEEK] += 1
    return counts
