"""Commit: one record names the staged files and the new state of their units. That record is the commit.

The log of a scope is read once, at the start; from then on this run's own records are all that is added to it, for a
record of anybody else's takes the number that this run would need, and ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.commits import NO_CHANGES, NO_ENTRIES, CommitOutcome, CommitResult
from exporter.commit_log.layout import number_of, numbered, record_key, records_prefix, snapshots_prefix
from exporter.commit_log.reader import read_on
from exporter.commit_log.records import Record, encode_record, link_of
from exporter.commit_log.snapshots import encode_state
from exporter.errors import LakeError, Overtaken
from exporter.lake.tables import schema_versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from exporter.commit_log.commits import FileChanges, LogEntries, RunEnd
    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.state import ScopeState
    from exporter.lake.store import Records
    from exporter.model import Scope

#: Records between two snapshots: what a start has to read, at most, beside a snapshot.
SNAPSHOT_RECORDS = 64
_BEGIN_TRIES_MAX = 5


@dataclass(slots=True)
class Journal:
    """One run's access to one scope's commit log: its epoch, and the state that the log adds up to.

    ``tag`` is the name that its first and its last record carry.
    """

    records: Records
    scope: Scope
    run_id: str
    state: ScopeState
    tag: str | None = None
    _epoch: int | None = field(init=False, default=None)

    @property
    def epoch(self) -> int:
        """The number of the run's begin record. Raises :class:`AssertionError` before `begin`."""
        if self._epoch is None:
            raise AssertionError(f"{self.run_id} has not begun in {self.scope}")
        return self._epoch

    async def begin(self, at: str) -> None:
        """Open an epoch with a begin record: from here on no writer that began earlier can commit.

        Raises :class:`Overtaken` where others begin and commit all the time, and any other :class:`LakeError`.
        """
        for _ in range(_BEGIN_TRIES_MAX):
            self._epoch = self.state.number + 1
            if await self._append(self._record("begin", at, tag=self.tag)):
                return
            await read_on(self.records, self.scope, self.state)
        raise Overtaken(f"others write to {self.scope} all the time")

    async def commit(
        self,
        at: str,
        *,
        changes: FileChanges = NO_CHANGES,
        entries: LogEntries = NO_ENTRIES,
        latest_us: int | None = None,
        end: RunEnd | None = None,
    ) -> CommitResult:
        """Write the next record, and return what became of it: nothing is committed for sure before that is looked at.

        ``latest_us`` is the service's time, None where nobody has asked it. ``end`` is of the run's last record alone.
        """
        return await self._commit(
            self._record(
                "commit",
                at,
                files=tuple(changes.added),
                sessions=tuple(entries.sessions),
                stages=tuple(entries.stages),
                schema_versions=schema_versions(changes.added),
                latest_us=self.state.latest_us if latest_us is None else max(latest_us, self.state.latest_us),
                lost=tuple(file.key for file in changes.lost),
                replaced=tuple(file.key for file in changes.replaced),
                retired=tuple(file.key for file in changes.retired),
                rows_removed=changes.rows_removed,
                unlisted=tuple(entries.unlisted),
                **({} if end is None else self._of_end(end)),
            )
        )

    async def take_back(self, at: str, moment_us: int, sessions: Sequence[SessionEntry]) -> CommitResult:
        """Write a record that voids every time in the log after ``moment_us``, and opens ``sessions`` for that."""
        fields = {"sessions": tuple(sessions), "latest_us": moment_us, "void_after_us": moment_us}
        return await self._commit(self._record("commit", at, **fields))

    async def is_newest(self) -> bool:
        """Whether the log has no record that this run does not know, of a newer run."""
        scope = str(self.scope)
        return not await self.records.keys(records_prefix(scope), record_key(scope, self.state.number))

    async def check_is_newest(self) -> None:
        """Raise :class:`Overtaken` where a newer run writes to the log."""
        if not await self.is_newest():
            raise _overtaken(self.scope)

    async def snapshot(self) -> None:
        """Write the state down where many records have come since that was last done, so that a start stays short.

        The last two snapshots are kept.
        """
        last = self.state.snapshot_number
        if self.state.number - last < SNAPSHOT_RECORDS:
            return
        self.state.snapshot_number = self.state.number
        prefix = snapshots_prefix(str(self.scope))
        await self.records.create(f"{prefix}{self.state.number:012d}.json", encode_state(self.state))
        # The last one is kept: a run that has listed it may be about to read it.
        for key in numbered(prefix, await self.records.keys(prefix))[0]:
            if number_of(key) < self.state.number and number_of(key) != last:
                await self.records.delete(key)

    def _record(self, kind: Literal["begin", "commit"], at: str, **fields: Any) -> Record:  # noqa: ANN401 - a record's own
        return Record(
            kind=kind,
            scope=str(self.scope),
            number=self.state.number + 1,
            epoch=self.epoch,
            run_id=self.run_id,
            at=at,
            previous=self.state.link.checksum,
            **{"latest_us": self.state.latest_us, **fields},
        )

    def _of_end(self, end: RunEnd) -> dict[str, Any]:
        return {
            "summary": end.summary,
            "complete_until_us": end.complete_until_us,
            "tag": self.tag,
        }

    async def _commit(self, record: Record) -> CommitResult:
        try:
            is_made = await self._append(record)
        except LakeError as error:
            return CommitResult(CommitOutcome.UNKNOWN, error)
        if is_made:
            return CommitResult(CommitOutcome.COMMITTED)
        return CommitResult(CommitOutcome.OVERTAKEN, _overtaken(self.scope))

    async def _append(self, record: Record) -> bool:
        """Make the next record; False where its number is taken. Raises :class:`LakeError` where that is not known."""
        key, body = record_key(str(self.scope), record.number), encode_record(record)
        if not await self.records.create(key, body):
            return False
        self.state.fold(record, link_of(record, body))
        return True


def _overtaken(scope: Scope) -> Overtaken:
    return Overtaken(f"another run has committed to {scope} in the meantime")
