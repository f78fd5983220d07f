"""A table as PyIceberg has loaded it, for the publisher: what blocks is done in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.catalog.foreign_errors import asking
from exporter.catalog.leaving import leaving_of
from exporter.catalog.listed_files import FileLister
from exporter.catalog.transaction import commit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyiceberg.manifest import DataFile as ListedFile
    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.edit import Leaving, TableEdit
    from exporter.catalog.loaded_tables import ListFile
    from exporter.catalog.open import OpenCatalog
    from exporter.lake.tables.table import Table


@dataclass(frozen=True, slots=True)
class LoadedIcebergTable:
    """A lake's table in an open catalog; it is a `LoadedTable`."""

    opened: OpenCatalog
    table: Table
    found: IcebergTable

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties, marks among them."""
        return self.found.properties

    @property
    def has_files(self) -> bool:
        """Whether it has ever listed files."""
        return self.found.current_snapshot() is not None

    def lister(self) -> ListFile:
        """What describes data files as this table lists them."""
        lister = FileLister(self.found.metadata)

        def listed(file: LoggedFile, end: bytes) -> ListedFile:
            with asking(f"list {file.key}", self.opened.tables.properties):
                return lister.listed(file, end, self.opened.url_of(file.key))

        return listed

    async def leaving(self, gone: Collection[str], maybe_skipped: Collection[str]) -> Leaving:
        """Work out how files of the lake leave the table. Raises as `leaving_of`."""
        return await self.opened.ask(leaving_of, self.opened, self.found, self.table, gone, maybe_skipped)

    async def commit(self, edit: TableEdit) -> None:
        """Change the table as it was loaded. Raises as `transaction.commit`."""
        await self.opened.do(commit, self.found, edit, self.opened.lake, self.opened.tables.properties)
