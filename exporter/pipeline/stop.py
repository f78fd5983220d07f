"""How a run is asked to stop: it commits what was fetched whole and defers the rest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine


Result = TypeVar("Result")

#: Why a run stopped whose time was over.
DEADLINE = "deadline"


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
