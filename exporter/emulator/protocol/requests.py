"""What a call asks for, once its request has been checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.emulator.protocol.errors import denied
from exporter.emulator.protocol.page_tokens import FIRST_PAGE, PageStart
from exporter.emulator.protocol.request_rules import ANSWER_MEMBERS, PAGE_SIZE_DEFAULT, read_request

if TYPE_CHECKING:
    from exporter.emulator.protocol.page_tokens import PageTokens
    from exporter.model import Scope


class RequestedIds(NamedTuple):
    """What a call is about; an id is ``""`` where the operation takes none."""

    stage_arn: str = ""
    session_id: str = ""
    participant_id: str = ""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One call. ``filter`` is a member and the value it must have."""

    scope: Scope
    operation: str
    ids: RequestedIds
    page_size: int = PAGE_SIZE_DEFAULT
    start: PageStart = FIRST_PAGE
    filter: tuple[str, object] | None = None

    @property
    def answer_member(self) -> str:
        """The answer's member that holds what is asked for."""
        return ANSWER_MEMBERS[self.operation]

    @property
    def list_name(self) -> str:
        """What a page token is bound to."""
        return f"{self.scope} {self.operation} {' '.join(self.ids)} {self.filter}"

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """The page: operation, stage, session, participant, offset and turn."""
        return (self.operation, *self.ids, self.start.offset, self.start.turn)


# The members that name the stage, one or none in an operation's request.
_RESOURCES = ("stageArn", "sourceStageArn", "arn", "resourceArn")


def read_call(scope: Scope, operation: str, body: bytes, tokens: PageTokens) -> CallRequest:
    """Check a request and read it. Raises :class:`Refusal` for what the model or the caller's rights do not allow."""
    members = read_request(operation, body)
    stage_arn = next((members[name] for name in _RESOURCES if name in members), "")
    if stage_arn and not stage_arn.startswith(f"arn:aws:ivs:{scope.region}:{scope.account_id}:"):
        raise denied(f"User is not authorized to perform: ivs:{operation} on resource: {stage_arn}")
    request = CallRequest(
        scope=scope,
        operation=operation,
        ids=RequestedIds(stage_arn, members.get("sessionId", ""), members.get("participantId", "")),
        page_size=members.get("maxResults", PAGE_SIZE_DEFAULT),
        filter=_filter_in(members),
    )
    token = members.get("nextToken", "")
    return replace(request, start=tokens.read(token, request.list_name)) if token else request


def _filter_in(members: dict[str, Any]) -> tuple[str, object] | None:
    for name, value in members.items():
        if name.startswith("filterBy"):
            member = name.removeprefix("filterBy")
            return member[0].lower() + member[1:], value
    return None
