"""What each table of a catalog still lacks, counted without a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.catalog.changes import waiting_files
from exporter.catalog.errors import CatalogError
from exporter.catalog.log_reading import read_logs
from exporter.catalog.mark import marks_in
from exporter.catalog.outcome import Publication, PublishedTable
from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from exporter.catalog.loaded_tables import FindsTables, LoadedTable
    from exporter.catalog.mark import Mark
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table


@dataclass(frozen=True, slots=True)
class NothingPublished:
    """A lake beside a catalog that nobody has published into yet."""

    store: Store

    async def find_table(self, _table: Table) -> LoadedTable | None:
        """There is none."""


async def count_behind(opened: FindsTables) -> Publication:
    """Count what each table of the catalog lacks, or still lists, beside the log; nothing is changed.

    Raises :class:`LakeError` where the lake can't be read.
    """
    publication = Publication()
    marks: dict[str, dict[str, Mark]] = {}
    for table in TABLES:
        try:
            found = await opened.find_table(table)
            marks[table.name] = marks_in(found.properties) if found else {}
        except CatalogError as error:
            publication.fail(table.name, error)
    logs = await read_logs(opened.store, marks.values())
    for table in TABLES:
        behind = waiting_files(table.name, marks[table.name], logs.waiting) if table.name in marks else None
        publication.tables.append(PublishedTable(table.name, behind=behind))
    publication.fail_scopes(logs.failed)
    return publication
