"""The order in which a list is shown: ascending, descending or mixed, for AWS documents none.

Its samples show all three. In each of them what is new stands at an end of the list, so that a list that grows while it
is being read may show an item twice, but never hides one that was there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Order = Literal["ascending", "descending", "mixed"]
_ORDERS: tuple[Order, ...] = ("ascending", "descending", "mixed")


def order_of(number: int) -> Order:
    """The order that a draw stands for."""
    return _ORDERS[number % len(_ORDERS)]


def shown_indexes(order: Order, count: int, first: int, last: int) -> Sequence[int]:
    """Which of ``count`` items, by age, are at the indexes from ``first`` to before ``last``.

    Mixed shows every second item from the newest down, then the others from the oldest up.
    """
    last = min(last, count)
    if first >= last:
        return []
    if order == "ascending":
        return range(first, last)
    if order == "descending":
        return range(count - 1 - first, count - 1 - last, -1)
    turn = count // 2
    down = range(2 * (turn - first) - 1, 2 * (turn - min(last, turn)) - 1, -2) if first < turn else range(0)
    up = range(2 * (max(first, turn) - turn), 2 * (last - turn), 2) if last > turn else range(0)
    return [*down, *up]
