-- The dates of all that these sessions can have: from the earliest start to the latest end, and a day around the range.
-- 60 s before a start and 15 minutes after an end are what events may be early and late.
SELECT f.day AS first_day, l.day AS last_day
FROM (
    SELECT MIN(early_us - early_us % 86400000000) AS first_us, MAX(late_us - late_us % 86400000000) AS last_us
    FROM (
        SELECT begun_us - 60000000 AS early_us,
            CASE WHEN over_us < 0 THEN {{last_us}} ELSE over_us + 900000000 END AS late_us
        FROM session_range
        WHERE begun_us >= 60000000
        UNION ALL
        SELECT {{day_before_us}}, {{day_after_us}}
    ) moments
) bounds
JOIN base_calendar f ON f.day_us = bounds.first_us
JOIN base_calendar l ON l.day_us = bounds.last_us
