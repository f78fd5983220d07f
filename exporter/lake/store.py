"""What the exporter asks of a lake: two narrow protocols that each store keeps.

A *key* is a path relative to the lake's root, with ``/`` between its parts, such as
``events/event_date=2026-11-23/x.parquet``. Keys are made by the exporter alone, never from what the API answers.
Part by part they are printable text, and none is empty, ``.`` or ``..``.

There is no call that replaces a record. A value that changes is kept in numbered records, of which the greatest counts;
its writer deletes those before it.

Every method may raise :class:`~exporter.errors.LakeBusy` (a passing fault) or
:class:`~exporter.errors.LakeRefused` (a final one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is durable already, and that no reader can see.

    ``key`` is where it appears once it is published. ``size_bytes`` is None of a leftover, whose writer may have died
    in the midst of it. ``handle`` is how its store finds it again, in this process or in another; a commit record
    carries it word for word, and only the store reads it.
    """

    key: str
    size_bytes: int | None
    handle: tuple[str, ...]


class Files(Protocol):
    """Data files: written out of sight, and made visible whole."""

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        """Make ``data`` durable out of every reader's sight, to appear under ``key`` when it is published.

        Where it raises, there may be a leftover.
        """
        ...

    async def publish(self, staged: Staged) -> bool:
        """Make a staged file visible under its key; harmless when it is visible already.

        A file with an empty handle was never staged here: it is visible, or gone.
        Returns False where the file is gone: neither staged nor visible, in its whole size. Where it raises, ask again.
        """
        ...

    async def discard(self, staged: Staged) -> None:
        """Remove a file that was staged and not published; harmless when it is gone already, or visible."""
        ...

    async def leftovers(self, table: str) -> list[Staged]:
        """List the files of a table (the first part of their keys) that any run staged and none published.

        Their writers may have died in the midst of them, so these are good for `discard` alone: they have no size, and
        `publish` does not make them visible.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """Read the whole of a visible file or record; None where there is none."""
        ...

    async def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        """Read ``length`` bytes of a visible file from ``begin`` on, fewer at its end; None where there is none."""
        ...

    async def remove(self, key: str) -> None:
        """Remove a visible file, for good; harmless when it is gone already."""
        ...


class Records(Protocol):
    """Small records: numbered by their writers, each made once."""

    async def create(self, key: str, body: bytes) -> bool:
        """Make a record that does not exist yet, durably; report False where the key is taken by another body.

        Safe to repeat: where an earlier try of the same call had succeeded and its answer was lost, the record that
        stands there is read back, and an equal body counts as success. Where it raises, it may have been made.
        """
        ...

    async def refuses(self, key: str, body: bytes) -> bool:
        """Try to make a record once more that is there, and report whether that was refused, as it must be.

        ``body`` is what stands there, word for word: nothing is lost where the store lets it pass. A lake whose store
        does, keeps no promise, for `create` lets two writers be first.
        """
        ...

    async def read(self, key: str) -> bytes | None:
        """Read the whole of a record; None where there is none."""
        ...

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """List the keys that begin with ``prefix`` and sort after ``after``, sorted."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a record; harmless when it is gone already."""
        ...


class Store(Files, Records, Protocol):
    """A whole lake. Each step takes the narrower protocol that it needs."""
