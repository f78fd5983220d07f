-- What each stage is called now: by its own newest row, else as its latest session with a name says. Internal.
SELECT stage_arn, COALESCE(NULLIF(MAX(own_name), ''), NULLIF(MAX(session_name), '')) AS stage_name
FROM (
    SELECT stage_arn, COALESCE(stage_name, '') AS own_name, '' AS session_name
    FROM stages_now
    UNION ALL
    SELECT stage_arn, '', COALESCE(stage_name, '')
    FROM (
        SELECT stage_arn, stage_name,
            ROW_NUMBER() OVER (PARTITION BY stage_arn ORDER BY start_us DESC, session_id DESC) AS newest
        FROM newest_sessions
        WHERE stage_name <> ''
    ) named
    WHERE newest = 1
) names
GROUP BY stage_arn
