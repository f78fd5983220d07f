"""A participant of a seeded world: what the list, GetParticipant and the events show of it at a moment."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from exporter.emulator.world.draws import draw
from exporter.emulator.world.iso_forms import FORM_COUNT, time_text
from exporter.emulator.world.visits import (
    PUBLISHING_EVENTS_MIN,
    Remote,
    ReplicatedTo,
    Role,
    Timed,
    replica_events,
    visit_events,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.emulator.world.ids import IdMaker
    from exporter.emulator.world.texts import Texts
    from exporter.emulator.world.timetable import Life, Replication
    from exporter.emulator.world.world import ShownEvent

# What GetParticipant shows of a participant's device. Source: API Reference, Participant.
_CLIENTS = (
    {"osName": "Windows", "osVersion": "11", "browserName": "Chrome", "browserVersion": "142.0"},
    {"osName": "iOS", "osVersion": "18.1"},
    {"osName": "Android", "osVersion": "15"},
    {"osName": "Mac OS", "osVersion": "15.2", "browserName": "Safari", "browserVersion": "18.2"},
)


class Attendance(Protocol):
    """Someone's part in a session. Events are numbered by age; times are in microseconds since the epoch.

    ``first_us`` is when the participant is first listed, and from ``last_us`` on nothing about it changes.
    """

    @property
    def first_us(self) -> int: ...  # noqa: D102 - said above

    @property
    def last_us(self) -> int: ...  # noqa: D102 - said above

    def visible(self, now_us: int) -> int:
        """How many events are listed by now."""

    def events_at(self, indexes: Sequence[int]) -> list[ShownEvent]:
        """The events with these numbers."""

    def summary(self, now_us: int) -> dict[str, Any]:
        """What ListParticipants shows."""

    def details(self, now_us: int) -> dict[str, Any]:
        """What GetParticipant shows."""


@dataclass(frozen=True, slots=True)
class Participant:
    """One who joined the session itself. ``publishers`` are all whom one can subscribe to there."""

    participant_id: str
    publishers: tuple[Remote, ...]
    life: Life
    texts: Texts
    replication: Replication | None
    ids: IdMaker

    @property
    def first_us(self) -> int:
        """When it joins first."""
        return self.life.span.start_us

    @property
    def last_us(self) -> int:
        """When its last event is listed."""
        return self.life.span.end_us + self.life.lag_us

    def visible(self, now_us: int) -> int:
        """How many events are listed by now."""
        moment_us = now_us - self.life.lag_us
        if moment_us >= self.life.span.end_us:
            return self.life.events
        begun = self.life.visits_begun(moment_us)
        if begun == 0:
            return 0
        happened = bisect_right(self._visit(begun - 1), moment_us, key=itemgetter(0))
        return self.life.first_event(begun - 1) + happened

    def events_at(self, indexes: Sequence[int]) -> list[ShownEvent]:
        """The events with these numbers."""
        if not indexes:
            return []
        low, high = min(indexes), max(indexes)
        visit = self.life.visit_of(low)
        base = self.life.first_event(visit)
        events: list[ShownEvent] = []
        while base + len(events) <= high:
            events += [event for _, event in self._visit(visit)]
            visit += 1
        return [events[index - base] for index in indexes]

    def summary(self, now_us: int) -> dict[str, Any]:
        """What ListParticipants shows."""
        life = self.life
        shown: dict[str, Any] = {"participantId": self.participant_id}
        if life.seed % 8:
            shown["userId"] = self.texts.user_id(life.seed)
        elif life.seed % 16:
            shown["userId"] = ""
        shown["state"] = self._state(now_us)
        if life.events != 1:
            shown["firstJoinTime"] = time_text(self.first_us, (life.seed >> 8) % FORM_COUNT)
        shown["published"] = self.is_seen_publishing
        shown["recordingState"] = "DISABLED"
        shown["replicationType"] = "NONE" if self.replication is None else "SOURCE"
        if self.replication is not None and now_us >= self.replication.span.start_us:
            shown["replicationState"] = "ACTIVE" if now_us < self.replication.span.end_us else "STOPPED"
        return shown

    def details(self, now_us: int) -> dict[str, Any]:
        """What GetParticipant shows."""
        seed = self.life.seed
        return {
            **self.summary(now_us),
            "attributes": self.texts.attributes(seed),
            "ispName": self.texts.user_id(draw(seed, b"isp")),
            **_CLIENTS[(seed >> 16) % len(_CLIENTS)],
            "sdkVersion": "1.28.0",
            "protocol": "UNKNOWN",
        }

    @property
    def is_seen_publishing(self) -> bool:
        """Whether a PUBLISH_STARTED is among its events; it comes right after the joining."""
        return self.life.is_publisher and self.life.first_event(1) >= PUBLISHING_EVENTS_MIN

    @property
    def role(self) -> Role:
        """The participant as its events see it."""
        others = tuple(remote for remote in self.publishers if remote.participant_id != self.participant_id)
        return Role(self.participant_id, others, self.life.is_publisher, self.texts)

    def _visit(self, visit: int) -> list[Timed]:
        life = self.life
        size = life.first_event(visit + 1) - life.first_event(visit)
        replicated_to = None
        if visit == 0 and self.replication is not None:
            stage, session = self.replication.destination
            replicated_to = ReplicatedTo(
                self.replication.span, self.ids.stage_arn(stage), self.ids.session_id(stage, session)
            )
        return visit_events(self.role, draw(life.seed, b"visit", visit), life.visit_span(visit), size, replicated_to)

    def _state(self, now_us: int) -> str:
        begun = self.life.visits_begun(now_us)
        is_there = begun > 0 and now_us < self.life.visit_span(begun - 1).end_us and self.life.events > 1
        return "CONNECTED" if is_there else "DISCONNECTED"


@dataclass(frozen=True, slots=True)
class Replica:
    """One who joined another session and is shown in this one."""

    source: Participant
    replication: Replication

    @property
    def first_us(self) -> int:
        """When the replication starts."""
        return self.replication.span.start_us

    @property
    def last_us(self) -> int:
        """When the last of its events is listed."""
        return self.replication.span.end_us + self.source.life.lag_us

    def visible(self, now_us: int) -> int:
        """How many events are listed by now."""
        return bisect_right(self._events(), now_us - self.source.life.lag_us, key=itemgetter(0))

    def events_at(self, indexes: Sequence[int]) -> list[ShownEvent]:
        """The events with these numbers."""
        events = self._events()
        return [events[index][1] for index in indexes]

    def summary(self, now_us: int) -> dict[str, Any]:
        """What ListParticipants shows."""
        return self.source.summary(now_us) | self._as_replica(now_us)

    def details(self, now_us: int) -> dict[str, Any]:
        """What GetParticipant shows."""
        return self.source.details(now_us) | self._as_replica(now_us)

    def _as_replica(self, now_us: int) -> dict[str, Any]:
        span, (stage, session) = self.replication.span, self.replication.source
        is_active = now_us < span.end_us
        return {
            "state": "CONNECTED" if is_active else "DISCONNECTED",
            "firstJoinTime": time_text(span.start_us, self.source.life.seed % FORM_COUNT),
            "replicationType": "REPLICA",
            "replicationState": "ACTIVE" if is_active else "STOPPED",
            "sourceStageArn": self.source.ids.stage_arn(stage),
            "sourceSessionId": self.source.ids.session_id(stage, session),
        }

    def _events(self) -> list[Timed]:
        return replica_events(self.source.role, self.source.life.seed, self.replication.span)
