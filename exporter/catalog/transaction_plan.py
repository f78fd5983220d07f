"""One transaction of a table, planned: what the log asks for is worked out, then the files that it names are read.

A scope with a file that can't be listed has no part in it, and the rest is planned anew without that scope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.catalog.changes import changes_of
from exporter.catalog.edit import Leaving, TableEdit
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.file_listing import list_files
from exporter.catalog.mark import mark_properties, property_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import TableChanges
    from exporter.catalog.loaded_tables import LoadedTable
    from exporter.catalog.log_reading import Logs
    from exporter.catalog.mark import Mark
    from exporter.errors import ExportError
    from exporter.lake.store import Store


@dataclass(frozen=True, slots=True)
class TransactionPlan:
    """What a transaction changes, as the log has it; the edit that does it; why some scopes have no part in it."""

    changes: TableChanges
    edit: TableEdit
    left_out: Mapping[str, ExportError]


@dataclass(frozen=True, slots=True)
class TransactionPlanner:
    """Plans transactions of one lake's tables. One adds ``files_max`` files at most, but one record whole."""

    store: Store
    lake_id: str
    files_max: int

    async def plan(
        self, table: str, found: LoadedTable, logs: Logs, marks: Mapping[str, Mark], *, is_rebuild: bool
    ) -> TransactionPlan:
        """Plan what brings a table with these marks up to the logs.

        Raises :class:`CatalogError` where the catalog does not say what it lists, and :class:`LakeError`.
        """
        left_out: dict[str, ExportError] = {}
        while True:
            changes = self._changes(table, logs, marks, left_out)
            for scope, reason in changes.misfits.items():
                left_out[scope] = CatalogMismatch(f"the table {table} does not fit the log: {reason}")
            listing = await list_files(self.store, found.lister(), changes.added.values())
            leaving = Leaving()
            if changes.gone and not is_rebuild and not listing.failed:
                leaving = await found.leaving(changes.gone, changes.maybe_skipped)
                listing.failed.update(await self._list_again(leaving, found, listing.listed))
            if not listing.failed:
                edit = _edit(found, changes, [*listing.listed.values()], leaving.removed, is_rebuild=is_rebuild)
                return TransactionPlan(changes, edit, left_out)
            left_out |= listing.failed

    def _changes(
        self, table: str, logs: Logs, marks: Mapping[str, Mark], left_out: Mapping[str, ExportError]
    ) -> TableChanges:
        """What the logs ask for, without the scopes that are left out and those whose logs can't be read."""
        ready = {scope: log for scope, log in logs.ready.items() if scope not in left_out}
        known = {scope: mark for scope, mark in marks.items() if scope not in left_out.keys() | logs.failed.keys()}
        return changes_of(table, known, ready, self.lake_id, self.files_max)

    async def _list_again(
        self, leaving: Leaving, found: LoadedTable, listed: dict[str, ListedFile]
    ) -> dict[str, ExportError]:
        """List again what is left of the files that compacted ones were made of.

        Where that can't be, the scopes whose files leave have to wait; says why.
        """
        failed: dict[str, ExportError] = {}
        for compacted in leaving.taken_apart:
            again = await list_files(self.store, found.lister(), compacted.kept)
            listed.update(again.listed)
            failed |= {file.scope: cause for file in compacted.gone for cause in again.failed.values()}
        return failed


def _edit(
    found: LoadedTable,
    changes: TableChanges,
    listed: list[ListedFile],
    removed: list[ListedFile],
    *,
    is_rebuild: bool,
) -> TableEdit:
    """What the transaction does: files and marks change together."""
    marks = {property_of(scope): str(mark) for scope, mark in changes.marks.items()}
    forgotten = mark_properties(found.properties) - marks.keys() if is_rebuild else set()
    return TableEdit(listed, removed, is_rebuild, marks, forgotten)
