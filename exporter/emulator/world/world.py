"""What a world shows: lists with a length, whose pages are made when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: An item of a list as the API shows it, or its raw JSON where a test scripts every byte of it.
ListItem = dict[str, Any] | bytes

#: An event in the API's own form.
ShownEvent = dict[str, Any]

#: A list that nothing changes any more, at whatever moment it is asked for.
FOR_EVER_US = 1 << 62


class UnknownError(LookupError):
    """This world has no such stage, session or participant, or has it no longer."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in the order in which it is shown. ``items`` makes those from one index to before another.

    The list does not change before ``same_until_us``, in simulated time; None says that it may change at any moment.
    """

    count: int
    items: Callable[[int, int], list[ListItem]]
    same_until_us: int | None = None


class World(Protocol):
    """What one account has in one region. Each method raises :class:`UnknownError` for an id that it does not have."""

    def stages(self, now_us: int) -> Listing:
        """All stages."""

    def sessions(self, stage_arn: str, now_us: int) -> Listing:
        """The sessions of a stage."""

    def participants(self, stage_arn: str, session_id: str, now_us: int) -> Listing:
        """The participants of a session."""

    def events(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> Listing:
        """The events of a participant."""

    def replicas(self, stage_arn: str, participant_id: str, now_us: int) -> Listing:
        """Where a participant of a stage is replicated to, or was, from any session of the stage."""

    def stage(self, stage_arn: str, now_us: int) -> ListItem:
        """A stage as GetStage shows it."""

    def session(self, stage_arn: str, session_id: str, now_us: int) -> ListItem:
        """A session as GetStageSession shows it."""

    def participant(self, stage_arn: str, session_id: str, participant_id: str, now_us: int) -> ListItem:
        """A participant as GetParticipant shows it."""
