"""The four list calls that the exporter makes, as the botocore model `ivs-realtime` 2020-07-14 names them.

botocore has no paginator for any of them.
"""

from __future__ import annotations

from enum import StrEnum

#: Items a page: the most that the service gives (it gives 50 where nothing is asked).
MAX_RESULTS = 100


class Operation(StrEnum):
    """A list call under AWS's name for it."""

    LIST_STAGES = "ListStages"
    LIST_STAGE_SESSIONS = "ListStageSessions"
    LIST_PARTICIPANTS = "ListParticipants"
    LIST_PARTICIPANT_EVENTS = "ListParticipantEvents"

    @property
    def list_member(self) -> str:
        """The member of the answer that holds the list."""
        return _LIST_MEMBERS[self]


_LIST_MEMBERS = {
    Operation.LIST_STAGES: "stages",
    Operation.LIST_STAGE_SESSIONS: "stageSessions",
    Operation.LIST_PARTICIPANTS: "participants",
    Operation.LIST_PARTICIPANT_EVENTS: "events",
}
