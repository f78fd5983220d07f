"""Changes to a table for which PyIceberg has no way of its own: this is why its version is pinned.

Its own ways number columns and partition fields by themselves, and commit properties whatever happened meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AssertRefSnapshotId,
    SetCurrentSchemaUpdate,
    SetDefaultSpecUpdate,
)

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table import Transaction

#: The least id that a partition's field has. Source: Iceberg's table specification, "Partitioning".
FIRST_PARTITION_ID = 1000
_MAIN = "main"
_LAST_ADDED = -1


def planned_on(table: IcebergTable) -> Transaction:
    """Begin a transaction that fails where another one has changed the table's files since it was loaded."""
    base = table.current_snapshot()
    is_as_loaded = AssertRefSnapshotId.model_validate({"ref": _MAIN, "snapshot-id": base and base.snapshot_id})
    return table.transaction()._apply((), (is_as_loaded,))  # noqa: SLF001 - see above


def set_schema(transaction: Transaction, schema: Schema) -> None:
    """Give a table these columns, with their ids; the schema takes a number of its own."""
    number = max(there.schema_id for there in transaction.table_metadata.schemas) + 1
    schema = Schema(*schema.fields, schema_id=number, identifier_field_ids=schema.identifier_field_ids)
    current = SetCurrentSchemaUpdate.model_validate({"schema-id": _LAST_ADDED})
    transaction._apply((AddSchemaUpdate.model_validate({"schema": schema}), current))  # noqa: SLF001 - see above


def set_spec(transaction: Transaction, wanted: PartitionSpec) -> None:
    """Let files that come from now on be partitioned so; numbers that older ones have are not taken again."""
    there = transaction.table_metadata
    first_id = (there.last_partition_id or FIRST_PARTITION_ID - 1) + 1
    fields = [
        PartitionField(field.source_id, first_id + index, field.transform, field.name)
        for index, field in enumerate(wanted.fields)
    ]
    spec = PartitionSpec(*fields, spec_id=max(there.specs(), default=-1) + 1)
    default = SetDefaultSpecUpdate.model_validate({"spec-id": _LAST_ADDED})
    transaction._apply((AddPartitionSpecUpdate.model_validate({"spec": spec}), default))  # noqa: SLF001 - see above
