"""Recovery, at the start of every run: finish what the last record names, discard what none does.

It comes after this run's own begin record. From then on no earlier writer can commit, so its staged files are waste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.commits import FileChanges, LogEntries
from exporter.commit_log.reader import readable_records
from exporter.commit_log.state import has_file_of, opened_unit
from exporter.errors import LogDamaged
from exporter.lake.data_files import epoch_of, is_older
from exporter.lake.staging import publish
from exporter.lake.tables import folders
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.records import Record, SessionEntry
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Staged, Store
    from exporter.model import Scope

_log = Logger(__name__)


async def recover(store: Store, journal: Journal, at: str, *, is_repair: bool = False) -> None:
    """Make the files of the last record visible, remove those that they replace, and staged files of earlier epochs.

    Where a named file is gone, its sessions are opened again, with a warning, so that this run fetches what is missing.
    Raises :class:`LogDamaged` where one is gone that should replace others: those stay, and hold rows that no record
    names any more. A repair names them again, and only opens the sessions here.
    """
    last = journal.state.last
    if last is not None:
        await _finish(store, journal, last, at, is_repair=is_repair)
    named = {file.key for file in last.files} if last is not None else set()
    for staged in await _waste(store, journal):
        if staged.key not in named:
            await store.discard(staged)


async def _waste(store: Store, journal: Journal) -> list[Staged]:
    """The staged files of this scope whose writers can commit no more.

    They are those of earlier epochs. Where the log's last records were lost, their numbers come anew, and a file may be
    of this epoch, or of a later one, that has no record. Files are listed before the log is: a run writes the record of
    its epoch first.
    """
    scope = str(journal.scope)
    staged = [file for folder in folders() for file in await store.leftovers(folder)]
    older = [file for file in staged if is_older(file.key, scope, journal.epoch)]
    others = [file for file in staged if epoch_of(file.key, scope) is not None and file not in older]
    return [*older, *others] if others and await journal.is_newest() else older


async def settle_staged(store: Store, scope: Scope) -> None:
    """Leave nothing of a scope staged whose log is to be begun anew.

    What any record that can still be read names becomes visible, for it was committed; the rest is discarded.
    """
    for folder in folders():
        staged = {file.key for file in await store.leftovers(folder) if epoch_of(file.key, str(scope)) is not None}
        if not staged:
            continue
        async for record in readable_records(store, scope):
            await publish(store, [file for file in record.files if file.key in staged])
        for file in await store.leftovers(folder):
            if file.key in staged:
                await store.discard(file)


async def _finish(store: Store, journal: Journal, last: Record, at: str, *, is_repair: bool) -> None:
    lost = await publish(store, last.files)
    if lost and last.replaced and not is_repair:
        raise LogDamaged(f"{lost[0].key} is gone before it could replace {last.replaced[0]}")
    if not lost:
        for key in last.replaced:
            await store.remove(key)
    if lost:
        await _reopen(journal, last, lost, at)


async def _reopen(journal: Journal, last: Record, lost: Sequence[DataFile], at: str) -> None:
    keys = {file.key for file in lost}
    indexes = {index for index, file in enumerate(last.files) if file.key in keys}
    entries = [_reopened(entry, last, indexes) for entry in last.sessions if indexes & set(entry.files)]
    _log.warning(
        "files_gone",
        files=sorted(keys),
        sessions=len(entries),
        reason="a run that was cut short had them, and they are gone: what they held is fetched again",
    )
    (await journal.commit(at, changes=FileChanges(lost=lost), entries=LogEntries(sessions=entries))).check()


def _reopened(entry: SessionEntry, last: Record, lost: AbstractSet[int]) -> SessionEntry:
    """The entry of a session in the last record, opened again and without its lost files."""
    keys = [last.files[index].key for index in entry.files if index in lost]
    kept = tuple(last.files[index].key for index in entry.files if index not in lost)
    return msgspec.structs.replace(
        entry,
        status="open",
        units={name: opened_unit(unit, keys) for name, unit in entry.units.items()},
        files=(),
        earlier_files=entry.earlier_files + kept,
        is_unsure=True,
        tables=tuple(table for table in entry.tables if not has_file_of(table, keys)),
        lacks_details=False,
    )
