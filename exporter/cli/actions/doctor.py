"""What ``doctor`` asks, and how it shows it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from exporter.aws.accounts import Accounts
from exporter.cli import exit_codes
from exporter.cli.other_clock import other_clock
from exporter.doctor.doctor import open_doctor
from exporter.doctor.policy import policies_of
from exporter.errors import ExportError
from exporter.ivs.endpoints import find_endpoint
from exporter.machine.clock import system_clock
from exporter.machine.loopback import is_loopback
from exporter.model import scope_of
from exporter.pipeline.regions import profile_region, with_regions
from exporter.text import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.cli.invocation import Invocation
    from exporter.doctor.check import Check
    from exporter.machine.clock import Clock
    from exporter.settings import Settings

_NAME_WIDTH = len("ListParticipantEvents")
_OUTCOME_WIDTH = len("warning")


def examine(invocation: Invocation, settings: Settings) -> int:
    """Carry out ``ivs-export doctor``: a line for each check as soon as it is made. Raises :class:`UsageError`."""
    logging.getLogger("exporter").addHandler(logging.NullHandler())  # the checks say what a log would
    settings = with_regions(settings, None, profile_region)
    clock = other_clock(settings) or system_clock()
    began_s = time.monotonic()
    try:
        checks, calls = asyncio.run(_checks(invocation, settings, clock))
    except asyncio.CancelledError:
        if invocation.signals.received is None:
            raise
        invocation.signals.at_once(invocation.signals.received)
    seconds = time.monotonic() - began_s
    counts = Counter(check.outcome for check in checks)
    code = exit_codes.FAILED if counts["failed"] else exit_codes.OK
    invocation.print_object(
        {
            "lake": settings.lake,
            "outcome": "failed" if counts["failed"] else "ok",
            "checks": [check.summary() for check in checks],
            "calls": {service: dict(sorted(made.items())) for service, made in calls.items()},
            "seconds": round(seconds, 3),
            "exit_code": code,
        }
    )
    invocation.say(_end(checks, calls, seconds))
    return code


def print_policy(invocation: Invocation, settings: Settings) -> int:
    """Print the least policy for these settings, as JSON; of several accounts, each one's under its role."""
    policies = policies_of(settings, _account_of(settings) or asyncio.run(_asked_account(invocation, settings)))
    printed = policies if settings.accounts else policies["exporter"]
    invocation.print_object(printed)
    invocation.say(json.dumps(printed, indent=2))
    return exit_codes.OK


async def _checks(
    invocation: Invocation, settings: Settings, clock: Clock
) -> tuple[list[Check], Mapping[str, Counter[str]]]:
    """Make all checks. A signal cancels them, so that what they have written is removed before the process ends."""
    made: list[Check] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    async with open_doctor(settings, clock, invocation.ledger.run_id) as doctor:
        invocation.signals.graceful = lambda _: _cancel(loop, task)
        async for check in doctor.checks():
            made.append(check)
            invocation.say(_line(check))
        invocation.signals.graceful = None
    return made, doctor.calls


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
    loop.call_soon_threadsafe(task.cancel)


def _line(check: Check) -> str:
    """A check in one line, and what to do in a second."""
    line = f"{check.outcome:{_OUTCOME_WIDTH}}  {check.name:{_NAME_WIDTH}}  {check.detail}"
    lines = [line, f"{'':{_OUTCOME_WIDTH}}  -> {check.remedy}"] if check.remedy else [line]
    return "\n".join(map(plain, lines))


def _end(checks: Sequence[Check], calls: Mapping[str, Mapping[str, int]], seconds: float) -> str:
    counts = Counter(check.outcome for check in checks)
    parts = ", ".join(
        f"{counts[outcome]} {outcome}" for outcome in ("ok", "warning", "failed", "skipped") if counts[outcome]
    )
    made = ", ".join(f"{sum(of_one.values())} of {service.upper()}" for service, of_one in calls.items() if of_one)
    return f"{counted(len(checks), 'check')}: {parts}; calls: {made or 'none'}; {seconds:.1f} s"


def _account_of(settings: Settings) -> str | None:
    """The account that the settings' stages show; None where they name none."""
    scopes = [scope_of(arn) for arn in settings.stages]
    return scopes[0].account_id if scopes and scopes[0] else None


async def _asked_account(invocation: Invocation, settings: Settings) -> str | None:
    """The account of the run's own credentials; None where there are none, or STS does not answer in time."""
    try:
        settings = with_regions(settings, None, profile_region)
        accounts = Accounts(settings, invocation.ledger.run_id)
        async with accounts:
            endpoint = await find_endpoint(accounts.own_sessions()(), settings.regions[0])
            is_local = all(is_loopback(url) for url in endpoint.urls.values())
            return await accounts.own_account(is_local=is_local)
    except ExportError:
        return None
