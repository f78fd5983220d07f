"""Rows of the table ``stages``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.tables.stages import STAGES
from exporter.normalize.columns import flags, stage_columns, stamp_columns, text_maps, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.normalize.columns import Stamp
    from exporter.normalize.listed_model import ListedStage


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage as it is now; one that ``is_listed`` no more has the name and the tags that it had last."""

    stage: ListedStage
    is_listed: bool


def stage_rows(rows: Sequence[StageRow], stamp: Stamp) -> pa.RecordBatch:
    """Make rows of the table, in the compact form of :mod:`exporter.normalize.columns`, in the same order."""
    stages = [row.stage for row in rows]
    return pa.RecordBatch.from_pydict(
        {
            **stage_columns([stage.arn for stage in stages]),
            "stage_name": texts([stage.name for stage in stages]),
            "tags": text_maps([stage.tags for stage in stages], STAGES.schema.field("tags").type),
            "is_listed": flags([row.is_listed for row in rows]),
            "extra": texts([stage.extra for stage in stages]),
            **stamp_columns(stamp, len(rows)),
        }
    )
