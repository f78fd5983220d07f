"""Commit: one record names the staged files and the new state of their units. That record is the commit.

The log of a scope is read once, at the start; from then on this run's own records are all that is added to it, for a
record of anybody else's takes the number that this run would need, and ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.reader import read_on
from exporter.commit_log.records import (
    Record,
    encode_record,
    link_of,
    number_of,
    numbered,
    record_key,
    snapshots_prefix,
)
from exporter.commit_log.state import encode_state
from exporter.errors import Overtaken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.state import ScopeState
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Records
    from exporter.model import Scope

#: Records between two snapshots: what a start has to read, at most, beside a snapshot.
SNAPSHOT_RECORDS = 64
_BEGIN_TRIES_MAX = 5


@dataclass(slots=True)
class Journal:
    """One run's place in one scope's commit log: its epoch, and the state that the log adds up to.

    ``tag`` is the name that its first and its last record carry.
    """

    records: Records
    scope: Scope
    run_id: str
    state: ScopeState
    epoch: int = 0
    tag: str | None = None

    async def begin(self, at: str) -> None:
        """Open an epoch with a begin record: from here on no writer that began earlier can commit.

        Raises :class:`Overtaken` where others begin and commit all the time.
        """
        for _ in range(_BEGIN_TRIES_MAX):
            self.epoch = self.state.number + 1
            try:
                await self._append(self._record("begin", at))
            except Overtaken:
                await read_on(self.records, self.scope, self.state)
            else:
                return
        raise Overtaken(f"others write to {self.scope} all the time")

    async def commit(
        self,
        at: str,
        *,
        files: Sequence[DataFile] = (),
        sessions: Sequence[SessionEntry] = (),
        schema_versions: dict[str, int] | None = None,
        latest_us: int = 0,
        void_after_us: int | None = None,
        lost: Sequence[DataFile] = (),
        replaced: Sequence[DataFile] = (),
        retired: Sequence[DataFile] = (),
        unlisted: Sequence[tuple[str, str]] = (),
        complete_until_us: int | None = None,
        summary: dict[str, Any] | None = None,
    ) -> None:
        """Write the next record. ``void_after_us`` takes back every time in the log that lies after it.

        Raises :class:`Overtaken` where another run has taken its number: nothing is committed then, nor will be. Any
        other :class:`LakeError` leaves open whether it was committed.
        """
        record = self._record(
            "commit",
            at,
            files=tuple(files),
            sessions=tuple(sessions),
            schema_versions=schema_versions or {},
            latest_us=max(latest_us, self.state.latest_us) if void_after_us is None else void_after_us,
            void_after_us=void_after_us,
            lost=tuple(line.key for line in lost),
            replaced=tuple(line.key for line in replaced),
            retired=tuple(line.key for line in retired),
            rows_removed=sum(line.rows for line in (*lost, *replaced, *retired)),
            unlisted=tuple(unlisted),
            complete_until_us=complete_until_us,
            summary=summary,
        )
        await self._append(record)

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

    def _record(self, kind: str, at: str, **fields: Any) -> Record:  # noqa: ANN401 - a record's own fields
        fields.setdefault("latest_us", self.state.latest_us)
        if kind == "begin" or fields.get("summary") is not None:
            fields["tag"] = self.tag
        return Record(
            kind=kind,  # type: ignore[arg-type] # one of the two literals, by the callers above
            scope=str(self.scope),
            number=self.state.number + 1,
            epoch=self.epoch,
            run_id=self.run_id,
            at=at,
            previous=self.state.link.checksum,
            **fields,
        )

    async def _append(self, record: Record) -> None:
        key, body = record_key(str(self.scope), record.number), encode_record(record)
        if not await self.records.create(key, body):
            raise Overtaken(f"another run has committed to {self.scope} in the meantime")
        self.state.fold(record, link_of(record, body))
