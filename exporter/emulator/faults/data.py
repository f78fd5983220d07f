"""Events that are not as the model says. What becomes of one depends on the event alone: it is the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.emulator.world.draws import draw, fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.emulator.faults.syntax import Fault
    from exporter.emulator.world.world import ListItem, ShownEvent


_UNREADABLE_TIMES: tuple[object, ...] = (None, "", "yesterday", 1_763_000_000, "2026-02-30T25:61:00Z", "2026-11-23")
_STRANGE_NAMES = ("STAGE_PARTICIPANT_MUTED", "RECORDING_MARKED", "joined")
_OTHER_TYPES: tuple[tuple[str, object], ...] = (
    ("errorCode", 500),
    ("remoteParticipantId", {"id": "a"}),
    ("replica", "true"),
    ("destinationStageArn", False),
    ("destinationSessionId", ["st-0000000000000"]),
    ("newToken", "eyJhbGciOi"),
    ("previousToken", {"capabilities": "PUBLISH", "attributes": [], "userId": 7, "expirationTime": 0}),
    ("name", 7),
)


def altered(event: ListItem, faults: Sequence[tuple[Fault, int]]) -> ListItem:
    """The event as the faults leave it; raw JSON is left alone."""
    if isinstance(event, bytes):
        return event
    for fault, seed in faults:
        number = draw(seed, msgspec.json.encode(event))
        if fraction(number) < (1.0 if fault.frequency.p is None else fault.frequency.p):
            event = _CHANGES[fault.kind](event, draw(number, b"change"))
    return event


def _with_unknown_fields(event: ShownEvent, number: int) -> ShownEvent:
    changed = event | {"observedBy": {"host": "edge-1", "samples": [1, 2.5, None]}}
    for member in ("previousToken", "newToken"):
        if isinstance(event.get(member), dict):
            changed[member] = event[member] | {"issuer": "ivs", "scopes": ["a", "b"]}
    if number % 4 == 0:
        changed["name"] = _STRANGE_NAMES[(number >> 8) % len(_STRANGE_NAMES)]
    return changed


def _with_wrong_types(event: ShownEvent, number: int) -> ShownEvent:
    member, value = _OTHER_TYPES[number % len(_OTHER_TYPES)]
    return event | {member: value}


def _without_time(event: ShownEvent, number: int) -> ShownEvent:
    choice = number % (len(_UNREADABLE_TIMES) + 1)
    if choice == len(_UNREADABLE_TIMES):
        return {name: value for name, value in event.items() if name != "eventTime"}
    return event | {"eventTime": _UNREADABLE_TIMES[choice]}


def _of_another(event: ShownEvent, number: int) -> ShownEvent:
    return event | {"participantId": f"foreign-{number % 1_000_000:06d}"}


_CHANGES: Mapping[str, Callable[[ShownEvent, int], ShownEvent]] = {
    "unknown_fields": _with_unknown_fields,
    "wrong_types": _with_wrong_types,
    "no_time": _without_time,
    "foreign_participant": _of_another,
}
