"""The exit codes, and the one that a run ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import ExportError, UsageError

if TYPE_CHECKING:
    from exporter.pipeline.run_ledger import RunLedger

OK = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
HELD = 4
SIGNALS = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}

_OUTCOMES = {"complete": OK, "nothing": OK, "partial": PARTIAL, "failed": FAILED}


def of_error(error: ExportError) -> int:
    """The code of an error that ended the command."""
    return USAGE if isinstance(error, UsageError) else FAILED


def of_run(ledger: RunLedger, stopped_by: str | None) -> int:
    """The code of a run that came to its end. ``stopped_by`` is why it was asked to stop, if it was.

    A failure of the whole run counts for more than the signal that stopped it: what was fetched may not be committed.
    """
    if ledger.error is not None:
        return of_error(ledger.error)
    if ledger.outcome == "failed":
        return FAILED
    if stopped_by in SIGNALS:
        return SIGNALS[stopped_by]
    return HELD if ledger.is_held else _OUTCOMES[ledger.outcome]
