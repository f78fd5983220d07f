"""The form of a world that somebody has written: a file's sections, and what each may hold.

Members are named as the API names them. What is left out and can be known from the rest is added by `world_file`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

#: A time that names its zone.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

# The members of GetStage, and of GetParticipant, that the lists do not show. Source: botocore's model.
STAGE_DETAILS = frozenset({"autoParticipantRecordingConfiguration", "endpoints"})
PARTICIPANT_DETAILS = frozenset(
    {"attributes", "ispName", "osName", "osVersion", "browserName", "browserVersion", "sdkVersion", "protocol"}
    | {"recordingS3BucketName", "recordingS3Prefix"}
)


class _Written(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """``extra`` holds members that AWS may add one day: they are shown beside the others, whatever they are."""

    extra: dict[str, Any] = {}


class WrittenToken(_Written):
    """A token's claims, as TOKEN_EXCHANGED shows them."""

    capabilities: list[str] | UnsetType = UNSET
    attributes: dict[str, str] | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    expiration_time: Moment | UnsetType = UNSET


class WrittenEvent(_Written):
    """An event of a participant; ``participant_id`` need not be named."""

    name: str
    event_time: Moment
    participant_id: str | UnsetType = UNSET
    remote_participant_id: str | UnsetType | None = UNSET
    error_code: str | UnsetType | None = UNSET
    destination_stage_arn: str | UnsetType | None = UNSET
    destination_session_id: str | UnsetType | None = UNSET
    replica: bool | UnsetType = UNSET
    previous_token: WrittenToken | UnsetType = UNSET
    new_token: WrittenToken | UnsetType = UNSET


class WrittenParticipant(_Written):
    """A participant of a session, with its events in the order in which they are listed."""

    participant_id: str
    user_id: str | UnsetType = UNSET
    state: Literal["CONNECTED", "DISCONNECTED"] | UnsetType = UNSET
    first_join_time: Moment | UnsetType = UNSET
    published: bool | UnsetType = UNSET
    recording_state: str | UnsetType = UNSET
    replication_type: Literal["SOURCE", "REPLICA", "NONE"] | UnsetType = UNSET
    replication_state: Literal["ACTIVE", "STOPPED"] | UnsetType = UNSET
    source_stage_arn: str | UnsetType = UNSET
    source_session_id: str | UnsetType = UNSET
    ingest_configuration_arn: str | UnsetType = UNSET
    redundant_ingest: bool | UnsetType = UNSET
    attributes: dict[str, str] | UnsetType = UNSET
    isp_name: str | UnsetType = UNSET
    os_name: str | UnsetType = UNSET
    os_version: str | UnsetType = UNSET
    browser_name: str | UnsetType = UNSET
    browser_version: str | UnsetType = UNSET
    sdk_version: str | UnsetType = UNSET
    protocol: str | UnsetType = UNSET
    recording_bucket: str | UnsetType = msgspec.field(default=UNSET, name="recordingS3BucketName")
    recording_prefix: str | UnsetType = msgspec.field(default=UNSET, name="recordingS3Prefix")
    events: list[WrittenEvent] = []


class WrittenSession(_Written):
    """A session of a stage; without an end it is active."""

    session_id: str
    start_time: Moment
    end_time: Moment | UnsetType = UNSET
    participants: list[WrittenParticipant] = []


class WrittenStage(_Written):
    """A stage. Its ARN says which account it is of, and in which region."""

    arn: str
    name: str | UnsetType = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    auto_participant_recording_configuration: dict[str, Any] | UnsetType = UNSET
    endpoints: dict[str, str] | UnsetType = UNSET
    sessions: list[WrittenSession] = []


class WrittenWorld(_Written):
    """All of a file."""

    stages: list[WrittenStage]


#: Every member that some section may have.
MEMBERS = frozenset(
    name
    for kind in (WrittenWorld, WrittenStage, WrittenSession, WrittenParticipant, WrittenEvent, WrittenToken)
    for name in kind.__struct_encode_fields__
)
