"""One world, from its seed to its end: the real program runs in simulated surroundings, and the laws look on."""

from __future__ import annotations

import asyncio
import gc
import hashlib
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from exporter import commit, running, writer
from exporter.cli import exits
from exporter.commit import read_state
from exporter.errors import ExportError
from exporter.ledger import RunLedger
from exporter.request import Request, Stop
from exporter.settings import AccountSettings, QuotaSettings, RetrySettings, RunSettings, Settings
from exporter.status import statuses
from exporter.surroundings import Services, Surroundings
from exporter.targets import Targets
from exporter.verify import Verified, verify
from tests.simulation.aws import Aws, Connections, Credentials, endpoint
from tests.simulation.lake import Lake, LakeHandle
from tests.simulation.laws import BrokenLaw, Laws
from tests.simulation.loop import OWNER, EndlessError, SeededLoop
from tests.simulation.nature import draw_truth
from tests.simulation.plan import DAY_S, EPOCH_US, SECOND_US, Faults, Plan, Step
from tests.simulation.process import Killed, SimulatedProcess, true_us

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, MutableMapping
    from random import Random

    from exporter.processes import Process
    from exporter.store import Store
    from tests.simulation.truth import Truth

#: More virtual time than any run of a simulated world takes.
RUN_S_MAX = 12 * 3_600.0
_STOPPED_S_MAX = 10.0
_LAST_RUNS_MAX = 4


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
        with _small_bounds(plan), _logs_in(world):
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
        self.truth: Truth = draw_truth(plan)
        self.laws = Laws(plan, self.truth, self.loop)
        self.lake = Lake(self.laws)
        self.laws.lake = self.lake
        self.aws = Aws(plan, self.truth, self.laws)
        self.processes: list[SimulatedProcess] = []

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
            self._start(step)
        for process in self.processes:
            await process.has_ended
        await self._quiet_nights()

    async def _quiet_nights(self) -> None:
        """Runs that nothing disturbs, once everything is over: after them the lake is the truth."""
        over_s = max([(each.last_us - EPOCH_US) / SECOND_US for each in self.truth.sessions()], default=0.0)
        await asyncio.sleep(max(0.0, over_s + self.plan.grace_s - self.loop.time()) + 300.0)
        for number in range(1, _LAST_RUNS_MAX + 1):
            await asyncio.sleep(DAY_S)
            began_us = true_us(self.loop)
            process = self._start(Step(100 + number, "nightly", self.loop.time(), "anna", wait=True))
            await process.has_ended
            if process.exit_code == 0:
                break
        else:
            if not self._is_refused_for_ever():
                self.laws.broken("quiet nights are complete", f"the last one ended with {process.exit_code}")
        self.laws.at_the_end(began_us)
        await self._check_log()
        async for problem in verify(_Plain(self.lake), Verified()):
            self.laws.broken("verify is clean", f"{problem.key}: {problem.message}")

    def _is_refused_for_ever(self) -> bool:
        now_us = true_us(self.loop)
        return any(
            now_us in span
            for session in self.truth.sessions()
            for participant in session.participants
            for span in participant.refused
        )

    async def _check_log(self) -> None:
        """A start that reads a snapshot comes to the same state as one that reads all records."""
        for scope in self.plan.scopes:
            store = _Plain(self.lake)
            state = await read_state(store, scope)
            whole = await read_state(_WithoutSnapshots(self.lake), scope)
            if state != whole:
                self.laws.broken("the log reads back", f"{scope}: a snapshot differs from its records")

    def _start(self, step: Step) -> SimulatedProcess:
        process = SimulatedProcess(self.loop, step, self.plan.random(f"process {step.number}"))
        self.processes.append(process)
        context = copy_context()
        context.run(OWNER.set, process)
        self.note("", "start", step.words(), "")
        process.main = self.loop.create_task(self._main(process), context=context)
        if step.killed_s is not None:
            self.loop.call_later(step.killed_s, process.kill)
        self.loop.call_later(RUN_S_MAX + step.asleep_s, self._check_ended, process)
        return process

    def _check_ended(self, process: SimulatedProcess) -> None:
        if not process.has_ended.done():
            self.laws.broken("every wait ends", f"{process.name} goes on for {RUN_S_MAX:.0f} s")

    async def _main(self, process: SimulatedProcess) -> None:
        """What the command does."""
        try:
            process.exit_code = await self._command(process)
        except ExportError as error:
            process.exit_code = 1
            self._check_failure(process, error)
        except Killed:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self.laws.broken("no error is a bug", f"{process.name}: {error!r}")
        if not process.is_killed:
            self.note(process.name, "end", f"exit {process.exit_code}", "")
            process.end()

    async def _command(self, process: SimulatedProcess) -> int:
        step = process.step
        if step.kind in {"verify", "status"}:
            store = LakeHandle(self.lake, process, self.note)
            if step.kind == "status":
                await statuses(store, 5)
                return 0
            return int(any([problem async for problem in verify(store, Verified())]))
        return await self._export(process)

    async def _export(self, process: SimulatedProcess) -> int:
        step = process.step
        random = self.plan.random(f"targets {step.number}")
        if step.kind == "targets":
            step = process.step = replace(step, targets=_draw_targets(random, self.truth))
        stop, ledger = Stop(), RunLedger(f"r{step.number}")
        stopped_by: list[str] = []

        def ask() -> None:
            if not process.has_ended.done():
                stop.ask(step.stopped_by)
                stopped_by.append(step.stopped_by)
                if step.stopped_by != "deadline":
                    self.loop.call_later(_STOPPED_S_MAX, process.kill)

        if step.stopped_s is not None:
            self.loop.call_later(step.stopped_s, ask)
        settings, request = self._settings(step), _request(step)
        began_us = true_us(self.loop)
        self.laws.begun(step)
        surroundings = self._surroundings(process)
        try:
            if step.kind == "survey":
                await running.survey(settings, request, ledger, stop, surroundings)
                return exits.of_run(ledger, None)
            await running.run(settings, request, ledger, stop, surroundings)
        except ExportError as error:
            ledger.error = error
            self._check_failure(process, error)
        code = exits.of_run(ledger, stopped_by[0] if stopped_by else None)
        if not process.is_killed:
            self.laws.ended(step, ledger, code, began_us)
        return code

    def _check_failure(self, process: SimulatedProcess, error: ExportError) -> None:
        """A whole run fails for a reason that the world gave it."""
        step = process.step
        if step.faults == Faults() and step.asleep_after is None and self._was_alone(process):
            self.laws.broken("a run fails for a reason", f"{process.name}: {error!r}")

    def _was_alone(self, process: SimulatedProcess) -> bool:
        return all(other is process or other.has_ended.done() for other in self.processes)

    def _settings(self, step: Step) -> Settings:
        accounts = sorted({scope.account_id for scope in self.plan.scopes})
        regions = sorted({scope.region for scope in self.plan.scopes})
        roles = [AccountSettings(role_arn=f"arn:aws:iam::{account}:role/reader") for account in accounts]
        return Settings(
            regions=tuple(regions),
            accounts=tuple(roles) if len(roles) > 1 else (),
            quota=QuotaSettings(calls_per_second=step.calls_per_second),
            run=RunSettings(
                concurrency=step.concurrency,
                checkpoint_s=step.checkpoint_s,
                active_sessions=step.active_sessions,
                grace_s=self.plan.grace_s,
            ),
            retry=RetrySettings(attempts=step.attempts, timeout_s=step.timeout_s),
        )

    def _surroundings(self, process: SimulatedProcess) -> Surroundings:
        own = self.plan.scopes[0].account_id

        async def credentials(account: AccountSettings | None) -> Any:
            return Credentials(own if account is None else account.account_id)

        @asynccontextmanager
        async def open_services(_: Settings, _run_id: str, regions: Iterable[str]) -> AsyncIterator[Services]:
            store: Store = LakeHandle(self.lake, process, self.note)
            connections: Any = Connections(self.aws, process, self.note)
            yield Services(store, connections, {region: endpoint(region) for region in regions}, credentials)

        return Surroundings(process.clock, process.identity, self._is_gone_for(process), open_services)

    def _is_gone_for(self, process: SimulatedProcess) -> Any:
        def is_gone(other: Process) -> bool | None:
            if other.host != process.step.host:
                return None
            return not any(each.identity == other and not each.has_ended.done() for each in self.processes)

        return is_gone

    def note(self, who: str, what: str, of: str, how: str) -> None:
        """Note what happens, for whoever asks why."""
        self.trace.append((round(self.loop.time(), 3), who, what, of, how))

    def _bury(self) -> None:
        """Let go of all that is left, without any of it reaching the lake."""
        self.loop.finding = None
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


def _request(step: Step) -> Request:
    targets = None
    if step.kind == "targets":
        stages: dict[str, dict[str, str]] = {}
        for stage_arn, session_id, participant_id in step.targets:
            sessions = stages.setdefault(stage_arn, {})
            if session_id:
                sessions[session_id] = f"{sessions.get(session_id, '')} {participant_id}".strip()
        targets = Targets(stages)
    return Request(targets, step.since_us, step.until_us, step.kind == "refetch", step.wait)


def _draw_targets(random: Random, truth: Truth) -> tuple[tuple[str, str, str], ...]:
    """Some stages, some sessions, some participants, each stage in one way."""
    targets: list[tuple[str, str, str]] = []
    for stages in truth.stages.values():
        for stage in stages:
            if random.random() < 0.3:
                continue
            if not stage.sessions or random.random() < 0.4:
                targets.append((stage.arn, "", ""))
                continue
            for session in stage.sessions:
                if not session.participants or random.random() < 0.5:
                    targets.append((*session.key, ""))
                    continue
                for participant in session.participants:
                    if random.random() < 0.7:
                        targets.append((*session.key, participant.participant_id))
    first = next(iter(truth.stages.values()))[0].arn
    return tuple(targets) or ((first, "", ""),)


class _Plain(LakeHandle):
    """The lake at once and without a fault, for whoever checks it."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    async def _do(self, operation: str, key: str, act: Any) -> Any:
        return act()

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        return self._lake.keys(prefix, after)


class _WithoutSnapshots(_Plain):
    """The same, as if no snapshot had ever been made."""

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        return [] if "/snapshots/" in prefix else await super().keys(prefix, after)


@contextmanager
def _small_bounds(plan: Plan) -> Iterator[None]:
    """The program's own bounds, as the plan has them."""
    bounds = plan.bounds
    changes: list[tuple[Any, str, object]] = [
        (running, "_ROWS_MAX", bounds.rows_max),
        (running, "_ROWS_A_SCOPE", bounds.rows_max),
        (writer, "_PIECE_SIZE_BYTES", bounds.piece_size_bytes),
        (writer, "_BATCH_SIZE_BYTES", bounds.batch_size_bytes),
        (commit, "SNAPSHOT_RECORDS", bounds.snapshot_records),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def _logs_in(world: _World) -> Iterator[None]:
    """The program's log lines, in the trace."""

    def note(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        words = {name: value for name, value in event.items() if name != "event"}
        world.note("log", method, str(event.get("event")), str(words))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[note])
    try:
        yield
    finally:
        structlog.configure(**before)
