"""A table's schema as Iceberg has it, with the field ids of the lake's files; and whether two of them agree.

Readers find a column by its id alone. A catalog that numbers in its own order shows other columns' values, or nulls,
inside nested columns, and no reader says so. So ids are compared before a file is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import DayTransform
from pyiceberg.types import ListType, MapType, StructType

from exporter.catalog.updates import FIRST_PARTITION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from exporter.lake.tables.table import Table

#: The metadata of an Arrow field that PyIceberg takes for a column's comment.
_MEANING = b"doc"


@dataclass(frozen=True, slots=True)
class FieldShape:
    """A column, or a part of one: its whole name, and its type; of a nested one only which kind of nesting it is."""

    name: str
    kind: str


def schema_of(table: Table) -> Schema:
    """The Iceberg schema of a table: the ids of its files, and what each column means."""
    fields = [
        field.with_metadata({**field.metadata, _MEANING: table.comments[field.name].encode()}) for field in table.schema
    ]
    return iceberg_schema(pa.schema(fields))


def iceberg_schema(schema: pa.Schema) -> Schema:
    """The Iceberg schema of an Arrow schema whose fields have ids. Raises ValueError where one has none."""
    return pyarrow_to_schema(schema)


def partition_field_name(table: Table) -> str | None:
    """The name of the field that a table is partitioned by; None where it is not.

    Only a date that one column alone gives is a partition: where another may give it, a row whose first column is null
    would stand under a day, and a reader that asks for nulls would pass it over. Such files are found by their bounds.
    """
    return f"{table.date_key.removesuffix('_date')}_day" if len(table.date_columns) == 1 else None


def spec_of(table: Table) -> PartitionSpec:
    """How a table is partitioned: by the UTC day of the time that dates its rows, or not at all."""
    name = partition_field_name(table)
    if name is None:
        return PartitionSpec()
    source_id = schema_of(table).find_field(table.date_columns[0]).field_id
    return PartitionSpec(PartitionField(source_id, FIRST_PARTITION_ID, DayTransform(), name))


def is_spec(spec: PartitionSpec, table: Table) -> bool:
    """Whether a table in a catalog is partitioned as it should be; the ids of partition fields are the catalog's."""
    wanted = [(field.source_id, field.name, str(field.transform)) for field in spec_of(table).fields]
    return [(field.source_id, field.name, str(field.transform)) for field in spec.fields] == wanted


def shapes_of(schema: Schema) -> dict[int, FieldShape]:
    """All fields of a schema, nested ones too, by their ids."""
    return {
        field_id: shape
        for field in schema.fields
        for field_id, shape in _shapes(field.field_id, field.name, field.field_type)
    }


def misfits_of(found: Schema, wanted: Schema) -> list[str]:
    """Say what of ``wanted`` a schema has not, or has as something else; it may have more fields.

    Each is one line: the field's id, and what it should be.
    """
    there = shapes_of(found)
    return [
        f"field {field_id} should be {shape.name} ({shape.kind})"
        + (f", and is {other.name} ({other.kind})" if (other := there.get(field_id)) else ", and is missing")
        for field_id, shape in sorted(shapes_of(wanted).items())
        if there.get(field_id) != shape
    ]


def is_older(found: Schema, wanted: Schema) -> bool:
    """Whether ``wanted`` only adds fields to a schema: what both have is the same."""
    there, needed = shapes_of(found), shapes_of(wanted)
    return there.keys() < needed.keys() and all(needed[field_id] == shape for field_id, shape in there.items())


def _shapes(field_id: int, name: str, kind: IcebergType) -> Iterator[tuple[int, FieldShape]]:
    match kind:
        case StructType():
            yield field_id, FieldShape(name, "struct")
            for member in kind.fields:
                yield from _shapes(member.field_id, f"{name}.{member.name}", member.field_type)
        case ListType():
            yield field_id, FieldShape(name, "list")
            yield from _shapes(kind.element_id, f"{name}.element", kind.element_type)
        case MapType():
            yield field_id, FieldShape(name, "map")
            yield from _shapes(kind.key_id, f"{name}.key", kind.key_type)
            yield from _shapes(kind.value_id, f"{name}.value", kind.value_type)
        case _:
            yield field_id, FieldShape(name, str(kind))
