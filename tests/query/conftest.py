"""A small lake of all tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import tables_lake

if TYPE_CHECKING:
    from pathlib import Path

#: What a shell, SQL or DuckDB might take for more than a name.
ODD_NAME = "it's a [lake] *{1} ünd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small lake of all four tables, as older exporters left them: without a log."""
    folder = tmp_path / ODD_NAME
    tables_lake.write(folder)
    tables_lake.write_reopened(folder)
    return folder
