"""The commit log that a long, even life leaves, without the runs: every night the same, through the real journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.commits import FileChanges, LogEntries, RunEnd
from exporter.commit_log.journal import Journal
from exporter.commit_log.records import SessionEntry, UnitState
from exporter.commit_log.state import ScopeState
from exporter.lake.data_files import DataFile, file_name
from exporter.timestamps import text_of
from tests.support.service import DAY_US, HOUR_US, SCOPE

if TYPE_CHECKING:
    from exporter.lake.store import Records

CHECKPOINTS = 8
#: With the one that begins a night and the one that closes it.
COMMITS_A_NIGHT = CHECKPOINTS + 2
_SESSIONS_A_CHECKPOINT = 25
_PARTICIPANTS = 5
#: So many nights is a sealed session still listed.
_LISTED_NIGHTS = 7
_STAGES = [f"arn:aws:ivs:{SCOPE.region}:{SCOPE.account_id}:stage/stage{number:04d}" for number in range(10)]
_Name = tuple[str, str]


@dataclass(slots=True)
class Past:
    """A scope's nights so far. In each, 200 sessions are sealed, of which 8 were open before, and 8 are left open."""

    records: Records
    nights: int = 0
    state: ScopeState = field(default_factory=ScopeState)
    _listed: list[list[_Name]] = field(default_factory=list)
    _open: list[SessionEntry] = field(default_factory=list)

    @property
    def commits(self) -> int:
        """How many records the log has."""
        return self.state.number

    async def add_night(self) -> None:
        """One more run, whole."""
        self.nights += 1
        now_us = DAY_US + self.nights * 24 * HOUR_US
        journal = Journal(self.records, SCOPE, f"run-{self.nights:06d}", self.state)
        await journal.begin(text_of(now_us))
        await journal.snapshot()
        sealed: list[_Name] = []
        still_open, self._open = self._open, []
        for number in range(1, CHECKPOINTS + 1):
            lines = [_sealed(line) for line in still_open[number - 1 : number]]
            lines += [
                _sealed(self._session(number, place, now_us)) for place in range(len(lines), _SESSIONS_A_CHECKPOINT)
            ]
            sealed += [(line.stage_arn, line.session_id) for line in lines]
            self._open.append(self._session(number, _SESSIONS_A_CHECKPOINT, now_us))
            result = await journal.commit(
                text_of(now_us),
                changes=FileChanges(added=[_file(journal, text_of(now_us)[:10], number)]),
                entries=LogEntries(sessions=[*lines, self._open[-1]]),
                latest_us=now_us,
            )
            result.check()
        self._listed.append(sealed)
        unlisted = self._listed.pop(0) if len(self._listed) > _LISTED_NIGHTS else []
        result = await journal.commit(
            text_of(now_us),
            entries=LogEntries(unlisted=unlisted),
            latest_us=now_us,
            end=RunEnd({}, now_us - HOUR_US),
        )
        result.check()

    def _session(self, checkpoint: int, place: int, now_us: int) -> SessionEntry:
        """An open session, of which all units are known."""
        units = {f"participant{number}": UnitState(now_us, 10) for number in range(_PARTICIPANTS)}
        session_id = f"st-{self.nights:07d}{checkpoint:02d}{place:04d}"
        stage_arn = _STAGES[place % len(_STAGES)]
        times = (now_us - 2 * HOUR_US, now_us - HOUR_US)
        return SessionEntry(stage_arn, session_id, "open", *times, units=units, files=(0,))


def _sealed(line: SessionEntry) -> SessionEntry:
    return SessionEntry(line.stage_arn, line.session_id, "sealed", line.started_us, line.ended_us, files=(0,))


def _file(journal: Journal, date: str, number: int) -> DataFile:
    key = f"events/event_date={date}/{file_name(str(journal.scope), journal.epoch, journal.run_id, number)}.parquet"
    return DataFile("events", key, date, 1_250, 40_000, "0" * 64, (f"{key}.0123456789abcdef.part",))
