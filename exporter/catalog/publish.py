"""Publish: the files that the logs name become files of the tables in the catalog, each once.

A table's marks say up to where it has them. They are read with the table, what lacks is worked out, and files and new
marks are committed together. Whoever is overtaken, or gets no answer, reads the table again and works it out anew, so
that nothing is listed twice, also where others publish and one of them dies.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.attempts import CommitAttempts
from exporter.catalog.changes import changes_of, waiting_files
from exporter.catalog.edit import Leaving, TableEdit
from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.file_ends import read_end
from exporter.catalog.log_reading import read_logs
from exporter.catalog.mark import mark_properties, marks_in, property_of
from exporter.catalog.outcome import Publication, PublishedTable
from exporter.compute import compute
from exporter.errors import ExportError, FileDamaged, FileLost, LakeError
from exporter.lake.tables import TABLES
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import LoggedFile, TableChanges
    from exporter.catalog.loaded_tables import FindsTables, LakeCatalog, LoadedTable
    from exporter.catalog.log_reading import Logs
    from exporter.catalog.mark import Mark
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table

#: Files in one transaction, at most: what it takes in memory is some KiB each.
FILES_MAX = 5_000
_FILES_AT_ONCE = 16
_log = Logger(__name__)


@dataclass(slots=True)
class Publisher:
    """Publishes one lake's files into one catalog. ``files_max`` bounds what one transaction adds."""

    opened: LakeCatalog
    files_max: int = FILES_MAX
    _publication: Publication = field(init=False, default_factory=Publication)

    async def publish(self, *, is_rebuild: bool = False) -> Publication:
        """Bring all tables up to the log; with ``is_rebuild`` each is made anew from it.

        What fails is noted, and the others go on. Raises :class:`LakeError` where the lake can't be read.
        """
        tables: dict[str, LoadedTable] = {}
        marks: list[dict[str, Mark]] = []
        for table in TABLES:
            self._publication.tables.append(PublishedTable(table.name))
            try:
                found = await self.opened.open_table(table, is_anew=is_rebuild)
                marks.append({} if is_rebuild else marks_in(found.properties))
                tables[table.name] = found
            except CatalogError as error:
                self._publication.fail(table.name, error)
        logs = await read_logs(self.opened.store, marks)
        _note_failed(self._publication, logs)
        for table, published in zip(TABLES, self._publication.tables, strict=True):
            if table.name in tables:
                try:
                    await self._publish(table, tables[table.name], logs, published, is_rebuild=is_rebuild)
                except (CatalogError, LakeError) as error:
                    self._publication.fail(table.name, error)
        return self._publication

    async def _publish(
        self, table: Table, found: LoadedTable, logs: Logs, published: PublishedTable, *, is_rebuild: bool
    ) -> None:
        """Publish what a table lacks, in one transaction or in several. It is made anew by the first one alone."""
        more = await self._publish_next(table, found, logs, published, is_rebuild=is_rebuild)
        while more is not None:
            more = await self._publish_next(table, *more, published, is_rebuild=False)

    async def _publish_next(
        self, table: Table, found: LoadedTable, logs: Logs, published: PublishedTable, *, is_rebuild: bool
    ) -> tuple[LoadedTable, Logs] | None:
        """Commit one transaction, planned anew for each attempt.

        Returns the table and the logs that the next one goes on from; None where nothing is left.
        """
        attempts, clock = CommitAttempts(), self.opened.clock
        while True:
            marks = {} if is_rebuild else marks_in(found.properties)
            if not _covers(logs, marks):  # another publisher has made the table anew
                logs = await read_logs(self.opened.store, [marks])
            published.behind = waiting_files(table.name, marks, logs.waiting)
            changes, edit = await self._changes(table, found, logs, marks, is_rebuild=is_rebuild)
            if not edit.is_needed(has_files=found.has_files):
                return None
            try:
                await found.commit(edit)
            except CatalogError as error:
                wait_s = attempts.wait_after(error)
                if wait_s is None:
                    raise
                _log.info("publish_again", table=table.name, reason=str(error))
                await clock.sleep(clock.draw() * wait_s)
            else:
                published.count(changes)
                published.behind = waiting_files(table.name, {**marks, **changes.marks}, logs.waiting)
                return (await self.opened.open_table(table), logs) if changes.are_more else None
            found = await self.opened.open_table(table)

    async def _changes(
        self, table: Table, found: LoadedTable, logs: Logs, marks: Mapping[str, Mark], *, is_rebuild: bool
    ) -> tuple[TableChanges, TableEdit]:
        """What to commit. A scope with a file that can't be listed is left out.

        Of a table that is made anew none is: it would lose the rows that it has of that scope.
        """
        left_out: set[str] = set()
        if is_rebuild:
            _check_none_fails(table, logs.failed)
        while True:
            ready = {scope: log for scope, log in logs.ready.items() if scope not in left_out}
            known = {scope: mark for scope, mark in marks.items() if scope not in left_out | logs.failed.keys()}
            changes = changes_of(table.name, known, ready, self.opened.lake_id, self.files_max)
            for scope, reason in sorted(changes.misfits.items()):
                self._publication.fail(scope, CatalogMismatch(f"the table {table.name} does not fit the log: {reason}"))
            listed, failed = await self._listed(changes.added.values(), found)
            leaving = Leaving()
            if changes.gone and not is_rebuild and not failed:
                leaving = await found.leaving(changes.gone, changes.maybe_skipped)
                failed = await self._list_again(leaving, found, listed)
            if not failed:
                return changes, _edit(found, changes, [*listed.values()], leaving.removed, is_rebuild=is_rebuild)
            for scope, cause in sorted(failed.items()):
                self._publication.fail(scope, cause)
            if is_rebuild:
                _check_none_fails(table, failed)
            left_out |= failed.keys()

    async def _listed(
        self, files: Iterable[LoggedFile], found: LoadedTable
    ) -> tuple[dict[str, ListedFile], dict[str, ExportError]]:
        """The files as the table will list them, and by scope why one of its files can't be."""
        listed: dict[str, ListedFile] = {}
        failed: dict[str, ExportError] = {}
        slots, lister = asyncio.Semaphore(_FILES_AT_ONCE), found.lister()

        async def read(file: LoggedFile) -> None:
            async with slots:
                if file.scope in failed:
                    return
                try:
                    listed[file.key] = await compute(lister, file, await read_end(self.opened.store, file))
                except (FileLost, FileDamaged, CatalogError) as error:
                    failed.setdefault(file.scope, error)

        for error in filter(None, await asyncio.gather(*map(read, files), return_exceptions=True)):
            raise error
        return listed, failed

    async def _list_again(
        self, leaving: Leaving, found: LoadedTable, listed: dict[str, ListedFile]
    ) -> dict[str, ExportError]:
        """List again what is left of the files that compacted ones were made of.

        Where that can't be, the scopes whose files leave wait; says why.
        """
        failed: dict[str, ExportError] = {}
        for compacted in leaving.taken_apart:
            again, causes = await self._listed(compacted.kept, found)
            listed.update(again)
            failed |= {file.scope: cause for file in compacted.gone for cause in causes.values()}
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


def _check_none_fails(table: Table, failed: Mapping[str, ExportError]) -> None:
    """Raise :class:`CatalogMismatch` where scopes fail."""
    if failed:
        raise CatalogMismatch(f"{table.name} is not made anew without {min(failed)}", "mend that first, and try again")


def _covers(logs: Logs, marks: Mapping[str, Mark]) -> bool:
    """Whether what was read of the logs goes on from these marks; it does not where another made the table anew."""
    return all(
        log.records and log.records[0].number <= (marks[scope].number if scope in marks else 1)
        for scope, log in logs.waiting.items()
    )


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
    _note_failed(publication, logs)
    return publication


def _note_failed(publication: Publication, logs: Logs) -> None:
    """Note the scopes whose logs can't be read."""
    for scope, reason in sorted(logs.failed.items()):
        publication.fail(scope, reason)
