-- One of :workers parts of what the networks tell of the month, see history.py.
SET timezone = 'UTC';
SET work_mem = '512MB';
SET jit = off;

-- Half of the conversions come within three hours of the tap, the last ones after a week. One in ten is still
-- pending; 6 of 100 are rejected later, 4 reversed.
CREATE TEMP TABLE messages AS
WITH converting AS (
    SELECT k.click_id, k.bucket, k.clicked_at, k.offer_id, t.number
    FROM postback.clicks AS k
    CROSS JOIN LATERAL (SELECT k.link_id # (extract(epoch FROM k.clicked_at) * 1000)::bigint # (:seed::bigint << 40) AS number) AS t
    WHERE k.visitor = 'human' AND k.bucket % :workers = :worker
    ORDER BY bench_chance(t.number, 6)
    LIMIT :clicks * 3 / 100 / :workers
)
SELECT c.click_id, c.bucket, n.slug, p.payout, m.status, m.happened_at, r.received_at,
       (row_number() OVER (ORDER BY r.received_at, c.click_id) - 1) / 1000 AS batch
FROM converting AS c
JOIN postback.offers AS o ON o.offer_id = c.offer_id
JOIN postback.networks AS n ON n.network_id = o.network_id
CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', c.clicked_at
    + bench_chance(c.number, 7) ^ 6 * least(interval '7 days', '2026-03-31'::timestamptz - c.clicked_at)) AS converted_at) AS h
CROSS JOIN LATERAL (SELECT 100 * (5 + floor(bench_chance(c.number, 8) * 40)) + CASE n.currency WHEN 'JPY' THEN 0 ELSE 99 END AS cents) AS a
CROSS JOIN LATERAL (SELECT a.cents / 100) AS p (payout)
CROSS JOIN LATERAL (SELECT width_bucket(bench_chance(c.number, 9), ARRAY[0, 0.8, 0.9, 0.96]) AS story) AS s
CROSS JOIN LATERAL (VALUES
    (CASE WHEN s.story IN (1, 4) THEN 'approved' ELSE 'pending' END, h.converted_at),
    ((ARRAY[NULL, NULL, 'rejected', 'reversed'])[s.story], h.converted_at + interval '3 days')) AS m (status, happened_at)
CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', m.happened_at + -ln(1 - bench_chance(c.number, 10)) * interval '30 seconds')) AS r (received_at)
WHERE m.status IS NOT NULL;
ANALYZE pg_temp.messages;

-- By the way that they always come, in batches, in the order of receipt; each id holds the time of its receipt.
PREPARE receive (bigint) AS
SELECT r.verdict, count(*)
FROM (
    SELECT array_agg(slug) AS networks, array_agg(convert_to(format('click_id=%s&transaction_id=history_%1$s&status=%s&payout=%s&timestamp=%s',
               click_id, status, payout, (extract(epoch FROM happened_at) * 1000)::bigint), 'UTF8')) AS queries,
           array_agg(_postback.mint_click_id_in(bucket, received_at)) AS postback_ids
    FROM (SELECT * FROM pg_temp.messages WHERE batch = $1 ORDER BY received_at, click_id) AS m
) AS b
CROSS JOIN LATERAL postback.receive_postbacks(networks => b.networks, queries => b.queries, postback_ids => b.postback_ids, replay => false) AS r
GROUP BY r.verdict;
SELECT format('EXECUTE receive (%s)', batch) FROM pg_temp.messages GROUP BY batch ORDER BY batch \gexec
