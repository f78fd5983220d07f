"""What stands between two steps: bounded, ordered, with an end."""

from __future__ import annotations

import asyncio

import pytest

from exporter.channel import Channel, Closed


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
