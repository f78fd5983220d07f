"""One world, from its seed to its end: the real program runs in simulated surroundings, and the laws look on."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from exporter.commit_log.reader import read_state
from exporter.health.verify import Verified, verify
from tests.simulation.aws import Aws
from tests.simulation.catalog import Catalog
from tests.simulation.commands import Commands
from tests.simulation.facts import Facts
from tests.simulation.lake import Lake, PlainLake
from tests.simulation.laws import BrokenLaw, Laws
from tests.simulation.loop import OWNER, EndlessError, SeededLoop
from tests.simulation.nature import draw_truth
from tests.simulation.plan import DAY_S, EPOCH_US, SECOND_US, Plan, Step
from tests.simulation.process import SimulatedProcess, true_us
from tests.simulation.program import logs_in, small_bounds
from tests.simulation.reading import table_of

if TYPE_CHECKING:
    from exporter.commit_log.process import Process

#: More virtual time than any run of a simulated world takes.
RUN_S_MAX = 12 * 3_600.0
_LAST_RUNS_MAX = 5
#: The numbers of the quiet runs come behind those of all others.
_LAST_FROM = 10_000
#: What a list lacks, the run after it knows; so the second one seals.
_LAST_SUCCESSES = 2


@dataclass(slots=True)
class Told:
    """How a world went. ``finding`` is what broke a law, None where none was broken."""

    plan: Plan
    finding: Exception | None
    trace: list[tuple[float, str, str, str, str]] = field(repr=False)

    @property
    def digest(self) -> str:
        """A hash of all that happened: the same for the same world."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()

    @property
    def law(self) -> str:
        """The name of the law that was broken, or of what else went wrong."""
        return self.finding.law if isinstance(self.finding, BrokenLaw) else type(self.finding).__name__


def live(plan: Plan) -> Told:
    """Let a world go by, with all steps of its plan, and then some quiet nights."""
    world = _World(plan)
    was_enabled = gc.isenabled()
    gc.disable()  # what it closes, it closes at moments that no seed decides
    try:
        with small_bounds(plan.bounds), logs_in(world.note):
            finding = world.run()
    finally:
        if was_enabled:
            gc.enable()
    return Told(plan, finding, world.trace)


class _World:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.trace: list[tuple[float, str, str, str, str]] = []
        self.loop = SeededLoop(plan.random("schedule"), is_in_order=plan.is_in_order)
        self.truth = draw_truth(plan)
        self.facts = Facts(self.truth, self.loop)
        self.laws = Laws(self.facts, self.loop)
        self.lake = self.facts.lake = Lake(self.laws, ignores_conditions="no conditions" in plan.features)
        self.laws.catalog.catalog = Catalog(self.laws.catalog)
        self.aws = Aws(plan, self.truth, self.laws)
        self.processes: list[SimulatedProcess] = []
        self.commands = Commands(
            plan, self.truth, self.laws, self.lake, self.aws, self._is_gone, self._was_alone, self.note
        )

    def run(self) -> Exception | None:
        """What went wrong, if anything did."""
        finding: Exception | None = None
        try:
            self.loop.run_until_complete(self._live())
            if self.loop.finding is not None:
                raise self.loop.finding
            if self.loop.problems:
                finding = BrokenLaw("no error is dropped", self.loop.problems[0])
        except (BrokenLaw, EndlessError) as error:
            finding = error
        finally:
            self._bury()
        return finding

    async def _live(self) -> None:
        for step in self.plan.steps:
            await asyncio.sleep(max(0.0, step.at_s - self.loop.time()))
            if step.kind == "damage":
                self._spoil(step)
            else:
                self._start(step)
        for process in self.processes:
            await process.has_ended
        if not self.lake.ignores_conditions:
            await self._quiet_nights()

    async def _quiet_nights(self) -> None:
        """Runs that nothing disturbs, once everything is over: after them the lake is the truth."""
        over_s = max([(each.last_us - EPOCH_US) / SECOND_US for each in self.truth.sessions()], default=0.0)
        await asyncio.sleep(max(0.0, over_s + self.plan.grace_s - self.loop.time()) + 300.0)
        if self.facts.spoilt:
            await self._start(Step(_LAST_FROM, "repair", self.loop.time(), "anna")).has_ended
        successes, began_us, process = 0, 0, None
        for number in range(1, _LAST_RUNS_MAX + 1):
            await asyncio.sleep(DAY_S)
            began_us = true_us(self.loop)
            step = Step(_LAST_FROM + number, "nightly", self.loop.time(), "anna", wait=True, give_up_days=1.0)
            if "tables off" in self.plan.features:
                step = replace(step, backfills=True)
            process = self._start(step)
            await process.has_ended
            successes += process.exit_code == 0
            if successes == _LAST_SUCCESSES:
                break
        if not successes and not self.facts.is_anything_in_the_way:
            self.laws.broken("quiet nights are complete", f"none of {_LAST_RUNS_MAX} ended with 0")
        self.laws.at_the_end(began_us)
        if "catalog" in self.plan.features:
            self.laws.catalog.at_the_end(None if process is None else process.publication)
        await self._check_log()
        async for problem in verify(PlainLake(self.lake), Verified()):
            self.laws.broken("verify is clean", f"{problem.key}: {problem.message}")

    async def _check_log(self) -> None:
        """A start that reads a snapshot comes to the same state as one that reads all records."""
        for scope in self.plan.scopes:
            state = await read_state(PlainLake(self.lake), scope)
            whole = await read_state(PlainLake(self.lake, without="/snapshots/"), scope)
            state.snapshot_number = whole.snapshot_number
            if state != whole:
                self.laws.broken("the log reads back", f"{scope}: a snapshot differs from its records")

    def _spoil(self, step: Step) -> None:
        """Let files that readers see be gone or changed, of any table, as a disk or somebody's hand does it."""
        random = self.plan.random(f"damage {step.number}")
        for _ in range(random.choice((1, 1, 2, 4))):
            keys = sorted(self.lake.visible.keys() - self.facts.spoilt)
            if not keys:
                return
            table = random.choice(sorted(set(map(table_of, keys))))
            key = random.choice([key for key in keys if table_of(key) == table])
            at = random.choice((None, random.randrange(1 << 20)))
            self.note("", "damage", key, "gone" if at is None else "changed")
            self.lake.spoil(key, at)

    def _start(self, step: Step) -> SimulatedProcess:
        process = SimulatedProcess(self.loop, step, self.plan.random(f"process {step.number}"), self.processes)
        self.processes.append(process)
        self.loop.begin()
        context = copy_context()
        context.run(OWNER.set, process)
        self.note("", "start", step.words(), "")
        process.main = self.loop.create_task(self.commands.carry_out(process), context=context)
        if step.killed_s is not None:
            self.loop.call_later(step.killed_s, process.kill)
        self.loop.call_later(RUN_S_MAX + step.asleep_s, self._check_ended, process)
        return process

    def _check_ended(self, process: SimulatedProcess) -> None:
        if not process.has_ended.done():
            self.laws.broken("every wait ends", f"{process.name} goes on for {RUN_S_MAX:.0f} s")

    def _is_gone(self, other: Process) -> bool:
        return not any(each.identity == other and not each.has_ended.done() for each in self.processes)

    def _was_alone(self, process: SimulatedProcess) -> bool:
        """Whether no other process lived while this one did."""
        return all(other is process or other.ended_s <= process.step.at_s for other in self.processes)

    def note(self, who: str, what: str, of: str, how: str) -> None:
        """Note what happens, for whoever asks why."""
        self.trace.append((round(self.loop.time(), 3), who, what, of, how))

    def _bury(self) -> None:
        """Let go of all that is left, without any of it reaching the lake."""
        self.loop.finding = None
        self.loop.begin()
        self.laws.broken = lambda *_: None  # type: ignore[method-assign]
        self.loop.run_until_complete(self._end_all())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _end_all(self) -> None:
        own = asyncio.current_task()
        for process in self.processes:
            await process.bury()
        left = [task for task in asyncio.all_tasks() if task is not own]
        for task in sorted(left, key=hash):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
