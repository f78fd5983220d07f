-- A session: how many took part, how long, and how much of it is there.
WITH by_kind AS (
    SELECT stage_arn, session_id, unit, kind, COUNT(*) AS interval_count,
        CAST(SUM(counted_us - started_us) AS BIGINT) AS length_us,
        CAST(SUM(low_us - started_us) AS BIGINT) AS least_us,
        CAST(SUM(high_us - started_us) AS BIGINT) AS longest_us
    FROM interval_facts
    GROUP BY stage_arn, session_id, unit, kind
),
-- A viewer counts once, whomever it watches: of each of its subscriptions only what those before it do not cover.
covered AS (
    SELECT stage_arn, session_id, session_number, counted_us,
        CASE WHEN until_us > started_us THEN until_us ELSE started_us END AS from_us
    FROM (
        SELECT stage_arn, session_id, session_number, started_us, counted_us,
            COALESCE(MAX(counted_us) OVER (
                PARTITION BY unit ORDER BY started_us, counted_us, peer ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), -1) AS until_us
        FROM interval_facts
        WHERE kind = 'subscribe' AND counted_us > started_us
    ) watched
    WHERE counted_us > until_us
),
audience AS (
    SELECT c.stage_arn AS stage_arn, c.session_id AS session_id, SUM(s.step) OVER (
        PARTITION BY c.session_number ORDER BY CASE WHEN s.step = 1 THEN c.from_us ELSE c.counted_us END
    ) AS viewers_now
    FROM covered c
    CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
),
counted AS (
    SELECT stage_arn, session_id, 1 AS part, 0 AS publishing, 0 AS viewing, 0 AS most, 0 AS publish_us, 0 AS watch_us,
        0 AS least_us, 0 AS longest_us, errors AS error_count, 0 AS rejoin_count
    FROM unit_facts
    UNION ALL
    SELECT stage_arn, session_id, 0,
        CASE WHEN kind = 'publish' THEN 1 ELSE 0 END,
        CASE WHEN kind = 'subscribe' THEN 1 ELSE 0 END,
        0,
        CASE WHEN kind = 'publish' THEN length_us ELSE 0 END,
        CASE WHEN kind = 'subscribe' THEN length_us ELSE 0 END,
        CASE WHEN kind = 'join' THEN least_us ELSE 0 END,
        CASE WHEN kind = 'join' THEN longest_us ELSE 0 END,
        0,
        CASE WHEN kind = 'join' THEN interval_count - 1 ELSE 0 END
    FROM by_kind
    UNION ALL
    SELECT stage_arn, session_id, 0, 0, 0, MAX(viewers_now), 0, 0, 0, 0, 0, 0
    FROM audience
    GROUP BY stage_arn, session_id
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
LEFT JOIN stages_now s ON s.stage_arn = f.stage_arn
