"""Debian's Chromium without a window, asked over its DevTools: what a page looks like, does, and asks for."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_START_S = 60.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PROGRAM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requested: list[str] = []
        self._socket = socket
        self._seen: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a method of the DevTools protocol."""
        number = len(self._answers) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], _START_S)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to a page, and wait until all of it is loaded."""
        self._seen["Page.loadEventFired"].clear()
        await self.send("Page.navigate", url=url)
        await asyncio.wait_for(self._seen["Page.loadEventFired"].wait(), _START_S)

    async def resize(self, width: int, height: int = 900) -> None:
        """Give the page a window of this size."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def show_as(self, media: str = "screen", scheme: str = "light") -> None:
        """Show the page on paper (``print``), or to somebody who prefers it dark."""
        await self.send(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression says of the page. It is the browser's own, whatever the page forbids."""
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode((await self.send("Page.printToPDF"))["data"])

    async def listen(self) -> None:
        """Take answers and events over until the browser is gone."""
        async for message in self._socket:
            content = message.json()
            if "id" in content:
                self._answers[content["id"]].set_result(content)
            elif content["method"] == "Network.requestWillBeSent":
                self.requested.append(content["params"]["request"]["url"])
            else:
                self._seen[content["method"]].set()


@asynccontextmanager
async def browser_tab() -> AsyncIterator[Tab]:
    """A page in a browser of its own, which knows nothing and leaves nothing."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *_FLAGS, f"--user-data-dir={folder}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            port = await _port(Path(folder), process)
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://127.0.0.1:{port}/json/new") as answer:
                    address = (await answer.json())["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    tab = Tab(socket)
                    listening = asyncio.create_task(tab.listen())
                    for domain in ("Page", "Network", "Runtime"):
                        await tab.send(f"{domain}.enable")
                    yield tab
                await listening
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), _START_S)


async def _port(folder: Path, process: asyncio.subprocess.Process) -> str:
    """The port on which the browser listens, which it writes into its folder."""
    path = folder / "DevToolsActivePort"
    async with asyncio.timeout(_START_S):
        while not (path.is_file() and "\n" in path.read_text()):
            assert process.returncode is None, "the browser has ended"
            await asyncio.sleep(0.02)
    return path.read_text().splitlines()[0]
