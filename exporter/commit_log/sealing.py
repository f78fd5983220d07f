"""What a run learns of one session, and when the session is sealed. Pure.

A session is sealed when all of this is so:

- it has ended; the latest end that was ever listed counts;
- its participants were listed completely and without a flaw, from a moment after the end and the grace time on;
- every unit that was committed and not final stood in that list: one that did not is fetched all the same, and a list
  that lacks it is not trusted to be whole;
- all its units are final, or abandoned (`exporter.commit_log.unit_states`);
- the rows of all participants that were listed are made;
- its status lets this run seal it (`exporter.commit_log.session_status`).
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log import unit_states
from exporter.commit_log.records import LISTING, RowWritten, SessionEntry, UnitState
from exporter.commit_log.session_status import SessionEvent, SessionStatus
from exporter.commit_log.session_units import NO_NAMED_UNITS, NamedUnits, SessionUnits
from exporter.commit_log.state import SessionState
from exporter.commit_log.unit_states import UNKNOWN, Decision, SessionEnd
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.timestamps import DAY_US, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Session

_ROWS_OF_SESSIONS = frozenset({SESSIONS.name, PARTICIPANTS.name})


@dataclass(slots=True, weakref_slot=True, eq=False, repr=False)
class SessionProgress:
    """A session at work. ``grace_us`` is how long after its end events may come.

    ``known`` is the session as the log has it, or had it before it let go of it. ``is_refetched`` says that final units
    are fetched again. ``named`` are those of `SessionUnits`.

    The mutable state: ``status``; ``listed_us``, the service's time when a complete and flawless listing of the
    participants began, None until there was one; ``has_rejects``, whether an event of the session has no time;
    ``new_rows``, the events that the next commit adds, and ``has_new_units``, whether it adds a unit that no record
    names; ``rows_on_their_way``, the participants that were listed and whose rows are not made yet; and the ``units``.
    """

    session: Session
    grace_us: int
    known: SessionState = field(default_factory=SessionState)
    status: SessionStatus = SessionStatus.NEW
    is_refetched: bool = False
    named: InitVar[NamedUnits] = NO_NAMED_UNITS
    has_rejects: bool = field(init=False)
    listed_us: int | None = field(init=False, default=None)
    new_rows: int = field(init=False, default=0)
    has_new_units: bool = field(init=False, default=False)
    rows_on_their_way: int = field(init=False, default=0)
    units: SessionUnits = field(init=False)

    def __post_init__(self, named: NamedUnits) -> None:
        self.has_rejects = self.known.has_rejects
        self.units = SessionUnits(self.known, self.end, named)
        known_ended_us = max(self.known.ended_us or 0, self.known.latest_end_us or 0)
        if self.end is not None and self.end.ended_us > known_ended_us:
            self.units.void_final_rows()

    def __repr__(self) -> str:
        ended = "active" if self.end is None else f"ended {text_of(self.end.ended_us)}"
        listed = "not listed" if self.listed_us is None else f"listed {text_of(self.listed_us)}"
        parts = filter(None, (self.status.name, ended, listed, repr(self.units)))
        return f"<SessionProgress {self.session.session_id} {', '.join(parts)}>"

    # What is known.

    @property
    def was_sealed(self) -> bool:
        """Whether the session was sealed before this run, and stays so."""
        return self.status is SessionStatus.KEPT_SEALED

    @property
    def end(self) -> SessionEnd | None:
        """The session's end: the latest one that was ever listed, None while it is active."""
        if self.session.ended_us is None:
            return None
        ended_us = max(self.session.ended_us, self.known.ended_us or 0, self.known.latest_end_us or 0)
        return SessionEnd(ended_us, self.grace_us)

    @property
    def final_from_us(self) -> int | None:
        """The moment from which a fetch or a listing is final; None while no end is known."""
        return None if self.end is None else self.end.final_from_us

    # What lists show.

    def contest(self) -> None:
        """Note that one list showed two ends of the session: it is not sealed in this run."""
        self.status = self.status.after(SessionEvent.OTHER_END_LISTED)

    def find(self, participant_id: str) -> Decision:
        """Note that a unit was found, and decide what to do with it."""
        self.units.find(participant_id)
        if self.was_sealed and not self.is_refetched and participant_id in self.units.named.names:
            return Decision.UNCHANGED
        decision = unit_states.decide(self.units[participant_id], self.end, is_refetched=self.is_refetched)
        if decision is Decision.FETCH:
            self.units.begin(participant_id)
        return decision

    def listed(self, began_us: int | None, *, is_flawless: bool) -> list[str]:
        """Note that the participants were listed to the end, from ``began_us`` on. Returns what that list lacks.

        Those are units that are committed and not final. Such a list does not seal the session, nor does one with a
        flaw.
        """
        if is_flawless and not self.units.missing:
            self.listed_us = began_us
        if LISTING in self.known.units:
            self.units.change(LISTING, UNKNOWN, is_over=True)  # that the list failed earlier is over
        return sorted(self.units.missing)

    def listing_failed(self, now_us: int, give_up_days: float, *, is_refused: bool) -> bool:
        """Note that the participants could not be listed. ``is_refused`` says that AWS itself refuses it for good.

        Returns True where the list is abandoned for that.
        """
        is_abandoned = self.failed(LISTING, now_us, give_up_days, is_refused=is_refused)
        if self.was_sealed:
            is_abandoned = is_refused and self.units[LISTING].is_abandoned
        if is_abandoned:
            self.listed_us = now_us
        return is_abandoned

    def row_due(self, participant_id: str, served_us: int) -> RowWritten | None:
        """The row that the table ``participants`` lacks of a unit that an answer of ``served_us`` lists.

        Of a session that stays sealed and has its rows, units that the log does not name or that lack details have one;
        where it has none, a backfill writes all of them in one commit, and a refetch, which comes in several, none.
        Where one list showed two ends, nobody knows yet which row is final.
        """
        if self.status is SessionStatus.SEALED:
            return None
        if self.was_sealed:
            has_rows = PARTICIPANTS.name in self.known.tables
            if self.units.has_row(participant_id, are_all_written=has_rows) or (self.is_refetched and not has_rows):
                return None
        end = None if self.status.is_contested else self.end
        return unit_states.row_due(self.units[participant_id], end, served_us)

    def row_written(self, participant_id: str, row: RowWritten, *, lacks_details: bool = False) -> None:
        """Note that the next commit adds this row of a unit, whose details may have been denied, or have failed."""
        self.has_new_units |= participant_id not in self.units.named.names
        unit = msgspec.structs.replace(self.units[participant_id], row=row, lacks_details=lacks_details)
        self.units.change(participant_id, unit, is_over=False)

    # What becomes of units.

    def fetched(self, participant_id: str, began_us: int, rows: int) -> None:
        """Note that a unit was fetched whole, from ``began_us`` on, and that ``rows`` more are to be committed.

        Only a fetch that began with the session's end known can be final, whatever clocks say later.
        """
        began = None if self.session.ended_us is None else began_us
        unit = unit_states.fetched(self.units[participant_id], began, rows)
        self.new_rows += rows
        self.has_new_units |= participant_id not in self.units.named.names
        self.units.change(participant_id, unit, is_over=unit_states.is_over(unit, self.end))

    def fetched_in_part(
        self, participant_id: str, began_us: int, *, rows: int, rejects: int, now_us: int, give_up_days: float
    ) -> bool:
        """Note that a unit was fetched whole, but for events without a time, ``rejects`` of which were not kept before.

        Returns True where it is abandoned: its session ended so long ago that nobody will mend them any more.
        """
        unit = unit_states.fetched_in_part(
            self.units[participant_id],
            self.end,
            began_us,
            rows=rows,
            rejects=rejects,
            now_us=now_us,
            give_up_us=give_up_days * DAY_US,
        )
        self.has_rejects = True
        self.new_rows += rows
        self.units.change(participant_id, unit, is_over=unit.is_abandoned)
        return unit.is_abandoned

    def failed(self, name: str, now_us: int, give_up_days: float, *, is_refused: bool) -> bool:
        """Note that a unit failed, or the list of them. ``is_refused`` says that AWS itself refuses it for good.

        Returns True where that has gone on until it is abandoned. Of a session that stays sealed the log names
        abandoned units alone, and a failure changes nothing of that.
        """
        if self.was_sealed:
            return False
        unit = unit_states.failed(self.units[name], self.end, now_us, give_up_days * DAY_US, is_refused=is_refused)
        self.units.change(name, unit, is_over=unit.is_abandoned)
        return unit.is_abandoned

    def lose(self, keys: Iterable[str]) -> None:
        """Note that files are gone, and that the log has opened the session again for that.

        Nobody knows which units had rows there: the next run asks for all of them, and this one seals nothing.
        """
        self.known.lose(keys)
        self.units.void()
        self.status = self.status.after(SessionEvent.FILES_LOST)

    # What the log is to say, and has said.

    @property
    def has_news(self) -> bool:
        """Whether the next commit has something to say of the session."""
        changed = self.units.changed
        if self.status.is_new and not self.session.is_listed:
            # A list of targets named it, and perhaps there is none such; where a unit was listed or fetched, there is.
            return any(unit.failing_since_us is None or unit.rejects or unit.row for unit in changed.values())
        if changed or self._found():
            return True
        if self.status is SessionStatus.KEPT_SEALED:
            return self.has_rows_of_list and not (self.is_refetched or _ROWS_OF_SESSIONS.issubset(self.known.tables))
        if self.status is SessionStatus.SEALED:
            return False
        is_moved = (self.session.started_us, self.session.ended_us) != (self.known.started_us, self.known.ended_us)
        return self.is_sealed or self.status.is_new or is_moved

    @property
    def has_rows_of_list(self) -> bool:
        """Whether all participants were listed without a flaw, and the rows of all of them are made."""
        return self.listed_us is not None and not self.rows_on_their_way

    @property
    def is_sealed(self) -> bool:
        """Whether nothing more can come, by the rule above."""
        if self.was_sealed:
            return True
        final_from_us = self.final_from_us
        is_listed = self.listed_us is not None and final_from_us is not None and self.listed_us >= final_from_us
        return is_listed and not self.rows_on_their_way and self.units.are_done and not self.status.is_contested

    def committing(self, file_indexes: tuple[int, ...], tables: tuple[str, ...], *, is_sealed: bool) -> SessionEntry:
        """Note that a commit is being made, and return what it says of the session.

        ``file_indexes`` are of that record's files with rows of it, ``tables`` those that have a row of it then.
        ``is_sealed`` says whether the record seals it, or keeps it sealed: it may do so where `is_sealed` held.
        """
        is_new = self.status.is_new
        units = (self.known.units if is_new else {}) | self.units.changed | self._found()
        self.units.committing()
        self.new_rows, self.has_new_units = 0, False
        if is_sealed and not self.was_sealed:
            units = {name: unit.named(has_rows=PARTICIPANTS.name in tables) for name, unit in units.items()}
        return SessionEntry(
            self.session.stage_arn,
            self.session.session_id,
            "sealed" if is_sealed else "open",
            self.session.started_us,
            self.session.ended_us,
            self._latest_end_us,
            units=units,
            files=file_indexes,
            earlier_files=tuple(self.known.files) if is_sealed or is_new else (),
            is_unsure=self.known.is_unsure and not is_sealed,
            has_rejects=self.has_rejects,
            retired=tuple(self.known.retired) if is_sealed or is_new else (),
            tables=tables,
            lacks_details=is_sealed and self.units.lack_details(units),
        )

    def committed(self, entry: SessionEntry, keys: list[str]) -> bool:
        """Note that ``entry`` was committed, and that the files ``keys`` hold rows of the session.

        Returns True where that sealed it.
        """
        self.units.committed(entry.units)
        self.known.files += [key for key in keys if key not in self.known.files]
        self.known.started_us, self.known.ended_us = entry.started_us, entry.ended_us
        self.known.latest_end_us, self.known.tables = entry.latest_end_us, list(entry.tables)
        self.known.has_rejects = entry.has_rejects
        is_sealed = entry.status == "sealed"
        self.status = self.status.after(SessionEvent.COMMITTED_SEALED if is_sealed else SessionEvent.COMMITTED_OPEN)
        return self.status is SessionStatus.SEALED

    @property
    def _latest_end_us(self) -> int | None:
        """The latest end that was ever listed, where it is not the one that is listed now."""
        latest_us = max(self.session.ended_us or 0, self.known.ended_us or 0, self.known.latest_end_us or 0)
        return None if latest_us == (self.session.ended_us or 0) else latest_us

    def _found(self) -> dict[str, UnitState]:
        """The units of an open session that were found and that no record names."""
        return {} if self.was_sealed else self.units.found()
