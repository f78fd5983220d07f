"""A catalog in Glue, looked at without a change, by the calls that a publication makes.

A change is asked for of a table that is not there: what AWS denies then, it would deny of real ones, too. Nothing
follows from any other answer, for nobody says which of its checks AWS makes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.aws.sessions import open_session
from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.glue import open_glue
from exporter.catalog.glue_errors import GlueDenied
from exporter.catalog.hive import check_ours, hive_name
from exporter.lake.stores.open import is_on_s3
from exporter.lake.tables import TABLES

if TYPE_CHECKING:
    from exporter.aws.sessions import MakeSession
    from exporter.catalog.glue import GlueDatabase
    from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class GlueLook:
    """What was seen: the database, the tables for the Hive reader that are not this lake's, and what is denied."""

    has_database: bool
    misfits: list[str]
    denials: list[str]


async def look_at_glue(settings: Settings, make_session: MakeSession, made_up: str) -> GlueLook:
    """Ask for the database and each table, and for two changes of a table ``made_up``.

    Raises :class:`CatalogError` where reading is denied or not answered, and as `open_glue`.
    """
    async with open_glue(settings, open_session(make_session)) as database:
        has_database = await database.is_there()
        found = [await database.table(table.name) for table in TABLES]  # so that a denial is Glue's own, and short
        del found
        has_hive = settings.catalog.hive and is_on_s3(settings.lake)
        misfits = await _misfits(database, settings.lake.rstrip("/")) if has_hive else []
        return GlueLook(has_database, misfits, await _denials(database, made_up))


async def _misfits(database: GlueDatabase, lake: str) -> list[str]:
    misfits = []
    for table in TABLES:
        found = await database.table(hive_name(table))
        try:
            if found is not None:
                check_ours(found, lake)
        except CatalogMismatch as error:
            misfits.append(str(error))
    return misfits


async def _denials(database: GlueDatabase, made_up: str) -> list[str]:
    denials = []
    for change in (database.update({"Name": made_up}, None), database.delete(made_up)):
        try:
            await change
        except GlueDenied as error:
            denials.append(str(error))
        except CatalogError:  # there is no such table
            continue
    return denials
