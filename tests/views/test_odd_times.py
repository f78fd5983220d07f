"""Times that can't be true, and sessions that no list shows: they are named, and stretch nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from exporter.views.statements import VIEWS, Dates
from tests.support.view_lakes import event, on_duckdb, rows_of, session, write

if TYPE_CHECKING:
    from pathlib import Path

END_OF_TIME = {"event_time": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}


def stay(name: str) -> list[dict[str, Any]]:
    """Somebody who publishes and is watched, and of whom some is open."""
    return [
        event(name, "p", 0, "JOINED"), event(name, "p", 1, "PUBLISH_STARTED"), event(name, "v", 2, "JOINED"),
        event(name, "v", 3, "SUBSCRIBE_STARTED", remote_participant_id="p"), event(name, "v", 60, "LEFT"),
    ]  # fmt: skip


@pytest.mark.parametrize("end_s", [None, 100])
def test_an_event_of_the_far_future_stretches_nothing(end_s: float | None, tmp_path: Path) -> None:
    """Whatever it is, and also where a session goes on: all views are what they are without it, but for its finding."""
    name = "st-1"
    odd = [
        event(name, "p", 0, "LEFT"), event(name, "p", 0, "PUBLISH_STOPPED"), event(name, "v", 0, "JOINED"),
        event(name, "v", 0, "SUBSCRIBE_STOPPED", remote_participant_id="p"),
        event(name, "x", 0, "PUBLISH_STARTED"), event(name, "x", 0, "NEW_NAME"),
    ]  # fmt: skip
    sessions = [session(name, end_s)]
    plain, people = (
        stay(name),
        [{"session_id": name, "participant_id": "x", "session_start": sessions[0]["session_start"]}],
    )
    write(tmp_path / "plain", {"events": plain, "sessions": sessions, "participants": people})
    odd = [{**row, **END_OF_TIME} for row in odd]
    write(tmp_path / "odd", {"events": [*plain, *odd], "sessions": sessions, "participants": people})
    with on_duckdb(tmp_path / "plain") as one, on_duckdb(tmp_path / "odd") as other:
        for view in sorted({*VIEWS} - {"checks"}):
            query = f"SELECT * FROM {view} ORDER BY ALL"
            assert rows_of(other, query) == rows_of(one, query), view
        found = "SELECT name, count FROM checks ORDER BY name"
        assert rows_of(other, found) == sorted(
            [
                *rows_of(one, found), {"name": "event_outside_session", "count": len(odd)},
                {"name": "unknown_event_name", "count": 1},
            ],
            key=lambda row: str(row["name"]),
        )  # fmt: skip


def test_a_session_in_no_list_is_named_also_where_its_day_has_no_other(tmp_path: Path) -> None:
    """Other days have sessions with rows, so this lake is not one without that table."""
    far = session("st-listed", 864_000 + 60, session_start=datetime(2026, 12, 3, 23, tzinfo=UTC))
    write(tmp_path / "lake", {"events": stay("st-1"), "sessions": [far]})
    write(tmp_path / "before", {"events": stay("st-1")})
    day, query = Dates(date(2026, 11, 23), date(2026, 11, 24)), "SELECT name FROM checks WHERE severity = 'warn'"
    with on_duckdb(tmp_path / "lake", day) as connection:
        assert rows_of(connection, "SELECT session_id FROM session_summary") == [{"session_id": "st-1"}]
        assert rows_of(connection, query) == [{"name": "session_in_no_list"}]
    with on_duckdb(tmp_path / "before", day) as connection:
        assert rows_of(connection, query) == []
