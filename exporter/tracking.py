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
    since the last commit, and ``committing`` those of the commit under way. ``is_new`` says that no commit has told of
    the session; ``is_refetched``, that what is final is asked for again.
    """

    session: Session
    grace_us: int
    known: SessionState = field(default_factory=SessionState)
    is_new: bool = True
    is_refetched: bool = False
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
        """Note that a unit was fetched whole, from ``began_us`` on, and that ``rows`` more are to be committed."""
        before = self.known.units.get(participant_id, UnitState())
        unit = UnitState(began_us=began_us, rows=before.rows + rows)
        self.changed[participant_id] = unit
        if self._is_final(unit):
            self.unfinished -= 1

    def refused(self, participant_id: str, now_us: int, give_up_days: float) -> bool:
        """Note that a unit was refused for good; True where that has gone on for so long that it is abandoned."""
        before = self.known.units.get(participant_id, UnitState())
        since_us = before.failing_since_us or now_us
        is_abandoned = self.session.ended_us is not None and now_us - since_us >= give_up_days * _DAY_US
        self.changed[participant_id] = UnitState(
            before.began_us, before.rows, before.failures + 1, since_us, is_abandoned
        )
        self.unfinished -= is_abandoned
        return is_abandoned

    @property
    def has_news(self) -> bool:
        """Whether the next commit has something to say of the session."""
        return self.is_new or self.is_sealed or bool(self.changed)

    @property
    def is_sealed(self) -> bool:
        """Whether nothing more can come: ended, listed completely after the grace time, and every unit final."""
        final_from_us = self.final_from_us
        is_listed = self.listed_us is not None and final_from_us is not None and self.listed_us >= final_from_us
        return is_listed and not self.unfinished

    def line(self, places: tuple[int, ...]) -> SessionLine:
        """What the next commit says of the session, some of whose rows are in that record's files at ``places``."""
        is_sealed = self.is_sealed
        self.committing, self.changed = self.changed, {}
        # A sealed session's units are let go of, but for those that status shows for ever.
        units = {name: unit for name, unit in self.committing.items() if unit.is_abandoned or not is_sealed}
        return SessionLine(
            self.session.stage_arn,
            self.session.session_id,
            "sealed" if is_sealed else "open",
            self.session.started_us,
            self.session.ended_us,
            units=units,
            files=places,
            earlier_files=tuple(self.known.files) if is_sealed or self.is_new else (),
            is_unsure=self.known.is_unsure and not is_sealed,
        )

    def committed(self, keys: list[str]) -> None:
        """Note that what `line` told was committed, and that the files ``keys`` hold rows of the session."""
        self.known.units.update(self.committing)
        self.known.files += [key for key in keys if key not in self.known.files]
        self.is_new = False

    def _is_final(self, unit: UnitState) -> bool:
        return self.final_from_us is not None and unit.began_us >= self.final_from_us
