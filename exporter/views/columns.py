"""The columns of the lake's tables, in the words of SQL: what an engine has to know where no file says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTED = "stage_arn text, account_id text, region text"
_WRITTEN = "extra text, run_id text, exported_at time"


def _columns(*parts: str) -> dict[str, str]:
    pairs = (part.split() for part in ", ".join(parts).split(", "))
    return {name: kind for name, kind in pairs}  # noqa: C416 - a pair of each list


#: Each table's columns in their order, with their kinds, and the date that its folders are named by.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "events": _columns(
        "event_id int, event_time time, event_name text, account_id text, region text, stage_arn text, session_id text",
        "participant_id text, remote_participant_id text, error_code text, destination_stage_arn text",
        "destination_session_id text, replica bool, previous_token token, new_token token",
        _WRITTEN,
    ),
    "stages": _columns(_LISTED, "stage_name text, tags map, is_listed bool", _WRITTEN),
    "sessions": _columns(
        _LISTED,
        "session_id text, session_start time, session_end time, stage_name text, stage_tags map",
        "participant_count int, event_count int, abandoned_count int, is_complete bool, is_final bool",
        _WRITTEN,
    ),
    "participants": _columns(
        _LISTED,
        "session_id text, session_start time, participant_id text, user_id text, first_join_time time",
        "published bool, recording_state text, replication_type text, replication_state text",
        "source_stage_arn text, source_session_id text, ingest_configuration_arn text, redundant_ingest bool",
        "attributes map, isp_name text, os_name text, os_version text, browser_name text, browser_version text",
        "sdk_version text, protocol text, recording_s3_bucket text, recording_s3_prefix text, details text",
        "is_final bool",
        _WRITTEN,
    ),
}
#: The key of each table's folders.
DATE_KEYS: Mapping[str, str] = {
    "events": "event_date",
    "stages": "exported_date",
    "sessions": "session_date",
    "participants": "session_date",
}
