"""What days and stages add up to, and the days as bars. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.charts import Bar
from exporter.report.scales import Tick
from exporter.timestamps import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.report.facts import DayHours, LakeFacts

_BARS_MAX = 120
_TICKS_MAX = 8
_STEPS_DAYS = (1, 7, 28)


@dataclass(frozen=True, slots=True)
class Grouping:
    """What is added up by: the stage, the UTC day, both, or neither."""

    by_stage: bool = False
    by_day: bool = False

    def of(self, stage_arn: str, day_us: int | None) -> tuple[str | None, int | None]:
        """The key of what belongs to a stage and a day."""
        return (stage_arn if self.by_stage else None, day_us if self.by_day else None)


@dataclass(frozen=True, slots=True)
class Sums:
    """What something adds up to. ``hours`` are the least, the most, and of the most what was guessed.

    ``peak`` is the highest of any one session.
    """

    sessions: int
    people: int
    hours: tuple[float, float, float]
    peak: int
    failures: int


def sums_by(facts: LakeFacts, key: Grouping) -> dict[tuple[str | None, int | None], Sums]:
    """Add up. A session counts, with its people, on the day on which it began; its hours on each day that it was."""
    sessions, people, failures, peaks = (Counter[tuple[str | None, int | None]]() for _ in range(4))
    hours: dict[tuple[str | None, int | None], list[DayHours]] = defaultdict(list)
    for session in facts.sessions:
        at = key.of(session.key[0], None if session.start_us is None else session.start_us // DAY_US * DAY_US)
        sessions[at] += 1
        people[at] += session.counts.participants
    for day in facts.hours:
        hours[key.of(day.stage_arn, day.day_us)].append(day)
    for peak in facts.peaks:
        at = key.of(peak.stage_arn, peak.day_us)
        peaks[at] = max(peaks[at], peak.peak)
    for failure in facts.failures:
        failures[key.of(failure.stage_arn, failure.day_us)] += failure.events
    return {
        at: Sums(sessions[at], people[at], _hours(hours.get(at, ())), peaks[at], failures[at])
        for at in {*sessions, *hours, *peaks, *failures}
    }


def _hours(days: Iterable[DayHours]) -> tuple[float, float, float]:
    every = list(days)
    return (sum(day.low for day in every), sum(day.high for day in every), sum(day.guessed_high for day in every))


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days side by side, several of them in a bar where there are many."""

    start_us: int
    step_days: int
    count: int

    @classmethod
    def over(cls, days_us: Iterable[int]) -> Calendar | None:
        """The calendar from the first of some UTC days to the last; None where there is none."""
        every = sorted(set(days_us))
        if not every:
            return None
        days = (every[-1] - every[0]) // DAY_US + 1
        step = next((step for step in _STEPS_DAYS if days <= step * _BARS_MAX), -(-days // _BARS_MAX))
        return cls(every[0], step, -(-days // step))

    @property
    def bar_name(self) -> str:
        """What a bar stands for: ``day``, ``week``, ``28 days``."""
        return {1: "day", 7: "week"}.get(self.step_days, f"{self.step_days:,} days")

    def bars(self, hours: Iterable[DayHours]) -> list[Bar]:
        """The hours of each bar, at least and at most."""
        low, high = [0.0] * self.count, [0.0] * self.count
        for day in hours:
            index = (day.day_us - self.start_us) // DAY_US // self.step_days
            low[index] += day.low
            high[index] += day.high
        return [Bar(*each) for each in zip(low, high, strict=True)]

    def ticks(self) -> list[Tick]:
        """Some of the bars by the day on which they begin, below their middle; the year where it begins."""
        every = -(-self.count // _TICKS_MAX)
        ticks, last = [], ""
        for index in range(0, self.count, every):
            at_us = self.start_us + index * self.step_days * DAY_US
            day = wording.short_day(at_us)
            year = wording.day(at_us).removeprefix(f"{day} ")
            ticks.append(Tick(100 * (index + 0.5) / self.count, day, year if year != last else ""))
            last = year
        return ticks
