"""A catalog in SQL, which lets go of its database where it can't be opened."""

from __future__ import annotations

from pyiceberg.catalog.sql import SqlCatalog


class ClosingSqlCatalog(SqlCatalog):
    """PyIceberg's own, whose engine keeps connections to the database.

    It looks for its tables while it is made, and makes them. Where that fails, nobody else could close the engine.
    """

    def __init__(self, name: str, **properties: str) -> None:
        try:
            super().__init__(name, **properties)
        except BaseException:
            self.close()
            raise
