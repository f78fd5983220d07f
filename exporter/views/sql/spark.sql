-- What the views stand on, for Spark 3.5 and later.

-- part: sessions
CREATE OR REPLACE TEMPORARY VIEW base_calendar AS
SELECT date_from_unix_date(CAST(id AS INT)) AS day, id * 86400000000 AS day_us
FROM range(0, 47847);

CREATE OR REPLACE TEMPORARY VIEW base_stages AS
SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id,
    timestampadd(MICROSECOND, unix_micros(exported_at), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS exported_at,
    unix_micros(exported_at) AS exported_us
FROM stages;

CREATE OR REPLACE TEMPORARY VIEW {{sessions}} AS
SELECT stage_arn, account_id, region, session_id,
    timestampadd(MICROSECOND, unix_micros(session_start), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS session_start,
    timestampadd(MICROSECOND, unix_micros(session_end), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS session_end,
    stage_name, stage_tags, participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id,
    timestampadd(MICROSECOND, unix_micros(exported_at), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS exported_at,
    coalesce(unix_micros(session_start), -1) AS start_us,
    coalesce(unix_micros(session_end), -1) AS end_us,
    timestampadd(
        MICROSECOND, unix_micros(session_end) - unix_micros(session_end) % 60000000, TIMESTAMP_NTZ '1970-01-01 00:00:00'
    ) AS end_minute_at,
    unix_micros(exported_at) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM sessions;

-- part: participants of dates
WHERE session_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events of dates
WHERE event_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events
CREATE OR REPLACE TEMPORARY VIEW {{participants}} AS
SELECT stage_arn, account_id, region, session_id,
    timestampadd(MICROSECOND, unix_micros(session_start), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS session_start,
    participant_id, user_id,
    timestampadd(MICROSECOND, unix_micros(first_join_time), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS first_join_time,
    published, recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
    ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
    browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra, run_id,
    timestampadd(MICROSECOND, unix_micros(exported_at), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS exported_at,
    unix_micros(exported_at) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM participants
{{participants_of_dates}};

CREATE OR REPLACE TEMPORARY VIEW {{events}} AS
SELECT stage_arn, session_id, participant_id, event_id,
    coalesce(event_name, '') AS event_name,
    coalesce(error_code, '') AS error_code,
    coalesce(remote_participant_id, '') AS remote_id,
    coalesce(destination_session_id, '') AS destination_id,
    CASE WHEN replica THEN 1 ELSE 0 END AS replica_flag,
    timestampadd(MICROSECOND, unix_micros(event_time), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS event_at,
    unix_micros(event_time) AS event_us,
    timestampadd(
        MICROSECOND, unix_micros(event_time) - unix_micros(event_time) % 60000000, TIMESTAMP_NTZ '1970-01-01 00:00:00'
    ) AS minute_at,
    timestampadd(MICROSECOND, unix_micros(exported_at), TIMESTAMP_NTZ '1970-01-01 00:00:00') AS exported_at,
    unix_micros(exported_at) AS exported_us
FROM events
{{events_of_dates}};
