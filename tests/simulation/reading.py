"""A lake's files and records as anybody can read them, without the exporter's own code."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.simulation.truth import UNDATED, Row, canonical

_COLUMNS = (
    "stage_arn",
    "session_id",
    "participant_id",
    "event_time",
    "event_name",
    "remote_participant_id",
    "error_code",
    "extra",
)


def read_rows(key: str, data: bytes) -> list[tuple[int | None, Row]]:
    """The rows of a data file, each with its id; those of a file of rejects have none."""
    if not key.endswith(".parquet"):
        return [(None, _reject(json.loads(line))) for line in data.splitlines()]
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:  # no other thread need fetch what is here
        table = file.read(["event_id", *_COLUMNS], use_threads=False)
    place = table.schema.get_field_index("event_time")
    table = table.set_column(place, "event_time", table.column("event_time").cast(pa.int64()))
    ids, *columns = (table.column(name).to_pylist() for name in ("event_id", *_COLUMNS))
    *others, extras = columns
    plain = [None if extra is None else canonical(json.loads(extra)) for extra in extras]
    return list(zip(ids, zip(*others, plain, strict=True), strict=True))


def read_table(data: bytes) -> list[dict[str, Any]]:
    """The rows of a data file of any table, with their times in microseconds since the epoch, and maps as dicts."""
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        table = file.read(use_threads=False)
    for index, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(index, column.name, table.column(index).cast(pa.int64()))
    maps = [column.name for column in table.schema if pa.types.is_map(column.type)]
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        row.update({name: None if row[name] is None else dict(row[name]) for name in maps})
    return rows


def table_of(key: str) -> str:
    """The table in a data file's key."""
    return key.split("/", maxsplit=1)[0]


def _reject(line: dict[str, Any]) -> Row:
    unit = (line["stage_arn"], line["session_id"], line["participant_id"])
    return (*unit, UNDATED, "reject", None, None, canonical(line["event"]))


def scope_name(key: str) -> str:
    """The scope in a key of the log."""
    return key.split("/")[1]


def read_record(body: bytes) -> dict[str, Any]:
    """A record's members."""
    record: dict[str, Any] = json.loads(body)
    return record
