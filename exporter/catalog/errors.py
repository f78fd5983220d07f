"""What can go wrong with a catalog."""

from __future__ import annotations

from exporter.errors import ExportError


class CatalogError(ExportError):
    """The catalog can't be reached, read or written. The lake is whole, and the next run or `publish` catches up."""

    kind = "catalog"


class CatalogMismatch(CatalogError):
    """A table in the catalog does not fit the lake: nothing is added to it.

    ``reason`` is what does not fit, without how to go on.
    """

    kind = "catalog_mismatch"

    def __init__(self, reason: str, remedy: str = "`ivs-export publish --rebuild` makes the table anew") -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason


class CatalogRace(CatalogError):
    """Another publisher committed to a table in the meantime: read its marks, and plan anew."""

    kind = "catalog_busy"
