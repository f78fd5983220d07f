"""Commit: one record names the staged files and the new state of their units. That record is the commit.

The log of a scope is read once, at the start; from then on this run's own records are all that is added to it, for a
record of anybody else's takes the number that this run would need, and ends it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.domain import Scope
from exporter.errors import LakeError, Overtaken
from exporter.records import (
    Record,
    decode_record,
    encode_record,
    number_of,
    numbered,
    pass_over,
    record_key,
    records_prefix,
)
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
_SCOPE = r"([0-9]{12})-([a-z]+(?:-[a-z0-9]+)+)"
#: What shows that a scope has a log.
_NUMBERED_OF_SCOPE = re.compile(rf"_log/{_SCOPE}/(?:records|snapshots)/[0-9]{{12}}\.json")
#: What may lie in the folder of all logs: scopes, and what `exporter.lake_identity` keeps there.
_KNOWN_PLACE = re.compile(rf"_log/(?:{_SCOPE}/|lake\.json$|trial/)")


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
        keys, _ = numbered(prefix, await self.records.keys(prefix))
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
    prefix = _snapshots_prefix(scope)
    keys, strange = numbered(prefix, await records.keys(prefix))
    pass_over(prefix, strange)
    state = ScopeState()
    if keys:
        body = await records.read(keys[-1])
        if body is None:
            raise LakeError(f"{keys[-1]} was listed and is gone: something else removes files from the lake")
        state = decode_state(keys[-1], body)
    await read_on(records, scope, state)
    return state


async def read_on(records: Records, scope: Scope, state: ScopeState) -> None:
    """Fold in the records behind those that the state knows; what else lies among them is named in a warning."""
    async for record in records_after(records, scope, state.number, is_told=True):
        if record.number != state.number + 1:
            raise LakeError(f"record {state.number + 1} of {scope} is missing from the commit log")
        state.fold(record)


async def records_after(records: Records, scope: Scope, number: int, *, is_told: bool = False) -> AsyncIterator[Record]:
    """The records of a scope whose numbers are greater than ``number``, in their order; few at a time are in memory.

    Files that lie among them and are none are passed over, with a warning where ``is_told`` is set.
    """

    async def read(key: str) -> Record:
        body = await records.read(key)
        if body is None:
            raise LakeError(f"{key} was listed and is gone: something else removes files from the lake")
        return decode_record(key, body)

    prefix = records_prefix(str(scope))
    keys, strange = numbered(prefix, await records.keys(prefix, after=record_key(str(scope), number)))
    if is_told:
        pass_over(prefix, strange)
    for start in range(0, len(keys), _READS_AT_ONCE):
        for record in await asyncio.gather(*map(read, keys[start : start + _READS_AT_ONCE])):
            yield record


async def scopes_in(records: Records) -> list[Scope]:
    """The scopes that have a log in the lake. What else lies there is passed over, with a warning."""
    keys = await records.keys("_log/")
    pass_over("_log/", sorted({key.split("/")[1] for key in keys if not _KNOWN_PLACE.match(key)}))
    found = {match.groups() for key in keys if (match := _NUMBERED_OF_SCOPE.fullmatch(key))}
    return [Scope(*scope) for scope in sorted(found)]


def _snapshots_prefix(scope: Scope) -> str:
    return f"_log/{scope}/snapshots/"
