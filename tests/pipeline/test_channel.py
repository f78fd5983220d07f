"""What stands between two steps: bounded, ordered, with an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from exporter.pipeline.channel import Channel, Closed

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def test_items_come_out_in_order_and_then_the_end() -> None:
    """What was put before the close is still given; then the channel says that it is closed."""
    channel: Channel[int] = Channel(5)
    for number in (3, 1, 2):
        await channel.put(number)
    await channel.close()
    assert [await channel.get() for _ in range(3)] == [3, 1, 2]
    with pytest.raises(Closed):
        await channel.get()


async def test_with_a_rank_the_least_comes_first() -> None:
    """Of what is in the channel, the least is next, whenever it came."""
    channel: Channel[int] = Channel(5, rank=lambda number: number)
    for number in (3, 1, 2):
        await channel.put(number)
    assert await channel.get() == 1
    await channel.put(0)
    assert [await channel.get() for _ in range(3)] == [0, 2, 3]


async def test_who_puts_waits_for_room() -> None:
    """A full channel holds its writer until an item is taken."""
    channel: Channel[int] = Channel(1)
    await channel.put(1)
    putting = asyncio.create_task(channel.put(2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not putting.done()
    assert await channel.get() == 1
    await putting
    assert await channel.get() == 2


async def test_a_closed_channel_wakes_all_who_wait() -> None:
    """Everybody who waits for an item learns of the end."""
    channel: Channel[int] = Channel(1)
    getting = [asyncio.create_task(channel.get()) for _ in range(3)]
    await asyncio.sleep(0)
    await channel.close()
    ended = await asyncio.gather(*getting, return_exceptions=True)
    assert all(isinstance(error, Closed) for error in ended)


async def test_a_get_that_is_cut_short_takes_nothing() -> None:
    """An item that comes after its reader has given up is the next reader's."""
    channel: Channel[int] = Channel(1)
    getting = asyncio.create_task(channel.get())
    await asyncio.sleep(0)
    getting.cancel()
    await channel.put(7)
    assert await channel.get() == 7


async def test_room_is_by_weight() -> None:
    """There is room until what is in it weighs as much as its size; the last may weigh more than is left."""
    channel: Channel[int] = Channel(10, weigh=lambda number: number)
    for number in (4, 5, 30):
        await asyncio.wait_for(channel.put(number), 1.0)
    assert await _waits(channel.wait_for_room())
    assert [await channel.get(), await channel.get()] == [4, 5]
    assert await _waits(channel.wait_for_room())
    assert await channel.get() == 30
    assert not await _waits(channel.wait_for_room())


async def test_an_item_left_over_the_bound_weighs_too() -> None:
    """What was left at once takes room until it is taken."""
    channel: Channel[int] = Channel(1)
    channel.put_over_bound(1)
    channel.put_over_bound(2)
    assert await channel.get() == 1
    assert await _waits(channel.wait_for_room())
    assert await channel.get() == 2
    assert not await _waits(channel.wait_for_room())


async def _waits(work: Coroutine[Any, Any, None]) -> bool:
    """Whether ``work`` still waits after the loop has gone round some times; it is cut short then."""
    task = asyncio.create_task(work)
    for _ in range(5):
        await asyncio.sleep(0)
    waits = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return waits
