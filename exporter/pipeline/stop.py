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


class StopRequested(Exception):
    """Work was cut short, for the run is to stop."""


@dataclass(slots=True)
class Stop:
    """How the outside asks a run to end gracefully: it commits what was fetched whole and defers the rest.

    ``reason`` is the signal's name (``SIGINT``, ``SIGTERM``), or ``deadline``; None while nobody has asked.
    """

    reason: str | None = field(default=None, init=False)
    asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _signalled: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def deadline(self) -> str | None:
        """``deadline``, where that stopped the run; a run stops itself, too, where one of its scopes ends it."""
        return DEADLINE if self.reason == DEADLINE else None

    def ask(self, reason: str) -> None:
        """Ask once; the first reason stays."""
        if self.reason is None:
            self.reason = reason
            self.asked.set()
            if reason != DEADLINE:
                self._signalled.set()

    async def cut(self, work: Coroutine[Any, Any, Result], *others: asyncio.Future[Any]) -> Result:
        """Do ``work`` and return its result.

        Raises :class:`StopRequested` where it was cut short, because a stop was asked for or one of ``others`` ended,
        and whatever ``work`` raises.
        """
        return await _cut(work, self.asked, *others)

    async def cut_by_signal(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do ``work`` and return its result, also where the run's time is over, or comes to be.

        Raises :class:`StopRequested` where a signal cut it short, and whatever ``work`` raises.
        """
        return await _cut(work, self._signalled)


async def _cut(work: Coroutine[Any, Any, Result], stop: asyncio.Event, *others: asyncio.Future[Any]) -> Result:
    working = asyncio.create_task(work)
    asking = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, asking, *others), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        asking.cancel()
        await asyncio.gather(working, asking, return_exceptions=True)
    if working.cancelled():
        raise StopRequested
    return working.result()
