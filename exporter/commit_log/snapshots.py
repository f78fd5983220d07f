"""A scope's state as a snapshot: JSON with a checksum of its own."""

from __future__ import annotations

import msgspec

from exporter.commit_log.layout import number_of
from exporter.commit_log.records import FORMAT_MAJOR, check_checksum, check_head, share_equal, with_checksum
from exporter.commit_log.state import ScopeState
from exporter.errors import LogDamaged
from exporter.json_errors import UNREADABLE


def encode_state(state: ScopeState) -> bytes:
    """The state as a snapshot holds it."""
    return with_checksum(msgspec.json.encode(state))


def decode_state(key: str, body: bytes) -> ScopeState | None:
    """The state in a snapshot; None for one of an earlier major version: nothing is built on that.

    Version 1 has no checksum, and neither of them says which sealed sessions lack rows of a table.

    Raises :class:`LakeTooNew` and :class:`LogDamaged` as `decode_record` does.
    """
    if check_head(key, body) < FORMAT_MAJOR:
        return None
    check_checksum(key, body)
    try:
        state = msgspec.json.decode(body, type=ScopeState)
    except UNREADABLE as error:
        raise LogDamaged(f"{key} is damaged: {error}") from error
    if state.number != number_of(key):
        raise LogDamaged(f"{key} is damaged: it holds the state after record {state.number}")
    share_equal(session.units for sessions in state.open.values() for session in sessions.values())
    return state
