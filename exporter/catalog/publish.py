"""Publish: the files that the logs name become files of the tables in the catalog, each once.

A table's marks say up to where it has them. They are read with the table, what lacks is worked out, and files and new
marks are committed together. A publisher that is overtaken, or gets no answer, reads the table again and plans anew.
So nothing is listed twice, also where others publish and one of them dies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.attempts import CommitAttempts
from exporter.catalog.changes import waiting_files
from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.log_reading import read_logs
from exporter.catalog.mark import marks_in
from exporter.catalog.outcome import Publication, PublishedTable
from exporter.catalog.transaction_plan import TransactionPlanner
from exporter.errors import LakeError
from exporter.lake.tables import TABLES
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.catalog.loaded_tables import LakeCatalog, LoadedTable
    from exporter.catalog.log_reading import Logs
    from exporter.catalog.mark import Mark
    from exporter.errors import ExportError
    from exporter.lake.tables.table import Table

#: Files in one transaction, at most: what it takes in memory is some KiB each.
FILES_MAX = 5_000
_log = Logger(__name__)


@dataclass(slots=True)
class Publisher:
    """Publishes one lake's files into one catalog. ``files_max`` bounds what one transaction adds."""

    opened: LakeCatalog
    files_max: int = FILES_MAX
    _publication: Publication = field(init=False, default_factory=Publication)
    _planner: TransactionPlanner = field(init=False)

    def __post_init__(self) -> None:
        self._planner = TransactionPlanner(self.opened.store, self.opened.lake_id, self.files_max)

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
        self._publication.fail_scopes(logs.failed)
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
            plan = await self._planner.plan(table.name, found, logs, marks, is_rebuild=is_rebuild)
            self._publication.fail_scopes(plan.left_out)
            if is_rebuild:
                _check_none_fails(table, {**logs.failed, **plan.left_out})
            if not plan.edit.is_needed(has_files=found.has_files):
                return None
            try:
                await found.commit(plan.edit)
            except CatalogError as error:
                wait_s = attempts.wait_after(error)
                if wait_s is None:
                    raise
                _log.info("publish_again", table=table.name, reason=str(error))
                await clock.sleep(clock.draw() * wait_s)
            else:
                published.count(plan.changes)
                published.behind = waiting_files(table.name, {**marks, **plan.changes.marks}, logs.waiting)
                return (await self.opened.open_table(table), logs) if plan.changes.are_more else None
            found = await self.opened.open_table(table)


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
