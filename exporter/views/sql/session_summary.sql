-- A session: how many took part, how long, and how much of it is there.
WITH facts AS (
    SELECT stage_arn, session_id, session_number, unit, kind, started_us, counted_us, low_us, high_us
    FROM interval_facts
),
by_unit AS (
    SELECT stage_arn, session_id, session_number, unit,
        SUM(CASE WHEN kind = 'join' THEN 1 ELSE 0 END) AS join_count,
        MAX(CASE WHEN kind = 'publish' THEN 1 ELSE 0 END) AS has_published,
        MAX(CASE WHEN kind = 'subscribe' THEN 1 ELSE 0 END) AS has_watched,
        CAST(SUM(CASE WHEN kind = 'publish' THEN counted_us - started_us ELSE 0 END) AS BIGINT) AS publish_us,
        CAST(SUM(CASE WHEN kind = 'subscribe' THEN counted_us - started_us ELSE 0 END) AS BIGINT) AS watch_us,
        CAST(SUM(CASE WHEN kind = 'join' THEN low_us - started_us ELSE 0 END) AS BIGINT) AS least_us,
        CAST(SUM(CASE WHEN kind = 'join' THEN high_us - started_us ELSE 0 END) AS BIGINT) AS longest_us
    FROM facts
    GROUP BY stage_arn, session_id, session_number, unit
),
-- A viewer counts once, whomever it watches. As in concurrency_by_minute, sums may run on from one session to the next.
audience AS (
    SELECT c.session_number AS session_number, SUM(s.step) OVER (
        PARTITION BY c.session_number % 8
        ORDER BY c.session_number, CASE WHEN s.step = 1 THEN c.from_us ELSE c.over_us END
    ) AS viewers_now
    FROM viewing_facts c
    CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
),
counted AS (
    SELECT stage_arn, session_id, 1 AS part, 0 AS publishing, 0 AS viewing, 0 AS most, 0 AS publish_us, 0 AS watch_us,
        0 AS least_us, 0 AS longest_us, errors AS error_count, 0 AS rejoin_count
    FROM unit_facts
    UNION ALL
    SELECT stage_arn, session_id, 0, has_published, has_watched, 0, publish_us, watch_us, least_us, longest_us, 0,
        CASE WHEN join_count > 1 THEN join_count - 1 ELSE 0 END
    FROM by_unit
    UNION ALL
    SELECT n.stage_arn, n.session_id, 0, 0, 0, m.most_now, 0, 0, 0, 0, 0, 0
    FROM (SELECT session_number, MAX(viewers_now) AS most_now FROM audience GROUP BY session_number) m
    JOIN (
        SELECT session_number, stage_arn, session_id FROM by_unit GROUP BY session_number, stage_arn, session_id
    ) n ON n.session_number = m.session_number
),
totals AS (
    SELECT stage_arn, session_id, SUM(part) AS parts, SUM(publishing) AS publishings, SUM(viewing) AS viewings,
        MAX(most) AS most_viewers, SUM(publish_us) AS published_us, SUM(watch_us) AS watched_us,
        SUM(least_us) AS low_us, SUM(longest_us) AS high_us, SUM(error_count) AS error_sum,
        SUM(rejoin_count) AS rejoin_sum
    FROM counted
    GROUP BY stage_arn, session_id
)
SELECT f.stage_arn AS stage_arn, f.session_id AS session_id,
    COALESCE(NULLIF(n.stage_name, ''), NULLIF(s.stage_name, '')) AS stage_name,
    f.start_at AS session_start, f.end_at AS session_end,
    COALESCE(n.is_complete, CAST(0 AS BOOLEAN)) AS is_complete,
    CAST(COALESCE(t.parts, 0) AS BIGINT) AS participants,
    CAST(COALESCE(t.publishings, 0) AS BIGINT) AS publishers,
    CAST(COALESCE(t.viewings, 0) AS BIGINT) AS viewers,
    CAST(COALESCE(t.most_viewers, 0) AS BIGINT) AS peak_viewers,
    COALESCE(t.published_us, 0) / CAST(1000000 AS DOUBLE) AS publish_s,
    COALESCE(t.watched_us, 0) / CAST(1000000 AS DOUBLE) AS watch_s,
    COALESCE(t.low_us, 0) / CAST(1000000 AS DOUBLE) AS connected_low_s,
    COALESCE(t.high_us, 0) / CAST(1000000 AS DOUBLE) AS connected_high_s,
    CAST(COALESCE(t.error_sum, 0) AS BIGINT) AS errors,
    CAST(COALESCE(t.rejoin_sum, 0) AS BIGINT) AS rejoins
FROM session_facts f
LEFT JOIN totals t ON t.stage_arn = f.stage_arn AND t.session_id = f.session_id
LEFT JOIN newest_sessions n ON n.stage_arn = f.stage_arn AND n.session_id = f.session_id
LEFT JOIN stage_names s ON s.stage_arn = f.stage_arn
