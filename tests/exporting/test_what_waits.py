"""What waits for a checkpoint is bounded in sessions, too, and not in rows alone."""

from __future__ import annotations

import pytest

from exporter.commit import records_after
from tests.doubles import SCOPE, MemoryStore, Service, export


@pytest.mark.parametrize("events", [{}, {"p1": 1}], ids=["without units", "of one event"])
async def test_many_small_sessions_are_committed_some_at_a_time(events: dict[str, int]) -> None:
    """Where a hundred rows may wait, no record tells of more than ten sessions, each of which weighs as ten rows."""
    service, store = Service(), MemoryStore()
    for number in range(35):
        service.add(f"st-{number}", events=events)
    await export(service, store, "r1", rows_max=100)
    told = [len(record.sessions) async for record in records_after(store, SCOPE, 0)]
    assert sum(told) >= 35
    assert max(told) <= 10
