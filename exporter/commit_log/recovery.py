"""Recovery, at the start of every run: finish what the last record names, discard what none does.

It comes after this run's own begin record. From then on no earlier writer can commit, so its staged files are waste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.commits import FileChanges
from exporter.commit_log.reader import readable_records
from exporter.commit_log.records import SessionEntry, UnitState
from exporter.errors import LogDamaged
from exporter.lake.data_files import epoch_of, is_older
from exporter.lake.staging import publish
from exporter.lake.tables import folders
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.records import Record
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
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
    named = {line.key for line in last.files} if last is not None else set()
    for folder in folders():
        for staged in await store.leftovers(folder):
            if staged.key not in named and is_older(staged.key, str(journal.scope), journal.epoch):
                await store.discard(staged)


async def settle_staged(store: Store, scope: Scope) -> None:
    """Leave nothing of a scope staged whose log is to be begun anew.

    What any record that can still be read names becomes visible, for it was committed; the rest is discarded.
    """
    for folder in folders():
        staged = {each.key for each in await store.leftovers(folder) if epoch_of(each.key, str(scope)) is not None}
        if not staged:
            continue
        async for record in readable_records(store, scope):
            await publish(store, [line for line in record.files if line.key in staged])
        for each in await store.leftovers(folder):
            if each.key in staged:
                await store.discard(each)


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
    keys = {line.key for line in lost}
    places = {place for place, line in enumerate(last.files) if line.key in keys}
    lines = [_reopened(line, last, places) for line in last.sessions if places & set(line.files)]
    _log.warning("files_gone", files=sorted(keys), sessions=len(lines))
    (await journal.commit(at, changes=FileChanges(lost=lost), sessions=lines)).check()


def _reopened(line: SessionEntry, last: Record, lost: set[int]) -> SessionEntry:
    kept = tuple(last.files[place].key for place in line.files if place not in lost)
    return SessionEntry(
        line.stage_arn,
        line.session_id,
        "open",
        line.started_us,
        line.ended_us,
        line.latest_end_us,
        units=dict.fromkeys(line.units, UnitState()),
        earlier_files=line.earlier_files + kept,
        retired=line.retired,
        is_unsure=True,
        has_rejects=line.has_rejects,
    )
