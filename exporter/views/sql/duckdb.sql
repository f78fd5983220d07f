-- What the views stand on, for DuckDB.

-- part: sessions
CREATE OR REPLACE VIEW base_calendar AS
SELECT CAST(DATE '1970-01-01' + CAST(n AS INTEGER) AS DATE) AS day, n * 86400000000 AS day_us
FROM range(0, 47847) AS numbers(n);

CREATE OR REPLACE VIEW base_stages AS
SELECT * REPLACE (make_timestamp(epoch_us(exported_at)) AS exported_at), epoch_us(exported_at) AS exported_us
FROM stages;

CREATE OR REPLACE VIEW {{sessions}} AS
SELECT * REPLACE (
        make_timestamp(epoch_us(session_start)) AS session_start,
        make_timestamp(epoch_us(session_end)) AS session_end,
        make_timestamp(epoch_us(exported_at)) AS exported_at
    ),
    coalesce(epoch_us(session_start), -1) AS start_us,
    coalesce(epoch_us(session_end), -1) AS end_us,
    date_trunc('minute', make_timestamp(epoch_us(session_end))) AS end_minute_at,
    epoch_us(exported_at) AS exported_us,
    CASE WHEN is_final THEN 1 ELSE 0 END AS final_code
FROM sessions;

-- part: range
-- A variable is a constant to the planner, which then opens the files of these dates alone.
SET VARIABLE ivs_first_day = (SELECT first_day FROM range_dates);
SET VARIABLE ivs_last_day = (SELECT last_day FROM range_dates);

-- part: participants of dates
WHERE session_date BETWEEN coalesce(getvariable('ivs_first_day'), DATE '0001-01-01')
    AND coalesce(getvariable('ivs_last_day'), DATE '9999-12-31');

-- part: events of dates
WHERE event_date BETWEEN coalesce(getvariable('ivs_first_day'), DATE '0001-01-01')
    AND coalesce(getvariable('ivs_last_day'), DATE '9999-12-31');

-- part: events
CREATE OR REPLACE VIEW {{participants}} AS
SELECT * REPLACE (
        make_timestamp(epoch_us(session_start)) AS session_start,
        make_timestamp(epoch_us(first_join_time)) AS first_join_time,
        make_timestamp(epoch_us(exported_at)) AS exported_at
    ),
    epoch_us(exported_at) AS exported_us,
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
    make_timestamp(epoch_us(event_time)) AS event_at,
    epoch_us(event_time) AS event_us,
    date_trunc('minute', make_timestamp(epoch_us(event_time))) AS minute_at,
    make_timestamp(epoch_us(exported_at)) AS exported_at,
    epoch_us(exported_at) AS exported_us
FROM events
{{events_of_dates}};
