"""Rows that were removed from the lake on purpose are not brought back. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.partitions import dates_in, of_date
from exporter.model import Unit
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.tables.table import Table


def without_retired(
    table: Table, rows: pa.RecordBatch, sessions: Iterable[SessionProgress]
) -> tuple[pa.RecordBatch, Counter[Unit]]:
    """The rows but for those whose folder was removed on purpose with rows of their session; and how many those are.

    ``sessions`` are all that the rows are of.
    """
    retired = {
        progress.session.key: frozenset(progress.known.retired) for progress in sessions if progress.known.retired
    }
    left_out = Counter[Unit]()
    if not retired or not rows.num_rows:
        return rows, left_out
    kept: list[pa.RecordBatch] = []
    for day in dates_in(table, rows):
        of_day = of_date(table, rows, day)
        folder = _folder(table, day)
        names = (of_day.column(name).to_pylist() for name in ("stage_arn", "session_id", "participant_id"))
        units = [Unit(*unit) for unit in zip(*names, strict=True)]
        is_kept = [folder not in retired.get((unit.stage_arn, unit.session_id), ()) for unit in units]
        left_out.update(unit for unit, kept_one in zip(units, is_kept, strict=True) if not kept_one)
        kept.append(of_day.filter(pa.array(is_kept, pa.bool_())))
    return (pa.Table.from_batches(kept).combine_chunks().to_batches() or [rows.slice(0, 0)])[0], left_out


def is_retired(progress: SessionProgress, table: Table, exported_at_us: int) -> bool:
    """Whether the folder that a session's own row would lie in was removed on purpose with rows of it."""
    if not progress.known.retired:
        return False
    started_us = progress.session.started_us
    day = datetime.fromtimestamp((exported_at_us if started_us is None else started_us) // SECOND_US, UTC).date()
    return _folder(table, day) in progress.known.retired


def _folder(table: Table, day: date) -> str:
    return f"{table.name}/{table.date_key}={day.isoformat()}"
