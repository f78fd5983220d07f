-- What is known of a participant of a session, from its events and its row together. Internal.
-- row_code: 2 where its row says that it is a replica, 1 where it says that it is none, 0 where nothing says so.
SELECT stage_arn, session_id, participant_id,
    MAX(row_code) AS replication_code,
    CASE WHEN MAX(row_code) = 2 OR (MAX(row_code) = 0 AND MAX(flag_code) = 1) THEN 1 ELSE 0 END AS replica_code,
    MAX(moment_us) AS last_us,
    MAX(moment_at) AS last_at,
    MAX(exported_us) AS seen_us,
    MAX(exported_at) AS seen_at,
    CAST(SUM(error_count) AS BIGINT) AS errors,
    MAX(user_text) AS user_name
FROM (
    SELECT stage_arn, session_id, participant_id,
        0 AS row_code,
        CASE WHEN event_name LIKE 'SUBSCRIBE%' THEN 0 ELSE replica_flag END AS flag_code,
        -- As in timely_events.
        CASE WHEN event_us <= exported_us + 31622400000000 THEN event_us ELSE -1 END AS moment_us,
        CASE WHEN event_us <= exported_us + 31622400000000 THEN event_at END AS moment_at,
        exported_us,
        exported_at,
        CASE WHEN event_name LIKE '%ERROR' OR error_code <> '' THEN 1 ELSE 0 END AS error_count,
        '' AS user_text
    FROM base_events
    UNION ALL
    SELECT stage_arn, session_id, participant_id,
        CASE WHEN replication_type = 'REPLICA' THEN 2 WHEN replication_type IS NULL THEN 0 ELSE 1 END AS row_code,
        0 AS flag_code,
        CAST(-1 AS BIGINT) AS moment_us,
        NULL AS moment_at,
        CAST(-1 AS BIGINT) AS exported_us,
        NULL AS exported_at,
        0 AS error_count,
        COALESCE(user_id, '') AS user_text
    FROM participants_now
) facts
GROUP BY stage_arn, session_id, participant_id
