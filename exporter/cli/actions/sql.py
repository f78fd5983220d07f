"""What ``sql`` prints: the views' statements, for the tables that a lake has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli import exit_codes
from exporter.cli.own_session import own_session
from exporter.errors import UsageError
from exporter.lake.identity import check_is_lake
from exporter.lake.stores.open import open_store
from exporter.query.own_files import is_of_table
from exporter.views.statements import TABLES, Dates, script, statements

if TYPE_CHECKING:
    from datetime import datetime

    from exporter.cli.invocation import Invocation
    from exporter.settings import Settings


def print_sql(
    invocation: Invocation, settings: Settings, engine: str, since: datetime | None, until: datetime | None
) -> int:
    """Carry out ``ivs-export sql``. Raises :class:`LakeError`, and :class:`UsageError` for dates that are none."""
    dates = dates_between(since, until)
    tables = asyncio.run(tables_of(settings))
    database = settings.catalog.database if settings.catalog.kind == "glue" else None
    invocation.say(script(statements(engine, absolute(settings.lake), dates, tables, database=database)))
    return exit_codes.OK


def dates_between(since: datetime | None, until: datetime | None) -> Dates:
    """The range between two dates as they are typed. Raises :class:`UsageError` where there is none between them."""
    dates = Dates(None if since is None else since.date(), None if until is None else until.date())
    if dates.since is not None and dates.until is not None and dates.until <= dates.since:
        raise UsageError(f"--until {dates.until} is not after --since {dates.since}")
    return dates


def absolute(lake: str) -> str:
    """The lake's place as any program finds it, wherever it is started."""
    return lake if lake.startswith("s3://") else str(Path(lake).resolve())


async def tables_of(settings: Settings) -> set[str]:
    """The tables that have files in the lake, with a log or without. Raises :class:`LakeError` where it is none."""
    async with open_store(settings.lake, own_session, settings.s3) as store:
        tables = {table for table in TABLES if any(is_of_table(table, key) for key in await store.keys(f"{table}/"))}
        if not tables:
            await check_is_lake(store, settings.lake)
    return tables
