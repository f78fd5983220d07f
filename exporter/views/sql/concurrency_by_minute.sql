-- A minute of a session in which something began or ended: the most at once in it, and how many at its end.
-- An interval goes from its start up to, and without, its end. One of length zero counts nowhere; one that is open ends
-- after all moments, also where its start is the last that is known of the session.
-- All that begins in a session also ends, so the sum of its steps is 0, and sums may run on from one session to the next. A
-- few large parts are faster than one for each session, and still let several machines work.
WITH facts AS (
    SELECT stage_arn, session_id, session_number, kind, lane, started_us, replica_code,
        CASE WHEN end_reason = 'open' THEN CAST(9000000000000000000 AS BIGINT) ELSE counted_us END AS over_us
    FROM interval_facts
    WHERE counted_us > started_us OR end_reason = 'open'
),
steps AS (
    SELECT i.session_number AS session_number, i.lane AS lane,
        CASE WHEN s.step = 1 THEN i.started_us ELSE i.over_us END AS moment_us,
        s.step AS step, s.step * (1 - i.replica_code) AS own_step
    FROM facts i
    CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
),
-- The frame goes up to the last row of the same instant, so a level is that after all that happens at it.
levels AS (
    SELECT session_number, lane, moment_us, step, own_step,
        SUM(step) OVER passed AS level_after,
        SUM(own_step) OVER passed AS own_level_after
    FROM steps
    WINDOW passed AS (PARTITION BY session_number % 8 ORDER BY lane, moment_us)
),
minutes AS (
    SELECT lane, moment_us - moment_us % 60000000 AS minute_us,
        MIN(moment_us) AS first_us, SUM(step) AS change, SUM(own_step) AS own_change,
        MAX(level_after) AS most, MAX(own_level_after) AS own_most
    FROM levels
    GROUP BY lane, moment_us - moment_us % 60000000
),
ends AS (
    SELECT lane, minute_us, first_us, change, own_change, most, own_most,
        SUM(change) OVER passed AS level_last,
        SUM(own_change) OVER passed AS own_level_last
    FROM minutes
    WINDOW passed AS (PARTITION BY lane ORDER BY minute_us)
),
lanes AS (
    SELECT lane, stage_arn, session_id, kind
    FROM facts
    GROUP BY lane, stage_arn, session_id, kind
)
-- What was there before a minute counts in it, but where its first change comes with its beginning.
SELECT l.stage_arn AS stage_arn, l.session_id AS session_id, l.kind AS kind, m.minute_at AS minute,
    CAST(CASE
        WHEN e.first_us > e.minute_us AND e.level_last - e.change > e.most THEN e.level_last - e.change ELSE e.most
    END AS BIGINT) AS peak,
    CAST(e.level_last AS BIGINT) AS at_end,
    CAST(CASE
        WHEN e.first_us > e.minute_us AND e.own_level_last - e.own_change > e.own_most
        THEN e.own_level_last - e.own_change ELSE e.own_most
    END AS BIGINT) AS peak_own,
    CAST(e.own_level_last AS BIGINT) AS at_end_own
FROM ends e
JOIN lanes l ON l.lane = e.lane
JOIN base_minutes m ON m.minute_us = e.minute_us
JOIN base_days d ON d.day_us = e.minute_us - e.minute_us % 86400000000
