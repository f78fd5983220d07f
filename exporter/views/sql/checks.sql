-- What is strange in the lake, each finding with its severity and how often a session has it.
WITH facts AS (
    SELECT stage_arn, session_id, participant_id, unit, kind, peer, started_us, counted_us, high_us, end_reason
    FROM interval_facts
),
-- How often which event came in a session on which day, with a code and without, and when; and of these, how often at a
-- time that can be true.
reported AS (
    SELECT stage_arn, session_id, event_name, CASE WHEN error_code <> '' THEN 1 ELSE 0 END AS has_code,
        event_us - event_us % 86400000000 AS midnight_us,
        MIN(event_us) AS first_us, MAX(event_us) AS last_us,
        CAST(COUNT(*) AS BIGINT) AS event_count,
        CAST(SUM(CASE WHEN event_us <= exported_us + 31622400000000 THEN 1 ELSE 0 END) AS BIGINT) AS timely_count
    FROM base_events
    GROUP BY stage_arn, session_id, event_name, CASE WHEN error_code <> '' THEN 1 ELSE 0 END,
        event_us - event_us % 86400000000
),
-- What is known of each session, and when its first and last events were; -1 where there is none.
known AS (
    SELECT stage_arn, session_id, MAX(row_count) AS has_row, MAX(begun_us) AS start_us, MAX(over_us) AS end_us,
        MIN(early_us) AS first_us, MAX(late_us) AS last_us, MAX(untimely) AS has_untimely
    FROM (
        SELECT stage_arn, session_id, 0 AS row_count, CAST(-1 AS BIGINT) AS begun_us, CAST(-1 AS BIGINT) AS over_us,
            first_us AS early_us, last_us AS late_us, CASE WHEN timely_count < event_count THEN 1 ELSE 0 END AS untimely
        FROM reported
        UNION ALL
        SELECT stage_arn, session_id, has_row, start_us, end_us, CAST(9000000000000000000 AS BIGINT),
            CAST(-1 AS BIGINT), 0
        FROM session_rows
    ) moments
    GROUP BY stage_arn, session_id
),
joined AS (
    SELECT stage_arn, session_id, kind, started_us,
        COALESCE(MAX(CASE WHEN kind = 'join' THEN high_us END) OVER (PARTITION BY unit ORDER BY started_us), -1)
            AS joined_until_us
    FROM facts
    WHERE kind IN ('join', 'publish', 'subscribe')
),
published AS (
    SELECT stage_arn, session_id, participant_id, MAX(has_published) AS ever_published, MAX(has_watched) AS ever_watched
    FROM (
        SELECT stage_arn, session_id, participant_id, 1 AS has_published, 0 AS has_watched
        FROM facts
        WHERE kind = 'publish'
        UNION ALL
        SELECT stage_arn, session_id, participant_id, 1, 0
        FROM participants_now
        WHERE published
        UNION ALL
        SELECT stage_arn, session_id, peer, 0, 1
        FROM facts
        WHERE kind = 'subscribe' AND peer <> ''
    ) roles
    GROUP BY stage_arn, session_id, participant_id
),
dates AS (
    SELECT midnight_us, LEAD(midnight_us, 1, -1) OVER (ORDER BY midnight_us) AS next_us
    FROM (SELECT DISTINCT midnight_us FROM reported WHERE timely_count > 0) midnights
),
findings AS (
    SELECT 'event_twice' AS name, 'error' AS severity, stage_arn, session_id,
        CAST(SUM(copies - 1) AS BIGINT) AS found
    FROM (
        SELECT e.stage_arn AS stage_arn, e.session_id AS session_id, e.participant_id AS participant_id,
            e.event_id AS event_id, COUNT(*) AS copies
        FROM base_events e
        JOIN (SELECT event_id FROM base_events GROUP BY event_id HAVING COUNT(*) > 1) t ON t.event_id = e.event_id
        GROUP BY e.stage_arn, e.session_id, e.participant_id, e.event_id
    ) ids
    WHERE copies > 1
    GROUP BY stage_arn, session_id
    UNION ALL
    -- Only of sessions that have one is each event looked at.
    SELECT 'event_outside_session', 'warn', e.stage_arn, e.session_id, COUNT(*)
    FROM base_events e
    JOIN (
        SELECT stage_arn, session_id, start_us, end_us
        FROM known
        WHERE (start_us >= 0 AND first_us < start_us - 60000000) OR (end_us >= 0 AND last_us > end_us + 900000000)
            OR has_untimely = 1
    ) s ON s.stage_arn = e.stage_arn AND s.session_id = e.session_id
    WHERE (s.start_us >= 0 AND e.event_us < s.start_us - 60000000)
        OR (s.end_us >= 0 AND e.event_us > s.end_us + 900000000)
        OR e.event_us > e.exported_us + 31622400000000
    GROUP BY e.stage_arn, e.session_id
    UNION ALL
    -- Where no session has a row the table is not written, or the lake is from before it.
    SELECT 'session_in_no_list', 'warn', k.stage_arn, k.session_id, CAST(1 AS BIGINT)
    FROM known k
    CROSS JOIN base_listed l
    WHERE k.has_row = 0 AND l.rows_of_all > 0
    UNION ALL
    SELECT CASE WHEN kind = 'publish' THEN 'publish_while_not_joined' ELSE 'subscribe_while_not_joined' END,
        'warn', stage_arn, session_id, COUNT(*)
    FROM joined
    WHERE kind <> 'join' AND joined_until_us < started_us
    GROUP BY kind, stage_arn, session_id
    UNION ALL
    SELECT 'error_without_code', 'warn', stage_arn, session_id, CAST(SUM(event_count) AS BIGINT)
    FROM reported
    WHERE event_name LIKE '%ERROR' AND has_code = 0
    GROUP BY stage_arn, session_id
    UNION ALL
    SELECT 'code_without_error', 'warn', stage_arn, session_id, CAST(SUM(event_count) AS BIGINT)
    FROM reported
    WHERE event_name NOT LIKE '%ERROR' AND has_code = 1
    GROUP BY stage_arn, session_id
    UNION ALL
    SELECT CASE WHEN kind = 'publish' THEN 'publish_over_a_day' ELSE 'subscribe_over_a_day' END,
        'warn', stage_arn, session_id, COUNT(*)
    FROM facts
    WHERE kind IN ('publish', 'subscribe') AND counted_us - started_us > 86400000000
    GROUP BY kind, stage_arn, session_id
    UNION ALL
    -- What has ended an interval is a stop with a start, and so is one that stands before it at the same instant.
    SELECT 'stop_without_start', 'info', stage_arn, session_id, CAST(SUM(stop) AS BIGINT)
    FROM (
        SELECT stage_arn, session_id, timely_count AS stop
        FROM reported
        WHERE event_name IN ('LEFT', 'PUBLISH_STOPPED', 'SUBSCRIBE_STOPPED', 'REPLICATION_STOPPED')
        UNION ALL
        SELECT stage_arn, session_id, CAST(-1 AS BIGINT)
        FROM facts
        WHERE end_reason IN ('stopped', 'same_instant')
    ) stops
    GROUP BY stage_arn, session_id
    HAVING SUM(stop) > 0
    UNION ALL
    SELECT 'unknown_event_name', 'info', stage_arn, session_id, CAST(SUM(event_count) AS BIGINT)
    FROM reported
    WHERE event_name NOT IN (
        'JOINED', 'LEFT', 'JOIN_ERROR', 'PUBLISH_STARTED', 'PUBLISH_STOPPED', 'PUBLISH_ERROR', 'SUBSCRIBE_STARTED',
        'SUBSCRIBE_STOPPED', 'SUBSCRIBE_ERROR', 'REPLICATION_STARTED', 'REPLICATION_STOPPED', 'TOKEN_EXCHANGED'
    )
    GROUP BY stage_arn, session_id
    UNION ALL
    SELECT 'subscribe_to_no_publisher', 'info', stage_arn, session_id, COUNT(*)
    FROM published
    WHERE ever_watched = 1 AND ever_published = 0
    GROUP BY stage_arn, session_id
    UNION ALL
    SELECT 'day_without_events', 'info', '', '',
        CAST(SUM((next_us - midnight_us) / CAST(86400000000 AS DOUBLE) - 1) AS BIGINT)
    FROM dates
    WHERE next_us > midnight_us + 86400000000
    HAVING COUNT(*) > 0
)
SELECT name, severity, NULLIF(stage_arn, '') AS stage_arn, NULLIF(session_id, '') AS session_id, found AS count
FROM findings
