"""A month of nightly runs, one night in five killed: what they ask for, how often, and what they leave in the lake."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator import Size, WorldOptions, WorldShape, WorldTimes
from tests.chaos.harness import FAILURES, RoundFailedError, seeded
from tests.support.emulated import DAY_S, LAG_S, START_US, emulated
from tests.support.kills import Command, Strike
from tests.support.lakes import lakes
from tests.support.laws import BrokenLawError, check_ended, check_equal, check_reading
from tests.support.table_laws import TablesOf

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.kills import Run

_ONE_KILLED_IN = 5
_GRACE_US = int(LAG_S * 1_000_000)

SessionKey = tuple[str, str]
UnitKey = tuple[str, str, str]


@dataclass(slots=True)
class Settled:
    """What the log says can't change any more: sealed sessions, and units whose last fetch was final.

    ``ended_us`` are the sessions' ends as far as they are known, ``started_us`` their beginnings.
    """

    sealed: set[SessionKey] = field(default_factory=set)
    final: set[UnitKey] = field(default_factory=set)
    started_us: dict[SessionKey, int] = field(default_factory=dict)
    ended_us: dict[SessionKey, int] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]]) -> Settled:
        """Read it from the log's records."""
        settled = cls()
        for record in records:
            for line in record["sessions"]:
                settled._add(line)
        return settled

    def _add(self, line: dict[str, Any]) -> None:
        key = (line["stage_arn"], line["session_id"])
        self.started_us[key] = line["started_us"]
        if line["status"] == "sealed":
            self.sealed.add(key)
        if (ended_us := line.get("ended_us")) is not None:
            self.ended_us[key] = ended_us
            for participant_id, unit in line.get("units", {}).items():
                if unit.get("began_us", 0) >= ended_us + _GRACE_US:
                    self.final.add((*key, participant_id))


@dataclass(slots=True)
class Month:
    """What the nights came to.

    ``fetched`` are the nights in which each unit's events were asked for and answered, and ``first_us`` the service's
    time of the first night that could see a session.
    """

    nights: int = 0
    killed: set[int] = field(default_factory=set)
    active: int = 0
    written: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    fetched: dict[UnitKey, list[int]] = field(default_factory=dict)
    times_us: list[int] = field(default_factory=list)
    ended_first: int = 0
    fetched_again: int = 0
    rows: int = 0

    def lines(self) -> list[str]:
        """The figures for people."""
        nights = f"{self.nights} nights, {len(self.killed)} of them killed; {self.rows:,} rows"
        once = f"{self.ended_first:,} participants' sessions had ended before they were first seen"
        return [
            f"{nights}, {len(self.fetched):,} participants; {self.active} sessions were seen active",
            f"  {once}: each was fetched once, but {self.fetched_again} that a kill had lost",
            "  calls " + ", ".join(f"{name} {count:,}" for name, count in sorted(self.calls.items())),
        ]


def run_nights(count: int, seed: int, folder: Path) -> Month:
    """Export nightly into a lake in ``folder``.

    Raises :class:`RoundFailedError` where a call was made that was not needed, and where the lake is not as it should
    be.
    """
    month, draw = Month(), seeded(seed, "nights")
    killed = {first + draw.randint(1, _ONE_KILLED_IN) for first in range(0, count, _ONE_KILLED_IN)}
    with lakes("directory", folder) as fresh, emulated(_world(draw, count)) as emulator:
        command = Command(emulator, next(fresh), folder / "runs")
        tables = TablesOf(command.lake)
        try:
            for night in range(1, count + 1):
                emulator.move_on(DAY_S)
                _Night(command, tables, month, night).run(_strike(command, draw) if night in killed else None)
            emulator.move_behind_the_end()
            for night in (count + 1, count + 2):
                _Night(command, tables, month, night).run(None)
            check_ended(command, emulator.truth())
            month.rows = emulator.truth().total()
            _check_once(month, Settled.of(command.lake.records()))
        except FAILURES as error:
            raise RoundFailedError(f"seed {seed}, night {month.nights}: {type(error).__name__}: {error}") from error
    return month


@dataclass(frozen=True, slots=True)
class _Night:
    command: Command
    tables: TablesOf
    month: Month
    number: int

    def run(self, strike: Strike | None) -> None:
        """One night's run, killed if there is a strike, and what it asked for."""
        emulator, lake, month = self.command.emulator, self.command.lake, self.month
        month.nights += 1
        month.times_us.append(emulator.now_us)
        before = Settled.of(lake.records())
        emulator.calls()
        with self.command.run("--checkpoint-s", "0.05", "--concurrency", "8") as run:
            is_killed = strike is not None and run.strike(strike)
            if not is_killed and (code := run.end()):
                raise BrokenLawError(f"the run ended with {code}: {run.log_end}")
        calls = emulator.calls()
        month.calls.update(calls["granted"])
        self._note(calls["pages"], before)
        check_reading(lake, emulator.truth())
        self.tables.check_reading()
        if is_killed:
            month.killed.add(self.number)
        else:
            self._check_whole(run, calls)

    def _note(self, pages: list[dict[str, Any]], before: Settled) -> None:
        """Note what was fetched; nothing of it may have been settled before."""
        for page in pages:
            session = (page["stage"], page["session"])
            unit = (*session, page["participant"])
            if session in before.sealed:
                raise BrokenLawError(f"called for a sealed session: {page}")
            if page["operation"] == "ListParticipantEvents":
                if unit in before.final:
                    raise BrokenLawError(f"called for a unit that was final: {page}")
                if page["offset"] == 0 and page["answered"]:
                    self.month.fetched.setdefault(unit, []).extend([self.number] * page["answered"])

    def _check_whole(self, run: Run, calls: dict[str, Any]) -> None:
        """A night that nobody killed leaves the truth, and counts its calls and rows as they were."""
        lake, summary = self.command.lake, run.summary
        check_equal(lake, self.command.emulator.truth())
        self.tables.check_truth(self.command.emulator.tables())
        if summary["calls"] != calls["granted"]:
            raise BrokenLawError(f"the run counts {summary['calls']}, and the service {calls['granted']}")
        own = [record for record in lake.records() if record["run_id"] == summary["run_id"]]
        rows = Counter[str]()
        for file in (file for record in own for file in record["files"]):
            rows[file["table"]] += file["rows"]
        if Counter(summary["rows"]) != rows:
            raise BrokenLawError(f"the run counts {summary['rows']} written, and its records {dict(rows)}")
        if summary["events"]["written"] != rows["events"]:
            raise BrokenLawError(f"the run counts {summary['events']} written, and its records {rows['events']}")
        self.month.active += summary["sessions"]["active"]
        self.month.written += rows["events"]


def _check_once(month: Month, settled: Settled) -> None:
    """What had ended before it was first seen was fetched once, and again only after a night that was killed."""
    for unit, nights in month.fetched.items():
        session = unit[:2]
        first_us = min(now_us for now_us in month.times_us if now_us >= settled.started_us[session])
        if settled.ended_us[session] + _GRACE_US > first_us:
            continue
        month.ended_first += 1
        month.fetched_again += len(nights) > 1
        if not set(nights[:-1]) <= month.killed or len(set(nights)) < len(nights):
            raise BrokenLawError(
                f"{unit} was fetched in the nights {nights}, of which {sorted(month.killed)} were killed"
            )


def _strike(command: Command, draw: random.Random) -> Strike:
    """Soon after the run has begun to write, so that there is something to lose."""
    return Strike(draw.uniform(0.0, 0.1), command.lake.record_keys, draw.choice((1, 2, 2, 3)))


def _world(draw: random.Random, nights: int) -> WorldOptions:
    """Some sessions a day on each stage, small ones."""
    return WorldOptions(
        seed=draw.randrange(1 << 32),
        shape=WorldShape(3, Size(2 * nights, 2.5 * nights, 4 * nights), Size(0, 3, 20), events=Size(0, 8, 250)),
        times=WorldTimes(START_US, float(nights), LAG_S, zoneless=True),
    )
