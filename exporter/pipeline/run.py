"""A run: every region's scopes side by side, each with its own pace and log, into one lake."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

from exporter.commit_log.named_files import check_has_log
from exporter.discovery.listings import ListingPage, list_stages
from exporter.errors import (
    ApiError,
    CredentialsLost,
    ExportError,
    FileDamaged,
    LogDamaged,
    Malformed,
    Overtaken,
    ScopeHeld,
)
from exporter.ivs.client import Client
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages
from exporter.ivs.retry import RetryingCaller
from exporter.ivs.service_time import FarDates
from exporter.lake.identity import look_at_lake, open_lake
from exporter.ledger import ScopeLedger
from exporter.model import REGIONS, scope_of
from exporter.pipeline.budget import Budget
from exporter.pipeline.empty_regions import EmptyRegions, regions_with_stages
from exporter.pipeline.scope import ScopeExport
from exporter.pipeline.scope_plan import ScopePlan, plan_parts
from exporter.pipeline.surroundings import real_surroundings

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

# What waits in memory for its checkpoint, in the whole process: 250,000 everyday rows, of some 50 bytes each. Many
# scopes get more, for small files cost much: to write, and to read ever after.
_WAITING_SIZE_BYTES_MAX = 12 << 20
_WAITING_SIZE_BYTES_A_SCOPE = 256 << 10
# Each may be asked in as many regions as there are.
_ACCOUNTS_LOOKED_FOR = 3


async def survey(
    settings: Settings, request: Request, ledger: RunLedger, stop: Stop, surroundings: Surroundings | None = None
) -> list[Estimate]:
    """What `run` would cost, by scope: everything is listed, nothing is fetched and nothing is written.

    Raises what `run` raises.
    """
    estimates: list[Estimate] = []

    async def survey_one(scope: ScopeExport, stages: AsyncIterator[ListingPage]) -> None:
        estimates.append(await scope.survey(stages))

    around = surroundings or real_surroundings()
    await _over_scopes(settings, request, ledger, stop, work=survey_one, surroundings=around, is_dry=True)
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
    await _over_scopes(settings, request, ledger, stop, work=ScopeExport.export, surroundings=around)


async def _over_scopes(
    settings: Settings,
    request: Request,
    ledger: RunLedger,
    stop: Stop,
    *,
    work: ScopeWork,
    surroundings: Surroundings,
    is_dry: bool = False,
) -> None:
    """See whether the lake can be used, and do the work in every scope, all at once."""
    parts = plan_parts(settings, request)
    ledger.scopes = [ScopeLedger(part.region, part.account_id) for part in parts]
    for scope in ledger.scopes:
        scope.listing_needed()  # of stages: one that is never reached is not done
    is_begun = False
    regions = sorted({part.region for part in parts})
    try:
        async with surroundings.open_services(settings, ledger.run_id, regions) as services:
            lake, made_by = settings.lake, request.made_by
            if await stop.cut(look_at_lake(services.store, lake, made_by)) is None:
                await stop.cut(check_has_log(services.store))
            if not is_dry:
                draw = surroundings.clock.draw
                await stop.cut(open_lake(services.store, lake, made_by, ledger.run_id, draw))
            budget = Budget(max(_WAITING_SIZE_BYTES_MAX, _WAITING_SIZE_BYTES_A_SCOPE * len(parts)))
            empty = EmptyRegions(parts, services, stop, frozenset(settings.exclude_stages))
            a_run = _Run(settings, request, ledger, stop, surroundings, services, budget, work, empty)
            works = [a_run.work_on(part, scope) for part, scope in zip(parts, ledger.scopes, strict=True)]
            is_begun = True
            ended = await asyncio.gather(*works, return_exceptions=True)
            for error in ended:
                if error is not None:
                    raise error
            await a_run.look_elsewhere(parts)
            await empty.name_unsure()
    except ExportError as error:
        ledger.error = error
        if not is_begun:
            for scope in ledger.scopes:
                scope.lose(error)
        raise
    finally:
        for scope in ledger.scopes:
            scope.close()


@dataclass(frozen=True, slots=True)
class _Run:
    """What the scopes of one run share."""

    settings: Settings
    request: Request
    ledger: RunLedger
    stop: Stop
    surroundings: Surroundings
    services: Services
    budget: Budget
    work: ScopeWork
    empty: EmptyRegions
    far_dates: FarDates = field(default_factory=FarDates)

    async def work_on(self, part: ScopePlan, ledger: ScopeLedger) -> None:
        """Work on one scope. What fails it alone is noted; what ends the run makes the others stop and commit."""
        began_s = self.surroundings.clock.monotonic_s()
        try:
            await self._work_on(part, ledger)
        except BaseException as error:
            if not _is_of_scope(error, part):
                self.stop.ask("error")
                if isinstance(error, ExportError):
                    ledger.lose(error)
                raise
            is_damaged = isinstance(error, (LogDamaged, FileDamaged))
            ledger.lose(error, is_held=isinstance(error, (ScopeHeld, Overtaken)), is_damaged=is_damaged)
        finally:
            self.empty.settle(part)
            ledger.seconds = self.surroundings.clock.monotonic_s() - began_s

    async def _work_on(self, part: ScopePlan, ledger: ScopeLedger) -> None:
        credentials = await self.stop.cut(self.services.credentials(part.account))
        if credentials is None:
            return
        settings, clock = self.settings, self.surroundings.clock
        client = self._client(credentials, self.services.endpoints[part.region])
        caller = RetryingCaller(client, settings.quota, settings.retry, settings.run.concurrency, clock, ledger)
        stages = _stages(caller, part)
        first = await self.stop.cut(_first_with_stages(stages))
        scope = None if first is None else _scope_told(first, part, ledger)
        if first is None:
            return
        if scope is not None:
            await self.empty.note_account(part, scope)
            self.ledger.regions_with_stages.add(part.region)
            await self.work(self._scope_export(scope, part, client, caller, ledger), _chained(first, stages))
        elif ledger.is_empty and (missed := await self.empty.missed(part, ledger)):
            ledger.listing_needed()
            export = self._scope_export(missed, part, client, caller, ledger)
            await self.work(replace(export, is_empty=True), _chained(first, stages))

    async def look_elsewhere(self, parts: Sequence[ScopePlan]) -> None:
        """Where whole regions have nothing at all, note which others have stages. It is a hint: nothing fails by it."""
        find = self.services.find_endpoint
        if find is None or self.stop.reason is not None or not all(scope.is_empty for scope in self.ledger.scopes):
            return
        others = set(REGIONS) - {part.region for part in parts}
        by_account = {part.account: ledger for part, ledger in zip(parts, self.ledger.scopes, strict=True)}
        for account, ledger in list(by_account.items())[:_ACCOUNTS_LOOKED_FOR]:
            with suppress(ExportError):
                client_of = partial(self._client_in, await self.services.credentials(account), find)
                found = await self.stop.cut(regions_with_stages(sorted(others), client_of, ledger))
                self._note_elsewhere(account, parts, found or {})

    def _note_elsewhere(
        self, account: AccountSettings | None, parts: Sequence[ScopePlan], found: Mapping[str, str | None]
    ) -> None:
        """Note the regions that have stages, and whose those are: that account was asked in the empty ones, too."""
        self.ledger.regions_with_stages |= set(found)
        accounts = set(found.values())
        for part, ledger in zip(parts, self.ledger.scopes, strict=True):
            if part.account == account and ledger.account_id is None and len(accounts) == 1:
                ledger.account_id = next(iter(accounts))

    async def _client_in(self, credentials: Credentials, find: FindEndpoint, region: str) -> Client:
        return self._client(credentials, await find(region))

    def _client(self, credentials: Credentials, endpoint: Endpoint) -> Client:
        clock = self.surroundings.clock
        return Client(credentials, endpoint, self.services.connections, clock.wall_us, self.far_dates, clock.machine_us)

    def _scope_export(
        self, scope: Scope, part: ScopePlan, client: Client, caller: RetryingCaller, ledger: ScopeLedger
    ) -> ScopeExport:
        return ScopeExport(
            scope=scope,
            store=self.services.store,
            caller=caller,
            settings=self.settings.run,
            request=self.request,
            ledger=ledger,
            stop=self.stop,
            run_id=self.ledger.run_id,
            budget=self.budget,
            is_whole=not part.stage_arns,
            service_time=client.service_time,
            clock=self.surroundings.clock,
            process=self.surroundings.process,
            is_gone=self.surroundings.is_gone,
            excluded=frozenset(self.settings.exclude_stages),
        )


def _is_of_scope(error: BaseException, part: ScopePlan) -> TypeGuard[_OfScope]:
    """Whether an error concerns one scope alone; one of the run's own credentials concerns them all.

    Scopes share no log and no file, so a damaged one stops its own scope; the others go on and commit.
    """
    if isinstance(error, CredentialsLost):
        return part.account is not None
    return isinstance(error, (ScopeHeld, Overtaken, LogDamaged, FileDamaged, ApiError))


def _scope_told(first: ListingPage, part: ScopePlan, ledger: ScopeLedger) -> Scope | None:
    """The scope that the first stages tell, once their list is read so far; None where there are no stages.

    Raises :class:`CredentialsLost` where they are of another account than the role that they were listed with.
    """
    scope = scope_of(first.stage_arns[0]) if first.stage_arns else None
    if scope is None:
        ledger.listing_read()
        for flaw in first.flaws:
            ledger.listing_flawed(ledger.name, Malformed(flaw))
        ledger.is_empty = not first.flaws
        return None
    if part.account is not None and scope.account_id != part.account.account_id:
        raise CredentialsLost(f"{part.account.role_arn} lists stages of account {scope.account_id}")
    ledger.account_id = scope.account_id
    return scope


async def _stages(caller: RetryingCaller, part: ScopePlan) -> AsyncIterator[ListingPage]:
    if part.stage_arns:
        yield ListingPage(stage_arns=list(part.stage_arns))
        return
    async for listed in list_stages(named_pages(caller, Operation.LIST_STAGES, {}), part.region):
        yield listed


async def _first_with_stages(stages: AsyncIterator[ListingPage]) -> ListingPage:
    """What is listed up to the first stage; without stages where there are none."""
    flaws: list[str] = []
    async for listed in stages:
        flaws += listed.flaws
        if listed.stage_arns:
            return ListingPage(listed.served_us, listed.stage_arns, flaws=flaws)
    return ListingPage(flaws=flaws)


async def _chained(first: ListingPage, others: AsyncIterator[ListingPage]) -> AsyncIterator[ListingPage]:
    yield first
    async for listed in others:
        yield listed
