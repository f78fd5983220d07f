"""Our Parquet files beside a plain writing of the same rows: how large they are, and how soon DuckDB has its answer.

A week's events of a seeded world (heavy tails: ``benchmarks/made_up.py``) are written four times, in the order in
which a run fetches them:

- ``ours``: by checkpoints of 1,500 calls, which is what AWS's quota allows in five minutes; staged and published by the
  exporter's own code into a directory.
- ``the same cut``: ``pyarrow.Table.from_pylist`` and ``pyarrow.parquet.write_table`` as they come, the same rows in
  each file, in folders named as ours.
- ``a file a day``: the same, one file for each UTC date. What a script does that has all of a day's rows in its memory.
- ``a file a batch``: the same, one file for each 100 calls and date, as tools leave them that load batch by batch.

All have the same rows and types. Queries run in one DuckDB process, in turns, after one that is not counted; the
figures are medians, and so is the ratio's denominator.

    .venv/bin/python -m benchmarks.files            a million events, some minutes
    .venv/bin/python -m benchmarks.files --quick    some thousand: does it run at all?
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import Figure, show
from benchmarks.made_up import week
from exporter.lake.staging import publish, stage
from exporter.lake.stores.directory import DirectoryStore
from exporter.lake.tables.events import EVENTS
from exporter.normalize.columns import Stamp
from exporter.normalize.events import event_rows
from exporter.pipeline.checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from exporter.model import FetchedUnit

_STAGES, _STAGES_QUICK = 17, 1
_ROUNDS, _ROUNDS_QUICK = 72, 3
_CALLS_A_CHECKPOINT = 1_500
_CALLS_A_BATCH = 100
_SMALLER_THAN = 2 / 3
_EXPORTED_AT_US = 1_768_791_600_000_000
_CALL_US = 200_000

QUERIES = {
    "one participant's history": (
        "SELECT event_time, event_name, remote_participant_id, error_code FROM lake "
        "WHERE participant_id = $participant ORDER BY event_time"
    ),
    "errors by code by day": (
        "SELECT event_date, error_code, count(*) FROM lake WHERE error_code IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ),
    "concurrent viewers by minute": (
        "SELECT minute, sum(sum(change)) OVER (ORDER BY minute) AS viewers FROM ("
        "SELECT epoch_ms(event_time) // 60000 AS minute, CASE event_name WHEN 'JOINED' THEN 1 ELSE -1 END AS change "
        "FROM lake WHERE event_name IN ('JOINED', 'LEFT')) GROUP BY minute ORDER BY minute"
    ),
}


@dataclass(frozen=True, slots=True)
class Lake:
    """Files of one writer, below ``folder`` by date."""

    name: str
    folder: Path

    @property
    def glob(self) -> str:
        """What a reader is told."""
        return f"{self.folder}/events/**/*.parquet"

    @property
    def files(self) -> list[Path]:
        """All data files."""
        return sorted(self.folder.rglob("*.parquet"))

    @property
    def size_bytes(self) -> int:
        """All data files together."""
        return sum(file.stat().st_size for file in self.files)


def figures(*, quick: bool) -> Iterator[Figure]:
    """Bytes an event, and DuckDB's time for each query, ours beside the others'."""
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
        lakes = write_lakes(Path(folder), week(_STAGES_QUICK if quick else _STAGES))
        ours, *others = lakes
        rows = sum(pq.read_metadata(file).num_rows for file in ours.files)
        for other in others:
            if sum(pq.read_metadata(file).num_rows for file in other.files) != rows:
                raise RuntimeError(f"{other.name} has other rows than ours")
            yield _size_figure(ours, other, rows)
        for threads in (1, None):
            yield from _query_figures(lakes, threads, _ROUNDS_QUICK if quick else _ROUNDS)


def write_lakes(folder: Path, units: Iterable[FetchedUnit]) -> list[Lake]:
    """The same rows, written by us and by the others."""
    names = ("ours", "the same cut", "a file a day", "a file a batch")
    ours, same, daily, batched = (Lake(name, folder / name.replace(" ", "-")) for name in names)
    by_day: defaultdict[str, list[pa.RecordBatch]] = defaultdict(list)
    checkpoint = Checkpoint()
    checkpoints = 0
    for number, batch in enumerate(_batches(units)):
        rows = event_rows(
            batch, Stamp("20260119T030000Z-benchmark", _EXPORTED_AT_US + number * _CALLS_A_BATCH * _CALL_US)
        ).rows
        one = Checkpoint()
        one.add(EVENTS, rows)
        checkpoint.take_over(one)
        for day, parts in one.rows_of(EVENTS).items():
            _write_plain(batched, day.isoformat(), number, parts)
            by_day[day.isoformat()] += parts
        if (number + 1) % (_CALLS_A_CHECKPOINT // _CALLS_A_BATCH) == 0:
            checkpoints += 1
            _checkpoint(ours, same, checkpoint, checkpoints)
            checkpoint = Checkpoint()
    _checkpoint(ours, same, checkpoint, checkpoints + 1)
    for day_text, parts in by_day.items():
        _write_plain(daily, day_text, 0, parts)
    return [ours, same, daily, batched]


def _batches(units: Iterable[FetchedUnit]) -> Iterator[list[FetchedUnit]]:
    batch: list[FetchedUnit] = []
    calls = 0
    for unit in units:
        batch.append(unit)
        calls += max(1, len(unit.pages))
        if calls >= _CALLS_A_BATCH:
            yield batch
            batch, calls = [], 0
    yield batch


def _checkpoint(ours: Lake, same: Lake, checkpoint: Checkpoint, number: int) -> None:
    for day, parts in checkpoint.rows_of(EVENTS).items():
        _write_plain(same, day.isoformat(), number, parts)
    asyncio.run(_commit(DirectoryStore(ours.folder), checkpoint, number))


async def _commit(store: DirectoryStore, checkpoint: Checkpoint, number: int) -> None:
    await publish(store, await stage(store, EVENTS, checkpoint.rows_of(EVENTS), f"{number:06d}"))


def _write_plain(lake: Lake, day: str, number: int, parts: Sequence[pa.RecordBatch]) -> None:
    folder = lake.folder / "events" / f"event_date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for part in parts for row in part.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=EVENTS.schema), folder / f"{number:06d}.parquet")


def _size_figure(ours: Lake, other: Lake, rows: int) -> Figure:
    ratio = ours.size_bytes / other.size_bytes
    return Figure(
        f"bytes an event, beside {other.name}",
        f"{ours.size_bytes / rows:.1f} : {other.size_bytes / rows:.1f}",
        f"{_SMALLER_THAN:.2f} of it at most",
        ratio <= _SMALLER_THAN,
        f"{ratio:.2f} of it; {rows:,} rows in {len(ours.files)} and {len(other.files)} files; "
        "8 bytes are the event_id, 4 the time",
    )


def _query_figures(lakes: list[Lake], threads: int | None, rounds: int) -> Iterator[Figure]:
    with duckdb.connect() as connection:
        if threads is not None:
            connection.execute(f"SET threads = {threads}")
        asked = _participant(connection, lakes[0])
        for name, query in QUERIES.items():
            times_s = _timed({lake.name: _query(connection, lake, query, asked) for lake in lakes}, rounds)
            for other in lakes[1:]:
                yield _time_figure(name, threads, times_s, lakes[0], other)


def _time_figure(name: str, threads: int | None, times_s: Mapping[str, float], ours: Lake, other: Lake) -> Figure:
    where = "one thread" if threads == 1 else "DuckDB's own threads"
    ours_s, other_s = times_s[ours.name], times_s[other.name]
    return Figure(
        f"{name}, {where}, beside {other.name}",
        f"{ours_s * 1e3:.1f} : {other_s * 1e3:.1f} ms",
        "faster",
        ours_s < other_s,
        f"{ours_s / other_s:.2f} of its time; {len(ours.files)} files beside {len(other.files)}, zstd beside Snappy",
    )


def _participant(connection: duckdb.DuckDBPyConnection, lake: Lake) -> str:
    """Somebody with as many events as is usual."""
    found = connection.execute(
        "SELECT participant_id FROM read_parquet($glob) GROUP BY ALL HAVING count(*) BETWEEN 20 AND 60 "
        "ORDER BY ALL LIMIT 1",
        {"glob": lake.glob},
    ).fetchone()
    return str(found[0]) if found else ""


def _query(connection: duckdb.DuckDBPyConnection, lake: Lake, query: str, participant_id: str) -> Callable[[], object]:
    text = query.replace("FROM lake", f"FROM read_parquet('{lake.glob}', hive_partitioning = true)")
    given = {"participant": participant_id} if "$participant" in query else {}
    return lambda: connection.execute(text, given).fetchall()


def _timed(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each, run in turns, each as often behind each other one. All must give the same."""
    answers = [work() for work in works.values()]
    if any(answer != answers[0] or not answer for answer in answers):
        raise RuntimeError("the lakes give different answers")
    times_s: dict[str, list[float]] = {name: [] for name in works}
    orders = list(permutations(works))
    for number in range(rounds):
        for name in orders[number % len(orders)]:
            began_s = time.perf_counter()
            works[name]()
            times_s[name].append(time.perf_counter() - began_s)
    return {name: median(taken) for name, taken in times_s.items()}


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
