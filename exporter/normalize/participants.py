"""Rows of the table ``participants``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.tables.participants import PARTICIPANTS
from exporter.normalize.columns import (
    dictionary,
    flags,
    shared_times,
    stage_columns,
    stamp_columns,
    text_maps,
    texts,
    times,
)
from exporter.normalize.listed_model import ParticipantDetails
from exporter.normalize.members import merged_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Session
    from exporter.normalize.columns import Stamp
    from exporter.normalize.listed_model import ListedParticipant

_FETCHED = "fetched"
_NONE = ParticipantDetails()


class NoDetails(StrEnum):
    """Why a row has no details, as its column ``details`` says. Where it has some, that says ``fetched``."""

    OFF = "off"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A participant of a session as it is now.

    ``is_final`` says that it was listed by an answer from after the session's end and the grace time.
    """

    session: Session
    listed: ListedParticipant
    details: ParticipantDetails | NoDetails
    is_final: bool


def participant_rows(rows: Sequence[ParticipantRow], stamp: Stamp) -> pa.RecordBatch:
    """Make rows of the table, in the compact form of :mod:`exporter.normalize.columns`, in the same order."""
    sessions = [row.session for row in rows]
    return pa.RecordBatch.from_pydict(
        {
            **stage_columns([session.stage_arn for session in sessions]),
            "session_id": dictionary([session.session_id for session in sessions]),
            "session_start": shared_times([session.started_us for session in sessions]),
            **_listed_columns([row.listed for row in rows]),
            **_details_columns(rows),
            "is_final": flags([row.is_final for row in rows]),
            **stamp_columns(stamp, len(rows)),
        }
    ).select(PARTICIPANTS.schema.names)


def _listed_columns(listed: Sequence[ListedParticipant]) -> dict[str, pa.Array]:
    return {
        "participant_id": dictionary([item.participant_id for item in listed]),
        "user_id": texts([item.user_id for item in listed]),
        "first_join_time": times([item.first_join_us for item in listed]),
        "published": flags([item.published for item in listed]),
        "recording_state": texts([item.recording_state for item in listed]),
        "replication_type": texts([item.replication_type for item in listed]),
        "replication_state": texts([item.replication_state for item in listed]),
        "source_stage_arn": texts([item.source_stage_arn for item in listed]),
        "source_session_id": texts([item.source_session_id for item in listed]),
        "ingest_configuration_arn": texts([item.ingest_configuration_arn for item in listed]),
        "redundant_ingest": flags([item.redundant_ingest for item in listed]),
    }


def _details_columns(rows: Sequence[ParticipantRow]) -> dict[str, pa.Array]:
    details = [row.details if isinstance(row.details, ParticipantDetails) else _NONE for row in rows]
    return {
        "attributes": text_maps(
            [
                row.listed.attributes if own.attributes is None else own.attributes
                for row, own in zip(rows, details, strict=True)
            ],
            PARTICIPANTS.schema.field("attributes").type,
        ),
        "isp_name": texts([own.isp_name for own in details]),
        "os_name": texts([own.os_name for own in details]),
        "os_version": texts([own.os_version for own in details]),
        "browser_name": texts([own.browser_name for own in details]),
        "browser_version": texts([own.browser_version for own in details]),
        "sdk_version": texts([own.sdk_version for own in details]),
        "protocol": texts([own.protocol for own in details]),
        "recording_s3_bucket": texts([own.recording_s3_bucket for own in details]),
        "recording_s3_prefix": texts([own.recording_s3_prefix for own in details]),
        "details": texts([row.details.value if isinstance(row.details, NoDetails) else _FETCHED for row in rows]),
        "extra": texts([merged_extra(row.listed.extra, own.extra) for row, own in zip(rows, details, strict=True)]),
    }
