"""``ivs-export run`` beside an emulator that runs in this process."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.command import command_line, running_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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
    command = command_line("run", str(lake), "--region", "us-east-1", "--calls-per-second", "5000", *options)
    beside = {"AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url, "IVS_EXPORT_TEST_CLOCK": emulator.url}
    async with running_process(command, {**os.environ, **beside}, asyncio.subprocess.DEVNULL) as process:
        yield Command(process)
