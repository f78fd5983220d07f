"""Files that the log names and that a run finds gone: the log lets go of them, and opens their sessions again.

What comes back later is a file that no record names, and so no run adds to it: its rows may have been written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.archive import SessionsInLog
from exporter.commit_log.commits import FileChanges, LogEntries
from exporter.commit_log.reader import records_after
from exporter.commit_log.records import UnitState
from exporter.commit_log.state import has_file_of, opened_unit
from exporter.errors import LakeBusy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.state import ScopeState
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.model import SessionKey


async def let_go_of(store: Store, journal: Journal, keys: Iterable[str], at: str) -> tuple[set[str], set[SessionKey]]:
    """Commit that files are lost, and return their keys and the sessions that are open again.

    Each file is looked for once more, by itself; one that the log no longer names is not lost. Raises
    :class:`LakeError`, also where one is there again: what was compared without it may be in it, and must not be
    committed.
    """
    gone = set(keys)
    for key in sorted(gone):
        if await store.read(key) is not None:
            raise LakeBusy(f"{key} was gone for a moment, and is there again: something else moves it; run again")
    files: dict[str, DataFile] = {}
    log = SessionsInLog()
    async for record in records_after(store, journal.scope):
        log.add(record)
        for key in record.removed:
            files.pop(key, None)
        files |= {file.key: file for file in record.files if file.key in gone}
    opened = {name: entry for name, entry in log.entries.items() if not files.keys().isdisjoint(entry.earlier_files)}
    if files:
        named = await log.units(store, journal.scope, opened)
        sessions = [
            opened_entry(entry, journal.state, without=files, named=named[name]) for name, entry in opened.items()
        ]
        (
            await journal.commit(
                at, changes=FileChanges(lost=list(files.values())), entries=LogEntries(sessions=sessions)
            )
        ).check()
    return set(files), set(opened)


def opened_entry(
    entry: SessionEntry,
    state: ScopeState,
    *,
    file_indexes: tuple[int, ...] = (),
    without: Iterable[str] = (),
    named: Iterable[str] = (),
) -> SessionEntry:
    """The entry that opens a session again, so that all of its units are asked for: those in the state and ``named``.

    ``entry`` is its last entry; ``file_indexes`` are of the record's files that it gains, ``without`` the keys of those
    that it loses. Pure.
    """
    known = state.session(*entry.key)
    units = dict.fromkeys(sorted(named), UnitState())
    lost = set(without).intersection(entry.earlier_files)  # others were lost of other sessions
    units |= {} if known is None else {name: opened_unit(unit, lost) for name, unit in known.units.items()}
    kept = tuple(key for key in entry.earlier_files if key not in lost)
    return msgspec.structs.replace(
        entry,
        status="open",
        units=units,
        files=file_indexes,
        earlier_files=kept,
        is_unsure=True,
        tables=tuple(table for table in entry.tables if not has_file_of(table, lost)),
    )
