"""What ``status --tag`` reads of a lake, and how it shows a night as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from exporter.cli import exit_codes
from exporter.cli.actions.coverage import find_coverage, with_all_regions
from exporter.cli.own_session import own_session
from exporter.cli.plain_logs import start_plain_logs
from exporter.cli.summary import duration_of, text_of
from exporter.commit_log.reader import scopes_in
from exporter.discovery.shards import configured_scopes, has_all_regions
from exporter.health.night import read_night
from exporter.health.status import statuses
from exporter.lake.identity import check_is_lake
from exporter.lake.stores.open import open_store
from exporter.pipeline.run_ledger import RunLedger
from exporter.text import counted, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.actions.coverage import Coverage
    from exporter.cli.invocation import Invocation
    from exporter.health.night import ScopeNight
    from exporter.settings import Settings

#: What a run's summary has of that run alone.
_OF_A_RUN = (
    "run_id",
    "version",
    "began_at",
    "ended_at",
    "stopped_by",
    "empty_regions",
    "regions_with_stages",
    "catalog",
)
_SHOWN = 10


def show_night(invocation: Invocation, settings: Settings, tag: str, max_age_h: float | None = None) -> int:
    """Carry out ``ivs-export status --tag``. Raises :class:`LakeError`, and :class:`UsageError` as `show_status`."""
    start_plain_logs()
    settings = settings if max_age_h is None else with_all_regions(settings)
    scopes, coverage = asyncio.run(_read(settings, tag, max_age_h))
    without = _without(settings, scopes)
    ledger = RunLedger(f"tag {tag}", list(scopes), lake=settings.lake, tag=tag)
    summary = ledger.summary(sum(scope.seconds for scope in scopes))
    shown = {name: value for name, value in summary.items() if name not in _OF_A_RUN}
    covered = {} if coverage is None else {"coverage": coverage.summary()}
    invocation.print_object({**shown, "without_run": without, **covered})
    texts = ["\n".join(_lines(summary, scopes, without)) if scopes else plain(f"{tag}: no run has this tag")]
    invocation.say("\n\n".join(texts + ([] if coverage is None else [coverage.text()])))
    damaged, is_late = sum(scope.is_damaged for scope in scopes), coverage is not None and not coverage.is_current
    return exit_codes.of_logs(damaged=damaged, all_=len(scopes), is_late=is_late)


async def _read(settings: Settings, tag: str, max_age_h: float | None) -> tuple[list[ScopeNight], Coverage | None]:
    async with open_store(settings.lake, own_session, settings.s3) as store:
        found = await read_night(store, tag)
        if not found and not await scopes_in(store):
            await check_is_lake(store, settings.lake)
        if max_age_h is None:
            return found, None
        return found, await find_coverage(store, settings, await statuses(store, 1), max_age_h)


def _without(settings: Settings, scopes: Sequence[ScopeNight]) -> list[str]:
    """The configured scopes, by name, of which no run has the tag; none where not all regions are configured.

    One with no stage is among them: nothing is written of it.
    """
    if not has_all_regions(settings):
        return []
    accounts = {(scope.account_id, scope.region) for scope in scopes} | {(None, scope.region) for scope in scopes}
    return [str(each) for each in configured_scopes(settings) if (each.account_id, each.region) not in accounts]


def _lines(summary: dict[str, Any], scopes: Sequence[ScopeNight], without: Sequence[str]) -> list[str]:
    runs = sum(len(scope.runs) for scope in scopes)
    head = f"{summary['tag']}: {summary['outcome']}; the runs took {duration_of(summary['seconds'])} together"
    lines = [
        head,
        *text_of({**summary, "scopes": []}).split("\n")[1:],
        f"  scopes     {len(scopes):,}, in {counted(runs, 'run')}",
    ]
    lines += [_line(scope) for scope in scopes if not scope.is_complete]
    if without:
        more = f" and {len(without) - _SHOWN:,} more" if len(without) > _SHOWN else ""
        lines.append(f"  no run     of {', '.join(without[:_SHOWN])}{more}")
    return [plain(line) for line in lines]


def _line(scope: ScopeNight) -> str:
    states = ", ".join(f"{run.run_id} {run.state}" for run in scope.runs)
    return f"    {scope.name}: {scope.outcome}; {states or 'its log is damaged'}"
