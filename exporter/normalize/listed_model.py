"""What IVS lists, and what it says of one participant, as values. Pure.

Thousands wait in memory for a checkpoint, so they are small: texts that many items have are shared. In all of them
``extra`` is the text of a JSON object with what has no field: unknown members, and those that can't be read. Absent,
null and ``""`` are None. Times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

# All of these hold texts alone, which have no cycles: the garbage collector need not look at them.


class ListedStage(msgspec.Struct, frozen=True, gc=False):
    """A stage, as ListStages has it. ``tags`` is None where it has no such member, and may be empty."""

    arn: str
    name: str | None = None
    tags: Mapping[str, str] | None = None
    extra: str | None = None


class ListedSession(msgspec.Struct, frozen=True, gc=False):
    """A session, as ListStageSessions has it.

    ``ended_us`` is None while the session is active. It is None, too, where an end is there and is no time:
    ``unreadable_end`` is the end's text then, and None otherwise.
    """

    session_id: str
    started_us: int | None = None
    ended_us: int | None = None
    unreadable_end: str | None = None
    extra: str | None = None


class ListedParticipant(msgspec.Struct, frozen=True, gc=False):
    """A participant, as ListParticipants has it; GetParticipant has the same members among others."""

    participant_id: str
    user_id: str | None = None
    first_join_us: int | None = None
    published: bool | None = None
    recording_state: str | None = None
    replication_type: str | None = None
    replication_state: str | None = None
    source_stage_arn: str | None = None
    source_session_id: str | None = None
    ingest_configuration_arn: str | None = None
    redundant_ingest: bool | None = None
    attributes: Mapping[str, str] | None = None
    extra: str | None = None


class ParticipantDetails(msgspec.Struct, frozen=True, gc=False):
    """What GetParticipant has beside what is listed; unknown members of its answer are in ``extra`` here."""

    attributes: Mapping[str, str] | None = None
    isp_name: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    browser_name: str | None = None
    browser_version: str | None = None
    sdk_version: str | None = None
    protocol: str | None = None
    recording_s3_bucket: str | None = None
    recording_s3_prefix: str | None = None
    extra: str | None = None


class DescribedParticipant(msgspec.Struct, frozen=True, gc=False):
    """A participant, as GetParticipant answers: what is listed of it, and the rest."""

    listed: ListedParticipant
    details: ParticipantDetails


Item = TypeVar("Item", ListedStage, ListedSession, ListedParticipant, DescribedParticipant)


@dataclass(slots=True)
class ListedItems(Generic[Item]):
    """The items of a page in their order, without those that ``flaws`` say are none.

    ``unknown_fields`` are the names that this program does not know, as often as they came.
    """

    items: list[Item] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    unknown_fields: list[str] = field(default_factory=list)
