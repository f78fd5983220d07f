"""What a record says of its sessions, decided before their rows are staged: which it seals, and which have a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.records import StageEntry
from exporter.commit_log.session_rows import counts_of, is_row_due, session_row, tables_of
from exporter.lake.tables.sessions import SESSIONS
from exporter.normalize.sessions import session_rows
from exporter.pipeline.retired import is_retired

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from exporter.commit_log.sealing import SessionProgress
    from exporter.commit_log.state import ScopeState
    from exporter.model import SessionKey
    from exporter.normalize.columns import Stamp
    from exporter.normalize.privacy import Privacy
    from exporter.normalize.sessions import SessionRow
    from exporter.pipeline.checkpoint import Checkpoint
    from exporter.pipeline.known_events import KnownEvents
    from exporter.settings import TableSettings


@dataclass(frozen=True, slots=True)
class SessionDecisions:
    """What was decided of the sessions of a checkpoint, by name.

    ``sealed`` are those that the record seals or keeps sealed. ``tables`` are those that have rows of each then.
    ``rows`` are of the table ``sessions``; None where there are none.
    """

    sealed: frozenset[str]
    tables: Mapping[str, tuple[str, ...]]
    rows: pa.RecordBatch | None

    def hold(self, sessions: Mapping[str, SessionProgress]) -> bool:
        """Whether all of them can still be sealed: a list may have shown another end meanwhile, or a file be lost."""
        return all(sessions[name].is_sealed for name in self.sealed)


class SessionDecider:
    """Decides what a record says of sessions, against the ``state`` of the log.

    ``listed_stages`` are those that this run's list has shown so far, by ARN.
    """

    def __init__(
        self,
        state: ScopeState,
        tables: TableSettings,
        privacy: Privacy,
        known_events: KnownEvents,
        listed_stages: Mapping[str, StageEntry],
    ) -> None:
        self._state = state
        self._listed_stages = listed_stages
        self._tables = tables
        self._privacy = privacy
        self._known_events = known_events

    async def decide(self, checkpoint: Checkpoint, stamp: Stamp) -> SessionDecisions:
        """Decide which sessions the record seals, and make their rows.

        Files are read where they alone say how many events a session has. A session that could be sealed only since
        then is left to the next record: its events are not counted. Raises :class:`LakeError`.
        """
        sealed = frozenset(name for name, progress in checkpoint.sessions.items() if progress.is_sealed)
        to_count = [
            progress
            for name, progress in checkpoint.sessions.items()
            if name in sealed and self._tables.sessions and progress.known.is_unsure and _has_counts(progress)
        ]
        events = await self._known_events.counts(to_count)
        rows: list[SessionRow] = []
        tables: dict[str, tuple[str, ...]] = {}
        for name, progress in checkpoint.sessions.items():
            is_sealed = name in sealed
            is_due = is_row_due(progress, is_sealed=is_sealed)
            tables[name] = tables_of(progress, self._tables, is_sealed=is_sealed, is_due=is_due)
            if is_due and self._tables.sessions and not is_retired(progress, SESSIONS, stamp.exported_at_us):
                rows.append(self._row(progress, events, is_sealed=is_sealed))
        return SessionDecisions(sealed, tables, session_rows(rows, stamp) if rows else None)

    def _stage(self, stage_arn: str) -> StageEntry:
        """The stage as this run's list shows it, else as the log has it."""
        return self._listed_stages.get(stage_arn) or self._state.stages.get(stage_arn) or StageEntry(stage_arn)

    def _row(
        self, progress: SessionProgress, events: Mapping[SessionKey, int | None], *, is_sealed: bool
    ) -> SessionRow:
        units, session = progress.units.all().values(), progress.session.key
        count: int | None = sum(unit.rows for unit in units)
        if session in events:  # the log does not say how many were in which unit
            in_lake = events[session]
            count = None if in_lake is None else in_lake + progress.new_rows
        counts = counts_of(progress, count, sum(unit.is_abandoned for unit in units))
        stage = self._stage(progress.session.stage_arn)
        return session_row(progress, stage, counts, self._privacy, is_sealed=is_sealed)


def _has_counts(progress: SessionProgress) -> bool:
    """Whether the next row of a session that is sealed says how many events it has."""
    return is_row_due(progress, is_sealed=True) and progress.session.is_listed
