"""A run: every region's scopes side by side, each with its own pace and log, into one lake."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aioboto3

from exporter.api.caller import Caller, Time
from exporter.api.client import Client
from exporter.api.connections import open_connections
from exporter.api.operations import Operation
from exporter.api.paging import named_pages
from exporter.budget import Budget
from exporter.discover import Listed, list_stages
from exporter.domain import scope_of
from exporter.errors import ApiError, CredentialsLost, ExportError, Held, Malformed, Overtaken
from exporter.exporting import ScopeExport
from exporter.ledger import RunLedger, ScopeLedger
from exporter.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aiohttp

    from exporter.domain import Scope
    from exporter.estimate import Estimate
    from exporter.request import Request, Stop
    from exporter.settings import Settings
    from exporter.store import Store

    #: What is done in a scope, with the stages that it has.
    Work = Callable[[ScopeExport, AsyncIterator[Listed]], Awaitable[None]]

# Rows that wait in memory for their checkpoints, in the whole process; a row takes some 60 bytes.
_ROWS_MAX = 250_000


async def survey(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> list[Estimate]:
    """What `run` would cost, by scope: everything is listed, nothing is fetched and nothing is written.

    Raises what `run` raises.
    """
    estimates: list[Estimate] = []

    async def survey_one(scope: ScopeExport, stages: AsyncIterator[Listed]) -> None:
        estimates.append(await scope.survey(stages))

    await _over_scopes(settings, request, ledger, stop, survey_one)
    return estimates


async def run(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:
    """Export what ``request`` asks for, and note in ``ledger`` what became of it.

    Raises the :class:`ExportError` that ended the run as a whole; what was fetched whole before it is committed. What
    failed alone (a unit, a listing, a scope) is in the ledger.
    """
    await _over_scopes(settings, request, ledger, stop, ScopeExport.export)


async def _over_scopes(settings: Settings, request: Request, ledger: RunLedger, stop: Stop, work: Work) -> None:
    """Do the work in every scope, all at once."""
    parts = plan_parts(settings, request)
    ledger.scopes = [ScopeLedger(part.region, part.account_id) for part in parts]
    session = aioboto3.Session()
    try:
        async with (
            open_connections(settings.http) as connections,
            open_store(settings.lake, session=session, s3=settings.s3.options()) as store,
        ):
            a_run = _Run(settings, request, ledger, stop, store, session, connections, Budget(_ROWS_MAX), work)
            works = [a_run.work_on(part, scope) for part, scope in zip(parts, ledger.scopes, strict=True)]
            ended = await asyncio.gather(*works, return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error
    except ExportError as error:
        ledger.error = error
        raise
    finally:
        for scope in ledger.scopes:
            scope.close()


@dataclass(frozen=True, slots=True)
class Part:
    """One scope of a run, as far as it is known before anything was asked.

    Without ``stage_arns`` it is a whole region, and its stages tell its account.
    """

    region: str
    account_id: str | None = None
    stage_arns: tuple[str, ...] = ()


def plan_parts(settings: Settings, request: Request) -> list[Part]:
    """The scopes to export: those of the stages that targets or settings name, else the regions."""
    stage_arns = set(settings.stages)
    if request.targets is not None:
        stage_arns = {arn for scope in request.targets.scopes() for arn in request.targets.stages(scope)}
    if not stage_arns:
        return [Part(region) for region in settings.regions]
    by_scope: dict[Scope, list[str]] = {}
    for arn in sorted(stage_arns):
        if scope := scope_of(arn):
            by_scope.setdefault(scope, []).append(arn)
    return [Part(scope.region, scope.account_id, tuple(by_scope[scope])) for scope in sorted(by_scope)]


@dataclass(frozen=True, slots=True)
class _Run:
    """What the scopes of one run share."""

    settings: Settings
    request: Request
    ledger: RunLedger
    stop: Stop
    store: Store
    session: aioboto3.Session
    connections: aiohttp.ClientSession
    budget: Budget
    work: Work

    async def work_on(self, part: Part, ledger: ScopeLedger) -> None:
        """Work on one scope. What fails it alone is noted; what ends the run makes the others stop and commit."""
        began_s = time.monotonic()
        try:
            await self._work_on(part, ledger)
        except BaseException as error:
            if not isinstance(error, (Held, Overtaken, ApiError)) or isinstance(error, CredentialsLost):
                self.stop.ask("error")
                raise
            ledger.is_held = isinstance(error, (Held, Overtaken))
            ledger.is_lost = not ledger.is_held
            ledger.listings_open = 0
            ledger.fail(ledger.name, error)
        finally:
            ledger.seconds = time.monotonic() - began_s

    async def _work_on(self, part: Part, ledger: ScopeLedger) -> None:
        settings = self.settings
        clock = Time(time.monotonic, asyncio.sleep, random.random)
        client = await Client(self._sessions(), part.region, self.connections, wall_us=wall_us).open()
        caller = Caller(client, settings.quota, settings.retry, settings.run.concurrency, clock, ledger)
        stages = _stages(caller, part)
        ledger.listings_open += 1
        first = await self.stop.cut(_first_with_stages(stages))
        scope = scope_of(first.stage_arns[0]) if first and first.stage_arns else None
        if first is None or scope is None:
            ledger.listings_open -= first is not None
            for flaw in first.flaws if first else ():
                ledger.fail(ledger.name, Malformed(flaw))
            return
        ledger.account_id = scope.account_id
        scope_export = ScopeExport(
            scope=scope,
            store=self.store,
            caller=caller,
            settings=settings.run,
            request=self.request,
            ledger=ledger,
            stop=self.stop,
            run_id=self.ledger.run_id,
            budget=self.budget,
            is_whole=not part.stage_arns,
            now_us=lambda: client.now_us,
            wall_us=wall_us,
            clock=time.monotonic,
            sleep=asyncio.sleep,
        )
        await self.work(scope_export, _chained(first, stages))

    def _sessions(self) -> Callable[[], aioboto3.Session]:
        """The run's own session first, for it is costly; a new one each time that credentials have to be read anew."""
        first = [self.session]
        return lambda: first.pop() if first else aioboto3.Session()


def wall_us() -> int:
    """The local clock in microseconds since the epoch."""
    return time.time_ns() // 1_000


async def _stages(caller: Caller, part: Part) -> AsyncIterator[Listed]:
    if part.stage_arns:
        yield Listed(stage_arns=list(part.stage_arns))
        return
    async for listed in list_stages(named_pages(caller, Operation.LIST_STAGES, {}), part.region):
        yield listed


async def _first_with_stages(stages: AsyncIterator[Listed]) -> Listed:
    """What is listed up to the first stage; without stages where there are none."""
    flaws: list[str] = []
    async for listed in stages:
        flaws += listed.flaws
        if listed.stage_arns:
            return Listed(listed.served_us, listed.stage_arns, flaws=flaws)
    return Listed(flaws=flaws)


async def _chained(first: Listed, others: AsyncIterator[Listed]) -> AsyncIterator[Listed]:
    yield first
    async for listed in others:
        yield listed
