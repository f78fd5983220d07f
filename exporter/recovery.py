"""Recovery, at the start of every run: finish what the last record names, discard what none does.

It comes after this run's own begin record. From then on no earlier writer can commit, so its staged files are waste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from exporter.publish import publish
from exporter.records import SessionLine, UnitState
from exporter.tables import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.commit import Journal
    from exporter.records import FileLine, Record
    from exporter.store import Store

_log = structlog.get_logger()


async def recover(store: Store, journal: Journal, at: str) -> None:
    """Make the files of the last record visible, and remove staged files of earlier epochs.

    Where a named file is gone, its sessions are opened again, with a warning, so that this run fetches what is missing.
    """
    last = journal.state.last
    gone = await publish(store, last.files) if last is not None else []
    if last is not None and gone:
        await _reopen(journal, last, gone, at)
    named = {line.key for line in last.files} if last is not None else set()
    for staged in await store.leftovers(EVENTS.name):
        if staged.key not in named and is_older(staged.key, str(journal.scope), journal.epoch):
            await store.discard(staged)


def file_name(scope: str, epoch: int, run_id: str, number: int) -> str:
    """The name of a data file, unique for ever: scope, the run's epoch, the run, and the file's number in the run."""
    return f"{scope}-{epoch:09d}-{run_id}-{number:06d}"


def is_older(key: str, scope: str, epoch: int) -> bool:
    """Whether a data file was written for this scope by a writer of an earlier epoch."""
    name = key.rpartition("/")[2]
    own, _, rest = name.partition(f"{scope}-")
    number = rest.partition("-")[0]
    return not own and number.isdecimal() and int(number) < epoch


async def _reopen(journal: Journal, last: Record, gone: Sequence[FileLine], at: str) -> None:
    keys = {line.key for line in gone}
    places = {place for place, line in enumerate(last.files) if line.key in keys}
    lines = [_reopened(line, last, places) for line in last.sessions if places & set(line.files)]
    _log.warning("files_gone", files=sorted(keys), sessions=len(lines))
    await journal.commit(at, gone=sorted(keys), sessions=lines)


def _reopened(line: SessionLine, last: Record, gone: set[int]) -> SessionLine:
    kept = tuple(last.files[place].key for place in line.files if place not in gone)
    return SessionLine(
        line.stage_arn,
        line.session_id,
        "open",
        line.started_us,
        line.ended_us,
        units=dict.fromkeys(line.units, UnitState()),
        earlier_files=line.earlier_files + kept,
        is_unsure=True,
    )
