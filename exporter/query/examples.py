"""What can be asked: each table and view, what a row of it is, and a question that runs as it stands."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """A table or view. ``sql`` holds nothing that a shell's double quotes would not keep."""

    name: str
    row: str
    sql: str


TABLES = (
    Example(
        "events",
        "what a participant did: joined, published, subscribed, left, met an error",
        "SELECT event_name, count(*) AS events FROM events WHERE replica IS NOT TRUE GROUP BY event_name"
        " ORDER BY events DESC",
    ),
    Example(
        "stages",
        "a stage, anew with each change",
        "SELECT stage_name, is_listed, exported_at FROM stages ORDER BY exported_at DESC LIMIT 10",
    ),
    Example(
        "sessions",
        "a session, when it was first seen and when it was over (is_final)",
        "SELECT stage_name, session_id, session_start, event_count, is_complete FROM sessions WHERE is_final"
        " ORDER BY session_start DESC LIMIT 10",
    ),
    Example(
        "participants",
        "a participant of a session, likewise",
        "SELECT browser_name, count(*) AS participants FROM participants WHERE is_final GROUP BY browser_name"
        " ORDER BY participants DESC",
    ),
)
VIEWS = (
    Example(
        "stages_now", "a stage as it is known now", "SELECT stage_name, stage_arn FROM stages_now ORDER BY stage_name"
    ),
    Example(
        "sessions_now",
        "a session as it is known now",
        "SELECT count(*) AS sessions, sum(is_complete::INT) AS complete FROM sessions_now",
    ),
    Example(
        "participants_now",
        "a participant as it is known now",
        "SELECT user_id, count(*) AS sessions FROM participants_now WHERE user_id IS NOT NULL GROUP BY user_id"
        " ORDER BY sessions DESC LIMIT 10",
    ),
    Example(
        "intervals",
        "one stay, publication, subscription or replication, and what ended it",
        "SELECT kind, end_reason, count(*) AS intervals FROM intervals GROUP BY kind, end_reason"
        " ORDER BY kind, intervals DESC",
    ),
    Example(
        "concurrency_by_minute",
        "a session's minute in which something changed: the peak, and the level at its end",
        "SELECT minute, peak, session_id FROM concurrency_by_minute WHERE kind = 'join' ORDER BY peak DESC LIMIT 10",
    ),
    Example(
        "viewers_by_minute",
        "a session's minute in which somebody began to watch, or ended: viewers, each counted once",
        "SELECT minute, peak, session_id FROM viewers_by_minute ORDER BY peak DESC LIMIT 10",
    ),
    Example(
        "session_summary",
        "a session: whether all of it is there, who took part, how long",
        "SELECT stage_name, session_start, is_complete, viewers, peak_viewers, watch_s / 3600 AS watch_hours"
        " FROM session_summary ORDER BY peak_viewers DESC LIMIT 10",
    ),
    Example(
        "participant_summary",
        "a participant of a session: visits, times, errors, and its browser",
        "SELECT user_id, sum(visits) AS visits, sum(watch_s) / 3600 AS watch_hours FROM participant_summary"
        " WHERE user_id IS NOT NULL GROUP BY user_id ORDER BY watch_hours DESC LIMIT 10",
    ),
    Example(
        "watch_time",
        "a viewer and a publisher of a session, and how long the one watched the other",
        "SELECT viewer_user_id, publisher_user_id, sum(watch_s) / 3600 AS hours FROM watch_time"
        " WHERE viewer_user_id IS NOT NULL AND publisher_user_id IS NOT NULL GROUP BY ALL ORDER BY hours DESC LIMIT 10",
    ),
    Example(
        "participant_hours",
        "a stage's day: hours of connected time, at least and at most; an estimate, not an invoice",
        "SELECT stage_name, day, hours_low, hours_high FROM participant_hours ORDER BY day, stage_name",
    ),
    Example(
        "attempts",
        "a stage's day of joining, publishing or subscribing: how many attempts, and how many of them failed",
        "SELECT what, sum(attempts) AS attempts, 100 * sum(failed) / sum(attempts) AS percent_failed FROM attempts"
        " GROUP BY what ORDER BY what",
    ),
    Example(
        "failures",
        "an error's code on a day, and whom it met",
        "SELECT event_name, error_code, sum(events) AS events FROM failures GROUP BY event_name, error_code"
        " ORDER BY events DESC",
    ),
    Example(
        "waits",
        "how long a stage's participants waited to publish, or to see somebody: half of them, and 95 %",
        "SELECT stage_name, what, participants, of_participants, p50_s, p95_s FROM waits ORDER BY stage_name, what",
    ),
    Example(
        "checks",
        "something strange: an error, a warning or a remark",
        "SELECT severity, name, sum(count) AS count FROM checks GROUP BY severity, name ORDER BY severity, count DESC",
    ),
)
EXAMPLES = (*TABLES, *VIEWS)
