"""The demo's first questions to a lake, answered by DuckDB: which events, how full the busiest session, who watched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.errors import ExportError
from exporter.text import counted, cut, plain

if TYPE_CHECKING:
    from pathlib import Path

_BAR_WIDTH = 40
_NAME_WIDTH = 24
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
# From a subscription's beginning to the viewer's last event, less what comes after the subscription's end. So one that
# has no end lasts until the last event, and it does not matter which end belongs to which beginning.
_WATCHED = """\
SELECT user_id, mode(browser_name) AS browser, sum(step * left_s) / 3600 AS hours
FROM '{participants}' JOIN (
    SELECT stage_arn, session_id, participant_id,
        CASE event_name WHEN 'SUBSCRIBE_STARTED' THEN 1 WHEN 'SUBSCRIBE_STOPPED' THEN -1 END AS step,
        max(epoch(event_time)) OVER (PARTITION BY stage_arn, session_id, participant_id) - epoch(event_time) AS left_s
    FROM '{events}' WHERE replica IS NOT TRUE
) USING (stage_arn, session_id, participant_id)
WHERE is_final AND user_id IS NOT NULL AND step IS NOT NULL
GROUP BY user_id ORDER BY hours DESC, user_id LIMIT 5"""


class DuckdbMissing(Exception):
    """DuckDB is not installed."""


def first_answers(lake: Path) -> str:
    """The answers as text. Raises :class:`DuckdbMissing`, or :class:`ExportError` where DuckDB can't read it."""
    try:
        import duckdb  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as error:
        raise DuckdbMissing from error
    files = _files(lake, "events")
    query = _BY_NAME.format(files=files.replace("'", "''"))
    of_people = _WATCHED.format(**{name: _files(lake, name).replace("'", "''") for name in ("events", "participants")})
    try:
        with duckdb.connect() as database:
            names = database.execute(query).fetchall()
            stage_arn, session_id, participants = database.execute(_BUSIEST, {"files": files}).fetchall()[0]
            session = {"files": files, "stage_arn": stage_arn, "session_id": session_id, "minutes": _QUARTER_MINUTES}
            present = database.execute(_PRESENT, session).fetchall()
            viewers = database.execute(of_people).fetchall() if (lake / "participants").is_dir() else []
    except duckdb.Error as error:
        raise ExportError(f"DuckDB can't read the lake: {error}") from error
    return (
        f"A first query, with DuckDB:\n\n    {query}\n\n{_table(names)}\n\n"
        f"The busiest session, {session_id}, had {counted(participants, 'participant')}."
        " Participants present, by quarter hour (UTC):\n\n"
        f"{_bars(present)}" + _people(of_people, viewers)
    )


def _files(lake: Path, table: str) -> str:
    """The pattern of a table's files, as DuckDB reads it."""
    root = re.sub(r"[*?\[]", r"[\g<0>]", str(lake))  # it takes names for patterns
    return f"{root}/{table}/**/*.parquet"


def _people(query: str, viewers: list[tuple[Any, ...]]) -> str:
    """Who watched longest, with the query; nothing where nobody did."""
    if not viewers:
        return ""
    lines = [
        f"    {plain(cut(user_id, _NAME_WIDTH)):<{_NAME_WIDTH}} {plain(browser or 'an app'):<12} {hours:>6.1f} h"
        for user_id, browser, hours in viewers
    ]
    shown_query = "\n".join(f"    {line}" for line in query.splitlines())
    return f"\n\nThe five viewers who watched longest, with their browsers:\n\n{shown_query}\n\n" + "\n".join(lines)


def _table(rows: list[tuple[Any, ...]]) -> str:
    return "\n".join(f"    {name:<20} {count:>9,}" for name, count in rows)


def _bars(rows: list[tuple[Any, ...]]) -> str:
    most = max((people for _, people in rows), default=1)
    return "\n".join(
        f"    {_clock(minute)} {people:>6,} {'█' * round(_BAR_WIDTH * people / most)}" for minute, people in rows
    )


def _clock(minute: int) -> str:
    return f"{minute // _HOUR_MINUTES:02d}:{minute % _HOUR_MINUTES:02d}"
