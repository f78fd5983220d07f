-- The rows of sessions that overlap the range.
SELECT s.*
FROM all_sessions s
JOIN session_range r ON r.stage_arn = s.stage_arn AND r.session_id = s.session_id
