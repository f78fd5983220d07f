"""The middle of a run, which lasts until a test has changed something."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: So many of the world's some 150 pages are answered before the middle is over, each so much slower than others: time
#: for some checkpoints on a machine that has much else to do.
_PAGES = 60
_SLOWER = 4


class Middle:
    """How slow answers are given: as slow as a fault says, and none beyond the middle of a run that is held there.

    A run that is only watched may be over before what was to happen in its middle has happened.
    """

    def __init__(self) -> None:
        self._pages_left = 0
        self._over = asyncio.Event()
        self._over.set()

    async def sleep(self, seconds: float) -> None:
        """Wait as an emulator that has been told to be slow."""
        if self._over.is_set():
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(_SLOWER * seconds)
        self._pages_left -= 1
        if self._pages_left < 0:
            await self._over.wait()

    def end(self) -> None:
        """Let the run that is held go on to its end."""
        self._over.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block whose run comes to its end only after :meth:`end`, or with the block."""
        self._pages_left = _PAGES
        self._over.clear()
        try:
            yield
        finally:
            self._over.set()
