"""A log that is ahead of the clock: an answer once had a time far from now, and the log has stood there since.

Whatever rests on such times is taken back in one record: fetches count as not made, nothing counts as complete, and
sessions that were sealed by them are opened again. Their rows stay, and are known by their ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.archive import SessionsInLog
from exporter.commit_log.reader import records_after
from exporter.commit_log.records import UnitState
from exporter.commit_log.state import voided
from exporter.telemetry.logger import Logger
from exporter.timestamps import MINUTE_US, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.records import Record, SessionEntry
    from exporter.commit_log.state import ScopeState
    from exporter.lake.store import Records
    from exporter.model import Scope, SessionKey

#: AWS refuses signatures that are minutes off, so the local clock of a run whose calls are accepted is right to this.
AHEAD_US_MAX = 15 * MINUTE_US
_log = Logger(__name__)


async def to_open_again(records: Records, scope: Scope, state: ScopeState, now_us: int) -> list[SessionEntry] | None:
    """The sessions to open where the log is ahead of ``now_us``, the local time; None where it is not.

    The log is named in a warning then, and read as a whole.
    """
    if state.furthest_us <= now_us + AHEAD_US_MAX:
        return None
    far = _Far(now_us)
    async for record in records_after(records, scope):
        far.add(record)
    entries = far.to_open_again(await far.log.units(records, scope, far.sealed_too_early))
    _log.warning(
        "log_ahead",
        scope=str(scope),
        log=text_of(state.furthest_us),
        now=text_of(now_us),
        sessions_opened=len(entries),
        reason=(
            "the log has times after this machine's clock: a clock was once wrong. What rests on them is fetched again,"
            " and sessions that were sealed by them are open again; if the clock is wrong now, set it"
        ),
    )
    return entries


@dataclass(slots=True)
class _Far:
    """What the records say of runs that met times after ``now_us``.

    ``epochs`` are those of these runs. ``sealed_in`` says in which epoch a session was sealed that is sealed now, and
    ``abandoned`` which units are, with their epoch. ``log`` is what the records say of sessions.
    """

    now_us: int
    epochs: set[int] = field(init=False, default_factory=set)
    sealed_in: dict[SessionKey, int] = field(init=False, default_factory=dict)
    abandoned: dict[SessionKey, dict[str, tuple[int, UnitState]]] = field(init=False, default_factory=dict)
    log: SessionsInLog = field(init=False, default_factory=SessionsInLog)

    def add(self, record: Record) -> None:
        """Add the next record."""
        self.log.add(record)
        times_us = [record.latest_us, record.complete_until_us or 0]
        for entry in record.sessions:
            session = entry.key
            if entry.status == "sealed":
                self.sealed_in.setdefault(session, record.epoch)
            elif entry.status == "open":
                self.sealed_in.pop(session, None)
            for participant_id, unit in entry.units.items():
                times_us.append(unit.began_us or 0)
                if unit.is_abandoned:
                    self.abandoned.setdefault(session, {}).setdefault(participant_id, (record.epoch, unit))
                elif session in self.abandoned:
                    self.abandoned[session].pop(participant_id, None)
        if record.void_after_us is not None:
            self.epochs.discard(record.epoch)  # the times were in the log before it, and it voids them
        elif max(times_us) > self.now_us:
            self.epochs.add(record.epoch)

    @property
    def sealed_too_early(self) -> set[SessionKey]:
        """The sessions that one of these runs sealed."""
        return {session for session, epoch in self.sealed_in.items() if epoch in self.epochs}

    def to_open_again(self, named: Mapping[SessionKey, AbstractSet[str]]) -> list[SessionEntry]:
        """What the healing record says of sessions: those that were sealed, or whose units were abandoned, too early.

        ``named`` are all units of those that are sealed.
        """
        sealed = self.sealed_too_early
        abandoned = {
            session: {
                participant_id: msgspec.structs.replace(voided(unit, self.now_us), is_abandoned=False)
                for participant_id, (epoch, unit) in units.items()
                if epoch in self.epochs
            }
            for session, units in self.abandoned.items()
        }
        units = {
            session: dict.fromkeys(sorted(named.get(session, ())), UnitState()) | abandoned.get(session, {})
            for session in self.log.entries.keys() & (sealed | abandoned.keys())
        }
        return [
            msgspec.structs.replace(entry, status="open", units=units[session], is_unsure=session in sealed)
            for session, entry in self.log.entries.items()
            if session in sealed or (abandoned.get(session) and entry.status == "open")
        ]
