"""Keeping the tables of :mod:`exporter.catalog.hive` in Glue up to date, also where others do so at the same time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.aws.sessions import open_session
from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.glue import open_glue
from exporter.catalog.glue_errors import GlueBusy, GlueChanged, NotInGlue
from exporter.catalog.hive import check_ours, decide, hive_name
from exporter.errors import CredentialsLost, ExportError
from exporter.lake.stores.open import is_on_s3
from exporter.lake.tables import TABLES
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.aws.sessions import MakeSession
    from exporter.catalog.glue import GlueDatabase
    from exporter.catalog.hive import TableOutcome
    from exporter.catalog.outcome import Publication
    from exporter.lake.tables.table import Table
    from exporter.settings import Settings

    Sleep = Callable[[float], Awaitable[None]]
    #: What is done with one table.
    Work = Callable[[GlueDatabase, Table, str, Sleep], Awaitable[TableOutcome]]

# Two publishers that meet settle in two tries; more than a few means that something changes a table all the time.
_TRIES_MAX = 6
_WAIT_S_MAX = 0.5
_log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class HiveTableResult:
    """What became of a table in Glue; ``error`` where it could not be brought up to date, and then no ``outcome``."""

    name: str
    outcome: TableOutcome | None
    error: CatalogError | None = None


async def publish_hive_tables(settings: Settings, make_session: MakeSession | None, publication: Publication) -> None:
    """Bring the tables up to date where the settings want them, and note in ``publication`` what fails."""
    if settings.catalog.kind != "glue" or not settings.catalog.hive:
        return
    try:
        results = await keep_hive_tables(settings, make_session)
    except ExportError as error:
        publication.fail("hive", error)
        return
    for result in results:
        if result.error is not None:
            publication.fail(result.name, result.error)
        elif result.outcome != "unchanged":
            _log.info("a table for Athena's Hive reader", table=result.name, outcome=result.outcome)


async def dropped_hive_tables(settings: Settings, make_session: MakeSession | None) -> list[str]:
    """Take the entries of these tables away, and return the names of those that were there and ours.

    Raises what `drop_hive_tables` raises, and :class:`CatalogError` where one of ours is still there.
    """
    results = await drop_hive_tables(settings, make_session) if settings.catalog.kind == "glue" else ()
    for result in results:
        if result.error is not None and not isinstance(result.error, CatalogMismatch):
            raise result.error
    return [result.name.partition(".")[2] for result in results if result.outcome == "dropped"]


async def keep_hive_tables(
    settings: Settings, make_session: MakeSession | None, *, sleep: Sleep = asyncio.sleep
) -> tuple[HiveTableResult, ...]:
    """Bring the tables ``events_hive`` and so on up to date; make them, and their database, where they are missing.

    It is safe to repeat, and to do at the same time elsewhere. A table that can't be brought up to date holds no other
    up. There are none for a lake in a directory, which Athena can't read. ``make_session`` gives another session where
    the credentials of the one before have expired; None is the user's own. Raises :class:`CredentialsLost`, and
    :class:`UsageError` where there is no region or a wrong endpoint.
    """
    return await _for_each_table(settings, make_session, _keep, sleep)


async def drop_hive_tables(
    settings: Settings, make_session: MakeSession | None, *, sleep: Sleep = asyncio.sleep
) -> tuple[HiveTableResult, ...]:
    """Take the entries of these tables away where they are ours, and no file. Raises as `keep_hive_tables`."""
    return await _for_each_table(settings, make_session, _drop, sleep)


async def _for_each_table(
    settings: Settings, make_session: MakeSession | None, work: Work, sleep: Sleep
) -> tuple[HiveTableResult, ...]:
    if not is_on_s3(settings.lake):
        _log.info("no tables for Athena's Hive reader: the lake is not on S3", lake=settings.lake)
        return ()
    try:
        return await _with_session(settings, make_session, work, sleep)
    except CredentialsLost as error:
        if not error.is_expired:
            raise
    return await _with_session(settings, make_session, work, sleep)


async def _with_session(
    settings: Settings, make_session: MakeSession | None, work: Work, sleep: Sleep
) -> tuple[HiveTableResult, ...]:
    lake = settings.lake.rstrip("/")
    session = open_session() if make_session is None else open_session(make_session)
    async with open_glue(settings, session) as database:
        return tuple([await _result(database, table, lake, work, sleep) for table in TABLES])


async def _result(database: GlueDatabase, table: Table, lake: str, work: Work, sleep: Sleep) -> HiveTableResult:
    name = f"{database.name}.{hive_name(table)}"
    try:
        return HiveTableResult(name, await work(database, table, lake, sleep))
    except CatalogError as error:
        return HiveTableResult(name, None, error)


async def _keep(database: GlueDatabase, table: Table, lake: str, sleep: Sleep) -> TableOutcome:
    """Decide by what is there now, and decide anew where that has changed meanwhile."""
    name = hive_name(table)
    for number in range(_TRIES_MAX):
        found = await database.table(name)
        decision = decide(table, lake, found)
        if decision.table_input is None:
            return decision.outcome
        try:
            if found is None:
                await database.create(decision.table_input)
            else:
                await database.update(decision.table_input, found.get("VersionId"))
        except NotInGlue:
            if found is None:
                await _make_database(database)
        except GlueChanged:
            await sleep(random.uniform(0.0, _WAIT_S_MAX) * number)  # noqa: S311 - so that two do not meet again
        else:
            return decision.outcome
    raise GlueBusy(f"glue: {database.name}.{name} was changed by others each time that it was to be")


async def _make_database(database: GlueDatabase) -> None:
    try:
        await database.make()
    except GlueChanged:
        _log.info("another has just made the database", database=database.name)


async def _drop(database: GlueDatabase, table: Table, lake: str, _sleep: Sleep) -> TableOutcome:
    found = await database.table(hive_name(table))
    if found is None:
        return "unchanged"
    check_ours(found, lake)
    try:
        await database.delete(hive_name(table))
    except NotInGlue:
        return "unchanged"
    return "dropped"
