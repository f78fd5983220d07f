-- A participant of a session: who, when, how long, and what it was like.
WITH counted AS (
    SELECT stage_arn, session_id, participant_id,
        CAST(SUM(CASE WHEN kind = 'join' THEN 1 ELSE 0 END) AS BIGINT) AS visit_count,
        CAST(SUM(CASE WHEN kind = 'join' THEN counted_us - started_us ELSE 0 END) AS BIGINT) AS connected_us,
        CAST(SUM(CASE WHEN kind = 'publish' THEN counted_us - started_us ELSE 0 END) AS BIGINT) AS publish_us,
        CAST(SUM(CASE WHEN kind = 'subscribe' THEN counted_us - started_us ELSE 0 END) AS BIGINT) AS watch_us,
        MIN(CASE WHEN kind = 'join' THEN started_at END) AS joined_at,
        MIN(CASE WHEN kind = 'join' THEN started_us END) AS joined_us,
        MIN(CASE WHEN kind = 'publish' THEN started_us END) AS published_us,
        MIN(CASE WHEN kind = 'subscribe' THEN started_us END) AS subscribed_us,
        MAX(CASE WHEN kind = 'join' THEN ended_at END) AS ended_last_at,
        MAX(CASE WHEN kind = 'join' AND end_reason = 'open' THEN 1 ELSE 0 END) AS is_open
    FROM interval_facts
    GROUP BY stage_arn, session_id, participant_id
)
SELECT u.stage_arn AS stage_arn, u.session_id AS session_id, u.participant_id AS participant_id,
    p.user_id AS user_id,
    c.joined_at AS first_join_at,
    CASE WHEN COALESCE(c.is_open, 0) = 0 THEN c.ended_last_at END AS last_leave_at,
    COALESCE(c.visit_count, 0) AS visits,
    COALESCE(c.connected_us, 0) / CAST(1000000 AS DOUBLE) AS connected_s,
    COALESCE(c.publish_us, 0) / CAST(1000000 AS DOUBLE) AS publish_s,
    COALESCE(c.watch_us, 0) / CAST(1000000 AS DOUBLE) AS watch_s,
    u.errors AS errors,
    CASE WHEN c.published_us > c.joined_us THEN c.published_us - c.joined_us
        WHEN c.published_us <= c.joined_us THEN 0 END / CAST(1000000 AS DOUBLE) AS first_publish_s,
    CASE WHEN c.subscribed_us > c.joined_us THEN c.subscribed_us - c.joined_us
        WHEN c.subscribed_us <= c.joined_us THEN 0 END / CAST(1000000 AS DOUBLE) AS first_subscribe_s,
    p.attributes AS attributes, p.isp_name AS isp_name, p.os_name AS os_name, p.os_version AS os_version,
    p.browser_name AS browser_name, p.browser_version AS browser_version, p.sdk_version AS sdk_version,
    p.protocol AS protocol, p.recording_s3_bucket AS recording_s3_bucket,
    p.recording_s3_prefix AS recording_s3_prefix, p.details AS details,
    COALESCE(NULLIF(n.stage_name, ''), NULLIF(s.stage_name, '')) AS stage_name
FROM unit_facts u
LEFT JOIN counted c
    ON c.stage_arn = u.stage_arn AND c.session_id = u.session_id AND c.participant_id = u.participant_id
LEFT JOIN participants_now p
    ON p.stage_arn = u.stage_arn AND p.session_id = u.session_id AND p.participant_id = u.participant_id
LEFT JOIN newest_sessions n ON n.stage_arn = u.stage_arn AND n.session_id = u.session_id
LEFT JOIN stage_names s ON s.stage_arn = u.stage_arn
