"""What a stage is called in each view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.view_lakes import ARN, at, event, on_duckdb, rows_of, session, write

if TYPE_CHECKING:
    from pathlib import Path

OF_STAGES = ("participant_hours", "failures", "attempts", "waits")
OF_SESSIONS = ("session_summary", "participant_summary", "watch_time")


def test_a_stage_has_its_name_in_each_view(tmp_path: Path) -> None:
    """What is by session has the name of then; what is by stage that of now. One row of a stage stays one."""
    events = [
        event(name, *more)
        for name in ("st-old", "st-new", "st-unlisted")
        for more in (("p", 0, "JOINED"), ("p", 1, "PUBLISH_ERROR"), ("p", 2, "LEFT"))
    ]
    events += [{**row, "remote_participant_id": "q", "event_name": "SUBSCRIBE_STARTED"} for row in events[::3]]
    names = {"st-old": "old", "st-new": None}
    sessions = [session(name, 100, stage_name=stage_name) for name, stage_name in names.items()]
    stages = [{"stage_name": name, "is_listed": True, "exported_at": at(day)} for day, name in ((1, "old"), (2, "now"))]
    write(tmp_path, {"events": events, "sessions": sessions, "stages": stages})
    with on_duckdb(tmp_path) as connection:
        for view in OF_STAGES:
            assert {row["stage_name"] for row in rows_of(connection, f"SELECT * FROM {view}")} == {"now"}, view
        for view in OF_SESSIONS:
            found = rows_of(connection, f"SELECT session_id, stage_name FROM {view} ORDER BY session_id")
            assert [tuple(row.values()) for row in found] == [
                ("st-new", "now"), ("st-old", "old"), ("st-unlisted", "now"),
            ], view  # fmt: skip


def test_a_stage_without_a_row_is_called_as_its_latest_session_with_a_name(tmp_path: Path) -> None:
    """And one of which nothing says a name has none."""
    events = [event("st-1", "p", 0, "JOINED"), event("st-x", "p", 0, "JOINED", stage_arn=f"{ARN}x")]
    sessions = [
        session("st-0", 5, stage_name="first"), session("st-1", 10, session_start=at(6), stage_name="second"),
        session("st-2", 20, session_start=at(11), stage_name=""),
    ]  # fmt: skip
    write(tmp_path, {"events": events, "sessions": sessions})
    with on_duckdb(tmp_path) as connection:
        found = rows_of(connection, "SELECT stage_arn, stage_name FROM waits GROUP BY ALL ORDER BY ALL")
        assert [row["stage_name"] for row in found] == ["second", None]
