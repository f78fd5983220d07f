"""The archive of a scope: what the log says of sessions that the live state no longer names. It is the old records.

It is read only on demand: for a refetch of what is sealed, for a session that was gone from its listing and is listed
again, and where files are lost.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.once import Once
from exporter.commit_log.reader import read_records, records_after
from exporter.commit_log.records import LISTING, RowWritten
from exporter.commit_log.session_units import NamedUnits
from exporter.commit_log.state import SessionState, retired_by, voided

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.records import Record, SessionEntry, UnitState
    from exporter.lake.store import Records
    from exporter.model import Scope, SessionKey


@dataclass(frozen=True, slots=True)
class Archived:
    """The last entry of a session, with the keys of all files that hold rows of it."""

    entry: SessionEntry

    @property
    def is_sealed(self) -> bool:
        """Whether the session was sealed when the state let go of it."""
        return self.entry.status == "sealed"

    @property
    def state(self) -> SessionState:
        """The session as the live state would have it, unsure of its units."""
        entry = self.entry
        return SessionState(
            entry.started_us,
            entry.ended_us,
            entry.latest_end_us,
            units=dict(entry.units),
            files=list(entry.earlier_files),
            is_unsure=True,
            has_rejects=entry.has_rejects,
            retired=list(entry.retired),
            tables=list(entry.tables),
            lacks_details=entry.lacks_details,
        )


@dataclass(slots=True)
class SessionsInLog:
    """What all records together say of sessions: the last entry of each, with all its files.

    The names of units are not kept, but the numbers of the records that name some.
    """

    entries: dict[SessionKey, SessionEntry] = field(init=False, default_factory=dict)
    _naming: dict[SessionKey, array[int]] = field(init=False, default_factory=dict)

    def add(self, record: Record) -> None:
        """Add the next record."""
        fold_entries(self.entries, record)
        for entry in record.sessions:
            if entry.units:
                self._naming.setdefault(entry.key, array("Q")).append(record.number)

    async def units(
        self, records: Records, scope: Scope, sessions: Iterable[SessionKey]
    ) -> dict[SessionKey, AbstractSet[str]]:
        """The units that the log has ever named of some sessions, final or not.

        The records that name some are read again.
        """
        named = await self.unit_states(records, scope, sessions)
        return {session: units.keys() for session, units in named.items()}

    async def unit_states(
        self, records: Records, scope: Scope, sessions: Iterable[SessionKey]
    ) -> dict[SessionKey, dict[str, UnitState]]:
        """The units as `units` finds them, each with the last state that the log names."""
        named: dict[SessionKey, dict[str, UnitState]] = {session: {} for session in sessions}
        numbers = sorted({number for session in named for number in self._naming.get(session, ())})
        async for record in read_records(records, scope, numbers):
            for entry in record.sessions:
                session = entry.key
                if session in named:
                    named[session].update(entry.units)
        for units in named.values():
            units.pop(LISTING, None)
        return named


class Archive:
    """Answers for the sessions of one scope, however many ask at once, after one reading of its records."""

    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope
        self._log = Once(self._read)

    async def session(self, stage_arn: str, session_id: str) -> Archived | None:
        """The last entry of the session; None where no record has one."""
        entry = (await self._log.get()).entries.get((stage_arn, session_id))
        return None if entry is None else Archived(entry)

    async def units(self, stage_arn: str, session_id: str) -> AbstractSet[str]:
        """The units that the log has ever named of the session, final or not."""
        session = (stage_arn, session_id)
        return (await (await self._log.get()).units(self._records, self._scope, [session]))[session]

    async def named_units(self, stage_arn: str, session_id: str, *, are_asked_again: bool) -> NamedUnits:
        """The units that the log names of a sealed session: which lack details, and which have their final row.

        ``are_asked_again`` says that details which they lack are asked for once more.
        """
        session = (stage_arn, session_id)
        units = (await (await self._log.get()).unit_states(self._records, self._scope, [session]))[session]
        return NamedUnits(
            frozenset(units),
            frozenset(name for name, unit in units.items() if unit.lacks_details),
            frozenset(name for name, unit in units.items() if unit.row is RowWritten.FINAL),
            are_asked_again,
        )

    async def sealed_sessions(self) -> dict[SessionKey, SessionEntry]:
        """The last entries of all sessions that are sealed."""
        return {
            session: entry for session, entry in (await self._log.get()).entries.items() if entry.status == "sealed"
        }

    async def _read(self) -> SessionsInLog:
        log = SessionsInLog()
        async for record in records_after(self._records, self._scope):
            log.add(record)
        return log


def fold_entries(entries: dict[SessionKey, SessionEntry], record: Record) -> None:
    """Add the next record: each entry names all files of its session, and its units where it is not sealed."""
    if record.void_after_us is not None:
        for session, entry in entries.items():
            if entry.units:
                units = {name: voided(unit, record.void_after_us) for name, unit in entry.units.items()}
                entries[session] = msgspec.structs.replace(entry, units=units)
    for entry in record.sessions:
        session = entry.key
        files = [*entry.earlier_files, *(record.files[index].key for index in entry.files)]
        has_rejects, retired, units = entry.has_rejects, entry.retired, entry.units
        if session in entries:
            files = [*entries[session].earlier_files, *files]
            has_rejects |= entries[session].has_rejects
            retired = tuple(dict.fromkeys((*entries[session].retired, *retired)))
            units = entries[session].units | units
        entries[session] = msgspec.structs.replace(
            entry,
            earlier_files=tuple(dict.fromkeys(files)),
            files=(),
            units={} if entry.status == "sealed" else units,
            has_rejects=has_rejects,
            retired=retired,
        )
    if removed := record.removed:
        for session, entry in entries.items():
            if not removed.isdisjoint(entry.earlier_files):
                kept = tuple(key for key in entry.earlier_files if key not in removed)
                retired = tuple(retired_by(record, entry.earlier_files, entry.retired))
                entries[session] = msgspec.structs.replace(entry, earlier_files=kept, retired=retired)
