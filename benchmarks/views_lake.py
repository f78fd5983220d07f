"""A lake for the views, made in a few steps of SQL and written by the exporter's own code.

Sessions have heavy tails: most have some dozens of participants, a few have thousands, and at most twelve of each
publish. Participants come once to four times, and watch one publisher after another. Of a hundred stops five are
missing, of a hundred LEFT two; one subscription in a hundred fails; one participant in fifty is a replica.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from exporter.lake.partitions import dates_in
from exporter.lake.staging import publish, stage
from exporter.lake.stores.directory import DirectoryStore
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from exporter.lake.tables.table import Table

#: The first of a lake's days.
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_STAGES = 20
_DAY_US = 86_400_000_000
#: Files of events that a night leaves of a day: a checkpoint each five minutes.
_PARTS = 5

_MACROS = """
CREATE MACRO share(key, what) AS hash(key, what) / 18446744073709551616;
CREATE MACRO text_id(key, what) AS substr(md5(what || key), 1, 12);
CREATE MACRO instant(moment_us) AS make_timestamp(moment_us::BIGINT);
"""
_SESSIONS = """
CREATE TABLE made_sessions AS
SELECT n AS session_number,
    'arn:aws:ivs:us-east-1:111122223333:stage/' || text_id(n % $stages, 'stage') AS stage_arn,
    'st-' || text_id(n, 'session') AS session_id,
    ($first_us + share(n, 'start') * $days * 86400000000)::BIGINT AS start_us,
    ((1 + 3 * share(n, 'length')) * 3600000000)::BIGINT AS length_us,
    instant(start_us + 86400000000) AS exported_at
FROM range($sessions) AS numbers(n)
"""
_PARTICIPANTS = """
CREATE TABLE made_participants AS
SELECT s.*, p.n AS number, text_id(p.n, 'participant') AS participant_id, share(p.n, 'replica') < 0.02 AS is_replica,
    row_number() OVER own AS place,
    least(12, 1 + count(*) OVER (PARTITION BY session_number) // 10) AS publishers,
    1 + (share(p.n, 'visits') * 4)::BIGINT % 4 AS visits
FROM range($participants) AS p(n)
JOIN made_sessions s ON s.session_number = floor($sessions * share(p.n, 'session') ** 2.5)
WINDOW own AS (PARTITION BY session_number ORDER BY p.n)
"""
_STAGES_OF_ALL = """
SELECT stage_arn, 'Show ' || stage_arn[-12:] AS stage_name, true AS is_listed, exported_at
FROM (SELECT stage_arn, min(exported_at) AS exported_at FROM made_sessions GROUP BY ALL)
"""
_SESSIONS_OF_ALL = """
SELECT stage_arn, session_id, instant(start_us) AS session_start,
    instant(start_us + length_us) AS session_end,
    'Show ' || stage_arn[-12:] AS stage_name, true AS is_complete, true AS is_final, exported_at
FROM made_sessions
"""
_PARTICIPANTS_OF_ALL = """
SELECT stage_arn, session_id, instant(start_us) AS session_start, participant_id,
    'user-' || text_id((share(number, 'user') * 50000)::BIGINT, 'user') AS user_id,
    instant(start_us + 1000000) AS first_join_time, place <= publishers AS published,
    CASE WHEN is_replica THEN 'REPLICA' ELSE 'NONE' END AS replication_type,
    'Provider ' || number % 30 AS isp_name, 'Browser ' || number % 12 AS browser_name, true AS is_final, exported_at
FROM made_participants
"""
# Each visit has a slot of the session's time. What it watches begins in slots of the visit's, and goes on for three.
_EVENTS_OF_DAY = """
WITH visits AS (
    SELECT *, number * 4 + visit AS visit_key,
        (start_us + length_us * ((visit + 0.1 * share(number * 4 + visit, 'in')) / visits))::BIGINT AS in_us,
        (length_us * (0.3 + 0.5 * share(number * 4 + visit, 'stay')) / visits)::BIGINT AS stay_us
    FROM (SELECT *, unnest(range(visits)) AS visit FROM made_participants WHERE start_us // 86400000000 = $day)
),
watched AS (
    SELECT *, unnest(range(pairs)) AS pair
    FROM (SELECT *, 1 + floor(-8.5 * ln(1 - share(visit_key, 'pairs')))::BIGINT AS pairs FROM visits)
),
pairs AS (
    SELECT stage_arn, session_id, exported_at, number, participant_id, is_replica, visit_key AS key,
        NULL AS peer, 'JOINED' AS begin_name, 'LEFT' AS end_name, in_us AS begin_us, in_us + stay_us AS end_us,
        0.02 AS lost_share
    FROM visits
    UNION ALL
    SELECT stage_arn, session_id, exported_at, number, participant_id, is_replica, visit_key,
        NULL, 'PUBLISH_STARTED', 'PUBLISH_STOPPED', in_us + 900000, in_us + stay_us * 9 // 10, 0.05
    FROM visits
    WHERE place <= publishers
    UNION ALL
    SELECT w.stage_arn, w.session_id, w.exported_at, w.number, w.participant_id, w.is_replica, visit_key * 4096 + pair,
        p.participant_id, 'SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED',
        in_us + stay_us * pair // (pairs + 3) + 700000,
        in_us + stay_us * (pair * 100 + least(3, w.publishers) * 95) // ((pairs + 3) * 100) + 700000,
        0.05
    FROM watched w
    JOIN made_participants p
        ON p.session_number = w.session_number AND p.place = 1 + (w.number + pair) % w.publishers
),
told AS (
    SELECT *, unnest([0, 1, 2]) AS side FROM pairs
),
made AS (
    SELECT stage_arn, session_id, exported_at, number, participant_id, is_replica, peer,
        CASE side WHEN 0 THEN begin_name WHEN 1 THEN end_name ELSE 'SUBSCRIBE_ERROR' END AS event_name,
        CASE side WHEN 1 THEN end_us ELSE begin_us END AS moment_us, hash(key, begin_name, side) AS number_of_event,
        CASE side WHEN 2 THEN 'ERROR_' || number % 7 END AS error_code
    FROM told
    WHERE side = 0 OR (side = 1 AND share(key, end_name) >= lost_share)
        OR (side = 2 AND begin_name = 'SUBSCRIBE_STARTED' AND share(key, 'error') < 0.01)
)
SELECT (number_of_event >> 1)::BIGINT AS event_id, instant(moment_us) AS event_time, event_name, stage_arn,
    session_id, participant_id, peer AS remote_participant_id, error_code,
    CASE WHEN is_replica AND peer IS NULL THEN true END AS replica, exported_at, number % $parts AS part
FROM made
"""

_LISTED = ((STAGES, _STAGES_OF_ALL), (SESSIONS, _SESSIONS_OF_ALL), (PARTICIPANTS, _PARTICIPANTS_OF_ALL))
_SAME = {"account_id": "111122223333", "region": "us-east-1", "run_id": "20260101T000000Z-benchmark"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a lake is: its ``sessions`` begin in so many ``days`` from `FIRST_DAY` on."""

    participants: int
    sessions: int
    days: int


def write_lake(folder: Path, shape: Shape) -> int:
    """Write a lake of that shape into a folder, and return how many events it has."""
    store, first_us = DirectoryStore(folder), int(FIRST_DAY.timestamp()) * 1_000_000
    sizes = {"stages": _STAGES, "first_us": first_us, "days": shape.days, "sessions": shape.sessions}
    with closing(duckdb.connect()) as connection:
        connection.execute(_MACROS)
        connection.execute(_SESSIONS, sizes)
        connection.execute(_PARTICIPANTS, {"participants": shape.participants, "sessions": shape.sessions})
        for table, sql in (
            (STAGES, _STAGES_OF_ALL),
            (SESSIONS, _SESSIONS_OF_ALL),
            (PARTICIPANTS, _PARTICIPANTS_OF_ALL),
        ):
            rows = connection.sql(sql).to_arrow_table()
            asyncio.run(_write(store, table, rows, "000000"))
        events = 0
        for day in range(first_us // _DAY_US, first_us // _DAY_US + shape.days):
            made = connection.sql(_EVENTS_OF_DAY, params={"day": day, "parts": _PARTS}).to_arrow_table()
            events += made.num_rows
            for part, rows in enumerate(_parts(made)):
                asyncio.run(_write(store, EVENTS, rows, f"{day}-{part}"))
    return events


def day_of(number: int) -> date:
    """The date of a lake's day, the first being 0."""
    return (FIRST_DAY + timedelta(days=number)).date()


def _parts(made: pa.Table) -> Iterator[pa.Table]:
    for part in range(_PARTS):
        yield made.filter(pa.compute.equal(made.column("part"), part))


def _rows(made: pa.Table, table: Table) -> pa.RecordBatch:
    """The rows with all columns of their table, null where none were made."""
    columns = [_column(made, field) for field in table.schema]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _column(made: pa.Table, field: pa.Field) -> pa.Array:
    if field.name in _SAME:
        return pa.repeat(_SAME[field.name], made.num_rows)
    if field.name not in made.column_names:
        return pa.nulls(made.num_rows, field.type)
    return made.column(field.name).combine_chunks().cast(field.type)


async def _write(store: DirectoryStore, table: Table, made: pa.Table, name: str) -> None:
    rows = _rows(made, table)
    await publish(store, await stage(store, table, {day: [rows] for day in dates_in(table, rows)}, name))
