-- One start and what ended it, with all that other views count with. Internal: `intervals` has what is for use.
-- Times stand as TIMESTAMP and as microseconds, for no arithmetic on times is the same on every engine.
-- Numbers for no: -1 of a step or a time that is not there.
WITH replication_rows AS (
    SELECT stage_arn, session_id, participant_id, CASE WHEN replication_type = 'REPLICA' THEN 2 ELSE 1 END AS row_code
    FROM participants_now
    WHERE replication_type IS NOT NULL
),
known AS (
    SELECT stage_arn, session_id, participant_id, replica_code, last_us, last_at, seen_us, seen_at
    FROM unit_facts
),
sessions_of_all AS (
    SELECT stage_arn, session_id, MAX(over_us) AS end_us, MAX(over_at) AS end_at, MAX(moment_us) AS last_us,
        MAX(moment_at) AS last_at, MAX(exported_us) AS seen_us, MAX(exported_at) AS seen_at
    FROM (
        SELECT stage_arn, session_id, CAST(-1 AS BIGINT) AS over_us, NULL AS over_at, last_us AS moment_us,
            last_at AS moment_at, seen_us AS exported_us, seen_at AS exported_at
        FROM known
        UNION ALL
        SELECT stage_arn, session_id, end_us, end_at, CAST(-1 AS BIGINT), NULL, seen_us, seen_at
        FROM session_rows
    ) moments
    GROUP BY stage_arn, session_id
),
-- A number for each participant of a session, for each session, and below for each kind (0 a stay, 1 a publication, 2 a
-- subscription, 3 a replication): what is sorted by a number is sorted fast.
units AS (
    SELECT u.stage_arn AS stage_arn, u.session_id AS session_id, u.participant_id AS participant_id,
        ROW_NUMBER() OVER (ORDER BY u.participant_id, u.session_id, u.stage_arn) AS unit,
        s.session_number AS session_number,
        u.replica_code AS replica_code, u.last_us AS own_last_us, u.last_at AS own_last_at,
        s.end_us AS end_us, s.end_at AS end_at, s.last_us AS session_last_us, s.last_at AS session_last_at,
        s.seen_us AS seen_us, s.seen_at AS seen_at
    FROM known u
    JOIN (
        SELECT stage_arn, session_id, ROW_NUMBER() OVER (ORDER BY session_id, stage_arn) AS session_number,
            end_us, end_at, last_us, last_at, seen_us, seen_at
        FROM sessions_of_all
    ) s ON s.stage_arn = u.stage_arn AND s.session_id = u.session_id
    WHERE u.last_us >= 0
),
-- The events that begin and end something; step is 1 of a start, 0 of a stop.
names AS (
    SELECT 'JOINED' AS event_name, 0 AS kind_code, CAST(1 AS BIGINT) AS step
    UNION ALL SELECT 'LEFT', 0, CAST(0 AS BIGINT)
    UNION ALL SELECT 'PUBLISH_STARTED', 1, CAST(1 AS BIGINT)
    UNION ALL SELECT 'PUBLISH_STOPPED', 1, CAST(0 AS BIGINT)
    UNION ALL SELECT 'SUBSCRIBE_STARTED', 2, CAST(1 AS BIGINT)
    UNION ALL SELECT 'SUBSCRIBE_STOPPED', 2, CAST(0 AS BIGINT)
    UNION ALL SELECT 'REPLICATION_STARTED', 3, CAST(1 AS BIGINT)
    UNION ALL SELECT 'REPLICATION_STOPPED', 3, CAST(0 AS BIGINT)
),
signals AS (
    SELECT u.unit AS unit, e.event_id AS event_id, e.event_at AS event_at, e.event_us AS event_us,
        e.replica_flag AS replica_flag, n.kind_code AS kind_code, n.step AS step,
        CASE n.kind_code WHEN 2 THEN e.remote_id WHEN 3 THEN e.destination_id ELSE '' END AS peer
    FROM timely_events e
    JOIN names n ON n.event_name = e.event_name
    JOIN units u
        ON u.participant_id = e.participant_id AND u.session_id = e.session_id AND u.stage_arn = e.stage_arn
),
-- Within a participant, kind and peer: time, then stop before start, then id.
neighbours AS (
    SELECT unit, kind_code, peer, step, event_at, event_us, replica_flag,
        LEAD(step, 1, -1) OVER own AS next_step,
        LEAD(event_us, 1, -1) OVER own AS next_us,
        LEAD(event_at, 1) OVER own AS next_at,
        LEAD(replica_flag, 1, 0) OVER own AS next_flag,
        LAG(step, 1, -1) OVER own AS last_step,
        LAG(event_us, 1, -1) OVER own AS last_us,
        LAG(step, 2, -1) OVER own AS last_but_one_step
    FROM signals
    WINDOW own AS (
        PARTITION BY unit, kind_code, peer ORDER BY event_us, step, event_id
    )
),
-- A start right after a stop of the same instant that ended nothing has length zero.
paired AS (
    SELECT unit, kind_code, peer, step, event_at, event_us, next_step, next_us, next_at,
        CASE WHEN replica_flag = 1 OR (next_step = 0 AND next_flag = 1) THEN 1 ELSE 0 END AS flag_code,
        CASE
            WHEN step = 1 AND next_step <> 0 AND last_step = 0 AND last_us = event_us AND last_but_one_step <> 1
            THEN 1 ELSE 0
        END AS is_zero
    FROM neighbours
    WHERE step = 1 OR kind_code = 0
),
-- What no stop has ended may have ended with its participant's stay. So each start gets three times, from its own
-- instant on: of the first LEFT, of the first JOINED that is no stay of length zero, and of the first LEFT that ends such
-- a stay.
among_stays AS (
    SELECT unit, kind_code, peer, step, event_at, event_us, next_step, next_us, next_at, flag_code, is_zero,
        COALESCE(MIN(CASE WHEN kind_code = 0 AND step = 0 THEN event_us END) OVER since, -1) AS left_us,
        MIN(CASE WHEN kind_code = 0 AND step = 0 THEN event_at END) OVER since AS left_at,
        COALESCE(MIN(CASE WHEN kind_code = 0 AND step = 1 AND is_zero = 0 THEN event_us END) OVER since, -1) AS back_us,
        COALESCE(MIN(CASE WHEN kind_code = 0 AND step = 1 AND next_step = 0 THEN next_us END) OVER since, -1)
            AS left_again_us,
        MIN(CASE WHEN kind_code = 0 AND step = 1 AND next_step = 0 THEN next_at END) OVER since AS left_again_at
    FROM paired
    WHERE kind_code = 0 OR (next_step <> 0 AND is_zero = 0)
    WINDOW since AS (PARTITION BY unit ORDER BY event_us DESC)
),
-- A LEFT of the same instant ends what began there, unless the participant came back at that instant: then the next
-- LEFT does.
left_by AS (
    SELECT unit, kind_code, peer, event_at, event_us, next_step, next_us, next_at, flag_code, is_zero,
        CASE WHEN left_us = event_us AND back_us = event_us THEN left_again_us ELSE left_us END AS out_us,
        CASE WHEN left_us = event_us AND back_us = event_us THEN left_again_at ELSE left_at END AS out_at
    FROM among_stays
    WHERE step = 1
    UNION ALL
    SELECT unit, kind_code, peer, event_at, event_us, next_step, next_us, next_at, flag_code, is_zero,
        CAST(-1 AS BIGINT), NULL
    FROM paired
    WHERE kind_code <> 0 AND (next_step = 0 OR is_zero = 1)
),
ended AS (
    SELECT unit, kind_code, peer, event_at, event_us, next_us, next_at, flag_code, out_us, out_at,
        CASE
            WHEN next_step = 0 THEN 'stopped'
            WHEN is_zero = 1 THEN 'same_instant'
            WHEN kind_code <> 0 AND out_us >= 0 AND (next_us < 0 OR out_us <= next_us) THEN 'left'
            WHEN next_step = 1 THEN 'restarted'
            ELSE 'unknown'
        END AS ended_by
    FROM left_by
),
within AS (
    SELECT u.stage_arn AS stage_arn, u.session_id AS session_id, u.participant_id AS participant_id,
        u.unit AS unit, u.session_number AS session_number,
        CASE e.kind_code
            WHEN 0 THEN 'join'
            WHEN 1 THEN 'publish'
            WHEN 2 THEN 'subscribe'
            ELSE 'replication'
        END AS kind,
        -- One number for a session and a kind together.
        u.session_number * 4 + e.kind_code AS lane,
        e.peer AS peer, e.event_at AS started_at, e.event_us AS started_us,
        CASE
            WHEN e.ended_by IN ('stopped', 'restarted') THEN e.next_us
            WHEN e.ended_by = 'left' THEN e.out_us
            WHEN e.ended_by = 'same_instant' THEN e.event_us
            WHEN u.end_us < 0 THEN -1
            WHEN u.end_us < e.event_us THEN e.event_us
            ELSE u.end_us
        END AS known_end_us,
        CASE
            WHEN e.ended_by IN ('stopped', 'restarted') THEN e.next_at
            WHEN e.ended_by = 'left' THEN e.out_at
            WHEN e.ended_by = 'same_instant' THEN e.event_at
            WHEN u.end_us < 0 THEN NULL
            WHEN u.end_us < e.event_us THEN e.event_at
            ELSE u.end_at
        END AS known_end_at,
        CASE
            WHEN e.ended_by <> 'unknown' THEN e.ended_by
            WHEN u.end_us < 0 THEN 'open'
            ELSE 'session_end'
        END AS end_reason,
        u.own_last_us AS own_last_us, u.own_last_at AS own_last_at,
        u.session_last_us AS session_last_us, u.session_last_at AS session_last_at,
        u.seen_us AS seen_us, u.seen_at AS seen_at,
        u.replica_code AS replica_code, e.flag_code AS flag_code
    FROM ended e
    JOIN units u ON u.unit = e.unit
)
SELECT w.stage_arn AS stage_arn, w.session_id AS session_id, w.participant_id AS participant_id,
    w.unit AS unit, w.session_number AS session_number,
    w.kind AS kind, w.lane AS lane, w.peer AS peer, w.started_at AS started_at, w.started_us AS started_us,
    w.known_end_at AS ended_at,
    -- The end to count with: where nothing says it, the last event of the session.
    CASE WHEN w.end_reason = 'open' THEN w.session_last_at ELSE w.known_end_at END AS counted_at,
    CASE WHEN w.end_reason = 'open' THEN w.session_last_us ELSE w.known_end_us END AS counted_us,
    -- So long at least, and so long at most.
    CASE
        WHEN w.end_reason = 'open' THEN w.session_last_at
        WHEN w.end_reason = 'session_end' THEN w.own_last_at
        ELSE w.known_end_at
    END AS until_at,
    CASE WHEN w.end_reason IN ('open', 'session_end') THEN w.own_last_us ELSE w.known_end_us END AS low_us,
    CASE
        WHEN w.end_reason = 'open' AND w.seen_us > w.session_last_us THEN w.seen_at
        WHEN w.end_reason = 'open' THEN w.session_last_at
        WHEN w.end_reason = 'session_end' AND w.own_last_us > w.known_end_us THEN w.own_last_at
        ELSE w.known_end_at
    END AS until_max_at,
    CASE
        WHEN w.end_reason = 'open' AND w.seen_us > w.session_last_us THEN w.seen_us
        WHEN w.end_reason = 'open' THEN w.session_last_us
        WHEN w.end_reason = 'session_end' AND w.own_last_us > w.known_end_us THEN w.own_last_us
        ELSE w.known_end_us
    END AS high_us,
    w.end_reason AS end_reason, w.replica_code AS replica_code,
    CASE
        WHEN w.kind <> 'subscribe' THEN 0
        WHEN COALESCE(p.row_code, 0) = 2 THEN 1
        WHEN COALESCE(p.row_code, 0) = 1 THEN 0
        ELSE w.flag_code
    END AS peer_replica_code
FROM within w
LEFT JOIN replication_rows p
    ON p.stage_arn = w.stage_arn AND p.session_id = w.session_id AND p.participant_id = w.peer
