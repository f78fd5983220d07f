"""What became of a publication: what changed in each table, what failed, and what is still to come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.catalog.changes import TableChanges
    from exporter.errors import ExportError


@dataclass(slots=True)
class PublishedTable:
    """What one publication did to a table. ``behind`` are the files that it is still to gain or to lose."""

    table: str
    added: int = 0
    removed: int = 0
    rows_added: int = 0
    behind: int | None = None

    def count(self, changes: TableChanges) -> None:
        """Count what was committed."""
        self.added += len(changes.added)
        self.removed += len(changes.gone)
        self.rows_added += sum(file.rows for file in changes.added.values())


@dataclass(slots=True)
class CompactedTable:
    """What one compaction did to a table: it lists ``merged`` files no longer, and ``made`` ones in their place.

    ``size_bytes`` is what was written; the lake keeps what was merged. ``abandoned`` files of compactions that died
    were removed.
    """

    table: str
    merged: int = 0
    made: int = 0
    size_bytes: int = 0
    snapshots: int = 0
    abandoned: int = 0


@dataclass(frozen=True, slots=True)
class Unpublished:
    """What could not be published: a table, a scope whose part of the tables was left out, or all; and why."""

    unit: str
    error: ExportError

    @property
    def name(self) -> str:
        """What failed, beside a run's other failures."""
        return f"catalog/{self.unit}" if self.unit else "catalog"


@dataclass(slots=True)
class Publication:
    """One publication of a lake's files.

    ``behind`` counts files that the log has and the catalog lacks, or the other way round; None where that is not
    known. ``is_deferred`` says that a stop came first. ``compacted`` is None where nothing was to be compacted.
    """

    tables: list[PublishedTable] = field(default_factory=list)
    failures: list[Unpublished] = field(default_factory=list)
    is_deferred: bool = False
    compacted: list[CompactedTable] | None = None

    @property
    def behind(self) -> int | None:
        """The files of all tables that are still to come or to go."""
        counts = [table.behind for table in self.tables]
        known = [count for count in counts if count is not None]
        return sum(known) if counts and len(known) == len(counts) else None

    @property
    def outcome(self) -> str:
        """``complete``; ``partial`` where something failed beside something that did not; ``failed``, ``deferred``."""
        if self.is_deferred:
            return "deferred"
        if not self.failures:
            return "complete"
        return "failed" if all(table.behind is None for table in self.tables) else "partial"

    def fail(self, unit: str, error: ExportError) -> None:
        """Note that something could not be published; the same is noted once."""
        if all((known.unit, str(known.error)) != (unit, str(error)) for known in self.failures):
            self.failures.append(Unpublished(unit, error))

    def fail_scopes(self, errors: Mapping[str, ExportError]) -> None:
        """Note the scopes that could not be published, and why."""
        for scope, error in sorted(errors.items()):
            self.fail(scope, error)

    def summary(self) -> dict[str, Any]:
        """What the run's summary says of it."""
        return {"outcome": self.outcome, "behind": self.behind}
