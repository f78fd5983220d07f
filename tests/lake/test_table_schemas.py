"""The pinned schemas of stages, sessions and participants: columns, types and field ids, to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.lake.parquet import encode
from exporter.lake.tables import TABLES
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.lake.tables.table import Table

_TIME = "timestamp[us, tz=UTC]"
# Each column with its type, in the order of the field ids 1, 2, …, and the ids of what is inside of maps.
_VALUES = {"string": "a", _TIME.partition("<")[0]: 0, "map": {"a": "b"}, "bool": True, "int64": 1}
_STAGES = [
    ("stage_arn", "string"),
    ("account_id", "string"),
    ("region", "string"),
    ("stage_name", "string"),
    ("tags", "map<string, string ('tags')>"),
    ("is_listed", "bool"),
    ("extra", "string"),
    ("run_id", "string"),
    ("exported_at", _TIME),
]
_SESSIONS = [
    ("stage_arn", "string"),
    ("account_id", "string"),
    ("region", "string"),
    ("session_id", "string"),
    ("session_start", _TIME),
    ("session_end", _TIME),
    ("stage_name", "string"),
    ("stage_tags", "map<string, string ('stage_tags')>"),
    ("participant_count", "int64"),
    ("event_count", "int64"),
    ("abandoned_count", "int64"),
    ("is_complete", "bool"),
    ("is_final", "bool"),
    ("extra", "string"),
    ("run_id", "string"),
    ("exported_at", _TIME),
]
_PARTICIPANTS = [
    ("stage_arn", "string"),
    ("account_id", "string"),
    ("region", "string"),
    ("session_id", "string"),
    ("session_start", _TIME),
    ("participant_id", "string"),
    ("user_id", "string"),
    ("first_join_time", _TIME),
    ("published", "bool"),
    ("recording_state", "string"),
    ("replication_type", "string"),
    ("replication_state", "string"),
    ("source_stage_arn", "string"),
    ("source_session_id", "string"),
    ("ingest_configuration_arn", "string"),
    ("redundant_ingest", "bool"),
    ("attributes", "map<string, string ('attributes')>"),
    ("isp_name", "string"),
    ("os_name", "string"),
    ("os_version", "string"),
    ("browser_name", "string"),
    ("browser_version", "string"),
    ("sdk_version", "string"),
    ("protocol", "string"),
    ("recording_s3_bucket", "string"),
    ("recording_s3_prefix", "string"),
    ("details", "string"),
    ("is_final", "bool"),
    ("extra", "string"),
    ("run_id", "string"),
    ("exported_at", _TIME),
]


@pytest.mark.parametrize(
    ("table", "columns", "map_name", "map_ids"),
    [
        (STAGES, _STAGES, "tags", [10, 11]),
        (SESSIONS, _SESSIONS, "stage_tags", [17, 18]),
        (PARTICIPANTS, _PARTICIPANTS, "attributes", [32, 33]),
    ],
    ids=["stages", "sessions", "participants"],
)
def test_the_schema_of_a_file_to_the_letter(
    table: Table, columns: list[tuple[str, str]], map_name: str, map_ids: list[int]
) -> None:
    """A file has the contract's columns, types and field ids in their order, and no partition key."""
    schema = pq.ParquetFile(pa.BufferReader(encode(table, []))).schema_arrow
    assert [(field.name, str(field.type)) for field in schema] == columns
    assert [int(field.metadata[b"PARQUET:field_id"]) for field in schema] == list(range(1, len(columns) + 1))
    kind = schema.field(map_name).type
    assert [int(inner.metadata[b"PARQUET:field_id"]) for inner in (kind.key_field, kind.item_field)] == map_ids
    assert (kind.key_field.nullable, kind.item_field.nullable) == (False, True)
    assert schema.equals(table.schema)


@pytest.mark.parametrize(
    ("table", "deltas", "plain"),
    [
        (STAGES, set(), {"is_listed"}),
        (
            SESSIONS,
            {"session_start", "session_end"},
            {"session_id", "participant_count", "event_count", "abandoned_count", "is_complete", "is_final"},
        ),
        (
            PARTICIPANTS,
            {"first_join_time"},
            {"participant_id", "published", "redundant_ingest", "is_final"},
        ),
    ],
    ids=["stages", "sessions", "participants"],
)
def test_how_the_columns_are_written(table: Table, deltas: set[str], plain: set[str]) -> None:
    """Times of a row's own are written as differences, ids of its own plainly, and what repeats as dictionaries."""
    row = {field.name: _VALUES[str(field.type).partition("<")[0]] for field in table.schema}
    batch = pa.RecordBatch.from_pylist([row, row], schema=table.schema)
    metadata = pq.ParquetFile(pa.BufferReader(encode(table, [batch]))).metadata
    chunks = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
    assert {chunk.compression for chunk in chunks} == {"ZSTD"}
    assert {chunk.path_in_schema for chunk in chunks if "DELTA_BINARY_PACKED" in chunk.encodings} == deltas
    without = {chunk.path_in_schema for chunk in chunks if not chunk.has_dictionary_page}
    assert {name for name in without if "." not in name} == deltas | plain


@pytest.mark.parametrize("table", [STAGES, SESSIONS, PARTICIPANTS], ids=["stages", "sessions", "participants"])
def test_every_reader_sees_the_same_rows(table: Table, tmp_path: Path) -> None:
    """PyArrow, DuckDB and Polars read the same rows, with times in UTC and null beside an empty map."""
    full = {field.name: _VALUES[str(field.type).partition("<")[0]] for field in table.schema}
    empty = dict.fromkeys(table.schema.names) | dict.fromkeys(table.sort_by, "b")
    (map_name,) = [field.name for field in table.schema if pa.types.is_map(field.type)]
    rows = pa.RecordBatch.from_pylist([full, empty, empty | {map_name: {}}], schema=table.schema)
    path = tmp_path / "rows.parquet"
    path.write_bytes(encode(table, [rows]))
    expected = pq.read_table(path).to_pylist()
    assert expected == rows.to_pylist()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.sql("FROM read_parquet(?)", params=[str(path)]).to_arrow_table().to_pylist() == expected
        assert connection.execute(f"SELECT {map_name}['a'] FROM read_parquet(?)", [str(path)]).fetchone() == ("b",)
    frame = pl.read_parquet(path)
    assert frame.schema["exported_at"] == pl.Datetime("us", "UTC")
    assert frame.drop(map_name).to_arrow().to_pylist() == rows.drop_columns(map_name).to_pylist()
    # Which type stands for a map has changed from one Polars to the next.
    assert [None if pairs is None else len(pairs) for pairs in frame[map_name].to_list()] == [1, None, 0]


def test_how_the_tables_are_cut_and_ordered() -> None:
    """The folders' names, the times that date a row, and the order of rows are part of the format."""
    assert [(table.name, table.version, table.date_key) for table in (STAGES, SESSIONS, PARTICIPANTS)] == [
        ("stages", 1, "exported_date"),
        ("sessions", 1, "session_date"),
        ("participants", 1, "session_date"),
    ]
    assert [table.date_columns for table in (STAGES, SESSIONS, PARTICIPANTS)] == [
        ("exported_at",),
        ("session_start", "exported_at"),
        ("session_start", "first_join_time", "exported_at"),
    ]
    assert [table.sort_by for table in (STAGES, SESSIONS, PARTICIPANTS)] == [
        ("stage_arn",),
        ("stage_arn", "session_id"),
        ("stage_arn", "session_id", "participant_id"),
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_what_catalogs_say_of_columns(table: Table) -> None:
    """Each column and the partitions' key has a comment of its own: one line of plain text that Glue has room for."""
    assert list(table.comments) == [*table.schema.names, table.date_key]
    for comment in table.comments.values():
        assert comment.isprintable()
        assert "`" not in comment
        assert 0 < len(comment) <= 255
    assert table.comments["stage_arn"] == "the stage; never null"
    assert table.comments["extra"] == "a JSON object with what has no column; null nearly always"


def test_what_catalogs_say_of_the_key() -> None:
    """Which times date a row, the first that is there."""
    assert PARTICIPANTS.comments["session_date"] == (
        "the key of the partitions: the UTC date of session_start, else of first_join_time, else of exported_at"
    )
