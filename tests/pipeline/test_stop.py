"""How a run is asked to stop."""

from __future__ import annotations

import asyncio

import pytest

from exporter.pipeline.stop import DEADLINE, Stop, StopRequested


async def test_a_deadline_cuts_no_publication_and_a_signal_does() -> None:
    """A run whose time is over while it publishes would leave the catalog behind, and end with 0."""
    began, may_end = asyncio.Event(), asyncio.Event()

    async def publish() -> str:
        began.set()
        await may_end.wait()
        return "published"

    over = Stop()
    publishing = asyncio.create_task(over.cut_by_signal(publish()))
    await began.wait()
    over.ask(DEADLINE)
    may_end.set()
    assert await publishing == "published"
    began.clear()
    may_end.clear()
    stopped = Stop()
    publishing = asyncio.create_task(stopped.cut_by_signal(publish()))
    await began.wait()
    stopped.ask("SIGTERM")
    with pytest.raises(StopRequested):
        await publishing
