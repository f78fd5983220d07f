-- The row of each session that counts now: the newest final one, else the newest.
SELECT stage_arn, account_id, region, session_id, session_start, session_end, stage_name, stage_tags,
    participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id, exported_at,
    start_us, end_us, end_minute_at
FROM (
    SELECT stage_arn, account_id, region, session_id, session_start, session_end, stage_name, stage_tags,
        participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id, exported_at,
        start_us, end_us, end_minute_at,
        ROW_NUMBER() OVER (
            PARTITION BY stage_arn, session_id ORDER BY final_code DESC, exported_us DESC, run_id DESC
        ) AS newest
    FROM base_sessions
) numbered
WHERE newest = 1
