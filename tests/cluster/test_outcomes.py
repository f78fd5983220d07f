"""How the scopes of a run on a cluster stand: by their logs, whatever tasks say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalog.outcome import Publication
from exporter.cli.own_session import own_session
from exporter.cluster import dask_cluster
from exporter.cluster.dask_cluster import ClusterFailed, DaskRun
from exporter.cluster.outcomes import TaskEnd, ledgers_of
from exporter.cluster.tasks import ScopeTask
from exporter.discovery.request import Request
from exporter.errors import LogDamaged
from exporter.health.night import ScopeNight, TaggedRun, outcomes_of
from exporter.health.recorded_runs import RecordedFailure, RecordedSummary
from exporter.lake.data_files import DataFile
from exporter.model import Outcome, Scope
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import Stop
from exporter.settings import CatalogSettings, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from exporter.pipeline.run_context import RunContext

SCOPE = Scope("111122223333", "eu-west-1")
BASE = ScopeTask("eu-west-1", None, (), "")
OTHER = ScopeTask("us-east-1", None, (), "")
EMPTY = TaskEnd(
    summary={
        "scopes": [
            {
                "has_stages": False,
                "account_id": "111122223333",
                "calls": {"ListStages": 1},
                "sessions": {"vanished": 0},
                "failures": [],
            }
        ],
        "failures": [],
    }
)


def a_run(rows: int = 0, closing: RecordedSummary | None = None, *, is_running: bool = False) -> TaggedRun:
    run = TaggedRun(f"run-{rows}", "2026-11-26T01:00:00Z", closing, is_running)
    run.files.append(DataFile("events", "events/event_date=2026-11-23/x.parquet", "2026-11-23", rows, 10, "", ()))
    return run


def whole(found: int, *failures: RecordedFailure) -> RecordedSummary:
    units = {"found": found, "exported": found - len(failures), "failed": len(failures)}
    return RecordedSummary(units, calls={"ListStages": 1}, failures=failures, more_to_do=bool(failures))


def ledger_of(nights: Sequence[ScopeNight], ends: dict[str, TaskEnd], *tasks: ScopeTask) -> RunLedger:
    ledger = RunLedger("r", list(ledgers_of(tasks or (BASE,), nights, ends, "night 7")))
    for scope in ledger.scopes:
        scope.close()
    return ledger


def failed(ledger: RunLedger) -> list[tuple[str, str]]:
    return [(failure["error"], failure["message"]) for failure in ledger.failures]


def test_what_a_killed_run_has_committed_counts() -> None:
    """Rows are those of all runs of the night, units those of the last, calls those of the runs that have an end."""
    night = ScopeNight(SCOPE, [a_run(5), a_run(7, whole(3))])
    ledger = ledger_of([night], {BASE.name: TaskEnd(failed="its worker was killed")})
    summary: dict[str, Any] = ledger.summary(1.0)
    assert (summary["outcome"], summary["failures"], summary["more_to_do"]) == ("complete", [], False)
    assert (summary["events"]["written"], summary["files"], summary["bytes"]) == (12, 2, 20)
    assert (summary["units"]["found"], summary["units"]["exported"], summary["calls"]) == (3, 3, {"ListStages": 1})
    assert [run["state"] for run in summary["scopes"][0]["runs"]] == ["cut short", "ended"]


UNITS = st.fixed_dictionaries({outcome.value: st.integers(0, 9) for outcome in Outcome}).map(
    lambda units: {"found": sum(units.values()), **units}
)


@given(st.lists(UNITS, min_size=1, max_size=4))
def test_outcomes_of_a_night_add_up(runs: list[dict[str, int]]) -> None:
    """Found is the sum of the outcomes, whatever the runs were; of one run they are its own."""
    found = outcomes_of(runs)
    assert sum(found.values()) == max(run["found"] for run in runs)
    assert min(found.values()) >= 0
    alone = {outcome.value: count for outcome, count in outcomes_of(runs[:1]).items()}
    assert {"found": sum(alone.values()), **alone} == runs[0]


@pytest.mark.parametrize(
    ("runs", "exported", "unchanged"),
    [
        ([{"found": 80, "exported": 80}, {"found": 0}], 80, 0),
        ([{"found": 80, "exported": 50, "deferred": 30}, {"found": 80, "unchanged": 50, "exported": 30}], 80, 0),
        ([{"found": 80, "unchanged": 40, "exported": 40}], 40, 40),
        ([{"found": 20, "exported": 20}, {"found": 20, "exported": 20}], 20, 0),
    ],
    ids=["sealed before its task was done again", "stopped and gone on with", "after a killed run", "active twice"],
)
def test_a_unit_is_counted_once_a_night(runs: list[dict[str, int]], exported: int, unchanged: int) -> None:
    found = outcomes_of(runs)
    assert (found[Outcome.EXPORTED], found[Outcome.UNCHANGED]) == (exported, unchanged)
    assert sum(found.values()) == runs[0]["found"]


def test_a_scope_without_a_closing_record_has_failed() -> None:
    """By name, whatever its task returned; the task's words are shown."""
    for nights in ([], [ScopeNight(SCOPE, [a_run(5)])]):
        ledger = ledger_of(nights, {BASE.name: TaskEnd(summary={"scopes": [], "failures": []})})
        assert ledger.outcome == "failed"
        assert failed(ledger)[-1][1].startswith("its log has no closing record of tag night 7; its task said: ")
        assert ledger.summary(1.0)["events"]["written"] == sum(len(night.runs) for night in nights) * 5
    others = [ScopeNight(Scope("111122223333", "us-east-1"), [a_run(7, whole(3))])]
    assert ledger_of(others, {BASE.name: TaskEnd(failed="killed")}, BASE, OTHER).outcome == "partial"


def test_a_task_that_was_never_begun_is_deferred() -> None:
    """Where the run was stopped before, nothing has failed, and another run goes on with it."""
    ledger = ledger_of([], {})
    assert (ledger.outcome, ledger.more_to_do, [error for error, _ in failed(ledger)]) == (
        "partial",
        True,
        ["deferred"],
    )


@pytest.mark.parametrize("is_running", [True, False])
def test_a_scope_that_is_left_in_the_middle(is_running: bool) -> None:
    """One whose run goes on is deferred, one whose run has left no closing record has failed."""
    ledger = ledger_of([ScopeNight(SCOPE, [a_run(5, is_running=is_running)])], {})
    assert failed(ledger)[0][0] == ("deferred" if is_running else "cut_short")
    assert ledger.outcome == ("partial" if is_running else "failed")


def test_a_region_without_a_stage_has_no_log() -> None:
    """Its task's word counts, but not against a log that is there."""
    ledger = ledger_of([], {BASE.name: EMPTY})
    assert (ledger.outcome, ledger.failures) == ("nothing", [])
    assert ledger.empty_regions == [{"region": "eu-west-1", "account_id": "111122223333"}]
    assert ledger_of([ScopeNight(SCOPE, [a_run(7, whole(3))])], {BASE.name: EMPTY}).outcome == "complete"


def test_failures_are_those_of_the_log_and_of_a_task_that_failed() -> None:
    """A log that says that all is well is believed against its task; else the task's failure is named, too."""
    refused = RecordedFailure("refused", "ListParticipantEvents: no", 1, ("a/b/c",))
    night = ScopeNight(SCOPE, [a_run(7, whole(3, refused))])
    ledger = ledger_of([night], {BASE.name: TaskEnd(failed="credentials")})
    assert failed(ledger) == [("refused", "ListParticipantEvents: no"), ("task", "its task failed: credentials")]
    assert (ledger.outcome, ledger.more_to_do) == ("partial", True)


def test_a_damaged_log_fails_the_run() -> None:
    night = ScopeNight(SCOPE)
    night.lose(LogDamaged("record 3 is missing"), is_damaged=True)
    assert ledger_of([night], {BASE.name: EMPTY}).outcome == "failed"


@pytest.mark.parametrize("kind", ["", "sql"])
async def test_a_catalog_is_kept_by_the_command_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is published once, after all tasks, which know nothing of it."""
    published: list[str] = []

    async def publish(context: RunContext, _make_session: object) -> Publication:
        published.append(context.settings.catalog.kind)
        return Publication()

    @asynccontextmanager
    async def no_cluster(_run: DaskRun) -> AsyncIterator[None]:
        yield None

    async def no_work(_hand: object, tasks: Sequence[ScopeTask]) -> None:
        assert not any("[catalog]" in task.settings for task in tasks)

    monkeypatch.setattr(dask_cluster, "publish_after", publish)
    monkeypatch.setattr(DaskRun, "_client", no_cluster)
    monkeypatch.setattr("exporter.cluster.dask_cluster._TaskRunner.carry_out", no_work)
    catalog = CatalogSettings.model_validate({"kind": kind, "properties": {"uri": "sqlite:///x"}} if kind else {})
    settings = Settings(lake=str(tmp_path), regions=("eu-west-1",), catalog=catalog)
    ledger = RunLedger("r")
    await DaskRun("local:1", own_session)(settings, Request(), ledger, Stop())
    assert published == ([kind] if kind else [])


async def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was stopped, and its connection is open: what is waited for has a name."""

    async def unanswered() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(dask_cluster, "_LOOK_S", 0.0)
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 0.01)
    hand: Any = dask_cluster._TaskRunner(SimpleNamespace(nthreads=unanswered), "r", Stop(), {})  # noqa: SLF001 - no cluster can be stopped so in a second
    with pytest.raises(ClusterFailed, match=r"the Dask scheduler is gone \(no answer in 0\.01 s\)"):
        await hand._watch()  # noqa: SLF001 - the same
