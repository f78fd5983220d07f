"""The logs of all scopes, read from the tables' marks on: those of other configurations, too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.changes import LoggedRecord, ScopeLog, logged_record
from exporter.commit_log.reader import linked_from, scopes_in
from exporter.errors import LakeTooNew, LogDamaged
from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.mark import Mark
    from exporter.errors import ExportError
    from exporter.lake.store import Store
    from exporter.model import Scope

_SCOPES_AT_ONCE = 8
_FILES_AT_ONCE = 16
#: What answers where a file is visible.
_PROBE_BYTES = 8


@dataclass(slots=True)
class Logs:
    """What was read of the logs.

    ``ready`` are the records that may be published, by scope; ``waiting`` are all of them. ``failed`` says of which
    scopes the log can't be read, and why.
    """

    ready: dict[str, ScopeLog] = field(default_factory=dict)
    waiting: dict[str, ScopeLog] = field(default_factory=dict)
    failed: dict[str, ExportError] = field(default_factory=dict)


async def read_logs(store: Store, marks: Iterable[Mapping[str, Mark]]) -> Logs:
    """Read every scope's log from the least of its ``marks`` on, which are those of several tables.

    A damaged log is its own scope's. Raises :class:`LakeError` where the lake can't be read.
    """
    of_tables = list(marks)
    found, slots = Logs(), asyncio.Semaphore(_SCOPES_AT_ONCE)

    async def read_one(scope: Scope) -> None:
        numbers = [of_table[str(scope)].number if str(scope) in of_table else 0 for of_table in of_tables]
        async with slots:
            try:
                log = await _read(store, scope, max(1, min(numbers, default=0)))
                is_ready = await _is_last_ready(store, log, max(numbers, default=0))
            except (LogDamaged, LakeTooNew) as error:
                found.failed[str(scope)] = error
                return
        found.waiting[log.scope] = log
        found.ready[log.scope] = log if is_ready else ScopeLog(log.scope, log.records[:-1])

    outcomes = await asyncio.gather(*map(read_one, await scopes_in(store)), return_exceptions=True)
    for error in filter(None, outcomes):
        raise error
    return found


async def _read(store: Store, scope: Scope, number: int) -> ScopeLog:
    names = [table.name for table in TABLES]
    records: list[LoggedRecord] = [
        logged_record(record, link, names) async for record, link in linked_from(store, scope, number)
    ]
    return ScopeLog(str(scope), tuple(records))


async def _is_last_ready(store: Store, log: ScopeLog, published: int) -> bool:
    """Whether anybody can read the files of the last record: they may be staged still. One before it is ready.

    What is ``published`` was ready then.
    """
    if not log.records or log.records[-1].number <= published:
        return True
    return not await missing_files(store, log.records[-1].files)


async def missing_files(store: Store, files: Iterable[LoggedFile]) -> list[str]:
    """The keys of those files that nobody can read."""
    slots = asyncio.Semaphore(_FILES_AT_ONCE)

    async def is_there(file: LoggedFile) -> bool:
        async with slots:
            begin = max(0, file.size_bytes - _PROBE_BYTES)
            return await store.read_range(file.key, begin, _PROBE_BYTES) is not None

    asked = list(files)
    there = await asyncio.gather(*map(is_there, asked))
    return [file.key for file, is_visible in zip(asked, there, strict=True) if not is_visible]
