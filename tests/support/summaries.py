"""Summaries of runs, made by ledgers as a run makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.errors import Refused
from exporter.ledger import ScopeLedger
from exporter.pipeline.run_ledger import RunLedger
from tests.support.ledgers import Outcome, a_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGE = "arn:aws:ivs:eu-west-1:123456789012:stage/a"
BEGAN_US = 1_793_577_600_000_000


def a_partial_run(*scopes: ScopeLedger) -> RunLedger:
    """A run with a scope in which one unit failed, and with more ``scopes``."""
    scope = a_scope({Outcome.EXPORTED: 7, Outcome.EMPTY: 2}, found=10, written=1_234)
    scope.unit_failed(
        "arn:aws:ivs:eu-west-1:123456789012:stage/a/st-1/p-1", Refused("AccessDenied: no", code="AccessDeniedException")
    )
    scope.calls.update({"ListStages": 1, "ListParticipantEvents": 12})
    scope.throttled, scope.retries, scope.events_fetched = 3, 2, 1_300
    scope.sessions_found, scope.sessions_sealed, scope.sessions_active = 4, 3, 1
    scope.complete_until_us = BEGAN_US
    return RunLedger("a-run", [scope, *scopes], lake="./lake", began_us=BEGAN_US)


def summary_of(ledger: RunLedger, code: int | None = None) -> dict[str, Any]:
    """The summary of a run after a minute, at its end with an exit code."""
    summary = ledger.summary(60.0)
    return summary if code is None else {**summary, "exit_code": code}


def scopes_of(names: Sequence[tuple[str | None, str]]) -> list[ScopeLedger]:
    """Scopes of these accounts and regions, each with one unit that is exported."""
    scopes = []
    for account_id, region in names:
        scope = ScopeLedger(region, account_id)
        scope.unit_found()
        scope.unit_ended(Outcome.EXPORTED)
        scopes.append(scope)
    return scopes
