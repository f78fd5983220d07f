"""A run as its records in a scope's log show it. Its summary may be another program's, or damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class RecordedFailure(msgspec.Struct, frozen=True):
    """A failure as a closing record has it."""

    error: str
    message: str
    count: int = 1
    units: tuple[str, ...] = ()


class RecordedSummary(msgspec.Struct, frozen=True):
    """What is read of a closing record's summary. ``command`` wrote it; the summary of a run does not name it."""

    units: dict[str, int] = {}
    sessions: dict[str, int] = {}
    events: dict[str, int] = {}
    calls: dict[str, int] = {}
    throttled: int = 0
    retries: int = 0
    unknown_fields: dict[str, int] = {}
    failures: tuple[RecordedFailure, ...] = ()
    complete_until: str | None = None
    more_to_do: bool = True
    outcome: str = "unknown"
    command: str = "run"


def read_summary(summary: object) -> RecordedSummary:
    """Read a summary. Raises :class:`msgspec.ValidationError` where it has another form."""
    return msgspec.convert(summary, RecordedSummary)


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a scope, as its records show. ``summary`` is None where the run has not written it, or not yet."""

    run_id: str
    began_at: str
    summary: dict[str, Any] | None = None
    is_running: bool = False

    @property
    def closing(self) -> RecordedSummary | None:
        """The summary, read; of one that has another form nothing is known but that the run came to its end."""
        try:
            return None if self.summary is None else read_summary(self.summary)
        except msgspec.ValidationError:
            return RecordedSummary()

    @property
    def outcome(self) -> str:
        """The outcome that the run's record carries; ``running``, or ``cut short``, where there is none."""
        closing = self.closing
        if closing is None:
            return "running" if self.is_running else "cut short"
        return closing.outcome

    @property
    def command(self) -> str:
        """What it was: ``run``, or ``repair`` or ``verify --accept-missing``, which export nothing."""
        closing = self.closing
        return "run" if closing is None else closing.command
