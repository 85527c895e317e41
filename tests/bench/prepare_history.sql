-- What a month of business begins with, see history.py: networks, offers, 180 sends of :clicks / 150 messages each, and devices.
-- 12 segments; each gets 15 sends of 3 campaigns, 2 offers and 4 variants, and each send reaches two fifths of its segment.
SET timezone = 'UTC';

-- In [0, 1), the same for the same number and salt.
CREATE FUNCTION bench_chance(number bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (hashint8extended(number, salt) & 9007199254740991) / 9007199254740992.0::double precision $$;

SELECT _postback.ensure_days('clicks', 'clicked_at', day), _postback.ensure_days('postbacks', 'received_at', day)
FROM generate_series('2026-03-01'::timestamptz, '2026-03-30', '1 day') AS g (day);
-- The rollups are to begin with the month, not with today.
UPDATE _postback.rollup_state SET counted_until = '-infinity';

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
CREATE FUNCTION bench_recipient(send bigint, segment bigint, message bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1 + segment - 200 + 12 * (message / 2 * 5 + (message + send) % 5) $$;
SELECT _postback.ensure_link_partition(1);
UPDATE postback.sends SET messages = :clicks / 150;
INSERT INTO postback.links (link_id, bucket, subscriber_id)
SELECT n.link_id, _postback.link_bucket(n.link_id), n.subscriber_id
FROM (SELECT * FROM postback.sends ORDER BY send_id) AS s
CROSS JOIN LATERAL (
    SELECT unnest(w.sorted_link_ids) AS link_id, unnest(w.sorted_subscriber_ids) AS subscriber_id
    FROM _postback.number_links(s.send_id, 0, array(
        SELECT bench_recipient(s.send_id, s.segment_id, message) FROM generate_series(0, s.messages - 1) AS g (message))) AS w) AS n;

-- Who taps: the share of each device, and what it sends.
CREATE TABLE bench_devices AS
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
ANALYZE bench_devices;
