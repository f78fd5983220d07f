"""Scales, areas, lanes and bars: where values stand in a picture, without one being drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.report.charts import columns_of
from exporter.report.facts import DayHours, Level
from exporter.report.lanes import merged
from exporter.report.scales import TimeScale, ValueScale
from exporter.report.sums import Calendar
from exporter.timestamps import DAY_US, FIRST_US, LAST_US, MINUTE_US, SECOND_US

NOON_US = 1_795_435_200_000_000
MOMENTS = st.integers(FIRST_US, LAST_US)


@given(MOMENTS, MOMENTS)
def test_a_time_axis_names_few_moments_in_their_order(one: int, other: int) -> None:
    """Whatever the span, from a second to all years: nine ticks at most, inside, and no two texts alike."""
    ticks = TimeScale.over(min(one, other), max(one, other)).ticks()
    assert len(ticks) <= 9
    assert [tick.percent for tick in ticks] == sorted({tick.percent for tick in ticks})
    assert all(0 <= tick.percent <= 100 for tick in ticks)


@pytest.mark.parametrize(
    ("length_us", "texts"),
    [
        (2 * SECOND_US, ["12:00:00 23 Nov", "12:00:01", "12:00:02"]),
        (90 * MINUTE_US, ["12:00 23 Nov", "12:15", "12:30", "12:45", "13:00", "13:15", "13:30"]),
        (DAY_US, ["12:00 23 Nov", "15:00", "18:00", "21:00", "00:00 24 Nov", "03:00", "06:00", "09:00", "12:00"]),
    ],
)
def test_a_day_is_named_where_it_begins(length_us: int, texts: list[str]) -> None:
    """The first moment of each day carries its date, the others the time alone."""
    ticks = TimeScale.over(NOON_US, NOON_US + length_us).ticks()
    assert [f"{tick.text} {tick.below}".strip() for tick in ticks] == texts


@given(st.floats(1e-6, 1e12), st.booleans())
def test_a_value_axis_has_room_and_round_steps(most: float, is_whole: bool) -> None:
    """The highest value is inside, not far below the top, between two and seven ticks, each with a text of its own."""
    scale = ValueScale.up_to(most, is_whole=is_whole)
    ticks = scale.ticks()
    assert scale.top >= most * (1 - 1e-6)
    assert 2 <= len(ticks) <= 7
    assert len({tick.text for tick in ticks}) == len(ticks)
    assert (scale.step == int(scale.step)) or not is_whole


def test_a_value_axis_of_nothing_goes_to_one() -> None:
    """A chart without a value still has an axis."""
    assert [tick.text for tick in ValueScale.up_to(0, is_whole=True).ticks()] == ["0", "1"]


def test_minutes_without_a_row_are_as_the_one_before_ended() -> None:
    """A level lasts until the next change; a minute shows its peak, not its end."""
    levels = [Level(NOON_US + MINUTE_US, 5, 2), Level(NOON_US + 4 * MINUTE_US, 3, 0)]
    assert columns_of(levels, TimeScale(NOON_US, NOON_US + 6 * MINUTE_US)) == [0, 5, 2, 2, 3, 0]


def test_the_highest_minute_of_a_long_session_is_never_left_out() -> None:
    """Ten days are fewer columns than minutes; the one minute with a crowd still shows."""
    levels = [Level(NOON_US, 1, 1), Level(NOON_US + 7_770 * MINUTE_US, 900, 1)]
    levels.append(Level(NOON_US + 7_771 * MINUTE_US, 2, 1))  # in the same column
    columns = columns_of(levels, TimeScale(NOON_US, NOON_US + 10 * DAY_US))
    assert (max(columns), min(columns), len(columns)) == (900, 1, 480)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000))), st.integers(0, 50))
def test_merged_stretches_cover_the_same_and_stand_apart(spans: list[tuple[int, int]], near: int) -> None:
    """Nothing is lost, and what is left has more than ``near`` between."""
    spans = [(min(span), max(span)) for span in spans]
    found = merged(spans, near)
    assert all(any(start <= one and other <= end for start, end in found) for one, other in spans)
    assert all(after[0] - before[1] > near for before, after in pairwise(found))
    assert {moment for span in found for moment in span} <= {moment for span in spans for moment in span}


@pytest.mark.parametrize(("days", "step", "bars"), [(1, 1, 1), (120, 1, 120), (121, 7, 18), (3_000, 28, 108)])
def test_many_days_share_a_bar(days: int, step: int, bars: int) -> None:
    """However long a lake is, there are 120 bars at most, and all hours are in one of them."""
    hours = [DayHours("a", NOON_US // DAY_US * DAY_US + place * DAY_US, 1.0, 2.0, 0.0, 0.0) for place in range(days)]
    calendar = Calendar.over(day.day_us for day in hours)
    assert calendar is not None
    assert (calendar.step_days, calendar.count) == (step, bars)
    drawn = calendar.bars(hours)
    assert (sum(bar.low for bar in drawn), sum(bar.high for bar in drawn)) == (days, 2 * days)
    assert len(calendar.ticks()) <= 8


def test_a_day_of_another_age_does_not_make_a_bar_for_each_day_between() -> None:
    """An event of the year 9999 is in the last bar."""
    calendar = Calendar.over([NOON_US // DAY_US * DAY_US, LAST_US // DAY_US * DAY_US])
    assert calendar is not None
    assert 100 < calendar.count <= 120
