"""A lake's catalog as a whole, kept or dropped: the Iceberg tables, and with Glue those for Athena's Hive reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.catalog.behind import NothingPublished, count_behind
from exporter.catalog.compact import TARGET_BYTES_MAX, Compactor
from exporter.catalog.drop import drop_tables
from exporter.catalog.hive_tables import dropped_hive_tables, publish_hive_tables
from exporter.catalog.open import has_begun, opened_catalog
from exporter.catalog.outcome import Publication
from exporter.catalog.publish import Publisher

if TYPE_CHECKING:
    from exporter.aws.sessions import MakeSession
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.settings import Settings

_MIB = 1 << 20


async def keep_catalog(
    settings: Settings,
    store: Store,
    make_session: MakeSession | None,
    clock: Clock,
    *,
    is_rebuild: bool = False,
    is_compact: bool = False,
) -> Publication:
    """Bring the catalog up to the log; with ``is_rebuild`` each Iceberg table is made anew from it.

    With ``is_compact`` small files become larger ones then, of the size that the settings say.

    The tables for the Hive reader come first: they name folders, and are good whatever becomes of the others. Raises as
    `opened_catalog`, and :class:`LakeError` where the lake can't be read; what fails in a table is in what is returned.
    """
    hive = Publication()
    await publish_hive_tables(settings, make_session, hive)
    async with opened_catalog(settings, store, make_session, clock) as opened:
        publication = await Publisher(opened).publish(is_rebuild=is_rebuild)
        if is_compact:
            target_bytes = int(min(settings.catalog.compact_mib * _MIB, TARGET_BYTES_MAX))
            await Compactor(opened, publication, target_bytes).compact()
    for failure in hive.failures:
        publication.fail(failure.unit, failure.error)
    return publication


async def drop_catalog(settings: Settings, store: Store, make_session: MakeSession | None, clock: Clock) -> list[str]:
    """Take the entries of this lake's tables out of the catalog, and return their names. Raises as `drop_tables`."""
    async with opened_catalog(settings, store, make_session, clock) as opened:
        dropped = await drop_tables(opened)
    return dropped + await dropped_hive_tables(settings, make_session)


async def look_at_catalog(
    settings: Settings, store: Store, make_session: MakeSession | None, clock: Clock
) -> Publication:
    """Count what the catalog lacks, and change nothing. Raises as `opened_catalog`."""
    if not await has_begun(settings, clock):
        return await count_behind(NothingPublished(store))
    async with opened_catalog(settings, store, make_session, clock, is_look=True) as opened:
        return await count_behind(opened)
