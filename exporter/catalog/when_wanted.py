"""A catalog that is kept where one is wanted: what it takes is imported then, which takes PyIceberg seconds."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from exporter.catalog.wanted import check_catalog

if TYPE_CHECKING:
    from exporter.aws.sessions import MakeSession
    from exporter.catalog.outcome import Publication
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.settings import Settings


async def keep_wanted_catalog(
    settings: Settings, store: Store, make_session: MakeSession | None, clock: Clock
) -> Publication:
    """Bring the catalog up to the log, as `keep_catalog` does; the event loop goes on while it is imported.

    Raises :class:`UsageError` where it can't be had, and as `keep_catalog`.
    """
    check_catalog(settings)
    await asyncio.to_thread(import_module, "exporter.catalog.keeping")
    from exporter.catalog.keeping import keep_catalog  # noqa: PLC0415 - as above

    return await keep_catalog(settings, store, make_session, clock)
