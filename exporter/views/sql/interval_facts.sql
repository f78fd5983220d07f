-- One start and what ended it, with all that other views count with. Internal; `intervals` has its columns for use.
-- Times stand as TIMESTAMP and as microseconds, for no arithmetic on times is the same on every engine.
-- Numbers for no: -1 of a step or a time that is not there.
WITH signals AS (
    SELECT stage_arn, session_id, participant_id, event_id, event_at, event_us, replica_flag,
        CASE
            WHEN event_name IN ('JOINED', 'LEFT') THEN 'join'
            WHEN event_name IN ('PUBLISH_STARTED', 'PUBLISH_STOPPED') THEN 'publish'
            WHEN event_name IN ('SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED') THEN 'subscribe'
            ELSE 'replication'
        END AS kind,
        CASE
            WHEN event_name IN ('SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED') THEN remote_id
            WHEN event_name IN ('REPLICATION_STARTED', 'REPLICATION_STOPPED') THEN destination_id
            ELSE ''
        END AS peer,
        CAST(CASE
            WHEN event_name IN ('JOINED', 'PUBLISH_STARTED', 'SUBSCRIBE_STARTED', 'REPLICATION_STARTED') THEN 1
            ELSE 0
        END AS BIGINT) AS step
    FROM base_events
    WHERE event_name IN (
        'JOINED', 'LEFT', 'PUBLISH_STARTED', 'PUBLISH_STOPPED', 'SUBSCRIBE_STARTED', 'SUBSCRIBE_STOPPED',
        'REPLICATION_STARTED', 'REPLICATION_STOPPED'
    )
),
-- Within a participant, kind and peer: time, then stop before start, then id.
neighbours AS (
    SELECT stage_arn, session_id, participant_id, kind, peer, step, event_at, event_us, replica_flag,
        LEAD(step, 1, -1) OVER own AS next_step,
        LEAD(event_us, 1, -1) OVER own AS next_us,
        LEAD(event_at, 1) OVER own AS next_at,
        LEAD(replica_flag, 1, 0) OVER own AS next_flag,
        LAG(step, 1, -1) OVER own AS last_step,
        LAG(event_us, 1, -1) OVER own AS last_us,
        LAG(step, 2, -1) OVER own AS last_but_one_step
    FROM signals
    WINDOW own AS (
        PARTITION BY stage_arn, session_id, participant_id, kind, peer ORDER BY event_us, step, event_id
    )
),
-- A start right after a stop of the same instant that ended nothing has length zero.
paired AS (
    SELECT stage_arn, session_id, participant_id, kind, peer, step, event_at, event_us, next_step, next_us, next_at,
        CASE WHEN replica_flag = 1 OR (next_step = 0 AND next_flag = 1) THEN 1 ELSE 0 END AS flag_code,
        CASE
            WHEN step = 1 AND next_step <> 0 AND last_step = 0 AND last_us = event_us AND last_but_one_step <> 1
            THEN 1 ELSE 0
        END AS is_zero
    FROM neighbours
    WHERE step = 1 OR kind = 'join'
),
-- What the participant's stays say of its other intervals. A later LEFT follows in time; one of the same instant
-- stands before the start in this order, and counts where the participant is out after it.
among_stays AS (
    SELECT stage_arn, session_id, participant_id, kind, peer, step, event_at, event_us, next_step, next_us, next_at,
        flag_code, is_zero,
        COALESCE(MIN(CASE WHEN kind = 'join' AND step = 0 THEN event_us END) OVER later, -1) AS left_us,
        MIN(CASE WHEN kind = 'join' AND step = 0 THEN event_at END) OVER later AS left_at,
        COALESCE(MAX(CASE WHEN kind = 'join' AND step = 0 THEN event_us END) OVER sooner, -1) AS left_before_us,
        COALESCE(MAX(CASE WHEN kind = 'join' AND step = 1 AND is_zero = 0 THEN event_us END) OVER sooner, -1)
            AS joined_before_us
    FROM paired
    WINDOW later AS (PARTITION BY stage_arn, session_id, participant_id ORDER BY event_us DESC, step DESC),
        sooner AS (PARTITION BY stage_arn, session_id, participant_id ORDER BY event_us, step)
),
ended AS (
    SELECT stage_arn, session_id, participant_id, kind, peer, event_at, event_us, next_us, next_at, flag_code,
        left_us, left_at,
        CASE
            WHEN next_step = 0 THEN 'stopped'
            WHEN is_zero = 1 THEN 'same_instant'
            WHEN kind <> 'join' AND left_before_us = event_us AND joined_before_us < event_us THEN 'left_at_once'
            WHEN kind <> 'join' AND left_us >= 0 AND (next_us < 0 OR left_us <= next_us) THEN 'left'
            WHEN next_step = 1 THEN 'restarted'
            ELSE 'unknown'
        END AS ended_by
    FROM among_stays
    WHERE step = 1
),
within AS (
    SELECT e.stage_arn AS stage_arn, e.session_id AS session_id, e.participant_id AS participant_id,
        e.kind AS kind, e.peer AS peer, e.event_at AS started_at, e.event_us AS started_us,
        CASE
            WHEN e.ended_by IN ('stopped', 'restarted') THEN e.next_us
            WHEN e.ended_by = 'left' THEN e.left_us
            WHEN e.ended_by IN ('same_instant', 'left_at_once') THEN e.event_us
            WHEN s.end_us < 0 THEN -1
            WHEN s.end_us < e.event_us THEN e.event_us
            ELSE s.end_us
        END AS known_end_us,
        CASE
            WHEN e.ended_by IN ('stopped', 'restarted') THEN e.next_at
            WHEN e.ended_by = 'left' THEN e.left_at
            WHEN e.ended_by IN ('same_instant', 'left_at_once') THEN e.event_at
            WHEN s.end_us < 0 THEN NULL
            WHEN s.end_us < e.event_us THEN e.event_at
            ELSE s.end_at
        END AS known_end_at,
        CASE
            WHEN e.ended_by = 'left_at_once' THEN 'left'
            WHEN e.ended_by <> 'unknown' THEN e.ended_by
            WHEN s.end_us < 0 THEN 'open'
            ELSE 'session_end'
        END AS end_reason,
        u.last_us AS own_last_us, u.last_at AS own_last_at,
        s.last_us AS session_last_us, s.last_at AS session_last_at,
        s.seen_us AS seen_us, s.seen_at AS seen_at,
        u.replica_code AS replica_code, e.flag_code AS flag_code
    FROM ended e
    JOIN unit_facts u
        ON u.stage_arn = e.stage_arn AND u.session_id = e.session_id AND u.participant_id = e.participant_id
    JOIN session_facts s ON s.stage_arn = e.stage_arn AND s.session_id = e.session_id
)
SELECT w.stage_arn AS stage_arn, w.session_id AS session_id, w.participant_id AS participant_id,
    w.kind AS kind, w.peer AS peer, w.started_at AS started_at, w.started_us AS started_us,
    w.known_end_at AS ended_at,
    -- The end to count with: where nothing tells it, the session's last event.
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
        WHEN COALESCE(p.replication_code, 0) = 2 THEN 1
        WHEN COALESCE(p.replication_code, 0) = 1 THEN 0
        ELSE w.flag_code
    END AS peer_replica_code
FROM within w
LEFT JOIN unit_facts p
    ON p.stage_arn = w.stage_arn AND p.session_id = w.session_id AND p.participant_id = w.peer
