"""Rows of stages: what is listed, in the table's columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from exporter.lake.parquet import encode
from exporter.lake.tables.stages import STAGES
from exporter.normalize.columns import Stamp
from exporter.normalize.listed_model import ListedStage
from exporter.normalize.stages import StageRow, stage_rows

ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/abc"
STAMP = Stamp("run-1", 1_795_428_900_000_000)


def test_each_column() -> None:
    """A row has what is listed, and what its ARN and the run say."""
    rows = [
        StageRow(ListedStage(ARN, "Show", {"b": "2", "a": ""}, '{"new":1}'), is_listed=True),
        StageRow(ListedStage("nonsense"), is_listed=False),
    ]
    batch = stage_rows(rows, STAMP)
    assert batch.schema.names == STAGES.schema.names
    exported_at = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
    assert pq.read_table(pa.BufferReader(encode(STAGES, [batch]))).to_pylist() == [
        {
            "stage_arn": ARN,
            "account_id": "123456789012",
            "region": "eu-west-1",
            "stage_name": "Show",
            "tags": [("a", ""), ("b", "2")],
            "is_listed": True,
            "extra": '{"new":1}',
            "run_id": "run-1",
            "exported_at": exported_at,
        },
        {
            **dict.fromkeys(STAGES.schema.names),
            "stage_arn": "nonsense",
            "is_listed": False,
            "run_id": "run-1",
            "exported_at": exported_at,
        },
    ]


def test_an_empty_map_is_no_null() -> None:
    """A stage that has no tags and one whose tags nobody has listed differ, also in one file."""
    rows = [
        StageRow(ListedStage(f"{ARN}0", tags={}), is_listed=True),
        StageRow(ListedStage(f"{ARN}1"), is_listed=True),
    ]
    data = encode(STAGES, [stage_rows(rows[:1], STAMP), stage_rows(rows[1:], STAMP), stage_rows(rows, STAMP)])
    assert pq.read_table(pa.BufferReader(data)).column("tags").to_pylist() == [[], [], None, None]


def test_no_stages_make_no_rows() -> None:
    """Where there is nothing to write, there is an empty batch."""
    assert stage_rows([], STAMP).num_rows == 0
    assert encode(STAGES, [stage_rows([], STAMP)]).size
