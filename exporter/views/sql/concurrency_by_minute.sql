-- A session's minute in which something began or ended: the most at once in it, and how many at its end.
-- An interval goes from its start up to, and without, its end; one of length zero counts nowhere.
WITH changes AS (
    SELECT stage_arn, session_id, kind, moment_us, moment_at,
        CAST(SUM(step) AS BIGINT) AS change, CAST(SUM(own_step) AS BIGINT) AS own_change
    FROM (
        SELECT stage_arn, session_id, kind, started_us AS moment_us, started_at AS moment_at, 1 AS step,
            1 - replica_code AS own_step
        FROM interval_facts
        WHERE counted_us > started_us
        UNION ALL
        SELECT stage_arn, session_id, kind, counted_us, counted_at, -1, replica_code - 1
        FROM interval_facts
        WHERE counted_us > started_us
    ) steps
    GROUP BY stage_arn, session_id, kind, moment_us, moment_at
),
levels AS (
    SELECT stage_arn, session_id, kind, moment_us, moment_at, change, own_change,
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
    SELECT stage_arn, session_id, kind, DATE_TRUNC('minute', moment_at) AS minute_at,
        moment_us - moment_us % 86400000000 AS midnight_us,
        CASE WHEN moment_us % 60000000 > 0 AND change < 0 THEN level_after - change ELSE level_after END AS most,
        CASE
            WHEN moment_us % 60000000 > 0 AND own_change < 0 THEN own_level_after - own_change ELSE own_level_after
        END AS own_most,
        CASE WHEN from_end = 1 THEN level_after ELSE 0 END AS level_last,
        CASE WHEN from_end = 1 THEN own_level_after ELSE 0 END AS own_level_last
    FROM levels
)
SELECT m.stage_arn AS stage_arn, m.session_id AS session_id, m.kind AS kind, m.minute_at AS minute,
    MAX(m.most) AS peak, MAX(m.level_last) AS at_end, MAX(m.own_most) AS peak_own, MAX(m.own_level_last) AS at_end_own
FROM minutes m
JOIN base_days d ON d.day_us = m.midnight_us
GROUP BY m.stage_arn, m.session_id, m.kind, m.minute_at
