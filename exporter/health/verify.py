"""Verify: the whole lake against its logs. Every record and every file is read; nothing is changed.

Beside a run it finds no fault where there is none: the files are listed before the log is read, so that the log knows
them; and what the log names and is not there is looked for again, in the files and in the log.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from exporter.commit_log.lease import is_held
from exporter.commit_log.reader import records_after, scopes_in, snapshots_of, whole_log
from exporter.commit_log.snapshots import decode_state
from exporter.commit_log.state import ScopeState
from exporter.errors import FileDamaged, LakeBusy, LakeError, LakeRefused, LogDamaged
from exporter.health.file_checks import UNIT, ids_of, read_rows, repeated, repeats_by_unit, table_of
from exporter.health.problems import Problem, ProblemKind
from exporter.lake.data_files import scope_in
from exporter.lake.tables import folders
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.process import Process
    from exporter.commit_log.records import Record
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.model import Scope

#: A disk has a file or two that it can't read any more; where there are more, the lake itself is away.
_BUSY_MAX = 3


@dataclass(slots=True)
class Verified:
    """How much was read, with the rows of each table. ``notes`` are files, by key, that are no table's and no problem.

    ``busy`` counts the files that the lake did not give in time.
    """

    scopes: int = 0
    files: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    notes: dict[str, str] = field(default_factory=dict)


async def verify(
    store: Store,
    verified: Verified,
    *,
    only: str | None = None,
    only_folders: AbstractSet[str] | None = None,
    is_gone: Callable[[Process], bool | None] = lambda _: None,
) -> AsyncIterator[Problem]:
    """The problems of a lake, as they are found; ``verified`` counts along.

    ``only`` is the name of the one scope that is looked at, and ``only_folders`` are the only folders of files.
    ``is_gone`` says whether a process has ended, None where that can't be seen. Raises :class:`LakeError` where the
    lake can't be listed, and :class:`LakeTooNew`.
    """
    visible = {key for folder in folders() for key in await store.keys(f"{folder}/")}
    logs = [_Log(store, scope, is_gone) for scope in await scopes_in(store) if only in (None, str(scope))]
    for log in logs:
        verified.scopes += 1
        for problem in await log.read():
            yield problem
    of_scope = {str(log.scope): log for log in logs}
    for key in sorted(visible.difference(*(log.lines for log in logs))):
        own = scope_in(key)
        if only in (None, own) and (only_folders is None or folder_of(key) in only_folders):
            unnamed = await _unnamed(store, key, of_scope.get(own or ""), verified)
            if unnamed is not None:
                yield unnamed
    for log in logs:
        for files in log.by_folder(only_folders):
            async for problem in _verify_folder(store, log, files, verified):
                yield problem


def folder_of(key: str) -> str:
    """The folder that a file lies in."""
    return key.rpartition("/")[0]


@dataclass(slots=True)
class _Log:
    """What the log of one scope says of files: ``lines`` are those that should be there, ``last`` its last commit."""

    store: Store
    scope: Scope
    is_gone: Callable[[Process], bool | None]
    lines: dict[str, DataFile] = field(init=False, default_factory=dict)
    last: Record | None = field(init=False, default=None)
    number: int = field(init=False, default=0)
    is_whole: bool = field(init=False, default=False)

    async def read(self) -> list[Problem]:
        """Read all of it, and its snapshots."""
        snapshots = await snapshots_of(self.store, self.scope)
        state = ScopeState()
        problems: list[Problem] = []
        try:
            async for record, link in whole_log(self.store, self.scope, snapshots):
                self._add(record)
                state.fold(record, link)
                for key in snapshots:
                    if key.endswith(f"/{record.number:012d}.json"):
                        problems += await self._snapshot(key, state)
        except LogDamaged as error:
            self.lines = {}
            return [Problem(ProblemKind.LOG, f"_log/{self.scope}", error.reason, str(self.scope))]
        self.is_whole = True
        return problems

    def by_folder(self, only_folders: AbstractSet[str] | None) -> list[list[DataFile]]:
        """The files that should be there, a list for each folder; of these folders alone where some are named."""
        folders: dict[str, list[DataFile]] = {}
        for key in sorted(self.lines):
            if only_folders is None or folder_of(key) in only_folders:
                folders.setdefault(folder_of(key), []).append(self.lines[key])
        return list(folders.values())

    async def has_let_go_of(self, line: DataFile) -> bool:
        """Whether a record that came since the log was read says that the file is there no longer."""
        with suppress(LogDamaged):
            async for record in records_after(self.store, self.scope, self.number):
                self._add(record)
        return line.key not in self.lines

    async def is_at_work(self) -> bool:
        """Whether a run may be at work in the scope."""
        return await is_held(self.store, self.scope, self.is_gone)

    def _add(self, record: Record) -> None:
        self.number = record.number
        for key in record.removed:
            self.lines.pop(key, None)
        self.lines |= {line.key: line for line in record.files}
        if record.kind == "commit":
            self.last = record

    async def _snapshot(self, key: str, state: ScopeState) -> list[Problem]:
        """What is wrong with the snapshot that should hold this state."""
        body = await self.store.read(key)
        if body is None:
            return []  # a run has written a newer one since
        try:
            found = decode_state(key, body)
        except LogDamaged as error:
            return [Problem(ProblemKind.SNAPSHOT, key, error.reason, str(self.scope))]
        if found is None:
            return []
        found.snapshot_number = state.snapshot_number
        if found == state:
            return []
        return [Problem(ProblemKind.SNAPSHOT, key, "it is not what the records add up to", str(self.scope))]


async def _unnamed(store: Store, key: str, log: _Log | None, verified: Verified) -> Problem | None:
    """What there is to say of a file that no record names."""
    scope = scope_in(key)
    if scope is None:
        if key.endswith(".parquet"):
            return Problem(
                ProblemKind.FOREIGN, key, "no record of a commit log names this file, and it is not ivs-export's"
            )
        verified.notes[key] = "not a file of ivs-export's, and none that is read for rows"
        return None
    if log is not None and not log.is_whole:
        return None  # nothing can be said of what a damaged log names
    if key not in await store.keys(key):
        return None  # it was replaced meanwhile
    if log is not None and log.last is not None and key in log.last.replaced:
        is_fine = await log.is_at_work()
        return (
            None if is_fine else Problem(ProblemKind.UNFINISHED, key, "replaced by others, and not removed yet", scope)
        )
    return Problem(ProblemKind.UNNAMED, key, "no record of a commit log names this file", scope)


async def _verify_folder(
    store: Store, log: _Log, files: Sequence[DataFile], verified: Verified
) -> AsyncIterator[Problem]:
    """One folder's files. Equal events have equal times, so an id that is there twice is there twice in one date."""
    ids: dict[str, pa.Int64Array] = {}
    for line in files:
        try:
            data = await store.read(line.key) or await _read_again(store, log, line)
        except (LakeRefused, LakeBusy) as error:
            verified.busy += isinstance(error, LakeBusy)
            if verified.busy > _BUSY_MAX:
                raise
            yield Problem(ProblemKind.UNREADABLE, line.key, f"it can't be read: {error}", str(log.scope))
            continue
        if data is None:
            missing = await _missing(store, log, line, verified)
            if missing is not None:
                yield missing
            continue
        verified.files += 1
        try:
            own = await asyncio.to_thread(ids_of, line, data)
        except FileDamaged as error:
            yield Problem(ProblemKind.DAMAGED, line.key, str(error), str(log.scope))
        else:
            verified.rows[line.table] += line.rows
            if own is not None:
                ids[line.key] = own
    for unit, what, count in await _repeats(store, ids):
        message = f"{counted(count, what)} {'stands' if count == 1 else 'stand'} twice in unit {unit}"
        yield Problem(ProblemKind.REPEATED, folder_of(files[0].key), message, str(log.scope))


async def _repeats(store: Store, ids: dict[str, pa.Int64Array]) -> list[tuple[str, str, int]]:
    """The units in which ids stand twice, what these ids are called, and their count; of files of one folder."""
    table = table_of(next(iter(ids))) if ids else None
    if table is None or table.id_column is None:
        return []
    twice = await asyncio.to_thread(repeated, ids.values())
    parts: list[pa.Table] = []
    for key, own in ids.items():
        if pc.any(pc.is_in(own, value_set=twice)).as_py():
            data = await store.read(key)
            if data is not None:
                rows = await asyncio.to_thread(read_rows, table, data, [*UNIT, table.id_column])
                parts.append(rows.filter(pc.is_in(rows.column(table.id_column), value_set=twice)))
    if not parts:
        return []
    units = await asyncio.to_thread(repeats_by_unit, pa.concat_tables(parts), table.id_column)
    return [(unit, table.id_column.replace("_", " "), count) for unit, count in units]


async def _read_again(store: Store, log: _Log, line: DataFile) -> bytes | None:
    """A file that was not there, once more: it may have been published since its record was read."""
    return None if await log.has_let_go_of(line) else await store.read(line.key)


async def _missing(store: Store, log: _Log, line: DataFile, verified: Verified) -> Problem | None:
    """What there is to say of a file that a record names, and that is not there."""
    if line.key not in log.lines:
        return None
    if log.last is not None and line in log.last.files and await _is_staged(store, line):
        if await log.is_at_work():
            verified.notes[line.key] = "committed just now; a run is making it visible"
            return None
        return Problem(ProblemKind.UNFINISHED, line.key, "committed and not published yet", str(log.scope))
    return Problem(ProblemKind.MISSING, line.key, "the file is gone", str(log.scope))


async def _is_staged(store: Store, line: DataFile) -> bool:
    """Whether the file waits to be published. A lake whose staged files may not be listed does not show it."""
    keys: Iterable[str] = ()
    with suppress(LakeError):
        keys = [staged.key for staged in await store.leftovers(line.table)]
    return line.key in keys
