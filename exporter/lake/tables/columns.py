"""Columns as the tables declare them: by the kind of their values, and those that several tables have."""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.table import MICROS, NEVER, TableColumn

_OF_STAGE_ARN = "of the stage's ARN"


def text(field_id: int, name: str, meaning: str, null: str, *, is_own: bool = False) -> TableColumn:
    """A column of texts."""
    return TableColumn(field_id, name, pa.string(), meaning, null, is_own)


def time(field_id: int, name: str, meaning: str, null: str, *, is_own: bool = False) -> TableColumn:
    """A column of times, in microseconds and UTC."""
    return TableColumn(field_id, name, MICROS, meaning, null, is_own)


def flag(field_id: int, name: str, meaning: str, null: str) -> TableColumn:
    """A column of yes and no."""
    return TableColumn(field_id, name, pa.bool_(), meaning, null)


def number(field_id: int, name: str, meaning: str, null: str) -> TableColumn:
    """A column of 64-bit integers."""
    return TableColumn(field_id, name, pa.int64(), meaning, null)


def stage_arn(field_id: int) -> TableColumn:
    """The stage that a row is of."""
    return text(field_id, "stage_arn", "the stage", NEVER)


def scope_columns(first_id: int) -> tuple[TableColumn, ...]:
    """The account and the region that a row is from."""
    return (
        text(first_id, "account_id", f"the account {_OF_STAGE_ARN}", NEVER),
        text(first_id + 1, "region", f"the region {_OF_STAGE_ARN}", NEVER),
    )


def written_columns(first_id: int) -> tuple[TableColumn, ...]:
    """What has no column of its own, and the run that wrote the row."""
    return (
        text(first_id, "extra", "a JSON object with what has no column", "nearly always"),
        text(first_id + 1, "run_id", "the run that wrote the row", NEVER),
        time(first_id + 2, "exported_at", "when the run wrote the row", NEVER),
    )
