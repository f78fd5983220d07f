"""How many sessions, participants and events a seeded world has, and when each of them begins and ends.

All of it is arithmetic on indexes, so that the millionth event is as near as the first.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.emulator.cache import BoundedCache
from exporter.emulator.clock import DAY_US, HOUR_US, SECOND_US
from exporter.emulator.world.draws import draw, fraction

if TYPE_CHECKING:
    from exporter.emulator.options import WorldOptions

_SESSION_US_MAX = 6 * HOUR_US
# How long a viewer of a session that never ends stays at most.
_STAY_US_MAX = 4 * HOUR_US
_CENTURY_US = 36_525 * DAY_US
# AWS: up to 12 publishers on a stage (Real-Time User Guide, "Service Quotas").
_PUBLISHERS_MAX = 12
# JOINED, PUBLISH_STARTED, REPLICATION_STARTED, and the same three again at the end.
_EVENTS_OF_REPLICATED_MIN = 6
# JOINED and LEFT, twice.
_EVENTS_OF_TWO_VISITS_MIN = 4
_SESSIONS_CACHED = 4_096


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, in microseconds since the epoch."""

    start_us: int
    end_us: int

    def part(self, first: float, last: float) -> Span:
        """The part between two shares of it."""
        length_us = self.end_us - self.start_us
        return Span(self.start_us + int(length_us * first), self.start_us + int(length_us * last))


@dataclass(frozen=True, slots=True)
class Life:
    """One participant in the session where it joined: it comes and goes in ``visits`` of nearly as many events each."""

    seed: int
    span: Span
    events: int
    visits: int
    is_publisher: bool
    lag_us: int

    def visit_start_us(self, visit: int) -> int:
        """When the participant joins for this visit."""
        return self.span.start_us + (self.span.end_us - self.span.start_us) * visit // self.visits

    def visit_span(self, visit: int) -> Span:
        """From the joining to the leaving; a short while passes before the next visit."""
        return Span(self.visit_start_us(visit), self.visit_start_us(visit + 1)).part(0.0, 0.95)

    def first_event(self, visit: int) -> int:
        """The index of the visit's first event."""
        return self.events * visit // self.visits

    def visit_of(self, event: int) -> int:
        """The visit that holds an event."""
        return bisect_right(range(self.visits), event, key=self.first_event) - 1

    def visits_begun(self, now_us: int) -> int:
        """How many visits have begun."""
        return bisect_right(range(self.visits), now_us, key=self.visit_start_us)


@dataclass(frozen=True, slots=True)
class Gathering:
    """A session: who takes part, by index, and when. The first ``publishers`` of the participants publish.

    ``visited_until_us`` is when the last one joins where the session never ends, None for any other.
    """

    seed: int
    stage: int
    session: int
    span: Span
    participants: int
    publishers: int
    visited_until_us: int | None = None

    def join_us(self, participant: int) -> int:
        """When a participant joins first; those of a higher index never join sooner."""
        jitter = fraction(draw(self.seed, b"join", participant))
        if self.visited_until_us is not None:
            visited_us = self.visited_until_us - self.span.start_us
            return self.span.start_us + int(visited_us * (participant + jitter) / self.participants)
        if participant < self.publishers:
            share = 0.02 * (participant + jitter) / self.publishers
        else:
            # The root makes ever more viewers come, until seven tenths of the session have passed.
            share = 0.02 + 0.68 * math.sqrt((participant - self.publishers + jitter) / self._viewers)
        return self.span.start_us + int((self.span.end_us - self.span.start_us) * share)

    def joined(self, now_us: int) -> int:
        """How many participants have joined."""
        return bisect_right(range(self.participants), now_us, key=self.join_us)

    @property
    def _viewers(self) -> int:
        return self.participants - self.publishers


@dataclass(frozen=True, slots=True)
class Replication:
    """The first publisher of one session is shown in another, of another stage, for the time of ``span``."""

    source: tuple[int, int]
    destination: tuple[int, int]
    span: Span


class Timetable:
    """The plan of one world. ``start_us`` is its first moment, ``horizon_us`` the end of its days."""

    def __init__(self, options: WorldOptions, seed: int, start_us: int) -> None:
        self._options = options
        self._seed = seed
        self.start_us = start_us
        self.horizon_us = start_us + int(options.times.days * DAY_US)
        self._gatherings: BoundedCache[Gathering] = BoundedCache(_SESSIONS_CACHED)

    def stage_seed(self, stage: int) -> int:
        """What all draws below a stage begin with."""
        return draw(self._seed, b"stage", stage)

    def sessions(self, stage: int) -> int:
        """How many sessions a stage ever has."""
        if self._is_sleepless(stage):
            return 1
        return self._options.shape.sessions.pick(fraction(draw(self.stage_seed(stage), b"sessions")))

    def sessions_begun(self, stage: int, now_us: int) -> int:
        """How many of a stage's sessions have begun."""
        return bisect_right(range(self.sessions(stage)), now_us, key=lambda session: self.span(stage, session).start_us)

    def sessions_forgotten(self, stage: int, now_us: int) -> int:
        """How many of a stage's sessions ended so long ago that they are no longer listed."""
        if self._options.times.retention_days is None:
            return 0
        return bisect_right(range(self.sessions(stage)), now_us, key=lambda session: self.forgotten_us(stage, session))

    def forgotten_us(self, stage: int, session: int) -> int:
        """When a session is forgotten; only where sessions are."""
        return self.span(stage, session).end_us + int((self._options.times.retention_days or 0.0) * DAY_US)

    def span(self, stage: int, session: int) -> Span:
        """When a session begins and ends. A stage has one session after the other."""
        own = self._own_span(stage, session)
        destination = self._destination(stage, session)
        if destination is None:
            return own
        # Two sessions of different stages seldom meet by chance, so the source keeps to the hours of the destination.
        there, slot = self._own_span(*destination), self._slot(stage, session)
        is_last = session == self.sessions(stage) - 1
        common = Span(max(there.start_us, slot.start_us), there.end_us if is_last else min(there.end_us, slot.end_us))
        is_long = common.end_us - common.start_us >= (there.end_us - there.start_us) // 2
        return common if is_long else own

    def _own_span(self, stage: int, session: int) -> Span:
        if self._is_sleepless(stage):
            return Span(self.start_us, self.horizon_us + _CENTURY_US)
        seed = draw(self.stage_seed(stage), b"session", session)
        slot = self._slot(stage, session)
        start_us = slot.part(0.2 + 0.3 * fraction(draw(seed, b"start")), 1.0).start_us
        if session == self.sessions(stage) - 1 and self._is_last_active(stage):
            recent_us = self.horizon_us - int(HOUR_US * (0.25 + 4 * fraction(draw(seed, b"recent"))))
            return Span(max(start_us, recent_us), self.horizon_us + int(HOUR_US * (1 + 8 * fraction(seed))))
        length_us = int((slot.end_us - start_us) * (0.3 + 0.65 * fraction(draw(seed, b"length"))))
        limit_us = int(_SESSION_US_MAX * (0.1 + 0.9 * fraction(draw(seed, b"limit"))))
        return Span(start_us, start_us + min(length_us, limit_us))

    def _slot(self, stage: int, session: int) -> Span:
        sessions, days_us = self.sessions(stage), self.horizon_us - self.start_us
        return Span(self.start_us + days_us * session // sessions, self.start_us + days_us * (session + 1) // sessions)

    def gathering(self, stage: int, session: int) -> Gathering:
        """A session with its participants."""
        if (cached := self._gatherings.get((stage, session))) is not None:
            return cached
        seed = draw(self.stage_seed(stage), b"gathering", session)
        participants = self._options.shape.participants.pick(fraction(draw(seed, b"participants")))
        publishers = min(participants, 1 + draw(seed, b"publishers") % min(_PUBLISHERS_MAX, 1 + participants // 4))
        until_us = self.horizon_us if self._is_sleepless(stage) else None
        made = Gathering(seed, stage, session, self.span(stage, session), participants, publishers, until_us)
        return self._gatherings.put((stage, session), made)

    def life(self, gathering: Gathering, participant: int) -> Life:
        """A participant's comings and goings in the session where it joined."""
        seed = draw(gathering.seed, b"participant", participant)
        is_publisher = participant < gathering.publishers
        join_us = gathering.join_us(participant)
        chance = fraction(draw(seed, b"stay"))
        stay = 0.9 + 0.1 * chance if is_publisher else 0.25 + 0.75 * chance
        leave_us = gathering.span.end_us
        if gathering.visited_until_us is not None:
            leave_us = gathering.visited_until_us if is_publisher else join_us + _STAY_US_MAX
        span = Span(join_us, leave_us).part(0.0, stay)
        events = self._options.shape.events.pick(fraction(draw(seed, b"events")))
        rejoins = events >= _EVENTS_OF_TWO_VISITS_MIN and draw(seed, b"rejoins") % 5 == 0
        visits = max(2 if rejoins else 1, events // (8 + draw(seed, b"visits") % 24))
        lag_us = int(self._options.times.lag_s * SECOND_US * fraction(draw(seed, b"lag")))
        return Life(seed, span, events, visits, is_publisher, lag_us)

    def replication_from(self, stage: int, session: int) -> Replication | None:
        """Where a session's first publisher is replicated to, if it is."""
        destination = self._destination(stage, session)
        gathering = self.gathering(stage, session)
        if destination is None or not gathering.participants:
            return None
        life = self.life(gathering, 0)
        if life.first_event(1) < _EVENTS_OF_REPLICATED_MIN:
            return None
        visit, there = life.visit_span(0), self.span(*destination)
        common = Span(max(visit.start_us, there.start_us), min(visit.end_us, there.end_us))
        if common.end_us - common.start_us < SECOND_US:
            return None
        return Replication((stage, session), destination, common.part(0.1, 0.9))

    def replication_to(self, stage: int, session: int) -> Replication | None:
        """Which other session's first publisher is shown in this one, if one is."""
        source = stage + 1
        if stage % 2 or source >= self._options.shape.stages or not self.sessions(source):
            return None
        replication = self.replication_from(source, _facing(session, self.sessions(stage), self.sessions(source)))
        return replication if replication is not None and replication.destination == (stage, session) else None

    def _destination(self, stage: int, session: int) -> tuple[int, int] | None:
        """The session that this one is to be replicated to: of every second stage to the one before it.

        It is at about the same time, and each of the two is the other's nearest.
        """
        if stage % 2 == 0 or not self.sessions(stage - 1):
            return None
        if self._is_sleepless(stage) or self._is_sleepless(stage - 1):
            return None
        if fraction(draw(self.stage_seed(stage), b"replicated", session)) >= self._options.replicated_share:
            return None
        here, there = self.sessions(stage), self.sessions(stage - 1)
        partner = _facing(session, here, there)
        return (stage - 1, partner) if _facing(partner, there, here) == session else None

    def _is_last_active(self, stage: int) -> bool:
        # Where the last session is replicated, it is the destination's being active that counts.
        return _is_of_share(stage, self._options.active_share)

    def _is_sleepless(self, stage: int) -> bool:
        return _is_of_share(stage, self._options.sleepless_share)


def _is_of_share(stage: int, share: float) -> bool:
    """Whether a stage is of this share of all: spread evenly and not drawn, so that even a world of few has one."""
    return math.ceil((stage + 1) * share) > math.ceil(stage * share)


def _facing(session: int, sessions: int, others: int) -> int:
    """Which of ``others`` slots of the same days is over the middle of this one of ``sessions`` slots."""
    return (2 * session + 1) * others // (2 * sessions)
