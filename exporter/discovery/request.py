"""What one run is asked to do, beyond its settings, and how it is asked to stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from exporter.discovery.target_list import Targets
    from exporter.lake.identity import Maker

Result = TypeVar("Result")

#: Why a run stopped whose time was over.
DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Request:
    """A run's own wishes. Times are in microseconds since the epoch, UTC.

    Only sessions that overlap ``[since_us, until_us)`` are exported; None leaves that side open. ``targets`` limits the
    run to a list of units, ``refetch`` asks again for what is sealed, ``wait`` waits for a scope another run holds.
    ``made_by`` is who fills the lake: real exports, or a demo with made-up data. ``tag`` is a name that many runs
    share, those of one night, say.
    """

    targets: Targets | None = None
    since_us: int | None = None
    until_us: int | None = None
    refetch: bool = False
    wait: bool = False
    made_by: Maker = "run"
    tag: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the run takes in all sessions of its stages."""
        return self.targets is None and self.since_us is None and self.until_us is None


@dataclass(slots=True)
class Stop:
    """How the outside asks a run to end gracefully: it commits what was fetched whole and defers the rest.

    ``reason`` is the signal's name (``SIGINT``, ``SIGTERM``), or ``deadline``; None while nobody has asked.
    """

    reason: str | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, reason: str) -> None:
        """Ask once; the first reason stays."""
        if self.reason is None:
            self.reason = reason
            self.asked.set()

    async def cut(self, work: Coroutine[Any, Any, Result], *others: asyncio.Future[Any]) -> Result | None:
        """The result of ``work``; None where it was cut short by the asked stop, or by the end of one of ``others``."""
        working = asyncio.create_task(work)
        asking = asyncio.create_task(self.asked.wait())
        try:
            await asyncio.wait((working, asking, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            asking.cancel()
            await asyncio.gather(working, asking, return_exceptions=True)
        return None if working.cancelled() else working.result()
