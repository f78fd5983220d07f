"""What a run knows of the sessions that it works on, and when one of them is sealed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from exporter.records import SessionLine, UnitState
from exporter.state import SessionState

if TYPE_CHECKING:
    from exporter.domain import Session

_DAY_US = 86_400_000_000


class Turn(Enum):
    """What to do with a unit that was found."""

    FETCH = auto()
    UNCHANGED = auto()
    ABANDONED = auto()


@dataclass(slots=True)
class Tracked:
    """A session at work. ``known`` is its state in the log, and ``grace_us`` how long after its end events may come.

    ``listed_us`` is the service's time when a complete listing of its participants began, None until there was one.
    ``unfinished`` counts the units that were found and are not final. ``changed`` are the units whose state has changed
    since the last commit, and ``committing`` those of the commit under way. ``is_new`` says that the live state does
    not know the session; ``was_sealed``, that it is asked for again although it is sealed, and stays so;
    ``is_refetched``, that what is final is asked for again; ``is_told_sealed``, that a commit of this run sealed it.
    """

    session: Session
    grace_us: int
    known: SessionState = field(default_factory=SessionState)
    is_new: bool = True
    was_sealed: bool = False
    is_refetched: bool = False
    is_told_sealed: bool = False
    listed_us: int | None = None
    unfinished: int = 0
    changed: dict[str, UnitState] = field(default_factory=dict)
    committing: dict[str, UnitState] = field(default_factory=dict)

    @property
    def final_from_us(self) -> int | None:
        """The moment from which a fetch or a listing is final; None while no end is known."""
        ended_us = self.session.ended_us
        return None if ended_us is None else ended_us + self.grace_us

    def find(self, participant_id: str) -> Turn:
        """Note that a unit was found, and say what to do with it."""
        unit = self.known.units.get(participant_id, UnitState())
        if not self.is_refetched:
            if unit.is_abandoned:
                return Turn.ABANDONED
            if self._is_final(unit):
                return Turn.UNCHANGED
        self.unfinished += 1
        return Turn.FETCH

    def holds_rows_of(self, participant_id: str) -> bool:
        """Whether the lake may hold rows of this unit already."""
        unit = self.known.units.get(participant_id, UnitState())
        return bool(self.known.files) and (self.known.is_unsure or unit.rows > 0)

    def fetched(self, participant_id: str, began_us: int, rows: int) -> None:
        """Note that a unit was fetched whole, from ``began_us`` on, and that ``rows`` more are to be committed.

        Only a fetch that began with the session's end known can be final, whatever clocks say later.
        """
        before = self.known.units.get(participant_id, UnitState())
        unit = UnitState(began_us=0 if self.session.ended_us is None else began_us, rows=before.rows + rows)
        self.changed[participant_id] = unit
        if self._is_final(unit):
            self.unfinished -= 1

    def failed(self, participant_id: str, now_us: int, give_up_days: float | None) -> bool:
        """Note that a unit failed, or the listing of all of them, for which the id is empty.

        ``give_up_days`` is None where a later try may help; else AWS has refused for good. True where that has gone on
        for so long, after the session's end, that it is given up.
        """
        before = self.known.units.get(participant_id, UnitState())
        since_us = before.failing_since_us or now_us
        is_abandoned = (
            give_up_days is not None
            and self.session.ended_us is not None
            and now_us - since_us >= give_up_days * _DAY_US
        )
        self.changed[participant_id] = UnitState(
            before.began_us, before.rows, before.failures + 1, since_us, is_abandoned
        )
        if participant_id:
            self.unfinished -= is_abandoned
        elif is_abandoned:
            self.listed_us = now_us
        return is_abandoned

    def listed(self, began_us: int | None) -> None:
        """Note that the participants were listed to the end, from ``began_us`` on."""
        self.listed_us = began_us
        if "" in self.known.units:
            self.changed[""] = UnitState()  # that the list failed earlier is over

    @property
    def has_news(self) -> bool:
        """Whether the next commit has something to say of the session."""
        if self.is_new and not self.session.is_listed:
            # Perhaps there is no such session: somebody's list named it.
            return any(unit.failures == 0 for unit in self.changed.values())
        if self.changed:
            return True
        if self.was_sealed or self.is_told_sealed:
            return False
        has_other_times = (self.session.started_us, self.session.ended_us) != (
            self.known.started_us,
            self.known.ended_us,
        )
        return self.is_sealed or self.is_new or has_other_times

    @property
    def is_sealed(self) -> bool:
        """Whether nothing more can come: ended, listed completely after the grace time, and every unit final."""
        final_from_us = self.final_from_us
        is_listed = self.listed_us is not None and final_from_us is not None and self.listed_us >= final_from_us
        return self.was_sealed or (is_listed and not self.unfinished)

    def line(self, places: tuple[int, ...]) -> SessionLine:
        """What the next commit says of the session, some of whose rows are in that record's files at ``places``."""
        is_sealed = self.is_sealed
        self.committing, self.changed = self.changed, {}
        # A sealed session's units are let go of, but for those that status shows for ever, or no longer.
        is_kept = self.was_sealed or not is_sealed
        return SessionLine(
            self.session.stage_arn,
            self.session.session_id,
            "sealed" if is_sealed else "open",
            self.session.started_us,
            self.session.ended_us,
            units={name: unit for name, unit in self.committing.items() if is_kept or unit.is_abandoned},
            files=places,
            earlier_files=tuple(self.known.files) if is_sealed or self.is_new else (),
            is_unsure=self.known.is_unsure and not is_sealed,
        )

    def committed(self, line: SessionLine, keys: list[str]) -> None:
        """Note that ``line`` was committed, and that the files ``keys`` hold rows of the session."""
        self.known.units.update(self.committing)
        self.known.files += [key for key in keys if key not in self.known.files]
        self.known.started_us, self.known.ended_us = line.started_us, line.ended_us
        self.is_new = False
        self.is_told_sealed = line.status == "sealed" and not self.was_sealed

    def _is_final(self, unit: UnitState) -> bool:
        return self.final_from_us is not None and unit.began_us >= self.final_from_us
