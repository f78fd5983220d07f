"""The units of a session at work: what is committed of them, and what the next commit has to say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log import unit_states
from exporter.commit_log.records import LISTING, RowWritten, UnitState, shared
from exporter.commit_log.unit_states import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.state import SessionState
    from exporter.commit_log.unit_states import SessionEnd

_NO_NAMES: AbstractSet[str] = frozenset()
_LACKING = UnitState(lacks_details=True)


@dataclass(frozen=True, slots=True)
class NamedUnits:
    """The units that the log names of a session that stays sealed.

    ``lacking_details`` are those of them whose details were denied or failed, and ``are_asked_again`` says that this
    run asks for these details once more. ``with_final_row`` are those that have their row where others have none.
    """

    names: AbstractSet[str] = _NO_NAMES
    lacking_details: AbstractSet[str] = _NO_NAMES
    with_final_row: AbstractSet[str] = _NO_NAMES
    are_asked_again: bool = False


NO_NAMED_UNITS = NamedUnits()


class SessionUnits:
    """The units of one session, whose state in the log is ``known``.

    ``named`` are the units that the log names of it where it stays sealed.

    The mutable state, in four parts: ``_missing`` are committed, neither final nor abandoned, and not found yet;
    ``_unfinished`` were found and are not final; ``_changed`` have another state than ``known`` says, and
    ``_committing`` had it when the record that is being written was made. Thousands of sessions wait at once, so a part
    that is empty is None.
    """

    __slots__ = ("_changed", "_committing", "_missing", "_unfinished", "known", "named")

    def __init__(self, known: SessionState, end: SessionEnd | None, named: NamedUnits = NO_NAMED_UNITS) -> None:
        self.known = known
        self.named = named
        committed = known.units.items()
        missing = {name for name, unit in committed if name != LISTING and not unit_states.is_over(unit, end)}
        self._missing: set[str] | None = missing or None
        self._unfinished: set[str] | None = None
        self._changed: dict[str, UnitState] | None = None
        self._committing: dict[str, UnitState] | None = None

    def __repr__(self) -> str:
        """Say how many are where, for a debugger."""
        counts = (("missing", self._missing), ("unfinished", self._unfinished), ("changed", self._changed))
        return ", ".join(f"{len(names)} {what}" for what, names in counts if names)

    @property
    def missing(self) -> AbstractSet[str]:
        """The units that are committed, neither final nor abandoned, and that nothing has found yet."""
        return self._missing or _NO_NAMES

    @property
    def are_done(self) -> bool:
        """Whether all of them were found, and are final or abandoned."""
        return not (self._unfinished or self._missing)

    @property
    def are_fetched(self) -> bool:
        """Whether all that were found are fetched, or abandoned; of a session that stays sealed, a named one was."""
        return all(name in self.named.names for name in self._unfinished or ())

    @property
    def are_recovered(self) -> bool:
        """Whether the next commit takes back that one of them is abandoned."""
        known = self.known.units
        return any(known.get(name, UNKNOWN).is_abandoned > unit.is_abandoned for name, unit in self.changed.items())

    @property
    def changed(self) -> dict[str, UnitState]:
        """The units that have another state than ``known`` says."""
        return self._changed or {}

    def __getitem__(self, name: str) -> UnitState:
        for states in (self._changed, self._committing, self.known.units):
            if states and name in states:
                return states[name]
        return _LACKING if name in self.named.lacking_details else UNKNOWN

    def all(self) -> dict[str, UnitState]:
        """All units that are committed, or will be with a commit that seals the session; without the list of them.

        What was found and is not fetched is not among them: it keeps a session open, and of one that stays sealed no
        record names it yet.
        """
        units = dict.fromkeys(self.named.names, UNKNOWN) | self.known.units | self.changed
        units.pop(LISTING, None)
        return units

    def has_row(self, name: str, *, are_all_written: bool) -> bool:
        """Whether a unit of a session that stays sealed has a row that nothing is to replace.

        ``are_all_written`` says that those that the log names have theirs.
        """
        written = self.named.names if are_all_written else self.named.with_final_row
        return name in written and not (self.named.are_asked_again and name in self.named.lacking_details)

    def lack_details(self, committed: dict[str, UnitState]) -> bool:
        """Whether any of them lacks details once these states are ``committed``."""
        units = self.known.units | committed
        return bool(self.named.lacking_details - units.keys()) or any(unit.lacks_details for unit in units.values())

    def expect(self, names: Iterable[str], end: SessionEnd | None) -> None:
        """Note that the lake holds events of these units, which the log no longer names: each has to be found, too."""
        known = self.known.units
        expected = {name for name in names if not unit_states.is_over(known.get(name, UNKNOWN), end)}
        self._missing = (expected | self.missing) or None

    def find(self, name: str) -> None:
        """Note that a unit was found."""
        if self._missing:
            self._missing.discard(name)

    def begin(self, name: str) -> None:
        """Note that a unit is to be fetched."""
        if self._unfinished is None:
            self._unfinished = set()
        self._unfinished.add(name)

    def change(self, name: str, unit: UnitState, *, is_over: bool) -> None:
        """Note another state of a unit. The same state again is no news: each night's would fill the log."""
        if name not in self.known.units or unit != self[name]:
            if self._changed is None:
                self._changed = {}
            self._changed[name] = shared(unit)
        if is_over and self._unfinished:
            self._unfinished.discard(name)

    def found(self) -> dict[str, UnitState]:
        """The units that were found and that no record names: the next list may lack them."""
        if not self._unfinished:
            return {}
        named = self.known.units.keys() | self.changed.keys() | (self._committing or {}).keys()
        return dict.fromkeys(sorted(self._unfinished - named), UNKNOWN)

    def void(self) -> None:
        """Let no fetch of this run count as final: rows of them may be gone."""
        voided = {name: msgspec.structs.replace(unit, began_us=None) for name, unit in self.changed.items()}
        self._changed = voided or None

    def void_final_rows(self) -> None:
        """Let no committed row count as final: the session has ended later than those rows knew."""
        for name, unit in self.known.units.items():
            if unit.row is RowWritten.FINAL:
                self.change(name, msgspec.structs.replace(unit, row=RowWritten.FIRST), is_over=False)

    def committing(self) -> None:
        """Note that what has changed is in the record that is being written."""
        self._changed, self._committing = None, self._changed

    def committed(self, units: dict[str, UnitState]) -> None:
        """Note that the record is written, and says this of units."""
        self.known.units.update(units)
        self._committing = None
