"""An export as a command carries it out: with signals, a deadline, logs, the display and the summary."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from exporter.cli import exit_codes
from exporter.cli.log_output import start_logs
from exporter.cli.other_clock import other_clock
from exporter.cli.progress import Progress, showing
from exporter.machine import open_files
from exporter.pipeline.regions import name_new_regions, profile_region, with_regions
from exporter.pipeline.stop import DEADLINE, Stop
from exporter.telemetry.failures import DEFERRED
from exporter.telemetry.logger import Logger
from exporter.telemetry.unforeseen import judged
from exporter.watching.watch import watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import Console

    from exporter.cli.actions.run_options import RunOptions
    from exporter.cli.invocation import Export, Invocation
    from exporter.discovery.cost import Estimate
    from exporter.discovery.request import Request
    from exporter.machine.clock import Clock
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.settings import Settings

_log = Logger(__name__)
_SWITCH_S = 0.0005
_GARBAGE_OBJECTS = 20_000


def export(
    invocation: Invocation, settings: Settings, run_options: RunOptions, level: str, *, is_dry: bool = False
) -> int:
    """Carry out ``ivs-export run``, and return its exit code; where ``is_dry``, estimate it.

    Raises :class:`UsageError` before anything is started.
    """
    console = start_logs(level, settings.telemetry.log_format)
    invocation.log_format = settings.telemetry.log_format
    open_files.raise_limit()
    _warn_of_open_files()
    invocation.ledger.lake, invocation.ledger.tag = settings.lake, run_options.tag
    run_options.check(settings.tables)
    if settings.catalog.kind and not is_dry:
        from exporter.catalog.wanted import check_catalog  # noqa: PLC0415 - most runs have no catalog

        check_catalog(settings)
    request = run_options.request(settings.stages)
    settings = with_regions(settings, request.targets, profile_region)
    request = replace(request, scopes=run_options.scopes.choice(settings))
    name_new_regions(settings)
    clock = other_clock(settings)
    if is_dry:
        invocation.estimates = []
        code = asyncio.run(carry_out(invocation, settings, request, console, clock))
    else:
        code = asyncio.run(_watched(invocation, settings, request, console, clock))
    invocation.finish(code)
    return code


async def _watched(
    invocation: Invocation, settings: Settings, request: Request, console: Console | None, clock: Clock | None
) -> int:
    """Export as `carry_out` does, and let those know whom the settings name."""
    async with watching(settings, invocation.summary_so_far) as watch:
        watch.exit_code = await carry_out(invocation, settings, request, console, clock)
    return watch.exit_code


def _warn_of_open_files() -> None:
    """Say where the limit stays so low that a large run would meet it."""
    files_max = open_files.limit()
    if files_max is not None and (problem := open_files.problem_of(files_max)):
        _log.warning("open files", limit=files_max, problem=problem, remedy=open_files.REMEDY)


async def carry_out(
    invocation: Invocation,
    settings: Settings,
    request: Request,
    console: Console | None,
    clock: Clock | None = None,
) -> int:
    """Export, stopping gracefully for a signal or the deadline, and return the exit code. The ledger says the rest.

    ``clock`` is used instead of this machine's, where a test has another.
    """
    ledger = invocation.ledger
    ledger.lake, ledger.tag = settings.lake, request.tag
    stop, loop = Stop(), asyncio.get_running_loop()
    run = invocation.export or _own_export(clock)
    invocation.signals.graceful = lambda name: _ask(loop, stop, name)
    if settings.run.deadline_s:
        loop.call_later(settings.run.deadline_s, stop.ask, DEADLINE)
    _log.info(
        "run began", run_id=ledger.run_id, lake=settings.lake, regions=settings.regions, stages=len(settings.stages)
    )
    try:
        async with showing(Progress(ledger, time.monotonic, stop), console):
            if invocation.estimates is None:
                await run(settings, request, ledger, stop)
            else:
                invocation.estimates += await _survey(clock)(settings, request, ledger, stop)
    except Exception as error:  # noqa: BLE001 - so that those who watch the run learn of it, too
        ledger.error = judged(error)
    finally:
        invocation.signals.graceful = None
        ledger.stopped_by = invocation.signals.received or stop.deadline
    code = exit_codes.of_run(ledger, invocation.signals.received)
    if console is None or invocation.is_json:  # else the summary says the same on the same terminal
        _log_failures(ledger, are_deferred=False)
        if ledger.error is None:
            _log_failures(ledger, are_deferred=True)
        else:  # what ended the run is the cause, and is said at the very end
            invocation.after_cause = lambda: _log_failures(ledger, are_deferred=True)
        _log_empty_regions(ledger)
    _log.info("run ended", run_id=ledger.run_id, outcome=ledger.outcome, stopped_by=stop.reason, exit_code=code)
    return code


def _log_failures(ledger: RunLedger, *, are_deferred: bool) -> None:
    """A line for each cause, or for what was deferred; but what ended the run as a whole has its own."""
    for failure in ledger.failures:
        if failure["unit"] is not None and (failure["error"] == DEFERRED) == are_deferred:
            named = {name: failure[name] for name in ("error", "message", "count", "unit")}
            _log.warning("failure", run_id=ledger.run_id, **named)


def _log_empty_regions(ledger: RunLedger) -> None:
    for region in ledger.empty_regions:
        _log.warning("no stage", run_id=ledger.run_id, **region, regions_with_stages=sorted(ledger.regions_with_stages))


def _ask(loop: asyncio.AbstractEventLoop, stop: Stop, name: str) -> None:
    loop.call_soon_threadsafe(stop.ask, name)  # which also wakes the loop, where it sleeps


def _own_export(clock: Clock | None) -> Export:
    from exporter.pipeline.run import run  # noqa: PLC0415 - brings botocore; a wrong list does without
    from exporter.pipeline.surroundings import real_surroundings  # noqa: PLC0415 - the same

    tune_interpreter()
    return partial(run, surroundings=real_surroundings(clock))


def tune_interpreter() -> None:
    """Set the process's thread switches and garbage collection for a run. Call it after the imports.

    Files are made in a thread, and each time the event loop has sent or received, it waits up to the switch interval
    until it can go on. What was imported is no garbage: looking through it takes a tenth of a short run's time. Little
    of what passes through a run is left in cycles: looking for them every 700 objects takes a twentieth.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS)


def _survey(clock: Clock | None) -> Callable[[Settings, Request, RunLedger, Stop], Awaitable[list[Estimate]]]:
    from exporter.pipeline.run import survey  # noqa: PLC0415 - the same
    from exporter.pipeline.surroundings import real_surroundings  # noqa: PLC0415 - the same

    return partial(survey, surroundings=real_surroundings(clock))
