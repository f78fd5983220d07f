"""boto3 in a pool of threads, rows to Arrow, Arrow to files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.peers.task import CONCURRENCY, REGION, Files, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.task import Task, Unit


def pages(client: Any, unit: Unit) -> Iterator[list[dict[str, Any]]]:  # noqa: ANN401 - botocore has no types
    """The events of a unit, page by page, as botocore's parser gives them."""
    asked: dict[str, Any] = {**unit, "maxResults": 100}
    while True:
        page = client.list_participant_events(**asked)
        yield page["events"]
        if "nextToken" not in page:
            return
        asked["nextToken"] = page["nextToken"]


def make_client(url: str) -> Any:  # noqa: ANN401 - botocore has no types
    """A client that all threads share."""
    config = Config(max_pool_connections=CONCURRENCY)
    return boto3.client("ivs-realtime", region_name=REGION, endpoint_url=url, config=config)


def _export(told: Task) -> None:
    client, files, turn = make_client(told.url), Files(told.folder), Lock()

    def fetch(unit: Unit) -> None:
        for events in pages(client, unit):
            with turn:
                files.add(unit, events)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(fetch, told.units))
    files.flush()


if __name__ == "__main__":
    _export(task())
