"""Rows of a folder whose ids stand twice: which are taken out, and which are numbered anew. Pure.

Rows that are equal in all but who wrote them and when are one event, which was written twice: the first stays. Rows of
one id that differ in anything else may be two events: all stay, and each gets an id of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from exporter.normalize.event_id import event_id, row_hashes
from exporter.timestamps import EPOCH, MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from exporter.model import SessionKey

# Only events have ids that can be made anew.
_ID = "event_id"
#: More equal events than that, of one instant, no participant has.
_NUMBERS_TRIED = 1_000
_ROWS_AT_ONCE = 10_000

UnitKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, order=True)
class RepeatedRow:
    """Where a row with an id that stands twice is, the one written first being the least.

    ``form`` is a hash of what it says, but for its id and for who wrote it when.
    """

    exported_us: int
    key: str
    index: int
    unit: UnitKey = field(compare=False)
    row_id: int = field(compare=False)
    form: int = field(compare=False)


@dataclass(slots=True)
class Rewrite:
    """What becomes of the rows of a folder, by file and by their index in it.

    ``dropped`` are taken out, and ``ids`` are the new ids of others. ``sessions`` are those in which rows are numbered
    anew: whether they are one event or two, only the API can say.
    """

    dropped: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    ids: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    sessions: set[SessionKey] = field(default_factory=set)

    @property
    def files(self) -> list[str]:
        """The files that are written anew."""
        return sorted(self.dropped.keys() | self.ids.keys())

    def rows_of(self, key: str, rows: pa.Table) -> pa.Table:
        """What is left of a file's rows."""
        ids, dropped = rows.column(_ID).to_pylist(), self.dropped[key]
        for index, new in self.ids[key].items():
            ids[index] = new
        changed = rows.set_column(rows.schema.get_field_index(_ID), rows.schema.field(_ID), pa.array(ids, pa.int64()))
        return changed.filter(pa.array([index not in dropped for index in range(rows.num_rows)], pa.bool_()))

    def number_anew(self, row: RepeatedRow, rows: pa.Table, taken: set[int]) -> None:
        """Give a row, of its file's ``rows``, the lowest number of its event that is not among the ids ``taken``."""
        event_hash = hash_of(row.row_id, rows.slice(row.index, 1))
        new = next(each for number in count() if (each := event_id(event_hash, number)) not in taken)
        taken.add(new)
        self.ids[row.key][row.index] = new
        self.sessions.add(row.unit[:2])


def rows_in(key: str, rows: pa.Table, twice: pa.Int64Array) -> list[RepeatedRow]:
    """The rows of a file whose ids are among ``twice``."""
    found: list[RepeatedRow] = []
    placed = rows.append_column("_index", pa.array(range(rows.num_rows), pa.int64()))
    for batch in placed.filter(pc.is_in(placed.column(_ID), value_set=twice)).to_batches(max_chunksize=_ROWS_AT_ONCE):
        for columns in batch.to_pylist():
            index, row_id, exported_at = columns.pop("_index"), columns.pop(_ID), columns.pop("exported_at")
            columns.pop("run_id")
            form = xxh3_64_intdigest(msgspec.json.encode({name: _sorted(value) for name, value in columns.items()}))
            unit = (columns["stage_arn"], columns["session_id"], columns["participant_id"])
            found.append(RepeatedRow(_micros(exported_at) or 0, key, index, unit, row_id, form))
    return found


def sort_out(rows: Iterable[RepeatedRow]) -> tuple[Rewrite, list[RepeatedRow]]:
    """What is taken out, of rows whose ids stand twice; and those that stay and need another id, in their order."""
    groups: defaultdict[tuple[UnitKey, int], list[RepeatedRow]] = defaultdict(list)
    for row in rows:
        groups[row.unit, row.row_id].append(row)
    rewrite, others = Rewrite(), list[RepeatedRow]()
    for equals in groups.values():
        forms: set[int] = set()
        for row in sorted(equals):
            if row.form in forms:
                rewrite.dropped[row.key].add(row.index)
            elif forms:
                others.append(row)
            forms.add(row.form)
    return rewrite, others


def hash_of(row_id: int, row: pa.Table) -> int:
    """The hash of the identity fields of one row, by which it is numbered.

    Where the row does not show it (a user id may have been hashed before it was written), the row counts as number 0.
    """
    [found] = row_hashes(row.combine_chunks().to_batches()[0])
    return found if any(event_id(found, number) == row_id for number in range(_NUMBERS_TRIED)) else row_id


def _sorted(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """A value whose map is in order."""
    if isinstance(value, dict) and value.get("attributes"):
        return {**value, "attributes": sorted(value["attributes"])}
    return value


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // MICROSECOND
