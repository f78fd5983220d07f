"""The wrong answers that faults ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from exporter.emulator.protocol.errors import Refusal, denied, invalid, not_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.emulator.faults.kinds import Fault, FaultEffect
    from exporter.emulator.protocol.requests import CallRequest

_HTML = b"<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"
_JSON_TYPE = "application/json"
_HTML_TYPE = "text/html"


@dataclass(frozen=True, slots=True)
class FaultyAnswer:
    """A status, a body and its type."""

    status: int
    body: bytes
    content_type: str = _JSON_TYPE


def faulty_answer(fault: Fault, request: CallRequest, right: Callable[[], bytes]) -> FaultyAnswer:
    """The answer that a fault of the group "answer" gives; ``right`` makes the right body.

    Raises :class:`Refusal` where AWS would refuse the call.
    """
    if (problem := _refusal(fault, request)) is not None:
        raise problem
    if fault.kind == "server_error":
        status = fault.effect.status or 500
        title = b"%d Error" % status
        return FaultyAnswer(status, _HTML % (title, title), _HTML_TYPE)
    if fault.kind == "html":
        return FaultyAnswer(200, _HTML % (b"Welcome", b"Please log in"), _HTML_TYPE)
    if fault.kind == "cut_json":
        whole = right()
        return FaultyAnswer(200, whole[: len(whole) // 2])
    bodies = {
        "bad_json": b'{"%s": [{]' % request.answer_member.encode(),
        "empty_body": b"",
        "empty_object": b"{}",
        "not_an_object": b"[]",
        "null_list": msgspec.json.encode({request.answer_member: None}),
    }
    return FaultyAnswer(200, bodies[fault.kind])


def _refusal(fault: Fault, request: CallRequest) -> Refusal | None:
    if fault.kind == "throttle":
        return _throttled(fault.effect)
    if fault.kind == "expired_token":
        return Refusal(403, "ExpiredTokenException", "The security token included in the request is expired")
    if fault.kind == "denied":
        return denied(f"User is not authorized to perform: ivs:{request.operation}")
    if fault.kind == "not_found":
        return not_found("Resource not found")
    if fault.kind in ("invalid", "token_refused"):
        return invalid("The nextToken is not valid" if fault.kind == "token_refused" else "Invalid request")
    return None


def _throttled(effect: FaultEffect) -> Refusal:
    code = effect.code or "ThrottlingException"
    wait = () if effect.retry_after_s is None else (("Retry-After", f"{effect.retry_after_s:g}"),)
    return Refusal(effect.status or 429, None if code == "none" else code, "Rate exceeded", wait)
