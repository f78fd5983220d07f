"""The one table from what happened to an exit code.

| code | means |
| --- | --- |
| 0 | all that was found is exported, or there was nothing to do |
| 1 | the run failed as a whole: no credentials, no lake, every scope failed, a bug |
| 2 | wrong usage or configuration; nothing was started |
| 3 | partial: something failed, was deferred, is held by another run or has vanished; the rest is committed |
| 4 | every scope is held by another run |
| 129, 130, 143 | stopped by SIGHUP, SIGINT or SIGTERM |
"""

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
