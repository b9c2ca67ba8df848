from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgharvest.durations import in_words, parse


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90m", timedelta(minutes=90)),
        ("20h", timedelta(hours=20)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("45s", timedelta(seconds=45)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1 day 2 hours", timedelta(hours=26)),
        ("2 weeks", timedelta(weeks=2)),
        ("1.5h", timedelta(minutes=90)),
        ("0.5d", timedelta(hours=12)),
        (" 20H\n", timedelta(hours=20)),
        ("0s", timedelta()),
        ("3 hrs 2 mins 1 sec", timedelta(hours=3, minutes=2, seconds=1)),
        ("1wk", timedelta(weeks=1)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_spans_are_read_as_people_write_them(text: str, span: timedelta) -> None:
    assert parse(text) == span


@pytest.mark.parametrize(
    "text",
    ["", " ", "h", "20", "20 ", "-20h", "20h?", "1h,30m", "h20", "20x", "1,5h", ".5h", "1.h", "٣h", "1h 30",
     "1h\x0030m", "1e3s", "inf h",
     "5 months", "5mo", "3ms", "1 hello", "2 years", "1 dd"],
)  # fmt: skip
def test_what_tells_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write one as 90m, 20h or 7d") as caught:
        parse(text)
    assert str(caught.value).startswith(repr(text))


@pytest.mark.parametrize("text", ["36501d", "999999999w", "36500d1s"])
def test_more_than_a_century_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is more than a century$"):
        parse(text)


@given(st.text(alphabet="0123456789.smhdw -xé", max_size=12))
def test_any_text_is_a_span_that_is_not_negative_or_is_refused(text: str) -> None:
    try:
        span = parse(text)
    except ValueError:
        return
    assert timedelta() <= span <= timedelta(days=36_500)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "0 seconds"),
        (timedelta(seconds=1.9), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=23, minutes=59), "23 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_a_span_is_told_in_whole_units_of_one_size(span: timedelta, words: str) -> None:
    assert in_words(span) == words


@given(st.integers(0, 36_500 * 86_400))
def test_what_is_told_is_read_as_the_same_span_or_a_shorter_one(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    told = parse(in_words(span))
    assert told <= span < 2 * told + timedelta(seconds=1)
