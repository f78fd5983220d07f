"""Compare-and-set where it is real: moto looks first and writes then, so it can prove nothing here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exporter.lake.store import Store

RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
REAL = pytest.mark.parametrize(
    "address",
    ["directory", pytest.param("seaweedfs", marks=(pytest.mark.xdist_group("seaweedfs"), pytest.mark.slow))],
    indirect=True,
)


@REAL
async def test_one_of_many_creators_wins(address: str, open_at: Any) -> None:
    """Of twenty that make the same record at once, each with its own body, one succeeds, and its body stands."""
    stores = [await open_at(address) for _ in range(2)]
    bodies = [b"writer %d" % number for number in range(20)]
    made = await asyncio.gather(*(stores[at % 2].create(RECORD, body) for at, body in enumerate(bodies)))
    assert sum(made) == 1
    assert await stores[0].read(RECORD) == bodies[made.index(True)]


@REAL
async def test_all_of_many_repeats_succeed(store: Store) -> None:
    """Of five tries of the same call at once, each counts as made."""
    assert all(await asyncio.gather(*(store.create(RECORD, b"mine") for _ in range(5))))


@REAL
async def test_a_file_that_is_gone_is_told(store: Store) -> None:
    """A staged file that something removed is neither published nor pretended to be; nothing is listed then."""
    staged = await store.stage("events/x/a.parquet", b"rows")
    await store.discard(staged)
    assert not await store.publish(staged)
    assert await store.keys("events/") == []
