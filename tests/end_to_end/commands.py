"""The real command, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from exporter.emulator import Emulator

_WAIT_S = 60.0


@dataclass(slots=True)
class Command:
    """``ivs-export run`` at work."""

    process: asyncio.subprocess.Process

    async def end(self) -> dict[str, Any]:
        """The object that the command printed as its last words, once it has ended."""
        out, _ = await asyncio.wait_for(self.process.communicate(), _WAIT_S)
        [line] = out.decode().splitlines()
        words: dict[str, Any] = json.loads(line)
        return words

    @property
    def code(self) -> int | None:
        return self.process.returncode


@asynccontextmanager
async def running(emulator: Emulator, lake: Path, *options: str) -> AsyncIterator[Command]:
    """Start the command; it does not outlive the block."""
    arguments = ["run", "--lake", str(lake), "--region", "us-east-1", "--json", "--calls-per-second", "5000", *options]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "exporter",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url, "IVS_EXPORT_TEST_CLOCK": emulator.url},
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, and no longer than a minute."""
    async with asyncio.timeout(_WAIT_S):
        while not is_so():  # noqa: ASYNC110 - what it waits for is another process's doing
            await asyncio.sleep(0.01)
