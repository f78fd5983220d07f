"""A run: every region's scopes side by side, each with its own pace and log, into one lake."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

from exporter.commit_log.empty_listings import note_empty
from exporter.commit_log.lake_file import check_has_lake_file
from exporter.commit_log.named_files import check_has_log
from exporter.discovery.listings import ListingPage, first_scope, list_stages
from exporter.errors import (
    ApiError,
    CredentialsLost,
    ExportError,
    FileDamaged,
    LogDamaged,
    Malformed,
    Overtaken,
    ScopeHeld,
    UsageError,
)
from exporter.ivs.client import Client
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages
from exporter.ivs.retry import RetryingCaller
from exporter.ivs.service_time import FarDates
from exporter.lake.identity import LakeKind, look_at_lake, open_lake
from exporter.lake.stores.open import is_on_s3
from exporter.ledger import ScopeLedger
from exporter.machine.image import is_in_own_layer
from exporter.model import REGIONS, scope_of
from exporter.normalize.listed_model import ListedStage
from exporter.pipeline.budget import Budget, size_bytes_for
from exporter.pipeline.empty_regions import EmptyRegions, regions_with_stages
from exporter.pipeline.publication import publish_after
from exporter.pipeline.run_context import RunContext
from exporter.pipeline.scope import ScopeExport
from exporter.pipeline.scope_plan import ScopePlan, check_account, plan_scopes
from exporter.pipeline.stop import StopRequested
from exporter.pipeline.surroundings import real_surroundings
from exporter.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from exporter.aws.credentials import Credentials
    from exporter.discovery.cost import Estimate
    from exporter.discovery.request import Request
    from exporter.ivs.endpoints import Endpoint
    from exporter.model import Scope
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.pipeline.surroundings import FindEndpoint, Services, Surroundings
    from exporter.settings import AccountSettings, Settings

    #: What is done in a scope, with the stages that it has.
    ScopeWork = Callable[[ScopeExport, AsyncIterator[ListingPage]], Awaitable[None]]
    _OfScope = ApiError | ScopeHeld | Overtaken | LogDamaged | FileDamaged

# Each may be asked in as many regions as there are.
_ACCOUNTS_LOOKED_FOR = 3


async def survey(
    settings: Settings, request: Request, ledger: RunLedger, stop: Stop, surroundings: Surroundings | None = None
) -> list[Estimate]:
    """Estimate what `run` would cost, by scope: everything is listed, nothing is fetched and nothing is written.

    Raises what `run` raises.
    """
    estimates: list[Estimate] = []

    async def survey_one(scope: ScopeExport, stages: AsyncIterator[ListingPage]) -> None:
        estimates.append(await scope.survey(stages))

    around = surroundings or real_surroundings()
    await _over_scopes(settings, request, ledger, stop, around, work=survey_one, opens_lake=False)
    return estimates


async def run(
    settings: Settings, request: Request, ledger: RunLedger, stop: Stop, surroundings: Surroundings | None = None
) -> None:
    """Export what ``request`` asks for, and note in ``ledger`` what became of it.

    ``surroundings`` are those of this process where None are passed.

    Raises the :class:`ExportError` that ended the run as a whole; what was fetched whole before it is committed. What
    failed alone (a unit, a listing, a scope) is in the ledger.
    """
    around = surroundings or real_surroundings()
    await _over_scopes(settings, request, ledger, stop, around, work=ScopeExport.export, opens_lake=True)


async def _over_scopes(
    settings: Settings,
    request: Request,
    ledger: RunLedger,
    stop: Stop,
    surroundings: Surroundings,
    *,
    work: ScopeWork,
    opens_lake: bool,
) -> None:
    """See whether the lake can be used, and do the work in every scope, all at once. A stop ends it early."""
    plans = plan_scopes(settings, request)
    if not plans:  # a shard may have none
        return
    ledger.scopes = [ScopeLedger(plan.region, plan.account_id) for plan in plans]
    for scope in ledger.scopes:
        scope.listing_needed()  # of stages: one that is never reached is not done
    is_begun, began_us = False, surroundings.clock.wall_us()
    try:
        async with surroundings.open_services(
            settings, ledger.run_id, sorted({plan.region for plan in plans})
        ) as services:
            budget = Budget(size_bytes_for(len(plans)))
            context = RunContext(ledger.run_id, settings, request, stop, services.store, budget, surroundings)
            await stop.cut(_check_lake(context, opens_lake=opens_lake))
            is_begun = True
            note = partial(note_empty, services.store, began_us=began_us, run_id=ledger.run_id) if opens_lake else None
            empty = EmptyRegions(plans, services, stop, frozenset(settings.exclude_stages), note)
            await _Run(context, ledger, services, empty, work).work_on_all(plans)
            if opens_lake and settings.catalog.kind:
                ledger.publication = await publish_after(context, services.own_sessions)
    except StopRequested:
        pass  # what was not begun is deferred
    except ExportError as error:
        ledger.error = error
        if not is_begun:
            for scope in ledger.scopes:
                scope.lose(error)
        raise
    finally:
        for scope in ledger.scopes:
            scope.close()


async def _check_lake(context: RunContext, *, opens_lake: bool) -> None:
    """See that the lake is one, of this kind, or can become one; where ``opens_lake``, make it one.

    Raises :class:`LakeError` where it is none, and :class:`UsageError` where it is of another kind, or would be gone
    with the container.
    """
    lake = context.settings.lake
    if opens_lake and context.request.made_by == "run" and not is_on_s3(lake) and is_in_own_layer(lake):
        raise UsageError(
            f"lake: {lake} lies in the container's own layer, and would be gone with it: mount a folder or a volume"
            " there (docker run --volume /srv/lake:/lake), or name one on S3"
        )
    kind = LakeKind(context.request.made_by, context.privacy.fingerprint())
    if await look_at_lake(context.store, lake, kind) is None:
        await check_has_lake_file(context.store)
        await check_has_log(context.store)
    if opens_lake:
        await open_lake(context.store, lake, kind, context.run_id, context.clock.draw)


@dataclass(frozen=True, slots=True)
class _Run:
    """The scopes of one run, side by side."""

    context: RunContext
    ledger: RunLedger
    services: Services
    empty: EmptyRegions
    work: ScopeWork
    far_dates: FarDates = field(default_factory=FarDates, init=False)

    async def work_on_all(self, plans: Sequence[ScopePlan]) -> None:
        """Work on every scope, and then on what only the whole run shows. Raises what ended the run."""
        works = [self._work_on(plan, scope) for plan, scope in zip(plans, self.ledger.scopes, strict=True)]
        for error in await asyncio.gather(*works, return_exceptions=True):
            if error is not None:
                raise error
        await self._look_elsewhere(plans)
        await self.empty.name_unsure()

    async def _work_on(self, plan: ScopePlan, ledger: ScopeLedger) -> None:
        """Work on one scope. What fails it alone is noted; what ends the run makes the others stop and commit."""
        ledger.began_s = self.context.clock.monotonic_s()
        try:
            with span("scope", region=plan.region, account=plan.account_id):
                await self._work_in(plan, ledger)
        except StopRequested:
            pass  # the lists that were not read say so
        except BaseException as error:
            if not _is_of_scope(error, plan):
                self.context.stop.ask("error")
                if isinstance(error, ExportError):
                    ledger.lose(error)
                raise
            is_damaged = isinstance(error, (LogDamaged, FileDamaged))
            ledger.lose(error, is_held=isinstance(error, (ScopeHeld, Overtaken)), is_damaged=is_damaged)
        finally:
            self.empty.settle(plan)
            ledger.seconds = self.context.clock.monotonic_s() - ledger.began_s

    async def _work_in(self, plan: ScopePlan, ledger: ScopeLedger) -> None:
        """Let the first stages show whose scope it is, and do the run's work in it.

        In a region without a stage it is the work with what the lake has there, if it has anything.
        """
        caller = await self._caller(plan, ledger)
        first, stages = await self.context.stop.cut(first_scope(_stages(caller, plan)))
        scope = _scope_of(first, plan, ledger)
        check_account(self.context.request, ledger.account_id)
        if scope is not None:
            await self.empty.note_account(plan, scope)
            self.ledger.regions_with_stages.add(plan.region)
            await self.work(ScopeExport(self.context, scope, caller, ledger, is_whole=not plan.stage_arns), stages)
        elif ledger.is_empty:
            missed = await self.empty.missed(plan, ledger)
            check_account(self.context.request, ledger.account_id)
            if missed is not None:
                ledger.listing_needed()
                export = ScopeExport(self.context, missed, caller, ledger, is_whole=not plan.stage_arns, is_empty=True)
                await self.work(export, stages)

    async def _caller(self, plan: ScopePlan, ledger: ScopeLedger) -> RetryingCaller:
        """What calls a scope's API, with the credentials of its account."""
        context, settings = self.context, self.context.settings
        credentials = await context.stop.cut(self.services.credentials(plan.account))
        client = self._client(credentials, self.services.endpoints[plan.region])
        return RetryingCaller(client, settings.quota, settings.retry, settings.run.concurrency, context.clock, ledger)

    async def _look_elsewhere(self, plans: Sequence[ScopePlan]) -> None:
        """Where no region of the run has a stage, note which others have some. It is a hint: nothing fails by it."""
        find, stop, choice = self.services.find_endpoint, self.context.stop, self.context.request.scopes
        if find is None or stop.reason is not None or not all(scope.is_empty for scope in self.ledger.scopes):
            return
        if choice.sharded is not None:  # its neighbours ask in the others
            return
        others = set(REGIONS) - {plan.region for plan in plans}
        by_account = {plan.account: ledger for plan, ledger in zip(plans, self.ledger.scopes, strict=True)}
        for account, ledger in list(by_account.items())[:_ACCOUNTS_LOOKED_FOR]:
            with suppress(ExportError, StopRequested):
                client_of = partial(self._client_in, await self.services.credentials(account), find)
                found = await stop.cut(regions_with_stages(sorted(others), client_of, ledger))
                self._note_elsewhere(account, plans, found)

    def _note_elsewhere(
        self, account: AccountSettings | None, plans: Sequence[ScopePlan], found: Mapping[str, str | None]
    ) -> None:
        """Note the regions that have stages, and whose those are: that account was asked in the empty ones, too."""
        self.ledger.regions_with_stages |= set(found)
        accounts = set(found.values())
        for plan, ledger in zip(plans, self.ledger.scopes, strict=True):
            if plan.account == account and ledger.account_id is None and len(accounts) == 1:
                ledger.account_id = next(iter(accounts))

    async def _client_in(self, credentials: Credentials, find: FindEndpoint, region: str) -> Client:
        return self._client(credentials, await find(region))

    def _client(self, credentials: Credentials, endpoint: Endpoint) -> Client:
        clock = self.context.clock
        return Client(credentials, endpoint, self.services.connections, clock.wall_us, self.far_dates, clock.machine_us)


def _is_of_scope(error: BaseException, plan: ScopePlan) -> TypeGuard[_OfScope]:
    """Whether an error concerns one scope alone; one of the run's own credentials concerns them all.

    Scopes share no log and no file, so a damaged one stops its own scope; the others go on and commit.
    """
    if isinstance(error, CredentialsLost):
        return plan.account is not None
    return isinstance(error, (ScopeHeld, Overtaken, LogDamaged, FileDamaged, ApiError))


def _scope_of(first: ListingPage, plan: ScopePlan, ledger: ScopeLedger) -> Scope | None:
    """The scope that the first stages show; None where there are no stages, and their list is read then.

    Raises :class:`CredentialsLost` where they are of another account than the role that they were listed with.
    """
    scope = scope_of(first.stages[0].arn) if first.stages else None
    if scope is None:
        ledger.listing_read()
        for flaw in first.flaws:
            ledger.listing_flawed(ledger.name, Malformed(flaw))
        ledger.is_empty = not first.flaws
        return None
    if plan.account is not None and scope.account_id != plan.account.account_id:
        raise CredentialsLost(f"{plan.account.role_arn} lists stages of account {scope.account_id}")
    ledger.account_id = scope.account_id
    return scope


async def _stages(caller: RetryingCaller, plan: ScopePlan) -> AsyncIterator[ListingPage]:
    if plan.stage_arns:
        yield ListingPage(stages=[ListedStage(arn) for arn in plan.stage_arns])
        return
    async for listed in list_stages(named_pages(caller, Operation.LIST_STAGES, {}), plan.region):
        yield listed
