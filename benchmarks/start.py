"""How long a run takes to read its state, by the length of its log; and what a start costs the processor.

A start reads the newest snapshot of the commit log, and the records after it. So it is measured on each of seven
nights, one whole turn of the snapshots, after 100 commits and after 10,000, and the medians are compared. The log is
that of an even life: 200 sessions are sealed each night, and are listed for a week.

The command itself is to answer at once where it has nothing to do: it is timed with ``--help`` and with an option that
does not exist, and asked which libraries it imported.

What a run imports is timed, too, in the order in which it imports it, by the processor's time of one process.

The archive is what nobody reads at a start: all records of the log, for a refetch or a session that has come back.

    .venv/bin/python -m benchmarks.start             in a directory, and on SeaweedFS as an S3
    .venv/bin/python -m benchmarks.start --quick     after 1,000 commits instead of 10,000
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import aioboto3

from benchmarks.figures import Figure, show
from exporter.commit_log.archive import Archive
from exporter.commit_log.journal import SNAPSHOT_RECORDS
from exporter.commit_log.reader import read_state
from exporter.lake.stores.directory import DirectoryStore
from exporter.lake.stores.s3.open import open_s3
from exporter.settings import S3Settings
from tests.support.memory_store import MemoryStore
from tests.support.past_nights import COMMITS_A_NIGHT, Past
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, seaweedfs
from tests.support.service import SCOPE, STAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from exporter.lake.store import Records, Store

_FEW, _MANY, _MANY_QUICK = 100, 10_000, 1_000
_RATIO_MAX = 2.0
_ANSWER_S_MAX = 0.5
_SLOW_IMPORTS = ("aioboto3", "pyarrow")
# What a run with nothing to do imports, in that order: each without what the ones before have brought already.
_IMPORTS = (
    "exporter.cli.app",
    "pydantic",
    "exporter.cli.settings_sources",
    "asyncio",
    "exporter.ivs.http_library",
    "aiobotocore.session",
    "pyarrow",
    "exporter.pipeline.run",
    "exporter.cli.actions.run",
)
_TIMER = """
import gc, importlib, sys, time
gc.set_threshold(200_000)
times = [time.process_time()]
for name in sys.argv[1:]:
    importlib.import_module(name)
    times.append(time.process_time())
print(*times)
"""
_ROOT = Path(__file__).resolve().parent.parent
_TURN_NIGHTS = -(-SNAPSHOT_RECORDS // COMMITS_A_NIGHT)
_REPEATS = 7
_WRITES_AT_ONCE = 32
_BUCKET = "lakes"


def figures(*, quick: bool) -> Iterator[Figure]:
    """The command's first answer; and a start after many commits beside one after few, on each kind of lake."""
    many = _MANY_QUICK if quick else _MANY
    yield from _answers()
    yield from _imports()
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
        yield from _shown("a directory", asyncio.run(_in_directory(Path(folder), many)))
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, seaweedfs(Path(folder)) as endpoint:
        yield from _shown("SeaweedFS", asyncio.run(_on_s3(endpoint, many)))


def _answers() -> Iterator[Figure]:
    for words, code in ((("--help",), 0), (("run", "--no-such-option"), 2)):
        command = (sys.executable, "-X", "importtime", "-m", "exporter", *words)
        seconds, slow = [], set[str]()
        for _ in range(_REPEATS):
            began_s = time.perf_counter()
            ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
            seconds.append(time.perf_counter() - began_s)
            if ended.returncode != code:
                raise RuntimeError(f"{words} ended with {ended.returncode}")
            slow |= {name for name in _SLOW_IMPORTS if f"| {name}" in ended.stderr.replace("|  ", "| ")}
        is_met = median(seconds) <= _ANSWER_S_MAX and not slow
        imported = f"imports {', '.join(sorted(slow))}" if slow else "imports neither aioboto3 nor pyarrow"
        name = f"ivs-export {' '.join(words)}"
        yield Figure(name, f"{median(seconds):.2f} s", f"at most {_ANSWER_S_MAX} s", is_met, imported)


def _imports() -> Iterator[Figure]:
    """The processor's milliseconds for Python itself, and for each of the imports."""
    command = (sys.executable, "-c", _TIMER, *_IMPORTS)
    taken_ms: list[list[float]] = []
    for _ in range(_REPEATS):
        ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own
        times = [float(text) * 1e3 for text in ended.stdout.split()]
        taken_ms.append([times[0], *(after - before for before, after in pairwise(times))])
    for name, values in zip(("Python itself", *_IMPORTS), zip(*taken_ms, strict=True), strict=True):
        yield Figure(f"cpu of a run's imports: {name}", f"{median(values):.0f} ms", note=f"{min(values):.0f} at least")


@dataclass(slots=True)
class _Starts:
    """Starts at one length of the log: their seconds, and the objects that each has read."""

    commits: int
    seconds: list[float] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{median(self.seconds) * 1e3:.1f} ms, {median(self.reads):.0f} objects at {self.commits:,} commits"


@dataclass(frozen=True, slots=True)
class _Measured:
    few: _Starts
    many: _Starts
    archive_s: float


class _Counting:
    """A lake's records, and how many of them were read."""

    def __init__(self, records: Records) -> None:
        self._records, self.reads = records, 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the records have
        self.reads += name == "read"
        return getattr(self._records, name)


def _shown(lake: str, measured: _Measured) -> Iterator[Figure]:
    few, many = measured.few, measured.many
    ratio = median(many.seconds) / median(few.seconds)
    yield Figure(
        f"start at {many.commits:,} commits beside {few.commits:,}, {lake}",
        f"{ratio:.2f} x",
        f"at most {_RATIO_MAX:.0f} x",
        ratio <= _RATIO_MAX,
        f"{few}; {many}",
    )
    yield Figure(f"archive of {many.commits:,} commits, {lake}", f"{measured.archive_s:.2f} s")


async def _in_directory(folder: Path, many: int) -> _Measured:
    return await _measure(DirectoryStore(folder), many)


async def _on_s3(endpoint: str, many: int) -> _Measured:
    async with _s3(endpoint) as store:
        return await _measure(store, many)


@asynccontextmanager
async def _s3(endpoint: str) -> AsyncIterator[Store]:
    session = aioboto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    os.environ["AWS_ENDPOINT_URL_S3"] = endpoint  # as a user points S3 somewhere
    async with session.client("s3") as client:
        await client.create_bucket(Bucket=_BUCKET)
    async with open_s3(f"s3://{_BUCKET}/lake", session, S3Settings()) as store:
        yield store


async def _measure(store: Store, many: int) -> _Measured:
    lake = _Lake(store)
    few_starts, many_starts = await lake.starts(_FEW), await lake.starts(many)
    began_s = time.perf_counter()
    await Archive(store, SCOPE).session(STAGE, "st-0000000000000")
    return _Measured(few_starts, many_starts, time.perf_counter() - began_s)


@dataclass(slots=True)
class _Lake:
    """A lake whose log grows. It is made in memory, and copied, which is faster than night by night."""

    store: Store
    made: MemoryStore = field(default_factory=MemoryStore)
    past: Past = field(init=False)
    copied: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.past = Past(self.made)

    async def starts(self, commits: int) -> _Starts:
        """Starts on each night of a whole turn of the snapshots, from that many commits on."""
        while self.past.commits < commits - COMMITS_A_NIGHT:
            await self.past.add_night()
        starts = _Starts(commits)
        for _ in range(_TURN_NIGHTS):
            await self.past.add_night()
            await self._copy()
            for _ in range(_REPEATS):
                counting: Any = _Counting(self.store)
                began_s = time.perf_counter()
                await read_state(counting, SCOPE)
                starts.seconds.append(time.perf_counter() - began_s)
                starts.reads.append(counting.reads)
        return starts

    async def _copy(self) -> None:
        slots = asyncio.Semaphore(_WRITES_AT_ONCE)

        async def create(key: str) -> None:
            async with slots:
                await self.store.create(key, self.made.records[key])

        keys = set(self.made.records)
        await asyncio.gather(*map(create, sorted(keys - self.copied)))
        for key in self.copied - keys:
            await self.store.delete(key)
        self.copied = keys


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
