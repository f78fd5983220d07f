"""What all scopes of a process share: the rows that wait in memory for their checkpoints, and the turns to make more.

A unit or a session that waits counts as some rows, too. When they are more than the bound, the fullest scopes commit,
until half of the bound is on its way; how much the others add meanwhile is bounded by their quotas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class Share:
    """One scope's part. ``rows`` are those that it holds.

    ``wake`` is called when the scope shall commit; from then on it ``is_called``, until it holds fewer.
    """

    budget: Budget
    wake: Callable[[], None]
    rows: int = 0
    is_called: bool = False

    def hold(self, rows: int) -> None:
        """Hold so many rows now."""
        self.is_called = self.is_called and rows >= self.rows
        self.rows = rows
        self.budget.settle()


@dataclass(slots=True)
class Budget:
    """About ``rows_max`` rows at most, and one turn at a time."""

    rows_max: int
    turns: Turns = field(default_factory=Turns)
    _shares: list[Share] = field(default_factory=list)

    def share(self, wake: Callable[[], None]) -> Share:
        """A share for one more scope."""
        share = Share(self, wake)
        self._shares.append(share)
        return share

    def settle(self) -> None:
        """Wake the fullest scope where there are too many rows, and too few of them on their way."""
        waiting = [share for share in self._shares if not share.is_called]
        too_many = sum(share.rows for share in self._shares) >= self.rows_max
        if too_many and 2 * sum(share.rows for share in waiting) >= self.rows_max:
            fullest = max(waiting, key=lambda share: share.rows)
            fullest.is_called = True
            fullest.wake()
