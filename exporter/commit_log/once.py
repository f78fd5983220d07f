"""A value that is made once for all who ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Made(Generic[Value]):
    value: Value


class Once(Generic[Value]):
    """Makes a value when it is first asked for, and gives the same one ever after.

    Nobody sees the value before it is whole: who asks meanwhile waits for it. Where making it fails, or is cancelled,
    there is no value, and the next one who asks makes it anew. So an error reaches the one whose try it was.
    """

    def __init__(self, make: Callable[[], Awaitable[Value]]) -> None:
        self._make = make
        self._made: _Made[Value] | None = None
        self._making = asyncio.Lock()

    async def get(self) -> Value:
        """Give the value. Raises what making it raises."""
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = _Made(await self._make())
        return self._made.value
