"""What the page of the tables says of their columns is what their files have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES

if TYPE_CHECKING:
    from exporter.lake.tables.table import Table

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
_ID = b"PARQUET:field_id"


def _documented(name: str) -> list[tuple[int, str, str]]:
    """Each column of a table's section: its id, its name and its type."""
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not re.match(r"\d", cells[0]):
            continue
        low, high = (re.findall(r"\d+", cells[0])[index] for index in (0, -1))
        names = re.findall(r"`(\w+)`", cells[1])
        kinds = re.sub(r"\((\d+), (\d+)\)", r"(\1-\2)", cells[2]).split(", ")
        kinds = kinds if len(kinds) == len(names) else kinds * len(names)
        found += list(zip(range(int(low), int(high) + 1), names, kinds, strict=True))
    return found


def _of_field(field: pa.Field) -> tuple[int, str, str]:
    kind = re.split(r"[\[<]", str(field.type))[0]
    if pa.types.is_map(field.type):
        kind += f" ({'-'.join(own.metadata[_ID].decode() for own in (field.type.key_field, field.type.item_field))})"
    return int(field.metadata[_ID]), field.name, kind


@pytest.mark.parametrize("table", [EVENTS, STAGES, SESSIONS, PARTICIPANTS], ids=lambda table: str(table.name))
def test_the_page_has_every_column(table: Table) -> None:
    """Ids, names and types are those of the files, in their order."""
    assert _documented(table.name) == [_of_field(field) for field in table.schema]


@pytest.mark.parametrize("table", [EVENTS, STAGES, SESSIONS, PARTICIPANTS], ids=lambda table: str(table.name))
def test_the_page_says_how_rows_are_dated(table: Table) -> None:
    """The folders are named as they are."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{table.name}` |") and table.date_key in line]
    assert f"`{table.date_columns[0]}`" in line
