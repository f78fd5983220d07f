"""An export in somebody else's process: nothing of that process is changed, and any of its threads may wait for it."""

from __future__ import annotations

import asyncio
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

# Before `exporter.ivs.http_library`, which would keep the system's certificates from other users of aiohttp.
import aiohttp  # noqa: F401

from exporter.catalog.wanted import check_catalog
from exporter.discovery.request import Request
from exporter.errors import UsageError
from exporter.library.failed import RunFailed
from exporter.library.mapping import settings_of
from exporter.library.own_thread import OwnThread
from exporter.pipeline import exit_codes
from exporter.pipeline.regions import name_new_regions, profile_region, with_regions
from exporter.pipeline.run import run
from exporter.pipeline.run_ledger import RunLedger, new_run_id
from exporter.pipeline.stop import DEADLINE, Stop
from exporter.settings import Settings
from exporter.telemetry.logger import Logger
from exporter.telemetry.unforeseen import as_own
from exporter.text import shown
from exporter.watching.watch import watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.summary import RunSummary

_INTERRUPTED = "interrupted"
#: How long a run may take to end that is to stop, as after a signal to the command.
_GRACE_S = 10.0
_log = Logger(__name__)


def export(settings: Settings | Mapping[str, Any], request: Request | None = None) -> RunSummary:
    """What `exporter.export` does."""
    checked = settings if isinstance(settings, Settings) else settings_of(settings)
    asked = Request() if request is None else request
    if not isinstance(asked, Request):
        raise UsageError(f"request: {shown(asked)} is refused: should be an exporter.Request")
    _check_backfill(checked, asked)
    check_catalog(checked)
    located = with_regions(checked, asked.targets, profile_region)
    name_new_regions(located)
    exporting = _Export(located, asked)
    thread: OwnThread[None] = OwnThread(copy_context(), f"ivs-export {exporting.ledger.run_id}")
    done = thread.start(exporting.carry_out())
    try:
        thread.wait()
    except BaseException:  # Ctrl-C, or what a scheduler raises in its main thread to end a task
        thread.call(exporting.stop.ask, _INTERRUPTED)
        thread.wait(_GRACE_S)
        raise
    return exporting.result(done.exception())


class _Export:
    """One run. Its ledger changes until it has ended."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self.ledger = RunLedger(new_run_id(), lake=settings.lake, tag=request.tag, began_us=time.time_ns() // 1_000)
        self.stop = Stop()
        self._settings = settings
        self._request = request
        self._began_s = time.monotonic()

    async def carry_out(self) -> None:
        """Export until all is done or the deadline is over, and let those know whom the settings name."""
        if self._settings.run.deadline_s:
            asyncio.get_running_loop().call_later(self._settings.run.deadline_s, self.stop.ask, DEADLINE)
        _log.info("run began", run_id=self.ledger.run_id, lake=self._settings.lake, regions=self._settings.regions)
        async with watching(self._settings, self._summary) as watch:
            try:
                await run(self._settings, self._request, self.ledger, self.stop)
            except Exception as error:  # so that those who watch the run learn of it, too
                self.ledger.error = as_own(error)
                raise
            finally:
                self.ledger.stopped_by = self.stop.deadline
                watch.exit_code = exit_codes.of_run(self.ledger, None)
        _log.info("run ended", run_id=self.ledger.run_id, outcome=self.ledger.outcome, stopped_by=self.stop.reason)

    def result(self, error: BaseException | None) -> RunSummary:
        """The summary of the run, which has ended, by ``error`` or by itself.

        Raises the :class:`UsageError` that it met before it began, and :class:`RunFailed` where it failed as a whole.
        """
        if error is not None and self.ledger.error is None:
            self.ledger.error = as_own(error)
        if isinstance(self.ledger.error, UsageError):
            raise self.ledger.error
        # The ledger makes the object of plain counts; a test compares it with its type, member by member.
        summary = cast("RunSummary", self._summary(exit_codes.of_run(self.ledger, None)))
        if (cause := self.ledger.cause) is not None:
            kind, message = cause
            raise RunFailed(message, kind, summary) from error
        return summary

    def _summary(self, exit_code: int | None) -> dict[str, Any]:
        """The summary as it stands now; at the end with the exit code."""
        report = self.ledger.summary(time.monotonic() - self._began_s)
        return report if exit_code is None else {**report, "exit_code": exit_code}


def _check_backfill(settings: Settings, request: Request) -> None:
    """Refuse to fill tables of a part of the lake, or tables that are switched off."""
    tables = settings.tables
    if request.backfill_tables and not request.is_whole:
        raise UsageError("backfill_tables is of the whole lake: leave out targets and period")
    if request.backfill_tables and not (tables.stages or tables.sessions or tables.participants):
        raise UsageError("backfill_tables has nothing to fill: every table but events is switched off")
