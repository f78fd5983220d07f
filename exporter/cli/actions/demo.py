"""What ``ivs-export demo`` does: emulate a day, export it, ask the lake three questions, and show what comes next."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli import exit_codes, summary
from exporter.cli.actions import run as run_action
from exporter.cli.actions.demo_queries import first_answers
from exporter.cli.actions.report import ReportOptions, write_report
from exporter.cli.actions.stoppable import stoppable
from exporter.cli.log_output import start_logs
from exporter.discovery.request import Request
from exporter.emulator import (
    Account,
    Emulator,
    EmulatorOptions,
    QuotaOptions,
    ServiceOptions,
    Size,
    WorldOptions,
    WorldShape,
    WorldTimes,
)
from exporter.errors import LakeError, UsageError
from exporter.lake.identity import DEMO_MARKER, KEY, decode_identity
from exporter.lake.tables import REJECTS, TABLES
from exporter.model import checked_address
from exporter.settings import HttpSettings, QuotaSettings, Settings, TableSettings
from exporter.text import plain, reason_of, shown
from exporter.timestamps import DAY_US

if TYPE_CHECKING:
    from rich.console import Console

    from exporter.cli.invocation import Invocation

_REGION = "us-east-1"
#: AWS's documents use this account in their examples, so it is nobody's.
_ACCOUNT = Account(account_id="111122223333")
_REPORT = "report.html"
_MARKER_TEXT = "ivs-export demo made this lake, and makes it anew when it runs again.\n"
_PARTS_OF_A_LAKE = (*(table.name for table in TABLES), REJECTS, "_log", "_staged", "_aside", "_damaged", "_iceberg")
_CALLS_PER_SECOND = 250.0
_CALLS_PER_SECOND_OF_AWS = 5.0
_DAY_S = 86_400
_BEFORE_MIDNIGHT_US = DAY_US // 4


def demonstrate(invocation: Invocation, address: str) -> int:
    """Run the whole demo with its lake in the directory at ``address``, and return the exit code.

    Raises :class:`UsageError` where the directory holds anything but a demo's lake.
    """
    console = start_logs("warning")
    lake = directory(address)
    clear(lake)
    code = asyncio.run(_export(invocation, lake, console))
    invocation.finish(code)
    if code == exit_codes.OK:
        invocation.signals.install()
        invocation.say(_answers(invocation, lake))
    return code


def directory(address: str) -> Path:
    """The directory that is meant. Raises :class:`UsageError` where it is none."""
    try:
        checked = checked_address(address)
    except ValueError as error:
        raise UsageError(f"--lake: {shown(address)} is refused: {error}") from None
    if checked.startswith("s3://"):
        raise UsageError(f"--lake: {shown(address)} is refused: a demo's lake is a directory")
    return Path(checked)


def clear(lake: Path) -> None:
    """Make the directory ready: remove the lake of an earlier demo, and refuse to touch any other.

    An export of one's own into a demo's lake makes it one's own.
    """
    try:
        found = sorted(path.name for path in lake.iterdir()) if lake.exists() else []
        if found and not _is_demo(lake):
            raise UsageError(
                f"{shown(str(lake))} holds something that is no demo's; name another directory with --lake"
            )
        for name in _PARTS_OF_A_LAKE:
            if (lake / name).exists():
                shutil.rmtree(lake / name)
        (lake / _REPORT).unlink(missing_ok=True)
        lake.mkdir(parents=True, exist_ok=True)
        (lake / DEMO_MARKER).write_text(_MARKER_TEXT)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown(str(lake))} can't be used for a lake: {reason_of(error)}") from None


def _is_demo(lake: Path) -> bool:
    """Whether all of a lake is a demo's; an export of one's own was possible before there was a lake's file."""
    identity = lake / KEY
    if identity.is_file() and not _is_made_by_demo(identity):
        return False
    logs = (lake / "_log").iterdir() if (lake / "_log").exists() else ()
    scopes = [path.name for path in logs if path.is_dir()]
    is_own = all(name == f"{_ACCOUNT.account_id}-{_REGION}" for name in scopes)
    return (lake / DEMO_MARKER).is_file() and is_own


def _is_made_by_demo(identity: Path) -> bool:
    try:
        return decode_identity(identity.read_bytes()).made_by == "demo"
    except LakeError:
        return False


async def _export(invocation: Invocation, lake: Path, console: Console | None) -> int:
    async with Emulator(emulator_options(time.time())) as emulator:
        _shut_out_environment(emulator.url)
        invocation.say(
            f"Emulating a day of IVS Real-Time and exporting it into {lake}, at {_CALLS_PER_SECOND:g} calls a second"
            f" (AWS allows {_CALLS_PER_SECOND_OF_AWS:g}) …\n"
        )
        settings = Settings(
            lake=str(lake),
            regions=(_REGION,),
            quota=QuotaSettings(calls_per_second=_CALLS_PER_SECOND),
            http=HttpSettings(read_timeout_s=60.0),
            tables=TableSettings(details=True),
        )
        return await run_action.carry_out(invocation, settings, Request(made_by="demo"), console)


def emulator_options(now_s: float) -> EmulatorOptions:
    """The 24 hours until six in yesterday's evening, in UTC, so that some sessions go on over midnight.

    The seed gives them some quiet sessions and one with a thousand viewers.
    """
    start_us = int(now_s // _DAY_S - 1) * DAY_US - _BEFORE_MIDNIGHT_US
    world = WorldOptions(
        seed=811,
        shape=WorldShape(5, sessions=Size(5, 8, 12), participants=Size(4, 32, 1500), events=Size(2, 9, 60)),
        times=WorldTimes(start_us=start_us, days=1.0),
        active_share=0.0,
    )
    quota = QuotaOptions(calls_per_second=2 * _CALLS_PER_SECOND, burst=int(_CALLS_PER_SECOND))
    return EmulatorOptions(world, (_ACCOUNT,), (_REGION,), service=ServiceOptions(quota))


def _shut_out_environment(url: str) -> None:
    """Replace the AWS variables of this process: from here on only the emulator's count."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": _ACCOUNT.access_key,
        "AWS_SECRET_ACCESS_KEY": _ACCOUNT.secret,
        "AWS_ENDPOINT_URL_IVS_REALTIME": url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _answers(invocation: Invocation, lake: Path) -> str:
    """The first answers, and what to do next."""
    calls = max(invocation.calls().values(), default=0)
    try:
        answers = f"{stoppable(invocation, partial(first_answers, lake))}\n\n{_report(invocation, lake)}"
    except UsageError as error:  # DuckDB is an extra
        answers = str(error)
    return (
        f"\nAt AWS's {_CALLS_PER_SECOND_OF_AWS:g} calls a second it would have taken"
        f" {summary.duration_of(calls / _CALLS_PER_SECOND_OF_AWS)}.\n\n{answers}\n\n"
        "Next, with an account of your own:\n\n"
        "    export AWS_PROFILE=…            # or any other way to credentials\n"
        "    ivs-export run --region us-east-1 --lake ./my-lake\n\n"
        "`ivs-export doctor --policy` prints the permissions that it needs."
    )


def _report(invocation: Invocation, lake: Path) -> str:
    """Write the report, and say where it is."""
    out = lake / _REPORT
    report = write_report(invocation, Settings(lake=str(lake)), ReportOptions(out))
    return f"The same in pictures ({report.line}), for any browser:\n\n    {plain(str(out))}"
