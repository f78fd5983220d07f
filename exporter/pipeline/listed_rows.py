"""Rows of stages and participants, from when they are listed until their commit.

A row is committed no later than the first event that it explains. One that waits for its participant's details waits
until that commit at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.stages import STAGES
from exporter.model import Unit
from exporter.normalize.listed_model import DescribedParticipant
from exporter.normalize.participants import NoDetails, ParticipantRow, participant_rows
from exporter.normalize.privacy import private_details, private_participant, private_stage
from exporter.normalize.stages import StageRow, stage_rows
from exporter.pipeline.retired import without_retired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.records import RowWritten
    from exporter.commit_log.sealing import SessionProgress
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
    """A row that the table ``participants`` lacks, and which one it is."""

    progress: SessionProgress
    listed: ListedParticipant
    row: RowWritten


class ListedRows:
    """The rows of one scope's stages and participants that wait for their commit.

    The mutable state: the participants whose row is ready, and those that wait for their details, by session and id.
    """

    def __init__(self, tables: TableSettings, privacy: Privacy, stamp: Callable[[], Stamp]) -> None:
        self._tables = tables
        self._privacy = privacy
        self._stamp = stamp
        self._ready: list[tuple[_Due, ParticipantDetails | NoDetails]] = []
        self._waiting: dict[tuple[str, str], _Due] = {}

    @property
    def size_bytes(self) -> int:
        """What the participants take that are no rows yet, about."""
        return _PARTICIPANT_SIZE_BYTES * (len(self._ready) + len(self._waiting))

    def take_stage(self, delivery: StageListed, checkpoint: Checkpoint) -> None:
        """Add a stage's row."""
        row = StageRow(private_stage(self._privacy, delivery.stage), delivery.entry.is_listed)
        checkpoint.add(STAGES, stage_rows([row], self._stamp()))
        checkpoint.stages.append(delivery.entry)

    def take_participants(self, delivery: ParticipantsListed, checkpoint: Checkpoint) -> None:
        """Take participants that were listed; those whose row is due wait for their details, or for the commit."""
        checkpoint.work_on(delivery.progress)
        if not self._tables.participants:
            return
        for listed in delivery.participants:
            row = delivery.progress.row_due(listed.participant_id, delivery.served_us)
            if row is None:
                continue
            due = _Due(delivery.progress, listed, row)
            if self._tables.details:
                self._waiting[delivery.progress.session.name, listed.participant_id] = due
            else:
                self._ready.append((due, NoDetails.OFF))
        self._make_rows(checkpoint, at_least=_ROWS_AT_ONCE)

    def take_details(self, delivery: ParticipantDescribed, checkpoint: Checkpoint) -> None:
        """Take a participant's details. Of one that no list showed, they are the row."""
        progress, described = delivery.progress, delivery.described
        due = self._waiting.pop((progress.session.name, delivery.participant_id), None)
        if due is None and isinstance(described, DescribedParticipant):
            row = progress.row_due(delivery.participant_id, delivery.served_us)
            due = None if row is None else _Due(progress, described.listed, row)
        if due is not None:
            checkpoint.work_on(progress)
            details = described.details if isinstance(described, DescribedParticipant) else described
            self._ready.append((due, details))
            self._make_rows(checkpoint, at_least=_ROWS_AT_ONCE)

    def flush(self, checkpoint: Checkpoint, taken: AbstractSet[Unit], *, is_last: bool) -> None:
        """Add all rows that the next commit has to have.

        Those are the ones that are ready, and of the others those whose units' events are ``taken`` into it, and those
        whose session it seals; in the last commit all.
        """
        for key, due in list(self._waiting.items()):
            unit = Unit(*due.progress.session.key, due.listed.participant_id)
            if is_last or due.progress.is_sealed or unit in taken:
                del self._waiting[key]
                checkpoint.work_on(due.progress)
                self._ready.append((due, NoDetails.FAILED))
        self._make_rows(checkpoint, at_least=1)

    def _make_rows(self, checkpoint: Checkpoint, *, at_least: int) -> None:
        while len(self._ready) >= at_least:
            ready, self._ready = self._ready[:_ROWS_AT_ONCE], self._ready[_ROWS_AT_ONCE:]
            rows = participant_rows([self._row(due, details) for due, details in ready], self._stamp())
            sessions = {due.progress.session.name: due.progress for due, _ in ready}
            kept, _ = without_retired(PARTICIPANTS, rows, sessions.values())
            checkpoint.add(PARTICIPANTS, kept)
            _note_written(due for due, _ in ready)

    def _row(self, due: _Due, details: ParticipantDetails | NoDetails) -> ParticipantRow:
        if not isinstance(details, NoDetails):
            details = private_details(self._privacy, details)
        listed = private_participant(self._privacy, due.listed)
        return ParticipantRow(due.progress.session, listed, details, is_final=due.row is due.row.FINAL)


def _note_written(dues: Iterable[_Due]) -> None:
    for due in dues:
        due.progress.row_written(due.listed.participant_id, due.row)
