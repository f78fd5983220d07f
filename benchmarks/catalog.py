"""What publishing takes: the first one, a night on a large table, and beside the run before it; and a day's question.

The catalog is SQLite in a file. The lake's records are made by its own journal; its data files are few, each linked
under many names, for publishing reads only their ends.
"""

from __future__ import annotations

import asyncio
import glob
import json
import os
import shutil
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from benchmarks.command import Measured, command, emulator, run
from benchmarks.figures import Figure
from exporter.commit_log.commits import FileChanges
from exporter.commit_log.journal import Journal
from exporter.commit_log.state import ScopeState
from exporter.lake.data_files import DataFile, file_name
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.parquet import encode
from exporter.lake.stores.directory import DirectoryStore
from exporter.lake.tables.events import EVENTS
from exporter.model import REGIONS, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FIRST_DAY = date(2026, 1, 1)
_ROWS = 50
_RECORD_FILES = 500
_AT = "2026-11-26T00:00:00Z"
_DATABASE = "ivs"


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a lake is: so many ``scopes``, each with so many ``days`` of so many ``files``."""

    scopes: int
    days: int
    files: int

    @property
    def count(self) -> int:
        """All files."""
        return self.scopes * self.days * self.files


_FIRST, _FIRST_QUICK = Shape(200, 5, 1), Shape(3, 5, 1)
_LARGE, _LARGE_QUICK = Shape(200, 250, 2), Shape(3, 10, 2)


def figures(*, quick: bool) -> Iterator[Figure]:
    """A first publication, one on top of a large table, one after a run; and the files that a day's question opens."""
    first, large = (_FIRST_QUICK, _LARGE_QUICK) if quick else (_FIRST, _LARGE)
    with _Lake.made() as lake:
        lake.add(first, _FIRST_DAY)
        yield from _told(f"{first.count:,} files of {first.scopes} scopes, the first time", lake.publish(), first.count)
        yield from _told("nothing new after that", lake.publish(), 0)
        yield from _opened(lake)
    with _Lake.made() as lake:
        lake.add(large, _FIRST_DAY)
        yield from _told(f"{large.count:,} files, the first time", lake.publish(), large.count)
        night = replace(large, days=1)
        lake.add(night, _FIRST_DAY + timedelta(days=large.days))
        yield from _told(f"a night's {night.count:,} files on top of them", lake.publish(), night.count)
    yield from _beside_a_run(7 if quick else 203)


class _Lake:
    """A lake in a folder, with a catalog beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "lake"
        self._journals: dict[Scope, Journal] = {}
        self._count = 0

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[_Lake]:
        """A new one, which is removed at the end."""
        with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
            yield cls(Path(folder))

    def add(self, shape: Shape, first_day: date) -> None:
        """Commit so many files, from a day on."""
        asyncio.run(self._add(shape, [first_day + timedelta(days=number) for number in range(shape.days)]))

    def publish(self) -> Measured:
        """What the command takes."""
        return command("publish", self.path, environment=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """The catalog, as the command is told of it."""
        properties = json.dumps({"uri": f"sqlite:///{self._folder / 'catalog.db'}"})
        return {"IVS_EXPORT_CATALOG__KIND": "sql", "IVS_EXPORT_CATALOG__PROPERTIES": properties}

    def days_files(self, day: date) -> int:
        """The files that an engine opens for a question about one day, as the table says by itself."""
        of_day = f"event_time >= '{day}T00:00:00+00:00' AND event_time < '{day + timedelta(days=1)}T00:00:00+00:00'"
        with closing(SqlCatalog("ivs-export", uri=f"sqlite:///{self._folder / 'catalog.db'}")) as catalog:
            return len(list(catalog.load_table(f"{_DATABASE}.events").scan(of_day).plan_files()))

    async def _add(self, shape: Shape, days: Sequence[date]) -> None:
        store = DirectoryStore(self.path)
        await open_lake(store, str(self.path), LakeKind(), "benchmark", lambda: 0.5)
        originals = {day: self._original(day) for day in days}
        for scope in _scopes(shape.scopes):
            journal = self._journals.setdefault(scope, Journal(store, scope, "benchmark", ScopeState()))
            await journal.begin(_AT)
            files = [
                self._linked(scope, journal.epoch, day, originals[day]) for day in days for _ in range(shape.files)
            ]
            for start in range(0, len(files), _RECORD_FILES):
                changes = FileChanges(added=files[start : start + _RECORD_FILES])
                (await journal.commit(_AT, changes=changes)).check()

    def _original(self, day: date) -> Path:
        place = self._folder / "originals" / f"{day}.parquet"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(encode(EVENTS, [_rows(day)]).to_pybytes())
        return place

    def _linked(self, scope: Scope, epoch: int, day: date, original: Path) -> DataFile:
        self._count += 1
        name = file_name(str(scope), epoch, "benchmark", self._count)
        key = f"events/event_date={day}/{name}.parquet"
        place = self.path / key
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(original, place)
        except OSError:  # a file system allows so many links of one file
            shutil.copy(original, place)
        return DataFile(EVENTS.name, key, str(day), _ROWS, original.stat().st_size, "", ())


def _rows(day: date) -> pa.RecordBatch:
    begin_us = (day - date(1970, 1, 1)).days * 86_400_000_000
    columns = {name: pa.nulls(_ROWS, EVENTS.schema.field(name).type) for name in EVENTS.schema.names} | {
        "event_id": pa.array(range(_ROWS), pa.int64()),
        "event_time": pa.array([begin_us + number * 1_000_000 for number in range(_ROWS)]).cast(
            EVENTS.schema.field("event_time").type
        ),
    }
    return pa.RecordBatch.from_pydict(columns, schema=EVENTS.schema)


def _scopes(count: int) -> list[Scope]:
    return [Scope(f"{place // len(REGIONS) + 1:012d}", REGIONS[place % len(REGIONS)]) for place in range(count)]


def _told(name: str, measured: Measured, files: int) -> Iterator[Figure]:
    added = sum(table["files_added"] for table in measured.summary["tables"])
    if added != files:
        raise RuntimeError(f"{added} files were published of {files}")
    yield Figure(
        f"publish {name}", f"{measured.wall_s:.1f} s", note=f"{measured.cpu_s:.1f} s CPU, {measured.peak_mib:.0f} MiB"
    )


def _opened(lake: _Lake) -> Iterator[Figure]:
    day = _FIRST_DAY + timedelta(days=2)
    everything = len(glob.glob(str(lake.path / "events/**/*.parquet"), recursive=True))  # noqa: PTH207 - as readers do
    of_day = len(list((lake.path / f"events/event_date={day}").iterdir()))
    yield Figure(
        "files of a day's question: Iceberg, glob with its date, without",
        f"{lake.days_files(day):,}, {of_day:,}, {everything:,}",
    )


def _beside_a_run(scopes: int) -> Iterator[Figure]:
    """The same run without a catalog and with one: what publishing adds to it."""
    accounts = list(dict.fromkeys(scope.account_id for scope in _scopes(scopes)))
    tiny = {"stages": 1, "sessions": 1, "participants": 2, "events": 20, "active-share": 0.0}
    with _Lake.made() as lake, emulator({"account": accounts, "region": list(REGIONS), **tiny}) as url:
        config = lake.path.with_name("accounts.toml")
        config.write_text(
            "".join(
                f'[[accounts]]\nrole_arn = "arn:aws:iam::{account}:role/ivs-export"\nregions = {json.dumps(REGIONS)}\n'
                for account in accounts
            )
        )
        words, sts = ("--config", str(config)), {"AWS_ENDPOINT_URL_STS": url}
        without = run(url, lake.path.with_name("without"), *words, environment=sts)
        with_one = run(url, lake.path, *words, environment=sts | lake.environment)
        files = with_one.summary["files"]
    for name, measured in (("without a catalog", without), ("with one", with_one)):
        yield Figure(
            f"a run of {scopes} scopes, {files:,} files, {name}",
            f"{measured.wall_s:.1f} s",
            note=f"{measured.cpu_s:.1f} s CPU, {measured.peak_mib:.0f} MiB",
        )
