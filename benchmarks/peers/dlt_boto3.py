"""dlt as its manual shows it: a resource of units, a parallel transformer with boto3, Parquet files in a directory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import dlt

from benchmarks.peers.boto3_threads import make_client, pages
from benchmarks.peers.task import CONCURRENCY, task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.peers.task import Task, Unit


def run(told: Task, pages_of: Callable[[Unit], Iterator[list[dict[str, Any]]]]) -> None:
    """Load the events of all units, which ``pages_of`` gives page by page."""
    dlt.config["extract.workers"] = CONCURRENCY
    dlt.config["runtime.dlthub_telemetry"] = False

    @dlt.resource  # type: ignore[untyped-decorator] # it is Any to the type checker
    def units() -> Iterator[Unit]:
        yield from told.units

    @dlt.transformer(data_from=units, name="events", parallelized=True)  # type: ignore[untyped-decorator] # the same
    def events(unit: Unit) -> Iterator[list[dict[str, Any]]]:
        for page in pages_of(unit):
            yield [{**unit, **event} for event in page]

    pipeline = dlt.pipeline(
        "ivs",
        pipelines_dir=str(told.folder / "pipelines"),
        destination=dlt.destinations.filesystem(told.folder.as_uri()),
        dataset_name="lake",
    )
    pipeline.run(events, loader_file_format="parquet")


if __name__ == "__main__":
    _told = task()
    run(_told, partial(pages, make_client(_told.url)))
