"""Commit: one record names the staged files and the new state of their units. That record is the commit.

The log of a scope is read once, at the start; from then on this run's own records are all that is added to it, for a
record of anybody else's takes the number that this run would need, and ends it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.domain import Scope
from exporter.errors import LakeError, Overtaken
from exporter.records import Record, decode_record, encode_record, number_of, record_key, records_prefix
from exporter.state import ScopeState, decode_state, encode_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from exporter.records import FileLine, SessionLine
    from exporter.store import Records

#: Records between two snapshots: what a start has to read, at most, beside a snapshot.
SNAPSHOT_RECORDS = 64
_SNAPSHOTS_KEPT = 2
_READS_AT_ONCE = 16
_BEGIN_TRIES_MAX = 5


@dataclass(slots=True)
class Journal:
    """One run's place in one scope's commit log: its epoch, and the state that the log adds up to."""

    records: Records
    scope: Scope
    run_id: str
    state: ScopeState
    epoch: int = 0

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
        files: Sequence[FileLine] = (),
        sessions: Sequence[SessionLine] = (),
        schema_versions: dict[str, int] | None = None,
        latest_us: int = 0,
        gone: Sequence[str] = (),
        unlisted: Sequence[tuple[str, str]] = (),
        complete_until_us: int | None = None,
        summary: dict[str, Any] | None = None,
    ) -> None:
        """Write the next record.

        Raises :class:`Overtaken` where another run has taken its number: nothing is committed then, nor will be. Any
        other :class:`LakeError` leaves open whether it was committed.
        """
        record = self._record(
            "commit",
            at,
            files=tuple(files),
            sessions=tuple(sessions),
            schema_versions=schema_versions or {},
            latest_us=max(latest_us, self.state.latest_us),
            gone=tuple(gone),
            unlisted=tuple(unlisted),
            complete_until_us=complete_until_us,
            summary=summary,
        )
        await self._append(record)

    async def snapshot(self) -> None:
        """Write the state down where many records have come since that was last done, so that a start stays short."""
        prefix = _snapshots_prefix(self.scope)
        keys = await self.records.keys(prefix)
        if self.state.number - (number_of(keys[-1]) if keys else 0) < SNAPSHOT_RECORDS:
            return
        await self.records.create(f"{prefix}{self.state.number:012d}.json", encode_state(self.state))
        for key in keys[: 1 - _SNAPSHOTS_KEPT]:
            await self.records.delete(key)

    def _record(self, kind: str, at: str, **fields: Any) -> Record:  # noqa: ANN401 - a record's own fields
        fields.setdefault("latest_us", self.state.latest_us)
        return Record(
            kind=kind,  # type: ignore[arg-type] # one of the two literals, by the callers above
            scope=str(self.scope),
            number=self.state.number + 1,
            epoch=self.epoch,
            run_id=self.run_id,
            at=at,
            **fields,
        )

    async def _append(self, record: Record) -> None:
        if not await self.records.create(record_key(str(self.scope), record.number), encode_record(record)):
            raise Overtaken(f"another run has committed to {self.scope} in the meantime")
        self.state.fold(record)


async def read_state(records: Records, scope: Scope) -> ScopeState:
    """What the log of a scope adds up to; an empty state where there is none yet.

    Raises :class:`LakeTooNew` where a newer program wrote it, and :class:`LakeError` where it is damaged.
    """
    keys = await records.keys(_snapshots_prefix(scope))
    state = ScopeState()
    if keys:
        body = await records.read(keys[-1])
        if body is None:
            raise LakeError(f"{keys[-1]} was listed and is gone: something else removes files from the lake")
        state = decode_state(keys[-1], body)
    await read_on(records, scope, state)
    return state


async def read_on(records: Records, scope: Scope, state: ScopeState) -> None:
    """Fold in the records behind those that the state knows."""
    async for record in records_after(records, scope, state.number):
        if record.number != state.number + 1:
            raise LakeError(f"record {state.number + 1} of {scope} is missing from the commit log")
        state.fold(record)


async def records_after(records: Records, scope: Scope, number: int) -> AsyncIterator[Record]:
    """The records of a scope whose numbers are greater than ``number``, in their order; few at a time are in memory."""

    async def read(key: str) -> Record:
        body = await records.read(key)
        if body is None:
            raise LakeError(f"{key} was listed and is gone: something else removes files from the lake")
        return decode_record(key, body)

    keys = await records.keys(records_prefix(str(scope)), after=record_key(str(scope), number))
    for start in range(0, len(keys), _READS_AT_ONCE):
        for record in await asyncio.gather(*map(read, keys[start : start + _READS_AT_ONCE])):
            yield record


async def scopes_in(records: Records) -> list[Scope]:
    """The scopes that have a log in the lake."""
    names = {key.split("/")[1] for key in await records.keys("_log/")}
    scopes = [Scope(*name.split("-", 1)) for name in sorted(names) if "-" in name]
    return [scope for scope in scopes if scope.account_id.isdecimal()]


def _snapshots_prefix(scope: Scope) -> str:
    return f"_log/{scope}/snapshots/"
