"""Drop: the tables' entries leave the catalog, and no file leaves the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from exporter.catalog.open import OpenCatalog


async def drop_tables(opened: OpenCatalog) -> list[str]:
    """Take away the entries of this lake's tables, and return the names of those that were there.

    Whatever another catalog's client would do at a drop, no file is touched: what lies below ``_iceberg/`` stays, too.
    Raises :class:`CatalogMismatch` for a table of one of these names that is not this lake's, and
    :class:`CatalogError`.
    """
    return [table.name for table in TABLES if await opened.ask(opened.tables.drop, table)]
