-- How long participants waited from their first JOINED to their first publication or subscription, of those who had
-- one. A first one that came before JOINED was no wait: 0 seconds. Percentiles by nearest rank.
WITH firsts AS (
    SELECT stage_arn, session_id, participant_id,
        MIN(CASE WHEN event_name = 'JOINED' THEN event_us END) AS joined_us,
        MIN(CASE WHEN event_name = 'PUBLISH_STARTED' THEN event_us END) AS published_us,
        MIN(CASE WHEN event_name = 'SUBSCRIBE_STARTED' THEN event_us END) AS subscribed_us
    FROM timely_events
    WHERE event_name IN ('JOINED', 'PUBLISH_STARTED', 'SUBSCRIBE_STARTED')
    GROUP BY stage_arn, session_id, participant_id
),
waited AS (
    SELECT stage_arn, 'join_to_publish' AS what, CASE WHEN published_us IS NULL THEN 0 ELSE 1 END AS has_wait,
        CASE WHEN published_us > joined_us THEN published_us - joined_us ELSE 0 END AS wait_us
    FROM firsts
    WHERE joined_us IS NOT NULL
    UNION ALL
    SELECT stage_arn, 'join_to_subscribe', CASE WHEN subscribed_us IS NULL THEN 0 ELSE 1 END,
        CASE WHEN subscribed_us > joined_us THEN subscribed_us - joined_us ELSE 0 END
    FROM firsts
    WHERE joined_us IS NOT NULL
),
ranked AS (
    SELECT stage_arn, what, has_wait, wait_us,
        ROW_NUMBER() OVER (PARTITION BY stage_arn, what, has_wait ORDER BY wait_us) AS wait_number,
        COUNT(*) OVER (PARTITION BY stage_arn, what, has_wait) AS wait_count
    FROM waited
)
SELECT r.stage_arn AS stage_arn, r.what AS what,
    CAST(SUM(r.has_wait) AS BIGINT) AS participants,
    CAST(COUNT(*) AS BIGINT) AS of_participants,
    MAX(CASE
        WHEN r.has_wait = 1 AND r.wait_number * 100 >= r.wait_count * 50 AND (r.wait_number - 1) * 100 < r.wait_count * 50 THEN r.wait_us
    END) / CAST(1000000 AS DOUBLE) AS p50_s,
    MAX(CASE
        WHEN r.has_wait = 1 AND r.wait_number * 100 >= r.wait_count * 95 AND (r.wait_number - 1) * 100 < r.wait_count * 95 THEN r.wait_us
    END) / CAST(1000000 AS DOUBLE) AS p95_s,
    MAX(n.stage_name) AS stage_name
FROM ranked r
LEFT JOIN stage_names n ON n.stage_arn = r.stage_arn
GROUP BY r.stage_arn, r.what
