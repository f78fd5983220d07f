-- A stage as it is known now: its newest row.
SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id, exported_at
FROM (
    SELECT stage_arn, account_id, region, stage_name, tags, is_listed, extra, run_id, exported_at,
        ROW_NUMBER() OVER (PARTITION BY stage_arn ORDER BY exported_us DESC, run_id DESC) AS newest
    FROM base_stages
) numbered
WHERE newest = 1
