-- A day of :clicks clean clicks and 3 conversions to 100 of them, and every kind of fraud planted among them. See fraud.py.
SET timezone = 'UTC';
SET work_mem = '512MB';
SET jit = off;
-- A number in [0, 1) that follows from the seed.
CREATE FUNCTION sim_chance(number bigint, what integer) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((hashint8extended(number, what + 1000 * :seed) >> 12) & ((1::bigint << 52) - 1)) / (1::bigint << 52)::double precision;
SELECT postback.maintain('2026-03-10 12:00+00');
SELECT postback.add_network('Network ' || n) FROM generate_series(1, 5) AS n;
SELECT postback.add_network_secret('network-' || n, 'hmac', 'a secret of sixteen bytes') FROM generate_series(4, 5) AS n;
SELECT postback.add_offer('Offer ' || n, 'https://network.example.com/{click_id}', offer_id => n, network => 'network-' || n) FROM generate_series(1, 3) AS n;
INSERT INTO postback.payout_tiers (tier_id, name, share) VALUES (1, 'all', 0.5);
INSERT INTO postback.partners (partner_id, name, tier_id) SELECT n, 'Partner ' || n, 1 FROM generate_series(1, 50) AS n;

-- Sends 1 to 200 are clean. 201 to 206 come from few devices or blocks, 211 to 214 convert too well, 221 to 224 are taken back, 231 to 233 come from abroad; each has a partner of its own.
CREATE TABLE sim_sends AS
SELECT n AS send_id, 1 + n % 3 AS offer_id, CASE WHEN n <= 200 THEN 1 + n % 10 ELSE n - 190 END AS partner_id,
    '2026-03-10 06:00+00'::timestamptz + sim_chance(n, 1) * interval '12 hours' AS sent_at, exp(sim_chance(n, 2) * ln(8)) AS weight,
    exp((sim_chance(n, 3) - 0.5) * ln(4)) AS converts, n % 20 = 0 AS of_one_carrier,
    CASE WHEN n BETWEEN 201 AND 203 THEN 'agents' WHEN n BETWEEN 204 AND 206 THEN 'blocks' WHEN n BETWEEN 211 AND 214 THEN 'converting' WHEN n BETWEEN 221 AND 224 THEN 'reversing' WHEN n >= 231 THEN 'abroad' END AS planted
FROM generate_series(1, 233) AS n WHERE n <= 206 OR n BETWEEN 211 AND 214 OR n BETWEEN 221 AND 224 OR n >= 231;
INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url, sent_at, partner_id)
SELECT s.send_id, s.send_id, s.offer_id, 'https://s.example.com', s.sent_at, s.partner_id FROM sim_sends AS s;

-- What people's devices say: the first of 558 user agents makes a ninth of the hits, as in a real log, and some are machines that say so.
CREATE FUNCTION sim_agent(chance double precision) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT CASE WHEN k.k % 6 = 5 THEN format('Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html; %s)', k.k)
                        ELSE format('Mozilla/5.0 (Linux; Android %s; Model %s) AppleWebKit/537.36 Mobile Safari/537.36', 8 + k.k % 7, k.k) END
            FROM (SELECT floor(exp(chance * ln(559)))::integer AS k) AS k);
-- Seven in ten come through one of five carriers, each with 64 blocks of 24 addresses, of which some are far busier; the others from home.
CREATE FUNCTION sim_address(a double precision, b double precision, c double precision) RETURNS inet LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN a < 0.7 THEN '100.0.0.0'::inet + (floor(a / 0.14) * 65536 + floor(exp(b * ln(65)) - 1) * 256 + floor(exp(c * ln(25))))::bigint
                ELSE '80.0.0.0'::inet + floor(b * 150000)::bigint * 16 END;
-- Most within the hour, some after many.
CREATE FUNCTION sim_delay(a double precision, b double precision) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN -ln(1 - b) * CASE WHEN a < 0.3 THEN 90 WHEN a < 0.9 THEN 2400 ELSE 12000 END;

-- Where people are: most where their send goes, one send in ten elsewhere than the others; some travel or have an address abroad, and of a few nothing is known.
CREATE FUNCTION sim_country(send_id bigint, travels double precision, chance double precision) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN chance < travels THEN (ARRAY['GB', 'MX', 'DE', 'VN', 'BD', 'BR', 'IN', 'NG'])[1 + floor(8 * chance / travels)] WHEN chance > 0.98 THEN NULL WHEN send_id % 10 = 3 THEN 'CA' ELSE 'US' END;

CREATE TABLE sim_clicks (number bigint, planted text, subject text, send_id bigint, subscriber_id bigint, clicked_at timestamptz, ip_address inet, user_agent text, method text DEFAULT 'GET', click_id text, country text);
-- Clean clicks. One in twelve is another tap of the click before, some seconds later; one in forty is a HEAD.
INSERT INTO sim_clicks (number, send_id, subscriber_id, clicked_at, ip_address, user_agent, method)
SELECT n.number, s.send_id, n.person,
    least(s.sent_at + (sim_delay(sim_chance(n.person, 11), sim_chance(n.person, 12)) + (n.number - n.person) * (5 + 60 * sim_chance(n.number, 13))) * interval '1 second',
        '2026-03-10 23:00+00'::timestamptz + sim_chance(n.number, 14) * interval '59 minutes'),
    sim_address(CASE WHEN s.of_one_carrier AND sim_chance(n.person, 15) < 0.8 THEN 0.14 * sim_chance(n.person, 16) ELSE sim_chance(n.person, 16) END,
        sim_chance(n.person, 17), sim_chance(n.person, 18)),
    sim_agent(sim_chance(n.person, 19)), CASE WHEN sim_chance(n.number, 20) < 0.025 THEN 'HEAD' ELSE 'GET' END
FROM (SELECT g.number, g.number - CASE WHEN sim_chance(g.number, 9) < 1.0 / 12 THEN 1 + g.number % 3 ELSE 0 END AS person FROM generate_series(1, :clicks) AS g (number)) AS n
CROSS JOIN (SELECT array_agg(w.low ORDER BY w.low) AS lows, array_agg(w.send_id ORDER BY w.low) AS send_ids
      FROM (SELECT c.send_id, (sum(c.weight) OVER (ORDER BY c.send_id) - c.weight) / sum(c.weight) OVER () AS low FROM sim_sends AS c WHERE c.send_id <= 200) AS w) AS w
JOIN sim_sends AS s ON s.send_id = w.send_ids[greatest(width_bucket(sim_chance(n.person, 10), w.lows), 1)];

-- Planted sends: 2,000 clicks each. Three of few user agents, three of few blocks; the others' clicks are like people's.
INSERT INTO sim_clicks (number, planted, subject, send_id, subscriber_id, clicked_at, ip_address, user_agent)
SELECT 10000000 + s.send_id * 10000 + n, CASE WHEN s.planted IN ('agents', 'blocks') THEN 'device_diversity' WHEN s.planted = 'converting' THEN 'conversion_rate' WHEN s.planted = 'abroad' THEN 'geo_anomaly' ELSE 'reversal_rate' END,
    s.send_id::text, s.send_id, 10000000 + s.send_id * 10000 + n, least(s.sent_at + sim_delay(sim_chance(k.k, 11), sim_chance(k.k, 12)) * interval '1 second', '2026-03-10 23:59+00'),
    CASE WHEN s.planted = 'blocks' THEN '45.1.0.0'::inet + (s.send_id * 1024 + floor(sim_chance(k.k, 17) * 700))::bigint ELSE sim_address(sim_chance(k.k, 16), sim_chance(k.k, 17), sim_chance(k.k, 18)) END,
    CASE WHEN s.planted = 'agents' THEN format('Mozilla/5.0 (Linux; Android 10; Farm %s) AppleWebKit/537.36', floor(sim_chance(k.k, 19) * 4)) ELSE sim_agent(0.3 * sim_chance(k.k, 19) + 0.7 * sim_chance(k.k, 21)) END
FROM sim_sends AS s CROSS JOIN generate_series(1, 2000) AS n CROSS JOIN LATERAL (SELECT 10000000 + s.send_id * 10000 + n AS k) AS k WHERE s.planted IS NOT NULL;

-- Data centres: 40 published ranges, 200 addresses in them, and as many people right beside them.
SELECT postback.load_ip_ranges('cloud', array(SELECT format('52.%s.0.0/20', n * 3) FROM generate_series(1, 40) AS n));
INSERT INTO sim_clicks (number, planted, subject, send_id, subscriber_id, clicked_at, ip_address, user_agent)
SELECT k.k, w.planted, w.planted, 1 + floor(sim_chance(k.k, 10) * 200), k.k, '2026-03-10 06:00+00'::timestamptz + sim_chance(k.k, 11) * interval '17 hours',
    ('52.' || 3 * (1 + n % 40) || CASE WHEN w.planted IS NULL THEN '.16.' ELSE '.0.' END || n % 200)::inet, sim_agent(sim_chance(k.k, 19) * 0.25)
FROM generate_series(1, 3000) AS n CROSS JOIN (VALUES ('datacenter_click', 20000000), (NULL, 21000000)) AS w (planted, base)
CROSS JOIN LATERAL (SELECT (w.base + n)::bigint AS k) AS k;
-- Farms: one address, one device, 30 to 120 subscribers in part of an hour, among them a few other visitors.
INSERT INTO sim_clicks (number, planted, subject, send_id, subscriber_id, clicked_at, ip_address, user_agent)
SELECT k.k, 'address_fan_out', f::text, 1 + f, k.k, '2026-03-10 06:00+00'::timestamptz + f % 16 * interval '1 hour' + (5 + 50 * sim_chance(k.k, 12)) * interval '1 minute',
    '46.0.0.0'::inet + f * 300, CASE WHEN sim_chance(k.k, 13) < 0.03 THEN sim_agent(0.1) ELSE 'Mozilla/5.0 (Linux; Android 9; Farm phone ' || f || ')' END
FROM generate_series(1, 40) AS f CROSS JOIN generate_series(1, 120) AS n CROSS JOIN LATERAL (SELECT (22000000 + f * 1000 + n)::bigint AS k) AS k
WHERE n <= 30 + 90 * sim_chance(f, 14);
-- Floods: one device and subscriber, 22 to 80 taps within ten minutes. Clean twins tap up to 12 times.
INSERT INTO sim_clicks (number, planted, subject, send_id, subscriber_id, clicked_at, ip_address, user_agent)
SELECT k.k, CASE WHEN f <= 50 THEN 'click_flood' END, f::text, 1 + f, 23000000 + f, '2026-03-10 06:00+00'::timestamptz + 16 * sim_chance(f, 15) * interval '1 hour' + 590 * sim_chance(k.k, 12) * interval '1 second',
    CASE WHEN f % 2 = 0 THEN sim_address(0.6 * sim_chance(f, 16), sim_chance(f, 17), sim_chance(f, 18)) ELSE '47.0.0.0'::inet + f * 300 END, sim_agent(sim_chance(f, 19) * 0.25)
FROM generate_series(1, 100) AS f CROSS JOIN generate_series(1, 80) AS n CROSS JOIN LATERAL (SELECT (23000000 + f * 1000 + n)::bigint AS k) AS k
WHERE n <= CASE WHEN f <= 50 THEN 22 + 58 * sim_chance(f, 14) ELSE 2 + 10 * sim_chance(f, 14) END;
-- Even intervals: 15 to 60 taps, 20 to 50 seconds apart, give or take a twentieth. Clean twins tap as often, as people do.
INSERT INTO sim_clicks (number, planted, subject, send_id, subscriber_id, clicked_at, ip_address, user_agent)
SELECT k.k, CASE WHEN f <= 50 THEN 'perfect_interval' END, f::text, 1 + f, k.k, '2026-03-10 06:01+00'::timestamptz + f % 16 * interval '1 hour'
        + CASE WHEN f <= 50 THEN n * (20 + 30 * sim_chance(f, 15)) * (1 + 0.1 * (sim_chance(k.k, 12) - 0.5) / n) ELSE 3000 * sim_chance(k.k, 12) END * interval '1 second',
    '48.0.0.0'::inet + f * 300, CASE WHEN f <= 50 THEN sim_agent(sim_chance(f, 19) * 0.25) ELSE sim_agent(sim_chance(k.k % 3 + f, 19) * 0.25) END
FROM generate_series(1, 100) AS f CROSS JOIN generate_series(1, 60) AS n CROSS JOIN LATERAL (SELECT (24000000 + f * 1000 + n)::bigint AS k) AS k
WHERE n <= CASE WHEN f <= 50 THEN 15 + 45 * sim_chance(f, 14) ELSE 12 + 6 * sim_chance(f, 14) END;

UPDATE sim_clicks AS c SET country = sim_country(c.send_id, CASE WHEN c.planted = 'geo_anomaly' THEN 0.25 ELSE 0.01 + 0.03 * sim_chance(c.send_id, 22) END, sim_chance(c.subscriber_id, 23)),
    clicked_at = date_trunc('milliseconds', c.clicked_at), click_id = postback.mint_click_id(c.subscriber_id, date_trunc('milliseconds', c.clicked_at));
CREATE UNIQUE INDEX ON sim_clicks (click_id);
SET session_replication_role = replica;
INSERT INTO postback.clicks (click_id, bucket, clicked_at, send_id, campaign_id, offer_id, subscriber_id, visitor, method, ip_address, user_agent, country)
SELECT c.click_id, postback.click_id_bucket(c.click_id), c.clicked_at, s.send_id, s.send_id, s.offer_id, c.subscriber_id,
    postback.classify_visitor(c.method, NULL, c.user_agent), c.method, c.ip_address, c.user_agent, c.country
FROM sim_clicks AS c JOIN sim_sends AS s ON s.send_id = c.send_id ORDER BY c.clicked_at;
RESET session_replication_role;
ANALYZE postback.clicks;

-- Conversions: clean ones at a rate of each send's own, and the planted.
CREATE TABLE sim_conversions (number bigint, planted text, click_id text, network text, transaction_id text, received_at timestamptz, event_at timestamptz, clicked_at timestamptz, send_id bigint);
INSERT INTO sim_conversions
SELECT c.number, c.planted, c.click_id, 'network-' || s.offer_id, 'T' || c.number, c.clicked_at + d.seconds * interval '1 second',
    -- A third tells the time by a clock of its own: some seconds off, or only to the minute.
    CASE WHEN sim_chance(c.number, 31) < 0.2 THEN date_trunc('second', c.clicked_at + (d.seconds + floor(5 * sim_chance(c.number, 32)) - 2) * interval '1 second')
         WHEN sim_chance(c.number, 31) < 0.33 THEN date_trunc('minute', c.clicked_at + d.seconds * interval '1 second') END, c.clicked_at, c.send_id
FROM (
    (SELECT c.number, c.planted, c.click_id, c.clicked_at, c.send_id FROM sim_clicks AS c JOIN sim_sends AS s ON s.send_id = c.send_id
     WHERE c.planted IS NULL AND postback.classify_visitor(c.method, NULL, c.user_agent) = 'human'
     ORDER BY sim_chance(c.number, 30) / s.converts LIMIT :clicks * 3 / 100)
    UNION ALL
    SELECT c.number, c.planted, c.click_id, c.clicked_at, c.send_id FROM sim_clicks AS c
    WHERE c.planted IS NOT NULL AND postback.classify_visitor(c.method, NULL, c.user_agent) = 'human'
      AND sim_chance(c.number, 30) < CASE c.planted WHEN 'conversion_rate' THEN 0.2 ELSE 0.035 END) AS c
JOIN sim_sends AS s ON s.send_id = c.send_id
CROSS JOIN LATERAL (SELECT 6 - ln(1 - sim_chance(c.number, 33)) * 1500 AS seconds) AS d;
-- Too fast: 300 more, with the event 0.1 to 1.9 seconds after the click.
INSERT INTO sim_conversions
SELECT c.number, 'fast_conversion', c.click_id, 'network-' || 1 + c.send_id % 3, 'F' || c.number, c.clicked_at + (0.1 + 1.8 * sim_chance(c.number, 34)) * interval '1 second', NULL, c.clicked_at, c.send_id
FROM sim_clicks AS c WHERE c.planted IS NULL AND postback.classify_visitor(c.method, NULL, c.user_agent) = 'human'
  AND NOT EXISTS (SELECT FROM sim_conversions AS v WHERE v.click_id = c.click_id) ORDER BY sim_chance(c.number, 35) LIMIT 300;
CREATE TABLE sim_messages (received_at timestamptz, network text, query text, planted text, conversion bigint);
INSERT INTO sim_messages
SELECT v.received_at, v.network, format('click_id=%s&transaction_id=%s&payout=%s&status=approved', v.click_id, v.transaction_id, 5 + v.number % 20)
    || coalesce('&timestamp=' || floor(extract(epoch FROM v.event_at)), ''), v.planted, v.number FROM sim_conversions AS v;
-- What comes later: corrections of the payout, reversals (2 in 100, of planted sends 40), repeats.
INSERT INTO sim_messages
SELECT greatest(v.received_at + interval '2 hours' * sim_chance(v.number, 41), v.event_at + interval '1 second'), v.network,
    format('click_id=%s&transaction_id=%s&payout=%s&status=%s', v.click_id, v.transaction_id, round(((5 + v.number % 20) * (0.8 + 0.4 * sim_chance(v.number, 42)))::numeric, 2),
        CASE WHEN v.reverses THEN 'reversed' ELSE 'approved' END), NULL, v.number
FROM (SELECT w.*, sim_chance(w.number, 40) < CASE w.planted WHEN 'reversal_rate' THEN 0.4 ELSE 0.02 END AS reverses FROM sim_conversions AS w) AS v
WHERE v.reverses OR sim_chance(v.number, 43) < 0.1;
-- Reuse: 150 transactions with somebody else's click, 150 with three times the payout.
INSERT INTO sim_messages
SELECT v.received_at + interval '20 minutes', v.network, format('click_id=%s&transaction_id=%s&payout=%s&status=approved',
    CASE WHEN v.place <= 150 THEN v.other ELSE v.click_id END, v.transaction_id, (5 + v.number % 20) * CASE WHEN v.place <= 150 THEN 1 ELSE 3 END), 'transaction_reuse', v.number
FROM (SELECT w.*, row_number() OVER () AS place, lead(w.click_id) OVER () AS other
      FROM (SELECT * FROM sim_conversions AS c WHERE c.planted IS NULL AND c.network = 'network-1' ORDER BY sim_chance(c.number, 44) LIMIT 301) AS w) AS v WHERE v.place <= 300;
-- Spoofed: six bursts of 40 at the one signed network, and at the other single failures, 3 an hour.
INSERT INTO sim_messages
SELECT '2026-03-10 08:00+00'::timestamptz + b * interval '2 hours' + 40 * sim_chance(b * 100 + n, 45) * interval '1 minute', 'network-4', format('click_id=x%s&payout=90&sig=%s', n, md5(n::text)), 'spoofed_postbacks', NULL
FROM generate_series(1, 6) AS b CROSS JOIN generate_series(1, 40) AS n;
INSERT INTO sim_messages
SELECT '2026-03-10 06:00+00'::timestamptz + n * interval '20 minutes', 'network-5', format('click_id=y%s&payout=9&sig=%s', n, md5(n::text)), NULL, NULL FROM generate_series(1, 48) AS n;
-- In the order of time; an id of a message says when it came.
CREATE TABLE sim_answers (planted text, conversion bigint, verdict text, conversion_id text);
CREATE TABLE sim_batches AS
SELECT m.place / 200 AS batch, array_agg(m.network ORDER BY m.place) AS networks, array_agg(convert_to(m.query, 'UTF8') ORDER BY m.place) AS queries,
    array_agg('192.0.2.9'::inet ORDER BY m.place) AS source_ips, array_agg(postback.mint_click_id(NULL, m.received_at) ORDER BY m.place) AS ids,
    array_agg(m.planted ORDER BY m.place) AS planted, array_agg(m.conversion ORDER BY m.place) AS conversions, max(m.received_at) AS received_at
FROM (SELECT w.*, row_number() OVER (ORDER BY w.received_at, w.conversion) AS place FROM sim_messages AS w) AS m GROUP BY 1;
SELECT format('INSERT INTO sim_answers SELECT b.planted[r.ordinal], b.conversions[r.ordinal], r.verdict, r.conversion_id FROM sim_batches AS b
    CROSS JOIN LATERAL postback.receive_postbacks(b.networks, b.queries, b.source_ips, postback_ids => b.ids, replay => false, now => b.received_at) AS r WHERE b.batch = %s', b.batch)
FROM sim_batches AS b ORDER BY b.batch \gexec
ANALYZE;
