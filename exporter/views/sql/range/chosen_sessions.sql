-- The sessions that overlap the range: by their rows, or, of one without a row and one that is near, by an event.
SELECT stage_arn, session_id
FROM (
    SELECT stage_arn, session_id, is_inside, 1 AS is_near, 0 AS has_event, 0 AS has_row
    FROM session_range
    UNION ALL
    SELECT stage_arn, session_id, 0, 0, 0, 1
    FROM all_sessions
    UNION ALL
    SELECT stage_arn, session_id, 0, 0, CASE WHEN event_us >= {{since_us}} AND event_us < {{until_us}} THEN 1 ELSE 0 END, 0
    FROM dated_events
) known
GROUP BY stage_arn, session_id
HAVING MAX(is_inside) = 1 OR (MAX(has_event) = 1 AND (MAX(has_row) = 0 OR MAX(is_near) = 1))
