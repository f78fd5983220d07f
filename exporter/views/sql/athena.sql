-- What the views stand on, for Athena, whose tables of Parquet files give times in milliseconds.

-- part: sessions
CREATE OR REPLACE VIEW base_calendar AS
SELECT date_add('day', n, DATE '1970-01-01') AS day, n * 86400000000 AS day_us
FROM (
    SELECT thousands * 1000 + ones AS n
    FROM UNNEST(sequence(0, 47)) AS high(thousands) CROSS JOIN UNNEST(sequence(0, 999)) AS low(ones)
) numbers
WHERE n < 47847;

CREATE OR REPLACE VIEW base_stages AS
SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id,
    exported_at,
    (date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', exported_at) * 1000) AS exported_us
FROM stages;

CREATE OR REPLACE VIEW {{sessions}} AS
SELECT stage_arn, account_id, region, session_id,
    session_start,
    session_end,
    stage_name, stage_tags, participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id,
    exported_at,
    coalesce((date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', session_start) * 1000), -1) AS start_us,
    coalesce((date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', session_end) * 1000), -1) AS end_us,
    date_trunc('minute', session_end) AS end_minute_at,
    (date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', exported_at) * 1000) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM sessions;

-- part: participants of dates
WHERE session_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events of dates
WHERE event_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events
CREATE OR REPLACE VIEW {{participants}} AS
SELECT stage_arn, account_id, region, session_id,
    session_start,
    participant_id, user_id,
    first_join_time,
    published, recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
    ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
    browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra, run_id,
    exported_at,
    (date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', exported_at) * 1000) AS exported_us,
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
    event_time AS event_at,
    (date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', event_time) * 1000) AS event_us,
    date_trunc('minute', event_time) AS minute_at,
    exported_at,
    (date_diff('millisecond', TIMESTAMP '1970-01-01 00:00:00', exported_at) * 1000) AS exported_us
FROM events
{{events_of_dates}};
