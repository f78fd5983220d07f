"""Many ISO 8601 times at once, to microseconds since the epoch, UTC: the same texts and numbers as `read_us`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.lake.tables.table import MICROS
from exporter.timestamps import FIRST_US, LAST_US, SHAPE, ZONE, read_us

if TYPE_CHECKING:
    from collections.abc import Sequence

# A date holds two hyphens, so a zone's sign is looked for after the hour.
_ZONED = f"[Tt ].*{ZONE}$"
_SAMPLE_LENGTH = 64


def read_column_us(texts: Sequence[str | None]) -> pa.Int64Array:
    """Many times in microseconds since the epoch; null where there is no text, or none that can be read."""
    column = pa.array(texts, pa.string())
    # Arrow takes its time over a column it can't read (it words an error for each text), so a few texts go first.
    micros = _cast(column) if _cast(column.slice(0, _SAMPLE_LENGTH)) is not None else None
    if micros is None:
        micros = _cast(_with_one_form(column))
    if micros is None:
        micros = pa.array([None if text is None else read_us(text) for text in texts], pa.int64())
    return micros


def _cast(column: pa.StringArray) -> pa.Int64Array | None:
    """The column as Arrow reads it, or None where it reads a text not at all or to a year out of range.

    What Arrow takes for a time in a zone is always one of the forms above.
    """
    try:
        micros = column.cast(MICROS).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    bounds = pc.min_max(micros).as_py()
    if bounds["min"] is None or FIRST_US <= bounds["min"] <= bounds["max"] <= LAST_US:
        return micros
    return None


def _with_one_form(column: pa.StringArray) -> pa.StringArray:
    """The column in the one form that Arrow reads: with a zone, with six digits at most; null where it is no time."""
    shaped = pc.fill_null(pc.match_substring_regex(column, f"^{SHAPE}$"), fill_value=False)
    column = pc.if_else(shaped, column, pa.scalar(None, pa.string()))
    column = pc.replace_substring_regex(column, r"(\.[0-9]{6})[0-9]+", r"\1")
    has_zone = pc.match_substring_regex(column, _ZONED)
    return pc.if_else(has_zone, column, pc.binary_join_element_wise(column, "Z", ""))
