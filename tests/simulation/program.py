"""The program while it is simulated: its bounds made small, and its log lines in the trace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exporter.catalog import changes
from exporter.commit_log import journal
from exporter.pipeline import budget, known_ids, listed_rows, writer
from tests.support.logs import logs_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.plan import Bounds


@contextmanager
def small_bounds(bounds: Bounds) -> Iterator[None]:
    """The program's own bounds, as a plan has them."""
    bounded: list[tuple[Any, str, object]] = [
        (budget, "_SIZE_BYTES", bounds.waiting_size_bytes),
        (budget, "_SIZE_BYTES_A_SCOPE", bounds.waiting_size_bytes),
        (known_ids.KnownIds.__init__, "__defaults__", (bounds.known_size_bytes,)),
        (writer, "_PIECE_SIZE_BYTES", bounds.piece_size_bytes),
        (writer, "_BATCH_SIZE_BYTES", bounds.batch_size_bytes),
        (listed_rows, "_ROWS_AT_ONCE", bounds.rows_at_once),
        (journal, "SNAPSHOT_RECORDS", bounds.snapshot_records),
        (changes, "LAG_RECORDS_MAX", bounds.lag_records),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in bounded]
    for module, name, value in bounded:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def logs_in(trace: Callable[[str, str, str, str], None]) -> Iterator[None]:
    """The program's log lines, in the trace."""
    with logs_to(lambda level, event, fields: trace("log", level, event, str(fields))):
        yield
