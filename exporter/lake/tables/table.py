"""What a table of the lake is: its name, its pinned schema, how its rows are ordered, and what its date is."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    ``schema`` is that of every file, with its field ids. Rows are sorted by ``sort_by``; the UTC date of
    ``time_column`` is the partition's key ``date_key``, which is not in the file. ``version`` counts the changes to the
    schema; ``metadata`` stands in each file beside it. ``id_column`` holds what no unit has twice, None where rows have
    no ids.
    """

    name: str
    version: int
    schema: pa.Schema
    sort_by: tuple[str, ...]
    time_column: str
    date_key: str
    metadata: tuple[tuple[str, str], ...] = ()
    id_column: str | None = None


def column(field_id: int, name: str, kind: pa.DataType, *, nullable: bool = True) -> pa.Field:
    """Make a column, or a part of one, with its field id."""
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id)})


#: The type of every column of times.
MICROS = pa.timestamp("us", tz="UTC")
