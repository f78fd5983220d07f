-- A minute of a session in which something began or ended: the most at once in it, and how many at its end.
-- An interval goes from its start up to, and without, its end. One of length zero counts nowhere.
WITH steps AS (
    SELECT i.stage_arn AS stage_arn, i.session_id AS session_id, i.session_number AS session_number, i.kind AS kind,
        CASE WHEN s.step = 1 THEN i.started_us ELSE i.counted_us END AS moment_us,
        s.step AS step, s.step * (1 - i.replica_code) AS own_step
    FROM interval_facts i
    CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
    WHERE i.counted_us > i.started_us
),
-- The frame goes up to the last row of the same instant, so a level is that after all that happens at it.
levels AS (
    SELECT stage_arn, session_id, session_number, kind, moment_us, step, own_step,
        SUM(step) OVER passed AS level_after,
        SUM(own_step) OVER passed AS own_level_after
    FROM steps
    WINDOW passed AS (PARTITION BY session_number, kind ORDER BY moment_us)
),
minutes AS (
    SELECT stage_arn, session_id, session_number, kind, moment_us - moment_us % 60000000 AS minute_us,
        MIN(moment_us) AS first_us, SUM(step) AS change, SUM(own_step) AS own_change,
        MAX(level_after) AS most, MAX(own_level_after) AS own_most
    FROM levels
    GROUP BY stage_arn, session_id, session_number, kind, moment_us - moment_us % 60000000
),
ends AS (
    SELECT stage_arn, session_id, kind, minute_us, first_us, change, own_change, most, own_most,
        SUM(change) OVER passed AS level_last,
        SUM(own_change) OVER passed AS own_level_last
    FROM minutes
    WINDOW passed AS (PARTITION BY session_number, kind ORDER BY minute_us)
)
-- What was there before a minute counts in it, but where its first change comes with its beginning.
SELECT e.stage_arn AS stage_arn, e.session_id AS session_id, e.kind AS kind, m.minute_at AS minute,
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
JOIN base_minutes m ON m.minute_us = e.minute_us
JOIN base_days d ON d.day_us = e.minute_us - e.minute_us % 86400000000
