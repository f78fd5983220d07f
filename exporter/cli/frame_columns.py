"""The columns of a frame: which there are, how wide, and which of them a terminal has room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.cli.frame_text import Piece, TextRole, amount, duration
from exporter.cli.run_sample import ScopePhase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.cli.run_sample import ScopeSample

PERCENT_WIDTH = len("100%")
_NAME_WIDTH_MAX = len("123456789012-ap-northeast-1")
_NAME_WIDTH_MIN = 8
#: A terminal as wide as this has room for wide gaps, and one with that much left for a bar has room for more columns.
_WIDE, _BAR_WIDTH_WIDE = 100, 24
_BAR_WIDTH = 10
_BAR_WIDTH_MIN = 4
_WORDS = {
    ScopePhase.STARTING: "starting",
    ScopePhase.FINDING: "finding",
    ScopePhase.COMMITTING: "committing",
    ScopePhase.STOPPED: "stopped",
    ScopePhase.DONE: "done",
    ScopePhase.EMPTY: "no stage",
    ScopePhase.HELD: "held",
    ScopePhase.LOST: "failed",
}


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """One column: its head, its width, what stands in it, and how wide the bar must stay beside it."""

    head: str
    width: int
    cell: Callable[[ScopeSample], Piece]
    bar_width: int = _BAR_WIDTH_WIDE


@dataclass(frozen=True, slots=True)
class Layout:
    """How wide everything in a row is; ``bar`` is 0 where there is no room for one."""

    name: int
    bar: int
    gap: int
    columns: tuple[FrameColumn, ...]


def layout_of(names: Sequence[str], width: int) -> Layout:
    """The columns that fit beside the names, the most important first; what is left is the bar's."""
    gap = 2 if width >= _WIDE else 1
    longest = min(max(map(len, names), default=0), _NAME_WIDTH_MAX)
    name = max(min(longest, width - PERCENT_WIDTH - 1), _NAME_WIDTH_MIN)
    left = width - name - PERCENT_WIDTH - 1
    taken: list[FrameColumn] = []
    for column in _BY_IMPORTANCE:
        needed = gap + column.width
        if left - needed < (column.bar_width + 1 if column.bar_width else 0):
            break
        taken.append(column)
        left -= needed
    columns = tuple(column for column in _IN_ORDER if column in taken)
    if _FAILED not in taken:
        columns = tuple(_LEFT_OR_FAILED if column is _LEFT else column for column in columns)
    return Layout(name, left - 1 if left > _BAR_WIDTH_MIN else 0, gap, columns)


def phase_text(scope: ScopeSample) -> str:
    """How far a scope is: the time that is left, or a word."""
    if scope.phase is ScopePhase.FETCHING:
        return "" if scope.left_s is None else duration(scope.left_s)
    return _WORDS[scope.phase]


def _left(scope: ScopeSample) -> Piece:
    return Piece(phase_text(scope), TextRole.FAILURE if scope.phase.is_failure else TextRole.PLAIN)


def _left_or_failed(scope: ScopeSample) -> Piece:
    """How far it is; where something failed, that is said instead."""
    if scope.counts.failed and not scope.phase.is_failure:
        return Piece(f"{amount(scope.counts.failed, 4)} failed", TextRole.FAILURE)
    return _left(scope)


def _failed(scope: ScopeSample) -> Piece:
    return Piece(amount(scope.counts.failed, 6), TextRole.FAILURE if scope.counts.failed else TextRole.PLAIN)


def _sessions(scope: ScopeSample) -> Piece:
    return Piece(f"{amount(scope.counts.sessions_sealed, 6)}/{amount(scope.counts.sessions_found, 6)}")


_DONE = FrameColumn("done", 6, lambda scope: Piece(amount(scope.units.done, 6)), 0)
_TO_COMMIT = FrameColumn("to commit", 9, lambda scope: Piece(amount(scope.units.uncommitted, 9)), _BAR_WIDTH)
_FOUND = FrameColumn("found", 6, lambda scope: Piece(amount(scope.units.found, 6)), _BAR_WIDTH)
_CALLS = FrameColumn("calls/s", 7, lambda scope: Piece(f"{scope.calls_s:,.1f}"))
_EVENTS = FrameColumn("events", 9, lambda scope: Piece(amount(scope.counts.events_written, 9)))
_SESSIONS = FrameColumn("sessions", 13, _sessions)
_THROTTLED = FrameColumn("throttled", 9, lambda scope: Piece(amount(scope.counts.throttled, 9)))
_FAILED = FrameColumn("failed", 6, _failed)
_LEFT = FrameColumn("left", 11, _left, 0)
_LEFT_OR_FAILED = FrameColumn("left", 11, _left_or_failed, 0)
_IN_ORDER = (_DONE, _TO_COMMIT, _FOUND, _SESSIONS, _EVENTS, _CALLS, _THROTTLED, _FAILED, _LEFT)
_BY_IMPORTANCE = (_LEFT, _DONE, _TO_COMMIT, _FOUND, _CALLS, _EVENTS, _FAILED, _SESSIONS, _THROTTLED)
