"""What a participant does from joining to leaving, as events in the API's own form.

Source of names and members: API Reference, Event.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from exporter.emulator.clock import HOUR_US
from exporter.emulator.world.draws import draw
from exporter.emulator.world.world import ShownEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.emulator.world.texts import Texts
    from exporter.emulator.world.timetable import Span

#: The events of a visit that is long enough to publish: JOINED, PUBLISH_STARTED, PUBLISH_STOPPED, LEFT.
PUBLISHING_EVENTS_MIN = 4
_STUMBLING_EVENTS_MIN = 5
_TOKEN_LIFE_US = 12 * HOUR_US

# How many of a hundred turns are one failure or one new token, and up to where there are two equal events.
_SINGLE_PERCENT = 8
_TWICE_PERCENT = 10

#: The step that repeats the one before it: two equal events.
_AGAIN = "AGAIN"
_REPLICATIONS = ("REPLICATION_STARTED", "REPLICATION_STOPPED")

Timed = tuple[int, ShownEvent]
#: An event's name, and the index of the other participant it is about, if any.
_Step = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Remote:
    """A publisher whom others subscribe to."""

    participant_id: str
    is_replica: bool


@dataclass(frozen=True, slots=True)
class ReplicatedTo:
    """To where, and from when to when, a participant is replicated."""

    span: Span
    stage_arn: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Role:
    """A participant in a session: who it is, whom it can watch, and whether it publishes."""

    participant_id: str
    others: tuple[Remote, ...]
    is_publisher: bool
    texts: Texts


def visit_events(role: Role, seed: int, span: Span, size: int, replicated_to: ReplicatedTo | None) -> list[Timed]:
    """The ``size`` events of one visit with their times, oldest first. ``seed`` is the visit's own."""
    steps = _script(role, seed, size, replicated_to)
    length_us = span.end_us - span.start_us
    timed: list[Timed] = []
    for index, (name, other) in enumerate(steps):
        number = draw(seed, b"event", index)
        if name == _AGAIN:
            timed.append((timed[-1][0], dict(timed[-1][1])))
            continue
        if index == 0:
            moment_us = span.start_us
        elif index == size - 1:
            moment_us = span.end_us
        else:
            moment_us = span.start_us + length_us * ((index << 16) + (number & 0xFFFF)) // (size << 16)
        if replicated_to is not None and name in _REPLICATIONS:
            moment_us = replicated_to.span.start_us if name == "REPLICATION_STARTED" else replicated_to.span.end_us
            event = _event(role, number, name, moment_us)
            event["destinationStageArn"] = replicated_to.stage_arn
            event["destinationSessionId"] = replicated_to.session_id
        else:
            event = _event(role, number, name, moment_us)
        if other is not None:
            _add_remote(event, role.others[other], number)
        timed.append((moment_us, event))
    timed.sort(key=itemgetter(0))
    return timed


def replica_events(role: Role, seed: int, span: Span) -> list[Timed]:
    """What a replicated participant does on the stage that it is replicated to, oldest first."""
    inner = span.part(0.01, 0.99)
    steps = (
        ("JOINED", span.start_us),
        ("PUBLISH_STARTED", inner.start_us),
        ("PUBLISH_STOPPED", inner.end_us),
        ("LEFT", span.end_us),
    )
    return [
        (moment_us, _event(role, draw(seed, b"replica", index), name, moment_us) | {"replica": True})
        for index, (name, moment_us) in enumerate(steps)
    ]


def _script(role: Role, seed: int, size: int, replicated_to: ReplicatedTo | None) -> list[_Step]:
    if size == 0:
        return []
    if size == 1:
        return [("JOIN_ERROR", None)]
    opening, closing = ["JOINED"], ["LEFT"]
    if role.is_publisher and size >= PUBLISHING_EVENTS_MIN:
        opening, closing = [*opening, "PUBLISH_STARTED"], ["PUBLISH_STOPPED", *closing]
    if replicated_to is not None:
        opening, closing = [*opening, "REPLICATION_STARTED"], ["REPLICATION_STOPPED", *closing]
    elif size >= _STUMBLING_EVENTS_MIN and draw(seed, b"stumbles") % 24 == 0:
        opening = ["JOIN_ERROR", *opening]
    room = size - len(opening) - len(closing)
    inner = list(_fill(role, seed, room))
    return [*((name, None) for name in opening), *inner, *((name, None) for name in closing)]


def _fill(role: Role, seed: int, room: int) -> Iterator[_Step]:
    """``room`` steps of what happens on stage: subscriptions mostly, and now and then a failure or a new token."""
    turn = 0
    while room:
        number = draw(seed, b"turn", turn)
        turn += 1
        percent = number % 100
        error = "PUBLISH_ERROR" if role.is_publisher and number & 0x100 else "SUBSCRIBE_ERROR"
        other = (number >> 16) % len(role.others) if role.others else None
        watched = None if error == "PUBLISH_ERROR" else other
        steps: list[_Step]
        if room == 1 or percent < _SINGLE_PERCENT:
            steps = [("TOKEN_EXCHANGED", None)] if percent % 2 else [(error, watched)]
        elif percent < _TWICE_PERCENT:
            steps = [(error, watched), (_AGAIN, None)]
        elif other is None:
            steps = [("PUBLISH_STOPPED", None), ("PUBLISH_STARTED", None)]
        else:
            group = min(room // 2, len(role.others), 1 + (number >> 8) % 3)
            watched_ones = [(other + index) % len(role.others) for index in range(group)]
            steps = [("SUBSCRIBE_STARTED", index) for index in watched_ones]
            steps += [("SUBSCRIBE_STOPPED", index) for index in watched_ones]
        yield from steps
        room -= len(steps)


def _event(role: Role, number: int, name: str, moment_us: int) -> ShownEvent:
    event: ShownEvent = {
        "name": name,
        "participantId": role.participant_id,
        "eventTime": role.texts.time(moment_us, number >> 16, number >> 24),
    }
    absent = (number >> 40) % 16
    if absent < len(_ABSENT):
        event.update(_ABSENT[absent])
    if name in _ERRORS:
        event["errorCode"] = role.texts.error_code(number >> 32)
    elif name == "TOKEN_EXCHANGED":
        for index, member in enumerate(("previousToken", "newToken")):
            expiration = role.texts.time(moment_us + index * _TOKEN_LIFE_US, number >> 20)
            event[member] = role.texts.token(draw(number, b"token", index), expiration)
    if role.texts.is_hostile:
        event.update(role.texts.unknown_members(number >> 32))
    return event


_ERRORS = frozenset({"JOIN_ERROR", "PUBLISH_ERROR", "SUBSCRIBE_ERROR"})
# Most events leave out what they have no value for; some say so, as the samples in AWS's documentation do.
_ABSENT: tuple[ShownEvent, ...] = (
    {"remoteParticipantId": "", "errorCode": ""},
    {"remoteParticipantId": None, "destinationStageArn": None, "destinationSessionId": None},
    {"errorCode": None, "previousToken": None, "newToken": None},
    {"replica": False},
)


def _add_remote(event: ShownEvent, remote: Remote, number: int) -> None:
    event["remoteParticipantId"] = remote.participant_id
    if remote.is_replica or (number >> 48) % 4 == 0:
        event["replica"] = remote.is_replica
