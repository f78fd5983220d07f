"""The demo's first questions to a lake, answered by DuckDB: which events, and how full its busiest session was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.errors import ExportError
from exporter.text import counted

if TYPE_CHECKING:
    from pathlib import Path

_BAR_WIDTH = 40
_QUARTER_MINUTES = 15
_HOUR_MINUTES = 60

_BY_NAME = "SELECT event_name, count(*) AS events FROM '{files}' GROUP BY ALL ORDER BY events DESC, event_name"
_BUSIEST = """
    SELECT stage_arn, session_id, count(DISTINCT participant_id) AS participants
    FROM read_parquet($files) GROUP BY ALL ORDER BY participants DESC, session_id LIMIT 1
"""
# A participant adds one where it joins and takes one where it leaves; each quarter of an hour shows its highest sum.
_PRESENT = """
    WITH steps AS (
        SELECT epoch_us(event_time) AS time_us, if(event_name = 'JOINED', 1, -1) AS step
        FROM read_parquet($files)
        WHERE stage_arn = $stage_arn AND session_id = $session_id AND event_name IN ('JOINED', 'LEFT')
    ), present AS (
        SELECT time_us, sum(step) OVER (ORDER BY time_us, step ROWS UNBOUNDED PRECEDING) AS people FROM steps
    )
    SELECT time_us // (60000000 * $minutes) * $minutes % (24 * 60) AS minute, max(people)
    FROM present GROUP BY time_us // (60000000 * $minutes) ORDER BY time_us // (60000000 * $minutes)
"""


class DuckdbMissing(Exception):
    """DuckDB is not installed."""


def first_answers(lake: Path) -> str:
    """Both answers as text. Raises :class:`DuckdbMissing`, or :class:`ExportError` where DuckDB can't read it."""
    try:
        import duckdb  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as error:
        raise DuckdbMissing from error
    files = re.sub(r"[*?\[]", r"[\g<0>]", str(lake)) + "/events/**/*.parquet"  # DuckDB takes names for patterns
    query = _BY_NAME.format(files=files.replace("'", "''"))
    try:
        with duckdb.connect() as database:
            names = database.execute(query).fetchall()
            stage_arn, session_id, participants = database.execute(_BUSIEST, {"files": files}).fetchall()[0]
            session = {"files": files, "stage_arn": stage_arn, "session_id": session_id, "minutes": _QUARTER_MINUTES}
            present = database.execute(_PRESENT, session).fetchall()
    except duckdb.Error as error:
        raise ExportError(f"DuckDB can't read the lake: {error}") from error
    return (
        f"A first query, with DuckDB:\n\n    {query}\n\n{_table(names)}\n\n"
        f"The busiest session, {session_id}, had {counted(participants, 'participant')}."
        " Participants present, by quarter hour (UTC):\n\n"
        f"{_bars(present)}"
    )


def _table(rows: list[tuple[Any, ...]]) -> str:
    return "\n".join(f"    {name:<20} {count:>9,}" for name, count in rows)


def _bars(rows: list[tuple[Any, ...]]) -> str:
    most = max((people for _, people in rows), default=1)
    return "\n".join(
        f"    {_clock(minute)} {people:>6,} {'█' * round(_BAR_WIDTH * people / most)}" for minute, people in rows
    )


def _clock(minute: int) -> str:
    return f"{minute // _HOUR_MINUTES:02d}:{minute % _HOUR_MINUTES:02d}"
