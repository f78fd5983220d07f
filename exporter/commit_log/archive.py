"""The archive of a scope: what was known of sessions that the live state no longer names. It is the log's old records.

It is read only when somebody asks: for a refetch of what is sealed, or for a session that was gone from its listing and
has come back.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from exporter.commit_log.once import Once
from exporter.commit_log.reader import read_record, records_after
from exporter.commit_log.records import LISTING
from exporter.commit_log.state import SessionState, retired_by, voided

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.records import Record, SessionEntry
    from exporter.lake.store import Records
    from exporter.model import Scope, SessionKey


@dataclass(frozen=True, slots=True)
class Archived:
    """The last that was said of a session, with the keys of all files that hold rows of it."""

    line: SessionEntry

    @property
    def is_sealed(self) -> bool:
        """Whether the session was sealed when it was let go of."""
        return self.line.status == "sealed"

    @property
    def state(self) -> SessionState:
        """The session as the live state would have it, unsure of its units."""
        line = self.line
        return SessionState(
            line.started_us,
            line.ended_us,
            line.latest_end_us,
            units=dict(line.units),
            files=list(line.earlier_files),
            is_unsure=True,
            has_rejects=line.has_rejects,
            retired=list(line.retired),
        )


class _Told(NamedTuple):
    """The last that was said of each session, and the numbers of the records that name units of it."""

    lines: dict[SessionKey, SessionEntry]
    naming: dict[SessionKey, array[int]]


class Archive:
    """Answers for the sessions of one scope, for all who ask at once, after one reading of its records.

    The names of units are not kept: of a session that is asked for, the few records that name some are read again.
    """

    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope
        self._told = Once(self._read)

    async def session(self, stage_arn: str, session_id: str) -> Archived | None:
        """The last that was said of the session; None where no record tells of it."""
        line = (await self._told.get()).lines.get((stage_arn, session_id))
        return None if line is None else Archived(line)

    async def units(self, stage_arn: str, session_id: str) -> set[str]:
        """The units that the log has ever named of the session, final or not."""
        named: dict[SessionKey, set[str]] = {(stage_arn, session_id): set()}
        for number in (await self._told.get()).naming.get((stage_arn, session_id), ()):
            _add_units(named, await read_record(self._records, self._scope, number))
        return named[stage_arn, session_id]

    async def _read(self) -> _Told:
        told = _Told({}, {})
        async for record in records_after(self._records, self._scope):
            fold_lines(told.lines, record)
            for line in record.sessions:
                if line.units:
                    told.naming.setdefault((line.stage_arn, line.session_id), array("Q")).append(record.number)
        return told


async def units_of(
    records: Records, scope: Scope, sessions: AbstractSet[SessionKey]
) -> Mapping[SessionKey, AbstractSet[str]]:
    """The units that the log has ever named of some sessions, after one reading of all of it, where there are any."""
    named: dict[SessionKey, set[str]] = {session: set() for session in sessions}
    if named:
        async for record in records_after(records, scope):
            _add_units(named, record)
    return named


def _add_units(named: Mapping[SessionKey, set[str]], record: Record) -> None:
    for line in record.sessions:
        session = (line.stage_arn, line.session_id)
        if session in named:
            named[session].update(line.units.keys() - {LISTING})


def fold_lines(lines: dict[SessionKey, SessionEntry], record: Record) -> None:
    """Add what the next record says: each line names all files of its session, and tells of its units if not sealed."""
    if record.void_after_us is not None:
        for session, line in lines.items():
            if line.units:
                units = {name: voided(unit, record.void_after_us) for name, unit in line.units.items()}
                lines[session] = msgspec.structs.replace(line, units=units)
    for line in record.sessions:
        session = (line.stage_arn, line.session_id)
        files = [*line.earlier_files, *(record.files[place].key for place in line.files)]
        has_rejects, retired, units = line.has_rejects, line.retired, line.units
        if session in lines:
            files = [*lines[session].earlier_files, *files]
            has_rejects |= lines[session].has_rejects
            retired = tuple(dict.fromkeys((*lines[session].retired, *retired)))
            units = lines[session].units | units
        lines[session] = msgspec.structs.replace(
            line,
            earlier_files=tuple(dict.fromkeys(files)),
            files=(),
            units={} if line.status == "sealed" else units,
            has_rejects=has_rejects,
            retired=retired,
        )
    if removed := record.removed:
        for session, line in lines.items():
            if not removed.isdisjoint(line.earlier_files):
                kept = tuple(key for key in line.earlier_files if key not in removed)
                retired = tuple(retired_by(record, line.earlier_files, line.retired))
                lines[session] = msgspec.structs.replace(line, earlier_files=kept, retired=retired)
