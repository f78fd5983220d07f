-- What is known of a session, from its rows, those of its participants, and its events. Internal.
-- A time that is not known is -1 in microseconds, and null.
SELECT stage_arn, session_id,
    MAX(row_count) AS has_row,
    MAX(known_start_us) AS start_us,
    MAX(known_start_at) AS start_at,
    MAX(known_end_us) AS end_us,
    MAX(known_end_at) AS end_at,
    MAX(moment_us) AS last_us,
    MAX(moment_at) AS last_at,
    MAX(exported_us) AS seen_us,
    MAX(exported_at) AS seen_at
FROM (
    SELECT stage_arn, session_id, 0 AS row_count,
        CAST(-1 AS BIGINT) AS known_start_us, NULL AS known_start_at,
        CAST(-1 AS BIGINT) AS known_end_us, NULL AS known_end_at,
        last_us AS moment_us, last_at AS moment_at, seen_us AS exported_us, seen_at AS exported_at
    FROM unit_facts
    UNION ALL
    SELECT stage_arn, session_id, has_row, start_us, start_at, end_us, end_at,
        CAST(-1 AS BIGINT), NULL, seen_us, seen_at
    FROM session_rows
) facts
GROUP BY stage_arn, session_id
