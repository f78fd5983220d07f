"""What faults of the data change: the members of events and of listed items, with values of types that they never have.

Source of the members: API Reference, Event, StageSummary, StageSessionSummary, ParticipantSummary and Participant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The operation whose items are meant where a fault of the data names none.
EVENTS = "ListParticipantEvents"

_LISTED: tuple[tuple[str, object], ...] = (
    ("userId", 7),
    ("userId", {"id": "ada", "realm": ["staff"]}),
    ("state", 1),
    ("firstJoinTime", 1_763_000_000),
    ("published", "true"),
    ("recordingState", ["STOPPED"]),
    ("replicationType", False),
    ("replicationState", 1.5),
    ("sourceStageArn", {"arn": None}),
    ("sourceSessionId", ["st-0000000000000"]),
    ("ingestConfigurationArn", 0),
    ("redundantIngest", "false"),
)
#: By operation the members and a value of another type; a fault that names no member takes any of them.
OTHER_TYPES: Mapping[str, tuple[tuple[str, object], ...]] = {
    EVENTS: (
        ("errorCode", 500),
        ("remoteParticipantId", {"id": "a"}),
        ("replica", "true"),
        ("destinationStageArn", False),
        ("destinationSessionId", ["st-0000000000000"]),
        ("newToken", "eyJhbGciOi"),
        ("previousToken", {"capabilities": "PUBLISH", "attributes": [], "userId": 7, "expirationTime": 0}),
        ("name", 7),
    ),
    "ListStages": (
        ("name", 7),
        ("name", {"text": "lobby"}),
        ("activeSessionId", ["st-0000000000000"]),
        ("tags", ["team"]),
        ("tags", {"team": 7, "environment": "production"}),
    ),
    "ListStageSessions": (("startTime", 1_763_000_000), ("endTime", False), ("endTime", {"at": "2026-11-23"})),
    "ListParticipants": _LISTED,
    "GetParticipant": (
        *_LISTED,
        ("attributes", "plan=free"),
        ("attributes", {"plan": 1, "displayName": "Ada"}),
        ("ispName", 7),
        ("osName", ["iOS"]),
        ("osVersion", 26.1),
        ("browserName", False),
        ("browserVersion", 142),
        ("sdkVersion", {"major": 1}),
        ("protocol", 3),
        ("recordingS3BucketName", True),
        ("recordingS3Prefix", ["a", "b"]),
    ),
}
#: The same for the ids, which are changed only where the fault names the member: without them nothing else is found.
OTHER_IDS: Mapping[str, tuple[tuple[str, object], ...]] = {
    EVENTS: (("participantId", 7), ("eventTime", 1_763_000_000)),
    "ListStages": (("arn", 7),),
    "ListStageSessions": (("sessionId", 7),),
    "ListParticipants": (("participantId", 7),),
    "GetParticipant": (("participantId", 7),),
}
#: The time of an item.
TIMES: Mapping[str, str] = {
    EVENTS: "eventTime",
    "ListStageSessions": "startTime",
    "ListParticipants": "firstJoinTime",
    "GetParticipant": "firstJoinTime",
}
#: The operations that a kind of fault of the data may name.
OPERATIONS_OF: Mapping[str, tuple[str, ...]] = {
    "unknown_fields": tuple(OTHER_TYPES),
    "wrong_types": tuple(OTHER_TYPES),
    "no_time": tuple(TIMES),
    "foreign_participant": (EVENTS,),
}


def values_of(operation: str, member: str | None) -> tuple[tuple[str, object], ...]:
    """The members and values of other types that a fault chooses from; none where the operation has no such member."""
    if member is None:
        return OTHER_TYPES[operation]
    return tuple(value for value in (*OTHER_TYPES[operation], *OTHER_IDS[operation]) if value[0] == member)
