-- The sessions that overlap the range of dates, by their rows. A time that is not known excludes none.
SELECT stage_arn, session_id, MIN(CASE WHEN start_us >= 0 THEN start_us END) AS begun_us, MAX(end_us) AS over_us
FROM all_sessions
GROUP BY stage_arn, session_id
HAVING (MAX(start_us) < 0 OR MIN(CASE WHEN start_us >= 0 THEN start_us END) < {{until_us}})
    AND (MAX(end_us) < 0 OR MAX(end_us) >= {{since_us}})
