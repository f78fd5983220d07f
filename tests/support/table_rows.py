"""Rows of the tables beside events, in a lake in memory, and what must hold of them at every moment."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from tests.support.memory_store import MemoryStore

KEYS = {
    "stages": ("stage_arn",),
    "sessions": ("stage_arn", "session_id"),
    "participants": ("stage_arn", "session_id", "participant_id"),
}


def rows_of(store: MemoryStore, table: str) -> list[dict[str, Any]]:
    """All rows of a table, without what says which run wrote them."""
    rows = [
        row
        for key, data in sorted(store.visible.items())
        if key.startswith(f"{table}/")
        for row in pq.read_table(io.BytesIO(data)).to_pylist()
    ]
    return [{name: value for name, value in row.items() if name not in {"run_id", "exported_at"}} for row in rows]


def newest(store: MemoryStore, table: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The newest row of each thing."""
    return {tuple(row[name] for name in KEYS[table]): row for row in rows_of(store, table)}


def check_once(store: MemoryStore) -> None:
    """No row stands twice, and each thing that is over has one final row."""
    for table, key in KEYS.items():
        rows = rows_of(store, table)
        assert len({repr(row) for row in rows}) == len(rows), f"a row of {table} stands twice"
        final = [tuple(row[name] for name in key) for row in rows if row.get("is_final")]
        assert len(set(final)) == len(final), f"{table} has two final rows of a thing"
