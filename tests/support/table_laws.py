"""What must hold of stages, sessions and participants in a lake that others read, and when they are the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.laws import BrokenLawError
from tests.support.oracle import micros
from tests.support.table_rows import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.support.lakes import Lake

Row = dict[str, Any]
Key = tuple[str, ...]

#: The columns of a participant by the API's names, with how a value is read.
LISTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "userId": ("user_id", str),
    "firstJoinTime": ("first_join_time", micros),
    "published": ("published", bool),
    "recordingState": ("recording_state", str),
    "replicationType": ("replication_type", str),
    "replicationState": ("replication_state", str),
    "sourceStageArn": ("source_stage_arn", str),
    "sourceSessionId": ("source_session_id", str),
}
#: Answers are dated in whole seconds: so near to its final moment a thing may be over or not.
_DATED_US = 2_000_000


@dataclass(frozen=True, slots=True)
class TrueTables:
    """What the service shows at one moment: its lines of each table, and how long after a session's end more may come.

    No item of it has members that nobody knows.
    """

    lines: Mapping[str, list[dict[str, Any]]]
    now_us: int
    grace_us: int

    def is_over(self, end_us: int | None) -> bool | None:
        """Whether all of a session that ended then is final; None where that can't be told."""
        if end_us is None:
            return False
        since_us = self.now_us - end_us - self.grace_us
        return None if abs(since_us) < _DATED_US else since_us > 0


class TablesOf:
    """The tables of one lake, as its readers find them; no file ever changes, so each is read once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._rows: dict[str, list[Row]] = {}
        self._units: dict[str, set[Key]] = {}

    def check_reading(self) -> None:
        """Read all tables; another run may be at work meanwhile.

        Raises :class:`BrokenLawError` for a file that no record names, for a row that stands twice, for a second final
        row, and, where all files are visible that records name, for a unit with events that another table knows not.
        """
        folder = self._lake.folder()
        visible = {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*.parquet")}
        visible = {key for key in visible if not key.startswith("_")}
        named = {file["key"] for record in self._lake.records() for file in record["files"]}
        if strange := visible - named:
            raise BrokenLawError(f"no record names {sorted(strange)}")
        tables = self._tables(folder, visible)
        _check_once(tables)
        if {key for key in named if not key.startswith("_")} <= visible:
            _check_explained(tables, self._units_with_events(folder, visible))

    def check_truth(self, truth: TrueTables) -> None:
        """Raise :class:`BrokenLawError` unless the newest rows are what the service shows.

        That is so after a run that did all there was to do.
        """
        folder = self._lake.folder()
        _check_truth(
            self._tables(folder, {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*.parquet")}), truth
        )

    def _tables(self, folder: Path, keys: Iterable[str]) -> dict[str, list[Row]]:
        """The rows of each table beside events, in the order of their commits."""
        tables: dict[str, list[Row]] = {table: [] for table in KEYS}
        for key in sorted(keys, key=lambda key: key.rpartition("/")[2]):
            table = key.partition("/")[0]
            if table in KEYS:
                if key not in self._rows:
                    self._rows[key] = _read(folder / key)
                tables[table] += self._rows[key]
        return tables

    def _units_with_events(self, folder: Path, keys: Iterable[str]) -> set[Key]:
        for key in keys:
            if key.startswith("events/") and key not in self._units:
                columns = pq.ParquetFile(folder / key).read(columns=list(KEYS["participants"]))
                self._units[key] = set(zip(*(column.to_pylist() for column in columns.columns), strict=True))
        return set().union(*self._units.values())


def _check_once(tables: Mapping[str, list[Row]]) -> None:
    """No row stands twice, and nothing has two final rows; else :class:`BrokenLawError`.

    No session of the worlds is ever opened again.
    """
    for table in ("sessions", "participants"):
        counts = Counter(_name(table, row, _told(table, row)) for row in tables[table])
        finals = Counter(_name(table, row) for row in tables[table] if row["is_final"])
        for twice in (counts - Counter(set(counts)), finals - Counter(set(finals))):
            if twice:
                raise BrokenLawError(f"{table} has rows twice: {next(iter(twice))}")
    of_stages: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in tables["stages"]:
        of_stages[row["stage_arn"]].append((row["stage_name"], row["tags"], row["is_listed"]))
    for arn, told in of_stages.items():
        if any(first == second for first, second in pairwise(told)):
            raise BrokenLawError(f"stages has a row of {arn} twice: {told}")


def _check_explained(tables: Mapping[str, list[Row]], units: Iterable[Key]) -> None:
    """Each unit with events has a row in each table, and so has its session and its stage."""
    have = {table: {_name(table, row) for row in rows} for table, rows in tables.items()}
    for unit in units:
        for table, columns in KEYS.items():
            if unit[: len(columns)] not in have[table]:
                raise BrokenLawError(f"{table} has no row of {unit}, and events has")


def _check_truth(tables: Mapping[str, list[Row]], truth: TrueTables) -> None:
    """After a run that did all there was to do, the newest row of each thing is what the service shows."""
    now = {table: {_name(table, row): row for row in _in_order(rows)} for table, rows in tables.items()}
    for table, columns in KEYS.items():
        listed = {tuple(line[column] for column in columns) for line in truth.lines[table]}
        if now[table].keys() != listed:
            raise BrokenLawError(f"{table} and the service differ in {sorted(now[table].keys() ^ listed)[:3]}")
    for line in truth.lines["stages"]:
        item = line["stage"]
        _compare(
            now["stages"][line["stage_arn"],],
            {"stage_name": item.get("name"), "tags": item.get("tags"), "is_listed": True},
        )
    over: dict[Key, bool | None] = {}
    for line in truth.lines["sessions"]:
        key = (line["stage_arn"], line["session_id"])
        over[key] = _check_session(now["sessions"][key], line, truth)
    for line in truth.lines["participants"]:
        key = (line["stage_arn"], line["session_id"])
        row, is_over = now["participants"][*key, line["participant_id"]], over[key]
        if is_over is not None:
            _compare(row, {"is_final": is_over})
        if row["is_final"]:
            shown = {name: value for name, value in line["participant"].items() if value is not None and value != ""}
            _compare(
                row, {column: read(shown[name]) if name in shown else None for name, (column, read) in LISTED.items()}
            )


def _check_session(row: Row, line: Mapping[str, Any], truth: TrueTables) -> bool | None:
    """Compare a session, and return whether it is over."""
    item = line["session"]
    end_us = micros(item.get("endTime"))
    is_over = truth.is_over(end_us)
    _compare(row, {"session_start": micros(item["startTime"]), "session_end": end_us})
    if is_over is not None:
        counts = (line["participants"], line["events"], 0) if is_over else (None, None, None)
        names = ("participant_count", "event_count", "abandoned_count")
        _compare(row, {"is_final": is_over, "is_complete": is_over, **dict(zip(names, counts, strict=True))})
    return is_over


def _compare(row: Row, wanted: Row) -> None:
    found = {name: row[name] for name in wanted}
    if found != wanted:
        raise BrokenLawError(f"a newest row says {found}, and the service {wanted}: {row}")


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """Those that count last."""
    return sorted(rows, key=lambda row: row.get("is_final", False))


def _name(table: str, row: Row, more: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    return (*(row[column] for column in KEYS[table]), *more)


def _told(table: str, row: Row) -> tuple[Any, ...]:
    """What tells a row from the last one of the same thing."""
    return (row["is_final"], *((row["session_start"], row["session_end"]) if table == "sessions" else ()))


def _read(path: Path) -> list[Row]:
    read = pq.ParquetFile(path).read()
    for index, column in enumerate(read.schema):
        if pa.types.is_timestamp(column.type):
            read = read.set_column(index, column.name, read.column(index).cast(pa.int64()))
    maps = [column.name for column in read.schema if pa.types.is_map(column.type)]
    rows: list[Row] = read.to_pylist()
    for row in rows:
        row.update({name: None if row[name] is None else dict(row[name]) for name in maps})
    return rows
