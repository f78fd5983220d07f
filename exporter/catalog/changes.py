"""What the log says beyond a table's marks: the files that the table gains and those that it loses. Pure.

A record counts when its files can be read by anybody: when another record follows it, for that is only written once
they are visible, or when each of its files has answered. The last record's files may still be on their way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.mark import Mark, misfit_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.commit_log.records import Link, Record

#: How far a mark may be behind where the records between have nothing of its table: no commit is made for less.
LAG_RECORDS_MAX = 64


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """What the log says of a data file, as far as a catalog needs it."""

    scope: str
    table: str
    key: str
    date: str
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """What a record does to files. ``checksum`` is that of its stored bytes."""

    number: int
    checksum: str
    files: tuple[LoggedFile, ...] = ()
    removed: frozenset[str] = frozenset()

    def concerns(self, table: str) -> bool:
        """Whether a table gains or loses a file by it."""
        return any(file.table == table for file in self.files) or any(_is_of(table, key) for key in self.removed)


@dataclass(frozen=True, slots=True)
class ScopeLog:
    """The records of a scope that may be published, from one that has been on; empty where there is no more."""

    scope: str
    records: tuple[LoggedRecord, ...]

    def checksum_of(self, number: int) -> str | None:
        """The checksum of the record with that number; None where it is not among these."""
        first = self.records[0].number if self.records else number + 1
        index = number - first
        return self.records[index].checksum if 0 <= index < len(self.records) else None


@dataclass(frozen=True, slots=True)
class TableChanges:
    """What one transaction does to a table.

    ``added`` are files to list, by their keys; ``gone`` are the keys of files that are listed and leave; of these,
    ``maybe_skipped`` may never have been listed. ``marks`` are those to write, by scope. ``misfits`` says why a scope's
    mark does not fit the log: nothing of that one is touched. ``are_more`` says that the changes were cut, and others
    follow.
    """

    table: str
    added: dict[str, LoggedFile] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    maybe_skipped: frozenset[str] = frozenset()
    marks: dict[str, Mark] = field(default_factory=dict)
    misfits: dict[str, str] = field(default_factory=dict)
    are_more: bool = False


def logged_record(record: Record, link: Link, tables: Iterable[str]) -> LoggedRecord:
    """What a record does to the files of some tables."""
    names = frozenset(tables)
    files = tuple(
        LoggedFile(record.scope, file.table, file.key, file.date, file.rows, file.size_bytes)
        for file in record.files
        if file.table in names
    )
    return LoggedRecord(record.number, link.checksum, files, record.removed)


def changes_of(
    table: str, marks: Mapping[str, Mark], logs: Mapping[str, ScopeLog], lake_id: str, files_max: int
) -> TableChanges:
    """Work out what a table with these marks lacks of the logs: ``files_max`` files at most, but one record whole.

    A scope whose records behind its mark have nothing of the table gets a new mark only where it has come far. A file
    that a record beyond the cut takes away is skipped: it may be gone from the lake, and then it can't be listed.
    """
    added: dict[str, LoggedFile] = {}
    gone: set[str] = set()
    maybe_skipped: set[str] = set()
    new_marks: dict[str, Mark] = {}
    misfits = dict.fromkeys(marks.keys() - logs.keys(), "it was published, and the lake has no log of it")
    are_more = False
    for log in logs.values():
        mark = marks.get(log.scope)
        if mark and (reason := misfit_of(mark, lake_id, log.checksum_of(mark.number))):
            misfits[log.scope] = reason
            continue
        behind = [record for record in log.records if mark is None or record.number > mark.number]
        taken = [record for record in behind if record.concerns(table)]
        last: LoggedRecord | None = None
        for record in taken:
            if added and len(added) + len(record.files) > files_max:
                are_more = True
                break
            _fold(table, record, added, gone)
            last = record
        else:
            if behind and (taken or len(behind) > LAG_RECORDS_MAX):
                last = behind[-1]
        if last is not None:
            skipped_until = _skip(added, log, last.number)
            if mark and mark.skipped_until:
                early = [record for record in behind if record.number <= min(last.number, mark.skipped_until)]
                maybe_skipped.update(*(record.removed & gone for record in early))
                skipped_until = max(skipped_until, mark.skipped_until)
            left = skipped_until if skipped_until > last.number else 0
            new_marks[log.scope] = Mark(last.number, last.checksum, lake_id, left)
    return TableChanges(table, added, frozenset(gone), frozenset(maybe_skipped), new_marks, misfits, are_more)


def _skip(added: dict[str, LoggedFile], log: ScopeLog, number: int) -> int:
    """Take out files that records beyond this one take away; gives the last record that does, 0 where none does."""
    until = 0
    for record in log.records:
        if record.number > number:
            for key in record.removed & added.keys():
                del added[key]
                until = record.number
    return until


def waiting_files(table: str, marks: Mapping[str, Mark], logs: Mapping[str, ScopeLog]) -> int:
    """Count the files that a table is to gain and to lose."""
    added: dict[str, LoggedFile] = {}
    gone: set[str] = set()
    for log in logs.values():
        mark = marks.get(log.scope)
        for record in log.records:
            if mark is None or record.number > mark.number:
                _fold(table, record, added, gone)
    return len(added) + len(gone)


def _fold(table: str, record: LoggedRecord, added: dict[str, LoggedFile], gone: set[str]) -> None:
    """Add the next record: a file that comes and goes between two marks is never listed.

    One that leaves and is named again later is listed anew.
    """
    for key in record.removed:
        if _is_of(table, key) and added.pop(key, None) is None:
            gone.add(key)
    added.update({file.key: file for file in record.files if file.table == table})


def _is_of(table: str, key: str) -> bool:
    return key.startswith(f"{table}/")
