-- :clicks clicks of the subscribers 1 to 1,000,000 over the thirty days up to today, one of :workers parts: what has been stored before a measurement.
SET timezone = 'UTC';
-- As a restore loads them.
SET session_replication_role = replica;
INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id, visitor, ip_address, user_agent)
SELECT _postback.mint_click_id_in(h.bucket, h.clicked_at), h.bucket, h.clicked_at, s.send_id << 40 | h.number, s.send_id, s.campaign_id, s.segment_id, s.variant_id,
       s.offer_id, h.subscriber_id, 'human', '203.0.113.7'::inet,
       'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
FROM (
    SELECT n.number, n.subscriber_id, postback.subscriber_bucket(n.subscriber_id) AS bucket,
           date_trunc('milliseconds', n.until - interval '30 days' + (n.number::double precision / :clicks) * interval '30 days') AS clicked_at
    FROM (SELECT g.number, 1 + (hashint8extended(g.number, 1) & 1048575) % 1000000 AS subscriber_id, date_trunc('minute', now()) AS until
          FROM generate_series(1 + :worker, :clicks, :workers) AS g (number)) AS n
) AS h
CROSS JOIN postback.sends AS s;
