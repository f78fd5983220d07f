"""Normalize: from the raw pages of many units to rows of the table ``events``.

All is done for many units at once, since one call to Arrow costs as much as dozens of events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.errors import EventUndated, EventUnreadable, TemporaryFolderRefused
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.table import MICROS
from exporter.normalize.columns import dictionary, stage_columns, stamp_columns, texts
from exporter.normalize.event_id import fields_of, hashes
from exporter.normalize.hashed_pages import decoded_of
from exporter.normalize.privacy import KEEP_ALL, private_token
from exporter.normalize.time_columns import read_column_us
from exporter.normalize.unit_slices import UnitSlices
from exporter.text import undated as undated_words
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import FetchedUnit, Unit
    from exporter.normalize.columns import Stamp
    from exporter.normalize.event_model import Decoded, Token
    from exporter.normalize.privacy import Privacy

    #: Why a unit gives no rows.
    Unreadable = EventUnreadable | TemporaryFolderRefused


@dataclass(frozen=True, slots=True)
class EventRows:
    """Rows of the table ``events``, of some units.

    ``rows`` has the table's columns in the compact form of :mod:`exporter.normalize.columns`; in place of an
    ``event_id`` stands the hash of the event's identity as AWS sent it, which is the id of the first of equal events.
    ``slices`` has all units in the order in which they came, those without rows too: they have no events or are among
    the ``unreadable``. ``unknown_fields`` counts the names that this program does not know.
    """

    rows: pa.RecordBatch
    slices: UnitSlices
    unreadable: dict[Unit, Unreadable]
    unknown_fields: Counter[str]


def event_rows(fetched: Sequence[FetchedUnit], stamp: Stamp, privacy: Privacy = KEEP_ALL) -> EventRows:
    """Make the rows of units that were fetched whole, with no more of users than ``privacy`` lets be written.

    A unit with an event that can't be read or dated, or with pages that can't be read back, has no row and is named
    in ``unreadable`` (as :class:`EventUndated` where no more than that is wrong: its other events can be taken without
    those). The others are not touched by it. Raises :class:`ValueError` where a unit comes twice, since its equal
    events could not be numbered.
    """
    decoded, unreadable = _decode(fetched)
    slices = _slices_of(decoded)
    times_us = _times_us(decoded)
    if times_us.null_count:
        undated = _undated(slices, times_us)
        decoded = {unit: events for unit, events in decoded.items() if unit not in undated}
        unreadable |= undated
        slices = _slices_of(decoded)
        times_us = _times_us(decoded)
    events = [event for of_unit in decoded.values() for event in of_unit.events]
    fields = fields_of(events, times_us.to_pylist())
    columns = {
        "event_id": pa.array(hashes(slices, fields), pa.int64()),
        "event_time": times_us.view(MICROS),
        "event_name": texts(fields.names),
        **_unit_columns(slices),
        "remote_participant_id": texts(fields.remote_participant_ids),
        "error_code": texts(fields.error_codes),
        "destination_stage_arn": texts(fields.destinations.stage_arns),
        "destination_session_id": texts(fields.destinations.session_ids),
        "replica": pa.array(fields.replicas, pa.bool_()),
        "previous_token": _tokens(fields.tokens.previous, "previous_token", privacy),
        "new_token": _tokens(fields.tokens.new, "new_token", privacy),
        "extra": texts(_extras(slices, decoded, privacy)),
        **stamp_columns(stamp, len(events)),
    }
    return EventRows(
        rows=pa.RecordBatch.from_pydict(columns).select(EVENTS.schema.names),
        slices=slices.among([unit.unit for unit in fetched]) if unreadable else slices,
        unreadable=unreadable,
        unknown_fields=Counter(name for of_unit in decoded.values() for name in of_unit.unknown_fields),
    )


def _decode(fetched: Sequence[FetchedUnit]) -> tuple[dict[Unit, Decoded], dict[Unit, Unreadable]]:
    decoded: dict[Unit, Decoded] = {}
    unreadable: dict[Unit, Unreadable] = {}
    for unit in fetched:
        try:
            decoded[unit.unit] = decoded_of(unit)
        except (EventUnreadable, TemporaryFolderRefused) as error:
            # Another one: what was raised holds on to this frame, and to all that was decoded in it.
            unreadable[unit.unit] = type(error)(str(error))
    if len(decoded) + len(unreadable) < len(fetched):
        raise ValueError("a unit came twice")
    return decoded, unreadable


def _times_us(decoded: Mapping[Unit, Decoded]) -> pa.Int64Array:
    return read_column_us([event.event_time or None for of_unit in decoded.values() for event in of_unit.events])


def _slices_of(decoded: Mapping[Unit, Decoded]) -> UnitSlices:
    return UnitSlices.of((unit, len(of_unit.events)) for unit, of_unit in decoded.items())


def _undated(slices: UnitSlices, times_us: pa.Int64Array) -> dict[Unit, EventUndated]:
    """The units that have an event without a time that can be read, and why they have no rows."""
    return {
        unit: EventUndated(undated_words(times.null_count, len(times)))
        for unit, times in slices.of_column(times_us)
        if times.null_count
    }


def _unit_columns(slices: UnitSlices) -> dict[str, pa.DictionaryArray]:
    columns = {
        **stage_columns([unit.stage_arn for unit in slices.units]),
        "session_id": dictionary([unit.session_id for unit in slices.units]),
        "participant_id": dictionary([unit.participant_id for unit in slices.units]),
    }
    of_units = pa.RecordBatch.from_pydict(columns)
    return dict(zip(columns, of_units.take(slices.unit_of_row()).columns, strict=True))


def _tokens(tokens: list[Token | None], column: str, privacy: Privacy) -> pa.DictionaryArray | pa.NullArray:
    """Tokens as a dictionary: they are rare, and a struct would take its room in every row."""
    if not any(tokens):
        return pa.nulls(len(tokens))
    index = count()
    indices = pa.array([None if token is None else next(index) for token in tokens], pa.int32())
    rows = [
        {
            "capabilities": token.capabilities or ([] if token.capabilities == [] else None),
            "attributes": list(token.attributes.items()) if isinstance(token.attributes, dict) else None,
            "user_id": token.user_id or None,
            "expiration_time": read_us(token.expiration_time) if token.expiration_time else None,
        }
        for token in (private_token(privacy, token) for token in tokens if token is not None)
    ]
    return pa.DictionaryArray.from_arrays(indices, pa.array(rows, EVENTS.schema.field(column).type))


def _extras(slices: UnitSlices, decoded: Mapping[Unit, Decoded], privacy: Privacy) -> list[str | None]:
    extras: list[str | None] = [None] * slices.row_count
    for unit, rows in slices:
        for index, extra in decoded[unit].extras.items():
            extras[rows[index]] = privacy.extra_of(extra)
    return extras
