"""What a publisher asks of a catalog. PyIceberg answers it (`OpenCatalog`), and the simulation without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.edit import Leaving, TableEdit
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table
    from exporter.machine.clock import Clock

    #: Describes a data file as a table lists it, from what the log says and from the file's end (`read_end`).
    #: It blocks. Raises :class:`FileDamaged`, and :class:`CatalogError`.
    ListFile = Callable[[LoggedFile, bytes], ListedFile]


class LoadedTable(Protocol):
    """A table as it was when it was loaded. It does not change: to see what others did, load it again."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties, marks among them."""

    @property
    def has_files(self) -> bool:
        """Whether it has ever listed files."""

    def lister(self) -> ListFile:
        """What describes data files as this table lists them."""

    async def leaving(self, gone: Collection[str], maybe_skipped: Collection[str]) -> Leaving:
        """Work out how files of the lake, by their keys, leave the table. Raises as `leaving_of`."""

    async def commit(self, edit: TableEdit) -> None:
        """Change the table as it was loaded, in one transaction. Raises as `transaction.commit`."""


class FindsTables(Protocol):
    """A lake, and its tables in a catalog as they are looked for."""

    @property
    def store(self) -> Store:
        """Where the log and the files are."""

    async def find_table(self, table: Table) -> LoadedTable | None:
        """Load a table, and change nothing; None where there is none. Raises as `LakeCatalog.open_table`."""


class LakeCatalog(FindsTables, Protocol):
    """A lake's tables in a catalog."""

    @property
    def clock(self) -> Clock:
        """What waits between two tries."""

    @property
    def lake_id(self) -> str:
        """The lake's own id, which stands in marks."""

    async def open_table(self, table: Table, *, is_anew: bool = False) -> LoadedTable:
        """Load a table, made where it is missing, and set right; with ``is_anew`` also where it does not fit.

        Raises :class:`CatalogMismatch` where it is another's, and :class:`CatalogError`.
        """
