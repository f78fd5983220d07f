-- A participant of a session as it is known now: its newest final row, else its newest row.
SELECT stage_arn, account_id, region, session_id, session_start, participant_id, user_id, first_join_time, published,
    recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
    ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
    browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra,
    run_id, exported_at
FROM (
    SELECT stage_arn, account_id, region, session_id, session_start, participant_id, user_id, first_join_time,
        published, recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
        ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
        browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra,
        run_id, exported_at,
        ROW_NUMBER() OVER (
            PARTITION BY stage_arn, session_id, participant_id
            ORDER BY final_code DESC, exported_us DESC, run_id DESC
        ) AS newest
    FROM base_participants
) numbered
WHERE newest = 1
