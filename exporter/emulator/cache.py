"""A cache with a bound: what was used last stays."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

_Value = TypeVar("_Value")


class BoundedCache(Generic[_Value]):
    """Keeps values until their costs together pass ``cost_max``; then the ones unused for longest go."""

    def __init__(self, cost_max: int) -> None:
        self._cost_max = cost_max
        self._cost = 0
        self._entries: OrderedDict[Hashable, tuple[_Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> _Value | None:
        """The value kept under this key, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: _Value, cost: int = 1) -> _Value:
        """Keep a value, and give it back. One that costs more than the whole bound is not kept."""
        self._cost -= self._entries.pop(key, (value, 0))[1]
        if cost <= self._cost_max:
            self._entries[key] = (value, cost)
            self._cost += cost
        while self._cost > self._cost_max:
            _, (_, freed) = self._entries.popitem(last=False)
            self._cost -= freed
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._cost = 0
