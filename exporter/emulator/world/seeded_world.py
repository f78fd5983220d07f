"""A world made from a seed: a pure function of its options, account, region and the moment.

Nothing of it is built before it is asked for, and little is kept, so that its size costs neither time nor memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.emulator.cache import BoundedCache
from exporter.emulator.world.draws import draw, draw_text
from exporter.emulator.world.ids import IdMaker
from exporter.emulator.world.orders import order_of, shown_indexes
from exporter.emulator.world.participants import Attendance, Participant, Replica
from exporter.emulator.world.people import People
from exporter.emulator.world.profiles import Profile, Recording, ingest_of
from exporter.emulator.world.stages import StageText, change_of, stage_text
from exporter.emulator.world.texts import Texts
from exporter.emulator.world.timetable import Timetable
from exporter.emulator.world.visits import Remote
from exporter.emulator.world.world import FOR_EVER_US, Listing, ListItem, UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.emulator.options import WorldOptions
    from exporter.emulator.world.timetable import Gathering, Life
    from exporter.model import Scope

_UNITS_CACHED = 1_024
_CASTS_CACHED = 4_096


class SeededWorld:
    """The world of one account and region. ``start_us`` is its first moment, in microseconds since the epoch."""

    def __init__(self, options: WorldOptions, scope: Scope, start_us: int) -> None:
        seed = draw_text(options.seed, b"world", f"{scope.account_id}/{scope.region}")
        self._options = options
        self._timetable = Timetable(options, seed, start_us)
        self._ids = IdMaker(scope.account_id, scope.region, seed, options.hostile)
        self._texts = Texts(options.hostile, options.times.zoneless)
        self._people = People(draw(seed, b"people"), self._texts)
        self._casts: BoundedCache[tuple[Remote, ...]] = BoundedCache(_CASTS_CACHED)
        self._units: BoundedCache[Attendance] = BoundedCache(_UNITS_CACHED)
        self._order_seed = draw(seed, b"order")

    def stages(self, now_us: int) -> Listing:
        """All stages, which are there from the beginning."""
        return self._listing(
            "stages", self._options.shape.stages, lambda indexes: [self._stage(index, now_us) for index in indexes]
        )

    def sessions(self, stage_arn: str, now_us: int) -> Listing:
        """The sessions of a stage that have begun and are not forgotten."""
        stage = self._stage_of(stage_arn)
        forgotten = self._timetable.sessions_forgotten(stage, now_us)
        begun = self._timetable.sessions_begun(stage, now_us)
        return self._listing(
            stage_arn,
            max(0, begun - forgotten),
            lambda indexes: [self._session(stage, forgotten + index, now_us) for index in indexes],
        )

    def participants(self, stage_arn: str, session_id: str, now_us: int) -> Listing:
        """The participants of a session that have joined, and those replicated to it."""
        gathering = self._gathering_of(stage_arn, session_id, now_us)
        joined = gathering.joined(now_us)
        replication = self._timetable.replication_to(gathering.stage, gathering.session)
        replicas = 1 if replication is not None and replication.span.start_us <= now_us else 0

        def made(indexes: Sequence[int]) -> list[ListItem]:
            return [
                self._member(gathering, index).summary(now_us)
                if index < joined
                else self._replica(gathering).summary(now_us)
                for index in indexes
            ]

        return self._listing(session_id, joined + replicas, made)

    def events(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> Listing:
        """The events of a participant that have happened."""
        attendance, gathering = self._unit_of(stage_arn, session_id, participant_id, now_us)
        same_until_us = None
        if now_us >= attendance.last_us:
            is_forgotten = self._options.times.retention_days is not None
            same_until_us = (
                self._timetable.forgotten_us(gathering.stage, gathering.session) if is_forgotten else FOR_EVER_US
            )
        return self._listing(
            participant_id,
            attendance.visible(now_us),
            attendance.events_at,
            label=session_id,
            same_until_us=same_until_us,
        )

    def replicas(self, stage_arn: str, participant_id: str, now_us: int) -> Listing:
        """Where a participant of a stage is replicated to, or was."""
        stage, indexes = self._stage_of(stage_arn), self._ids.participant_of(participant_id)
        if indexes is None or indexes[0] != stage or indexes[1] >= self._timetable.sessions(stage):
            raise UnknownError(participant_id)
        self._unit_of(stage_arn, self._ids.session_id(*indexes[:2]), participant_id, now_us)
        replication = None if indexes[2] else self._timetable.replication_from(*indexes[:2])
        if replication is None or replication.span.start_us > now_us:
            return Listing(0, lambda _first, _last: [])
        replica: ListItem = {
            "sourceStageArn": stage_arn,
            "participantId": participant_id,
            "sourceSessionId": self._ids.session_id(*replication.source),
            "destinationStageArn": self._ids.stage_arn(replication.destination[0]),
            "destinationSessionId": self._ids.session_id(*replication.destination),
            "replicationState": "ACTIVE" if now_us < replication.span.end_us else "STOPPED",
        }
        return Listing(1, lambda first, last: [replica][first:last])

    def stage(self, stage_arn: str, now_us: int) -> ListItem:
        """A stage as GetStage shows it."""
        stage = self._stage_of(stage_arn)
        return {**self._stage(stage, now_us), **self._stage_text(stage, now_us).detail_members()}

    def session(self, stage_arn: str, session_id: str, now_us: int) -> ListItem:
        """A session as GetStageSession shows it."""
        gathering = self._gathering_of(stage_arn, session_id, now_us)
        return self._session(gathering.stage, gathering.session, now_us)

    def participant(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> ListItem:
        """A participant as GetParticipant shows it."""
        attendance, _ = self._unit_of(stage_arn, session_id, participant_id, now_us)
        return attendance.details(now_us)

    def _listing(
        self,
        name: str,
        count: int,
        made: Callable[[Sequence[int]], list[Any]],
        *,
        label: str = "",
        same_until_us: int | None = None,
    ) -> Listing:
        order = order_of(draw_text(self._order_seed, label.encode(), name))

        def items(first: int, last: int) -> list[ListItem]:
            return made(shown_indexes(order, count, first, last))

        return Listing(count, items, same_until_us)

    def _stage(self, stage: int, now_us: int) -> dict[str, Any]:
        item = self._stage_text(stage, now_us).members()
        latest = self._timetable.sessions_begun(stage, now_us) - 1
        if latest >= 0 and self._timetable.span(stage, latest).end_us > now_us:
            item["activeSessionId"] = self._ids.session_id(stage, latest)
        return item

    def _stage_text(self, stage: int, now_us: int) -> StageText:
        seed, timetable = self._timetable.stage_seed(stage), self._timetable
        change = change_of(seed, timetable.start_us, timetable.horizon_us)
        has_changed = change is not None and change.at_us <= now_us
        return stage_text(self._ids.stage_arn(stage), seed, self._texts, change if has_changed else None)

    def _session(self, stage: int, session: int, now_us: int) -> ListItem:
        span = self._timetable.span(stage, session)
        form = draw(self._timetable.stage_seed(stage), b"form", session)
        item: dict[str, Any] = {
            "sessionId": self._ids.session_id(stage, session),
            "startTime": self._texts.time(span.start_us, form),
        }
        if span.end_us <= now_us:
            item["endTime"] = self._texts.time(span.end_us, form >> 8)
        return item

    def _stage_of(self, stage_arn: str) -> int:
        stage = self._ids.stage_of(stage_arn)
        if stage is None or stage >= self._options.shape.stages:
            raise UnknownError(stage_arn)
        return stage

    def _gathering_of(self, stage_arn: str, session_id: str, now_us: int) -> Gathering:
        stage = self._stage_of(stage_arn)
        indexes = self._ids.session_of(session_id)
        if indexes is None or indexes[0] != stage or indexes[1] >= self._timetable.sessions(stage):
            raise UnknownError(session_id)
        session = indexes[1]
        gathering = self._timetable.gathering(stage, session)
        is_forgotten = (
            self._options.times.retention_days is not None and self._timetable.forgotten_us(stage, session) <= now_us
        )
        if gathering.span.start_us > now_us or is_forgotten:
            raise UnknownError(session_id)
        return gathering

    def _unit_of(
        self, stage_arn: str, session_id: str, participant_id: str, now_us: int
    ) -> tuple[Attendance, Gathering]:
        gathering = self._gathering_of(stage_arn, session_id, now_us)
        key = (session_id, participant_id)
        attendance = self._units.get(key) or self._units.put(key, self._find(gathering, participant_id))
        if attendance.first_us > now_us:
            raise UnknownError(participant_id)
        return attendance, gathering

    def _find(self, gathering: Gathering, participant_id: str) -> Attendance:
        indexes = self._ids.participant_of(participant_id)
        here = (gathering.stage, gathering.session)
        if indexes is not None and indexes[:2] == here and indexes[2] < gathering.participants:
            return self._member(gathering, indexes[2])
        replication = self._timetable.replication_to(*here)
        if indexes is None or replication is None or indexes != (*replication.source, 0):
            raise UnknownError(participant_id)
        return self._replica(gathering)

    def _member(self, gathering: Gathering, index: int) -> Participant:
        """One of those who joined here."""
        life = self._timetable.life(gathering, index)
        return Participant(
            participant_id=self._ids.participant_id(gathering.stage, gathering.session, index),
            publishers=self._cast(gathering),
            life=life,
            profile=self._profile(gathering, index, life),
            replication=None if index else self._timetable.replication_from(gathering.stage, gathering.session),
            ids=self._ids,
        )

    def _profile(self, gathering: Gathering, index: int, life: Life) -> Profile:
        """Who it is that joined here, and what they take part with."""
        person = self._people.attending(gathering.stage, gathering.seed, index)
        ids = self._ids
        if not life.is_publisher:
            return Profile(life.seed, person, self._texts, ingest=None, recording=None)
        bucket = self._stage_text(gathering.stage, gathering.span.start_us).bucket
        names = (
            ids.stage_arn(gathering.stage).rpartition("/")[2],
            ids.session_id(gathering.stage, gathering.session),
            ids.participant_id(gathering.stage, gathering.session, index),
        )
        return Profile(
            life.seed,
            person,
            self._texts,
            ingest=ingest_of(life.seed, person, f"{ids.region}:{ids.account_id}"),
            recording=None if bucket is None else Recording(bucket, "/".join(names)),
        )

    def _replica(self, gathering: Gathering) -> Replica:
        """The one who is replicated here."""
        replication = self._timetable.replication_to(gathering.stage, gathering.session)
        if replication is None:
            raise UnknownError(gathering)
        source = self._member(self._timetable.gathering(*replication.source), 0)
        return Replica(source, replication)

    def _cast(self, gathering: Gathering) -> tuple[Remote, ...]:
        """Whom one can subscribe to in a session."""
        here = (gathering.stage, gathering.session)
        if (cached := self._casts.get(here)) is not None:
            return cached
        cast = [
            Remote(self._ids.participant_id(*here, index), is_replica=False) for index in range(gathering.publishers)
        ]
        replication = self._timetable.replication_to(*here)
        if replication is not None:
            cast.append(Remote(self._ids.participant_id(*replication.source, 0), is_replica=True))
        return self._casts.put(here, tuple(cast))
