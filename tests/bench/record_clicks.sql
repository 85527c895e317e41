\set batch random(0, 4999)
SELECT count(r.location)
FROM bench_batches AS b
CROSS JOIN LATERAL postback.record_clicks(codes => b.codes, ip_addresses => b.ip_addresses,
    user_agents => b.user_agents, methods => b.methods, replay => false) AS r
WHERE b.batch_id = :batch;
