"""What becomes of one unit's state, and when nothing more is asked of it. Pure.

A unit is final when a complete fetch of it began after its session's end and the grace time.

A unit, or the list of all of a session's units, is abandoned when AWS itself has refused it for good on more than one
day, from after the session's end on, for ``give_up_days``. No other failure counts for that: a fault may pass, and a
permission can come back. A unit with an event that has no time is fetched again by each run, and abandoned
``give_up_days`` after the session's end.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

import msgspec

from exporter.commit_log.records import RowWritten, UnitState
from exporter.timestamps import DAY_US

#: The state of a unit that no record names.
UNKNOWN = UnitState()


class Decision(Enum):
    """What to do with a unit that was found."""

    FETCH = auto()
    UNCHANGED = auto()
    ABANDONED = auto()


class SessionEnd(NamedTuple):
    """A session's end, and the grace time after it during which events may still come."""

    ended_us: int
    grace_us: int

    @property
    def final_from_us(self) -> int:
        """The moment from which a fetch or a listing is final."""
        return self.ended_us + self.grace_us


def is_over(unit: UnitState, end: SessionEnd | None) -> bool:
    """Whether nothing more is asked of a unit: it is final, or abandoned. ``end`` is None while none is known."""
    is_final = end is not None and unit.began_us is not None and unit.began_us >= end.final_from_us
    return is_final or unit.is_abandoned


def decide(unit: UnitState, end: SessionEnd | None, *, is_refetched: bool) -> Decision:
    """What to do with a unit that was found; ``is_refetched`` says that all are fetched again."""
    if is_refetched:
        return Decision.FETCH
    if unit.is_abandoned:
        return Decision.ABANDONED
    return Decision.UNCHANGED if is_over(unit, end) else Decision.FETCH


def fetched(before: UnitState, began_us: int | None, rows: int) -> UnitState:
    """The state after a whole fetch that gave ``rows`` more; ``began_us`` is None where it can't be final."""
    return UnitState(
        began_us=began_us,
        rows=before.rows + rows,
        rejects=before.rejects,
        row=before.row,
        lacks_details=before.lacks_details,
    )


def fetched_in_part(
    before: UnitState, end: SessionEnd | None, began_us: int, *, rows: int, rejects: int, now_us: int, give_up_us: float
) -> UnitState:
    """The state after a fetch that gave ``rows`` more, and ``rejects`` more without a time."""
    is_late = end is not None and now_us - end.ended_us >= give_up_us
    return UnitState(
        rows=before.rows + rows,
        failing_since_us=now_us if before.failing_since_us is None else before.failing_since_us,
        rejects=before.rejects + rejects,
        row=before.row,
        lacks_details=before.lacks_details,
        is_abandoned=is_late and end is not None and began_us >= end.final_from_us,
    )


def row_due(unit: UnitState, end: SessionEnd | None, served_us: int) -> RowWritten | None:
    """The row that the table ``participants`` lacks of a unit that an answer of ``served_us`` lists; None where none.

    One is written when the unit is first listed, and a final one when it is listed after the end and the grace time.
    """
    is_final = end is not None and served_us >= end.final_from_us
    due = RowWritten.FINAL if is_final else RowWritten.FIRST
    return due if due > unit.row else None


def failed(before: UnitState, end: SessionEnd | None, now_us: int, give_up_us: float, *, is_refused: bool) -> UnitState:
    """The state after a failure; ``is_refused`` says that AWS itself refuses the unit for good."""
    failing_since_us = now_us if before.failing_since_us is None else before.failing_since_us
    unit = msgspec.structs.replace(before, failing_since_us=failing_since_us)
    if not is_refused or end is None or now_us < end.ended_us:
        return unit
    since_us = before.refused_since_us
    if since_us is None or not end.ended_us <= since_us <= now_us:
        since_us = now_us
    is_another_day = now_us // DAY_US > since_us // DAY_US
    is_abandoned = is_another_day and now_us - since_us >= give_up_us
    return msgspec.structs.replace(unit, refused_since_us=since_us, is_abandoned=is_abandoned)
