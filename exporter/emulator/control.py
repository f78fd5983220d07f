"""The emulator's own endpoints, below ``/_emulator/``: unsigned, JSON, for tests and for a look inside.

A body is sent as ``Content-Type: application/json``. Requests of web pages are refused.

::

    GET  info                                        what this emulator is
    GET  clock    POST {"advance_s": 60} or {"set_us": 1764000000000000}
    GET  quota    POST {"calls_per_second": 5, "burst": 5}
    GET  calls    POST                               the log of calls; POST begins it anew
    GET  faults   POST {"fault": TEXT}   PUT {"faults": [TEXT, ...]}   DELETE
    GET  truth    ?table=&account=&region=&at_us=    what there is, as JSON Lines: see below

``table`` is one of events (where it is not named), stages, sessions and participants, and ``at_us`` a simulated moment
in microseconds since the epoch, now where it is not named. A line has the thing's own ids, and shows it as the API
does, faults of the data included::

    events          stage_arn, session_id, participant_id, event
    stages          stage_arn, stage (as ListStages shows it)
    sessions        stage_arn, session_id, session (as ListStageSessions does), participants, events (their counts)
    participants    stage_arn, session_id, participant_id, participant (as ListParticipants shows it), details (as
                    GetParticipant does), events (their count)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from exporter.emulator.faults.kinds import kinds
from exporter.emulator.visitors import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.emulator.call_log import CallLog
    from exporter.emulator.clock import WorldClock
    from exporter.emulator.faults.plan import FaultPlan
    from exporter.emulator.protocol.quota import Quota
    from exporter.emulator.truth import Truth

PREFIX = "/_emulator/"
_CHUNK_BYTES = 1 << 16
_NUMBER_MAX = 1e18


@dataclass(frozen=True, slots=True)
class Control:
    """What the endpoints show and change.

    ``truth`` takes an account and a region, None for all, and a moment, None for now.
    """

    clock: WorldClock
    quota: Quota
    calls: CallLog
    faults: FaultPlan
    truth: Callable[[str | None, str | None, int | None], Truth]
    info: Callable[[], dict[str, Any]]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request below the prefix: 404 for what there is not, 400 for what can't be read, 403 for a page."""
        name = request.path.removeprefix(PREFIX)
        if refused := refusal(request.scheme, request.headers, has_body=request.can_read_body):
            status, message = refused
            return _json({"error": message}, status)
        if name == "truth" and request.method == "GET":
            return await self._stream_truth(request)
        try:
            raw = await request.read()
            body = msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
            shown = self._act(request.method, name, body)
        except LookupError:
            return _json({"error": f"there is no {request.method} {request.path}"}, 404)
        except (ValueError, TypeError) as error:  # msgspec's errors are ValueErrors, too
            return _json({"error": str(error)}, 400)
        return _json(shown)

    def _act(self, method: str, name: str, body: dict[str, Any]) -> object:
        actions: dict[tuple[str, str], Callable[[dict[str, Any]], None]] = {
            ("GET", "info"): _nothing,
            ("GET", "clock"): _nothing,
            ("POST", "clock"): self._move_clock,
            ("GET", "quota"): _nothing,
            ("POST", "quota"): self._set_quota,
            ("GET", "calls"): _nothing,
            ("POST", "calls"): lambda _: self.calls.reset(),
            ("GET", "faults"): _nothing,
            ("POST", "faults"): lambda body: _discard(self.faults.add(_text(body.get("fault")))),
            ("PUT", "faults"): lambda body: self.faults.replace([_text(fault) for fault in body.get("faults", ())]),
            ("DELETE", "faults"): lambda _: self.faults.clear(),
        }
        actions[method, name](body)
        return self._show(name)

    def _show(self, name: str) -> object:
        if name == "clock":
            return {"now_us": self.clock.now_us, "date": self.clock.date_text()}
        if name == "quota":
            options = self.quota.options
            return {
                "calls_per_second": options.calls_per_second,
                "burst": options.burst,
                "buckets": self.quota.counts(),
            }
        if name == "calls":
            return self.calls.describe()
        if name == "faults":
            return {"faults": self.faults.describe(), "kinds": dict(kinds())}
        return self.info()

    def _move_clock(self, body: dict[str, Any]) -> None:
        if set(body) == {"advance_s"}:
            self.clock.advance(_number(body["advance_s"]))
        elif set(body) == {"set_us"}:
            self.clock.set(int(_number(body["set_us"])))
        else:
            raise ValueError("the clock takes either advance_s or set_us")

    def _set_quota(self, body: dict[str, Any]) -> None:
        if not set(body) <= {"calls_per_second", "burst"}:
            raise ValueError("the quota takes calls_per_second and burst")
        rate, burst = body.get("calls_per_second"), body.get("burst")
        self.quota.set(None if rate is None else _number(rate), None if burst is None else int(_number(burst)))

    async def _stream_truth(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        try:
            at_us = int(query["at_us"]) if "at_us" in query else None
            rows = self.truth(query.get("account"), query.get("region"), at_us).table(query.get("table", "events"))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        chunk = bytearray()
        for row in rows:
            line = {name: _decoded(value) for name, value in row._asdict().items()}
            chunk += msgspec.json.encode(line) + b"\n"
            if len(chunk) >= _CHUNK_BYTES:
                await response.write(bytes(chunk))
                chunk.clear()
                await asyncio.sleep(0)  # calls go on meanwhile
        await response.write(bytes(chunk))
        await response.write_eof()
        return response


def _json(shown: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(shown), status=status, content_type="application/json")


def _decoded(value: object) -> object:
    """The value, or of raw bytes that are no JSON their text."""
    return {"raw": value.decode("utf-8", "backslashreplace")} if isinstance(value, bytes) else value


def _nothing(body: dict[str, Any]) -> None:
    del body


def _discard(number: int) -> None:
    del number


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a fault is a text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if abs(value) > _NUMBER_MAX:
        raise ValueError(f"{value!r} is too large")
    return value
