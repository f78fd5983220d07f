-- What the views stand on, for DataFusion.

-- part: sessions
CREATE OR REPLACE VIEW base_calendar AS
SELECT CAST(arrow_cast(CAST(value AS INT), 'Date32') AS DATE) AS day, value * 86400000000 AS day_us
FROM generate_series(0, 47846);

CREATE OR REPLACE VIEW base_stages AS
SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id,
    arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS exported_at,
    CAST(arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS BIGINT) AS exported_us
FROM stages;

CREATE OR REPLACE VIEW {{sessions}} AS
SELECT stage_arn, account_id, region, session_id,
    arrow_cast(session_start, 'Timestamp(Microsecond, None)') AS session_start,
    arrow_cast(session_end, 'Timestamp(Microsecond, None)') AS session_end,
    stage_name, stage_tags, participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id,
    arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS exported_at,
    coalesce(CAST(arrow_cast(session_start, 'Timestamp(Microsecond, None)') AS BIGINT), -1) AS start_us,
    coalesce(CAST(arrow_cast(session_end, 'Timestamp(Microsecond, None)') AS BIGINT), -1) AS end_us,
    date_trunc('minute', arrow_cast(session_end, 'Timestamp(Microsecond, None)')) AS end_minute_at,
    CAST(arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS BIGINT) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM sessions;

-- part: participants of dates
WHERE session_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events of dates
WHERE event_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events
CREATE OR REPLACE VIEW {{participants}} AS
SELECT stage_arn, account_id, region, session_id,
    arrow_cast(session_start, 'Timestamp(Microsecond, None)') AS session_start,
    participant_id, user_id,
    arrow_cast(first_join_time, 'Timestamp(Microsecond, None)') AS first_join_time,
    published, recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
    ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
    browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra, run_id,
    arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS exported_at,
    CAST(arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS BIGINT) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM participants
{{participants_of_dates}};

CREATE OR REPLACE VIEW {{events}} AS
SELECT stage_arn, session_id, participant_id, event_id,
    coalesce(event_name, '') AS event_name,
    coalesce(error_code, '') AS error_code,
    coalesce(remote_participant_id, '') AS remote_id,
    coalesce(destination_session_id, '') AS destination_id,
    CASE WHEN replica THEN 1 ELSE 0 END AS replica_flag,
    arrow_cast(event_time, 'Timestamp(Microsecond, None)') AS event_at,
    CAST(arrow_cast(event_time, 'Timestamp(Microsecond, None)') AS BIGINT) AS event_us,
    date_trunc('minute', arrow_cast(event_time, 'Timestamp(Microsecond, None)')) AS minute_at,
    arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS exported_at,
    CAST(arrow_cast(exported_at, 'Timestamp(Microsecond, None)') AS BIGINT) AS exported_us
FROM events
{{events_of_dates}};
