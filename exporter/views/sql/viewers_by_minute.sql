-- A minute of a session in which somebody began to watch, or ended: the most viewers at once in it, each counted once
-- however many it watches, and how many at its end. As in concurrency_by_minute.
WITH steps AS (
    SELECT v.session_number AS session_number,
        CASE WHEN s.step = 1 THEN v.from_us ELSE v.over_us END AS moment_us,
        s.step AS step, s.step * (1 - v.replica_code) AS own_step
    FROM viewing_facts v
    CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
),
levels AS (
    SELECT session_number, moment_us, step, own_step,
        SUM(step) OVER passed AS level_after,
        SUM(own_step) OVER passed AS own_level_after
    FROM steps
    WINDOW passed AS (PARTITION BY session_number % 8 ORDER BY session_number, moment_us)
),
minutes AS (
    SELECT session_number, moment_us - moment_us % 60000000 AS minute_us,
        MIN(moment_us) AS first_us, SUM(step) AS change, SUM(own_step) AS own_change,
        MAX(level_after) AS most, MAX(own_level_after) AS own_most
    FROM levels
    GROUP BY session_number, moment_us - moment_us % 60000000
),
ends AS (
    SELECT session_number, minute_us, first_us, change, own_change, most, own_most,
        SUM(change) OVER passed AS level_last,
        SUM(own_change) OVER passed AS own_level_last
    FROM minutes
    WINDOW passed AS (PARTITION BY session_number ORDER BY minute_us)
),
sessions_of_all AS (
    SELECT session_number, stage_arn, session_id
    FROM viewing_facts
    GROUP BY session_number, stage_arn, session_id
)
SELECT n.stage_arn AS stage_arn, n.session_id AS session_id, m.minute_at AS minute,
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
JOIN sessions_of_all n ON n.session_number = e.session_number
JOIN base_minutes m ON m.minute_us = e.minute_us
JOIN base_days d ON d.day_us = e.minute_us - e.minute_us % 86400000000
