"""What every peer is told, and what the plain ones share: the columns, and files of some 1,000s of rows."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

REGION = "us-east-1"
#: Requests in flight, the same for everyone.
CONCURRENCY = 8
_ROWS_A_FILE = 10_000

Unit = dict[str, str]

MICROS = pa.timestamp("us", "UTC")
#: What botocore's parser gives of an event. It drops the tokens, which its model lacks.
SCHEMA = pa.schema(
    {
        "stageArn": pa.string(),
        "sessionId": pa.string(),
        "participantId": pa.string(),
        "name": pa.string(),
        "eventTime": MICROS,
        "remoteParticipantId": pa.string(),
        "errorCode": pa.string(),
        "destinationStageArn": pa.string(),
        "destinationSessionId": pa.string(),
        "replica": pa.bool_(),
    }
)


@dataclass(frozen=True, slots=True)
class Task:
    """From where, what, and where to."""

    url: str
    units: list[Unit]
    folder: Path


def task() -> Task:
    """What the command line says."""
    url, units, folder = sys.argv[1:]
    Path(folder, "events").mkdir(parents=True)
    return Task(url, json.loads(Path(units).read_text()), Path(folder))


@dataclass(slots=True)
class Files:
    """Rows as dictionaries, written to a file each time there are enough of them."""

    folder: Path
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _count: int = 0

    def add(self, unit: Unit, events: list[dict[str, Any]]) -> None:
        """Add the events of one page."""
        self._rows += [{**unit, **event} for event in events]
        if len(self._rows) >= _ROWS_A_FILE:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        if self._rows:
            rows, self._rows = pa.Table.from_pylist(self._rows, SCHEMA), []
            pq.write_table(rows, self.folder / "events" / f"{self._count}.parquet", compression="zstd")
            self._count += 1
