-- One stay, publication, subscription or replication: a start and what ended it.
SELECT stage_arn, session_id, participant_id, kind, peer, started_at, ended_at, until_at, until_max_at, end_reason,
    CAST(replica_code AS BOOLEAN) AS is_replica, CAST(peer_replica_code AS BOOLEAN) AS peer_is_replica
FROM interval_facts
