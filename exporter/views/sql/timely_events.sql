-- The events whose times can be true: none is over a year later than it was fetched. What is later would stretch all that
-- it ends, and each session that goes on; `checks` names it. Internal.
SELECT stage_arn, session_id, participant_id, event_id, event_name, remote_id, destination_id, replica_flag, event_at,
    event_us, minute_at
FROM base_events
WHERE event_us <= exported_us + 31622400000000
