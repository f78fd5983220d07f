"""What a simulated process does: a command of the real program, in simulated surroundings."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exporter.cli import exit_codes
from exporter.cli.actions.publish import code_of
from exporter.discovery.request import Period, Request, ScopeChoice
from exporter.discovery.target_list import Targets
from exporter.errors import ExportError
from exporter.health.repair import Repair
from exporter.health.status import statuses
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.pipeline import run as run_module
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import DEADLINE, Stop
from exporter.pipeline.surroundings import Services, Surroundings
from exporter.settings import (
    AccountSettings,
    CatalogSettings,
    QuotaSettings,
    RetrySettings,
    RunSettings,
    Settings,
    TableSettings,
)
from tests.simulation.aws import Connections, Credentials, endpoint
from tests.simulation.catalog import CatalogHandle, behind_in, publish_in
from tests.simulation.lake import LakeHandle
from tests.simulation.plan import ALL_TABLES
from tests.simulation.process import Killed, true_us

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from random import Random

    from exporter.aws.sessions import MakeSession
    from exporter.catalog.outcome import Publication
    from exporter.commit_log.process import Process
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from tests.simulation.aws import Aws
    from tests.simulation.lake import Lake
    from tests.simulation.laws import Laws
    from tests.simulation.plan import Plan, Step
    from tests.simulation.process import SimulatedProcess
    from tests.simulation.truth import Truth

#: A command that was asked to stop ends its process so long after, whatever it is at.
_STOPPED_S_MAX = 10.0
_CATALOG = CatalogSettings.model_validate({"kind": "sql", "properties": {"uri": "simulated"}})


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of a world.

    ``is_gone`` says whether a process has ended, and ``was_alone`` whether none lived
    beside one; ``trace`` notes what happens.
    """

    plan: Plan
    truth: Truth
    laws: Laws
    lake: Lake
    aws: Aws
    is_gone: Callable[[Process], bool]
    was_alone: Callable[[SimulatedProcess], bool]
    trace: Callable[[str, str, str, str], None]

    async def carry_out(self, process: SimulatedProcess) -> None:
        """Do what the process is there for, and end it."""
        try:
            process.exit_code = await self._command(process)
        except ExportError:
            process.exit_code = exit_codes.FAILED
        except Killed:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self.laws.broken("no error is a bug", f"{process.name}: {error!r}")
        if not process.is_killed:
            self.trace(process.name, "end", f"exit {process.exit_code}", "")
            process.end()

    async def _command(self, process: SimulatedProcess) -> int:
        step = process.step
        store: Store = LakeHandle(self.lake, process, self.trace)
        if step.kind == "status":
            return await self._status(process, store)
        if step.kind == "publish":
            return code_of(await self._publish(process, store, is_rebuild=step.rebuilds))
        if step.kind == "verify":
            problems = [problem async for problem in verify(store, Verified(), is_gone=self._is_gone_for(process))]
            if problems and self.plan.is_whole:
                self.laws.verified(step, problems)
            return int(bool(problems))
        if step.kind == "repair":
            upkeep = Upkeep(store, f"r{step.number}", process.clock, process.identity, self._is_gone_for(process))
            return int(bool((await Repair(upkeep).run()).left))
        return await self._export(process)

    async def _status(self, process: SimulatedProcess, store: Store) -> int:
        await statuses(store, 5)
        if self.plan.has_catalog(process.step):
            counted = await behind_in(self._catalog_of(process, store))
            if self.was_alone(process) and not process.is_killed and not process.step.faults.stale:
                self.laws.catalog.counted(process.step, counted)
        return 0

    async def _publish(self, process: SimulatedProcess, store: Store, *, is_rebuild: bool = False) -> Publication:
        before = self.laws.catalog.before()
        handle = self._catalog_of(process, store)
        publication = await publish_in(handle, self.plan.bounds.files_a_commit, is_rebuild=is_rebuild)
        if not process.is_killed and not process.step.faults.stale:
            self.laws.catalog.published(process.step, publication, before)
        return publication

    def _catalog_of(self, process: SimulatedProcess, store: Store) -> CatalogHandle:
        return CatalogHandle(self.laws.catalog.catalog, process, self.trace, store)

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
                if step.stopped_by != DEADLINE:
                    process.loop.call_later(_STOPPED_S_MAX, process.kill)

        if step.stopped_s is not None:
            process.loop.call_later(step.stopped_s, ask)
        settings, request = self._settings(step), _request(step)
        began_us = true_us(process.loop)
        self.laws.begun(step)
        surroundings = self._surroundings(process)
        try:
            if step.kind == "survey":
                await run_module.survey(settings, request, ledger, stop, surroundings)
                return exit_codes.of_run(ledger, None)
            await run_module.run(settings, request, ledger, stop, surroundings)
        except ExportError as error:
            ledger.error = error
        code = exit_codes.of_run(ledger, stopped_by[0] if stopped_by else None)
        if not process.is_killed:
            process.publication = ledger.publication
            self.laws.ended(step, ledger, code, began_us, was_alone=self.was_alone(process))
            if self.plan.has_catalog(step):
                self.laws.catalog.ran(step, ledger.publication, code)
        return code

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
                give_up_days=step.give_up_days,
                grace_s=self.plan.grace_s,
            ),
            retry=RetrySettings(attempts=step.attempts, timeout_s=step.timeout_s),
            catalog=_CATALOG if self.plan.has_catalog(step) else CatalogSettings(),
            tables=TableSettings(**{name: name in step.tables for name in sorted(ALL_TABLES | {"details"})}),
        )

    def _surroundings(self, process: SimulatedProcess) -> Surroundings:
        own = self.plan.scopes[0].account_id

        async def credentials(account: AccountSettings | None) -> Any:
            return Credentials(own if account is None else account.account_id)

        async def own_account() -> str:
            return own

        @asynccontextmanager
        async def open_services(_: Settings, _run_id: str, regions: Iterable[str]) -> AsyncIterator[Services]:
            store: Store = LakeHandle(self.lake, process, self.trace)
            connections: Any = Connections(self.aws, process, self.trace)
            endpoints = {region: endpoint(region) for region in regions}
            yield Services(store, connections, endpoints, credentials, own_account=own_account)

        async def keep_catalog(_: Settings, store: Store, _sessions: MakeSession | None, _clock: Clock) -> Publication:
            return await self._publish(process, store)

        return Surroundings(process.clock, process.identity, self._is_gone_for(process), open_services, keep_catalog)

    def _is_gone_for(self, process: SimulatedProcess) -> Any:
        def is_gone(other: Process) -> bool | None:
            if other.host != process.step.host:
                return None
            return self.is_gone(other)

        return is_gone


def _request(step: Step) -> Request:
    targets = None
    if step.kind == "targets":
        stages: dict[str, dict[str, str]] = {}
        for stage_arn, session_id, participant_id in step.targets:
            sessions = stages.setdefault(stage_arn, {})
            if session_id:
                sessions[session_id] = f"{sessions.get(session_id, '')} {participant_id}".strip()
        targets = Targets(stages)
    return Request(
        targets,
        Period(step.since_us, step.until_us),
        refetch=step.kind == "refetch",
        backfill_tables=step.backfills,
        scopes=ScopeChoice(wait=step.wait),
    )


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
                some = [each.participant_id for each in session.participants if random.random() < 0.7]
                targets += [(*session.key, participant_id) for participant_id in some]
    first = next(iter(truth.stages.values()))[0].arn
    return tuple(targets) or ((first, "", ""),)
