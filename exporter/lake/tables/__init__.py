"""The lake's tables, and all folders of files that records name.

What is said of a lake is said of each of its tables: a table that is added to :data:`TABLES` is committed, recovered,
verified, repaired and counted like the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.lake.data_files import DataFile
    from exporter.lake.tables.table import Table

#: All tables of the lake.
TABLES: tuple[Table, ...] = (EVENTS, STAGES, SESSIONS, PARTICIPANTS)
#: The folder of files with events that have no time, and what a record calls the table that these are of.
REJECTS = "_rejects"


def folders() -> tuple[str, ...]:
    """The folders of all files that records name."""
    return (*(table.name for table in TABLES), REJECTS)


def table_named(name: str) -> Table | None:
    """The table of that name; None where there is none."""
    return next((table for table in TABLES if table.name == name), None)


def schema_versions(files: Iterable[DataFile]) -> dict[str, int]:
    """The version of the schema of each table that some files are of."""
    names = {file.table for file in files}
    return {table.name: table.version for table in TABLES if table.name in names}
