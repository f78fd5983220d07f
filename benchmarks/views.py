"""What the views cost on DuckDB, beside the same questions asked by hand, and a day of a year beside all of it.

Each question is asked in a process of its own, of two cores, through what `ivs-export query` asks with. All columns of
all rows are worked out, and hashed to one number, so that nothing is left out and nothing is printed. A view is asked
from the files, which works out the intervals first, and once more with the intervals kept, as `report` and
`verify --domain` have them; the query by hand is always from the files. Questions come in turns; figures are medians.
Ratios are of the processor's time, which says more than the clock where a machine is busy.

    .venv/bin/python -m benchmarks.views            5 million events of 100,000 participants, some ten minutes
    .venv/bin/python -m benchmarks.views --quick    some thousand: does it run at all?
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from benchmarks.by_hand import BY_HAND
from benchmarks.figures import Figure, show
from benchmarks.views_lake import Shape, day_of, write_lake
from exporter.views.statements import VIEWS, Dates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.query.files import ReadableFile

    Key = TypeVar("Key")
    Result = TypeVar("Result")

_MONTH, _MONTH_QUICK = Shape(100_000, 1_000, 30), Shape(400, 20, 3)
_YEAR, _YEAR_QUICK = Shape(100_000, 1_000, 365), Shape(400, 40, 20)
_ROUNDS, _ROUNDS_QUICK = 3, 1
_CORES = 2
_INTERVALS_S_MAX, _OTHERS_S_MAX = 10.0, 4.0
# Kilobytes on Linux, bytes on macOS: getrusage(2).
_MAXRSS_A_MIB = 1 << (20 if sys.platform == "darwin" else 10)
_MIB = 1 << 20
_OF_A_DAY = "SELECT stage_arn, joins, hours_low, hours_high FROM participant_hours WHERE day = DATE '{day}'"


@dataclass(frozen=True, slots=True)
class Question:
    """A query, of the lake in a folder."""

    lake: str
    sql: str
    dates: Dates | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer took: opening the lake, then the answer itself; what it read of the events; and the answer."""

    opened_s: float
    answered_s: float
    cpu_s: float
    peak_mib: float
    files: int
    read_bytes: int
    answer: list[dict[str, object]]


def figures(*, quick: bool) -> Iterator[Figure]:
    """Seconds and memory of each view, and what a day's question reads."""
    rounds = _ROUNDS_QUICK if quick else _ROUNDS
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
        lake = Path(folder, "month")
        shape = _MONTH_QUICK if quick else _MONTH
        events = _apart(write_lake, lake, shape)
        yield Figure("events, participants", f"{events:,}, {shape.participants:,}")
        for figure in _view_figures(str(lake), rounds):
            yield replace(figure, is_met=None) if quick else figure
        lake = Path(folder, "year")
        _apart(write_lake, lake, _YEAR_QUICK if quick else _YEAR)
        yield from _day_figures(str(lake), _YEAR_QUICK if quick else _YEAR, rounds)


def _view_figures(lake: str, rounds: int) -> Iterator[Figure]:
    questions = {("files", view): Question(lake, _all_of(view)) for view in VIEWS}
    questions |= {("hand", view): Question(lake, _all_of(f"({sql})")) for view, sql in BY_HAND.items()}
    asked = _in_turns(questions, rounds)
    kept_s = [_apart(_ask_kept, lake) for _ in range(rounds)]
    for view in VIEWS:
        files = asked["files", view]
        of_kept_s, of_kept_cpu_s = (median(times[view][index] for times in kept_s) for index in range(2))
        is_first = view == "intervals"
        judged_s, most_s = (files.answered_s, _INTERVALS_S_MAX) if is_first else (of_kept_s, _OTHERS_S_MAX)
        rows = f"{files.answer[0]['rows']:,} rows"
        notes = [rows, f"{files.cpu_s:.2f}; {of_kept_cpu_s:.2f} s of the processor, {files.peak_mib:.0f} MiB"]
        if hand := asked.get(("hand", view)):
            ratio = files.cpu_s / hand.cpu_s
            notes.append(f"by hand {hand.cpu_s:.2f} s of it, {hand.peak_mib:.0f} MiB; {ratio:.1f} times that")
        yield Figure(
            f"{view}, from the files; over kept intervals",
            f"{files.answered_s:.2f} s; {of_kept_s:.2f} s",
            f"{most_s:.0f} s{'' if is_first else ' over kept ones'}",
            judged_s <= most_s,
            "; ".join(notes),
        )


def _day_figures(lake: str, shape: Shape, rounds: int) -> Iterator[Figure]:
    """The hours of one day, with the dates told, and without: which reads all of the lake."""
    number = shape.days // 2
    sql = _OF_A_DAY.format(day=day_of(number)) + " ORDER BY ALL"
    questions = {"day": Question(lake, sql, Dates(day_of(number), day_of(number + 1))), "all": Question(lake, sql)}
    asked = _in_turns(questions, rounds)
    day, full = asked["day"], asked["all"]
    if day.answer != full.answer:
        raise RuntimeError("a day has other hours with its dates told than without")
    day_s, full_s = (each.opened_s + each.answered_s for each in (day, full))
    yield Figure(
        f"hours of a day of {shape.days}, with --since and --until, and without",
        f"{day_s:.2f} : {full_s:.2f} s",
        "",
        None,
        f"{day_s / full_s:.3f} of it; {day.peak_mib:.0f} and {full.peak_mib:.0f} MiB; opening the lake counts",
    )
    yield Figure(
        "  files of events that were read",
        f"{day.files:,} : {full.files:,}",
        "",
        None,
        f"{day.read_bytes / _MIB:.1f} and {full.read_bytes / _MIB:.1f} MiB of them",
    )


def _all_of(source: str) -> str:
    return f"SELECT count(*) AS rows, bit_xor(hash(*COLUMNS(*))) AS hashed FROM {source}"  # noqa: S608 - of texts of this package's own


def _in_turns(questions: dict[Key, Question], rounds: int) -> dict[Key, Asked]:
    """Ask each question so often; of each the medians."""
    found: defaultdict[Key, list[Asked]] = defaultdict(list)
    for _ in range(rounds):
        for key, question in questions.items():
            found[key].append(_apart(_ask, question))
    return {key: _middle(times) for key, times in found.items()}


def _middle(times: list[Asked]) -> Asked:
    if any(asked.answer != times[0].answer for asked in times):
        raise RuntimeError("the same question has two answers")
    return Asked(
        median(asked.opened_s for asked in times),
        median(asked.answered_s for asked in times),
        median(asked.cpu_s for asked in times),
        max(asked.peak_mib for asked in times),
        times[0].files,
        times[0].read_bytes,
        times[0].answer,
    )


def _apart(work: Callable[..., Result], *values: object) -> Result:
    """Do it in a process of its own, whose peak holds nothing of this one's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *values).result()


def _ask_kept(lake: str) -> dict[str, tuple[float, float]]:
    """Keep the intervals of a lake, and ask for each view: the seconds of each, and those of the processor."""
    from exporter.cli.own_session import own_session  # noqa: PLC0415 - this process has what the command has
    from exporter.query.database import open_database  # noqa: PLC0415
    from exporter.settings import Settings  # noqa: PLC0415

    _take_two_cores()
    found_s = {}
    with open_database(Settings(lake=lake), own_session, is_stored=True) as database:
        for view in VIEWS:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            database.table(_all_of(view))
            found_s[view] = (time.perf_counter() - began_s, time.process_time() - began_cpu_s)
    return found_s


def _take_two_cores() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])


def _ask(question: Question) -> Asked:
    from exporter.cli.own_session import own_session  # noqa: PLC0415 - this process has what the command has
    from exporter.query.database import open_database  # noqa: PLC0415
    from exporter.settings import Settings  # noqa: PLC0415

    _take_two_cores()
    settings = Settings(lake=question.lake)
    with _counted() as read:
        began_s = time.perf_counter()
        with open_database(settings, own_session, question.dates) as database:
            opened_s, opened_cpu_s = time.perf_counter(), time.process_time()
            answer = database.table(question.sql).to_pylist()
            answered_s, cpu_s = time.perf_counter(), time.process_time() - opened_cpu_s
    return Asked(
        opened_s - began_s,
        answered_s - opened_s,
        cpu_s,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_A_MIB,
        len(read),
        sum(read.values()),
        answer,
    )


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """The bytes that are read of each file of events meanwhile."""
    from exporter.query.files import DirectoryFiles  # noqa: PLC0415

    read: dict[str, int] = {}
    plain = DirectoryFiles.open

    def opened(files: DirectoryFiles, key: str, size_bytes: int) -> ReadableFile:
        file = plain(files, key, size_bytes)
        return _CountedFile(file, key, read) if key.startswith("events/") else file

    setattr(DirectoryFiles, "open", opened)  # noqa: B010 - the type checker takes a method for a constant
    try:
        yield read
    finally:
        setattr(DirectoryFiles, "open", plain)  # noqa: B010 - the same


class _CountedFile:
    """A file that adds to ``read`` what is read of it, by its key."""

    def __init__(self, file: ReadableFile, key: str, read: dict[str, int]) -> None:
        self._file = file
        self._key = key
        self._read = read
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1, /) -> bytes:
        """Read on, and count it."""
        data = self._file.read(size)
        self._read[self._key] = self._read.get(self._key, 0) + len(data)
        return data


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
