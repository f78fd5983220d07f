-- The time that participants were connected, by stage and UTC day: an estimate, not an invoice.
-- low: until their own last event where nothing tells when they left; high: until the session's end, or until it was
-- last seen. Both stand side by side as bounds 0 and 1 up to the last step.
WITH stays AS (
    SELECT stage_arn, 0 AS bound, replica_code, started_us, low_us AS end_us,
        CASE WHEN end_reason = 'stopped' THEN 0 ELSE 1 END AS guess_code
    FROM interval_facts
    WHERE kind = 'join'
    UNION ALL
    SELECT stage_arn, 1, replica_code, started_us, high_us, CASE WHEN end_reason = 'stopped' THEN 0 ELSE 1 END
    FROM interval_facts
    WHERE kind = 'join'
),
days AS (
    SELECT stage_arn, bound, replica_code, guess_code, started_us, end_us,
        started_us - started_us % 86400000000 AS first_us,
        end_us - end_us % 86400000000 AS last_us
    FROM stays
),
-- Of each stay the part on its first day and that on its last; the whole days between are counted as a level, which
-- goes up after the first day and down with the last.
parts AS (
    SELECT stage_arn, bound, replica_code, guess_code, first_us AS midnight_us, 1 AS begun, 0 AS step,
        CASE WHEN last_us = first_us THEN end_us ELSE first_us + 86400000000 END - started_us AS part_us
    FROM days
    UNION ALL
    SELECT stage_arn, bound, replica_code, guess_code, last_us, 0, 0, end_us - last_us
    FROM days
    WHERE last_us > first_us
    UNION ALL
    SELECT stage_arn, bound, replica_code, guess_code, first_us + 86400000000, 0, 1, 0
    FROM days
    WHERE last_us > first_us + 86400000000
    UNION ALL
    SELECT stage_arn, bound, replica_code, guess_code, last_us, 0, -1, 0
    FROM days
    WHERE last_us > first_us + 86400000000
),
by_day AS (
    SELECT stage_arn, bound, replica_code, guess_code, midnight_us,
        CAST(SUM(begun) AS BIGINT) AS begins, CAST(SUM(step) AS BIGINT) AS steps,
        CAST(SUM(part_us) AS BIGINT) AS parts_us
    FROM parts
    GROUP BY stage_arn, bound, replica_code, guess_code, midnight_us
),
levels AS (
    SELECT stage_arn, bound, replica_code, guess_code, midnight_us, begins, parts_us,
        CAST(SUM(steps) OVER (
            PARTITION BY stage_arn, bound, replica_code, guess_code ORDER BY midnight_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS BIGINT) AS whole,
        LEAD(midnight_us, 1, -1) OVER (
            PARTITION BY stage_arn, bound, replica_code, guess_code ORDER BY midnight_us
        ) AS next_us
    FROM by_day
),
-- A level goes on until it changes, so the days without a change are made here.
filled AS (
    SELECT stage_arn, bound, replica_code, guess_code, midnight_us, begins,
        parts_us + whole * 86400000000 AS total_us
    FROM levels
    UNION ALL
    SELECT l.stage_arn, l.bound, l.replica_code, l.guess_code, d.day_us, 0, l.whole * 86400000000
    FROM levels l
    CROSS JOIN base_days d
    WHERE l.whole > 0 AND l.next_us > l.midnight_us + 86400000000
        AND d.day_us > l.midnight_us AND d.day_us < l.next_us
)
SELECT f.stage_arn AS stage_arn, d.day AS day,
    CAST(SUM(CASE WHEN f.bound = 0 THEN f.begins ELSE 0 END) AS BIGINT) AS joins,
    SUM(CASE WHEN f.bound = 0 THEN f.total_us ELSE 0 END) / CAST(3600000000 AS DOUBLE) AS hours_low,
    SUM(CASE WHEN f.bound = 1 THEN f.total_us ELSE 0 END) / CAST(3600000000 AS DOUBLE) AS hours_high,
    SUM(CASE WHEN f.bound = 0 THEN f.total_us * f.guess_code ELSE 0 END) / CAST(3600000000 AS DOUBLE)
        AS guessed_hours_low,
    SUM(CASE WHEN f.bound = 1 THEN f.total_us * f.guess_code ELSE 0 END) / CAST(3600000000 AS DOUBLE)
        AS guessed_hours_high,
    SUM(CASE WHEN f.bound = 0 THEN f.total_us * f.replica_code ELSE 0 END) / CAST(3600000000 AS DOUBLE)
        AS replica_hours_low,
    SUM(CASE WHEN f.bound = 1 THEN f.total_us * f.replica_code ELSE 0 END) / CAST(3600000000 AS DOUBLE)
        AS replica_hours_high
FROM filled f
JOIN base_days d ON d.day_us = f.midnight_us
GROUP BY f.stage_arn, d.day
