"""What ``status`` reads of a lake, and how it shows it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.catalog.outcome import Publication
from exporter.catalog.wanted import check_catalog
from exporter.cli import exit_codes
from exporter.cli.actions.coverage import find_coverage, with_all_regions
from exporter.cli.own_session import own_session
from exporter.cli.plain_logs import start_plain_logs
from exporter.cli.summary import duration_of
from exporter.commit_log.named_files import check_has_log
from exporter.errors import ExportError
from exporter.health.status import ScopeStatus, statuses
from exporter.lake.identity import check_is_lake
from exporter.lake.stores.open import open_store
from exporter.machine.clock import system_clock
from exporter.text import counted, plain
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from exporter.cli.actions.coverage import Coverage
    from exporter.cli.invocation import Invocation
    from exporter.health.recorded_runs import RunLine
    from exporter.lake.store import Store
    from exporter.settings import Settings

_SHOWN, _CAUSES_MAX = 10, 3


@dataclass(frozen=True, slots=True)
class _LakeStatus:
    """What was found. ``catalog`` is None where there is none, ``coverage`` where it was not asked for."""

    scopes: list[ScopeStatus]
    catalog: Publication | None
    coverage: Coverage | None


def show_status(invocation: Invocation, settings: Settings, runs_max: int, max_age_h: float | None = None) -> int:
    """Carry out ``ivs-export status``. Raises :class:`LakeError`, and :class:`UsageError` where no region is known."""
    start_plain_logs()
    settings = settings if max_age_h is None else with_all_regions(settings)
    found = asyncio.run(_read(settings, runs_max, max_age_h))
    report = {
        "lake": settings.lake,
        "scopes": [status.summary() for status in found.scopes],
        "catalog": None if found.catalog is None else found.catalog.summary(),
    }
    texts = [*map(_status_text, found.scopes)] or [plain(f"{settings.lake}: no scope yet")]
    texts += _catalog_text(found.catalog)
    if found.coverage is not None:
        report["coverage"] = found.coverage.summary()
        texts.append(found.coverage.text())
    invocation.print_object(report)
    invocation.say("\n\n".join(texts))
    damaged = sum(status.error is not None for status in found.scopes)
    is_late = found.coverage is not None and not found.coverage.is_current
    return exit_codes.of_logs(damaged=damaged, all_=len(found.scopes), is_late=is_late)


async def _read(settings: Settings, runs_max: int, max_age_h: float | None) -> _LakeStatus:
    async with open_store(settings.lake, own_session, settings.s3) as store:
        found = await statuses(store, runs_max)
        if not found:
            await check_has_log(store)
            await check_is_lake(store, settings.lake)
        catalog = await _behind(settings, store) if settings.catalog.kind else None
        coverage = None if max_age_h is None else await find_coverage(store, settings, found, max_age_h)
        return _LakeStatus(found, catalog, coverage)


async def _behind(settings: Settings, store: Store) -> Publication:
    """What the catalog lacks; where it can't be asked, that is what is shown of it."""
    try:
        check_catalog(settings)
        from exporter.catalog.keeping import look_at_catalog  # noqa: PLC0415 - brings PyIceberg, slow to import

        return await look_at_catalog(settings, store, own_session, system_clock())
    except ExportError as error:
        failed = Publication()
        failed.fail("", error)
        return failed


def _catalog_text(catalog: Publication | None) -> list[str]:
    """The catalog, where there is one: how far it is, and what is wrong with it."""
    if catalog is None:
        return []
    behind = catalog.behind
    how_far = "not known" if behind is None else counted(behind, "file") + " behind" if behind else "up to date"
    lines = ["catalog", f"  published       {how_far}"]
    lines += [f"  failing         {failure.unit or 'all'}: {failure.error}" for failure in catalog.failures]
    return ["\n".join(map(plain, lines))]


def _rows_beside_events(status: ScopeStatus) -> list[str]:
    """A line with the rows of the other tables; none where they have none."""
    rows = [f"{count:,} of {name}" for name, count in sorted(status.lake.rows.items()) if name != "events"]
    return [f"  other rows      {', '.join(rows)}"] if rows else []


def _status_text(status: ScopeStatus) -> str:
    name = f"{status.scope.account_id} in {status.scope.region}"
    if status.error is not None:
        return "\n".join(map(plain, [name, f"  not known       {status.error}"]))
    lake, sessions = status.lake, status.sessions
    lines = [
        name,
        f"  complete until  {_time(status.sessions.complete_until_us)}",
        f"  lake            {counted(lake.rows['events'], 'event')} in {counted(lake.files, 'file')}{_dates(status)}",
        *_rows_beside_events(status),
        f"  sessions        {sessions.sealed:,} sealed, {sessions.waiting:,} ended and waiting"
        f", {sessions.active:,} active" + (f", {sessions.vanished:,} vanished" if sessions.vanished else ""),
    ]
    if (oldest := sessions.oldest) is not None:
        ended, ago = text_of(oldest.ended_us), duration_of(oldest.waits_s)
        lines.append(f"  oldest waiting  {oldest.name}, ended {ended}, {ago} ago")
    if sessions.without_rows:
        lines.append(f"  without rows    {counted(sessions.without_rows, 'sealed session')}: run --backfill-tables")
    lines += _some("failing", [f"{name}, for {_days(days)}" for name, days in status.units.failing.items()])
    lines += _some("abandoned", list(status.units.abandoned))
    lines.append("  last runs")
    for run in status.runs:
        lines += [f"    {_run_text(run)}", *(_causes(run) if run is status.runs[0] else ())]
    return "\n".join(map(plain, lines))


def _run_text(run: RunLine) -> str:
    closing = run.closing
    if closing is None:
        return f"{run.run_id}  {run.outcome}"
    if closing.command != "run":
        return f"{run.run_id}  {run.outcome:<9}  {closing.command}"
    units = Counter(closing.units)
    written = f"{counted(closing.events.get('written', 0), 'event')} written, {counted(units['found'], 'unit')}"
    return f"{run.run_id}  {run.outcome:<9}  {written}, {units['failed']:,} failed, {units['deferred']:,} deferred"


def _causes(run: RunLine) -> list[str]:
    """Why something of a run failed: the first causes."""
    failures = () if run.closing is None else run.closing.failures[:_CAUSES_MAX]
    return [f"      {failure.error}: {failure.message} ({failure.count:,})" for failure in failures]


def _days(days: float) -> str:
    return "1 day" if days == 1 else f"{days:g} days"


def _dates(status: ScopeStatus) -> str:
    return f", {status.lake.first_date} to {status.lake.last_date}" if status.lake.first_date else ""


def _some(what: str, names: list[str]) -> list[str]:
    """The count of some units, and the first of them by name."""
    if not names:
        return []
    more = f", the first {_SHOWN}" if len(names) > _SHOWN else ""
    return [f"  {what:<15} {counted(len(names), 'unit')}{more}:", *(f"    {name}" for name in names[:_SHOWN])]


def _time(moment_us: int | None) -> str:
    return "unknown" if moment_us is None else text_of(moment_us)
