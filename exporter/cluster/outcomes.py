"""From the lake's logs, and from what tasks say, to how each scope of a run stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.errors import ExportError
from exporter.ledger import ScopeLedger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.cluster.tasks import ScopeTask
    from exporter.health.night import ScopeNight
    from exporter.model import Scope


class TaskLost(ExportError):
    """A task did not come to its end, and its scope's log does not say that all is well."""

    kind = "task"


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """What a task said at its end: the summary that its run printed, or why it failed."""

    summary: Mapping[str, Any] | None = None
    failed: str | None = None

    @property
    def reason(self) -> str:
        """Why it failed, for people."""
        if self.failed is not None:
            return self.failed
        failures = (self.summary or {}).get("failures") or [{"message": "it named no failure"}]
        return str(failures[0]["message"])

    @property
    def empty_scope(self) -> Mapping[str, Any] | None:
        """Its region's part of the summary, where the region shows no stage."""
        for scope in (self.summary or {}).get("scopes", ()):
            if not scope["has_stages"]:
                found: Mapping[str, Any] = scope
                return found
        return None


def pending(task: ScopeTask) -> ScopeLedger:
    """The ledger of a scope whose task has not come to an end."""
    ledger = ScopeLedger(task.region, task.account_id)
    ledger.listing_needed()
    return ledger


def ledgers_of(
    tasks: Sequence[ScopeTask], nights: Sequence[ScopeNight], ends: Mapping[str, TaskEnd], tag: str
) -> list[ScopeLedger]:
    """How each task's scope stands: as its log says, in the order of the tasks.

    A task whose region shows no stage has no log, and its own word counts. One without a closing record has failed, by
    name, or is deferred where it did not come to an end because the run was stopped.
    """
    ledgers: list[ScopeLedger] = []
    for task in tasks:
        found = [night for night in nights if _is_of(night.scope, task)]
        end = ends.get(task.name)
        ended = [night for night in found if night.has_ended or night.is_damaged]
        for night in ended:
            if end is not None and end.failed is not None and not night.is_complete:
                night.fail(night.name, TaskLost(f"its task failed: {end.failed}"))
        ledgers += ended or [_without_record(task, found, end, tag)]
    return ledgers


def _is_of(scope: Scope, task: ScopeTask) -> bool:
    return scope.region == task.region and task.account_id in {None, scope.account_id}


def _without_record(task: ScopeTask, found: Sequence[ScopeNight], end: TaskEnd | None, tag: str) -> ScopeLedger:
    """How a scope stands of which no run of the night came to its end. It counts what was committed all the same."""
    if end is not None and end.empty_scope is not None:
        return EmptyScope(task, end.empty_scope)
    ledger: ScopeLedger = found[0] if found else pending(task)
    if end is not None:
        ledger.lose(TaskLost(f"its log has no closing record of tag {tag}; its task said: {end.reason}"))
    return ledger


class EmptyScope(ScopeLedger):
    """A region without a stage, as its task found it. There is no log of it."""

    def __init__(self, task: ScopeTask, scope: Mapping[str, Any]) -> None:
        super().__init__(task.region, task.account_id or scope["account_id"])
        self.is_empty = True
        self.calls.update(scope["calls"])
        self.sessions_vanished = scope["sessions"]["vanished"]
        for failure in scope["failures"]:
            self._failures.recall(failure["error"], failure["message"], failure["units"], failure["count"])
