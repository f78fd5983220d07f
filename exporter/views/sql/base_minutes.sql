-- The minutes in which something happened, as microseconds and as TIMESTAMP. Internal.
SELECT minute_us, MIN(minute_at) AS minute_at
FROM (
    SELECT event_us - event_us % 60000000 AS minute_us, minute_at
    FROM timely_events
    UNION ALL
    SELECT end_us - end_us % 60000000, end_minute_at
    FROM newest_sessions
    WHERE end_us >= 0
) moments
GROUP BY minute_us
