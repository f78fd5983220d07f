-- The rows of events that are of these sessions.
SELECT d.*
FROM dated_events d
JOIN chosen_sessions c ON c.stage_arn = d.stage_arn AND c.session_id = d.session_id
