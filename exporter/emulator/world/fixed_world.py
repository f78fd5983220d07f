"""A world of plain data, for tests that script every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.emulator.world.world import Listing, ListItem, UnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHILDREN = ("sessions", "participants", "events", "details")


class FixedWorld:
    """Stages as the API shows them, and below each one what it holds.

    ::

        FixedWorld([{"arn": ..., "name": ..., "sessions": [
            {"sessionId": ..., "startTime": ..., "participants": [
                {"participantId": ..., "events": [{"name": "JOINED", ...}, b'{"name": "LEFT", ...}']}]}]}])

    ``sessions``, ``participants`` and ``events`` are the lists below; the other members are shown as they are. An event
    may be raw JSON, which is shown byte by byte, whatever it is. GetStage and GetParticipant add the ``details`` of a
    stage or participant. A participant's replicas are those that name it as their source. The clock changes nothing
    here, but the data may be changed between two calls.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]] = ()) -> None:
        self.data = stages

    def stages(self, now_us: int) -> Listing:
        """All stages."""
        del now_us
        return _listing(self.data)

    def sessions(self, stage_arn: str, now_us: int) -> Listing:
        """The sessions of a stage."""
        del now_us
        return _listing(self._stage(stage_arn).get("sessions", ()))

    def participants(self, stage_arn: str, session_id: str, now_us: int) -> Listing:
        """The participants of a session."""
        del now_us
        return _listing(self._session(stage_arn, session_id).get("participants", ()))

    def events(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> Listing:
        """The events of a participant."""
        del now_us
        return _listing(self._participant(stage_arn, session_id, participant_id).get("events", ()))

    def replicas(self, stage_arn: str, participant_id: str, now_us: int) -> Listing:
        """The replicas, in any session, of a participant of this stage."""
        del now_us
        sessions = self._stage(stage_arn).get("sessions", ())
        if not any(_has(session.get("participants", ()), participant_id) for session in sessions):
            raise UnknownError(participant_id)
        return _listing(
            [
                replica
                for replica in self._replicas()
                if replica.items() >= {"sourceStageArn": stage_arn, "participantId": participant_id}.items()
            ]
        )

    def stage(self, stage_arn: str, now_us: int) -> ListItem:
        """A stage as GetStage shows it."""
        del now_us
        found = self._stage(stage_arn)
        return {**_shown(found), **found.get("details", {})}

    def session(self, stage_arn: str, session_id: str, now_us: int) -> ListItem:
        """A session as GetStageSession shows it."""
        del now_us
        return _shown(self._session(stage_arn, session_id))

    def participant(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> ListItem:
        """A participant as GetParticipant shows it."""
        del now_us
        found = self._participant(stage_arn, session_id, participant_id)
        return {**_shown(found), **found.get("details", {})}

    def _replicas(self) -> Iterator[dict[str, Any]]:
        """Every replica as ListParticipantReplicas shows it."""
        for stage in self.data:
            for session in stage.get("sessions", ()):
                for participant in session.get("participants", ()):
                    if participant.get("replicationType") == "REPLICA":
                        yield {
                            "sourceStageArn": participant.get("sourceStageArn"),
                            "participantId": participant.get("participantId"),
                            "sourceSessionId": participant.get("sourceSessionId"),
                            "destinationStageArn": stage["arn"],
                            "destinationSessionId": session["sessionId"],
                            "replicationState": participant.get("replicationState"),
                        }

    def _stage(self, stage_arn: str) -> Mapping[str, Any]:
        return _find(self.data, "arn", stage_arn)

    def _session(self, stage_arn: str, session_id: str) -> Mapping[str, Any]:
        return _find(self._stage(stage_arn).get("sessions", ()), "sessionId", session_id)

    def _participant(self, stage_arn: str, session_id: str, participant_id: str) -> Mapping[str, Any]:
        participants = self._session(stage_arn, session_id).get("participants", ())
        return _find(participants, "participantId", participant_id)


def _has(participants: Sequence[Mapping[str, Any]], participant_id: str) -> bool:
    return any(participant.get("participantId") == participant_id for participant in participants)


def _find(items: Sequence[Mapping[str, Any]], name: str, value: str) -> Mapping[str, Any]:
    for item in items:
        if item.get(name) == value:
            return item
    raise UnknownError(value)


def _listing(items: Sequence[Mapping[str, Any] | bytes]) -> Listing:
    def between(first: int, last: int) -> list[ListItem]:
        return [item if isinstance(item, bytes) else _shown(item) for item in items[first:last]]

    return Listing(len(items), between)


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _CHILDREN}
