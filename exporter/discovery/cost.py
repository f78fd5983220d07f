"""What a run will cost, before it is made: units, calls, minutes. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.ivs.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.commit_log.records import Record

_SECONDS_A_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The plan of one scope. ``calls`` are by operation.

    ``pages_a_unit`` is what the plan takes a unit to have, and ``is_assumed`` says that no earlier run has shown it.
    Operations overlap, each at its own quota, so the longest of them gives the ``minutes``.
    """

    scope: str
    units: int
    calls: dict[str, int]
    minutes: float
    pages_a_unit: float
    is_assumed: bool

    def summary(self) -> dict[str, Any]:
        """The plan as ``run --dry-run --json`` prints it."""
        return {
            "scope": self.scope,
            "units": self.units,
            "calls": self.calls,
            "minutes": round(self.minutes, 2),
            "pages_per_unit": round(self.pages_a_unit, 2),
            "pages_per_unit_assumed": self.is_assumed,
        }


@dataclass(frozen=True, slots=True)
class Work:
    """What a plan has to do: ``units`` to fetch, and ``details`` to ask for of participants."""

    units: int
    details: int = 0


def estimate(
    scope: str, work: Work, listing_calls: Mapping[str, int], last: Record | None, calls_per_second: float
) -> Estimate:
    """The plan for ``work`` that was found by ``listing_calls``; a run makes those again.

    A unit's pages are known only once they are fetched: they are taken to be as many as in the ``last`` run, or one.
    """
    pages_a_unit = _pages_a_unit(last)
    calls = {str(name): count for name, count in listing_calls.items()}
    calls[Operation.LIST_PARTICIPANT_EVENTS] = math.ceil(work.units * (pages_a_unit or 1.0))
    if work.details:
        calls[Operation.GET_PARTICIPANT] = work.details
    minutes = max(calls.values()) / calls_per_second / _SECONDS_A_MINUTE
    return Estimate(scope, work.units, calls, minutes, pages_a_unit or 1.0, pages_a_unit is None)


def _pages_a_unit(last: Record | None) -> float | None:
    """Calls for events a unit in the run that wrote this record; None where it made none.

    Most of the unchanged units were asked for, too: only so is it learned of an active session that nothing came.
    """
    if last is None or last.summary is None:
        return None
    calls = last.summary["calls"].get(Operation.LIST_PARTICIPANT_EVENTS, 0)
    units = last.summary["units"]
    fetched = units["exported"] + units["empty"] + units["unchanged"] + units["failed"]
    return max(1.0, calls / fetched) if calls and fetched else None
