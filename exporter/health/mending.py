"""One scope's lake under repair: each step leaves files and log that fit, or that the same step mends again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from exporter.commit_log.archive import SessionsInLog
from exporter.commit_log.commits import FileChanges, LogEntries
from exporter.commit_log.lost_files import opened_entry
from exporter.commit_log.reader import records_after
from exporter.commit_log.records import Record, SessionEntry
from exporter.errors import FileDamaged, LakeError, LakeRefused
from exporter.health.file_checks import ids_of, line_of, read_rows, repeated, sessions_in, table_of
from exporter.health.rewriting import rows_in, sort_out
from exporter.health.set_aside import set_aside
from exporter.lake.data_files import DataFile, file_name
from exporter.lake.parquet import encode
from exporter.lake.staging import publish
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.commit_log.journal import Journal
    from exporter.health.rewriting import Rewrite
    from exporter.lake.store import Store
    from exporter.model import SessionKey

#: The most files that one record names anew.
_FILES_A_RECORD = 500


@dataclass(slots=True)
class Mending:
    """What is known of a scope while it is mended.

    ``done`` says in text what was done to which file. ``files`` are those that the log names, by key, and ``log`` is
    what it says of sessions. ``opened`` are the sessions that the next run asks for again.
    """

    store: Store
    journal: Journal
    at: str
    done: dict[str, str] = field(default_factory=dict)
    files: dict[str, DataFile] = field(init=False, default_factory=dict)
    log: SessionsInLog = field(init=False, default_factory=SessionsInLog)
    opened: set[SessionKey] = field(init=False, default_factory=set)
    _stagings: int = field(init=False, default=0)

    async def read(self) -> None:
        """Read the whole log."""
        async for record in records_after(self.store, self.journal.scope):
            self._add(record)

    async def give_up(self, missing: Iterable[str], damaged: Iterable[str]) -> None:
        """Let the log know which files are lost, and open their sessions.

        ``missing`` are looked for once more, each by itself; ``damaged`` are set aside first.
        """
        for key in damaged:
            await set_aside(self.store, key)
            self.done[key] = "set aside under _damaged/; its sessions are open again"
        lost = [self.files[key] for key in damaged if key in self.files]
        for key in missing:
            if key in self.files and await self.store.read(key) is None:
                lost.append(self.files[key])
                self.done[key] = "lost; its sessions are open again"
        if lost:
            keys = {line.key for line in lost}
            lines = {name: line for name, line in self.log.entries.items() if not keys.isdisjoint(line.earlier_files)}
            named = await self.log.units(self.store, self.journal.scope, lines.keys())
            opened = [self._opened(line, without=keys, named=named[name]) for name, line in lines.items()]
            await self._commit(FileChanges(lost=lost), opened)

    async def name_again(self, keys: Sequence[str]) -> None:
        """Let the log name visible files that it does not know, and open their sessions: they may be incomplete.

        One that can't be read as a file of its table is set aside.
        """
        for start in range(0, len(keys), _FILES_A_RECORD):
            files: list[DataFile] = []
            file_indexes: defaultdict[SessionKey, list[int]] = defaultdict(list)
            for key in keys[start : start + _FILES_A_RECORD]:
                found = None if key in self.files else await self._look_at(key)
                if found is not None:
                    line, sessions = found
                    for session in sessions:
                        file_indexes[session].append(len(files))
                    files.append(line)
                    self.done[key] = "named in the log again; its sessions are open"
            if files:
                named = await self.log.units(self.store, self.journal.scope, file_indexes.keys())
                lines = [
                    self._opened(self._line(session), tuple(own), named=named[session])
                    for session, own in file_indexes.items()
                ]
                await self._commit(FileChanges(added=files), lines)

    async def take_out_repeats(self, folder: str) -> None:
        """Write the files of a folder anew that hold ids which stand twice.

        The new files become visible before those that they replace are removed: for a moment readers may see a row
        twice, and at no moment is one missing.
        """
        rewrite = await self._plan(folder)
        if not rewrite.files:
            return
        files: list[DataFile] = []
        file_indexes: defaultdict[SessionKey, list[int]] = defaultdict(list)
        try:
            for key in rewrite.files:
                rows = rewrite.rows_of(key, await self._rows_of(key))
                if rows.num_rows:
                    for session in sessions_in(rows):
                        file_indexes[session].append(len(files))
                    files.append(await self._stage(key, rows))
        except LakeError:
            for line in files:
                await self.store.discard(line.staged)
            raise
        replaced = [self.files[key] for key in rewrite.files]
        without = {line.key for line in replaced}
        touched = [
            (session, line)
            for session, line in self.log.entries.items()
            if session in file_indexes or not without.isdisjoint(line.earlier_files)
        ]
        named = await self.log.units(self.store, self.journal.scope, rewrite.sessions)
        lines = [
            self._opened(line, tuple(file_indexes[session]), without, named[session])
            if session in rewrite.sessions
            else _moved(line, tuple(file_indexes[session]), without, is_open=self._is_open(session))
            for session, line in touched
        ]
        await self._commit(FileChanges(added=files, replaced=replaced), lines)
        if lost := await publish(self.store, files):
            raise LakeError(f"{lost[0].key} was staged and is gone: something else removes files from the lake")
        for line in replaced:
            await self.store.remove(line.key)
        dropped, numbered = sum(map(len, rewrite.dropped.values())), sum(map(len, rewrite.ids.values()))
        rows, old = counted(dropped, "row"), counted(len(replaced), "file")
        self.done[folder] = f"{rows} taken out, {numbered:,} numbered anew, {old} replaced"

    async def _plan(self, folder: str) -> Rewrite:
        """What becomes of the rows of a folder; one file at a time is in memory."""
        ids: dict[str, pa.Int64Array] = {}
        for key, line in sorted(self.files.items()):
            if key.startswith(f"{folder}/"):
                with suppress(LakeRefused, FileDamaged):  # what can't be read stays as it is
                    own = await asyncio.to_thread(ids_of, line, await self._data_of(key))
                    if own is not None:
                        ids[key] = own
        twice = await asyncio.to_thread(repeated, ids.values())
        rows = []
        for key, own in ids.items():
            if pc.any(pc.is_in(own, value_set=twice)).as_py():
                rows += await asyncio.to_thread(rows_in, key, await self._rows_of(key), twice)
        rewrite, others = await asyncio.to_thread(sort_out, rows)
        if others:
            taken = {row_id for array in ids.values() for row_id in array.to_pylist()}
            for key in sorted({row.key for row in others}):
                table = await self._rows_of(key)
                for row in others:
                    if row.key == key:
                        rewrite.number_anew(row, table, taken)
        return rewrite

    async def _look_at(self, key: str) -> tuple[DataFile, list[SessionKey]] | None:
        """What a record would say of a file that none names; None where it is set aside, or gone meanwhile."""
        data = await self.store.read(key)
        if data is None:
            return None
        try:
            return await asyncio.to_thread(line_of, key, data)
        except FileDamaged as error:
            await set_aside(self.store, key)
            self.done[key] = f"set aside under _damaged/: {error}"
            return None

    async def _stage(self, key: str, rows: pa.Table) -> DataFile:
        """Stage what is left of a file, under a name of this repair's own."""
        self._stagings += 1
        journal, table, old = self.journal, table_of(key), self.files[key]
        name = file_name(str(journal.scope), journal.epoch, journal.run_id, self._stagings)
        new = f"{key.rpartition('/')[0]}/{name}.parquet"
        data = await asyncio.to_thread(encode, table, rows.to_batches(), metadata=table.metadata)
        staged = await self.store.stage(new, memoryview(data))
        digest = hashlib.sha256(data).hexdigest()
        return DataFile(table.name, new, old.date, rows.num_rows, data.size, digest, staged.handle)

    async def _rows_of(self, key: str) -> pa.Table:
        return await asyncio.to_thread(read_rows, table_of(key), await self._data_of(key))

    async def _data_of(self, key: str) -> bytes:
        data = await self.store.read(key)
        if data is None:
            raise LakeError(f"{key} was there and is gone: something else removes files from the lake")
        return data

    async def _commit(self, changes: FileChanges, sessions: Sequence[SessionEntry]) -> None:
        (await self.journal.commit(self.at, changes=changes, entries=LogEntries(sessions=sessions))).check()
        if self.journal.state.last is not None:  # it is the record that was just made
            self._add(self.journal.state.last)

    def _add(self, record: Record) -> None:
        self.log.add(record)
        for key in record.removed:
            self.files.pop(key, None)
        self.files |= {line.key: line for line in record.files}

    def _is_open(self, session: SessionKey) -> bool:
        return self.journal.state.session(*session) is not None

    def _line(self, session: SessionKey) -> SessionEntry:
        """The last that was said of a session; of one that the log does not know, that it is open."""
        return self.log.entries.get(session) or SessionEntry(*session, "open")

    def _opened(
        self,
        line: SessionEntry,
        file_indexes: tuple[int, ...] = (),
        without: Iterable[str] = (),
        named: Iterable[str] = (),
    ) -> SessionEntry:
        """A session that is asked for again: each unit that was final or is ``named``, and what else there may be."""
        self.opened.add((line.stage_arn, line.session_id))
        return opened_entry(line, self.journal.state, file_indexes=file_indexes, without=without, named=named)


def _moved(line: SessionEntry, file_indexes: tuple[int, ...], without: Iterable[str], *, is_open: bool) -> SessionEntry:
    """A session that is what it was, with rows in other files."""
    removed = set(without)
    kept = tuple(key for key in line.earlier_files if key not in removed)
    status = "open" if is_open else line.status
    return msgspec.structs.replace(
        line, status=status, units={}, files=file_indexes, earlier_files=kept, is_unsure=False
    )
