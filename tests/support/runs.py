"""Runs over one scope, with a service and a lake of the test's own. The program in between is the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.commit_log.process import is_gone, this_process
from exporter.discovery.listings import ListingPage
from exporter.discovery.request import Request
from exporter.ivs.operations import Operation
from exporter.ledger import ScopeLedger
from exporter.pipeline.budget import Budget
from exporter.pipeline.known_ids import KnownIds
from exporter.pipeline.scope import ScopeExport
from exporter.pipeline.stop import Stop
from exporter.settings import RunSettings
from tests.support.service import SCOPE, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from exporter.discovery.cost import Estimate
    from exporter.lake.store import Store
    from tests.support.memory_store import MemoryStore
    from tests.support.service import Service

#: What an everyday row takes in memory, about.
ROW_SIZE_BYTES = 60


async def listed(service: Service, arns: Iterable[str]) -> AsyncIterator[ListingPage]:
    service.calls[(Operation.LIST_STAGES,)] += 1
    yield ListingPage(service.now_us, list(arns), flaws=service.flaws)


async def export(
    service: Service,
    store: Store,
    run_id: str,
    request: Request | None = None,
    *,
    rows_max: int = 1_000_000,
    settings: RunSettings | None = None,
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
    scope_export = ScopeExport(
        scope=SCOPE,
        store=store,
        caller=caller,
        settings=settings or RunSettings(),
        request=request or Request(),
        ledger=ledger,
        stop=stop or Stop(),
        run_id=run_id,
        budget=Budget(rows_max * ROW_SIZE_BYTES, known=known or KnownIds()),
        is_whole=True,
        service_time=service.service_time,
        clock=service.clock,
        process=this_process(),
        is_gone=is_gone,
    )
    await scope_export.export(listed(service, service.stages))
    ledger.close()
    return ledger


async def survey(service: Service, store: MemoryStore) -> Estimate:
    caller: Any = service
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    ledger.calls = service.calls_by_operation
    scope_export = ScopeExport(
        scope=SCOPE,
        store=store,
        caller=caller,
        settings=RunSettings(),
        request=Request(),
        ledger=ledger,
        stop=Stop(),
        run_id="dry",
        budget=Budget(1),
        is_whole=True,
        service_time=service.service_time,
        clock=service.clock,
        process=this_process(),
        is_gone=is_gone,
    )
    return await scope_export.survey(listed(service, service.stages))
