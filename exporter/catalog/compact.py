"""Compact: a table's small files become larger ones, beside the lake, which keeps its own.

What is merged is written first, and then takes the place of its parts in one commit. A compaction that is overtaken
looks which parts are still listed. It commits the merges that have all of theirs, and plans the others anew. So each
row is listed once, also where others publish or compact, and one of them dies. What was written and not committed is
removed later.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.manifest import DataFileContent

from exporter.catalog.abandoned import remove_abandoned
from exporter.catalog.attempts import CommitAttempts
from exporter.catalog.compaction import batches_of, merges_of
from exporter.catalog.edit import TableEdit
from exporter.catalog.errors import CatalogError, CatalogMismatch, CatalogRace
from exporter.catalog.foreign_errors import asking
from exporter.catalog.leaving import places_of_table
from exporter.catalog.log_reading import read_logs
from exporter.catalog.mark import marks_in
from exporter.catalog.merging import Merged, Merger
from exporter.catalog.outcome import CompactedTable
from exporter.catalog.schemas import schema_of, shapes_of
from exporter.catalog.transaction import all_listed_in, commit, listed_in
from exporter.errors import FileDamaged, FileLost, LakeError, TemporaryFolderRefused
from exporter.lake.data_files import scope_in
from exporter.lake.tables import TABLES
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyiceberg.manifest import DataFile as ListedFile
    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.compacted import Part, TablePlaces
    from exporter.catalog.compaction import Merge
    from exporter.catalog.log_reading import Logs
    from exporter.catalog.open import OpenCatalog
    from exporter.catalog.outcome import Publication
    from exporter.lake.tables.table import Table

#: What one commit takes: so much work is lost at most where the process dies. Files cost some KiB of memory each.
BATCH_BYTES_MAX, BATCH_FILES_MAX = 4 << 30, 5_000
#: A merged file is in the temporary folder while it is written.
TARGET_BYTES_MAX = 1 << 30
_PLANS_MAX = 10
_MICROS = 1_000_000
#: What answers where a file is there.
_PROBE_BYTES = 4
_log = Logger(__name__)


@dataclass(slots=True)
class Compactor:
    """Compacts one lake's tables in one catalog, after a publication, whose failures it adds to.

    ``target_bytes`` is how much of the lake's files one compacted file stands for.
    """

    opened: OpenCatalog
    publication: Publication
    target_bytes: int
    batch_bytes_max: int = BATCH_BYTES_MAX

    async def compact(self) -> None:
        """Compact each table that could be published; what fails is noted, and the others go on."""
        self.publication.compacted = []
        failed = {failure.unit for failure in self.publication.failures}
        for table in TABLES:
            if table.name in failed:
                continue
            done = CompactedTable(table.name)
            self.publication.compacted.append(done)
            try:
                await self._compact(table, done)
            except (CatalogError, LakeError, TemporaryFolderRefused) as error:
                self.publication.fail(table.name, error)

    async def _compact(self, table: Table, done: CompactedTable) -> None:
        unmerged: set[str] = set()
        for _ in range(_PLANS_MAX):
            found = await self.opened.ask(self.opened.tables.open, table)
            _check_columns(found, table)
            places = places_of_table(self.opened, found, table)
            logs = await read_logs(self.opened.store, [marks_in(found.properties)])
            parts = await self.opened.ask(self._parts, found, places, logs)
            merges = merges_of([part for part in parts if part.url not in unmerged], self.target_bytes)
            is_overtaken = False
            for batch in batches_of(merges, self.batch_bytes_max, BATCH_FILES_MAX):
                merged, failed = await self._write_merged(batch, found, places)
                found, landed = await self._commit_merged(table, found, merged, done)
                is_overtaken = is_overtaken or landed + len(failed) < len(batch)
                unmerged |= {part.url for merge in failed for part in merge.parts}
            if not is_overtaken:
                break
        else:
            raise CatalogRace(f"{table.name} is changed by others all the time")
        done.abandoned = await remove_abandoned(self.opened, found, places)

    def _parts(self, found: IcebergTable, places: TablePlaces, logs: Logs) -> list[Part]:
        """What may be merged, in a thread: files of settled records, and compacted ones."""
        unsettled = {self.opened.url_of(key) for key in _unsettled_keys(logs)}
        parts: list[Part] = []
        with asking(f"read what {places.table.name} lists", self.opened.tables.properties):
            for file in all_listed_in(found):  # of 100,000 files, as the table lists them, not all fit into memory
                if file.content != DataFileContent.DATA:
                    raise CatalogMismatch(f"an engine has removed single rows from {places.table.name}")
                part = places.part_of(file.file_path, file.record_count, file.file_size_in_bytes)
                is_settled = file.file_path not in unsettled and scope_in(file.file_path) not in logs.failed
                if part is not None and is_settled and file.spec_id == found.metadata.default_spec_id:
                    parts.append(part)
        return parts

    async def _write_merged(
        self, batch: list[Merge], found: IcebergTable, places: TablePlaces
    ) -> tuple[list[Merged], list[Merge]]:
        """Make the files of some merges, but of those with parts that are no longer listed.

        Beside them are the merges that failed: a part can't be read.
        """
        merged: list[Merged] = []
        failed: list[Merge] = []
        listed = await self.opened.ask(self._listed, found, batch)
        merger = Merger(self.opened.lake, found, places, listed, self.opened.tables.properties)
        for merge in batch:
            if not all(part.url in listed for part in merge.parts):
                continue
            began_s = self.opened.clock.wall_us() // _MICROS
            url = places.new_url(merge.date, began_s, merge.parts, secrets.token_hex(8))
            try:
                merged.append(await self.opened.make(merger.merged, merge, url))
            except (FileLost, FileDamaged) as error:
                self.publication.fail(f"{places.table.name}/{merge.date}", error)
                failed.append(merge)
        return merged, failed

    def _listed(self, found: IcebergTable, batch: list[Merge]) -> dict[str, ListedFile]:
        """The parts of some merges as the table lists them, in a thread."""
        with asking("read what the table lists", self.opened.tables.properties):
            return listed_in(found, {part.url for merge in batch for part in merge.parts})

    async def _commit_merged(
        self, table: Table, found: IcebergTable, merged: list[Merged], done: CompactedTable
    ) -> tuple[IcebergTable, int]:
        """Let what is merged take the place of its parts, where all of them are still listed.

        Returns the table as it is then, and how many of the merges it has.
        """
        attempts = CommitAttempts()
        while merged:
            try:
                landed = await self.opened.do(self._replace, found, merged, done)
            except CatalogError as error:
                wait_s = attempts.wait_after(error)
                if wait_s is None:
                    raise
                _log.info("compact_again", table=table.name, reason=str(error))
                await self.opened.clock.sleep(self.opened.clock.draw() * wait_s)
            else:
                done.made += len(landed)
                done.merged += sum(len(each.merge.parts) for each in landed)
                done.size_bytes += sum(each.listed.file_size_in_bytes for each in landed)
                return await self.opened.ask(self.opened.tables.open, table), len(landed)
            found = await self.opened.ask(self.opened.tables.open, table)
        return found, 0

    def _replace(self, found: IcebergTable, merged: list[Merged], done: CompactedTable) -> list[Merged]:
        """Change the table, in a thread, and return what is listed then: an earlier try may have been made."""
        with asking("read what the table lists", self.opened.tables.properties):
            listed = listed_in(found, {url for each in merged for url in (each.url, *each.sources)})
        landed, whole = sort_merges(merged, listed)
        ready = [each for each in whole if self._is_there(each)]
        if ready:
            removed = [listed[url] for each in ready for url in each.sources]
            edit = TableEdit([each.listed for each in ready], removed)
            commit(found, edit, self.opened.lake, self.opened.tables.properties)
        done.snapshots += 1 if ready or landed else 0
        return landed + ready

    def _is_there(self, merged: Merged) -> bool:
        """Whether a merged file is there, in a thread: another, its clock days ahead, may have called it abandoned."""
        key = self.opened.lake.key_of(merged.url)
        return key is None or self.opened.lake.read_range(key, 0, _PROBE_BYTES) is not None


def sort_merges(merged: Iterable[Merged], listed: Collection[str]) -> tuple[list[Merged], list[Merged]]:
    """Sort merges by what a table lists: those that it has, and those of which it has all parts.

    Any other was overtaken: a part of it has left the table.
    """
    landed: list[Merged] = []
    whole: list[Merged] = []
    for each in merged:
        if each.url in listed:
            landed.append(each)
        elif each.sources.issubset(listed):
            whole.append(each)
    return landed, whole


def _check_columns(found: IcebergTable, table: Table) -> None:
    """Raise :class:`CatalogMismatch` where a newer ivs-export has added columns: they would not be copied."""
    if more := shapes_of(found.schema()).keys() - shapes_of(schema_of(table)).keys():
        names = ", ".join(sorted(shapes_of(found.schema())[field_id].name for field_id in more))
        raise CatalogMismatch(
            f"{table.name} has columns that this ivs-export does not know ({names})", "use a newer one"
        )


def _unsettled_keys(logs: Logs) -> Collection[str]:
    """Files of each scope's last record, and those that are to leave the table."""
    keys: set[str] = set()
    for log in logs.waiting.values():
        keys |= {file.key for record in log.records[-1:] for file in record.files}
        keys |= {key for record in log.records for key in record.removed}
    return keys
