"""Which event a row of the lake is, where its tokens do not show it: user ids or attributes were hidden. Pure.

An ``event_id`` is the hash of what AWS sent. A row's columns show what was written. So the events at hand are taken as
they would be written, too, and by that a row is known.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.lake.tables.events import EVENTS
from exporter.normalize.event_id import IDENTITY_COLUMNS, event_id, row_hashes

if TYPE_CHECKING:
    from exporter.normalize.numbering import LakeRow

# More equal events than that, of one instant, no participant has.
_NUMBERS_TRIED = 1_000


@dataclass(slots=True)
class HiddenIdentities:
    """The identities of a unit's events with tokens, by what their rows show of them."""

    _by_shown: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set), init=False)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take rows as they would be written, with the hash of what AWS sent as their ``event_id``."""
        has_token = pc.or_(pc.is_valid(rows.column("previous_token")), pc.is_valid(rows.column("new_token")))
        if not has_token.true_count:
            return
        with_token = rows.filter(has_token)
        columns = {name: _plain(with_token.column(name), EVENTS.schema.field(name).type) for name in IDENTITY_COLUMNS}
        shown = row_hashes(pa.RecordBatch.from_pydict(columns))
        for shown_hash, event_hash in zip(shown, with_token.column("event_id").to_pylist(), strict=True):
            self._by_shown[shown_hash].add(event_hash)

    def known(self, row: LakeRow) -> LakeRow:
        """Return a row of the lake with the identity of the event that it is; itself where it is none of these.

        Events that look the same may differ in what is hidden. So it is the one of them that the row's id is made of.
        """
        numbered = (
            event_hash
            for event_hash in sorted(self._by_shown.get(row.event_hash, ()))
            if any(event_id(event_hash, number) == row.event_id for number in range(_NUMBERS_TRIED))
        )
        return replace(row, event_hash=next(numbered, row.event_hash))


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column without a dictionary, in its table's type."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pa.nulls(len(column), kind) if pa.types.is_null(column.type) else column
