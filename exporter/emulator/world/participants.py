"""A participant of a seeded world: what the list, GetParticipant and the events show of it at a moment."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from exporter.emulator.world.draws import draw
from exporter.emulator.world.profiles import NO_RECORDING
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
    from exporter.emulator.world.profiles import Profile
    from exporter.emulator.world.timetable import Life, Replication
    from exporter.emulator.world.world import ShownEvent


# How long after a publisher's joining its recording is about to start.
_RECORDING_STARTS_US = 5_000_000


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
    profile: Profile
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
        shown: dict[str, Any] = {"participantId": self.participant_id, **self.profile.user_members()}
        shown["state"] = self._state(now_us)
        if life.events != 1:
            shown["firstJoinTime"] = self.profile.texts.time(self.first_us, life.seed >> 8)
        elif life.seed & 0x100:
            shown["firstJoinTime"] = None
        shown["published"] = self.is_seen_publishing
        shown["recordingState"] = self._recording_state(now_us)
        shown |= self.profile.listed_members()
        shown["replicationType"] = "NONE" if self.replication is None else "SOURCE"
        if self.replication is not None and now_us >= self.replication.span.start_us:
            shown["replicationState"] = "ACTIVE" if now_us < self.replication.span.end_us else "STOPPED"
        return self.profile.finished(shown)

    def details(self, now_us: int) -> dict[str, Any]:
        """What GetParticipant shows."""
        return self.profile.finished({**self.summary(now_us), **self.profile.detail_members(self.first_us)})

    @property
    def is_seen_publishing(self) -> bool:
        """Whether a PUBLISH_STARTED is among its events; it comes right after the joining."""
        return self.life.is_publisher and self.life.first_event(1) >= PUBLISHING_EVENTS_MIN

    @property
    def role(self) -> Role:
        """The participant as its events see it."""
        others = tuple(remote for remote in self.publishers if remote.participant_id != self.participant_id)
        return Role(self.participant_id, others, self.life.is_publisher, self.profile.texts)

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

    def _recording_state(self, now_us: int) -> str:
        recording = self.profile.recording
        if recording is None or not self.is_seen_publishing:
            return "DISABLED"
        if now_us < self.first_us + _RECORDING_STARTS_US:
            return recording.state("before", self.life.seed)
        return recording.state("now" if now_us < self.life.span.end_us else "after", self.life.seed)

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
        return self.source.details(now_us) | self._as_replica(now_us) | NO_RECORDING

    def _as_replica(self, now_us: int) -> dict[str, Any]:
        span, (stage, session) = self.replication.span, self.replication.source
        is_active = now_us < span.end_us
        return {
            "state": "CONNECTED" if is_active else "DISCONNECTED",
            "firstJoinTime": self.source.profile.texts.time(span.start_us, self.source.life.seed),
            "recordingState": "DISABLED",
            "replicationType": "REPLICA",
            "replicationState": "ACTIVE" if is_active else "STOPPED",
            "sourceStageArn": self.source.ids.stage_arn(stage),
            "sourceSessionId": self.source.ids.session_id(stage, session),
        }

    def _events(self) -> list[Timed]:
        return replica_events(self.source.role, self.source.life.seed, self.replication.span)
