"""No connection to a catalog's database stays, in whatever way the catalog was opened, or not quite."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from exporter.catalog.errors import CatalogError
from exporter.catalog.in_threads import close_in_thread, open_in_thread
from exporter.catalog.kinds import open_catalog
from exporter.settings import CatalogSettings
from tests.support.open_files import is_open, needs_list

if TYPE_CHECKING:
    from pathlib import Path


class Closed:
    """A catalog that says when it is closed, and fails then as a driver may."""

    def __init__(self) -> None:
        self.is_closed = Event()

    def close(self) -> None:
        self.is_closed.set()
        raise OSError("the connection is gone")


@needs_list
def test_one_that_could_not_be_opened(tmp_path: Path) -> None:
    """PyIceberg's engine is connected by then, and the error still holds it."""
    path = tmp_path / "catalog.db"
    path.write_bytes(b"no database" * 100)
    settings = CatalogSettings.model_validate({"kind": "sql", "properties": {"uri": f"sqlite:///{path}"}})
    with pytest.raises(CatalogError, match="file is not a database") as raised:
        open_catalog(settings, {}, {})
    assert raised.value.__cause__ is not None
    assert not is_open(path)


async def test_one_that_came_too_late() -> None:
    catalog, may_come = Closed(), Event()

    def opening() -> Any:
        may_come.wait(60)
        return catalog

    with pytest.raises(CatalogError, match="does not answer"):
        await open_in_thread(opening, 0.0)
    assert not catalog.is_closed.is_set()
    may_come.set()
    assert catalog.is_closed.wait(60)


async def test_one_that_fails_to_close() -> None:
    catalog: Any = Closed()
    await close_in_thread(catalog)
    assert catalog.is_closed.is_set()
