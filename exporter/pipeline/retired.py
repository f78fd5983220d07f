"""Rows that were removed from the lake on purpose are not brought back. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables.events import EVENTS
from exporter.model import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.commit_log.sealing import SessionProgress


def without_retired(rows: pa.RecordBatch, sessions: Iterable[SessionProgress]) -> tuple[pa.RecordBatch, Counter[Unit]]:
    """The rows but for those whose folder was removed on purpose with rows of their session; and how many those are.

    ``sessions`` are all that the rows are of.
    """
    retired = {tracked.session.key: frozenset(tracked.known.retired) for tracked in sessions if tracked.known.retired}
    left_out = Counter[Unit]()
    if not retired:
        return rows, left_out
    kept: list[pa.RecordBatch] = []
    for day in dates_in(EVENTS, rows):
        of_day = of_date(EVENTS, rows, day)
        folder = f"{EVENTS.name}/{EVENTS.date_key}={day.isoformat()}"
        names = (of_day.column(name).to_pylist() for name in ("stage_arn", "session_id", "participant_id"))
        units = [Unit(*unit) for unit in zip(*names, strict=True)]
        is_kept = [folder not in retired.get((unit.stage_arn, unit.session_id), ()) for unit in units]
        left_out.update(unit for unit, kept_one in zip(units, is_kept, strict=True) if not kept_one)
        kept.append(of_day.filter(pa.array(is_kept, pa.bool_())))
    return (pa.Table.from_batches(kept).combine_chunks().to_batches() or [rows.slice(0, 0)])[0], left_out
