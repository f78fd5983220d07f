"""Retention: partitions that were removed on purpose. The log says so, so that nothing brings them back.

Each file's absence is seen by itself: a stale list, or another prefix, takes nothing away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from exporter.commit_log.commits import FileChanges
from exporter.commit_log.reader import records_after, scopes_in
from exporter.errors import UsageError
from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.health.upkeep import Upkeep
    from exporter.lake.data_files import DataFile
    from exporter.model import Scope

#: The partitions' keys, of the tables that there are and of those that will come.
DATE_KEYS = tuple(dict.fromkeys((*(table.date_key for table in TABLES), "session_date", "exported_date")))
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RANGE = re.compile(r"(?P<key>[a-z_]+)=(?P<first>[0-9-]*)(?P<dots>\.\.)?(?P<last>[0-9-]*)")


@dataclass(frozen=True, slots=True)
class Partitions:
    """The dates of one key from ``first`` to ``last``, both included; a None leaves that side open."""

    date_key: str
    first: date | None
    last: date | None

    def holds(self, line: DataFile) -> bool:
        """Whether a file lies in one of them; one whose record has no date that can be one lies in none."""
        if not _DATE.fullmatch(line.date) or f"/{self.date_key}={line.date}/" not in line.key:
            return False
        first, last = (None if day is None else day.isoformat() for day in (self.first, self.last))
        return (first is None or first <= line.date) and (last is None or line.date <= last)


def parse_partitions(text: str) -> Partitions:
    """Read ``event_date=2025-01-01``, or a range: ``event_date=2025-01-01..2025-01-31``, ``event_date=..2025-01-31``.

    Raises :class:`UsageError` for anything else.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match["key"] not in DATE_KEYS or not (match["first"] or match["last"]):
        keys = ", ".join(f"{key}=" for key in DATE_KEYS)
        raise UsageError(
            f"--accept-missing {text!r}: a date or a range of one of {keys} such as event_date=2025-01-01..2025-01-31"
        )
    if not all(_DATE.fullmatch(day) for day in (match["first"], match["last"]) if day):
        raise UsageError(f"--accept-missing {text!r}: dates are written 2025-01-31")
    try:
        first = date.fromisoformat(match["first"]) if match["first"] else None
        last = date.fromisoformat(match["last"]) if match["last"] else None
    except ValueError as error:
        raise UsageError(f"--accept-missing {text!r}: {error}") from error
    if not match["dots"]:
        last = first
    if first is not None and last is not None and last < first:
        raise UsageError(f"--accept-missing {text!r}: {last} is before {first}")
    return Partitions(match["key"], first, last)


async def accept_missing(upkeep: Upkeep, partitions: Sequence[Partitions]) -> list[str]:
    """Commit that the missing files of some partitions were removed on purpose, and return their keys.

    Sessions stay sealed, and a refetch does not bring the rows back. What is there stays named. Raises what
    `Upkeep.journal` raises.
    """
    accepted: list[str] = []
    for scope in await scopes_in(upkeep.store):
        named = await _named(upkeep, scope, partitions)
        if not await _missing(upkeep, named):
            continue
        async with upkeep.journal(scope) as journal:
            retired = await _missing(upkeep, await _named(upkeep, scope, partitions))
            if retired:
                (await journal.commit(upkeep.now(), changes=FileChanges(retired=retired))).check()
                accepted += [line.key for line in retired]
    return accepted


async def _named(upkeep: Upkeep, scope: Scope, partitions: Sequence[Partitions]) -> list[DataFile]:
    """The files of some partitions that a scope's log names."""
    lines: dict[str, DataFile] = {}
    async for record in records_after(upkeep.store, scope):
        for key in record.removed:
            lines.pop(key, None)
        lines |= {line.key: line for line in record.files if any(dates.holds(line) for dates in partitions)}
    return [lines[key] for key in sorted(lines)]


async def _missing(upkeep: Upkeep, lines: Iterable[DataFile]) -> list[DataFile]:
    """Those of the files that are not there: in no list, and not to be read."""
    missing: list[DataFile] = []
    listed: dict[str, set[str]] = {}
    for line in lines:
        folder = line.key.rpartition("/")[0]
        if folder not in listed:
            listed[folder] = set(await upkeep.store.keys(f"{folder}/"))
        if line.key not in listed[folder] and await upkeep.store.read(line.key) is None:
            missing.append(line)
    return missing
