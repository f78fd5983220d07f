"""Lakes that earlier programs wrote, with logs of versions 1 and 2: they are published as any other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.commit_log.reader import records_after
from exporter.lake.tables import TABLES
from tests.support.catalogs import in_order, plain_rows
from tests.support.runs import export
from tests.support.service import DAY_US, SCOPE, Service

if TYPE_CHECKING:
    from tests.support.catalogs import CatalogLake

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(("lake", "major"), [("log-ahead", 1), ("lake-before-tables", 2)])
async def test_a_log_of_an_earlier_version_is_published_and_gone_on_with(
    sql_lake: CatalogLake, lake: str, major: int
) -> None:
    """Its rows are those of the plain lake, and so are they once today's program has written more."""
    shutil.copytree(DATA / lake, sql_lake.address)
    async with sql_lake.store() as store:
        assert {record.major async for record in records_after(store, SCOPE)} == {major}
        published = await sql_lake.publish(store)
        assert (published.outcome, published.behind) == ("complete", 0)
        old = in_order(sql_lake.rows("events"))
        assert old == in_order(await plain_rows(store, "events")) != []

        service = Service()
        service.now_us += 7 * DAY_US
        service.add("st-new", events={"p1": 2})
        await export(service, store, "new")
        assert {record.major async for record in records_after(store, SCOPE)} == {major, 3}
        published = await sql_lake.publish(store)
        assert (published.outcome, published.behind) == ("complete", 0)
        for table in TABLES:
            rows = in_order(sql_lake.rows(table.name))
            assert rows == in_order(await plain_rows(store, table.name)) != []
        assert len(sql_lake.rows("events")) > len(old)
