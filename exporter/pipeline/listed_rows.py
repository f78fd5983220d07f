"""Rows of stages and participants, from when they are listed until their commit.

A row is committed no later than the first event that it explains. One that waits for its participant's details waits
until that commit at most; a participant that no list shows has no row where its details come later. The rows of a
session that was sealed without them are committed all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.records import RowWritten
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.stages import STAGES
from exporter.model import Unit
from exporter.normalize.listed_model import DescribedParticipant
from exporter.normalize.participants import NoDetails, ParticipantRow, participant_rows
from exporter.normalize.privacy import private_details, private_extra, private_participant
from exporter.normalize.stages import StageRow, stage_rows
from exporter.pipeline.retired import without_retired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.sealing import SessionProgress
    from exporter.ledger import ScopeLedger
    from exporter.model import SessionKey
    from exporter.normalize.columns import Stamp
    from exporter.normalize.listed_model import ListedParticipant, ParticipantDetails
    from exporter.normalize.privacy import Privacy
    from exporter.pipeline.checkpoint import Checkpoint
    from exporter.pipeline.delivery import ParticipantDescribed, ParticipantsListed, StageListed
    from exporter.settings import TableSettings

# Rows are made of this number of participants at a time: one call to Arrow costs as much as dozens of them.
_ROWS_AT_ONCE = 1_024
# What a participant takes until it is a row.
_PARTICIPANT_SIZE_BYTES = 500


@dataclass(frozen=True, slots=True)
class _Due:
    """A row that the table ``participants`` lacks, and which one it is.

    ``is_only_for_details`` says that it replaces one whose details were denied or failed: without details it is none.
    """

    progress: SessionProgress
    listed: ListedParticipant
    row: RowWritten
    is_only_for_details: bool = False

    @property
    def can_wait(self) -> bool:
        """Whether a later run makes the row where this one does not: of a session that is not sealed."""
        return not self.progress.was_sealed

    @property
    def unit(self) -> Unit:
        """The participant."""
        return Unit(*self.progress.session.key, self.listed.participant_id)


_Described = tuple[_Due, "ParticipantDetails | NoDetails"]


@dataclass(slots=True)
class _WholeSession:
    """The participants of one session whose rows are committed at once: how many details are missing, and the rest."""

    missing: int = 0
    ready: list[_Described] = field(default_factory=list)


class ListedRows:
    """The rows of one scope's stages and participants that wait for their commit.

    The mutable state, all of it participants: ``_ready`` have a row that can be made; ``_waiting`` wait for their
    details; ``_awaited`` are in no list, so that their details are their row. Of sessions that were sealed without
    their rows ``_whole`` wait for the details of the others. ``_unnamed`` are of sealed sessions, and no record names
    them: their rows come with their events, or not at all, since nobody would ask for those events again.
    """

    def __init__(
        self, tables: TableSettings, privacy: Privacy, stamp: Callable[[], Stamp], ledger: ScopeLedger
    ) -> None:
        self._tables = tables
        self._privacy = privacy
        self._stamp = stamp
        self._ledger = ledger
        self._ready: list[_Described] = []
        self._waiting: dict[Unit, _Due] = {}
        self._awaited: set[Unit] = set()
        self._whole: dict[SessionKey, _WholeSession] = {}
        self._unnamed: dict[Unit, _Described] = {}

    @property
    def size_bytes(self) -> int:
        """What the participants take that are no rows yet, about."""
        waiting = len(self._waiting) + sum(len(session.ready) for session in self._whole.values())
        return _PARTICIPANT_SIZE_BYTES * (len(self._ready) + len(self._unnamed) + len(self._awaited) + waiting)

    def waits_for(self, units: Iterable[Unit]) -> bool:
        """Whether the row of any of these waits for its details."""
        return any(unit in self._waiting or unit in self._awaited for unit in units)

    def holds_row_of(self, unit: Unit) -> bool:
        """Whether its row waits, for details or for its events."""
        return unit in self._waiting or unit in self._awaited or unit in self._unnamed

    def take_stage(self, delivery: StageListed, checkpoint: Checkpoint) -> None:
        """Add a stage's row."""
        row = StageRow(private_extra(self._privacy, delivery.stage), delivery.entry.is_listed)
        checkpoint.add(STAGES, stage_rows([row], self._stamp()))
        checkpoint.stages.append(delivery.entry)

    def take_participants(self, delivery: ParticipantsListed, checkpoint: Checkpoint) -> None:
        """Take participants that were listed; those whose row is due wait for their details, or for the commit."""
        progress = delivery.progress
        checkpoint.work_on(progress)
        progress.rows_on_their_way -= len(delivery.participants)
        if not self._tables.participants:
            return
        have_rows = progress.was_sealed and PARTICIPANTS.name in progress.known.tables
        for listed in delivery.participants:
            row = progress.row_due(listed.participant_id, delivery.served_us)
            if row is not None:
                is_only_for_details = have_rows and listed.participant_id in progress.units.named.lacking_details
                self._await_details(_Due(progress, listed, row, is_only_for_details))
        self._make_rows(checkpoint, at_least=_ROWS_AT_ONCE)

    def await_participant(self, progress: SessionProgress, participant_id: str) -> None:
        """Note that the details are asked for of a participant that no list shows."""
        self._awaited.add(Unit(*progress.session.key, participant_id))

    def take_details(self, delivery: ParticipantDescribed, checkpoint: Checkpoint) -> None:
        """Take a participant's details. Of one that no list showed, they are the row, where they come in time."""
        progress, described = delivery.progress, delivery.described
        unit = Unit(*progress.session.key, delivery.participant_id)
        due = self._waiting.pop(unit, None)
        details = described.details if isinstance(described, DescribedParticipant) else described
        if unit in self._unnamed:
            self._unnamed[unit] = (self._unnamed[unit][0], details)
        elif due is not None:
            self._described(due, details, checkpoint)
        elif unit in self._awaited and isinstance(described, DescribedParticipant):
            row = progress.row_due(delivery.participant_id, delivery.served_us)
            if row is not None:
                progress.rows_on_their_way += 1
                self._described(_Due(progress, described.listed, row), details, checkpoint)
        self._awaited.discard(unit)
        self._make_rows(checkpoint, at_least=_ROWS_AT_ONCE)

    def flush(
        self, checkpoint: Checkpoint, taken: AbstractSet[Unit], *, is_last: bool = False, is_stopped: bool = False
    ) -> None:
        """Add all rows that the next commit has to have.

        Those are the ones that are ready, and of the others those whose units' events are ``taken`` into it. In the
        last commit they are all; but where the run ``is_stopped``, those that no event needs are left to the next run.
        """
        late = [
            due
            for unit, due in self._waiting.items()
            if unit in taken or (is_last and not (is_stopped and due.can_wait))
        ]
        for due in late:
            del self._waiting[due.unit]
            self._described(due, NoDetails.FAILED, checkpoint)
        self._ledger.details_late += len(late) + len(self._awaited & taken)
        self._awaited -= taken
        for unit in self._unnamed.keys() & taken:
            described = self._unnamed.pop(unit)
            described[0].progress.rows_on_their_way += 1
            self._ready.append(described)
        self._make_rows(checkpoint, at_least=1)

    def _await_details(self, due: _Due) -> None:
        if due.progress.was_sealed and due.listed.participant_id not in due.progress.units.named.names:
            self._unnamed[due.unit] = (due, NoDetails.FAILED if self._tables.details else NoDetails.OFF)
            return
        due.progress.rows_on_their_way += 1
        if not self._tables.details:
            self._ready.append((due, NoDetails.OFF))
            return
        self._waiting[due.unit] = due
        if due.progress.was_sealed and not due.is_only_for_details:
            self._whole.setdefault(due.progress.session.key, _WholeSession()).missing += 1

    def _described(self, due: _Due, details: ParticipantDetails | NoDetails, checkpoint: Checkpoint) -> None:
        """Note what came of a participant's details: its row is ready, unless it has to wait for others."""
        checkpoint.work_on(due.progress)
        if due.is_only_for_details and _is_lacking(details):
            due.progress.rows_on_their_way -= 1
            return
        session = self._whole.get(due.progress.session.key)
        if session is None or due.is_only_for_details:
            self._ready.append((due, details))
            return
        session.missing -= 1
        session.ready.append((due, details))
        if not session.missing:
            self._ready += self._whole.pop(due.progress.session.key).ready

    def _make_rows(self, checkpoint: Checkpoint, *, at_least: int) -> None:
        while len(self._ready) >= at_least:
            ready, self._ready = self._ready[:_ROWS_AT_ONCE], self._ready[_ROWS_AT_ONCE:]
            rows = participant_rows([self._row(due, details) for due, details in ready], self._stamp())
            sessions = {due.progress.session.name: due.progress for due, _ in ready}
            for progress in sessions.values():
                checkpoint.work_on(progress)
            kept, _ = without_retired(PARTICIPANTS, rows, sessions.values())
            checkpoint.add(PARTICIPANTS, kept)
            for due, details in ready:
                due.progress.rows_on_their_way -= 1
                due.progress.row_written(due.listed.participant_id, due.row, lacks_details=_is_lacking(details))

    def _row(self, due: _Due, details: ParticipantDetails | NoDetails) -> ParticipantRow:
        if not isinstance(details, NoDetails):
            details = private_details(self._privacy, details)
        listed = private_participant(self._privacy, due.listed)
        return ParticipantRow(due.progress.session, listed, details, is_final=due.row is RowWritten.FINAL)


def _is_lacking(details: ParticipantDetails | NoDetails) -> bool:
    """Whether there are no details now, and may be some later."""
    return details is NoDetails.DENIED or details is NoDetails.FAILED
