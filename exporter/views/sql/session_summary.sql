-- A session: how many took part, how long, and how much of it is there.
WITH by_kind AS (
    SELECT stage_arn, session_id, participant_id, kind, COUNT(*) AS interval_count,
        CAST(SUM(counted_us - started_us) AS BIGINT) AS length_us,
        CAST(SUM(low_us - started_us) AS BIGINT) AS least_us,
        CAST(SUM(high_us - started_us) AS BIGINT) AS longest_us
    FROM interval_facts
    GROUP BY stage_arn, session_id, participant_id, kind
),
-- A viewer counts once, whomever it watches: from its first subscription of several at a time to the end of the last.
watching AS (
    SELECT stage_arn, session_id, participant_id, moment_us, change,
        SUM(change) OVER (
            PARTITION BY stage_arn, session_id, participant_id ORDER BY moment_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS watched
    FROM (
        SELECT stage_arn, session_id, participant_id, moment_us, SUM(step) AS change
        FROM (
            SELECT i.stage_arn AS stage_arn, i.session_id AS session_id, i.participant_id AS participant_id,
                CASE WHEN s.step = 1 THEN i.started_us ELSE i.counted_us END AS moment_us, s.step AS step
            FROM interval_facts i
            CROSS JOIN (SELECT 1 AS step UNION ALL SELECT -1 AS step) s
            WHERE i.kind = 'subscribe' AND i.counted_us > i.started_us
        ) steps
        GROUP BY stage_arn, session_id, participant_id, moment_us
    ) changes
),
audience AS (
    SELECT stage_arn, session_id, SUM(viewer_change) OVER (
        PARTITION BY stage_arn, session_id ORDER BY moment_us ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS viewers_now
    FROM (
        SELECT stage_arn, session_id, moment_us,
            SUM(CASE WHEN watched > 0 THEN 1 ELSE 0 END - CASE WHEN watched - change > 0 THEN 1 ELSE 0 END)
                AS viewer_change
        FROM watching
        GROUP BY stage_arn, session_id, moment_us
    ) moments
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
