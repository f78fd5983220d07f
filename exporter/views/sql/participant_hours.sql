-- The time that participants were connected, by stage and UTC day: an estimate, not an invoice.
-- low: until their own last event where nothing says when they left. high: until the end of the session, or until it was
-- last seen. Both stand side by side as bounds 0 and 1 up to the last step.
WITH days AS (
    SELECT stage_arn, bound, replica_code, guess_code, started_us, end_us,
        started_us - started_us % 86400000000 AS first_us,
        end_us - end_us % 86400000000 AS last_us
    FROM (
        SELECT i.stage_arn AS stage_arn, b.bound AS bound, i.replica_code AS replica_code, i.started_us AS started_us,
            CASE WHEN b.bound = 0 THEN i.low_us ELSE i.high_us END AS end_us,
            CASE WHEN i.end_reason = 'stopped' THEN 0 ELSE 1 END AS guess_code
        FROM interval_facts i
        CROSS JOIN (SELECT 0 AS bound UNION ALL SELECT 1 AS bound) b
        WHERE i.kind = 'join'
    ) stays
),
-- Of each stay the part on its first day (0) and that on its last (1). The whole days between are counted as a level,
-- which goes up after the first day (2) and down with the last (3).
parts AS (
    SELECT d.stage_arn AS stage_arn, d.bound AS bound, d.replica_code AS replica_code, d.guess_code AS guess_code,
        CASE
            WHEN p.piece = 0 THEN d.first_us
            WHEN p.piece = 2 THEN d.first_us + 86400000000
            ELSE d.last_us
        END AS midnight_us,
        CASE WHEN p.piece = 0 THEN 1 ELSE 0 END AS begun,
        CASE WHEN p.piece = 2 THEN 1 WHEN p.piece = 3 THEN -1 ELSE 0 END AS step,
        CASE
            WHEN p.piece = 0 AND d.last_us = d.first_us THEN d.end_us - d.started_us
            WHEN p.piece = 0 THEN d.first_us + 86400000000 - d.started_us
            WHEN p.piece = 1 THEN d.end_us - d.last_us
            ELSE 0
        END AS part_us
    FROM days d
    CROSS JOIN (
        SELECT 0 AS piece UNION ALL SELECT 1 AS piece UNION ALL SELECT 2 AS piece UNION ALL SELECT 3 AS piece
    ) p
    WHERE p.piece = 0 OR (p.piece = 1 AND d.last_us > d.first_us)
        OR (p.piece > 1 AND d.last_us > d.first_us + 86400000000)
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
    FROM (
        SELECT stage_arn, bound, replica_code, guess_code, midnight_us, whole, next_us
        FROM levels
        WHERE whole > 0 AND next_us > midnight_us + 86400000000
    ) l
    CROSS JOIN base_days d
    WHERE d.day_us > l.midnight_us AND d.day_us < l.next_us
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
        AS replica_hours_high,
    MAX(n.stage_name) AS stage_name
FROM filled f
JOIN base_days d ON d.day_us = f.midnight_us
LEFT JOIN stage_names n ON n.stage_arn = f.stage_arn
GROUP BY f.stage_arn, d.day
-- A stay that ends at midnight is not there on the day that begins.
HAVING SUM(f.begins + f.total_us) > 0
