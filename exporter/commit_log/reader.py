"""Reading a scope's commit log: whole or not at all.

Numbers begin at 1 without a gap, and each record fits the one before it. What was taken away, or altered, is missed: by
its number, by a checksum, or by a snapshot that was made after it.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.commit_log.layout import number_of, numbered, pass_over, record_key, records_prefix, snapshots_prefix
from exporter.commit_log.records import Link, decode_record, link_of, linked
from exporter.commit_log.snapshots import decode_state
from exporter.commit_log.state import ScopeState
from exporter.errors import LogDamaged
from exporter.model import Scope
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exporter.commit_log.records import Record
    from exporter.lake.store import Records

_READS_AT_ONCE = 16
_SCOPE = r"([0-9]{12})-([a-z]+(?:-[a-z0-9]+)+)"
#: What shows that a scope has a log.
_NUMBERED_OF_SCOPE = re.compile(rf"_log/{_SCOPE}/(?:records|snapshots)/[0-9]{{12}}\.json")
#: What may lie in the folder of all logs: scopes, empty regions, and what `exporter.lake.identity` keeps there.
_OURS = re.compile(rf"_log/(?:{_SCOPE}/|empty/|lake\.json$|trial-)")
_log = Logger(__name__)


async def read_state(records: Records, scope: Scope) -> ScopeState:
    """What the log of a scope adds up to; an empty state where there is none yet.

    The newest sound snapshot is read, and the records after it. Raises :class:`LakeTooNew` where a newer program wrote
    the log, and :class:`LogDamaged` where it is not whole, or was altered.
    """
    # Snapshots first: the records that one was made after were there before it.
    snapshots = await _keys(records, snapshots_prefix(str(scope)), is_warned_of=True)
    keys = await _keys(records, records_prefix(str(scope)), is_warned_of=True)
    check_numbers(scope, keys, snapshots)
    state = await _newest_sound(records, snapshots)
    async for record, link in _chained(records, scope, keys[state.number :], state.link):
        state.fold(record, link)
    return state


async def read_on(records: Records, scope: Scope, state: ScopeState) -> None:
    """Fold in the records after those that the state knows. Raises as `read_state`."""
    keys = await _keys(records, records_prefix(str(scope)), after=record_key(str(scope), state.number))
    async for record, link in _chained(records, scope, keys, state.link):
        state.fold(record, link)


async def records_after(records: Records, scope: Scope, number: int = 0) -> AsyncIterator[Record]:
    """The records of a scope whose numbers are greater than ``number``, in their order; few at a time are in memory.

    Raises as `read_state`, also where the record of that number is not there.
    """
    is_there = not number
    async for record, _ in linked_from(records, scope, number):
        if record.number > number:
            yield record
        else:
            is_there = True
    if not is_there:
        raise _missing(scope, number)


async def linked_from(records: Records, scope: Scope, number: int) -> AsyncIterator[tuple[Record, Link]]:
    """The records of a scope from ``number`` on, each with its own link; none where the log ends before that one.

    Raises as `read_state`. The first of them fits whatever is before it, unless it is the first of all.
    """
    keys = await _keys(records, records_prefix(str(scope)), after=record_key(str(scope), max(0, number - 1)))
    link = Link()
    if number > 1 and keys:
        if number_of(keys[0]) != number:
            raise _missing(scope, number)
        key = keys.pop(0)
        body = await _read(records, key)
        record = decode_record(key, body)
        link = link_of(record, body)
        yield record, link
    async for record, link_of_record in _chained(records, scope, keys, link):
        yield record, link_of_record


async def read_records(records: Records, scope: Scope, numbers: Sequence[int]) -> AsyncIterator[Record]:
    """Some records, each by itself, of a log that was read before; few at a time are in memory.

    Raises as `read_state`.
    """
    for start in range(0, len(numbers), _READS_AT_ONCE):
        keys = [record_key(str(scope), number) for number in numbers[start : start + _READS_AT_ONCE]]
        for key, body in zip(keys, await asyncio.gather(*(_read(records, key) for key in keys)), strict=True):
            yield decode_record(key, body)


async def whole_log(records: Records, scope: Scope, snapshots: Sequence[str]) -> AsyncIterator[tuple[Record, Link]]:
    """All records of a scope with their links, whatever its snapshots say, whose keys were listed before.

    Raises as `read_state`.
    """
    keys = await _keys(records, records_prefix(str(scope)))
    check_numbers(scope, keys, snapshots)
    async for record, link in _chained(records, scope, keys, Link()):
        yield record, link


async def readable_records(records: Records, scope: Scope) -> AsyncIterator[Record]:
    """Those records of a damaged log that can be read by themselves, whatever is between them."""
    for key in await _keys(records, records_prefix(str(scope))):
        with suppress(LogDamaged):
            yield decode_record(key, await _read(records, key))


async def snapshots_of(records: Records, scope: Scope) -> list[str]:
    """The keys of a scope's snapshots, the newest last."""
    return await _keys(records, snapshots_prefix(str(scope)))


def check_numbers(scope: Scope, keys: Sequence[str], snapshots: Sequence[str]) -> None:
    """Raise :class:`LogDamaged` where the keys of records are not numbered from 1 on, or end before a snapshot does."""
    for number, key in enumerate(keys, 1):
        if number_of(key) != number:
            raise _missing(scope, number)
    if snapshots and number_of(snapshots[-1]) > len(keys):
        raise _missing(scope, len(keys) + 1)


async def scopes_in(records: Records) -> list[Scope]:
    """The scopes that have a log in the lake. What else lies there is passed over, with a warning."""
    keys = await records.keys("_log/")
    pass_over("_log/", sorted({key.split("/")[1] for key in keys if not _OURS.match(key)}))
    found = {match.groups() for key in keys if (match := _NUMBERED_OF_SCOPE.fullmatch(key))}
    return [Scope(*scope) for scope in sorted(found)]


async def last_numbers(records: Records) -> dict[Scope, int]:
    """The number of each scope's last record: 0 where its log has none left."""
    last: dict[Scope, int] = {}
    for key in await records.keys("_log/"):
        if match := _NUMBERED_OF_SCOPE.fullmatch(key):
            scope = Scope(*match.groups())
            number = number_of(key) if key.startswith(records_prefix(str(scope))) else 0
            last[scope] = max(number, last.get(scope, 0))
    return last


async def _keys(records: Records, prefix: str, after: str = "", *, is_warned_of: bool = False) -> list[str]:
    """The keys that are ours; others are passed over, with a warning where ``is_warned_of`` is set."""
    own, strange = numbered(prefix, await records.keys(prefix, after=after))
    if is_warned_of:
        pass_over(prefix, strange)
    return own


async def _newest_sound(records: Records, snapshots: Sequence[str]) -> ScopeState:
    """The state in the newest snapshot that is sound; an empty one where there is none, for all records are there."""
    for key in reversed(snapshots):
        try:
            state = decode_state(key, await _read(records, key))
        except LogDamaged as error:
            _log.warning("snapshot_damaged", reason=error.reason)
        else:
            if state is not None:
                return state
    return ScopeState()


async def _chained(
    records: Records, scope: Scope, keys: Sequence[str], link: Link
) -> AsyncIterator[tuple[Record, Link]]:
    """The records under ``keys``, each with its own link, as long as each fits the one before it."""
    for start in range(0, len(keys), _READS_AT_ONCE):
        some = keys[start : start + _READS_AT_ONCE]
        for key, body in zip(some, await asyncio.gather(*(_read(records, key) for key in some)), strict=True):
            if number_of(key) != link.number + 1:
                raise _missing(scope, link.number + 1)
            record, link = linked(link, key, body)
            yield record, link


async def _read(records: Records, key: str) -> bytes:
    body = await records.read(key)
    if body is None:
        raise LogDamaged(f"{key} was listed and is gone: something else removes files from the lake")
    return body


def _missing(scope: Scope, number: int) -> LogDamaged:
    return LogDamaged(f"record {number} of {scope} is missing from the commit log")
