"""A small lake of all four tables, with all that a query must not be misled by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.lake.parquet import encode
from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.events import event_rows
from exporter.normalize.listed_model import ListedParticipant, ListedSession, ListedStage, ParticipantDetails
from exporter.normalize.participants import NoDetails, ParticipantRow, participant_rows
from exporter.normalize.sessions import SessionCounts, SessionRow, session_rows
from exporter.normalize.stages import StageRow, stage_rows
from exporter.timestamps import DAY_US, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    import pyarrow as pa

    from exporter.lake.tables.table import Table

ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/abc"
_MINUTE_US = 60_000_000
#: 23:00 UTC, an hour before a midnight.
BEGAN_US = 20_780 * DAY_US + 23 * 60 * _MINUTE_US
#: The participants with a final row, and all of them; the rows that count now, by participant and browser.
FINAL, ALL = {"p1", "p2", "p3"}, {"p1", "p2", "p3", "p4"}
#: Events, and those that are no replica's.
EVENTS_ALL, EVENTS_OWN = 9, 8
#: User and browser with the minutes that each watched, the longest first.
WATCHED = [("alice", "Firefox", 105.0), ("bob", "Safari", 30.0)]

OVER = Session(ARN, "st-over", BEGAN_US, BEGAN_US + 120 * _MINUTE_US)
ACTIVE = Session(ARN, "st-active", BEGAN_US + DAY_US, None)


def write(lake: Path) -> None:
    """Write the lake of three nights."""
    first, second, third = (Stamp(f"r{number}", BEGAN_US + number * DAY_US) for number in range(3))
    stage = ListedStage(ARN, "lobby", {"team": "red"})
    _write(lake, STAGES, stage_rows([StageRow(ListedStage(ARN, "hall"), is_listed=True)], first))
    _write(lake, STAGES, stage_rows([StageRow(stage, is_listed=True)], second))
    _write(lake, SESSIONS, session_rows([_session(stage, OVER, 0, is_final=False)], first))
    _write(
        lake,
        SESSIONS,
        session_rows([_session(stage, OVER, 8, is_final=True), _session(stage, ACTIVE, 0, is_final=False)], second),
    )
    # The session was opened again, and one more event was found.
    _write(lake, SESSIONS, session_rows([_session(stage, OVER, 9, is_final=True)], third))
    seen = [_participant("p1", "alice", None, is_final=False), _participant("p2", "bob", None, is_final=False)]
    _write(lake, PARTICIPANTS, participant_rows(seen, first))
    final = [
        _participant("p1", "alice", "Chrome", is_final=True),
        _participant("p2", "bob", "Safari", is_final=True),
        _participant("p3", None, None, is_final=True),
        ParticipantRow(ACTIVE, ListedParticipant("p4", "dana"), NoDetails.OFF, is_final=False),
    ]
    _write(lake, PARTICIPANTS, participant_rows(final, second))
    _write(lake, EVENTS, event_rows(list(_fetched()), second).rows)


def write_reopened(lake: Path) -> None:
    """A night in which a participant of the session that was opened again gets a newer final row."""
    again = [_participant("p1", "alice", "Firefox", is_final=True)]
    _write(lake, PARTICIPANTS, participant_rows(again, Stamp("r2", BEGAN_US + 2 * DAY_US)))


def _session(stage: ListedStage, session: Session, events: int, *, is_final: bool) -> SessionRow:
    listed = ListedSession(session.session_id, session.started_us, session.ended_us if is_final else None)
    counts = SessionCounts(3, events, 0) if is_final else SessionCounts()
    return SessionRow(stage, listed, counts, is_complete=is_final, is_final=is_final)


def _participant(name: str, user_id: str | None, browser: str | None, *, is_final: bool) -> ParticipantRow:
    details = ParticipantDetails({"plan": "gold"}, browser_name=browser) if browser else NoDetails.NOT_FOUND
    return ParticipantRow(OVER, ListedParticipant(name, user_id, BEGAN_US), details, is_final=is_final)


def _fetched() -> Iterable[FetchedUnit]:
    """What the three who are over did: two subscriptions at once and one without an end; a replica; a publisher."""
    yield _unit(
        "p1",
        [
            _event("JOINED", 0),
            _event("SUBSCRIBE_STARTED", 0, remoteParticipantId="p3"),
            _event("SUBSCRIBE_STARTED", 15, remoteParticipantId="p2"),
            _event("SUBSCRIBE_STOPPED", 60, remoteParticipantId="p3"),
            _event("LEFT", 60),
        ],
    )
    yield _unit(
        "p2",
        [
            _event("SUBSCRIBE_STARTED", 40, remoteParticipantId="p3"),
            _event("SUBSCRIBE_STARTED", 40, remoteParticipantId="p9", replica=True),
            _event("SUBSCRIBE_STOPPED", 70, remoteParticipantId="p3", replica=False),
        ],
    )
    yield _unit("p3", [_event("PUBLISH_STARTED", 5)])


def _unit(name: str, events: list[Mapping[str, Any]]) -> FetchedUnit:
    return FetchedUnit(Unit(ARN, OVER.session_id, name), OVER, (msgspec.json.encode(events),), BEGAN_US)


def _event(name: str, minute: int, **members: Any) -> Mapping[str, Any]:
    return {"name": name, "eventTime": text_of(BEGAN_US + minute * _MINUTE_US), **members}


def _write(lake: Path, table: Table, rows: pa.RecordBatch) -> None:
    for day in dates_in(table, rows):
        folder = lake / table.name / f"{table.date_key}={day}"
        folder.mkdir(parents=True, exist_ok=True)
        data = encode(table, [of_date(table, rows, day)])
        (folder / f"{len(list(folder.iterdir()))}.parquet").write_bytes(data)
