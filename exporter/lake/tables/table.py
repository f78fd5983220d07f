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
class PartitionDate:
    """The date by which a table's files are cut: the partition's ``key``, which is no column of theirs.

    A row's date is that of the first of its times in ``columns`` that is not null, in UTC; the last of them never is.
    """

    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class OwnValues:
    """Columns in which hardly two rows have the same value.

    ``times`` are written as differences, ``texts`` as they are: a dictionary would make them larger.
    """

    times: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    ``schema`` is that of every file, with its field ids. Rows are sorted by ``sort_by``. ``version`` counts the changes
    to the schema. ``ids`` is None where rows have no ids.
    """

    name: str
    version: int
    schema: pa.Schema
    sort_by: tuple[str, ...]
    date: PartitionDate
    own: OwnValues = OwnValues()
    ids: RowIds | None = None

    @property
    def date_key(self) -> str:
        """The key of the table's partitions."""
        return self.date.key

    @property
    def date_columns(self) -> tuple[str, ...]:
        """The times that date a row: the first that is not null does."""
        return self.date.columns

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


def text_map(first_id: int) -> pa.MapType:
    """The type of a map from texts to texts; its keys take the field id ``first_id``, its values the next one."""
    key = column(first_id, "key", pa.string(), nullable=False)
    return pa.map_(key, column(first_id + 1, "value", pa.string()))


#: The type of every column of times.
MICROS = pa.timestamp("us", tz="UTC")
