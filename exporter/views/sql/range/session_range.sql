-- The sessions that overlap the range of dates, by their rows, and those so near to it that an event of theirs may lie in
-- it: events may be 60 s before a start, and 15 minutes after an end. A time that is not known excludes none.
SELECT stage_arn, session_id, begun_us, over_us,
    CASE
        WHEN (begun_us IS NULL OR begun_us < {{until_us}}) AND (over_us < 0 OR over_us >= {{since_us}}) THEN 1 ELSE 0
    END AS is_inside
FROM (
    SELECT stage_arn, session_id, MIN(CASE WHEN start_us >= 0 THEN start_us END) AS begun_us, MAX(end_us) AS over_us
    FROM all_sessions
    GROUP BY stage_arn, session_id
) times
WHERE (begun_us IS NULL OR begun_us < {{until_us}} + 60000000) AND (over_us < 0 OR over_us >= {{since_us}} - 900000000)
