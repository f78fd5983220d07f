-- The rows of participants that are of these sessions.
SELECT d.*
FROM dated_participants d
JOIN chosen_sessions c ON c.stage_arn = d.stage_arn AND c.session_id = d.session_id
