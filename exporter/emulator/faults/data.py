"""Events and listed items that are not as the model says.

What becomes of an event depends on the event alone, and what becomes of another item on its ids: it is the same each
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.emulator.faults.members import EVENTS, TIMES, values_of
from exporter.emulator.world.draws import draw, draw_text, fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.emulator.faults.kinds import Fault
    from exporter.emulator.world.world import ListItem, ShownEvent


_UNREADABLE_TIMES: tuple[object, ...] = (None, "", "yesterday", 1_763_000_000, "2026-02-30T25:61:00Z", "2026-11-23")
_STRANGE_NAMES = ("STAGE_PARTICIPANT_MUTED", "RECORDING_MARKED", "joined")


def altered(item: ListItem, faults: Sequence[tuple[Fault, int]], ids: str) -> ListItem:
    """The event, or the item with these ids, as the faults leave it; raw JSON is left alone.

    The faults are those of one operation's items, each with the seed of its chances.
    """
    if isinstance(item, bytes):
        return item
    for fault, seed in faults:
        is_event = fault.data_operation == EVENTS
        number = draw(seed, msgspec.json.encode(item)) if is_event else draw_text(seed, b"item", ids)
        if fraction(number) < (1.0 if fault.frequency.p is None else fault.frequency.p):
            item = _CHANGES[fault.kind](item, draw(number, b"change"), fault)
    return item


def _with_unknown_fields(item: ShownEvent, number: int, fault: Fault) -> ShownEvent:
    changed = item | {"observedBy": {"host": "edge-1", "samples": [1, 2.5, None]}}
    if fault.data_operation != EVENTS:
        return changed
    for member in ("previousToken", "newToken"):
        if isinstance(item.get(member), dict):
            changed[member] = item[member] | {"issuer": "ivs", "scopes": ["a", "b"]}
    if number % 4 == 0:
        changed["name"] = _STRANGE_NAMES[(number >> 8) % len(_STRANGE_NAMES)]
    return changed


def _with_wrong_types(item: ShownEvent, number: int, fault: Fault) -> ShownEvent:
    choices = values_of(fault.data_operation, fault.effect.member)
    member, value = choices[number % len(choices)]
    return item | {member: value}


def _without_time(item: ShownEvent, number: int, fault: Fault) -> ShownEvent:
    time = TIMES[fault.data_operation]
    choice = number % (len(_UNREADABLE_TIMES) + 1)
    if choice == len(_UNREADABLE_TIMES):
        return {name: value for name, value in item.items() if name != time}
    return item | {time: _UNREADABLE_TIMES[choice]}


def _of_another(event: ShownEvent, number: int, _fault: Fault) -> ShownEvent:
    return event | {"participantId": f"foreign-{number % 1_000_000:06d}"}


_CHANGES: Mapping[str, Callable[[ShownEvent, int, Fault], ShownEvent]] = {
    "unknown_fields": _with_unknown_fields,
    "wrong_types": _with_wrong_types,
    "no_time": _without_time,
    "foreign_participant": _of_another,
}
