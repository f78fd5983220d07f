-- When a participant watches at all: of each of its subscriptions only what those before it do not cover. One that is
-- open ends after all moments. Internal.
SELECT stage_arn, session_id, session_number, unit, replica_code, over_us,
    CASE WHEN until_us > started_us THEN until_us ELSE started_us END AS from_us
FROM (
    SELECT stage_arn, session_id, session_number, unit, replica_code, started_us, over_us,
        COALESCE(MAX(over_us) OVER (
            PARTITION BY unit ORDER BY started_us, over_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), -1) AS until_us
    FROM (
        SELECT stage_arn, session_id, session_number, unit, replica_code, started_us,
            CASE WHEN end_reason = 'open' THEN CAST(9000000000000000000 AS BIGINT) ELSE counted_us END AS over_us
        FROM interval_facts
        WHERE kind = 'subscribe'
    ) subscriptions
    WHERE over_us > started_us
) watched
WHERE over_us > until_us
