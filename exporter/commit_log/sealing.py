"""What a run knows of the sessions that it works on, and when one of them is sealed. Pure.

A unit is final when a complete fetch of it began after its session's end and the grace time; the latest end that was
ever told counts. A session is sealed when all of this is so:

- it has ended;
- its participants were listed completely and without a flaw, from a moment after the end and the grace time on;
- every unit that was known and not final stood in that list: one that did not is fetched all the same, and a list that
  lacks it is not trusted to be whole;
- each unit is final, or given up.

A unit, or the list of all of them, is given up when AWS itself has refused it for good on more than one day, from after
the session's end on, for ``give_up_days``. No other failure counts for that: a fault may pass, and a permission can
come back. A unit with an event that can't be given a time is fetched again by each run, and given up ``give_up_days``
after the session's end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.records import SessionEntry, UnitState
from exporter.commit_log.state import SessionState
from exporter.timestamps import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Session

#: What stands for the list of a session's participants where its units are named.
_LIST = ""
_EVENT_FILES = "events/"
_UNKNOWN = UnitState()


class Decision(Enum):
    """What to do with a unit that was found."""

    FETCH = auto()
    UNCHANGED = auto()
    ABANDONED = auto()


@dataclass(slots=True, weakref_slot=True)
class SessionProgress:
    """A session at work. ``known`` is its state in the log, and ``grace_us`` how long after its end events may come.

    ``listed_us`` is the service's time when a complete and flawless listing of its participants began, None until there
    was one. ``missing`` are the units that are known, neither final nor given up, and that nothing has found yet;
    ``unfinished`` those that were found and are not final. ``changed`` are the units whose state has changed
    since the last commit, and ``committing`` those of the commit under way. ``is_new`` says that the live state does
    not know the session; ``was_sealed``, that it is asked for again although it is sealed, and stays so;
    ``is_refetched``, that what is final is asked for again; ``is_contested``, that one list told two ends of it, or
    that rows of it were lost, so that none seals it in this run; ``is_told_sealed``, that a commit of this run sealed
    it; ``has_rejects``, that some of its events could not be given a time.
    """

    session: Session
    grace_us: int
    known: SessionState = field(default_factory=SessionState)
    is_new: bool = True
    was_sealed: bool = False
    is_refetched: bool = False
    is_contested: bool = False
    is_told_sealed: bool = False
    has_rejects: bool = False
    listed_us: int | None = None
    missing: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    changed: dict[str, UnitState] = field(default_factory=dict)
    committing: dict[str, UnitState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_rejects |= self.known.has_rejects
        units = self.known.units.items()
        self.missing = {name for name, unit in units if name != _LIST and not self._is_over(unit)}

    @property
    def ended_us(self) -> int | None:
        """The session's end: the latest one that was ever told, None while none is told."""
        if self.session.ended_us is None:
            return None
        return max(self.session.ended_us, self.known.ended_us or 0, self.known.latest_end_us or 0)

    @property
    def final_from_us(self) -> int | None:
        """The moment from which a fetch or a listing is final; None while no end is known."""
        return None if self.ended_us is None else self.ended_us + self.grace_us

    def expect(self, participant_ids: Iterable[str]) -> None:
        """Note that the lake holds events of these units, which the log no longer names: each has to be listed, too."""
        units = self.known.units
        self.missing |= {name for name in participant_ids if not self._is_over(units.get(name, _UNKNOWN))}

    def find(self, participant_id: str) -> Decision:
        """Note that a unit was found, and say what to do with it."""
        self.missing.discard(participant_id)
        unit = self._before(participant_id)
        if not self.is_refetched:
            if unit.is_abandoned:
                return Decision.ABANDONED
            if self._is_over(unit):
                return Decision.UNCHANGED
        self.unfinished.add(participant_id)
        return Decision.FETCH

    def holds_rows_of(self, participant_id: str) -> bool:
        """Whether the lake may hold rows of this unit already."""
        rows = self.known.units.get(participant_id, _UNKNOWN).rows
        is_asked = self.known.is_unsure or rows > 0
        return is_asked and any(key.startswith(_EVENT_FILES) for key in self.known.files)

    def holds_rejects_of(self, participant_id: str) -> bool:
        """Whether the lake may hold rejects of this unit already."""
        return self.known.is_unsure or self.known.units.get(participant_id, _UNKNOWN).rejects > 0

    def lose(self, keys: Iterable[str]) -> None:
        """Note that files are gone, and the session opened again in the log for that.

        Which units had rows there, nobody knows: each is asked for again by the next run, and this one seals nothing.
        """
        self.known.files = [key for key in self.known.files if key not in set(keys)]
        self.known.units = {name: UnitState(rows=unit.rows) for name, unit in self.known.units.items()}
        self.changed = {name: msgspec.structs.replace(unit, began_us=None) for name, unit in self.changed.items()}
        self.known.is_unsure = True
        self.was_sealed = self.is_told_sealed = self.is_new = False
        self.is_contested = True

    @property
    def event_files(self) -> list[str]:
        """The keys of files that hold events of the session."""
        return [key for key in self.known.files if key.startswith(_EVENT_FILES)]

    @property
    def reject_files(self) -> list[str]:
        """The keys of files that hold rejects of the session."""
        return [key for key in self.known.files if not key.startswith(_EVENT_FILES)]

    def fetched(self, participant_id: str, began_us: int, rows: int) -> None:
        """Note that a unit was fetched whole, from ``began_us`` on, and that ``rows`` more are to be committed.

        Only a fetch that began with the session's end known can be final, whatever clocks say later.
        """
        before = self._before(participant_id)
        began = None if self.session.ended_us is None else began_us
        unit = UnitState(began_us=began, rows=before.rows + rows, rejects=before.rejects)
        self._change(participant_id, unit)
        if self._is_over(unit):
            self.unfinished.discard(participant_id)

    def fetched_in_part(  # noqa: PLR0917 - each of them is told of the one fetch
        self, participant_id: str, began_us: int, rows: int, rejects: int, now_us: int, give_up_days: float
    ) -> bool:
        """Note that a unit was fetched whole, but for events without a time, ``rejects`` of which were not kept before.

        True where it is given up: its session ended so long ago that they won't be mended any more.
        """
        before = self._before(participant_id)
        final_from_us, ended_us = self.final_from_us, self.ended_us
        is_late = ended_us is not None and now_us - ended_us >= give_up_days * DAY_US
        unit = UnitState(
            rows=before.rows + rows,
            failing_since_us=now_us if before.failing_since_us is None else before.failing_since_us,
            rejects=before.rejects + rejects,
            is_abandoned=is_late and final_from_us is not None and began_us >= final_from_us,
        )
        self._change(participant_id, unit)
        self.has_rejects = True
        if unit.is_abandoned:
            self.unfinished.discard(participant_id)
        return unit.is_abandoned

    def failed(self, participant_id: str, now_us: int, give_up_days: float, *, is_refused: bool) -> bool:
        """Note that a unit failed. ``is_refused`` says that AWS itself refuses it for good.

        True where that has gone on until the unit is given up. Of a session that stays sealed the log knows those units
        alone that were given up, and a failure changes nothing of that.
        """
        if self.was_sealed:
            return False
        before = self._before(participant_id)
        failing_since_us = now_us if before.failing_since_us is None else before.failing_since_us
        unit = msgspec.structs.replace(before, failing_since_us=failing_since_us)
        if is_refused and self.ended_us is not None and now_us >= self.ended_us:
            since_us = before.refused_since_us
            if since_us is None or not self.ended_us <= since_us <= now_us:
                since_us = now_us
            is_abandoned = _is_given_up(since_us, now_us, give_up_days)
            unit = msgspec.structs.replace(unit, refused_since_us=since_us, is_abandoned=is_abandoned)
        self._change(participant_id, unit)
        if unit.is_abandoned:
            self.unfinished.discard(participant_id)
        return unit.is_abandoned

    def listing_failed(self, now_us: int, give_up_days: float, *, is_refused: bool) -> bool:
        """Note that the participants could not be listed, as `failed` does of a unit."""
        is_abandoned = self.failed(_LIST, now_us, give_up_days, is_refused=is_refused)
        if is_abandoned:
            self.listed_us = now_us
        return is_abandoned

    def listed(self, began_us: int | None, *, is_flawless: bool) -> list[str]:
        """Note that the participants were listed to the end, from ``began_us`` on, and give what that list lacks.

        Those are units that are known and not final. Such a list does not seal the session, nor does one with a flaw.
        """
        if is_flawless and not self.missing:
            self.listed_us = began_us
        if _LIST in self.known.units:
            self._change(_LIST, _UNKNOWN)  # that the list failed earlier is over
        return sorted(self.missing)

    @property
    def has_news(self) -> bool:
        """Whether the next commit has something to say of the session."""
        if self.is_new and not self.session.is_listed:
            # Perhaps there is no such session: somebody's list named it.
            return any(unit.failing_since_us is None for unit in self.changed.values())
        if self.changed or self._found():
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
        """Whether nothing more can come, by the rule above."""
        if self.was_sealed:
            return True
        final_from_us = self.final_from_us
        is_listed = self.listed_us is not None and final_from_us is not None and self.listed_us >= final_from_us
        return is_listed and not (self.unfinished or self.missing or self.is_contested)

    def line(self, places: tuple[int, ...]) -> SessionEntry:
        """What the next commit says of the session, some of whose rows are in that record's files at ``places``."""
        is_sealed = self.is_sealed
        let_go_of = self.known.units if self.is_new else {}
        self.committing, self.changed = let_go_of | self.changed | self._found(), {}
        is_named = is_sealed and not self.was_sealed
        return SessionEntry(
            self.session.stage_arn,
            self.session.session_id,
            "sealed" if is_sealed else "open",
            self.session.started_us,
            self.session.ended_us,
            self._latest_end_us,
            units={name: unit.named if is_named else unit for name, unit in self.committing.items()},
            files=places,
            earlier_files=tuple(self.known.files) if is_sealed or self.is_new else (),
            is_unsure=self.known.is_unsure and not is_sealed,
            has_rejects=self.has_rejects,
            retired=tuple(self.known.retired) if is_sealed or self.is_new else (),
        )

    def committed(self, line: SessionEntry, keys: list[str]) -> None:
        """Note that ``line`` was committed, and that the files ``keys`` hold rows of the session."""
        self.known.units.update(self.committing)
        self.known.files += [key for key in keys if key not in self.known.files]
        self.known.started_us, self.known.ended_us = line.started_us, line.ended_us
        self.known.latest_end_us = line.latest_end_us
        self.is_new = False
        self.is_told_sealed = line.status == "sealed" and not self.was_sealed

    @property
    def _latest_end_us(self) -> int | None:
        """The latest end that was ever told, where it is not the one that is told now."""
        latest_us = max(self.session.ended_us or 0, self.known.ended_us or 0, self.known.latest_end_us or 0)
        return None if latest_us == (self.session.ended_us or 0) else latest_us

    def _before(self, participant_id: str) -> UnitState:
        return self.changed.get(participant_id) or self.known.units.get(participant_id, _UNKNOWN)

    def _found(self) -> dict[str, UnitState]:
        """The units of an open session that were found and that no record names: the next list may lack them."""
        if self.was_sealed:
            return {}
        named = self.known.units.keys() | self.committing.keys() | self.changed.keys()
        return dict.fromkeys(sorted(self.unfinished - named), _UNKNOWN)

    def _change(self, participant_id: str, unit: UnitState) -> None:
        """Note a unit's new state, where it is another one: what is told again each night would fill the log."""
        if participant_id not in self.known.units or unit != self._before(participant_id):
            self.changed[participant_id] = unit

    def _is_over(self, unit: UnitState) -> bool:
        """Whether nothing more is asked of a unit: it is final, or given up."""
        final_from_us = self.final_from_us
        is_final = final_from_us is not None and unit.began_us is not None and unit.began_us >= final_from_us
        return is_final or unit.is_abandoned


def _is_given_up(since_us: int, now_us: int, give_up_days: float) -> bool:
    is_another_day = now_us // DAY_US > since_us // DAY_US
    return is_another_day and now_us - since_us >= give_up_days * DAY_US
