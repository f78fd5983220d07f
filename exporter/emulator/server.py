"""The emulator as a server: what a request passes through, from the signature to the bytes of the answer."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from aiohttp import web

from exporter.emulator.call_log import CallLog
from exporter.emulator.clock import SECOND_US, WorldClock
from exporter.emulator.control import PREFIX, Control
from exporter.emulator.faults.plan import FaultPlan
from exporter.emulator.faults.responses import faulty_answer
from exporter.emulator.options import EmulatorOptions
from exporter.emulator.protocol.errors import Refusal, denied
from exporter.emulator.protocol.quota import Quota
from exporter.emulator.protocol.request_rules import OPERATIONS, read_target
from exporter.emulator.protocol.service import Service
from exporter.emulator.protocol.signatures import SignatureChecker, SignedCall
from exporter.emulator.sts.roles import Roles
from exporter.emulator.sts.sts import CONTENT_TYPE, STS, Sts, action_of, refusal
from exporter.emulator.truth import Truth
from exporter.emulator.visitors import is_own_host
from exporter.model import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from exporter.emulator.faults.kinds import Fault
    from exporter.emulator.protocol.service import KnownRequest
    from exporter.emulator.world.world import World

_STS_PATH = "/"
# Silent calls would never end by themselves.
_SHUTDOWN_S = 0.1


class Emulator:
    """Amazon IVS Real-Time on a local port, with two calls of STS beside it, as an asynchronous context manager.

    ``worlds`` gives fixed worlds by (account id, region); the options make all others. ``monotonic_s`` and ``wall_s``
    are real time in seconds, for quota and clock, and for signatures; ``sleep`` waits where a fault says so.
    """

    def __init__(
        self,
        options: EmulatorOptions | None = None,
        worlds: Mapping[tuple[str, str], World] | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.options = EmulatorOptions() if options is None else options
        clock, service = self.options.clock, self.options.service
        start_us = int(wall_s() * SECOND_US) if clock.start_us is None else clock.start_us
        self.clock = WorldClock(start_us, is_frozen=clock.is_frozen, monotonic_s=monotonic_s)
        self.quota = Quota(service.quota, monotonic_s)
        self.faults = FaultPlan(service.faults, self.options.world.seed)
        self.calls = CallLog()
        self._worlds = {Scope(*names): world for names, world in (worlds or {}).items()}
        self._service = Service(self.options, self._worlds, start_us, self.faults)
        self.roles = Roles(wall_s)
        accounts = {account.account_id for account in self.options.accounts}
        self._sts = Sts(self.options.roles, accounts, self.roles)
        self._signatures = SignatureChecker(self.options.accounts, self.roles.read, wall_s)
        self._control = Control(self.clock, self.quota, self.calls, self.faults, self._truth, self._info)
        self._sleep = sleep
        self._request_prefix = str(uuid4())[:24]
        self._requests = 0
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        listen = self.options.listen
        tls = _tls_context(listen.tls)
        site = web.TCPSite(self._runner, listen.host, listen.port, ssl_context=tls)
        await site.start()
        port = self._runner.addresses[0][1]
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        self.url = f"{'http' if tls is None else 'https'}://{host}:{port}"
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that have stages: the options' and those of fixed worlds."""
        return tuple(dict.fromkeys((*self.options.regions, *(scope.region for scope in self._worlds))))

    def world(self, account_id: str, region: str) -> World:
        """What the account has in the region."""
        return self._service.world(Scope(account_id, region))

    def truth(self, account_id: str | None = None, region: str | None = None, at_us: int | None = None) -> Truth:
        """What a complete export would hold, of these scopes or of all, at a simulated moment; None means now."""
        return self._truth(account_id, region, at_us)

    def _truth(self, account_id: str | None, region: str | None, at_us: int | None) -> Truth:
        accounts = {account.account_id for account in self.options.accounts}
        scopes = {Scope(account, name) for account in accounts for name in self.options.regions} | set(self._worlds)
        wanted = [
            scope
            for scope in sorted(scopes)
            if account_id in (None, scope.account_id) and region in (None, scope.region)
        ]
        return Truth(self._service, tuple(wanted), self.clock.now_us if at_us is None else at_us)

    def _info(self) -> dict[str, Any]:
        return {
            "service": "Amazon IVS Real-Time emulator",
            "operations": list(OPERATIONS),
            "accounts": sorted({account.account_id for account in self.options.accounts}),
            "access_keys": [account.access_key for account in self.options.accounts],
            "regions": list(self.regions),
            "seed": self.options.world.seed,
            "now_us": self.clock.now_us,
        }

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not is_own_host(request.headers.get("Host", ""), self.options.listen.host):
            return self._response(403, b'{"message":"the emulator answers to the names of its own machine alone"}')
        if request.path.startswith(PREFIX):
            return await self._control.handle(request)
        body = await request.read()
        if request.path == _STS_PATH and request.method == "POST":
            return self._answer_sts(request, body)
        try:
            operation, members = read_target(request.method, _raw_path(request), body)
            known = self._admit(_call(request, body), operation, members)
            met = self.faults.meeting(known.request)
            if met:
                return await self._meet(request, known, members, met)
            page = self._service.page(known, members, self.clock.now_us)
        except Refusal as problem:
            return self._refuse(problem)
        self.calls.note_answered(known.request)
        return self._response(200, page)

    def _admit(self, call: SignedCall, operation: str, members: bytes) -> KnownRequest:
        """Check signature, quota and request, in AWS's order. Raises :class:`Refusal`."""
        scope = self._signatures.check(call)
        if operation not in OPERATIONS:
            raise denied(f"User is not authorized to perform: ivs:{operation}: the emulator only reads")
        if not self.quota.take(operation, scope):
            raise self.quota.refusal()
        self.calls.note_granted(operation)
        known = self._service.known(scope, operation, members)
        self.calls.note_asked(known.request)
        return known

    def _answer_sts(self, request: web.BaseRequest, body: bytes) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE}
        if (action := action_of(body)) is not None:
            self.calls.note_granted(action)
        try:
            answer = self._sts.answer(self._signatures.check(_call(request, body), STS), body)
        except Refusal as problem:
            return self._response(problem.status, refusal(problem), headers)
        return self._response(200, answer, headers)

    async def _meet(
        self, request: web.BaseRequest, known: KnownRequest, members: bytes, met: list[Fault]
    ) -> web.StreamResponse:
        """Answer a call as the faults say that met it. Raises :class:`Refusal`."""
        for fault in met:
            if fault.kind == "slow":
                await self._sleep(1.0 if fault.effect.seconds is None else fault.effect.seconds)
        last = met[-1]
        if last.kind == "silence":
            await asyncio.Event().wait()  # until the client goes away, which cancels this handler
        if last.kind == "reset":
            return _reset(request)
        if last.group == "answer":
            answer = faulty_answer(last, known.request, lambda: self._page(known, members, met))
            return self._response(answer.status, answer.body, {"Content-Type": answer.content_type})
        page = self._page(known, members, met)
        if last.kind == "cut":
            return await self._cut(request, page)
        self.calls.note_answered(known.request)
        return self._response(200, page)

    def _page(self, known: KnownRequest, members: bytes, met: list[Fault]) -> bytes:
        paging = frozenset(fault.kind for fault in met if fault.group == "paging")
        if paging:
            return self._service.page_with(known.request, self.clock.now_us, paging)[0]
        return self._service.page(known, members, self.clock.now_us)

    async def _cut(self, request: web.BaseRequest, page: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._headers({"Content-Type": "application/json"}))
        response.content_length = len(page)
        await response.prepare(request)
        await response.write(page[: len(page) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    def _refuse(self, problem: Refusal) -> web.Response:
        headers = problem.headers(with_url=self.options.service.error_type_url)
        return self._response(problem.status, problem.body(), headers)

    def _response(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
        return web.Response(status=status, body=body, headers=self._headers(headers or {}))

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        self._requests += 1
        return {
            "Content-Type": "application/json",
            "Date": self.clock.date_text(),
            "x-amzn-RequestId": f"{self._request_prefix}{self._requests:012x}",
            **headers,
        }


def serve(options: EmulatorOptions, on_ready: Callable[[Emulator], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``on_ready`` is called once the port is open."""
    asyncio.run(_serve(options, on_ready))


async def _serve(options: EmulatorOptions, on_ready: Callable[[Emulator], None]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Emulator(options) as emulator:
        on_ready(emulator)
        await stopped.wait()


def _call(request: web.BaseRequest, body: bytes) -> SignedCall:
    return SignedCall(request.method, _raw_path(request), request.query_string, request.headers, body)


def _raw_path(request: web.BaseRequest) -> str:
    """The path as it was sent, percent-encoded, which is how it is signed."""
    return request.raw_path.partition("?")[0]


def _reset(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _tls_context(files: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context
