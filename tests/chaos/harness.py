"""Seeded rounds of kills: start the exporter, kill it, read the lake; now and then let a run come to its end."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator import Size, WorldOptions, WorldShape, WorldTimes
from tests.support.emulated import LAG_S, START_US, emulated
from tests.support.kills import Command, Strike
from tests.support.lakes import lakes
from tests.support.laws import BrokenLawError, check_ended, check_reading
from tests.support.table_laws import TablesOf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.emulated import Emulated
    from tests.support.kills import Run
    from tests.support.lakes import Lake

_DAYS = 20.0
_HOUR_S = 3_600.0
#: Kills that a lake lives through before the next world begins.
_KILLS_A_LAKE = (8, 24)
_WHOLE_EVERY = 8
#: A round that kills nobody, since the run was over already, is one in a few.
_ROUNDS_A_KILL_MAX = 4
#: Ended by itself: all done, or overtaken by another run.
_DONE, _HELD = 0, 4
#: What a run says whose lease is gone each time that it has made one.
_LEASE_TAKEN = "no lease can be made, though the lake's lists show no run that has one"

#: Where a kill hit, as far as what lies on the lake can tell.
PLACES = (
    "before the first commit",
    "between two commits",
    "between stage and record",
    "between record and publication",
    "after the last commit",
)


@dataclass(slots=True)
class Tally:
    """What the rounds came to. ``rows`` were read by the last look at each lake."""

    kills: int = 0
    rounds: int = 0
    lakes: int = 0
    whole_runs: int = 0
    pairs: int = 0
    rows: int = 0
    places: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """The figures for people."""
        rounds = f"{self.kills} kills in {self.rounds} rounds on {self.lakes} lakes, {self.pairs} of two runs at once"
        whole = f"{self.whole_runs} runs let to their end; {self.rows:,} rows"
        return [f"{rounds}; {whole}", *(f"  {self.places[place]:5} {place}" for place in PLACES)]


class RoundFailedError(Exception):
    """A round broke a law. The message says which round of which seed."""


#: What a broken law shows itself by.
FAILURES = (BrokenLawError, AssertionError, subprocess.TimeoutExpired)


def kill_rounds(kind: str, kills: int, seed: int, folder: Path, tell: Callable[[str], None]) -> Tally:
    """Kill as often as asked, on lakes of this kind that lie in ``folder``.

    Raises :class:`RoundFailedError` at the first law that is broken.
    """
    tally = Tally()
    with lakes(kind, folder) as fresh:
        while tally.kills < kills:
            tally.lakes += 1
            draw = seeded(seed, f"lake {tally.lakes}")
            most = min(kills, tally.kills + draw.randint(*_KILLS_A_LAKE))
            with emulated(_world(draw)) as emulator:
                lake = next(fresh)
                command = Command(emulator, lake, folder / f"runs-{tally.lakes}")
                _Life(command, seed, tally, draw.uniform(1.0, 3.0)).live(most)
            tell(f"{tally.kills} kills, {tally.rounds} rounds, {tally.rows:,} rows")
    return tally


@dataclass(slots=True)
class _Life:
    """One lake, from nothing until its world has ended. ``whole_s`` is how long a whole run took of late."""

    command: Command
    seed: int
    tally: Tally
    whole_s: float
    tables: TablesOf = field(init=False)

    def __post_init__(self) -> None:
        self.tables = TablesOf(self.lake)

    @property
    def emulator(self) -> Emulated:
        return self.command.emulator

    @property
    def lake(self) -> Lake:
        return self.command.lake

    def live(self, kills: int) -> None:
        """Kill until ``kills`` are reached in all; then let the world end, and everything be exported."""
        first = self.tally.rounds
        latest = first + _ROUNDS_A_KILL_MAX * (kills - self.tally.kills) + _ROUNDS_A_KILL_MAX
        rows = 0
        while self.tally.kills < kills:
            self.tally.rounds += 1
            draw = seeded(self.seed, f"round {self.tally.rounds}")
            try:
                if self.tally.rounds > latest:
                    raise BrokenLawError("the runs end before they can be killed")
                rows = self._round(draw)
                if draw.random() * _WHOLE_EVERY < 1.0:
                    self._whole_run()
            except FAILURES as error:
                raise self._failed(error) from error
        try:
            self._last_runs()
        except FAILURES as error:
            raise self._failed(error) from error
        self.tally.rows += max(rows, self.emulator.truth().total())

    def _round(self, draw: random.Random) -> int:
        if draw.random() < 0.75:
            self.emulator.move_on(draw.uniform(1.0, 72.0) * _HOUR_S)
        if draw.random() < 0.2:
            self._two_runs(draw)
        else:
            with self.command.run(*_pace(draw)) as run:
                if draw.random() < 0.25:  # lists grow while they are read
                    run.watch(self.lake.record_keys, 1)
                    self.emulator.move_on(draw.uniform(0.1, 3.0) * _HOUR_S)
                self._kill(run, draw)
        return self._read()

    def _read(self) -> int:
        """Look at the lake as its readers do, at all four tables."""
        self.tables.check_reading()
        return check_reading(self.lake, self.emulator.truth())

    def _two_runs(self, draw: random.Random) -> None:
        """Two runs at once, perhaps with a broken lease or one that waits; one of them or both are killed."""
        self.tally.pairs += 1
        waits = ("--wait",) if draw.random() < 0.3 else ()
        with self.command.run(*_pace(draw)) as first, self.command.run(*waits, *_pace(draw)) as second:
            if draw.random() < 0.7:
                first.watch(self._begun_unleased, 2)
            runs = [first, second]
            draw.shuffle(runs)
            self._kill(runs[0], draw)
            self._read()
            if draw.random() < 0.3:
                self._kill(runs[1], draw)
            else:
                runs[1].end()
                _check_end(runs[1])

    def _begun_unleased(self) -> set[str]:
        """The runs that have begun; the lease is removed, so that another run can begin beside its holder."""
        self.lake.break_lease()
        return {record["run_id"] for record in self.lake.records()}

    def _kill(self, run: Run, draw: random.Random) -> None:
        begun = self.lake.record_keys()
        if run.strike(self._strike(draw)):
            self.tally.kills += 1
            self.tally.places[_place_of(self.lake, begun)] += 1
        else:
            _check_end(run)

    def _strike(self, draw: random.Random) -> Strike:
        """A third of the instants are spread over a whole run, the others follow what shows on the lake."""
        if draw.random() < 0.33:
            return Strike(draw.uniform(0.0, self.whole_s))
        sign = draw.choice((self.lake.staged, self.lake.staged, self.lake.record_keys, self.lake.visible))
        delay_s = 0.0 if draw.random() < 0.5 else draw.uniform(0.0, 0.02)
        return Strike(delay_s, sign, draw.randint(1, 4))

    def _whole_run(self) -> dict[str, Any]:
        """Let a run come to its end, and compare the lake with the truth."""
        self.tally.whole_runs += 1
        began_s = time.monotonic()
        with self.command.run("--checkpoint-s", "0.2", "--concurrency", "8") as run:
            if code := run.end():
                raise BrokenLawError(f"a run that nobody killed ended with {code}: {run.log_end}")
        self.whole_s = max(time.monotonic() - began_s, 1.0)
        self._read()
        check_ended(self.command, self.emulator.truth())
        self.tables.check_truth(self.emulator.tables())
        return run.summary

    def _last_runs(self) -> None:
        """Export all there will ever be; then there is nothing left to ask for."""
        self._whole_run()
        self.emulator.move_behind_the_end()
        self._whole_run()
        self.emulator.calls()
        summary = self._whole_run()
        asked = set(self.emulator.calls()["granted"])
        if summary["outcome"] != "nothing" or asked - {"ListStages", "ListStageSessions"}:
            raise BrokenLawError(f"all was sealed, and {sorted(asked)} were called: {summary}")

    def _failed(self, error: Exception) -> RoundFailedError:
        return RoundFailedError(
            f"seed {self.seed}, round {self.tally.rounds}, lake {self.lake.address}: {type(error).__name__}: {error}"
        )


def _check_end(run: Run) -> None:
    """A run that nobody killed is done, or overtaken, or lost its lease to `_Life._begun_unleased` at each try."""
    if run.code not in {_DONE, _HELD} and _LEASE_TAKEN not in run.log_end:
        raise BrokenLawError(f"the run ended with {run.code}: {run.log_end}")


def seeded(seed: int, what: str) -> random.Random:
    """The draws of one part of one seed, whatever the other parts draw."""
    return random.Random(f"{seed}/{what}")


def _world(draw: random.Random) -> WorldOptions:
    """A world of some hundred units, with a few events each and now and then some pages of them."""
    return WorldOptions(
        seed=draw.randrange(1 << 32),
        shape=WorldShape(3, Size(10, 20, 30), Size(0, 10, 60), events=Size(0, 10, 320)),
        times=WorldTimes(START_US, _DAYS, LAG_S, zoneless=True),
        hostile=draw.random() < 0.3,
    )


def _pace(draw: random.Random) -> Iterator[str]:
    """A run's options: few requests at once, so that it lasts, and many checkpoints."""
    yield from ("--checkpoint-s", str(draw.choice((0.05, 0.1, 0.3))))
    yield from ("--concurrency", str(draw.choice((2, 4, 16))))


def _place_of(lake: Lake, begun: set[str]) -> str:
    """Where a kill hit. ``begun`` are the records before it was waited for."""
    visible, staged = lake.visible(), lake.staged()
    records = lake.records()
    own = [record for record in records if record["run_id"] == records[-1]["run_id"]] if records else []
    named = {file["key"] for record in own for file in record["files"]}
    if own and not {file["key"] for file in own[-1]["files"]} <= visible:
        return "between record and publication"
    if own and any(own[-1]["run_id"] in key for key in staged - named):
        return "between stage and record"
    if lake.record_keys() == begun or not any(record["kind"] == "commit" for record in own):
        return "before the first commit"
    return "after the last commit" if own[-1].get("summary") else "between two commits"
