"""What a table of the lake is: its name, its pinned schema, how its rows are ordered, and what its date is."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class RowIds:
    """The ids of a table's rows: no unit has one of them twice in ``column``.

    ``version`` is that of the algorithm that makes them. Each file carries it, under the name ``version_key``.
    """

    column: str
    version: str
    version_key: str


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    ``schema`` is that of every file, with its field ids. Rows are sorted by ``sort_by``; the UTC date of
    ``time_column`` is the partition's key ``date_key``, which is not in the file. ``version`` counts the changes to the
    schema. ``ids`` is None where rows have no ids.
    """

    name: str
    version: int
    schema: pa.Schema
    sort_by: tuple[str, ...]
    time_column: str
    date_key: str
    ids: RowIds | None = None

    @property
    def id_column(self) -> str | None:
        """The column of the rows' ids; None where they have none."""
        return None if self.ids is None else self.ids.column

    @property
    def metadata(self) -> dict[str, str]:
        """What stands in each file beside the schema."""
        return {} if self.ids is None else {self.ids.version_key: self.ids.version}


def column(field_id: int, name: str, kind: pa.DataType, *, nullable: bool = True) -> pa.Field:
    """Make a column, or a part of one, with its field id."""
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id)})


#: The type of every column of times.
MICROS = pa.timestamp("us", tz="UTC")
