-- What the views stand on, for ClickHouse.

-- part: sessions
CREATE OR REPLACE VIEW base_calendar AS
SELECT toDate32(number) AS day, toInt64(number) * 86400000000 AS day_us
FROM numbers(47847);

CREATE OR REPLACE VIEW base_stages AS
SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id,
    toTimeZone(exported_at, 'UTC') AS exported_at, toUnixTimestamp64Micro(assumeNotNull(exported_at)) AS exported_us
FROM stages;

CREATE OR REPLACE VIEW {{sessions}} AS
SELECT stage_arn, account_id, region, session_id, toTimeZone(session_start, 'UTC') AS session_start,
    toTimeZone(session_end, 'UTC') AS session_end, stage_name, stage_tags, participant_count, event_count,
    abandoned_count, is_complete, is_final, extra, run_id, toTimeZone(exported_at, 'UTC') AS exported_at,
    if(isNull(session_start), -1, toUnixTimestamp64Micro(assumeNotNull(session_start))) AS start_us,
    if(isNull(session_end), -1, toUnixTimestamp64Micro(assumeNotNull(session_end))) AS end_us,
    toDateTime64(toStartOfMinute(toTimeZone(session_end, 'UTC')), 6, 'UTC') AS end_minute_at,
    toUnixTimestamp64Micro(assumeNotNull(exported_at)) AS exported_us,
    if(is_final, 1, 0) AS final_code
FROM sessions;

-- part: participants of dates
WHERE session_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events of dates
WHERE event_date BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events
CREATE OR REPLACE VIEW {{participants}} AS
SELECT stage_arn, account_id, region, session_id, toTimeZone(session_start, 'UTC') AS session_start, participant_id,
    user_id, toTimeZone(first_join_time, 'UTC') AS first_join_time, published, recording_state, replication_type,
    replication_state, source_stage_arn, source_session_id, ingest_configuration_arn, redundant_ingest, attributes,
    isp_name, os_name, os_version, browser_name, browser_version, sdk_version, protocol, recording_s3_bucket,
    recording_s3_prefix, details, is_final, extra, run_id, toTimeZone(exported_at, 'UTC') AS exported_at,
    toUnixTimestamp64Micro(assumeNotNull(exported_at)) AS exported_us, if(is_final, 1, 0) AS final_code
FROM participants
{{participants_of_dates}};

CREATE OR REPLACE VIEW {{events}} AS
SELECT stage_arn, session_id, participant_id, event_id,
    ifNull(event_name, '') AS event_name,
    ifNull(error_code, '') AS error_code,
    ifNull(remote_participant_id, '') AS remote_id,
    ifNull(destination_session_id, '') AS destination_id,
    if(replica, 1, 0) AS replica_flag,
    toTimeZone(event_time, 'UTC') AS event_at,
    toUnixTimestamp64Micro(assumeNotNull(event_time)) AS event_us,
    toDateTime64(toStartOfMinute(toTimeZone(event_time, 'UTC')), 6, 'UTC') AS minute_at,
    toTimeZone(exported_at, 'UTC') AS exported_at,
    toUnixTimestamp64Micro(assumeNotNull(exported_at)) AS exported_us
FROM events
{{events_of_dates}};
