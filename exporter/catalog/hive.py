"""Tables in Glue over the lake's Parquet files, as Athena's Hive reader takes them. Pure.

A table names its files by the dates of their folders, which Athena works out by itself (partition projection), so what
a run adds is there at once. What a table should be is compared with what is there:

- A table that lacks our mark, or shows another lake, is refused: somebody else made it.
- A table that a newer exporter keeps is left alone.
- Ours are the columns of the schema, their types and order, the place and the format of the files, and the parameters
  that are set here. They are set anew where they differ.
- Whatever else others have added stays: parameters, further columns (behind ours), a description, and a comment that
  somebody has changed. What was last written as a comment stands in the column's own parameters, to tell.

Sources: Glue API Reference, "TableInput"; Athena User Guide, "Set up partition projection", "Data types in Athena".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from exporter.catalog.errors import CatalogMismatch
from exporter.text import shown
from exporter.views.engines import PROJECTED_DATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.lake.tables.table import Table

#: What was done about a table, or is to be done.
TableOutcome = Literal["created", "updated", "unchanged", "newer", "dropped"]

#: The parameter that says that a table is ours, and which lake it shows.
LAKE_URL = "ivs-export.lake-url"
_SCHEMA_VERSION = "ivs-export.schema-version"
_OUR_COMMENT = "ivs-export.comment"
_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# What may be said of a table that is there already; the other members of an answer are Glue's own.
_MEMBERS = (
    "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor", "PartitionKeys",
    "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable",
)  # fmt: skip
_PLAIN_TYPES: tuple[tuple[pa.DataType, str], ...] = (
    (pa.string(), "string"),
    (pa.bool_(), "boolean"),
    (pa.int32(), "int"),
    (pa.int64(), "bigint"),
    (pa.float64(), "double"),
    (pa.date32(), "date"),
)


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to be done about a table, and what is sent to Glue for that; None where that is nothing."""

    outcome: TableOutcome
    table_input: Mapping[str, Any] | None = None


def hive_name(table: Table) -> str:
    """The name of a table of the lake in Glue."""
    return f"{table.name}_hive"


def hive_type(kind: pa.DataType) -> str:
    """What Hive calls an Arrow type, written as Glue keeps it: without a space. Raises TypeError for one it has not."""
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{hive_type(kind.key_type)},{hive_type(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{member.name}:{hive_type(member.type)}' for member in kind)}>"
    for plain, name in _PLAIN_TYPES:
        if kind == plain:
            return name
    raise TypeError(f"there is no type of Hive's for {kind}")


def wanted_table(table: Table, lake: str) -> dict[str, Any]:
    """The table as it is sent to Glue when it is made. ``lake`` is ``s3://bucket/prefix``."""
    place, key = f"{lake}/{table.name}/", table.date_key
    return {
        "Name": hive_name(table),
        "Description": f"{table.row.replace('`', '')}; the files of {place}, which no engine but ivs-export writes",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            LAKE_URL: lake,
            _SCHEMA_VERSION: str(table.version),
            "EXTERNAL": "TRUE",
            "external.table.purge": "FALSE",  # Hive and Spark would else be free to delete the files with the table
            "classification": "parquet",
            "projection.enabled": "true",
            f"projection.{key}.type": "date",
            f"projection.{key}.format": "yyyy-MM-dd",
            f"projection.{key}.range": PROJECTED_DATES,
            "storage.location.template": f"{place}{key}=${{{key}}}/",
        },
        "PartitionKeys": [_column(key, "date", table.comments[key])],
        "StorageDescriptor": {
            "Columns": [
                _column(field.name, hive_type(field.type), table.comments[field.name]) for field in table.schema
            ],
            "Location": place,
            "InputFormat": f"{_PARQUET}.MapredParquetInputFormat",
            "OutputFormat": f"{_PARQUET}.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": f"{_PARQUET}.serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
        },
    }


def decide(table: Table, lake: str, found: Mapping[str, Any] | None) -> TableChange:
    """Compare what Glue has under the table's name, None where it has nothing, with what should be there.

    Raises :class:`CatalogMismatch` where it is not ours.
    """
    wanted = wanted_table(table, lake)
    if found is None:
        return TableChange("created", wanted)
    check_ours(found, lake)
    if _version_of(found) > table.version:
        return TableChange("newer")
    there = {name: found[name] for name in _MEMBERS if found.get(name) is not None}
    merged = {**there, **_merged(there, wanted)}
    return TableChange("unchanged") if merged == {**there, "Name": wanted["Name"]} else TableChange("updated", merged)


def check_ours(found: Mapping[str, Any], lake: str) -> None:
    """Raise :class:`CatalogMismatch` where a table that Glue has was not made by the exporter, for this lake."""
    shows = (found.get("Parameters") or {}).get(LAKE_URL)
    if shows == lake:
        return
    name = f"{found.get('DatabaseName')}.{found.get('Name')}"
    whose = "ivs-export has not made it" if shows is None else f"it shows the lake {shown(shows)}"
    raise CatalogMismatch(
        f"the table {shown(name)} is not of the lake {lake}: {whose}",
        "set another `database` in [catalog], or remove that table",
    )


def _version_of(found: Mapping[str, Any]) -> int:
    """The version of the schema that a table of ours was last brought to; 0 where somebody has spoilt it."""
    text = str(found["Parameters"].get(_SCHEMA_VERSION, ""))
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _merged(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted, with what others have added to it."""
    storage, own = there.get("StorageDescriptor") or {}, wanted["StorageDescriptor"]
    serde = storage.get("SerdeInfo") or {}
    return {
        **wanted,
        "Description": there.get("Description") or wanted["Description"],
        "Parameters": {**there["Parameters"], **wanted["Parameters"]},
        "PartitionKeys": _merged_columns(there.get("PartitionKeys") or (), wanted["PartitionKeys"])[:1],
        "StorageDescriptor": {
            **storage,
            **own,
            "Columns": _merged_columns(storage.get("Columns") or (), own["Columns"]),
            "SerdeInfo": {
                **serde,
                **own["SerdeInfo"],
                "Parameters": {**(serde.get("Parameters") or {}), **own["SerdeInfo"]["Parameters"]},
            },
        },
    }


def _merged_columns(there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Our columns in our order, and behind them those that somebody has added."""
    found = {column["Name"]: column for column in there}
    ours = [_merged_column(found.pop(column["Name"], {}), column) for column in wanted]
    return [*ours, *map(dict, found.values())]


def _merged_column(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A column of ours. Its comment stays where it is neither empty nor what we have written."""
    parameters = there.get("Parameters") or {}
    comment = there.get("Comment", "")
    if comment not in ("", wanted["Comment"], parameters.get(_OUR_COMMENT)):
        return {**there, "Type": wanted["Type"]}
    return {**there, **wanted, "Parameters": {**parameters, **wanted["Parameters"]}}


def _column(name: str, kind: str, comment: str) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Comment": comment, "Parameters": {_OUR_COMMENT: comment}}
