-- The rows of sessions that overlap the range.
SELECT s.*
FROM all_sessions s
JOIN chosen_sessions c ON c.stage_arn = s.stage_arn AND c.session_id = s.session_id
