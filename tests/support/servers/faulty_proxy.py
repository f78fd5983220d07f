"""A way to an HTTP server that can lose an answer, after the server has acted or before it is asked."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import aiohttp
from aiohttp import web
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

_OF_THE_HOP = {"transfer-encoding", "content-length", "connection"}


@dataclass(frozen=True)
class Answer:
    """An answer instead of the server's."""

    status: int
    body: bytes = b""
    content_type: str = "application/xml"
    headers: Mapping[str, str] = field(default_factory=dict)


#: ``before``: the server is not asked; ``body``: it gets the request's head, and its client is gone; ``after``: its
#: answer is dropped; ``cut``: half of its body comes; ``silence``: nothing ever comes.
Loss = Literal["before", "body", "after", "cut", "silence"] | Answer


@dataclass
class Proxy:
    """What comes in by ``method`` is lost as ``losses`` says, one after the other; the rest passes.

    ``rule``, where it is set, says of each request how it is lost, or None; then ``losses`` count for nothing.
    ``asked`` is every request that came in. ``forgotten`` are headers that are not passed on. ``altered`` makes another
    answer in place of the server's.
    """

    endpoint: str
    url: str = ""
    method: str = ""
    losses: list[Loss] = field(default_factory=list)
    rule: Callable[[web.Request], Loss | None] | None = None
    asked: list[web.Request] = field(default_factory=list)
    forgotten: frozenset[str] = frozenset()
    altered: Callable[[web.Request, int, bytes], Answer | None] = lambda *_: None
    _site: web.TCPSite | None = None

    async def open(self, runner: web.AppRunner) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._site = web.TCPSite(runner, "127.0.0.1", 0)
        await self._site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def go_away(self) -> None:
        """Refuse every connection from here on, and answer nothing on those that are open."""
        self.rule = lambda _: "before"
        if self._site is not None:
            await self._site.stop()

    def lose(self, method: str, *losses: Loss) -> None:
        """Lose this many requests, one after the other."""
        self.method, self.losses = method, list(losses)

    def lose_all(self, method: str, loss: Loss) -> None:
        """Lose every request from here on, as far as any caller goes."""
        self.lose(method, *[loss] * 100)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        body = await request.read()
        loss = self._loss_of(request)
        if loss == "silence":
            await asyncio.Event().wait()
        if loss == "body":
            await _send_head(self.endpoint, request)
        if isinstance(loss, Answer) or loss in {"before", "body"}:
            return _given(loss) if isinstance(loss, Answer) else _dropped(request)
        passed = {name: value for name, value in request.headers.items() if name.lower() not in self.forgotten}
        # The signature covers the path as it was sent, and the host.
        url = URL(self.endpoint + request.raw_path, encoded=True)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(request.method, url, headers=passed, data=io.BytesIO(body)) as answer,
        ):
            data = await answer.read()
        other = self.altered(request, answer.status, data)
        if loss == "after" or other is not None:
            return _dropped(request) if other is None else _given(other)
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_HOP}
        if request.method == "HEAD":
            headers["Content-Length"] = answer.headers["Content-Length"]
            return web.Response(status=answer.status, headers=headers)
        if loss == "cut":
            return await _cut(request, answer.status, data)
        return web.Response(status=answer.status, headers=headers, body=data)

    def _loss_of(self, request: web.Request) -> Loss | None:
        if self.rule is not None:
            return self.rule(request)
        return self.losses.pop(0) if self.losses and request.method == self.method else None


def _given(answer: Answer) -> web.Response:
    """An answer in the server's place. One to HEAD says how long its body would be."""
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=answer.headers
    )


async def _send_head(endpoint: str, request: web.Request) -> None:
    """Send all but the body, wait until the server asks for that, and close the connection."""
    server = URL(endpoint)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.raw_path.encode())]
    lines += [b"%s: %s" % header for header in request.raw_headers]
    writer.write(b"\r\n".join([*lines, b"", b""]))
    await reader.readuntil(b" 100 Continue\r\n\r\n")
    writer.close()
    await writer.wait_closed()


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, status: int, data: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(status=status, headers={"Content-Length": str(len(data))})
    await answer.prepare(request)
    await answer.write(data[: len(data) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


@asynccontextmanager
async def faulty_proxy(endpoint: str) -> AsyncIterator[Proxy]:
    """A proxy before ``endpoint``, on a free port of 127.0.0.1."""
    proxy = Proxy(endpoint)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await proxy.open(runner)
        yield proxy
    finally:
        await runner.cleanup()
