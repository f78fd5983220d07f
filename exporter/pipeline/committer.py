"""Makes one scope's checkpoints durable: stage → commit → publish."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.commit_log.commits import CommitOutcome, FileChanges, LogEntries
from exporter.commit_log.named_files import NamedFiles
from exporter.errors import LakeError, LogDamaged, Overtaken, StagedGone
from exporter.lake.data_files import file_name
from exporter.lake.staging import discard, publish, stage, stage_lines
from exporter.lake.tables import REJECTS, TABLES
from exporter.lake.tables.sessions import SESSIONS
from exporter.normalize.columns import Stamp
from exporter.pipeline.losses import Losses
from exporter.pipeline.session_decisions import SessionDecider
from exporter.telemetry.spans import span
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.records import SessionEntry, StageEntry
    from exporter.lake.data_files import DataFile
    from exporter.ledger import ScopeLedger
    from exporter.model import SessionKey
    from exporter.pipeline.checkpoint import Checkpoint
    from exporter.pipeline.known_events import KnownEvents
    from exporter.pipeline.run_context import RunContext
    from exporter.pipeline.session_decisions import SessionDecisions


class Committer:
    """Stages, commits and publishes the checkpoints of one scope. ``now_us`` is the service's clock.

    ``known_events`` has the files that any step has found gone: the log lets go of them before anything is committed
    that was made without them. ``listed_stages`` are those that this run's list has shown so far, by ARN.
    """

    def __init__(
        self,
        context: RunContext,
        journal: Journal,
        ledger: ScopeLedger,
        known_events: KnownEvents,
        now_us: Callable[[], int],
        *,
        listed_stages: Mapping[str, StageEntry],
    ) -> None:
        self.losses = Losses(context.store, journal, ledger, context.clock, known_events)
        self._store = context.store
        self._clock = context.clock
        self._journal = journal
        self._ledger = ledger
        self._known_events = known_events
        self._now_us = now_us
        self._named = NamedFiles(context.store, journal)
        self._tables = context.settings.tables
        self._decider = SessionDecider(journal.state, self._tables, context.privacy, known_events, listed_stages)
        self._stagings = 0

    async def commit(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint true: stage its rows, write the record that names the files, publish them.

        Raises :class:`LakeError` where that fails, and :class:`LogDamaged` where the log does not know the files that
        the new ones would lie beside.
        """
        await self.losses.let_go(checkpoint.sessions)
        checkpoint.drop_sessions_without_news(self._tables)
        if not (checkpoint.sessions or checkpoint.stages):
            return
        with span("checkpoint", scope=self._ledger.name):
            await self.stage(checkpoint)
            decisions = await self._stage_sessions(checkpoint)
            entries, keys = checkpoint.committing(decisions)  # in one step with the last look at whether they hold
            await self._commit(checkpoint, entries)
            await self._publish(checkpoint.files)
            self._note_committed(checkpoint, entries, keys)

    async def stage(self, checkpoint: Checkpoint) -> None:
        """Move the buffered rows to staged files; where that fails, what was staged before goes with them."""
        for table in TABLES:
            if rows := checkpoint.rows_of(table):
                try:
                    files = await stage(self._store, table, rows, self._next_name())
                except LakeError as error:
                    await self._give_up_staging(checkpoint, error)
                    raise
                checkpoint.staged(table, files)
        await self.stage_rejects(checkpoint)

    async def stage_rejects(self, checkpoint: Checkpoint) -> None:
        """Move the buffered rejects to a staged file, as `stage` does with rows."""
        if not checkpoint.rejects:
            return
        try:
            file = await stage_lines(self._store, REJECTS, checkpoint.rejects, self._next_name())
        except LakeError as error:
            await self._give_up_staging(checkpoint, error)
            raise
        checkpoint.rejects_staged(file)

    async def discard(self, files: Sequence[DataFile]) -> None:
        """Remove staged files that no record names; what can't be removed now, the next run removes."""
        with suppress(LakeError):
            await discard(self._store, files)

    async def _give_up_staging(self, checkpoint: Checkpoint, error: LakeError) -> None:
        """Remove what was staged before ``error``; raise :class:`Overtaken` where a newer run's recovery caused it."""
        await self.discard(checkpoint.files)
        if isinstance(error, StagedGone):
            await self._journal.check_is_newest()

    async def _stage_sessions(self, checkpoint: Checkpoint) -> SessionDecisions:
        """Decide what the record says of the sessions, and stage their rows; anew, where that does not hold then."""
        try:
            while True:
                decisions = await self._decider.decide(checkpoint, Stamp(self._journal.run_id, self._clock.wall_us()))
                count = len(checkpoint.files)
                if decisions.rows is not None:
                    checkpoint.add(SESSIONS, decisions.rows)
                    await self.stage(checkpoint)
                await self._named.check(checkpoint.files)
                await self.losses.let_go(checkpoint.sessions)  # sessions were looked up in their files meanwhile
                if decisions.hold(checkpoint.sessions):
                    return decisions
                files = checkpoint.files[count:]
                checkpoint.unstaged(files)
                await self.discard(files)
        except (Overtaken, LogDamaged):
            await self.discard(checkpoint.files)
            raise

    async def _commit(self, checkpoint: Checkpoint, entries: Sequence[SessionEntry]) -> None:
        """Write the record. Its files stay staged where nobody knows whether it was written: the next run looks."""
        result = await self._journal.commit(
            text_of(self._clock.wall_us()),
            changes=FileChanges(added=checkpoint.files),
            entries=LogEntries(sessions=entries, stages=checkpoint.stages),
            latest_us=self._now_us(),
        )
        if result.outcome is CommitOutcome.OVERTAKEN:
            await self.discard(checkpoint.files)
        result.check()

    async def _publish(self, files: Sequence[DataFile]) -> None:
        if gone := await publish(self._store, files):
            raise LakeError(f"{gone[0].key} was staged and is gone: something else removes files from the lake")

    def _note_committed(
        self, checkpoint: Checkpoint, entries: Sequence[SessionEntry], keys: Mapping[SessionKey, list[str]]
    ) -> None:
        """Note what the record says; ``keys`` are those of the new files with rows of each session."""
        self._ledger.published(checkpoint.files)
        for progress, entry in zip(checkpoint.sessions.values(), entries, strict=True):
            if progress.committed(entry, keys[progress.session.key]):
                self._ledger.sessions_sealed += 1
                self._known_events.forget(progress.session.key)

    def _next_name(self) -> str:
        self._stagings += 1
        journal = self._journal
        return file_name(str(journal.scope), journal.epoch, journal.run_id, self._stagings)
