"""What the page of the tables says of their columns is what their files have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from exporter.lake.tables.table import Table, TableColumn

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
_ID = b"PARQUET:field_id"


def _rows(name: str) -> list[str]:
    """The lines of a table's section that are of its columns."""
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if re.match(r"\| \d", line)]


def _row(column: TableColumn) -> str:
    """The line that a column should have."""
    kind = re.split(r"[\[<]", str(column.kind))[0]
    if pa.types.is_map(column.kind):
        ids = [inner.metadata[_ID].decode() for inner in (column.kind.key_field, column.kind.item_field)]
        kind += f" ({', '.join(ids)})"
    return f"| {column.field_id} | `{column.name}` | {kind} | {column.meaning} | {column.null} |"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_the_page_has_every_column(table: Table) -> None:
    """Ids, names, types, meanings and nulls are those that the table declares, in their order."""
    assert _rows(table.name) == [_row(column) for column in table.columns]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_the_page_says_what_a_row_is_and_how_it_is_dated(table: Table) -> None:
    """The folders are named as they are."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{table.name}` |") and table.date_key in line]
    assert f"| `{table.name}` | {table.row} | `{table.date_key}`: of `{table.date_columns[0]}` |" in line
