"""What a publication changes in a table, and what leaves it. Nothing of a catalog's library is needed to say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import LoggedFile


@dataclass(frozen=True, slots=True)
class TableEdit:
    """What a transaction does to a table.

    ``added`` files are listed from then on, and ``removed`` ones, as the table lists them, no longer; with
    ``is_emptied`` none of those from before is. ``properties`` are set, and ``forgotten`` ones removed.
    """

    added: Sequence[ListedFile] = ()
    removed: Sequence[ListedFile] = ()
    is_emptied: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    forgotten: Collection[str] = ()

    def is_needed(self, *, has_files: bool) -> bool:
        """Whether the table changes by it; ``has_files`` says whether the table has ever listed files."""
        is_cleared = self.is_emptied and has_files
        return bool(self.added or self.removed or self.properties or self.forgotten or is_cleared)


@dataclass(frozen=True, slots=True)
class TakenApart:
    """A compacted file with rows of files that leave: ``gone`` are these, ``kept`` the others that it was made of."""

    gone: tuple[LoggedFile, ...]
    kept: tuple[LoggedFile, ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """The listed files that a table lists no longer, and what some of them hold."""

    removed: list[ListedFile] = field(default_factory=list)
    taken_apart: list[TakenApart] = field(default_factory=list)
