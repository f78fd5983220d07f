"""What a table of the lake is: its name, its columns and what they mean, how its rows are ordered, what its date is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What is said of a column that has a value in each row.
NEVER = "never"
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class TableColumn:
    """A column: its field id, name and type; what it means, and in which rows it is null.

    ``meaning`` and ``null`` are for readers: the page of the tables shows them, and catalogs as the column's comment.
    ``is_own`` says that hardly two rows have the same value.
    """

    field_id: int
    name: str
    kind: pa.DataType
    meaning: str
    null: str
    is_own: bool = False

    @property
    def field(self) -> pa.Field:
        """The column as a field of the files' schema: of its meaning the files have nothing."""
        return part(self.field_id, self.name, self.kind)

    @property
    def comment(self) -> str:
        """What a catalog shows: meaning and nulls, in plain text."""
        null = "never null" if self.null == NEVER else f"null {self.null}"
        return f"{self.meaning}; {null}".replace("`", "")


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

    @property
    def comment(self) -> str:
        """What a catalog shows of the key."""
        return f"the key of the partitions: the UTC date of {', else of '.join(self.columns)}"


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

    ``row`` says what a row is. ``columns`` stand in the order of every file. Rows are sorted by ``sort_by``.
    ``version`` counts the changes to the schema. ``ids`` is None where rows have no ids.
    """

    name: str
    row: str
    version: int
    columns: tuple[TableColumn, ...]
    sort_by: tuple[str, ...]
    date: PartitionDate
    ids: RowIds | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The pinned schema of every file, with its field ids."""
        return pa.schema([column.field for column in self.columns])

    @cached_property
    def own(self) -> OwnValues:
        """The columns in which hardly two rows have the same value."""
        own = [column for column in self.columns if column.is_own]
        return OwnValues(
            times=tuple(column.name for column in own if pa.types.is_timestamp(column.kind)),
            texts=tuple(column.name for column in own if pa.types.is_string(column.kind)),
        )

    @cached_property
    def comments(self) -> Mapping[str, str]:
        """What a catalog shows of each column, and of the partitions' key after them."""
        return {column.name: column.comment for column in self.columns} | {self.date_key: self.date.comment}

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


def part(field_id: int, name: str, kind: pa.DataType, *, nullable: bool = True) -> pa.Field:
    """Make a column's field, or that of a part of one, with its field id."""
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id)})


def text_map(first_id: int) -> pa.MapType:
    """The type of a map from texts to texts; its keys take the field id ``first_id``, its values the next one."""
    key = part(first_id, "key", pa.string(), nullable=False)
    return pa.map_(key, part(first_id + 1, "value", pa.string()))


#: The type of every column of times.
MICROS = pa.timestamp("us", tz="UTC")
