"""An event's identity: a 64-bit number that depends on what the event says, not on when, how or in which order it came.

The algorithm is part of the lake's format, version 1. It is written down, with test vectors, in ``docs/event-id.md``,
and never changes for the rows of that version.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from struct import Struct
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from msgspec import UNSET
from xxhash import xxh3_64_intdigest

from exporter.model import Unit
from exporter.normalize.event_model import Token
from exporter.normalize.time_columns import read_column_us
from exporter.normalize.unit_slices import UnitSlices
from exporter.timestamps import read_us, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.normalize.event_model import Event

#: The columns of the table ``events`` that an identity is made of.
IDENTITY_COLUMNS = (
    "stage_arn",
    "session_id",
    "participant_id",
    "event_name",
    "event_time",
    "remote_participant_id",
    "error_code",
    "destination_stage_arn",
    "destination_session_id",
    "replica",
    "previous_token",
    "new_token",
)

_SIGN = 1 << 63
_hash_and_number = Struct("<qQ")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Destinations:
    """The stage and session that events of a replication name: a list a field, None where a field is absent."""

    stage_arns: list[str | None]
    session_ids: list[str | None]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens before and after an exchange: a list a field, None where a token is absent."""

    previous: list[Token | None]
    new: list[Token | None]


@dataclass(frozen=True, slots=True)
class IdentityFields:
    """The identity fields of many events: a list a field, all equally long; None where a field is absent."""

    names: list[str | None]
    times_us: list[int | None]
    remote_participant_ids: list[str | None]
    error_codes: list[str | None]
    destinations: Destinations
    replicas: list[bool | None]
    tokens: Tokens


def fields_of(events: Sequence[Event], times_us: list[int | None]) -> IdentityFields:
    """The identity fields of decoded events, whose times have been read already."""
    return IdentityFields(
        names=[event.name or None for event in events],
        times_us=times_us,
        remote_participant_ids=[event.remote_participant_id or None for event in events],
        error_codes=[event.error_code or None for event in events],
        destinations=Destinations(
            stage_arns=[event.destination_stage_arn or None for event in events],
            session_ids=[event.destination_session_id or None for event in events],
        ),
        replicas=[None if (replica := event.replica) is UNSET else replica for event in events],
        tokens=Tokens(
            previous=[event.previous_token or None for event in events],
            new=[event.new_token or None for event in events],
        ),
    )


def hashes(slices: UnitSlices, fields: IdentityFields) -> list[int]:
    """Hash the identity of each event: a signed 64-bit integer, the ``event_id`` of the first of equal events.

    ``fields`` are those of the units' events, in the order of ``slices``.
    """
    # A unit's three values are written once, and stand in the array of each of its events as they are.
    keys = (
        msgspec.Raw(_encoder.encode((unit.stage_arn, unit.session_id, unit.participant_id))[1:-1])
        for unit in slices.units
    )
    # A line a text: inside JSON strings line breaks are escaped.
    texts = _encoder.encode_lines(
        zip(
            slices.per_row(keys),
            fields.names,
            fields.times_us,
            fields.remote_participant_ids,
            fields.error_codes,
            fields.destinations.stage_arns,
            fields.destinations.session_ids,
            fields.replicas,
            _token_forms(fields.tokens.previous),
            _token_forms(fields.tokens.new),
            strict=True,
        )
    ).splitlines()
    signed: list[int] = pa.array(map(xxh3_64_intdigest, texts), pa.uint64()).view(pa.int64()).to_pylist()
    return signed


def hash_column(unit: Unit, events: Sequence[Event]) -> pa.Int64Array:
    """Hash decoded events of one unit. One without a readable time has a hash as if its time were absent."""
    times_us = read_column_us([event.event_time or None for event in events]).to_pylist()
    return pa.array(hashes(UnitSlices.of([(unit, len(events))]), fields_of(events, times_us)), pa.int64())


def row_hashes(rows: pa.RecordBatch) -> list[int]:
    """Hash rows of the table ``events`` anew from their columns; the rows' own ids do not matter."""
    columns = {
        name: rows.column(name).to_pylist() for name in IDENTITY_COLUMNS if "_time" not in name and "_token" not in name
    }
    keys = zip(columns["stage_arn"], columns["session_id"], columns["participant_id"], strict=True)
    fields = IdentityFields(
        names=columns["event_name"],
        times_us=rows.column("event_time").cast(pa.int64()).to_pylist(),
        remote_participant_ids=columns["remote_participant_id"],
        error_codes=columns["error_code"],
        destinations=Destinations(columns["destination_stage_arn"], columns["destination_session_id"]),
        replicas=columns["replica"],
        tokens=Tokens(
            previous=[_token_of(value) for value in rows.column("previous_token")],
            new=[_token_of(value) for value in rows.column("new_token")],
        ),
    )
    return hashes(UnitSlices.of((Unit(*key), len(list(of_unit))) for key, of_unit in groupby(keys)), fields)


def event_id(event_hash: int, number: int) -> int:
    """The ``event_id`` of the event that has ``number`` (0, 1, …) among its unit's equal ones."""
    if number == 0:
        return event_hash
    return _signed(xxh3_64_intdigest(_hash_and_number.pack(event_hash, number)))


def _token_forms(tokens: list[Token | None]) -> Iterable[object]:
    # Tokens are rare: no call for the others.
    return [None if token is None else _token_form(token) for token in tokens] if any(tokens) else tokens


def _token_form(token: Token) -> object:
    """A token as its identity has it. An empty token equals no token."""
    capabilities = sorted(token.capabilities or ())
    attributes = sorted((token.attributes or {}).items())
    user_id = token.user_id or None
    expires_us = read_us(token.expiration_time) if token.expiration_time else None
    if not capabilities and not attributes and user_id is None and expires_us is None:
        return None
    return (capabilities, attributes, user_id, expires_us)


def _token_of(value: pa.StructScalar) -> Token | None:
    """A token as a row has it."""
    if not value.is_valid:
        return None
    expires_us = value["expiration_time"].cast(pa.int64()).as_py()
    return Token(
        value["capabilities"].as_py(),
        dict(value["attributes"].as_py() or ()),
        value["user_id"].as_py(),
        None if expires_us is None else text_of(expires_us),
    )


def _signed(digest: int) -> int:
    return digest - 2 * _SIGN if digest >= _SIGN else digest
