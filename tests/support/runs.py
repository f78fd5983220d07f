"""Runs over one scope, with a service and a lake of the test's own. The program in between is the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.commit_log.process import is_gone, this_process
from exporter.discovery.listings import ListingPage
from exporter.discovery.request import Request
from exporter.ivs.operations import Operation
from exporter.ledger import ScopeLedger
from exporter.normalize.listed import decode_stages
from exporter.pipeline.budget import Budget
from exporter.pipeline.run_context import RunContext
from exporter.pipeline.scope import ScopeExport
from exporter.pipeline.stop import Stop
from exporter.pipeline.surroundings import Surroundings
from exporter.settings import RunSettings, Settings, TableSettings
from tests.support.service import SCOPE, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from exporter.discovery.cost import Estimate
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.pipeline.known_ids import KnownIds
    from tests.support.memory_store import MemoryStore
    from tests.support.service import Service

#: What an everyday row takes in memory, about.
ROW_SIZE_BYTES = 60


def a_context(
    store: Store,
    budget: Budget,
    clock: Clock,
    run_id: str,
    *,
    request: Request | None = None,
    settings: RunSettings | None = None,
    tables: TableSettings | None = None,
    stop: Stop | None = None,
) -> RunContext:
    """What the scopes of one run share, without a way to AWS."""
    surroundings = Surroundings(clock, this_process(), is_gone, no_services)
    all_settings = Settings(run=settings or RunSettings(), tables=tables or TableSettings())
    return RunContext(run_id, all_settings, request or Request(), stop or Stop(), store, budget, surroundings)


def no_services(_settings: Settings, _run_id: str, _regions: Iterable[str]) -> Any:
    raise AssertionError("the service of a scope is the test's own")


async def listed(service: Service, arns: Iterable[str]) -> AsyncIterator[ListingPage]:
    service.calls[(Operation.LIST_STAGES,)] += 1
    stages = decode_stages(msgspec.json.encode([service.stage_item(arn) for arn in arns])).items
    yield ListingPage(service.now_us, stages, flaws=service.flaws)


async def export(
    service: Service,
    store: Store,
    run_id: str,
    request: Request | None = None,
    *,
    rows_max: int = 1_000_000,
    settings: RunSettings | None = None,
    tables: TableSettings | None = None,
    stop: Stop | None = None,
    known: KnownIds | None = None,
    call_with: Callable[[ScopeLedger], Any] | None = None,
) -> ScopeLedger:
    """One run over one scope. What it may raise is raised: `Crash`, an :class:`ExportError`.

    ``call_with`` makes what calls the service, where that is more than the service double itself.
    """
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    ledger.listing_needed()
    caller: Any = service if call_with is None else call_with(ledger)
    budget = Budget(rows_max * ROW_SIZE_BYTES, known=known)
    context = a_context(
        store, budget, service.clock, run_id, request=request, settings=settings, tables=tables, stop=stop
    )
    await ScopeExport(context, SCOPE, caller, ledger, is_whole=True).export(listed(service, service.stages))
    ledger.close()
    return ledger


async def survey(
    service: Service, store: MemoryStore, request: Request | None = None, tables: TableSettings | None = None
) -> Estimate:
    caller: Any = service
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    ledger.calls = service.calls_by_operation
    context = a_context(store, Budget(1), service.clock, "dry", request=request, tables=tables)
    return await ScopeExport(context, SCOPE, caller, ledger, is_whole=True).survey(listed(service, service.stages))
