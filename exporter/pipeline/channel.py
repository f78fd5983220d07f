"""What stands between two steps: a bounded queue with an end."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

Item = TypeVar("Item")


class Closed(Exception):
    """The channel is empty, and nothing more will come."""


class Channel(Generic[Item]):
    """A bounded queue with an end.

    `put` blocks while the channel is full, `get` while it is empty. Once it is closed and drained, `get` raises
    :class:`Closed`. It is full when its items weigh ``capacity`` or more; ``weigh`` gives the weight of one, else it
    is 1. The item of the least ``rank`` comes out first, and of equal ranks the one that was put first.
    """

    def __init__(
        self,
        capacity: int,
        rank: Callable[[Item], Any] = lambda _: 0,
        weigh: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        self._capacity = capacity
        self._rank = rank
        self._weigh = weigh
        self._heap: list[tuple[Any, int, Item]] = []
        self._puts = 0
        self._weight = 0
        self._changed = asyncio.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._heap)

    def __repr__(self) -> str:
        """Say how full it is, for a debugger."""
        end = ", closed" if self._is_closed else ""
        return f"<Channel {len(self)} items, {self._weight} of {self._capacity}{end}>"

    async def put(self, item: Item) -> None:
        """Add an item, once there is room."""
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self._push(item)
            self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether `put` would wait for room."""
        return not self._has_room()

    def put_over_bound(self, item: Item) -> None:
        """Add an item at once, over the bound, from a task that is being cancelled; `close` must follow."""
        self._push(item)

    async def wait_for_room(self) -> None:
        """Wait until there is room, and take none of it: work that begins before that could only wait."""
        if not self._has_room():
            async with self._changed:
                await self._changed.wait_for(self._has_room)

    async def get(self) -> Item:
        """Take the next item. Raises :class:`Closed` where none is left and none will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._heap or self._is_closed)
            if not self._heap:
                raise Closed
            _, _, item = heapq.heappop(self._heap)
            self._weight -= self._weigh(item)
            self._changed.notify_all()
            return item

    async def drain(self) -> None:
        """Take all items, and do nothing with them, until the channel is closed."""
        with suppress(Closed):
            while True:
                await self.get()

    async def close(self) -> None:
        """End the channel; what is in it can still be taken."""
        async with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _push(self, item: Item) -> None:
        self._puts += 1
        heapq.heappush(self._heap, (self._rank(item), self._puts, item))
        self._weight += self._weigh(item)

    def _has_room(self) -> bool:
        return self._weight < self._capacity


async def work_on_each(
    items: Channel[Item],
    work: Callable[[Item], Coroutine[Any, Any, None]],
    at_once: int,
    may_begin: Callable[[], Awaitable[None]],
) -> None:
    """Work on the items of a channel side by side, ``at_once`` at most, until it is closed and all is done.

    ``may_begin`` is awaited before an item is taken.
    """
    slots = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as tasks:
        while True:
            await slots.acquire()
            await may_begin()
            try:
                item = await items.get()
            except Closed:
                return
            tasks.create_task(work(item)).add_done_callback(lambda _: slots.release())
            await asyncio.sleep(0)  # so that its first call waits for its token before the next one is begun
