"""IVS Real-Time in a simulated world, as one process reaches it: the shape of an HTTP client's session.

It answers each call with what is true at one instant between the asking and the answer, or with a fault.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import aiohttp

from exporter.ivs.endpoints import Endpoint
from exporter.ivs.http import Answer
from exporter.ivs.network import not_answered
from exporter.ivs.operations import Operation
from exporter.model import Scope
from exporter.timestamps import text_of
from tests.simulation.loop import NOBODY
from tests.simulation.plan import DAY_S, SECOND_US
from tests.simulation.process import Killed, true_us
from tests.simulation.truth import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.laws import Laws
    from tests.simulation.plan import Plan
    from tests.simulation.process import SimulatedProcess
    from tests.simulation.truth import Session, Truth

_READ_TIMEOUT_S = 20.0
_FAR_US = int(3_650 * DAY_S * SECOND_US)
_MALFORMED = (b"", b"{}", b"<html>moved</html>", b'{"events": null}', b'{"stages": [', b"[]")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a call is signed with: its name tells the account."""

    access_key: str
    secret_key: str = "simulated-secret"
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one scope, which never end."""

    account_id: str

    async def keys(self) -> Keys:
        return Keys(f"AK{self.account_id}")

    async def renew(self, _expired: Keys) -> bool:
        return False


class Aws:
    """The service, for all processes: what it lists, and the tokens that it has given."""

    def __init__(self, plan: Plan, truth: Truth, laws: Laws) -> None:
        self.plan = plan
        self.laws = laws
        self.stages = {stage.arn: stage for stages in truth.stages.values() for stage in stages}
        self.of_scope = truth.stages
        self.sessions: dict[tuple[str, str], Session] = {session.key: session for session in truth.sessions()}
        self._lists: dict[str, tuple[list[Any], int]] = {}

    def items(self, scope: Scope, operation: Operation, params: Mapping[str, Any], now_us: int) -> list[Any] | str:
        """The whole list that a call asks for, or the code of its refusal."""
        if operation is Operation.LIST_STAGES:
            return [stage.item(now_us) for stage in self.of_scope.get(scope, ()) if stage.is_shown(now_us)]
        stage = self.stages.get(params["stageArn"], Stage("", ()))
        if not stage.is_shown(now_us) or not stage.arn:
            return "ResourceNotFoundException"
        if operation is Operation.LIST_STAGE_SESSIONS:
            return [_session(each, now_us) for each in reversed(stage.sessions) if each.is_shown(now_us)]
        session = self.sessions.get((stage.arn, params["sessionId"]))
        if session is None or not session.is_shown(now_us):
            return "ValidationException"
        if operation is Operation.LIST_PARTICIPANTS:
            return [each.item(now_us) for each in session.participants if each.is_shown(now_us)]
        of_one = _details if operation is Operation.GET_PARTICIPANT else _events
        return of_one(session, params["participantId"], now_us)

    def is_denied(self, operation: Operation, params: Mapping[str, Any], now_us: int) -> bool:
        """Whether a permission is missing for this call."""
        stage = self.stages.get(params.get("stageArn", ""))
        return stage is not None and any(each == operation and now_us in span for each, span in stage.denied)

    def page(self, scope: Scope, operation: Operation, params: Mapping[str, Any], now_us: int) -> dict[str, Any] | str:
        """One page of a list, or the code of its refusal."""
        if operation is Operation.GET_PARTICIPANT:
            found = self.items(scope, operation, params, now_us)
            return found if isinstance(found, str) else {operation.member: found[0]}
        token = params.get("nextToken")
        is_shifting = "shifting lists" in self.plan.features and operation in {
            Operation.LIST_PARTICIPANTS,
            Operation.LIST_PARTICIPANT_EVENTS,
        }
        if token is not None and not is_shifting:
            items, start = self._lists[token]
        else:
            found = self.items(scope, operation, params, now_us)
            if isinstance(found, str):
                return found
            items, start = found, int(token.partition("-")[2]) if token else 0
        end = start + min(self.plan.page_size, int(params["maxResults"]))
        page: dict[str, Any] = {operation.member: items[start:end]}
        if end < len(items):
            page["nextToken"] = f"t-{end}" if is_shifting else f"l{len(self._lists)}"
            if not is_shifting:
                self._lists[page["nextToken"]] = (items, end)
        return page


class Connections:
    """A process's way to the service, in place of its pool of connections."""

    def __init__(self, aws: Aws, process: SimulatedProcess, trace: Callable[..., None]) -> None:
        self._aws = aws
        self._process = process
        self._trace = trace

    async def post(
        self, what: str, url: str, body: bytes, headers: Mapping[str, str], proxy: str | None = None
    ) -> Answer:
        """The answer to one call; raises what a pool of connections does."""
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                return await self._ask(url, body, headers)
        except Exception as error:
            raise not_answered(what, error, url, proxy) from error

    async def _ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        process = self._process
        if process.is_killed:
            raise Killed
        loop = process.loop
        *_, host, name = url.split("/")
        account_id = headers["Authorization"].partition("Credential=AK")[2].partition("/")[0]
        scope, operation = Scope(account_id, host.split(".")[1]), Operation(name)
        params = json.loads(body)
        answered: asyncio.Future[Answer | Exception] = loop.create_future()

        def serve() -> None:
            if process.is_killed or answered.cancelled():
                return
            answer = self._answer(scope, operation, params)
            told = [params.get(key, "")[-14:] for key in ("stageArn", "sessionId", "participantId", "nextToken")]
            self._trace(process.name, operation, "/".join(filter(None, told)), _told(answer))
            if answer is not None:
                loop.call_later(_delay_s(process), _give, answered, answer, context=NOBODY)
            process.count()

        loop.call_later(_delay_s(process), serve, context=NOBODY)
        answer = await answered
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, scope: Scope, operation: Operation, params: Mapping[str, Any]) -> Answer | Exception | None:
        """What the service answers at this instant; None: it never does."""
        process, faults, now_us = self._process, self._process.step.faults, true_us(self._process.loop)
        self._aws.laws.called(process.step, operation, params)
        fate = process.random.random()
        for chance, kind in (
            (faults.throttled, "throttled"),
            (faults.failed, "failed"),
            (faults.reset, "reset"),
            (faults.silent, "silent"),
            (faults.malformed, "malformed"),
            (faults.token_refused if "nextToken" in params else 0.0, "token"),
        ):
            if fate < chance:
                return self._fault(kind)
            fate -= chance
        if self._aws.is_denied(operation, params, now_us):
            self._aws.laws.denied(process.step, operation, params)
            return self._refusal(403, "AccessDeniedException")
        page = self._aws.page(scope, operation, params, now_us)
        if isinstance(page, str):
            return self._refusal(400, page)
        self._aws.laws.answered(process.step, operation, params, page)
        return Answer(200, self._dated(), json.dumps(page).encode())

    def _fault(self, kind: str) -> Answer | Exception | None:
        if kind == "silent":
            return None
        if kind == "reset":
            return aiohttp.ServerDisconnectedError()
        if kind == "malformed":
            return Answer(200, self._dated(), self._process.random.choice(_MALFORMED))
        if kind == "throttled":
            return self._refusal(429, "ThrottlingException")
        if kind == "token":
            return self._refusal(400, "ValidationException")
        return self._refusal(self._process.random.choice((500, 503)), "InternalServerException")

    def _refusal(self, status: int, code: str) -> Answer:
        return Answer(status, {**self._dated(), "x-amzn-ErrorType": f"{code}:http://x"}, b'{"exceptionMessage": "no"}')

    def _dated(self) -> dict[str, str]:
        now_us, dates = true_us(self._process.loop), self._process.step.dates
        if dates == "absent":
            return {}
        if dates == "nonsense":
            return {"Date": "Thu, 99 Foo 9999 99:99:99 -2359"}
        far_us = {"ahead": _FAR_US, "behind": -_FAR_US}.get(dates, 0)
        return {"Date": formatdate((now_us + far_us) // SECOND_US, usegmt=True)}


def endpoint(region: str) -> Endpoint:
    """Where the service answers in a region."""
    urls = {operation: f"https://ivsrealtime.{region}.simulated/{operation}" for operation in Operation}
    return Endpoint(urls, None, "ivs", region)


def _session(session: Session, now_us: int) -> dict[str, Any]:
    ended_us = session.shown_end_us(now_us)
    told = {"sessionId": session.session_id, "startTime": text_of(session.started_us)}
    return told if ended_us is None else {**told, "endTime": text_of(ended_us)}


def _events(session: Session, participant_id: str, now_us: int) -> list[Any] | str:
    for participant in session.participants:
        if participant.participant_id == participant_id and participant.visible_us <= now_us:
            is_refused = any(now_us in span for span in participant.refused)
            return participant.refusal if is_refused else [event.fields for event in participant.shown(now_us)]
    return "ValidationException"


def _details(session: Session, participant_id: str, now_us: int) -> list[Any] | str:
    for participant in session.participants:
        if participant.participant_id == participant_id and participant.visible_us <= now_us:
            return [participant.details(now_us)]
    return "ResourceNotFoundException"


def _told(answer: Answer | Exception | None) -> str:
    if answer is None:
        return "never answered"
    if isinstance(answer, Exception):
        return type(answer).__name__
    return "" if answer.status == 200 else f"status {answer.status}"


def _delay_s(process: SimulatedProcess) -> float:
    draw = process.random.random()
    return 0.005 + draw * draw * 0.4


def _give(answered: asyncio.Future[Any], answer: Answer | Exception) -> None:
    if not answered.done():
        answered.set_result(answer)
