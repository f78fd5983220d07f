"""The real command as a process of its own: how it is called, and what it sees of the environment."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

_WAIT_S = 60.0


def command_line(name: str, lake: str, *options: str) -> list[str]:
    """``ivs-export`` with a command on a lake; it prints one object."""
    return [sys.executable, "-m", "exporter", name, "--lake", lake, "--json", *options]


def environment_of(emulator_url: str, *more: Mapping[str, str]) -> dict[str, str]:
    """What a command beside an emulator sees: nothing of whoever runs the tests but the way to programs."""
    own = {
        "PATH": os.environ["PATH"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_IVS_REALTIME": emulator_url,
        "IVS_EXPORT_TEST_CLOCK": emulator_url,
    }
    for variables in more:
        own |= variables
    return own


@asynccontextmanager
async def running_process(
    command: Sequence[str], environment: Mapping[str, str], errors: int = asyncio.subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command at work; it does not outlive the block. ``errors`` is where its log goes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def until(is_so: Callable[[], bool], wait_s: float = _WAIT_S) -> None:
    """Wait until something is so, and no longer than ``wait_s``."""
    async with asyncio.timeout(wait_s):
        while not is_so():  # noqa: ASYNC110 - what it waits for is another process's doing
            await asyncio.sleep(0.01)
