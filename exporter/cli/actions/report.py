"""What ``ivs-export report`` does: ask the logs and the views, make the page, write it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter import __version__
from exporter.cli import exit_codes
from exporter.cli.actions.sql import dates_between
from exporter.cli.actions.stoppable import stoppable, uninterrupted
from exporter.cli.own_session import own_session
from exporter.cli.plain_logs import start_plain_logs
from exporter.errors import UsageError
from exporter.health.status import ScopeStatus, statuses
from exporter.lake.stores.open import open_store
from exporter.machine.clock import wall_us
from exporter.query.database import check_duckdb, open_database
from exporter.query.memory import bounded_memory
from exporter.report import log_checks
from exporter.report.completeness import earliest_us
from exporter.report.page import Origin, page
from exporter.report.questions import lake_facts, session_facts
from exporter.report.writing import check_target, write_page
from exporter.text import counted, plain, shown
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from exporter.cli.invocation import Invocation
    from exporter.query.database import Database
    from exporter.query.stop_switch import StopSwitch
    from exporter.report.facts import LakeFacts, SessionFacts, SessionLine
    from exporter.report.questions import Ask
    from exporter.settings import Settings
    from exporter.views.statements import Dates

#: Sessions that are shown in detail where none is named.
_LARGEST = 3


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report is asked for, as it was typed."""

    out: Path
    since: datetime | None = None
    until: datetime | None = None
    sessions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A page that was written: how large it is, and what it says."""

    size_bytes: int
    scopes: Sequence[ScopeStatus]
    lake: LakeFacts
    sessions: Sequence[SessionFacts]

    @property
    def line(self) -> str:
        """How many sessions are in it, and whether it can't say what is complete."""
        sessions = f"{counted(len(self.lake.sessions), 'session')}, {len(self.sessions)} in detail"
        damaged = sum(status.error is not None for status in self.scopes)
        doubt = f"; not known to be complete: {counted(damaged, 'log')} can't be relied on" if damaged else ""
        return sessions + doubt


def make_report(invocation: Invocation, settings: Settings, asked: ReportOptions) -> int:
    """Carry out ``ivs-export report``. Raises as `write_report`."""
    start_plain_logs()
    report = write_report(invocation, settings, asked)
    until_us = earliest_us(report.scopes)
    damaged = [status.summary() for status in report.scopes if status.error is not None]
    invocation.print_object(
        {
            "lake": settings.lake,
            "out": str(asked.out),
            "bytes": report.size_bytes,
            "complete_until": None if until_us is None else text_of(until_us),
            "damaged": [{name: status[name] for name in ("account_id", "region", "error")} for status in damaged],
            "sessions": len(report.lake.sessions),
            "shown": [{"stage_arn": each.line.key[0], "session_id": each.line.key[1]} for each in report.sessions],
        }
    )
    invocation.say(plain(f"{asked.out}: {report.line}"))
    return exit_codes.of_logs(damaged=len(damaged), all_=len(report.scopes))


def write_report(invocation: Invocation, settings: Settings, asked: ReportOptions) -> Report:
    """Ask the lake, make the page and write it.

    Raises :class:`UsageError`, also for a session that is not there, and what the lake, the query and the file raise.
    """
    dates = dates_between(asked.since, asked.until)
    check_target(asked.out)
    check_duckdb()

    def look(stop: StopSwitch) -> tuple[list[ScopeStatus], LakeFacts, list[SessionFacts]]:
        scopes = asyncio.run(_statuses(settings))
        with (
            open_database(settings, own_session, dates, is_stored=True, stop=stop) as database,
            bounded_memory(settings.query.memory_gib),
        ):
            ask = _asking(database)
            facts = lake_facts(ask)
            if database.has_log:
                before, files = scopes, database.files
                if not log_checks.fits(before, files):
                    scopes = asyncio.run(_statuses(settings))  # a run may have ended since the first look
                scopes = log_checks.checked((before, scopes), files, (line.key for line in facts.sessions))
                facts = log_checks.borne_out(facts, scopes)
            return scopes, facts, [session_facts(ask, line) for line in chosen_sessions(facts, asked.sessions)]

    scopes, facts, sessions = stoppable(invocation, look)
    text = page(Origin(settings.lake, _range_text(dates), wall_us(), __version__), scopes, facts, sessions)
    with uninterrupted(invocation):
        size_bytes = write_page(asked.out, text)
    return Report(size_bytes, scopes, facts, sessions)


def chosen_sessions(facts: LakeFacts, wanted: Sequence[str]) -> list[SessionLine]:
    """The sessions to show in detail: those that are wanted, by their ids, else the largest. Pure.

    Raises :class:`UsageError` for one that is not there.
    """
    if not wanted:
        return list(facts.sessions[:_LARGEST])
    chosen = [line for session_id in dict.fromkeys(wanted) for line in facts.sessions if line.key[1] == session_id]
    missing = set(wanted) - {line.key[1] for line in chosen}
    if missing:
        raise UsageError(
            f"--session {shown(min(missing))}: there is no such session, or not in this range: leave out --since"
            " and --until, or take an id that `ivs-export query` shows"
        )
    return chosen


async def _statuses(settings: Settings) -> list[ScopeStatus]:
    async with open_store(settings.lake, own_session, settings.s3) as store:
        return await statuses(store, 1)


def _asking(database: Database) -> Ask:
    def ask(question: str, values: Mapping[str, object]) -> Sequence[tuple[Any, ...]]:
        columns = database.table(question, values).columns
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    return ask


def _range_text(dates: Dates) -> str:
    since = "" if dates.since is None else f"from {dates.since}"
    until = "" if dates.until is None else f"before {dates.until}"
    return ", ".join(filter(None, (since, until))) or "all dates"
