"""A service of one scope that answers without a network."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.errors import ApiError, Refused
from exporter.ivs.operations import Operation
from exporter.ivs.responses import Page
from exporter.ivs.service_time import ServiceTime
from exporter.machine.clock import Clock
from exporter.model import Scope
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.memory_store import MemoryStore


SCOPE = Scope("111122223333", "us-east-1")
STAGE = "arn:aws:ivs:us-east-1:111122223333:stage/one"
STAGES = (STAGE, STAGE.replace("/one", "/two"), STAGE.replace("/one", "/three"))
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
#: 2026-11-23T00:00:00Z
DAY_US = 1_795_392_000 * SECOND_US


@dataclass
class Participant:
    """A participant, and the events that the service shows of it, oldest first."""

    events: list[dict[str, Any]] = field(default_factory=list)
    error: ApiError | None = None


@dataclass
class SessionDouble:
    started_us: int
    ended_us: int | None = None
    participants: dict[str, Participant] = field(default_factory=dict)


class Service:
    """A service of one scope, as the pipeline's caller: it answers at once, and counts what it is asked.

    ``date`` is the ``Date`` of its answers; the local clock shows its true time.
    """

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, SessionDouble]] = {STAGE: {}}
        self.added = 0
        self.now_us = DAY_US + 12 * HOUR_US
        self.page_size = 3
        self.newest_first = False
        self.calls: Counter[tuple[str, ...]] = Counter()
        self.calls_by_operation: Counter[str] = Counter()
        self.concurrency = 4
        self.rate = self.rate_of_details = 5.0
        self.service_time = ServiceTime(lambda: self.now_us)
        self.date: Callable[[], str] = lambda: formatdate(self.now_us // SECOND_US, usegmt=True)
        #: Participants, by id or by name, that no list shows; and, by what a list is of, where in it an item without a
        #: name stands.
        self.unlisted: set[str] = set()
        self.flawed: dict[str, int] = {}
        #: What is wrong with the list of stages; and, by stage, a session that its list shows once more, at its end.
        self.flaws: list[str] = []
        self.repeated: dict[str, tuple[str, SessionDouble]] = {}
        #: Names and tags of stages, by ARN, where they are others than the usual ones.
        self.names: dict[str, tuple[str, dict[str, str]]] = {}
        self.on_call: Callable[[Operation, Mapping[str, Any]], None] = lambda *_: None

    @property
    def clock(self) -> Clock:
        """Clocks that all show the service's time; it stands still but for the test."""
        return Clock(lambda: self.now_us / SECOND_US, lambda: self.now_us, asyncio.sleep, lambda: 0.5)

    def add(
        self, session_id: str, *, ended: bool = True, events: Mapping[str, int] | None = None, stage: str | None = None
    ) -> SessionDouble:
        """A session that began two hours ago and, where it has ended, ended one hour ago.

        Where no ``stage`` is named, the first is of `STAGE`, and the next ones of others in turn.
        """
        session = SessionDouble(self.now_us - 2 * HOUR_US, self.now_us - HOUR_US if ended else None)
        for participant_id, count in (events or {}).items():
            self.join(session, participant_id, count)
        if stage is None:
            stage = STAGES[self.added % len(STAGES)]
            self.added += 1
        self.stages.setdefault(stage, {})[session_id] = session
        return session

    def join(self, session: SessionDouble, participant_id: str, count: int = 1) -> None:
        """Let a participant do ``count`` things more, one second apart."""
        participant = session.participants.setdefault(participant_id, Participant())
        for _ in range(count):
            at_us = session.started_us + len(participant.events) * SECOND_US
            participant.events.append({"name": "JOINED", "participantId": participant_id, "eventTime": text_of(at_us)})

    def refuse(self, refused: Operation, code: str) -> None:
        """Let all calls of this operation be refused."""

        def refuse(operation: Operation, _params: Mapping[str, Any]) -> None:
            if operation is refused:
                raise Refused("refused", code)

        self.on_call = refuse

    def pace(self, operation: Operation) -> Any:
        async def free() -> None:
            await asyncio.sleep(0)

        return SimpleNamespace(
            free=free,
            calls_per_second=self.rate_of_details if operation is Operation.GET_PARTICIPANT else self.rate,
        )

    async def call(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        self.calls[
            (operation, *(str(params[key]) for key in ("stageArn", "sessionId", "participantId") if key in params))
        ] += 1
        self.calls_by_operation[operation] += 1
        await asyncio.sleep(0)
        self.on_call(operation, params)
        if operation is Operation.GET_PARTICIPANT:
            served_us = self.service_time.answered(self.date(), self.service_time.asked())
            return Page(_encoded(self.described(params)), None, served_us)
        items = self._items(operation, params)
        start = int(params.get("nextToken", "0"))
        end = start + self.page_size
        token = str(end) if end < len(items) else None
        return Page(
            _encoded(items[start:end]), token, self.service_time.answered(self.date(), self.service_time.asked())
        )

    def _items(self, operation: Operation, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        if operation is Operation.LIST_STAGES:
            return [self.stage_item(arn) for arn in self.stages]
        sessions = self.stages.get(params["stageArn"])
        if sessions is None:
            raise Refused("no such stage", "ResourceNotFoundException")
        if operation is Operation.LIST_STAGE_SESSIONS:
            shown = [*sessions.items(), *([again] if (again := self.repeated.get(params["stageArn"])) else [])]
            return self._with_flaw(params["stageArn"], [_summary(*each) for each in shown])
        session = sessions[params["sessionId"]]
        if operation is Operation.LIST_PARTICIPANTS:
            name = f"{params['stageArn']}/{params['sessionId']}"
            ids = [each for each in session.participants if self.unlisted.isdisjoint((each, f"{name}/{each}"))]
            return self._with_flaw(name, [_listed(each, session) for each in ids])
        participant = session.participants[params["participantId"]]
        if participant.error is not None:
            raise participant.error
        return participant.events[::-1] if self.newest_first else participant.events

    def stage_item(self, arn: str) -> dict[str, Any]:
        """A stage as ListStages shows it."""
        name, tags = self.names.get(arn, (arn.rpartition("/")[2], {"team": "tests"}))
        return {"arn": arn, "name": name, "tags": tags}

    def described(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A participant as GetParticipant shows it."""
        session = self.stages[params["stageArn"]][params["sessionId"]]
        return _listed(params["participantId"], session) | {"browserName": "Firefox", "attributes": {"plan": "free"}}

    def _with_flaw(self, name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        place = self.flawed.get(name)
        return items if place is None else [*items[:place], {}, *items[place:]]

    def truth(self) -> Counter[tuple[str, ...]]:
        """Each event that the service has, as (session, participant, name, time), with its count."""
        return Counter(
            (session_id, participant_id, event["name"], event["eventTime"])
            for sessions in self.stages.values()
            for session_id, session in sessions.items()
            for participant_id, participant in session.participants.items()
            for event in participant.events
        )


def _encoded(items: list[dict[str, Any]] | dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(items)
    except UnicodeEncodeError:  # half of a surrogate pair is JSON all the same
        return json.dumps(items).encode()


def _listed(participant_id: str, session: SessionDouble) -> dict[str, Any]:
    """A participant as ListParticipants shows it."""
    return {
        "participantId": participant_id,
        "userId": f"user of {participant_id}",
        "state": "CONNECTED" if session.ended_us is None else "DISCONNECTED",
        "firstJoinTime": text_of(session.started_us),
        "published": True,
    }


def _summary(session_id: str, session: SessionDouble) -> dict[str, Any]:
    summary = {"sessionId": session_id, "startTime": text_of(session.started_us)}
    return summary if session.ended_us is None else {**summary, "endTime": text_of(session.ended_us)}


def lake_rows(store: MemoryStore) -> Counter[tuple[str, ...]]:
    """The lake's rows in the form of `Service.truth`."""
    return Counter(
        (
            row["session_id"],
            row["participant_id"],
            row["event_name"],
            text_of(int(row["event_time"].timestamp()) * SECOND_US + row["event_time"].microsecond),
        )
        for row in store.rows()
    )


def passing(service: Service) -> Clock:
    """The service's clock, whose spans pass when somebody sleeps; the sleeps of several add up."""
    passed_s = [0.0]

    async def sleep(seconds: float) -> None:
        passed_s[0] += seconds + 1e-6
        await asyncio.sleep(0)

    return Clock(lambda: passed_s[0], lambda: service.now_us, sleep, lambda: 0.5)
