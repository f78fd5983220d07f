-- What the views stand on, for Athena over the Iceberg tables of a catalog, whose times have microseconds and a zone.
-- What a view of Athena's shows is in milliseconds: it keeps no finer time.

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
    CAST(exported_at AT TIME ZONE 'UTC' AS timestamp(3)) AS exported_at,
    CAST(round(to_unixtime(exported_at) * 1000000) AS bigint) AS exported_us
FROM {{database}}.stages;

CREATE OR REPLACE VIEW {{sessions}} AS
SELECT stage_arn, account_id, region, session_id,
    CAST(session_start AT TIME ZONE 'UTC' AS timestamp(3)) AS session_start,
    CAST(session_end AT TIME ZONE 'UTC' AS timestamp(3)) AS session_end,
    stage_name, stage_tags, participant_count, event_count, abandoned_count, is_complete, is_final, extra, run_id,
    CAST(exported_at AT TIME ZONE 'UTC' AS timestamp(3)) AS exported_at,
    coalesce(CAST(round(to_unixtime(session_start) * 1000000) AS bigint), -1) AS start_us,
    coalesce(CAST(round(to_unixtime(session_end) * 1000000) AS bigint), -1) AS end_us,
    CAST(date_trunc('minute', session_end AT TIME ZONE 'UTC') AS timestamp(3)) AS end_minute_at,
    CAST(round(to_unixtime(exported_at) * 1000000) AS bigint) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM {{database}}.sessions;

-- part: participants of dates
WHERE CAST(coalesce(session_start, first_join_time, exported_at) AT TIME ZONE 'UTC' AS date)
    BETWEEN (SELECT first_day FROM range_dates) AND (SELECT last_day FROM range_dates);

-- part: events of dates
WHERE event_time >= (SELECT with_timezone(CAST(first_day AS timestamp(6)), 'UTC') FROM range_dates)
    AND event_time < (SELECT with_timezone(CAST(date_add('day', 1, last_day) AS timestamp(6)), 'UTC') FROM range_dates);

-- part: events
CREATE OR REPLACE VIEW {{participants}} AS
SELECT stage_arn, account_id, region, session_id,
    CAST(session_start AT TIME ZONE 'UTC' AS timestamp(3)) AS session_start,
    participant_id, user_id,
    CAST(first_join_time AT TIME ZONE 'UTC' AS timestamp(3)) AS first_join_time,
    published, recording_state, replication_type, replication_state, source_stage_arn, source_session_id,
    ingest_configuration_arn, redundant_ingest, attributes, isp_name, os_name, os_version, browser_name,
    browser_version, sdk_version, protocol, recording_s3_bucket, recording_s3_prefix, details, is_final, extra, run_id,
    CAST(exported_at AT TIME ZONE 'UTC' AS timestamp(3)) AS exported_at,
    CAST(round(to_unixtime(exported_at) * 1000000) AS bigint) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM {{database}}.participants
{{participants_of_dates}};

CREATE OR REPLACE VIEW {{events}} AS
SELECT stage_arn, session_id, participant_id, event_id,
    coalesce(event_name, '') AS event_name,
    coalesce(error_code, '') AS error_code,
    coalesce(remote_participant_id, '') AS remote_id,
    coalesce(destination_session_id, '') AS destination_id,
    CASE WHEN replica THEN 1 ELSE 0 END AS replica_flag,
    CAST(event_time AT TIME ZONE 'UTC' AS timestamp(3)) AS event_at,
    CAST(round(to_unixtime(event_time) * 1000000) AS bigint) AS event_us,
    CAST(date_trunc('minute', event_time AT TIME ZONE 'UTC') AS timestamp(3)) AS minute_at,
    CAST(exported_at AT TIME ZONE 'UTC' AS timestamp(3)) AS exported_at,
    CAST(round(to_unixtime(exported_at) * 1000000) AS bigint) AS exported_us
FROM {{database}}.events
{{events_of_dates}};
