-- :postbacks recorded clicks, and for each a signed postback with a transaction of its own. :round keeps the
-- transactions of two preparations apart.
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_postbacks;
CREATE TABLE bench_postbacks AS
SELECT r.click_id, format('%s&sig=%s', q.query, postback.sign(q.query, :'secret')) AS query
FROM generate_series(0, :postbacks / 100 - 1) AS g (number)
JOIN bench_batches AS b ON b.batch_id = g.number % 5000
CROSS JOIN LATERAL postback.record_clicks(codes => b.codes, ip_addresses => b.ip_addresses,
    user_agents => b.user_agents, methods => b.methods, replay => false) AS r
CROSS JOIN LATERAL (
    SELECT format('click_id=%s&payout=12.50&status=approved&transaction_id=txn_%s_%s_%s',
        r.click_id, :round, g.number, r.ordinal)
) AS q (query);
