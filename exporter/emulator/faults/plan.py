"""The fault plan: which fault meets which call, and which event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator.faults.syntax import Fault, parse_fault
from exporter.emulator.world.draws import draw, draw_text, fraction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.emulator.protocol.requests import CallRequest


@dataclass(slots=True)
class Planned:
    """A fault of the plan, and what it has met. ``hits`` counts the calls; for a fault of the data it stays 0."""

    number: int
    fault: Fault
    seen: int = 0
    hits: int = 0
    tries: Counter[tuple[Any, ...]] = field(default_factory=Counter)


class FaultPlan:
    """Faults in order; where one takes the answer's place, those behind it do not count the call.

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

    def describe(self) -> list[dict[str, Any]]:
        """The plan: each fault's number, text and hits."""
        return [{"number": each.number, "fault": each.fault.text, "hits": each.hits} for each in self._planned]

    def meeting(self, request: CallRequest) -> list[Fault]:
        """The faults of connection, answer and paging that meet this call; they count it.

        At most one, the last, takes the answer's place; those before it delay the answer or change its page.
        """
        met = []
        for each in self._planned:
            if each.fault.group != "data" and self._meets(each, request):
                met.append(each.fault)
                if each.fault.takes_place:
                    break
        return met

    def on_events_of(self, stage_arn: str, session_id: str, participant_id: str) -> list[tuple[Fault, int]]:
        """The faults of the data that may change this unit's events, each with the seed of its chances."""
        return [
            (each.fault, draw(self._seed, b"data fault", each.number))
            for each in self._planned
            if each.fault.group == "data" and _concerns(each.fault, stage_arn, session_id, participant_id)
        ]

    def _meets(self, each: Planned, request: CallRequest) -> bool:
        fault = each.fault
        if fault.operation not in (None, request.operation):
            return False
        if not _concerns(fault, *request.ids):
            return False
        if fault.kind == "token_refused" and not request.start.turn:
            return False
        each.seen += 1
        attempt = 0
        if fault.times is not None or fault.p is not None:
            attempt = each.tries[request.key]
            each.tries[request.key] += 1
        meets = (
            (fault.first is None or each.seen <= fault.first)
            and (fault.every is None or each.seen % fault.every == 0)
            and (fault.times is None or attempt < fault.times)
            and (fault.p is None or self._chance(each, request, attempt) < fault.p)
        )
        each.hits += meets
        return meets

    def _chance(self, each: Planned, request: CallRequest, attempt: int) -> float:
        return fraction(draw_text(draw(self._seed, b"fault", each.number), b"try", f"{request.key} {attempt}"))


def _concerns(fault: Fault, stage_arn: str, session_id: str, participant_id: str) -> bool:
    if fault.units is not None:
        rest, divisor = fault.units
        if not participant_id:
            return False
        if draw_text(0, b"unit", f"{stage_arn}/{session_id}/{participant_id}") % divisor != rest:
            return False
    return (
        (fault.stage is None or fault.stage in stage_arn)
        and (fault.session is None or fault.session in session_id)
        and (fault.participant is None or fault.participant in participant_id)
    )
