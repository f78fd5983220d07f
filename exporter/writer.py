"""One scope's way from fetched units to committed files, by checkpoint: normalize → stage → commit → publish.

What is held in memory is bounded twice: raw pages until they are worth a batch, and rows until they are worth a file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.channel import Channel, Closed
from exporter.errors import LakeRefused
from exporter.ledger import Outcome
from exporter.normalize import Stamp, normalize
from exporter.publish import publish
from exporter.stage import stage
from exporter.tables import EVENTS, split_by_date
from exporter.times import text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import pyarrow as pa

    from exporter.commit import Journal
    from exporter.domain import Fetched
    from exporter.ledger import ScopeLedger
    from exporter.store import Store

# Small enough for little memory, large enough that a batch's fixed cost does not show.
_BATCH_SIZE_BYTES = 1 << 20


@dataclass(slots=True)
class _Held:
    """Rows by date that wait for their checkpoint, and the outcomes that become true with it."""

    rows: dict[date, list[pa.RecordBatch]] = field(default_factory=dict)
    count: int = 0
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class Writer:
    """Writes what one scope's units gave. ``wall_us`` is the local clock, ``clock`` a monotonic one in seconds."""

    store: Store
    journal: Journal
    ledger: ScopeLedger
    checkpoint_s: float
    rows_max: int
    clock: Callable[[], float]
    wall_us: Callable[[], int]
    _batch: list[Fetched] = field(default_factory=list)
    _batch_size_bytes: int = 0
    _held: _Held = field(default_factory=_Held)
    _checkpoints: int = 0

    async def write(self, fetched: Channel[Fetched]) -> None:
        """Take what comes until the channel is closed. Raises :class:`LakeError` where a checkpoint fails."""
        due_s = self.clock() + self.checkpoint_s
        while True:
            try:
                async with asyncio.timeout(max(due_s - self.clock(), 0.0)):
                    await self._take(await fetched.get())
            except Closed:
                await self._checkpoint()
                return
            except TimeoutError:
                pass
            if self.clock() >= due_s or self._held.count >= self.rows_max:
                await self._checkpoint()
                due_s = self.clock() + self.checkpoint_s

    async def _take(self, fetched: Fetched) -> None:
        self._batch.append(fetched)
        self._batch_size_bytes += sum(map(len, fetched.pages))
        if self._batch_size_bytes >= _BATCH_SIZE_BYTES:
            await self._normalize()

    async def _normalize(self) -> None:
        batch, self._batch, self._batch_size_bytes = self._batch, [], 0
        stamp = Stamp(self.journal.run_id, self.wall_us())
        normal = await asyncio.to_thread(normalize, batch, stamp)
        self.ledger.unknown_fields.update(normal.unknown_fields)
        for fetched, count in zip(batch, normal.counts, strict=True):
            error = normal.unreadable.get(fetched.unit)
            if error is not None:
                self.ledger.outcomes[Outcome.FAILED] += 1
                self.ledger.fail(fetched.unit.name, error)
            else:
                self.ledger.events_fetched += count
                self._held.outcomes.append(Outcome.EXPORTED if count else Outcome.EMPTY)
        self._held.count += normal.rows.num_rows
        for day, rows in split_by_date(EVENTS, normal.rows).items():
            self._held.rows.setdefault(day, []).append(rows)

    async def _checkpoint(self) -> None:
        """Commit all that is held: staged files, then the record, then their publication."""
        if self._batch:
            await self._normalize()
        held, self._held = self._held, _Held()
        if not held.outcomes:
            return
        if held.rows:
            await self._commit(held)
        self.ledger.outcomes.update(held.outcomes)

    async def _commit(self, held: _Held) -> None:
        self._checkpoints += 1
        name = f"{self.journal.scope}-{self.journal.run_id}-{self._checkpoints:06d}"
        files = await stage(self.store, EVENTS, held.rows, name)
        record = await self.journal.commit(files, {EVENTS.name: EVENTS.version}, text_of(self.wall_us()))
        gone = await publish(self.store, record.files)
        if gone:
            raise LakeRefused(f"{gone[0].key} was staged and is gone: something else removes files from the lake")
        self.ledger.events_written += held.count
        self.ledger.files += len(files)
        self.ledger.size_bytes += sum(file.size_bytes for file in files)
