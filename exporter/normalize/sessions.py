"""Rows of the table ``sessions``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.tables.sessions import SESSIONS
from exporter.normalize.columns import dictionary, flags, stage_columns, stamp_columns, text_maps, texts, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.normalize.columns import Stamp
    from exporter.normalize.listed_model import ListedSession, ListedStage


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """How much a session has in the lake; None where nobody has counted.

    ``participants`` are those that were listed, ``abandoned`` those of them whose events nobody asks for any more.
    """

    participants: int | None = None
    events: int | None = None
    abandoned: int | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it is now, with the name and the tags of its stage.

    ``is_final`` says that the session is sealed; ``is_complete`` that it is final and lacks nothing.
    """

    stage: ListedStage
    session: ListedSession
    counts: SessionCounts
    is_complete: bool
    is_final: bool


def session_rows(rows: Sequence[SessionRow], stamp: Stamp) -> pa.RecordBatch:
    """Make rows of the table, in the compact form of :mod:`exporter.normalize.columns`, in the same order."""
    stages = [row.stage for row in rows]
    sessions = [row.session for row in rows]
    counts = [row.counts for row in rows]
    return pa.RecordBatch.from_pydict(
        {
            **stage_columns([stage.arn for stage in stages]),
            "session_id": dictionary([session.session_id for session in sessions]),
            "session_start": times([session.started_us for session in sessions]),
            "session_end": times([session.ended_us for session in sessions]),
            "stage_name": texts([stage.name for stage in stages]),
            "stage_tags": text_maps([stage.tags for stage in stages], SESSIONS.schema.field("stage_tags").type),
            "participant_count": pa.array([count.participants for count in counts], pa.int64()),
            "event_count": pa.array([count.events for count in counts], pa.int64()),
            "abandoned_count": pa.array([count.abandoned for count in counts], pa.int64()),
            "is_complete": flags([row.is_complete for row in rows]),
            "is_final": flags([row.is_final for row in rows]),
            "extra": texts([session.extra for session in sessions]),
            **stamp_columns(stamp, len(rows)),
        }
    )
