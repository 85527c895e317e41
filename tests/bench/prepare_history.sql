-- A month of business: :clicks hits from 2026-03-01 on (UTC), by a fifth as many subscribers, with 3 conversions to 100 hits.
-- 12 segments; each gets 15 sends of 3 campaigns, 2 offers and 4 variants, and each send reaches two fifths of its segment.
-- Who taps often, when, with which device and what converts follow from a hash of :seed; only the random bits of ids differ
-- from run to run.
SET timezone = 'UTC';
SET work_mem = '1GB';
SET jit = off;

-- In [0, 1), the same for the same number and salt.
CREATE FUNCTION pg_temp.chance(number bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (hashint8extended(number, salt) & 9007199254740991) / 9007199254740992.0::double precision $$;

SELECT count(m) FROM generate_series(0, 29) AS g (day), postback.maintain('2026-03-01'::timestamptz + day * interval '1 day') AS m;

SELECT count(postback.add_network(name, currency => currency))
FROM (VALUES ('History USD', 'USD'), ('History EUR', 'EUR'), ('History JPY', 'JPY')) AS n (name, currency);

-- Two offers to a segment. The segments 10 and 11 are paid in EUR and JPY.
SELECT count(postback.add_offer(name => 'Offer ' || number, offer_id => 1000 + number, payout => 12.5,
    url_template => 'https://network.example.com/offer?aff_click_id={click_id}',
    network => CASE number / 2 WHEN 10 THEN 'history-eur' WHEN 11 THEN 'history-jpy' ELSE 'history-usd' END,
    click_window => (ARRAY['7 days', '14 days', '30 days'])[1 + number % 3]::interval))
FROM generate_series(0, 23) AS g (number);

-- Two days from round to round.
INSERT INTO postback.sends (send_id, campaign_id, segment_id, variant_id, offer_id, base_url, sent_at, cost_per_message)
SELECT 1 + round * 12 + segment, 100 + segment * 3 + round % 3, 200 + segment, 300 + (round + segment) % 4, 1000 + segment * 2 + round % 5 / 3,
       'https://s.example.com', '2026-03-01 08:00'::timestamptz + round * interval '2 days' + segment * interval '1 hour', 0.0075
FROM generate_series(0, 14) AS r (round), generate_series(0, 11) AS s (segment);
SELECT setval(pg_get_serial_sequence('postback.sends', 'send_id'), 180);

-- Messages 2k and 2k + 1 of a send go to two of five neighbours in its segment, to others in the next round. Written as mint_links()
-- writes them, but for the codes that nobody will tap.
CREATE FUNCTION pg_temp.recipient(send bigint, segment bigint, message bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1 + segment - 200 + 12 * (message / 2 * 5 + (message + send) % 5) $$;
SELECT _postback.ensure_link_partition(1);
UPDATE postback.sends SET messages = :clicks / 150;
INSERT INTO postback.links (link_id, bucket, subscriber_id)
SELECT n.link_id, _postback.link_bucket(n.link_id), n.subscriber_id
FROM (SELECT * FROM postback.sends ORDER BY send_id) AS s
CROSS JOIN LATERAL (
    SELECT unnest(w.sorted_link_ids) AS link_id, unnest(w.sorted_subscriber_ids) AS subscriber_id
    FROM _postback.number_links(s.send_id, 0, array(
        SELECT pg_temp.recipient(s.send_id, s.segment_id, message) FROM generate_series(0, s.messages - 1) AS g (message))) AS w) AS n;

-- Who taps: the share of each device, and what it sends.
CREATE TEMP TABLE devices AS
SELECT device, method, purpose, user_agent,
       CASE WHEN device = 8 THEN 'datacenter' ELSE postback.classify_visitor(method, purpose, user_agent) END::postback.visitor AS visitor
FROM (VALUES
    (1, 'GET', NULL, 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'),
    (2, 'GET', NULL, 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36'),
    (3, 'GET', NULL, 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 '
        'facebookexternalhit/1.1 Facebot Twitterbot/1.0'),
    (4, 'GET', NULL, 'WhatsApp/2.24.9.78 A'),
    (5, 'GET', 'prefetch', 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36'),
    (6, 'HEAD', NULL, 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'),
    (7, 'GET', NULL, 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'),
    (8, 'GET', NULL, 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36'),
    (9, 'GET', NULL, '')) AS d (device, method, purpose, user_agent);
ANALYZE pg_temp.devices;

-- Some subscribers tap more than others: the first hundredth of them makes a thirtieth of the hits. Machines come within seconds,
-- most people within hours, some after days.
INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id,
    visitor, method, ip_address, user_agent, purpose)
SELECT _postback.mint_click_id_in(h.bucket, h.clicked_at), h.bucket, h.clicked_at, s.send_id << 40 | h.bucket::bigint << 30 | h.message,
       s.send_id, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, h.subscriber_id,
       d.visitor, d.method, '198.18.0.0'::inet + h.subscriber_id % 131072, d.user_agent, d.purpose
FROM (
    SELECT s.send_id, h.message, h.device, r.subscriber_id, postback.subscriber_bucket(r.subscriber_id) AS bucket,
           date_trunc('milliseconds', s.sent_at + (h.seconds - e.seconds * floor(h.seconds / e.seconds)) * interval '1 second') AS clicked_at
    FROM (
        SELECT 1 + floor(pg_temp.chance(number, 1) * 180)::bigint AS send_id,
               floor(pg_temp.chance(number, 2) ^ 1.3 * (:clicks / 150))::bigint AS message,
               width_bucket(pg_temp.chance(number, 3), ARRAY[0, 0.33, 0.58, 0.76, 0.82, 0.85, 0.9, 0.95, 0.98]) AS device,
               -ln(1 - pg_temp.chance(number, 4)) * CASE
                   WHEN pg_temp.chance(number, 3) >= 0.58 THEN 5
                   WHEN pg_temp.chance(number, 5) < 0.7 THEN 2400
                   ELSE 108000 END AS seconds
        FROM (SELECT g.number # (:seed::bigint << 40) AS number FROM generate_series(1, :clicks) AS g (number)) AS n
    ) AS h
    JOIN postback.sends AS s ON s.send_id = h.send_id
    CROSS JOIN LATERAL (SELECT extract(epoch FROM '2026-03-31'::timestamptz - s.sent_at)::double precision AS seconds) AS e
    CROSS JOIN LATERAL (SELECT pg_temp.recipient(s.send_id, s.segment_id, h.message) AS subscriber_id) AS r
    ORDER BY clicked_at
) AS h
JOIN postback.sends AS s ON s.send_id = h.send_id
JOIN pg_temp.devices AS d ON d.device = h.device;

-- What the networks tell. Half of the conversions come within three hours of the tap, the last ones after a week. One in ten is still
-- pending; 6 of 100 are rejected later, 4 reversed.
CREATE TEMP TABLE messages AS
WITH converting AS (
    SELECT k.click_id, k.bucket, k.clicked_at, k.offer_id, t.number
    FROM postback.clicks AS k
    CROSS JOIN LATERAL (SELECT k.link_id # (extract(epoch FROM k.clicked_at) * 1000)::bigint # (:seed::bigint << 40) AS number) AS t
    WHERE k.visitor = 'human'
    ORDER BY pg_temp.chance(t.number, 6)
    LIMIT :clicks * 3 / 100
)
SELECT c.click_id, c.bucket, n.slug, p.payout, m.status, m.happened_at,
       date_trunc('milliseconds', m.happened_at + -ln(1 - pg_temp.chance(c.number, 10)) * interval '30 seconds') AS received_at
FROM converting AS c
JOIN postback.offers AS o ON o.offer_id = c.offer_id
JOIN postback.networks AS n ON n.network_id = o.network_id
CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', c.clicked_at
    + pg_temp.chance(c.number, 7) ^ 6 * least(interval '7 days', '2026-03-31'::timestamptz - c.clicked_at)) AS converted_at) AS h
CROSS JOIN LATERAL (SELECT 100 * (5 + floor(pg_temp.chance(c.number, 8) * 40)) + CASE n.currency WHEN 'JPY' THEN 0 ELSE 99 END AS cents) AS a
CROSS JOIN LATERAL (SELECT a.cents / 100) AS p (payout)
CROSS JOIN LATERAL (SELECT width_bucket(pg_temp.chance(c.number, 9), ARRAY[0, 0.8, 0.9, 0.96]) AS story) AS s
CROSS JOIN LATERAL (VALUES
    (CASE WHEN s.story IN (1, 4) THEN 'approved' ELSE 'pending' END, h.converted_at),
    ((ARRAY[NULL, NULL, 'rejected', 'reversed'])[s.story], h.converted_at + interval '3 days')) AS m (status, happened_at)
WHERE m.status IS NOT NULL;
ANALYZE pg_temp.messages;

-- By the way that they always come, in batches, in the order of receipt; each id holds the time of its receipt.
SELECT r.verdict, count(*)
FROM (
    SELECT array_agg(slug) AS networks, array_agg(convert_to(format('click_id=%s&transaction_id=history_%1$s&status=%s&payout=%s&timestamp=%s',
               click_id, status, payout, (extract(epoch FROM happened_at) * 1000)::bigint), 'UTF8')) AS queries,
           array_agg(_postback.mint_click_id_in(bucket, received_at)) AS postback_ids
    FROM (SELECT *, (row_number() OVER (ORDER BY received_at, click_id) - 1) / 1000 AS batch FROM pg_temp.messages) AS m
    GROUP BY batch
    ORDER BY batch
) AS b
CROSS JOIN LATERAL postback.receive_postbacks(networks => b.networks, queries => b.queries, postback_ids => b.postback_ids, replay => false) AS r
GROUP BY r.verdict;

VACUUM ANALYZE;
