"""The fault plan: which fault meets which call, and which event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator.faults.kinds import Fault, parse_fault
from exporter.emulator.world.draws import draw, draw_text, fraction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.emulator.protocol.requests import CallRequest


@dataclass(slots=True)
class Planned:
    """A fault of the plan, and what it has met. ``hits`` counts the calls; for a fault of the data it stays 0."""

    number: int
    fault: Fault
    seen: int = field(init=False, default=0)
    hits: int = field(init=False, default=0)
    tries: Counter[tuple[Any, ...]] = field(init=False, default_factory=Counter)


class FaultPlan:
    """Faults in order; those after one that replaces the answer do not count the call.

    ``seed`` decides the chances. ``changes`` counts how often the plan was changed.
    """

    def __init__(self, texts: Iterable[str], seed: int) -> None:
        self._seed = seed
        self.changes = 0
        self._numbers = 0
        self._planned: list[Planned] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> int:
        """Plan one more fault, and give its number. Raises ValueError for a bad text."""
        fault = parse_fault(text)
        self._numbers += 1
        self._planned.append(Planned(self._numbers, fault))
        self.changes += 1
        return self._numbers

    def replace(self, texts: Iterable[str]) -> None:
        """Plan these faults and no others. Raises ValueError for a bad text, and then nothing is changed."""
        faults = [parse_fault(text) for text in texts]
        self.clear()
        for fault in faults:
            self.add(fault.text)

    def clear(self) -> None:
        """Plan nothing."""
        self._planned = []
        self.changes += 1

    @property
    def changes_data(self) -> bool:
        """Whether a fault of the data is planned."""
        return any(planned.fault.group == "data" for planned in self._planned)

    def describe(self) -> list[dict[str, Any]]:
        """The plan: each fault's number, text and hits."""
        return [
            {"number": planned.number, "fault": planned.fault.text, "hits": planned.hits} for planned in self._planned
        ]

    def meeting(self, request: CallRequest) -> list[Fault]:
        """The faults of connection, answer and paging that meet this call; they count it.

        At most one, the last, replaces the answer; those before it delay the answer or change its page.
        """
        met = []
        for planned in self._planned:
            if planned.fault.group != "data" and self._meets(planned, request):
                met.append(planned.fault)
                if planned.fault.replaces_answer:
                    break
        return met

    def on_data_of(self, operation: str, ids: tuple[str, str, str]) -> list[tuple[Fault, int]]:
        """The faults of the data that may change what an operation shows, each with the seed of its chances.

        ``ids`` are those of the unit whose events they are, or of the item: stage, session and participant, ``""`` for
        one that it has not.
        """
        return [
            (planned.fault, draw(self._seed, b"data fault", planned.number))
            for planned in self._planned
            if planned.fault.group == "data"
            and planned.fault.data_operation == operation
            and planned.fault.match.has_unit(*ids)
        ]

    def _meets(self, planned: Planned, request: CallRequest) -> bool:
        fault = planned.fault
        if fault.match.operation not in (None, request.operation) or not fault.match.has_unit(*request.ids):
            return False
        if fault.kind == "token_refused" and not request.start.turn:
            return False
        planned.seen += 1
        attempt = 0
        if fault.frequency.counts_tries:
            attempt = planned.tries[request.key]
            planned.tries[request.key] += 1
        is_met = fault.frequency.allows(planned.seen, attempt, lambda: self._chance(planned, request, attempt))
        planned.hits += is_met
        return is_met

    def _chance(self, planned: Planned, request: CallRequest, attempt: int) -> float:
        return fraction(draw_text(draw(self._seed, b"fault", planned.number), b"try", f"{request.key} {attempt}"))
