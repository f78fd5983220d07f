"""Parquet files: the pinned schema to the letter, and the same rows to every reader."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.lake.parquet import encode
from exporter.lake.tables.events import EVENTS
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.events import event_rows

if TYPE_CHECKING:
    from pathlib import Path

_TIME = "timestamp[us, tz=UTC]"
_TOKEN = (
    "struct<capabilities: list<element: string>, attributes: map<string, string ('attributes')>, user_id: string, "
    "expiration_time: timestamp[us, tz=UTC]>"
)
# The contract's table of columns.
_COLUMNS = [
    ("event_id", "int64"),
    ("event_time", _TIME),
    ("event_name", "string"),
    ("account_id", "string"),
    ("region", "string"),
    ("stage_arn", "string"),
    ("session_id", "string"),
    ("participant_id", "string"),
    ("remote_participant_id", "string"),
    ("error_code", "string"),
    ("destination_stage_arn", "string"),
    ("destination_session_id", "string"),
    ("replica", "bool"),
    ("previous_token", _TOKEN),
    ("new_token", _TOKEN),
    ("extra", "string"),
    ("run_id", "string"),
    ("exported_at", _TIME),
]
_TOKEN_IDS = {
    "previous_token": {
        "capabilities": 19,
        "attributes": 20,
        "user_id": 21,
        "expiration_time": 22,
        "element": 23,
        "key": 24,
        "value": 25,
    },
    "new_token": {
        "capabilities": 26,
        "attributes": 27,
        "user_id": 28,
        "expiration_time": 29,
        "element": 30,
        "key": 31,
        "value": 32,
    },
}
_TOKEN_EVENT = {
    "name": "TOKEN_EXCHANGED",
    "eventTime": "2026-11-23T10:15:00.123456Z",
    "previousToken": {
        "capabilities": ["SUBSCRIBE", "PUBLISH"],
        "attributes": {"b": "é", "a": ""},
        "userId": "u",
        "expirationTime": "2026-11-23T12:00:00Z",
    },
    "newToken": {"capabilities": []},
    "somethingNew": [1],
}

_event = st.fixed_dictionaries(
    {"eventTime": st.integers(0, 59).map("2026-11-23T10:15:{:02d}Z".format)},
    optional={
        "name": st.text(max_size=2),
        "errorCode": st.sampled_from(["", "E"]),
        "replica": st.booleans(),
        "newToken": st.sampled_from([{"userId": "u"}, {"attributes": {"a": "b"}}]),
        "somethingNew": st.integers(),
    },
)


def _batch(units: list[tuple[int, int, list[dict[str, Any]]]]) -> pa.RecordBatch:
    fetched = []
    for stage, participant, events in units:
        arn = f"arn:aws:ivs:us-east-1:123456789012:stage/{stage}"
        unit = Unit(arn, "st-AbCdEfGhIjKlM", f"p{participant}")
        fetched.append(FetchedUnit(unit, Session(arn, unit.session_id), (json.dumps(events).encode(),), 0))
    return event_rows(fetched, Stamp("run-1", 1795428900000000)).rows


def _usual(participant: int, count: int) -> pa.RecordBatch:
    return _batch([(0, participant, [{"name": "A", "eventTime": f"2026-11-23T10:15:{n:02d}Z"} for n in range(count)])])


def _sort_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(map(row.__getitem__, EVENTS.sort_by))


def _read(data: pa.Buffer) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(data))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two batches, one with all that an event can have and one with as little as may be."""
    path = tmp_path / "events.parquet"
    path.write_bytes(encode(EVENTS, [_usual(2, 3), _batch([(0, 1, [_TOKEN_EVENT, _TOKEN_EVENT])])]))
    return path


def test_the_schema_to_the_letter(file: Path) -> None:
    """A file has the contract's columns and types in their order, whatever its rows hold, and no partition key."""
    for schema in (pq.read_schema(file), _read(encode(EVENTS, [_usual(0, 1)])).schema_arrow):
        assert [(field.name, str(field.type)) for field in schema] == _COLUMNS
        assert schema.equals(EVENTS.schema)


def test_the_field_ids(file: Path) -> None:
    """Each column and each member inside one has the contract's field id."""
    schema = pq.read_schema(file)
    assert [int(field.metadata[b"PARQUET:field_id"]) for field in schema] == list(range(1, 19))
    for name, ids in _TOKEN_IDS.items():
        members = list(schema.field(name).type)
        capabilities, attributes = members[0].type, members[1].type
        inner = [*members, capabilities.value_field, attributes.key_field, attributes.item_field]
        assert {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in inner} == ids


def test_the_file_says_how_it_was_written(file: Path) -> None:
    """The file is zstd with statistics, has dictionaries for what repeats, and names its schema's version."""
    with pq.ParquetFile(file) as opened:
        metadata = opened.metadata
    assert metadata.metadata == {b"ivs-export.schema-version": b"1"}
    chunks = {chunk.path_in_schema: chunk for chunk in map(metadata.row_group(0).column, range(metadata.num_columns))}
    assert {chunk.compression for chunk in chunks.values()} == {"ZSTD"}
    assert all(chunk.is_stats_set for chunk in chunks.values())
    texts = [name for name, kind in _COLUMNS if kind == "string"]
    assert {name for name, chunk in chunks.items() if chunk.has_dictionary_page} == {*texts, "exported_at"}
    assert "DELTA_BINARY_PACKED" in chunks["event_time"].encodings
    assert (chunks["participant_id"].statistics.min, chunks["participant_id"].statistics.max) == ("p1", "p2")


def test_metadata_stands_in_the_file() -> None:
    """What the caller gives stands beside the schema's version."""
    data = encode(EVENTS, [_usual(0, 1)], metadata={"run": "x"})
    assert _read(data).metadata.metadata == {b"ivs-export.schema-version": b"1", b"run": b"x"}


def test_every_reader_sees_the_same_rows(file: Path) -> None:
    """PyArrow, DuckDB and Polars read the same rows, with times in UTC."""
    expected = pq.read_table(file).to_pylist()
    assert len(expected) == 5
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.sql("FROM read_parquet(?)", params=[str(file)]).to_arrow_table().to_pylist() == expected
        described = connection.execute("DESCRIBE FROM read_parquet(?)", [str(file)]).fetchall()
    types = {name: kind for name, kind, *_ in described}
    assert types["event_time"] == "TIMESTAMP WITH TIME ZONE"
    assert types["new_token"] == (
        "STRUCT(capabilities VARCHAR[], attributes MAP(VARCHAR, VARCHAR), user_id VARCHAR, "
        "expiration_time TIMESTAMP WITH TIME ZONE)"
    )
    frame = pl.read_parquet(file)
    assert frame.schema["event_time"] == pl.Datetime("us", "UTC")
    assert frame.to_arrow().to_pylist() == expected


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 1), st.integers(0, 3), st.lists(_event, max_size=4)),
            max_size=3,
            unique_by=itemgetter(0, 1),
        ),
        max_size=4,
    ),
    st.integers(1, 8),
)
def test_no_row_is_lost_and_groups_are_sorted(
    units: list[list[tuple[int, int, list[dict[str, Any]]]]], group_rows_max: int
) -> None:
    """A file holds the rows that were passed to it, in groups within their bound, each sorted as the table says."""
    batches = [_batch(each) for each in units]
    rows = [row for batch in batches for row in batch.to_pylist()]
    opened = _read(encode(EVENTS, batches, group_rows_max=group_rows_max))
    groups = [opened.read_row_group(place).to_pylist() for place in range(opened.num_row_groups)]
    assert sorted((row for group in groups for row in group), key=repr) == sorted(rows, key=repr)
    assert len(groups) == -(-len(rows) // group_rows_max)
    for group in groups:
        assert len(group) <= group_rows_max
        assert group == sorted(group, key=_sort_key)


def test_unused_values_stay_out_of_the_file() -> None:
    """A few rows out of a big batch bring only their own values into the file."""
    batch = _batch([(0, place, [{"eventTime": "2026-11-23T10:15:00Z"}]) for place in range(2000)])
    assert encode(EVENTS, [batch.slice(0, 1)]).size < encode(EVENTS, [_usual(0, 1)]).size + 200


def test_many_different_texts_outgrow_a_dictionary() -> None:
    """A column whose texts are all different and long is written as well."""
    events = [{"name": f"{place}" * 40, "eventTime": "2026-11-23T10:15:00Z"} for place in range(10_000)]
    batch = _batch([(0, 0, events)])
    found = _read(encode(EVENTS, [batch])).read(columns=["event_name"]).column(0).to_pylist()
    assert sorted(found) == sorted(event["name"] for event in events)


def test_a_file_without_rows() -> None:
    """No rows make a file with the schema and no row group."""
    opened = _read(encode(EVENTS, []))
    assert (opened.metadata.num_rows, opened.num_row_groups) == (0, 0)
    assert opened.schema_arrow.equals(EVENTS.schema)


def test_memory_is_that_of_a_row_group() -> None:
    """A file written in many groups takes a small part of the memory of the same rows spread out at once."""
    batches = [_usual(place, 50) for place in range(400)]
    assert _peak_bytes(batches, 1_000) < _peak_bytes(batches, 20_000) / 3


def test_a_group_is_bounded_in_bytes_too() -> None:
    """Rows with long texts are written in smaller groups, in the memory of one of them; each is sorted."""
    times = [f"2026-11-23T10:{place:02d}:00Z" for place in range(40)]
    batches = [
        _batch([(0, number, [{"name": f"{number} {time} " * 250, "eventTime": time} for time in times])])
        for number in range(20)
    ]
    data = encode(EVENTS, batches, group_size_bytes_max=1_000_000)
    opened = _read(data)
    groups = [opened.read_row_group(place, columns=list(EVENTS.sort_by)) for place in range(opened.num_row_groups)]
    assert len(groups) >= 5
    assert sum(group.num_rows for group in groups) == 800
    for group in groups:
        assert group.num_rows * 6_000 <= 1_300_000
        assert group.to_pylist() == sorted(group.to_pylist(), key=_sort_key)
    assert _peak_bytes(batches, size_bytes_max=1_000_000) < _peak_bytes(batches) / 2


def test_long_texts_that_many_rows_share_are_not_written_out_at_once() -> None:
    """Where the writer gives a dictionary up, since it is too large, a group has as many rows as their texts allow."""
    texts = [f"{place:06d}" * 5_000 for place in range(50)]
    events = [{"name": texts[place % 50], "eventTime": "2026-11-23T10:15:00Z"} for place in range(4_000)]
    batch = _batch([(0, 0, events)])
    opened = _read(encode(EVENTS, [batch], group_size_bytes_max=8_000_000))
    assert opened.num_row_groups >= 15
    found = [opened.read_row_group(place, columns=["event_name"]) for place in range(opened.num_row_groups)]
    names = [name for group in found for name in group.column(0).to_pylist()]
    assert sorted(names) == sorted(event["name"] for event in events)
    assert _peak_bytes([batch], size_bytes_max=8_000_000) < 60_000_000


def _peak_bytes(batches: list[pa.RecordBatch], group_rows_max: int = 65_536, size_bytes_max: int = 1 << 40) -> int:
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    try:
        encode(EVENTS, batches, group_rows_max=group_rows_max, group_size_bytes_max=size_bytes_max)
    finally:
        pa.set_memory_pool(usual)
    peak: int = watched.max_memory()
    return peak
