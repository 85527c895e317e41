-- How each destination is doing.

CREATE VIEW postback.delivery_queue AS
SELECT d.destination_id, d.name, d.enabled, d.disabled_at, d.disabled_reason, d.failures_in_a_row,
       count(*) FILTER (WHERE w.state = 'queued') AS queued,
       count(*) FILTER (WHERE w.state IN ('queued', 'sending') AND w.due_at <= clock_timestamp()) AS due,
       count(*) FILTER (WHERE w.state = 'sending') AS sending,
       count(*) FILTER (WHERE w.state = 'delivered') AS delivered,
       count(*) FILTER (WHERE w.state = 'dead') AS dead,
       count(*) FILTER (WHERE w.state = 'cancelled') AS cancelled,
       min(w.due_at) FILTER (WHERE w.state IN ('queued', 'sending') AND w.due_at <= clock_timestamp()) AS oldest_due_at
FROM postback.destinations AS d LEFT JOIN postback.deliveries AS w ON w.destination_id = d.destination_id
GROUP BY d.destination_id;
COMMENT ON VIEW postback.delivery_queue IS 'How many deliveries does each destination have in each state, and is it being sent to?';
