"""The state of a scope: what its commit log adds up to. Pure: folding records is all there is.

It holds what is live: open sessions with their units, and the bare name of each sealed session that is still listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.records import (
    FORMAT,
    FORMAT_MAJOR,
    FORMAT_MINOR,
    Link,
    Record,
    RowWritten,
    SessionEntry,
    StageEntry,
    UnitState,
)
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.lake.data_files import DataFile


class SessionState(msgspec.Struct, omit_defaults=True):
    """An open session: one of which more can come, or of which something is missing.

    ``latest_end_us`` is the latest end that was ever listed, where ``ended_us`` is not. ``files`` are the keys of those
    that hold rows of it. ``is_unsure`` says that they may hold rows of units that ``units`` does not name.
    ``has_rejects`` says that some of its events have no time. ``tables`` are those beside ``events`` that have a row of
    it. ``lacks_details`` says of a sealed session that details of some of its participants were denied or failed.
    """

    started_us: int | None = None
    ended_us: int | None = None
    latest_end_us: int | None = None
    units: dict[str, UnitState] = {}
    files: list[str] = []
    is_unsure: bool = False
    has_rejects: bool = False
    retired: list[str] = []
    tables: list[str] = []
    lacks_details: bool = False

    def files_of(self, folder: str) -> list[str]:
        """The keys of the files with rows of the session that lie in a table's folder, or in that of the rejects."""
        return [key for key in self.files if key.startswith(f"{folder}/")]

    def may_have_rows_of(self, participant_id: str, table: str) -> bool:
        """Whether a table whose rows are the units' own may have rows of this unit."""
        unit = self.units.get(participant_id)
        return (self.is_unsure or (unit is not None and unit.rows > 0)) and bool(self.files_of(table))

    def may_have_rejects_of(self, participant_id: str) -> bool:
        """Whether the lake may have rejects of this unit."""
        unit = self.units.get(participant_id)
        return self.is_unsure or (unit is not None and unit.rejects > 0)

    def lose(self, keys: Iterable[str]) -> None:
        """Let go of files. Nobody knows which units had rows there, so none is final any more."""
        lost = set(keys).intersection(self.files)
        self.files = [key for key in self.files if key not in lost]
        self.units = {name: opened_unit(unit, lost) for name, unit in self.units.items()}
        self.tables = [table for table in self.tables if not has_file_of(table, lost)]
        self.is_unsure = True


class ScopeState(msgspec.Struct, kw_only=True):
    """Everything that a run needs to know of the runs before it.

    ``link`` is that of the last record that was folded in, and ``last`` the last commit; ``snapshot_number`` is that of
    the record up to which the newest sound snapshot goes, 0 where there is none. ``latest_us`` is the service's time,
    as far as the log knows it; ``newest_us`` the latest start or end of any session; ``let_go_us`` the later of the two
    when the state last let go of a session that was no longer listed. ``rows``, ``files`` and the dates are of all that
    was committed. ``abandoned`` are the units (or sessions, where their participants could never be listed), by name,
    that AWS refused until they were abandoned, with the time of the first refusal. ``sealed`` names sessions with the
    end by which they were sealed. ``stages`` are the last rows of stages, by ARN.
    """

    format: str = FORMAT
    major: int = FORMAT_MAJOR
    minor: int = FORMAT_MINOR
    link: Link = Link()
    snapshot_number: int = 0
    latest_us: int = 0
    complete_until_us: int | None = None
    newest_us: int = 0
    let_go_us: int = 0
    rows: int = 0
    files: int = 0
    first_date: str | None = None
    last_date: str | None = None
    abandoned: dict[str, int | None] = {}
    open: dict[str, dict[str, SessionState]] = {}
    sealed: dict[str, dict[str, int | None]] = {}
    stages: dict[str, StageEntry] = {}
    last: Record | None = None

    @property
    def number(self) -> int:
        """The number of the last record that was folded in; 0 before the first."""
        return self.link.number

    @property
    def has_let_go(self) -> bool:
        """Whether the state ever let go of a session, which only the log's old records name since then."""
        return self.let_go_us > 0

    def session(self, stage_arn: str, session_id: str) -> SessionState | None:
        """The open session of that name, if there is one."""
        return self.open.get(stage_arn, {}).get(session_id)

    def is_sealed(self, stage_arn: str, session_id: str) -> bool:
        """Whether the session is known to be sealed."""
        return session_id in self.sealed.get(stage_arn, ())

    def names(self, stage_arn: str, session_id: str) -> bool:
        """Whether the state has the session, open or sealed."""
        return self.is_sealed(stage_arn, session_id) or self.session(stage_arn, session_id) is not None

    def sealed_by_us(self, stage_arn: str, session_id: str) -> int | None:
        """The end by which a sealed session was sealed, as far as that is known."""
        return self.sealed.get(stage_arn, {}).get(session_id)

    def sealed_until_us(self, listed_us: int | None = None) -> int | None:
        """The moment before which every session that ended is sealed; None where no whole run has said so.

        ``listed_us`` is when a run began that has listed everything, and is not in the log yet.
        """
        until_us = self.complete_until_us if listed_us is None else listed_us
        ended = [
            session.ended_us
            for sessions in self.open.values()
            for session in sessions.values()
            if session.ended_us is not None
        ]
        return None if until_us is None else min([until_us, *ended])

    @property
    def furthest_us(self) -> int:
        """The latest time that a later decision would rest on: the log's own, a fetch's, or that of completeness."""
        began_us = (
            unit.began_us
            for sessions in self.open.values()
            for session in sessions.values()
            for unit in session.units.values()
            if unit.began_us is not None
        )
        return max(self.latest_us, self.complete_until_us or 0, max(began_us, default=0))

    def fold(self, record: Record, link: Link) -> None:
        """Add the next record, whose own link is ``link``."""
        self.link = link
        if record.void_after_us is not None:
            self.take_back(record.void_after_us)
        self.latest_us = max(self.latest_us, record.latest_us)
        if record.complete_until_us is not None:
            self.complete_until_us = record.complete_until_us
        self._forget_files(record)
        for file in record.files:
            self.rows += file.rows
            self.files += 1
            if file.date:
                self.first_date = min(file.date, self.first_date or file.date)
                self.last_date = max(file.date, self.last_date or file.date)
        for entry in record.sessions:
            self._fold_session(entry, record.files)
        for stage_arn, session_id in record.unlisted:
            self.sealed.get(stage_arn, {}).pop(session_id, None)
            self._let_go()
        self.stages.update({stage.arn: stage for stage in record.stages})
        if record.kind == "commit":
            self.last = record

    def take_back(self, moment_us: int, entries: Sequence[SessionEntry] = ()) -> None:
        """Let nothing rest on a time that lies after ``moment_us``: no fetch, no completeness, not the latest itself.

        ``entries`` say which sessions are opened again for that.
        """
        self.latest_us = min(self.latest_us, moment_us)
        # When a session began is what its list says, whatever the clock: one that was let go of may come back.
        self.let_go_us = min(self.let_go_us, max(moment_us, self.newest_us))
        if self.complete_until_us is not None and self.complete_until_us > moment_us:
            self.complete_until_us = None
        for sessions in self.open.values():
            for session in sessions.values():
                session.units = {name: voided(unit, moment_us) for name, unit in session.units.items()}
        for entry in entries:
            self._fold_session(entry, ())

    def _fold_session(self, entry: SessionEntry, files: Sequence[DataFile]) -> None:
        self.newest_us = max(self.newest_us, entry.started_us or 0, entry.ended_us or 0)
        for participant_id, unit in entry.units.items():
            name = f"{entry.stage_arn}/{entry.session_id}/{participant_id}".rstrip("/")
            if unit.is_abandoned:
                self.abandoned[name] = unit.refused_since_us or unit.failing_since_us
            else:
                self.abandoned.pop(name, None)
        sessions = self.open.setdefault(entry.stage_arn, {})
        if entry.status != "open":
            sessions.pop(entry.session_id, None)
            if entry.status == "sealed":
                self.sealed.setdefault(entry.stage_arn, {})[entry.session_id] = entry.latest_end_us or entry.ended_us
            else:
                self._let_go()
            return
        self.sealed.get(entry.stage_arn, {}).pop(entry.session_id, None)
        session = sessions.setdefault(entry.session_id, SessionState())
        session.started_us = entry.started_us
        session.ended_us = entry.ended_us
        session.latest_end_us = entry.latest_end_us
        session.units.update(entry.units)
        added = [*entry.earlier_files, *(files[index].key for index in entry.files)]
        session.files += [key for key in added if key not in session.files]
        session.is_unsure |= entry.is_unsure
        session.has_rejects |= entry.has_rejects
        session.retired += [folder for folder in entry.retired if folder not in session.retired]
        session.tables = list(entry.tables)

    def _let_go(self) -> None:
        """Note that a session is no longer named here. One that begins after this moment is another session."""
        self.let_go_us = max(self.let_go_us, self.latest_us, self.newest_us)

    def _forget_files(self, record: Record) -> None:
        removed = record.removed
        if not removed:
            return
        if has_file_of(STAGES.name, record.lost):
            self.stages.clear()  # nobody knows whose rows these were: each is written again
        for sessions in self.open.values():
            for session in sessions.values():
                session.retired = retired_by(record, session.files, session.retired)
                session.files = [key for key in session.files if key not in removed]
        self.files -= len(removed)
        self.rows -= record.rows_removed
        if record.major == 1 and self.last is not None:  # those records do not say how many rows
            self.rows -= sum(file.rows for file in self.last.files if file.key in removed)


def has_file_of(table: str, keys: Iterable[str]) -> bool:
    """Whether files of a table are among those with these keys."""
    return any(key.startswith(f"{table}/") for key in keys)


def opened_unit(unit: UnitState, lost: Iterable[str]) -> UnitState:
    """The state of a unit whose session is opened again because files with these keys are lost."""
    if has_file_of(PARTICIPANTS.name, lost):
        return UnitState(rows=unit.rows)
    return UnitState(rows=unit.rows, row=unit.row, lacks_details=unit.lacks_details)


def retired_by(record: Record, files: Iterable[str], retired: Iterable[str]) -> list[str]:
    """The folders that rows of a session were removed from on purpose, after one more record; ``files`` hold such."""
    folders = [key.rpartition("/")[0] for key in files if key in record.retired]
    return list(dict.fromkeys((*retired, *folders)))


def voided(unit: UnitState, moment_us: int) -> UnitState:
    """The unit's state where no time after ``moment_us`` counts; a final row may be so by such a time, and is none."""
    began_us, failing_us, refused_us = unit.began_us, unit.failing_since_us, unit.refused_since_us
    is_voided = began_us is not None and began_us > moment_us
    return msgspec.structs.replace(
        unit,
        began_us=None if is_voided else began_us,
        row=min(unit.row, RowWritten.FIRST),
        failing_since_us=None if failing_us is None else min(failing_us, moment_us),
        refused_since_us=None if refused_us is None or refused_us > moment_us else refused_us,
    )
