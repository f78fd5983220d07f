-- Attempts to join, to publish and to subscribe, by stage and UTC day, and those of them that failed; and of how many
-- participants they were. An attempt is a start, or an error in its place.
WITH tries AS (
    SELECT stage_arn, session_id, participant_id, midnight_us, what, COUNT(*) AS try_count, SUM(failure) AS failure_count
    FROM (
        SELECT stage_arn, session_id, participant_id, event_us - event_us % 86400000000 AS midnight_us,
            CASE
                WHEN event_name LIKE 'JOIN%' THEN 'join'
                WHEN event_name LIKE 'PUBLISH%' THEN 'publish'
                ELSE 'subscribe'
            END AS what,
            CASE WHEN event_name LIKE '%ERROR' THEN 1 ELSE 0 END AS failure
        FROM base_events
        WHERE event_name IN (
            'JOINED', 'JOIN_ERROR', 'PUBLISH_STARTED', 'PUBLISH_ERROR', 'SUBSCRIBE_STARTED', 'SUBSCRIBE_ERROR'
        )
    ) starts_and_errors
    GROUP BY stage_arn, session_id, participant_id, midnight_us, what
),
by_day AS (
    SELECT stage_arn, midnight_us, what,
        CAST(SUM(try_count) AS BIGINT) AS tries_of_all, CAST(SUM(failure_count) AS BIGINT) AS failures_of_all,
        CAST(COUNT(*) AS BIGINT) AS people,
        CAST(SUM(CASE WHEN failure_count > 0 THEN 1 ELSE 0 END) AS BIGINT) AS people_with_failures,
        CAST(SUM(CASE WHEN failure_count = try_count THEN 1 ELSE 0 END) AS BIGINT) AS people_without_success
    FROM tries
    GROUP BY stage_arn, midnight_us, what
)
SELECT b.stage_arn AS stage_arn, d.day AS day, b.what AS what,
    b.tries_of_all AS attempts, b.failures_of_all AS failed,
    b.people AS participants, b.people_with_failures AS participants_failed,
    b.people_without_success AS participants_never,
    n.stage_name AS stage_name
FROM by_day b
JOIN base_days d ON d.day_us = b.midnight_us
LEFT JOIN stage_names n ON n.stage_arn = b.stage_arn
