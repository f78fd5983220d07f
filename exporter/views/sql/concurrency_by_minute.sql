-- A session's minute in which something began or ended: the most at once in it, and how many at its end.
-- An interval goes from its start up to, and without, its end; one of length zero counts nowhere.
WITH changes AS (
    SELECT stage_arn, session_id, kind, moment_us,
        CAST(SUM(step) AS BIGINT) AS change, CAST(SUM(own_step) AS BIGINT) AS own_change
    FROM (
        SELECT i.stage_arn AS stage_arn, i.session_id AS session_id, i.kind AS kind,
            CASE WHEN s.step = 1 THEN i.started_us ELSE i.counted_us END AS moment_us,
            s.step AS step, s.step * (1 - i.replica_code) AS own_step
        FROM interval_facts i
        CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
        WHERE i.counted_us > i.started_us
    ) steps
    GROUP BY stage_arn, session_id, kind, moment_us
),
levels AS (
    SELECT stage_arn, session_id, kind, moment_us, change, own_change,
        CAST(SUM(change) OVER steps AS BIGINT) AS level_after,
        CAST(SUM(own_change) OVER steps AS BIGINT) AS own_level_after,
        ROW_NUMBER() OVER (
            PARTITION BY stage_arn, session_id, kind, moment_us - moment_us % 60000000 ORDER BY moment_us DESC
        ) AS from_end
    FROM changes
    WINDOW steps AS (
        PARTITION BY stage_arn, session_id, kind ORDER BY moment_us ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),
-- What was there before a change counts in its minute, but where the change comes with the minute's beginning.
minutes AS (
    SELECT stage_arn, session_id, kind, moment_us - moment_us % 60000000 AS minute_us,
        CASE WHEN moment_us % 60000000 > 0 AND change < 0 THEN level_after - change ELSE level_after END AS most,
        CASE
            WHEN moment_us % 60000000 > 0 AND own_change < 0 THEN own_level_after - own_change ELSE own_level_after
        END AS own_most,
        CASE WHEN from_end = 1 THEN level_after ELSE 0 END AS level_last,
        CASE WHEN from_end = 1 THEN own_level_after ELSE 0 END AS own_level_last
    FROM levels
),
by_minute AS (
    SELECT stage_arn, session_id, kind, minute_us, MAX(most) AS peak_level, MAX(level_last) AS last_level,
        MAX(own_most) AS own_peak_level, MAX(own_level_last) AS own_last_level
    FROM minutes
    GROUP BY stage_arn, session_id, kind, minute_us
)
SELECT m.stage_arn AS stage_arn, m.session_id AS session_id, m.kind AS kind, t.minute_at AS minute,
    m.peak_level AS peak, m.last_level AS at_end, m.own_peak_level AS peak_own, m.own_last_level AS at_end_own
FROM by_minute m
JOIN base_minutes t ON t.minute_us = m.minute_us
JOIN base_days d ON d.day_us = m.minute_us - m.minute_us % 86400000000
