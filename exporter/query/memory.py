"""How much memory a whole question may take, beside what DuckDB counts itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.errors import QueryFailed
from exporter.machine.memory import bounded_growth

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the process may take beside twice the memory of the question: DuckDB's and Arrow's stock of free blocks.
_BESIDE_GIB, _GIB_MAX, _GIB = 1.0, 1 << 20, 1 << 30


@contextmanager
def bounded_memory(memory_gib: float) -> Iterator[None]:
    """Bound what the whole process takes: DuckDB counts large single values nowhere, and each is copied to be shown.

    Raises :class:`QueryFailed` where that is not enough.
    """
    try:
        with bounded_growth(int(min(2 * memory_gib + _BESIDE_GIB, _GIB_MAX) * _GIB)):
            yield
    except MemoryError as error:
        raise QueryFailed(
            "an answer needs more memory than it may take: ask for shorter values, or raise --memory-gib"
        ) from error
