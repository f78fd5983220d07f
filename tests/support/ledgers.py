"""Ledgers as a test wants them, made by the verbs that a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import LakeRefused, Overtaken
from exporter.lake.data_files import DataFile
from exporter.ledger import ScopeLedger
from exporter.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def a_scope(
    outcomes: Mapping[Outcome, int] | None = None,
    *,
    found: int = 0,
    written: int = 0,
    account_id: str | None = "123456789012",
) -> ScopeLedger:
    """A scope of eu-west-1 with units that ended so, ``found`` units in all or more, and ``written`` rows."""
    ledger = ScopeLedger("eu-west-1", account_id)
    ended = [outcome for outcome, count in (outcomes or {}).items() for _ in range(count)]
    for _ in range(max(found, len(ended))):
        ledger.unit_found()
    ledger.units_ended(ended)
    if written:
        ledger.published(
            [DataFile("events", "events/event_date=2026-11-23/x.parquet", "2026-11-23", written, 1, "", ())]
        )
    return ledger


def a_held_scope() -> ScopeLedger:
    """One that another run holds."""
    ledger = a_scope()
    ledger.lose(Overtaken("another run committed first"), is_held=True)
    return ledger


def a_lost_scope() -> ScopeLedger:
    """One that failed as a whole."""
    ledger = a_scope()
    ledger.lose(LakeRefused("denied"), is_held=False)
    return ledger


__all__ = ["Outcome", "a_held_scope", "a_lost_scope", "a_scope"]
