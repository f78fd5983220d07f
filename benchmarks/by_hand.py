"""The views' questions as an analyst writes them by hand: a plain query over the tables, right only where all is.

What these leave out is what the views are for: a start is taken to end with whatever stands behind it, so a stop that
never came, a LEFT that is missing, and a stay over midnight are counted wrongly or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAIRS = """
    SELECT stage_arn, session_id, participant_id, event_name, remote_participant_id, event_time AS started,
        lead(event_time) OVER own AS ended
    FROM (
        SELECT stage_arn, session_id, participant_id, event_name, remote_participant_id, event_time,
            CASE WHEN event_name IN ('JOINED', 'LEFT') THEN 'join' ELSE split_part(event_name, '_', 1) END AS kind
        FROM events
        WHERE event_name IN ({names})
    )
    WINDOW own AS (
        PARTITION BY stage_arn, session_id, participant_id, kind, remote_participant_id ORDER BY event_time
    )
    QUALIFY event_name IN ({starts})
"""
_JOINS = {"names": "'JOINED', 'LEFT'", "starts": "'JOINED'"}
_WATCHES = {"names": "'SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED'", "starts": "'SUBSCRIBE_STARTED'"}
_ALL = {
    "names": f"{_JOINS['names']}, {_WATCHES['names']}, 'PUBLISH_STARTED', 'PUBLISH_STOPPED'",
    "starts": f"{_JOINS['starts']}, {_WATCHES['starts']}, 'PUBLISH_STARTED'",
}

#: By the name of the view that answers the same question.
BY_HAND: Mapping[str, str] = {
    "intervals": _PAIRS.format(**_ALL),
    "concurrency_by_minute": """
    SELECT stage_arn, session_id, kind, minute,
        sum(sum(step)) OVER (PARTITION BY stage_arn, session_id, kind ORDER BY minute) AS at_end
    FROM (
        SELECT stage_arn, session_id, date_trunc('minute', event_time) AS minute,
            CASE WHEN event_name IN ('JOINED', 'LEFT') THEN 'join' ELSE split_part(event_name, '_', 1) END AS kind,
            CASE WHEN event_name IN ('LEFT', 'PUBLISH_STOPPED', 'SUBSCRIBE_STOPPED') THEN -1 ELSE 1 END AS step
        FROM events
        WHERE event_name IN (
            'JOINED', 'LEFT', 'PUBLISH_STARTED', 'PUBLISH_STOPPED', 'SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED'
        )
    )
    GROUP BY stage_arn, session_id, kind, minute
    """,
    "participant_hours": """
    SELECT stage_arn, started::DATE AS day, count(*) AS joins,
        sum(epoch_us(ended) - epoch_us(started)) / 3600e6 AS hours
    FROM ({pairs})
    GROUP BY ALL
    """.replace("{pairs}", _PAIRS.format(**_JOINS)),
    "watch_time": """
    SELECT stage_arn, session_id, participant_id, remote_participant_id,
        sum(epoch_us(ended) - epoch_us(started)) / 1e6 AS watch_s, min(started) AS first_at, max(ended) AS last_at
    FROM ({pairs})
    GROUP BY ALL
    """.replace("{pairs}", _PAIRS.format(**_WATCHES)),
    "failures": """
    SELECT stage_arn, event_time::DATE AS day, event_name, error_code, count(*) AS events,
        count(DISTINCT (session_id, participant_id)) AS participants
    FROM events
    WHERE event_name LIKE '%ERROR' OR error_code IS NOT NULL
    GROUP BY ALL
    """,
}
