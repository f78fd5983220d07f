"""Units that share no batch with others: large ones, and ones with rejects. Each counts as a whole, or not at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.rejects import Parted, part
from exporter.errors import EventUndated, EventUnreadable, FileDamaged, LakeError, TemporaryFolderRefused
from exporter.lake.tables.events import EVENTS
from exporter.pipeline.checkpoint import Checkpoint
from exporter.pipeline.new_rows import UnitResult
from exporter.pipeline.retired import without_retired
from exporter.telemetry.unknown_fields import add_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.store import Store
    from exporter.model import FetchedUnit
    from exporter.normalize.columns import Stamp
    from exporter.pipeline.committer import Committer
    from exporter.pipeline.new_rows import EventRowMaker

# A file of rejects is read as a whole to see what is kept already.
_REJECTS_SIZE_BYTES = 4 << 20


@dataclass(slots=True)
class LoneUnit:
    """What came of one unit: its result, what the next commit has to say of it, and its rejects, where it has any."""

    result: UnitResult
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    parted: Parted | None = None
    unknown_fields: Counter[str] = field(default_factory=Counter)


class LoneUnits:
    """Takes units that share no batch with others: one by one, in pieces, and without their rejects.

    A unit's rows are staged when they take ``staged_from_bytes``, so that they come on top of little. ``use`` reports
    how much memory its rows take, in bytes.
    """

    def __init__(
        self,
        store: Store,
        row_maker: EventRowMaker,
        committer: Committer,
        staged_from_bytes: int,
        use: Callable[[int], None],
    ) -> None:
        self._store = store
        self._row_maker = row_maker
        self._committer = committer
        self._staged_from_bytes = staged_from_bytes
        self._use = use

    async def take(self, progress: SessionProgress, fetched: FetchedUnit, stamp: Stamp) -> LoneUnit:
        """Make one unit's rows, and stage them where they are many.

        Where the unit can't be read, its result carries the error and nothing is left of its files. Raises
        :class:`LakeError` where the lake can't be written.
        """
        lone = LoneUnit(UnitResult(progress, fetched))
        try:
            try:
                await self._fill(lone, stamp)
            except EventUndated:
                await self._committer.discard(lone.checkpoint.files)
                parted = await part(self._store, progress.known, fetched)
                lone = LoneUnit(UnitResult(progress, parted.fetched), parted=parted)
                await self._fill(lone, stamp)
                await self._fill_rejects(lone, parted, stamp)
        except (EventUnreadable, TemporaryFolderRefused, FileDamaged) as error:
            await self._committer.discard(lone.checkpoint.files)
            without_frame = type(error)(str(error))
            return LoneUnit(UnitResult(progress, fetched, error=without_frame))
        except LakeError:
            await self._committer.discard(lone.checkpoint.files)
            raise
        return lone

    async def _fill(self, lone: LoneUnit, stamp: Stamp) -> None:
        """Add the unit's rows, piece by piece."""
        progress, left_out = lone.result.progress, 0
        async for piece in self._row_maker.pieces(progress, lone.result.fetched, stamp):
            lone.result = piece.units[-1] if piece.units else lone.result
            add_names(lone.unknown_fields, piece.unknown_fields)
            rows, retired = without_retired(EVENTS, piece.rows, [progress])
            left_out += retired.total()
            lone.checkpoint.add(EVENTS, rows)
            if lone.checkpoint.size_bytes > self._staged_from_bytes:
                await self._committer.stage(lone.checkpoint)
            self._use(lone.checkpoint.size_bytes)
        lone.result.lacked -= left_out

    async def _fill_rejects(self, lone: LoneUnit, parted: Parted, stamp: Stamp) -> None:
        """Add those of the unit's rejects that the lake lacks."""
        checkpoint = lone.checkpoint
        async for line in parted.lines(stamp, self._row_maker.privacy):
            checkpoint.reject(line, lone.result.progress.session.key)
            if checkpoint.rejects_size_bytes >= min(_REJECTS_SIZE_BYTES, self._staged_from_bytes):
                await self._committer.stage_rejects(checkpoint)
            self._use(checkpoint.size_bytes)
