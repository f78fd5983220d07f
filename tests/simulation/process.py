"""One process of a simulated world: its clocks, its tasks, and how it ends or sleeps."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from exporter.commit_log.process import Process
from exporter.machine.clock import Clock
from tests.simulation.loop import NOBODY
from tests.simulation.plan import EPOCH_US, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from exporter.catalog.outcome import Publication
    from tests.simulation.loop import SeededLoop
    from tests.simulation.plan import Step

_PIDS_FROM = 100
_TICK_S = 1e-6


class Killed(BaseException):
    """What is left of a killed process meets this wherever it reaches outside: its memory is freed, and no more."""


class SimulatedProcess:
    """What a step of the plan runs in.

    It counts what it does outside itself, and is killed or put to sleep at the count that the plan says; what
    ``others`` change in the lake may wake it. ``has_ended`` is done when it has ended, whichever way.
    """

    def __init__(self, loop: SeededLoop, step: Step, random: Random, others: Iterable[SimulatedProcess]) -> None:
        self.loop = loop
        self.step = step
        self.random = random
        self.others = others
        self.is_killed = False
        self.is_buried = False
        self.is_asleep = False
        self.operations = 0
        self.changes = 0
        self.changes_of_others = 0
        self.ended_s = math.inf
        self.exit_code: int | None = None
        self.publication: Publication | None = None
        self.main: asyncio.Task[None] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.dropped: list[asyncio.Handle] = []
        self.put_off: list[asyncio.Handle] = []
        self.has_ended: asyncio.Future[None] = loop.create_future()
        self.identity = Process(step.host, f"boot-of-{step.host}", "pid", _PIDS_FROM + step.number, str(step.number))
        self.clock = Clock(self._monotonic_s, self._wall_us, _sleep, random.random)

    @property
    def name(self) -> str:
        """What the trace calls it."""
        return f"{self.step.number} {self.step.kind}"

    @property
    def is_dead(self) -> bool:
        """Whether nothing of it may run."""
        return self.is_killed and not self.is_buried

    def own(self, task: asyncio.Task[Any]) -> None:
        """Note that a task was made in the process."""
        self.tasks.append(task)

    def count(self, *, is_change: bool = False) -> None:
        """Note one thing done outside: the process dies or falls asleep behind it where that is planned.

        ``is_change`` says that it changed records or data files.
        """
        self.operations += 1
        self.changes += is_change
        is_counted = is_change or not self.step.is_asleep_by_changes
        counted = self.changes if self.step.is_asleep_by_changes else self.operations
        if self.operations == self.step.killed_after:
            self.kill()
        if is_counted and counted == self.step.asleep_after:
            self.is_asleep = True
            self.loop.call_later(self.step.asleep_s, self.wake, context=NOBODY)
        if is_change:
            for other in self.others:
                if other is not self and other.is_asleep:
                    other.note_change_of_another()

    def note_change_of_another(self) -> None:
        """Note, asleep, that another process has changed the lake."""
        self.changes_of_others += 1
        if self.changes_of_others == self.step.woken_after:
            self.wake()

    def wake(self) -> None:
        """Go on with all that was put off while it slept."""
        self.is_asleep = False
        self.loop.take_back(self.put_off)
        self.put_off.clear()

    def kill(self) -> None:
        """Let nothing of the process ever run again."""
        self.is_killed = True
        self.end()

    async def bury(self) -> None:
        """Free what a killed process held: its tasks are cancelled, and reach nothing outside any more."""
        self.is_killed = self.is_buried = True
        self.wake()
        self.loop.take_back(self.dropped)
        left = [task for task in self.tasks if not task.done()]
        while left:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1_000.0)
            left = [task for task in self.tasks if not task.done()]
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def end(self) -> None:
        """Note that the process has ended."""
        if not self.has_ended.done():
            self.ended_s = self.loop.time()
            self.has_ended.set_result(None)

    def _monotonic_s(self) -> float:
        return 1_000.0 * self.step.number + self.loop.time()

    def _wall_us(self) -> int:
        return true_us(self.loop) + self.step.skew_us


async def _sleep(seconds: float) -> None:
    """Sleep long enough for the virtual time to pass, which has no more digits than any float."""
    await asyncio.sleep(max(seconds, _TICK_S))


def true_us(loop: SeededLoop) -> int:
    """The true time, in microseconds since the epoch."""
    return EPOCH_US + int(loop.time() * SECOND_US)
