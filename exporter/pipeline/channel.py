"""What stands between two steps: a bounded line of things that are handed on, with an end."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")


class Closed(Exception):
    """Nothing is in the channel, and nothing more will come."""


class _Line(Protocol[Item]):
    def push(self, item: Item) -> None: ...
    def pop(self) -> Item: ...
    def __len__(self) -> int: ...


class _InOrder(Generic[Item]):
    def __init__(self) -> None:
        self._items: deque[Item] = deque()

    def push(self, item: Item) -> None:
        self._items.append(item)

    def pop(self) -> Item:
        return self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)


class _LeastFirst(Generic[Item]):
    def __init__(self, rank: Callable[[Item], Any]) -> None:
        self._rank = rank
        self._items: list[tuple[Any, int, Item]] = []
        self._pushed = 0

    def push(self, item: Item) -> None:
        self._pushed += 1
        heapq.heappush(self._items, (self._rank(item), self._pushed, item))

    def pop(self) -> Item:
        return heapq.heappop(self._items)[2]

    def __len__(self) -> int:
        return len(self._items)


class Channel(Generic[Item]):
    """Who puts waits for room, who gets waits for an item.

    There is room until what is in it weighs ``size``: each item 1, or what ``weigh`` says.
    Items come out in the order in which they went in, or, where a ``rank`` is given, the least of those in it first.
    """

    def __init__(
        self, size: int, rank: Callable[[Item], Any] | None = None, weigh: Callable[[Item], int] = lambda _: 1
    ) -> None:
        self._size = size
        self._weigh = weigh
        self._weight = 0
        self._line: _Line[Item] = _InOrder() if rank is None else _LeastFirst(rank)
        self._changed = asyncio.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._line)

    async def put(self, item: Item) -> None:
        """Hand an item on, once there is room."""
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self._push(item)
            self._changed.notify_all()

    async def room(self) -> None:
        """Wait until there is room: what is made before could only wait."""
        if not self._has_room():
            async with self._changed:
                await self._changed.wait_for(self._has_room)

    def leave(self, item: Item) -> None:
        """Hand an item on at once, over the bound, for one who can wait no longer; `close` must follow."""
        self._push(item)

    async def get(self) -> Item:
        """Take the next item. Raises :class:`Closed` where none is left and none will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._line) or self._is_closed)
            if not len(self._line):
                raise Closed
            item = self._line.pop()
            self._weight -= self._weigh(item)
            self._changed.notify_all()
            return item

    async def close(self) -> None:
        """Say that nothing more will come; what is in the channel can still be taken."""
        async with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _push(self, item: Item) -> None:
        self._line.push(item)
        self._weight += self._weigh(item)

    def _has_room(self) -> bool:
        return self._weight < self._size
