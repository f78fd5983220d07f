"""The tables for Athena's Hive reader: what they should be, and what is done about what is there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import validate_parameters

from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.hive import decide, hive_name, hive_type, wanted_table
from exporter.lake.tables import TABLES
from exporter.lake.tables.columns import text
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.stages import STAGES
from exporter.views.engines import ATHENA
from tests.support import tables_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporter.lake.tables.table import Table

LAKE = "s3://my-lake/ivs"
TOKEN = "struct<capabilities:array<string>,attributes:map<string,string>,user_id:string,expiration_time:timestamp>"
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))


def answered(table_input: dict[str, Any]) -> dict[str, Any]:
    """A table as Glue tells of it later, with what Glue adds by itself."""
    told: dict[str, Any] = json.loads(json.dumps(table_input))
    told["StorageDescriptor"] |= {"Compressed": False, "NumberOfBuckets": -1, "SortColumns": []}
    return told | {
        "DatabaseName": "ivs",
        "CreateTime": 1,
        "UpdateTime": 2,
        "VersionId": "3",
        "IsRegisteredWithLakeFormation": False,
    }


def kept(table: Table = EVENTS) -> dict[str, Any]:
    """A table of ours, as Glue tells of it."""
    return answered(wanted_table(table, LAKE))


def columns_of(told: Any) -> dict[str, Any]:
    return {column["Name"]: column for column in told["StorageDescriptor"]["Columns"]}


def test_the_events_to_the_letter() -> None:
    """Hive's types for what the files have, and a folder a date."""
    wanted = wanted_table(EVENTS, LAKE)
    assert wanted["Name"] == "events_hive"
    assert {name: column["Type"] for name, column in columns_of(wanted).items()} == {
        **dict.fromkeys(EVENTS.schema.names, "string"),
        **dict.fromkeys(("event_time", "exported_at"), "timestamp"),
        "event_id": "bigint",
        "replica": "boolean",
        "previous_token": TOKEN,
        "new_token": TOKEN,
    }
    assert columns_of(wanted)["replica"]["Comment"] == (
        "whether the participant is a replica; on subscribe events, whether the publisher is; null where AWS sends"
        " nothing, which is in most rows: write replica IS NOT TRUE"
    )
    assert [(key["Name"], key["Type"]) for key in wanted["PartitionKeys"]] == [("event_date", "date")]
    assert wanted["TableType"] == "EXTERNAL_TABLE"
    storage = wanted["StorageDescriptor"]
    assert storage["Location"] == "s3://my-lake/ivs/events/"
    assert storage["SerdeInfo"]["SerializationLibrary"].endswith(".ParquetHiveSerDe")
    assert wanted["Parameters"] == {
        "ivs-export.lake-url": LAKE,
        "ivs-export.schema-version": "1",
        "EXTERNAL": "TRUE",
        "external.table.purge": "FALSE",
        "classification": "parquet",
        "projection.enabled": "true",
        "projection.event_date.type": "date",
        "projection.event_date.format": "yyyy-MM-dd",
        "projection.event_date.range": "2023-08-01,NOW+1DAY",
        "storage.location.template": "s3://my-lake/ivs/events/event_date=${event_date}/",
    }


@each_table
def test_glue_takes_the_table(table: Table) -> None:
    """Lengths, letters and members are within Glue's own limits, by its service model; names are in small letters."""
    wanted = wanted_table(table, "s3://" + "b" * 63 + "/" + "p" * 900)
    shape = ServiceModel(Loader().load_service_model("glue", "service-2")).shape_for("TableInput")
    validate_parameters(wanted, shape)
    check_texts(wanted, shape)
    assert all(column["Name"].islower() and " " not in column["Type"] for column in columns_of(wanted).values())


def check_texts(value: Any, shape: Any) -> None:
    """What botocore leaves to the service: the longest text, and the letters in it."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            check_texts(inner, shape.members[name])
    elif shape.type_name == "list":
        for inner in value:
            check_texts(inner, shape.member)
    elif shape.type_name == "map":
        for key, inner in value.items():
            check_texts(key, shape.key)
            check_texts(inner, shape.value)
    elif shape.type_name == "string":
        assert len(value) <= shape.metadata.get("max", len(value)), value
        assert value.isprintable()


@each_table
def test_athenas_own_statement_makes_the_same_table(table: Table) -> None:
    """What `sql --engine athena` prints without a catalog has the same columns, key, place and parameters."""
    assert ATHENA.table is not None
    statement = ATHENA.table(table.name, LAKE)
    wanted = wanted_table(table, LAKE)
    columns = ", ".join(f"{name} {column['Type']}" for name, column in columns_of(wanted).items())
    assert compact(f"({columns})") in compact(statement)
    assert f"PARTITIONED BY ({table.date_key} date)" in statement
    assert f"LOCATION '{wanted['StorageDescriptor']['Location']}'" in statement
    properties = dict(re.findall(r"'([^']+)' = '([^']+)'", statement))
    assert properties.items() <= wanted["Parameters"].items()


def compact(text_of_sql: str) -> str:
    return re.sub(r"\s*([,:])\s*", r"\1", text_of_sql)


DUCKDB_TYPES = {"BIGINT": "bigint", "VARCHAR": "string", "BOOLEAN": "boolean", "TIMESTAMP WITH TIME ZONE": "timestamp"}


@each_table
def test_other_readers_find_the_same_columns(table: Table, tmp_path: Path) -> None:
    """DuckDB and PyArrow, which read the folders as Hive names them, see these names, this order and these types."""
    tables_lake.write(tmp_path)
    wanted = wanted_table(table, LAKE)
    expected = [*columns_of(wanted).values(), *wanted["PartitionKeys"]]
    with duckdb.connect() as connection:
        files = f"{tmp_path}/{table.name}/**/*.parquet"
        found = connection.execute("DESCRIBE FROM read_parquet(?, hive_partitioning = true)", [files]).fetchall()
    assert [row[0] for row in found] == [column["Name"] for column in expected]
    plain = {name: kind for name, kind, *_ in found if "(" not in kind and kind != "DATE"}
    kinds = {column["Name"]: column["Type"] for column in expected}
    assert {name: DUCKDB_TYPES[kind] for name, kind in plain.items()} == {name: kinds[name] for name in plain}
    key = pa.schema([(table.date_key, pa.date32())])
    data = ds.dataset(tmp_path / table.name, partitioning=ds.partitioning(key, flavor="hive"))
    assert [(field.name, hive_type(field.type)) for field in data.schema] == list(kinds.items())
    assert data.count_rows() > 0


def test_a_type_that_hive_has_not() -> None:
    """It is the program's own mistake."""
    assert hive_type(pa.list_(pa.struct([("a", pa.float64()), ("b", pa.int32())]))) == "array<struct<a:double,b:int>>"
    with pytest.raises(TypeError, match="time64"):
        hive_type(pa.time64("us"))


@each_table
def test_what_is_right_is_left_alone(table: Table) -> None:
    """There is nothing to write where there is nothing to change; where there is no table, it is made."""
    assert decide(table, LAKE, None).outcome == "created"
    decision = decide(table, LAKE, kept(table))
    assert (decision.outcome, decision.table_input) == ("unchanged", None)


def test_a_column_that_a_newer_exporter_has() -> None:
    """It comes behind the others; the version and its meaning come with it."""
    newer = replace(EVENTS, version=2, columns=(*EVENTS.columns, text(33, "mood", "how it felt", "where nobody says")))
    decision = decide(newer, LAKE, kept())
    assert (decision.outcome, decision.table_input) == ("updated", wanted_like(kept(), newer))
    assert decide(newer, LAKE, answered(dict(decision.table_input or {}))).outcome == "unchanged"
    assert decide(EVENTS, LAKE, answered(wanted_table(newer, LAKE))).outcome == "newer"


def wanted_like(told: dict[str, Any], table: Table) -> dict[str, Any]:
    """What is wanted, with the members that Glue adds by itself."""
    wanted = wanted_table(table, LAKE)
    return {**wanted, "StorageDescriptor": {**told["StorageDescriptor"], **wanted["StorageDescriptor"]}}


def _spoil(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    told = kept()
    change(told)
    return told


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["StorageDescriptor"].update(Location="s3://elsewhere/"),
        lambda told: told["StorageDescriptor"].update(InputFormat="org.apache.hadoop.mapred.TextInputFormat"),
        lambda told: told["StorageDescriptor"]["SerdeInfo"].update(SerializationLibrary="org.example.Other"),
        lambda told: told["StorageDescriptor"]["Columns"].pop(3),
        lambda told: told["StorageDescriptor"]["Columns"].reverse(),
        lambda told: told["StorageDescriptor"]["Columns"][0].update(Type="string"),
        lambda told: told["StorageDescriptor"]["Columns"][0].pop("Comment"),
        lambda told: told["StorageDescriptor"].pop("Columns"),
        lambda told: told.pop("StorageDescriptor"),
        lambda told: told["PartitionKeys"].append({"Name": "hour", "Type": "int"}),
        lambda told: told["PartitionKeys"].clear(),
        lambda told: told["Parameters"].update({"projection.enabled": "false"}),
        lambda told: told["Parameters"].update({"external.table.purge": "TRUE"}),
        lambda told: told["Parameters"].pop("storage.location.template"),
        lambda told: told["Parameters"].update({"ivs-export.schema-version": "two"}),
        lambda told: told["Parameters"].update({"ivs-export.schema-version": "9" * 5_000}),
        lambda told: told.update(TableType="VIRTUAL_VIEW"),
        lambda told: told.update(Description=""),
    ],
)
def test_what_is_ours_is_set_anew(change: Callable[[dict[str, Any]], None]) -> None:
    """Whoever has changed it, the table shows the lake again, and one write is enough."""
    decision = decide(EVENTS, LAKE, _spoil(change))
    assert decision.outcome == "updated"
    wanted = wanted_table(EVENTS, LAKE)
    told = dict(decision.table_input or {})
    assert {name: told["StorageDescriptor"][name] for name in wanted["StorageDescriptor"]} == wanted[
        "StorageDescriptor"
    ]
    assert {name: told[name] for name in wanted if name != "StorageDescriptor"} == {
        name: value for name, value in wanted.items() if name != "StorageDescriptor"
    }
    assert decide(EVENTS, LAKE, answered(told)).outcome == "unchanged"


def test_what_others_have_added_stays() -> None:
    """Parameters, a description, an owner, a column of their own and a comment that they have changed."""
    told = kept()
    told |= {"Description": "ask Ann", "Owner": "ann", "Retention": 7}
    told["Parameters"] |= {"has_encrypted_data": "false", "team": "red"}
    told["StorageDescriptor"]["SerdeInfo"]["Parameters"]["of.theirs"] = "1"
    columns = told["StorageDescriptor"]["Columns"]
    columns[2]["Comment"] = "what we count"
    columns[3]["Parameters"]["pii"] = "no"
    columns.insert(0, {"Name": "theirs", "Type": "string"})
    decision = decide(EVENTS, LAKE, told)
    written = dict(decision.table_input or {})
    assert decision.outcome == "updated"  # for a column of theirs may not stand before ours
    assert {name: written[name] for name in ("Description", "Owner", "Retention")} == {
        "Description": "ask Ann",
        "Owner": "ann",
        "Retention": 7,
    }
    assert written["Parameters"] == told["Parameters"]
    assert written["StorageDescriptor"]["Columns"] == [*columns[1:], columns[0]]
    assert written["StorageDescriptor"]["SerdeInfo"] == told["StorageDescriptor"]["SerdeInfo"]
    assert set(written) <= set(told)
    assert decide(EVENTS, LAKE, answered(written)).outcome == "unchanged"


def test_a_comment_of_ours_follows_its_meaning() -> None:
    """What we wrote last is replaced; what somebody else wrote is not, and a lost memory keeps what is there."""
    older = replace(STAGES, columns=tuple(replace(column, meaning="old words") for column in STAGES.columns))
    told = kept(older)
    columns = told["StorageDescriptor"]["Columns"]
    columns[0]["Comment"] = "theirs"
    del columns[1]["Parameters"]
    written = columns_of(decide(STAGES, LAKE, told).table_input)
    assert written["stage_arn"]["Comment"] == "theirs"
    assert written["account_id"]["Comment"] == "old words; never null"
    assert written["region"]["Comment"] == STAGES.comments["region"]


def test_a_table_of_somebody_elses_is_refused() -> None:
    """One without our mark, of whatever kind, and one of another lake; its name is shown plainly."""
    told = kept()
    del told["Parameters"]
    with pytest.raises(
        CatalogMismatch,
        match=r"ivs\.events_hive.* is not of the lake s3://my-lake/ivs: ivs-export has not made it; set",
    ):
        decide(EVENTS, LAKE, told)
    told["Parameters"] = {"table_type": "ICEBERG"}
    with pytest.raises(CatalogMismatch, match="has not made it"):
        decide(EVENTS, LAKE, told)
    told["Parameters"] = {"ivs-export.lake-url": "s3://other\x1b[31m/lake"}
    with pytest.raises(CatalogMismatch, match=r"it shows the lake .*other.*lake") as raised:
        decide(EVENTS, LAKE, told)
    assert str(raised.value).isprintable()
    assert hive_name(EVENTS) == "events_hive"
