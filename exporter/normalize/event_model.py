"""The events of a page as types, under the names that IVS gives. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, UnsetType

# Both structs hold only what JSON gave, which has no cycles: the garbage collector need not look at them.


class Token(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A participant token, before or after an exchange. Source: Amazon IVS Real-Time API Reference, Event."""

    capabilities: list[str] | UnsetType | None = UNSET
    attributes: dict[str, str] | UnsetType | None = UNSET
    user_id: str | UnsetType | None = UNSET
    expiration_time: str | UnsetType | None = UNSET


class Event(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """One event under the names that IVS gives; a member that is absent is UNSET, and equals null and ``""``."""

    name: str | UnsetType | None = UNSET
    participant_id: str | UnsetType | None = UNSET
    event_time: str | UnsetType | None = UNSET
    remote_participant_id: str | UnsetType | None = UNSET
    error_code: str | UnsetType | None = UNSET
    destination_stage_arn: str | UnsetType | None = UNSET
    destination_session_id: str | UnsetType | None = UNSET
    replica: bool | UnsetType | None = UNSET
    previous_token: Token | UnsetType | None = UNSET
    new_token: Token | UnsetType | None = UNSET


@dataclass(slots=True)
class Decoded:
    """The events of some pages of one unit, in order.

    ``extras`` holds, by an event's index among ``events``, the JSON text of what has no column. ``unknown_fields`` are
    the names in it that this program does not know, repeated as often as they came.
    """

    events: list[Event] = field(default_factory=list)
    extras: dict[int, str] = field(default_factory=dict)
    unknown_fields: list[str] = field(default_factory=list)
