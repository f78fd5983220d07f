"""aioboto3 as its manual shows it: a client, pages by ``nextToken``, rows to Arrow, Arrow to files.

``--iso`` before the other arguments has times read by ``datetime.fromisoformat`` in place of botocore's own way, which
spends most of the time on them.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aioboto3
from aiobotocore.config import AioConfig

from benchmarks.peers.task import CONCURRENCY, REGION, Files, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.task import Task, Unit


async def _export(told: Task, *, is_iso: bool) -> None:
    session = aioboto3.Session()
    if is_iso:
        parsers = session._session.get_component("response_parser_factory")  # noqa: SLF001 - there is no other way
        parsers.set_parser_defaults(timestamp_parser=datetime.fromisoformat)
    config = AioConfig(max_pool_connections=CONCURRENCY)
    files, units = Files(told.folder), iter(told.units)
    service = session.client("ivs-realtime", region_name=REGION, endpoint_url=told.url, config=config)
    async with service as client, asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(_work(client, units, files))
    files.flush()


async def _work(client: Any, units: Iterator[Unit], files: Files) -> None:  # noqa: ANN401 - botocore has no types
    for unit in units:
        asked: dict[str, Any] = {**unit, "maxResults": 100}
        while True:
            page = await client.list_participant_events(**asked)
            files.add(unit, page["events"])
            if "nextToken" not in page:
                break
            asked["nextToken"] = page["nextToken"]


if __name__ == "__main__":
    _is_iso = "--iso" in sys.argv
    if _is_iso:
        sys.argv.remove("--iso")
    asyncio.run(_export(task(), is_iso=_is_iso))
