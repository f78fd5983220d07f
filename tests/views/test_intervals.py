"""Intervals: hand-made cases with the intervals that are right, and what other views make of the hard ones."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.view_lakes import BEGAN, event, on_duckdb, rows_of, session, write

CASES = json.loads((Path(__file__).parents[1] / "data" / "interval-cases.json").read_text())
JOINED, LEFT, PUBLISHED, UNPUBLISHED = "JOINED", "LEFT", "PUBLISH_STARTED", "PUBLISH_STOPPED"
WATCHED, UNWATCHED = "SUBSCRIBE_STARTED", "SUBSCRIBE_STOPPED"

#: Events by second and name, "x" the publisher; the intervals: kind, start, end and reason.
MORE: dict[str, tuple[list[tuple[float, str]], float | None, list[tuple[str, float, float | None, str]]]] = {
    "everything in one second": (
        [(5, JOINED), (5, WATCHED), (5, LEFT)],
        100,
        [("join", 5, 5, "same_instant"), ("subscribe", 5, 5, "left")],
    ),
    "back at the instant of leaving": (
        [(0, JOINED), (5, LEFT), (5, JOINED), (5, WATCHED), (9, LEFT)],
        100,
        [("join", 0, 5, "stopped"), ("join", 5, 9, "stopped"), ("subscribe", 5, 9, "left")],
    ),
    "back at the instant of leaving, and still there": (
        [(0, JOINED), (5, LEFT), (5, JOINED), (5, WATCHED)],
        None,
        [("join", 0, 5, "stopped"), ("join", 5, None, "open"), ("subscribe", 5, None, "open")],
    ),
    "a publication that the next visit begins anew": (
        [(0, JOINED), (1, PUBLISHED), (5, LEFT), (6, JOINED), (7, PUBLISHED), (8, UNPUBLISHED), (9, LEFT)],
        100,
        [
            ("join", 0, 5, "stopped"), ("join", 6, 9, "stopped"),
            ("publish", 1, 5, "left"), ("publish", 7, 8, "stopped"),
        ],
    ),
    "a second start without a stop": (
        [(0, JOINED), (1, PUBLISHED), (4, PUBLISHED), (8, UNPUBLISHED), (9, LEFT)],
        100,
        [("join", 0, 9, "stopped"), ("publish", 1, 4, "restarted"), ("publish", 4, 8, "stopped")],
    ),
    "begun after the session's end": ([(150, JOINED)], 100, [("join", 150, 150, "session_end")]),
    "many days": ([(0, JOINED), (864_000, LEFT)], 900_000, [("join", 0, 864_000, "stopped")]),
}  # fmt: skip


Found = tuple[str, str, float | None, float | None, str]


def second_of(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - BEGAN.replace(tzinfo=None)).total_seconds()


def intervals_of(lake: Path, zone: str = "UTC") -> list[dict[str, Any]]:
    with on_duckdb(lake, zone=zone) as connection:
        return rows_of(connection, "SELECT * FROM intervals ORDER BY kind, started_at, ended_at, peer")


@pytest.fixture(scope="module")
def of_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Found]]:
    """The intervals of all cases, each a session of one lake, read on a machine in another zone."""
    lake = tmp_path_factory.mktemp("cases")
    events = [event(f"st-{case['name']}", "p", **_told(made)) for case in CASES for made in case["events"]]
    sessions = [session(f"st-{case['name']}", case["session_end_s"]) for case in CASES]
    for name, (made, end_s, _) in MORE.items():
        events += [event(name, "p", second, what, remote_participant_id="x") for second, what in made]
        sessions.append(session(name, end_s))
    write(lake, {"events": events, "sessions": sessions})
    found: dict[str, list[Found]] = {row["session_id"]: [] for row in sessions}
    for row in intervals_of(lake, "America/New_York"):
        start, end = second_of(row["started_at"]), second_of(row["ended_at"])
        found[row["session_id"]].append((row["kind"], row["peer"], start, end, row["end_reason"]))
    return found


def _told(made: dict[str, Any]) -> dict[str, Any]:
    more = {name: value for name, value in made.items() if name not in {"at_s", "name"}}
    return {"second": made["at_s"], "name": made["name"], **more}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_hand_made_cases(case: dict[str, Any], of_cases: dict[str, list[Found]]) -> None:
    """Kind, peer, start, end and reason."""
    expected = [
        (made["kind"], made["peer"], made["start_s"], made["end_s"], made["end_reason"]) for made in case["intervals"]
    ]
    assert sorted(of_cases[f"st-{case['name']}"]) == sorted(expected)


@pytest.mark.parametrize("name", MORE)
def test_cases_of_our_own(name: str, of_cases: dict[str, list[Found]]) -> None:
    """What shares an instant, what comes back, what goes on."""
    found = [(kind, start, end, reason) for kind, _, start, end, reason in of_cases[name]]
    assert found == MORE[name][2]


def test_how_long_at_least_and_at_most(tmp_path: Path) -> None:
    """A stay that nothing ends: its own last event at least; the session's end, or when it was last seen, at most."""
    rows = [
        event("st-over", "p", 0, JOINED), event("st-over", "p", 40, "SUBSCRIBE_ERROR", error_code="X"),
        event("st-active", "lone", 0, JOINED),
    ]  # fmt: skip
    write(tmp_path, {"events": rows, "sessions": [session("st-over", 100), session("st-active", None)]}, seen_s=500)
    found = {row["session_id"]: row for row in intervals_of(tmp_path)}
    over, active = found["st-over"], found["st-active"]
    assert (second_of(over["until_at"]), second_of(over["until_max_at"])) == (40, 100)
    assert (second_of(active["until_at"]), second_of(active["until_max_at"])) == (0, 500)
    with on_duckdb(tmp_path) as connection:
        (hours,) = rows_of(connection, "SELECT * FROM participant_hours")
    assert hours["joins"] == 2
    assert (hours["hours_low"] * 3600, hours["hours_high"] * 3600) == (pytest.approx(40), pytest.approx(600))
    assert (hours["guessed_hours_low"], hours["guessed_hours_high"]) == (hours["hours_low"], hours["hours_high"])


def test_hours_of_many_days(tmp_path: Path) -> None:
    """Split at each midnight, days without any event included; a day that nobody was there has no row."""
    rows = [
        event("st-1", "p", 0, JOINED), event("st-1", "p", 4 * 86_400, LEFT),
        event("st-1", "q", 8 * 86_400, JOINED), event("st-1", "q", 8 * 86_400 + 60, LEFT),
    ]  # fmt: skip
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 9 * 86_400)]})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT day, joins, hours_low, hours_high FROM participant_hours ORDER BY day")
    first = date(2026, 11, 23)
    expected = [(0, 1, 1.0), (1, 0, 24.0), (2, 0, 24.0), (3, 0, 24.0), (4, 0, 23.0), (8, 1, 1 / 60)]
    assert [tuple(row.values()) for row in found] == [
        (first + timedelta(days=day), joins, pytest.approx(hours), pytest.approx(hours))
        for day, joins, hours in expected
    ]


def test_a_replica_is_what_its_row_says(tmp_path: Path) -> None:
    """The row's replication type counts, else the flag of its events; of a publisher likewise."""
    rows = [
        event("st-1", "flagged", 0, JOINED, replica=True), event("st-1", "flagged", 5, LEFT),
        event("st-1", "told", 0, JOINED), event("st-1", "told", 5, LEFT),
        event("st-1", "denied", 0, JOINED, replica=True), event("st-1", "denied", 5, LEFT),
        event("st-1", "viewer", 0, WATCHED, remote_participant_id="told"),
        event("st-1", "viewer", 0, WATCHED, remote_participant_id="elsewhere", replica=True),
        event("st-1", "viewer", 0, WATCHED, remote_participant_id="denied", replica=True),
    ]  # fmt: skip
    of_people = [
        {"session_id": "st-1", "participant_id": "told", "replication_type": "REPLICA"},
        {"session_id": "st-1", "participant_id": "denied", "replication_type": "NONE"},
    ]
    write(tmp_path, {"events": rows, "participants": of_people})
    found = intervals_of(tmp_path)
    joined = {row["participant_id"]: row["is_replica"] for row in found if row["kind"] == "join"}
    assert joined == {"flagged": True, "told": True, "denied": False}
    watched = {row["peer"]: (row["is_replica"], row["peer_is_replica"]) for row in found if row["kind"] == "subscribe"}
    assert watched == {"told": (False, True), "elsewhere": (False, True), "denied": (False, False)}


def test_waits_of_those_who_waited(tmp_path: Path) -> None:
    """A first subscription a moment before JOINED is no wait; those without one are counted, and have no wait."""
    rows = [
        event("st-1", "early", 0, WATCHED, remote_participant_id="x"), event("st-1", "early", 0.2, JOINED),
        event("st-1", "late", 0, JOINED), event("st-1", "late", 3, WATCHED, remote_participant_id="x"),
        event("st-1", "never", 0, JOINED),
    ]  # fmt: skip
    write(tmp_path, {"events": rows})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT * FROM waits ORDER BY what")
    assert [tuple(row.values())[1:] for row in found] == [
        ("join_to_publish", 0, 3, None, None, None),
        ("join_to_subscribe", 2, 3, 0.0, 3.0, None),
    ]


def test_concurrency_of_minutes(tmp_path: Path) -> None:
    """The most at once in a minute counts what it began with; a minute without a change has no row."""
    rows = [
        event("st-1", "a", 10, JOINED), event("st-1", "b", 20, JOINED), event("st-1", "b", 70, LEFT),
        event("st-1", "c", 70, JOINED), event("st-1", "a", 240, LEFT), event("st-1", "c", 250, LEFT),
        event("st-1", "r", 30, JOINED, replica=True), event("st-1", "r", 40, LEFT),
        event("st-1", "z", 45, JOINED), event("st-1", "z", 45, LEFT),
    ]  # fmt: skip
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 300)]})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT * FROM concurrency_by_minute ORDER BY minute")
    assert [(second_of(row["minute"]), *list(row.values())[4:]) for row in found] == [
        (0, 3, 2, 2, 2),
        (60, 2, 2, 2, 2),
        (240, 1, 0, 1, 0),
    ]


def test_what_is_open_has_not_ended(tmp_path: Path) -> None:
    """In a session that goes on nobody has gone: not at its last event, and not where that is one's own start."""
    rows = [
        event("st-1", "host", 0, JOINED), event("st-1", "host", 70, PUBLISHED),
        event("st-1", "lone", 70, JOINED), event("st-1", "lone", 70, WATCHED, remote_participant_id="host"),
    ]  # fmt: skip
    write(tmp_path, {"events": rows, "sessions": [session("st-1", None)]})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT kind, minute, peak, at_end FROM concurrency_by_minute ORDER BY ALL")
        (summary,) = rows_of(connection, "SELECT viewers, peak_viewers FROM session_summary")
    assert [(row["kind"], second_of(row["minute"]), row["peak"], row["at_end"]) for row in found] == [
        ("join", 0, 1, 1),
        ("join", 60, 2, 2),
        ("publish", 60, 1, 1),
        ("subscribe", 60, 1, 1),
    ]
    assert summary == {"viewers": 1, "peak_viewers": 1}


def test_a_stay_until_midnight_is_of_one_day(tmp_path: Path) -> None:
    """The day that begins at that instant has no row."""
    rows = [event("st-1", "p", 0, JOINED), event("st-1", "p", 3_600, LEFT)]
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 3_600)]})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT day, joins, hours_high FROM participant_hours")
    assert [tuple(row.values()) for row in found] == [(date(2026, 11, 23), 1, 1.0)]
