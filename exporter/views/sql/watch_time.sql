-- Who watched whom in a session, and how long.
WITH watched AS (
    SELECT stage_arn, session_id, participant_id, peer,
        CAST(SUM(counted_us - started_us) AS BIGINT) AS watched_us,
        MIN(started_at) AS first_start_at, MAX(counted_at) AS last_end_at
    FROM interval_facts
    WHERE kind = 'subscribe'
    GROUP BY stage_arn, session_id, participant_id, peer
)
SELECT w.stage_arn AS stage_arn, w.session_id AS session_id,
    w.participant_id AS viewer_id, NULLIF(v.user_name, '') AS viewer_user_id,
    NULLIF(w.peer, '') AS publisher_id, NULLIF(p.user_name, '') AS publisher_user_id,
    w.watched_us / CAST(1000000 AS DOUBLE) AS watch_s,
    w.first_start_at AS first_at, w.last_end_at AS last_at,
    COALESCE(NULLIF(n.stage_name, ''), NULLIF(s.stage_name, '')) AS stage_name
FROM watched w
JOIN unit_facts v
    ON v.stage_arn = w.stage_arn AND v.session_id = w.session_id AND v.participant_id = w.participant_id
LEFT JOIN unit_facts p ON p.stage_arn = w.stage_arn AND p.session_id = w.session_id AND p.participant_id = w.peer
LEFT JOIN newest_sessions n ON n.stage_arn = w.stage_arn AND n.session_id = w.session_id
LEFT JOIN stage_names s ON s.stage_arn = w.stage_arn
