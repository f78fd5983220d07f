"""What the report asks of a lake, where a plain question would be answered wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.cli.own_session import own_session
from exporter.query.database import open_database
from exporter.report.page import Origin, page
from exporter.report.questions import lake_facts, session_facts
from exporter.settings import Settings
from exporter.timestamps import DAY_US
from tests.support.view_lakes import BEGAN, event, session, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from exporter.report.facts import LakeFacts, SessionFacts

BEGAN_US = int(BEGAN.timestamp()) * 1_000_000
DAY_S = 86_400


def facts_of(lake: Path) -> tuple[LakeFacts, list[SessionFacts]]:
    """All that a report knows of a lake and its sessions."""
    with open_database(Settings(lake=str(lake)), own_session, is_stored=True) as database:

        def ask(question: str, values: Mapping[str, object]) -> Sequence[tuple[Any, ...]]:
            return [tuple(row.values()) for row in database.table(question, values).to_pylist()]

        facts = lake_facts(ask)
        return facts, [session_facts(ask, line) for line in facts.sessions]


def test_a_day_without_a_change_has_the_peak_of_its_midnight(tmp_path: Path) -> None:
    """Two stay four days: on each of them two were there, though nobody came or went on the days between."""
    rows = [event("st-1", name, second, "JOINED") for name, second in (("a", 0), ("b", 60))]
    rows += [event("st-1", name, 3 * DAY_S, "LEFT") for name in "ab"]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 3 * DAY_S)]})
    facts, _ = facts_of(tmp_path)
    first_us = BEGAN_US // DAY_US * DAY_US
    assert [((each.day_us - first_us) // DAY_US, each.peak) for each in facts.peaks] == [(0, 2), (1, 2), (2, 2), (3, 2)]


def test_a_crowd_that_comes_and_goes_at_once_is_seen(tmp_path: Path) -> None:
    """Of a hundred who stayed ten seconds of ten hours, those without a lane were connected at once."""
    rows = [event("st-1", "host", 0, "JOINED"), event("st-1", "host", 36_000, "LEFT")]
    for number in range(100):
        rows += [event("st-1", f"v{number}", 18_000, "JOINED"), event("st-1", f"v{number}", 18_010, "LEFT")]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 36_000)]})
    _, [facts] = facts_of(tmp_path)
    others = facts.lanes.publishers + facts.lanes.viewers - len(facts.lanes.people)
    assert others > 50
    assert max(level.peak for level in facts.lanes.crowd) == others
    assert facts.lanes.crowd[-1].at_end == 0


def test_a_crowd_that_is_still_there_has_not_gone(tmp_path: Path) -> None:
    """Of a session that goes on, also those whose start is the last that is known."""
    rows = [event("st-1", f"v{number:03}", number, "JOINED") for number in range(100)]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", None)]})
    _, [facts] = facts_of(tmp_path)
    assert facts.lanes.crowd[-1].at_end == 100 - len(facts.lanes.people)


def test_publishers_are_as_many_as_the_views_say(tmp_path: Path) -> None:
    """Also one of whom no JOINED is known, and whose publication was over at once."""
    rows = [event("st-1", "p", 0, "PUBLISH_STARTED"), event("st-1", "p", 0, "LEFT"), event("st-1", "q", 0, "JOINED")]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 60)]})
    _, [facts] = facts_of(tmp_path)
    assert facts.lanes.publishers == facts.line.counts.publishers == 1
    assert [(person.participant_id, person.is_publisher) for person in facts.lanes.people] == [
        ("p", True),
        ("q", False),
    ]


def test_an_error_days_after_the_session_is_there(tmp_path: Path) -> None:
    """Whatever the session's row says: the numbers of one page agree."""
    rows = [event("st-1", "p", second, "JOIN_ERROR", error_code="X") for second in (5, 4 * DAY_S)]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 60)]})
    _, [facts] = facts_of(tmp_path)
    assert [line.events for line in facts.errors] == [facts.line.counts.errors] == [2]
    assert len(facts.lanes.errors["p"]) == 2


def test_a_session_that_ends_before_it_starts_loses_no_error(tmp_path: Path) -> None:
    """Another program's row may say so: its errors are there, and no length is claimed."""
    rows = [event("st-1", "p", 0, "JOINED"), event("st-1", "p", 5, "JOIN_ERROR", error_code="X")]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", -5 * DAY_S)]})
    lake, sessions = facts_of(tmp_path)
    assert [line.events for line in sessions[0].errors] == [1]
    assert sessions[0].lanes.errors
    assert "in -" not in page(Origin("lake", "all dates", BEGAN_US, "1"), [], lake, sessions)
