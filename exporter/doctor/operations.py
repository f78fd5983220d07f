"""Each read operation once, in each scope: whether it is allowed.

Where there is nothing to ask it of, a made-up id is asked for. What AWS denies then, it would deny of real ones, too;
nothing follows from any other answer, for nobody says which of its checks AWS makes first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.once import Once
from exporter.doctor.check import Check, remedy_of
from exporter.doctor.way import named
from exporter.errors import ApiError, Refused
from exporter.ivs.operations import MAX_RESULTS, Operation
from exporter.normalize.listed import decode_participants, decode_sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.doctor.stages import ScopeStages, StagesFound
    from exporter.doctor.way import WayToAws
    from exporter.ivs.responses import Page

#: In the order in which a run asks them; ListStages has a check of its own.
OPERATIONS = (
    Operation.LIST_STAGE_SESSIONS,
    Operation.LIST_PARTICIPANTS,
    Operation.LIST_PARTICIPANT_EVENTS,
    Operation.GET_PARTICIPANT,
)
# How many stages are looked at for a session, and how many sessions for a participant.
_LOOKED_AT = 3
_NO_STAGE = "arn:aws:ivs:{region}:{account_id}:stage/abcDEF123456"
_NO_ACCOUNT = "111122223333"
_NO_SESSION, _NO_PARTICIPANT = "st-ABCDEFGHIJKLM", "abcDEF123456"


@dataclass(frozen=True, slots=True)
class AskedOperation:
    """What became of an operation in one ``scope``. ``is_real`` says that it was asked for what is there."""

    scope: str
    is_real: bool
    error: ApiError | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether a run would meet this error: what is made up may be invalid, or not there."""
        return self.error is not None and (self.is_real or not self.error.is_for_good)


class Operations:
    """What became of each operation, in all scopes; they are asked once, when the first check wants to know it."""

    def __init__(self, way: WayToAws, stages: StagesFound) -> None:
        self._way = way
        self._stages = stages
        self._asked = Once(self._ask)

    async def check(self, operation: Operation) -> Check:
        """Judge one operation."""
        if operation is Operation.GET_PARTICIPANT and not self._way.settings.tables.details:
            return Check(operation, "skipped", "not needed: [tables] details is off")
        asked = (await self._asked.get())[operation]
        if wrong := [each.error for each in asked if each.is_wrong and each.error is not None]:
            texts = named(dict.fromkeys(map(str, wrong)), 3)
            return Check(operation, "failed", texts, _remedy(operation, wrong[0]))
        if real := [each.scope for each in asked if each.is_real]:
            return Check(operation, "ok", f"allowed in {named(real)}")
        if not asked:
            return Check(operation, "skipped", "no scope was asked: what is asked before it got no answer there")
        return Check(
            operation, "skipped", "nothing is there yet to ask it of; asked of a made-up id, it was not denied"
        )

    async def _ask(self) -> Mapping[Operation, list[AskedOperation]]:
        found: defaultdict[Operation, list[AskedOperation]] = defaultdict(list)
        asking = (self._ask_scope(scope) for scope in self._stages.scopes if _is_answered(scope))
        for by_operation in await asyncio.gather(*asking):
            for operation, asked in by_operation.items():
                found[operation].append(asked)
        return found

    async def _ask_scope(self, scope: ScopeStages) -> dict[Operation, AskedOperation]:
        account_id = scope.account_id or (self._way.caller and self._way.caller.account_id) or _NO_ACCOUNT
        way = _ScopeWay(scope)
        made_up = _NO_STAGE.format(region=scope.plan.region, account_id=account_id)
        stage_arns = scope.arns[:_LOOKED_AT] or [made_up]
        sessions = await way.sessions(stage_arns, is_real=bool(scope.arns))
        stage_arn, session_id = next(iter(sessions), (stage_arns[0], _NO_SESSION))
        participants = await way.participants(sessions or [(stage_arn, session_id)], is_real=bool(sessions))
        unit = next(iter(participants), (stage_arn, session_id, _NO_PARTICIPANT))
        await way.unit(Operation.LIST_PARTICIPANT_EVENTS, unit, is_real=bool(participants))
        if self._way.settings.tables.details:
            await way.unit(Operation.GET_PARTICIPANT, unit, is_real=bool(participants))
        return way.asked


class _ScopeWay:
    """The way through one scope, from stages down; ``asked`` is what became of each operation so far.

    Where a call is not answered at all, nothing more is asked: each would be waited for as long.
    """

    def __init__(self, scope: ScopeStages) -> None:
        self._scope = scope
        self._is_lost = False
        self.asked: dict[Operation, AskedOperation] = {}

    async def sessions(self, stage_arns: list[str], *, is_real: bool) -> list[tuple[str, str]]:
        """Some sessions of the first stage that has any, each with its stage."""
        for stage_arn in stage_arns:
            page = await self._call(Operation.LIST_STAGE_SESSIONS, is_real, stageArn=stage_arn)
            if page and (items := decode_sessions(page.items).items):
                return [(stage_arn, item.session_id) for item in items[:_LOOKED_AT]]
        return []

    async def participants(self, sessions: list[tuple[str, str]], *, is_real: bool) -> list[tuple[str, str, str]]:
        """Some participants of the first session that has any, each with its stage and session."""
        for stage_arn, session_id in sessions:
            page = await self._call(Operation.LIST_PARTICIPANTS, is_real, stageArn=stage_arn, sessionId=session_id)
            if page and (items := decode_participants(page.items).items):
                return [(stage_arn, session_id, item.participant_id) for item in items[:1]]
        return []

    async def unit(self, operation: Operation, unit: tuple[str, str, str], *, is_real: bool) -> None:
        """Ask what is asked of one participant."""
        stage_arn, session_id, participant_id = unit
        await self._call(operation, is_real, stageArn=stage_arn, sessionId=session_id, participantId=participant_id)

    async def _call(self, operation: Operation, is_real: bool, **params: str) -> Page | None:  # noqa: FBT001 - private
        """The page; None where there is none. An error that a run would meet too is never forgotten."""
        more = {} if operation is Operation.GET_PARTICIPANT else {"maxResults": MAX_RESULTS}
        page, error = None, None
        if self._is_lost:
            return None
        try:
            page = await self._scope.caller.call(operation, {**params, **more})
        except ApiError as refusal:
            error = refusal
            self._is_lost = not isinstance(refusal, Refused)
        before = self.asked.get(operation)
        if before is None or not before.is_wrong:
            self.asked[operation] = AskedOperation(self._scope.name, is_real, error)
        return page


def _is_answered(scope: ScopeStages) -> bool:
    """Whether IVS answers there at all; where it denies the list of stages, others may be denied, too."""
    return scope.error is None or isinstance(scope.error, Refused)


def _remedy(operation: Operation, error: ApiError) -> str:
    if isinstance(error, Refused) and not error.is_for_good:
        return (
            f"allow ivs:{operation} on the stages, as `ivs-export doctor --policy` prints it, or name those that are"
            " shut out on purpose in exclude_stages"
        )
    return remedy_of(error)
