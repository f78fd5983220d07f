"""What a plan says of calls and minutes, from what was listed and what the last run told."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.commit_log.records import Record
from exporter.discovery.cost import Work, estimate

EVENTS = "ListParticipantEvents"
LISTING = {"ListStages": 1, "ListStageSessions": 3, "ListParticipants": 40}


def record(calls: int, **units: int) -> Record:
    counts = dict.fromkeys(("exported", "empty", "unchanged", "failed"), 0) | units
    summary: dict[str, Any] = {"calls": {"ListParticipantEvents": calls}, "units": counts}
    return Record(kind="commit", scope="s", number=2, epoch=1, run_id="r", at="", latest_us=0, summary=summary)


def test_a_first_plan_assumes_a_page_a_unit_and_says_so() -> None:
    """Where no run has told, each unit is one call, and the plan marks that as assumed."""
    plan = estimate("scope", Work(600), LISTING, None, 5.0)
    assert plan.calls == {**LISTING, EVENTS: 600}
    assert (plan.pages_a_unit, plan.is_assumed) == (1.0, True)
    assert plan.minutes == pytest.approx(600 / 5.0 / 60.0)


def test_the_longest_operation_gives_the_minutes() -> None:
    """Operations overlap, so lists that take more calls than the events decide."""
    assert estimate("scope", Work(30), LISTING, None, 2.0).minutes == pytest.approx(40 / 2.0 / 60.0)


def test_the_last_run_tells_the_pages_of_a_unit() -> None:
    """Three calls for each unit that was fetched, new rows or none, plan three calls a unit."""
    last = record(300, exported=60, empty=5, unchanged=30, failed=5)
    plan = estimate("scope", Work(200), LISTING, last, 5.0)
    assert plan.calls[EVENTS] == 600
    assert (plan.pages_a_unit, plan.is_assumed) == (3.0, False)


def test_units_that_brought_nothing_new_are_no_reason_for_more_pages() -> None:
    """A night in which 1,000 viewers of an active session were asked for in vain tells one page, not hundreds."""
    assert estimate("scope", Work(10), LISTING, record(1_010, exported=10, unchanged=1_000), 5.0).pages_a_unit == 1.0


@pytest.mark.parametrize("last", [record(0, unchanged=7), record(5), record(0)])
def test_a_last_run_that_fetched_nothing_tells_nothing(last: Record) -> None:
    """Then a page a unit is assumed again."""
    assert estimate("scope", Work(10), LISTING, last, 5.0).is_assumed
