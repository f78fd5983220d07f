"""An emulator in a thread of the test's process: the command can be run beside it in the same process."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from exporter.emulator import Emulator

if TYPE_CHECKING:
    from exporter.emulator import EmulatorOptions

_READY_S_MAX = 60.0


class ThreadedEmulator:
    """An emulator at ``url``, as a context manager."""

    def __init__(self, options: EmulatorOptions) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self.emulator: Emulator | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_READY_S_MAX):
            raise RuntimeError("the emulator is not ready")
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_READY_S_MAX)
        self._loop.close()

    @property
    def url(self) -> str:
        assert self.emulator is not None
        return self.emulator.url

    def plan(self, *faults: str) -> None:
        """Let these faults happen from here on, and no others."""
        assert self.emulator is not None
        self.emulator.faults.replace(faults)

    async def _serve(self) -> None:
        async with Emulator(self._options) as self.emulator:
            self._ready.set()
            await self._stopped.wait()
