"""The calls that the exporter makes: four lists and one thing, named as botocore's `ivs-realtime` 2020-07-14.

botocore has no paginator for any of the lists.
"""

from __future__ import annotations

from enum import StrEnum

#: Items a page: the most that the service gives (it gives 50 where nothing is asked).
MAX_RESULTS = 100


class Operation(StrEnum):
    """A call under AWS's name for it."""

    LIST_STAGES = "ListStages"
    LIST_STAGE_SESSIONS = "ListStageSessions"
    LIST_PARTICIPANTS = "ListParticipants"
    LIST_PARTICIPANT_EVENTS = "ListParticipantEvents"
    GET_PARTICIPANT = "GetParticipant"

    @property
    def member(self) -> str:
        """The member of the answer that holds the list, or the one thing that was asked for."""
        return _MEMBERS[self]

    @property
    def opening(self) -> bytes:
        """The byte that the member's JSON begins with: a list's, or an object's."""
        return b"{" if self is Operation.GET_PARTICIPANT else b"["


_MEMBERS = {
    Operation.LIST_STAGES: "stages",
    Operation.LIST_STAGE_SESSIONS: "stageSessions",
    Operation.LIST_PARTICIPANTS: "participants",
    Operation.LIST_PARTICIPANT_EVENTS: "events",
    Operation.GET_PARTICIPANT: "participant",
}
