"""Publishers that race and die beside a writer, on whatever kind of catalog."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from exporter.catalog.publish import Publisher
from exporter.lake.tables import TABLES
from tests.support.catalogs import in_order, plain_rows
from tests.support.runs import export
from tests.support.service import Service

if TYPE_CHECKING:
    from tests.support.catalogs import CatalogLake

PUBLISHERS = 3
DEATHS = 0.12


class Died(BaseException):
    """A publisher is gone, in the midst of what it did."""


def mortal(catalog: Any, chance: random.Random, deaths: Counter[str]) -> None:
    """Let commits be the last thing that their process does, before or after they are made."""
    commit_table = catalog.commit_table

    def dying(*given: Any) -> Any:
        for moment in ("before", "after"):
            if chance.random() < DEATHS:
                if moment == "after":
                    commit_table(*given)
                deaths[moment] += 1
                raise Died
        return commit_table(*given)

    catalog.commit_table = dying


async def race_and_die(lake: CatalogLake) -> None:
    """They publish while a writer writes, each again as soon as it is dead; one that lives finds what is left."""
    seed = random.randrange(1 << 30)
    print("seed", seed)  # noqa: T201 - shown where the test fails
    service, deaths, is_over = Service(), Counter[str](), asyncio.Event()
    async with lake.store() as store:
        await export(service, store, "r0")

        async def write() -> None:
            for number in range(4):
                service.add(f"st-{number}", events={f"p{unit}": 2 for unit in range(2)})
                await export(service, store, f"r{number + 1}")
            is_over.set()

        async def publish_on(name: int) -> None:
            for life in count():
                with suppress(Died):
                    async with lake.opened(store) as opened:
                        mortal(opened.tables.catalog, random.Random(f"{seed}-{name}-{life}"), deaths)
                        while not is_over.is_set():
                            await Publisher(opened).publish()
                        return

        await asyncio.gather(write(), *map(publish_on, range(PUBLISHERS)))
        last = await lake.publish(store)
        assert (last.outcome, last.behind, last.failures) == ("complete", 0, [])
        for table in TABLES:
            assert in_order(lake.rows(table.name)) == in_order(await plain_rows(store, table.name)), (seed, deaths)
