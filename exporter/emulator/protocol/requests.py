"""What a call asks for, once its request has been checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exporter.emulator.protocol.errors import denied
from exporter.emulator.protocol.page_tokens import ListPlace
from exporter.emulator.protocol.request_rules import LIST_MEMBERS, PAGE_SIZE_DEFAULT, read_request

if TYPE_CHECKING:
    from exporter.emulator.protocol.page_tokens import PageTokens
    from exporter.model import Scope


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One call. The ids are ``""`` where the operation has none; ``filter`` is a member and the value it must have."""

    scope: Scope
    operation: str
    stage_arn: str
    session_id: str
    participant_id: str
    page_size: int
    place: ListPlace
    filter: tuple[str, object] | None

    @property
    def list_member(self) -> str:
        """The answer's member that holds what is asked for."""
        return LIST_MEMBERS[self.operation]

    @property
    def list_name(self) -> str:
        """What a page token is bound to."""
        return f"{self.scope} {self.operation} {self.stage_arn} {self.session_id} {self.participant_id} {self.filter}"

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """What tells this page from every other: operation, stage, session, participant, offset and turn."""
        return (
            self.operation,
            self.stage_arn,
            self.session_id,
            self.participant_id,
            self.place.offset,
            self.place.turn,
        )


def read_ask(scope: Scope, operation: str, body: bytes, tokens: PageTokens) -> CallRequest:
    """Check a request and read it. Raises :class:`Refusal` for what the model or the caller's rights do not allow."""
    request = read_request(operation, body)
    stage_arn = request.get("stageArn", "")
    if stage_arn and not stage_arn.startswith(f"arn:aws:ivs:{scope.region}:{scope.account_id}:"):
        raise denied(f"User is not authorized to perform: ivs:{operation} on resource: {stage_arn}")
    ask = CallRequest(
        scope=scope,
        operation=operation,
        stage_arn=stage_arn,
        session_id=request.get("sessionId", ""),
        participant_id=request.get("participantId", ""),
        page_size=request.get("maxResults", PAGE_SIZE_DEFAULT),
        place=ListPlace(),
        filter=_filter_in(request),
    )
    token = request.get("nextToken", "")
    return replace(ask, place=tokens.read(token, ask.list_name)) if token else ask


def _filter_in(request: dict[str, Any]) -> tuple[str, object] | None:
    for name, value in request.items():
        if name.startswith("filterBy"):
            member = name.removeprefix("filterBy")
            return member[0].lower() + member[1:], value
    return None
