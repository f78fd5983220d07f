-- A session as it is known now.
SELECT stage_arn, account_id, region, session_id, session_start, session_end, stage_name, stage_tags,
    participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id, exported_at
FROM newest_sessions
