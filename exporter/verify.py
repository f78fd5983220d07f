"""Verify: the whole lake against its logs. Every file is read; nothing is changed."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.log_reader import read_state, records_after, scopes_in
from exporter.tables import EVENTS, dates_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exporter.domain import Scope
    from exporter.records import FileLine
    from exporter.store import Store
    from exporter.tables import Table

_UNIT = ("stage_arn", "session_id", "participant_id")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the lake that is not as the log says. ``key`` names the file."""

    key: str
    message: str


@dataclass(slots=True)
class Verified:
    """How much was read."""

    scopes: int = 0
    files: int = 0
    rows: int = 0


async def verify(store: Store, verified: Verified, table: Table = EVENTS) -> AsyncIterator[Problem]:
    """The problems of one table, as they are found; ``verified`` counts along.

    Raises :class:`LakeError` where a log can't be read.
    """
    lines: dict[str, FileLine] = {}
    for scope in await scopes_in(store):
        await read_state(store, scope)  # snapshots must be readable, too
        verified.scopes += 1
        lines |= await _named(store, scope, table)
    visible = set(await store.keys(f"{table.name}/"))
    for key in sorted(visible - lines.keys()):
        yield Problem(key, "no record of a commit log names this file")
    staged = {each.key for each in await store.leftovers(table.name)}
    for key in sorted(lines.keys() - visible):
        yield Problem(key, "committed and not published yet; run again" if key in staged else "the file is gone")
    for day in sorted({line.date for line in lines.values()}):
        present = [line for key, line in sorted(lines.items()) if line.date == day and key in visible]
        async for problem in _verify_date(store, table, present, verified):
            yield problem


async def _named(store: Store, scope: Scope, table: Table) -> dict[str, FileLine]:
    """The files that a scope's records name, less those that a later record calls gone."""
    lines: dict[str, FileLine] = {}
    async for record in records_after(store, scope):
        lines |= {line.key: line for line in record.files if line.table == table.name}
        for key in record.removed:
            lines.pop(key, None)
    return lines


async def _verify_date(
    store: Store, table: Table, lines: Sequence[FileLine], verified: Verified
) -> AsyncIterator[Problem]:
    """One date's files. Equal events have equal times, so an id that is there twice is there twice in one date."""
    parts: list[pa.Table] = []
    for line in lines:
        data = await store.read(line.key)
        verified.files += 1
        found = _Missing if data is None else await asyncio.to_thread(_verify_file, table, line, data)
        if isinstance(found, str):
            yield Problem(line.key, found)
        else:
            verified.rows += found.num_rows
            parts.append(found)
    if parts:
        for unit, count in await asyncio.to_thread(_repeated, pa.concat_tables(parts)):
            yield Problem(lines[0].key.rpartition("/")[0], f"{count} event ids stand twice in unit {unit}")


_Missing = "the file was listed and is gone"


def _verify_file(table: Table, line: FileLine, data: bytes) -> pa.Table | str:
    """The file's ids and units; or what is wrong with it."""
    if hashlib.sha256(data).hexdigest() != line.sha256:
        return "its checksum is not the record's: the file was changed or damaged"
    try:
        rows = pq.read_table(pa.BufferReader(data))
    except pa.ArrowException as error:
        return f"it is no Parquet file that can be read: {error}"
    if rows.num_rows != line.rows:
        return f"it has {rows.num_rows} rows, and its record says {line.rows}"
    strange = [day for day in dates_in(table, rows) if day.isoformat() != line.date]
    if strange:
        return f"it holds rows of {strange[0].isoformat()}, and lies in {line.date}"
    return rows.select([*_UNIT, "event_id"])


def _repeated(rows: pa.Table) -> list[tuple[str, int]]:
    """The units that hold an id more than once, and how many such ids each has."""
    ids = rows.column("event_id")
    if pc.count_distinct(ids).as_py() == len(ids):
        return []
    counted = rows.group_by([*_UNIT, "event_id"]).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted.column("count_all"), 1))
    units = twice.group_by(list(_UNIT)).aggregate([([], "count_all")]).to_pylist()
    return sorted(("/".join(unit[name] for name in _UNIT), unit["count_all"]) for unit in units)
