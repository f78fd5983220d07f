-- What the rows of a session and those of its participants say of it. Internal.
-- A time that is not known is -1 in microseconds, and null.
SELECT stage_arn, session_id,
    MAX(row_count) AS has_row,
    MAX(known_start_us) AS start_us,
    MAX(known_start_at) AS start_at,
    MAX(known_end_us) AS end_us,
    MAX(known_end_at) AS end_at,
    MAX(exported_us) AS seen_us,
    MAX(exported_at) AS seen_at
FROM (
    SELECT stage_arn, session_id, 0 AS row_count,
        CAST(-1 AS BIGINT) AS known_start_us, NULL AS known_start_at,
        CAST(-1 AS BIGINT) AS known_end_us, NULL AS known_end_at, exported_us, exported_at
    FROM base_participants
    UNION ALL
    SELECT stage_arn, session_id, 0, CAST(-1 AS BIGINT), NULL, CAST(-1 AS BIGINT), NULL, exported_us, exported_at
    FROM base_sessions
    UNION ALL
    SELECT stage_arn, session_id, 1, start_us, session_start, end_us, session_end, CAST(-1 AS BIGINT), NULL
    FROM newest_sessions
) facts
GROUP BY stage_arn, session_id
