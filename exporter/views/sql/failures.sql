-- Errors by stage, UTC day, event and code: how often, and how many participants of sessions met them.
WITH met AS (
    SELECT stage_arn, session_id, participant_id, event_name, error_code,
        event_us - event_us % 86400000000 AS midnight_us, COUNT(*) AS met_count
    FROM base_events
    WHERE event_name LIKE '%ERROR' OR error_code <> ''
    GROUP BY stage_arn, session_id, participant_id, event_name, error_code, event_us - event_us % 86400000000
)
SELECT m.stage_arn AS stage_arn, d.day AS day, m.event_name AS event_name, m.error_code AS error_code,
    CAST(SUM(m.met_count) AS BIGINT) AS events, CAST(COUNT(*) AS BIGINT) AS participants,
    MAX(n.stage_name) AS stage_name
FROM met m
JOIN base_days d ON d.day_us = m.midnight_us
LEFT JOIN stage_names n ON n.stage_arn = m.stage_arn
GROUP BY m.stage_arn, d.day, m.event_name, m.error_code
