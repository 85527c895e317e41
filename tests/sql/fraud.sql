-- Each fraud rule: what was planted is flagged with its evidence, its clean twin is not, and a second scan changes nothing.
\pset fieldsep '\n'
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') \g /dev/null
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
SELECT postback.create_send(1, 1, base_url => 'https://s.example.com') AS clean, postback.create_send(2, 1, base_url => 'https://s.example.com') AS farm,
    postback.create_send(3, 1, base_url => 'https://s.example.com') AS other \gset
CREATE FUNCTION pg_temp.tap(id text, subscriber bigint, at timestamptz, address inet, agent text DEFAULT 'Phone 1', send bigint DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, send_id, clicked_at, visitor, ip_address, user_agent)
    VALUES (id, subscriber, 1, 456, send, at, 'human', address, agent)
$$;
CREATE FUNCTION pg_temp.convert(transaction text, click text, at timestamptz, more text DEFAULT '&payout=10', OUT verdict text) LANGUAGE sql AS $$
    SELECT r.verdict::text FROM postback.receive_postback('default', format('click_id=%s&transaction_id=%s%s', click, transaction, more), now => at) AS r
$$;
CREATE FUNCTION pg_temp.scan(VARIADIC wanted text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(s.items)::bigint FROM postback.fraud_scan('2026-03-10 12:00+00', '2026-03-10 14:00+00') AS s WHERE s.rule = ANY (wanted)
$$;

-- Parameters are checked when saved.
SELECT throws_like($$UPDATE postback.fraud_rules SET parameters = '{"second": 2}' WHERE rule = 'fast_conversion'$$, '%has no parameter "second"', 'an unknown parameter is refused');
SELECT throws_like($$UPDATE postback.fraud_rules SET parameters = '{"seconds": -1}' WHERE rule = 'fast_conversion'$$, '%cannot be -1', 'so is one that is not positive');
SELECT throws_like($$UPDATE postback.fraud_rules SET parameters = '{"seconds": "2"}' WHERE rule = 'fast_conversion'$$, '%cannot be "2"', 'or no number');
SELECT throws_like($$UPDATE postback.fraud_rules SET parameters = '[]' WHERE rule = 'fast_conversion'$$, '%no JSON object', 'or no object');
SELECT throws_like($$INSERT INTO postback.fraud_rules (rule, description) VALUES ('hunch', '')$$, 'there is no fraud rule "hunch"', 'and a rule that nobody wrote');

SELECT throws_like(format('UPDATE postback.fraud_rules SET parameters = %L WHERE rule = %L', given, rule), '%cannot be%', given || ' of ' || rule || ' is refused')
FROM (VALUES ('click_flood', '{"clicks": 2.5}'), ('click_flood', '{"minutes": 0.5}'), ('reversal_rate', '{"days": 0.5}'), ('perfect_interval', '{"variation": 1e-400}'),
    ('geo_anomaly', '{"people": 99.9}'), ('conversion_rate', '{"clicks": 1e300}')) AS g (rule, given);
SELECT throws_ok(format('SELECT * FROM postback.fraud_scan(%L)', since), '22023', NULL, format('a scan from %s is refused', coalesce(since::text, 'NULL')))
FROM unnest('{-infinity,infinity,NULL}'::timestamptz[]) AS since;
SELECT is((SELECT sum(items) FROM postback.fraud_scan('2026-03-10 15:00+00', '2026-03-10 14:00+00')), 0::numeric, 'one that ends before it begins finds nothing');
SELECT throws_ok('SELECT postback.load_ip_ranges(''cloud'', NULL)', '22004', NULL, 'no list is not an empty one');

-- Fast conversions, with the event.
SELECT pg_temp.tap('f' || n, n, '2026-03-10 12:10:00.5+00', '192.0.2.1', 'Phone ' || n) FROM generate_series(1, 6) AS n \g /dev/null
SELECT pg_temp.convert('fast', 'f1', '2026-03-10 12:10:02+00'), pg_temp.convert('slow', 'f2', '2026-03-10 12:10:02.6+00'),
    pg_temp.convert('minute', 'f3', '2026-03-10 12:12+00', '&payout=10&timestamp=1773144600'), pg_temp.convert('told', 'f4', '2026-03-10 12:12+00', '&payout=10&timestamp=1773144601'),
    (postback.test_postback('default', 'f5', now => '2026-03-10 12:10:01+00')).verdict \g /dev/null
SELECT set_eq($$SELECT c.transaction_id, (f.evidence ->> 'seconds')::numeric, f.action, f.status FROM postback.flags AS f JOIN postback.conversions AS c ON c.conversion_id = f.subject
    WHERE f.rule = 'fast_conversion'$$, $$VALUES ('fast', 1.5, 'flag', 'open'), ('told', 0.5, 'flag', 'open')$$,
    'sooner than two seconds is flagged with the event; not later, not by a network''s clock that tells minutes, no test');
SELECT is_empty('SELECT FROM _postback.held_conversions', 'a flag alone holds nothing');
SELECT is(pg_temp.scan('fast_conversion'), 0::bigint, 'a scan finds nothing more');

-- Data centres.
SELECT is(postback.load_ip_ranges('cloud', '{198.51.100.0/24,2001:db8:c::/48}'), 2::bigint, 'a list is loaded');
SELECT is(postback.load_ip_ranges('cloud', '{198.51.100.0/25, 198.51.100.128/25 ,198.51.100.0/25}'), 2::bigint, 'and loaded anew in place of the first');
SELECT is(postback.load_ip_ranges('gsm', '{198.51.100.64/26}', 'carrier'), 1::bigint, 'a carrier''s too');
SELECT throws_ok($$SELECT postback.load_ip_ranges('bad', '{here}')$$, '22P02', NULL, 'not what is no range');
SELECT throws_ok($$SELECT postback.load_ip_ranges('bad', '{192.0.2.0/24}', 'moon')$$, '23514', NULL, 'nor of an unknown kind');
SELECT pg_temp.tap('d1', 11, '2026-03-10 12:20+00', '198.51.100.7'), pg_temp.tap('d2', 11, '2026-03-10 12:21+00', '::ffff:198.51.100.8'), pg_temp.tap('d3', 12, '2026-03-10 12:20+00', '198.51.101.7'),
    pg_temp.tap('d4', 13, '2026-03-10 12:20+00', '198.51.100.70'), pg_temp.tap('d5', 11, '2026-03-10 12:19+00', '203.0.113.5') \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, clicked_at, visitor, ip_address) VALUES ('d6', 14, 1, '2026-03-10 12:20+00', 'preview', '198.51.100.9');
SELECT pg_temp.convert('centre', 'd1', '2026-03-10 12:30+00'), pg_temp.convert('home', 'd3', '2026-03-10 12:30+00') \g /dev/null
SELECT is(pg_temp.scan('datacenter_click'), 3::bigint, 'two clicks from the range and one conversion of theirs');
SELECT set_eq($$SELECT click_id, visitor::text FROM postback.clicks WHERE click_id LIKE 'd_'$$,
    $$VALUES ('d1', 'datacenter'), ('d2', 'datacenter'), ('d3', 'human'), ('d4', 'human'), ('d5', 'human'), ('d6', 'preview')$$,
    'they are a data centre''s now; not a neighbour''s, not a carrier''s, and a preview stays one');
SELECT is((SELECT array_to_string(click_ids, ' ') FROM postback.touches JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = 'centre'), 'd5',
    'and leave the path of the conversion');
SELECT results_eq($$SELECT subject, clicks, conversions, evidence ->> 'source', private_evidence -> 'addresses' FROM postback.flags WHERE rule = 'datacenter_click'$$,
    $$VALUES ('198.51.100.0/25', 2::bigint, 1::bigint, 'cloud', '["198.51.100.7", "::ffff:198.51.100.8"]'::jsonb)$$, 'one flag for the range');
SELECT is(pg_temp.scan('datacenter_click'), 0::bigint, 'a second scan finds nothing new');
SELECT pg_temp.convert('centre again', 'd2', '2026-03-10 12:40+00') \g /dev/null
SELECT is(pg_temp.scan('datacenter_click'), 1::bigint, 'but what its clicks convert later');

-- Fan-out: one device, and a carrier with as many subscribers.
SELECT pg_temp.tap('o' || n, 100 + n, '2026-03-10 13:00+00'::timestamptz + make_interval(secs => n * n), '203.0.113.9', 'Farm'),
    pg_temp.tap('n' || n, 200 + n, '2026-03-10 13:00+00'::timestamptz + make_interval(secs => n * n), '203.0.113.10', 'Phone ' || n % 4),
    pg_temp.tap('m' || n, 300 + n % 19, '2026-03-10 13:00+00'::timestamptz + make_interval(secs => n * n), '203.0.113.11', 'Farm'),
    pg_temp.tap('k' || n, 400 + n, '2026-03-10 13:00+00'::timestamptz + make_interval(secs => n * n), '198.51.100.66', 'Farm')
FROM generate_series(1, 25) AS n \g /dev/null
SELECT pg_temp.convert('farmed', 'o3', '2026-03-10 13:20+00'), pg_temp.convert('carried', 'n3', '2026-03-10 13:20+00') \g /dev/null
SELECT is(pg_temp.scan('address_fan_out'), 26::bigint, 'the clicks of the farm and their conversion');
SELECT results_eq($$SELECT subject, clicks, conversions, (evidence ->> 'subscribers')::int, private_evidence #>> '{user_agents,0}' FROM postback.flags WHERE rule = 'address_fan_out'$$,
    $$VALUES ('203.0.113.9', 25::bigint, 1::bigint, 25, 'Farm')$$, 'not a carrier''s, known or not, nor a family''s');
SELECT is(pg_temp.scan('address_fan_out'), 0::bigint, 'a second scan finds nothing new');

-- Floods and even intervals.
SELECT pg_temp.tap('w' || n, 501, '2026-03-10 12:50+00'::timestamptz + make_interval(secs => n * (1 + n % 3)), '203.0.113.20'),
    pg_temp.tap('x' || n, 502, '2026-03-10 12:00+00'::timestamptz + make_interval(secs => n * (100 + n % 3)), '203.0.113.21'),
    pg_temp.tap('y' || n, 510 + n, '2026-03-10 12:50+00'::timestamptz + make_interval(secs => n * (1 + n % 3)), '203.0.113.22', 'Phone ' || n % 5)
FROM generate_series(1, 24) AS n \g /dev/null
SELECT is(pg_temp.scan('click_flood'), 24::bigint, 'one device taps again and again for one subscriber');
SELECT results_eq($$SELECT subject, clicks, (evidence ->> 'clicks')::int, evidence ->> 'one_target' FROM postback.flags WHERE rule = 'click_flood'$$,
    $$VALUES ('203.0.113.20', 24::bigint, 24, 'subscriber 501')$$, 'not one that taps as often in more time, nor many people at once');
SELECT is(pg_temp.scan('click_flood'), 0::bigint, 'a second scan finds nothing new');
SELECT pg_temp.tap('p' || n, 600 + n, '2026-03-10 13:30+00'::timestamptz + make_interval(secs => n * 30), '203.0.113.30'),
    pg_temp.tap('q' || n, 700 + n, '2026-03-10 13:30+00'::timestamptz + make_interval(secs => n * 30 + 12 * (n % 3)), '203.0.113.31'),
    pg_temp.tap('r' || n, 800 + n, '2026-03-10 13:30+00', '203.0.113.32')
FROM generate_series(1, 14) AS n \g /dev/null
DELETE FROM postback.clicks WHERE click_id IN ('r13', 'r14');
SELECT is(pg_temp.scan('perfect_interval'), 14::bigint, 'a device that taps every 30 seconds');
SELECT results_eq($$SELECT subject, (evidence ->> 'seconds_between')::numeric, (evidence ->> 'variation')::numeric FROM postback.flags WHERE rule = 'perfect_interval'$$,
    $$VALUES ('203.0.113.30', 30.000, 0.0000)$$, 'not one whose gaps vary, nor clicks of one moment');
SELECT is(pg_temp.scan('perfect_interval'), 0::bigint, 'a second scan finds nothing new');

-- Spoofed postbacks.
SELECT postback.add_network('Signed'), postback.add_network('Quiet'), postback.add_network_secret('signed', 'hmac', 'a secret of sixteen bytes'), postback.add_network_secret('quiet', 'hmac', 'a secret of sixteen bytes') \g /dev/null
SELECT count(*) FROM generate_series(1, 12) AS n CROSS JOIN LATERAL postback.receive_postback('signed', 'click_id=f1&payout=1&sig=00', ('203.0.113.' || 100 + n)::inet,
    now => '2026-03-10 13:00+00'::timestamptz + make_interval(mins => n)) \g /dev/null
SELECT count(*) FROM generate_series(1, 9) AS n CROSS JOIN LATERAL postback.receive_postback('quiet', 'click_id=f1&payout=1&sig=00', '203.0.113.99',
    now => '2026-03-10 13:00+00'::timestamptz + make_interval(mins => n)) \g /dev/null
SELECT is(pg_temp.scan('spoofed_postbacks'), 12::bigint, 'a burst of messages with a wrong signature');
SELECT results_eq($$SELECT n.slug, f.postbacks, (f.evidence ->> 'sources')::int, f.evidence -> 'checks' FROM postback.flags AS f JOIN postback.networks AS n ON n.network_id::text = f.subject
    WHERE f.rule = 'spoofed_postbacks'$$, $$VALUES ('signed', 12::bigint, 12, '["hmac:refused"]'::jsonb)$$, 'from whatever address; not some single ones');
SELECT is(pg_temp.scan('spoofed_postbacks'), 0::bigint, 'a second scan finds nothing new');

-- The same transaction again.
SELECT pg_temp.tap('t' || n, 900 + n, '2026-03-10 12:00+00', '203.0.113.40', 'Phone ' || n) FROM generate_series(1, 6) AS n \g /dev/null
SELECT pg_temp.convert('again', 't1', '2026-03-10 12:10+00'), pg_temp.convert('more', 't3', '2026-03-10 12:10+00'), pg_temp.convert('fine', 't4', '2026-03-10 12:10+00'),
    pg_temp.convert('steps', 't5', '2026-03-10 12:10+00', '&payout=1&event=lead'), pg_temp.convert('keys', 't6', '2026-03-10 12:10+00', '&payout=1&event=lead') \g /dev/null
SELECT is(pg_temp.convert('again', 't2', '2026-03-10 12:20+00'), 'conflict', 'another click'), is(pg_temp.convert('more', 't3', '2026-03-10 12:20+00', '&payout=90'), 'updated', 'another payout'),
    is(pg_temp.convert('fine', 't4', '2026-03-10 12:20+00', '&payout=11'), 'updated', 'a payout that is corrected'),
    is(pg_temp.convert('steps', 't5', '2026-03-10 12:20+00', '&payout=9&event=sale'), 'accepted', 'another event of the same click'),
    is(pg_temp.convert('keys', 't2', '2026-03-10 12:20+00', '&payout=9&event=sale'), 'accepted', 'another event with another click');
SELECT is(pg_temp.scan('transaction_reuse'), 6::bigint, 'three transactions, with what was said again');
SELECT set_eq($$SELECT c.transaction_id, (f.evidence ->> 'other_clicks')::int AS clicks, (f.evidence ->> 'other_payouts')::int AS payouts FROM postback.flags AS f JOIN postback.conversions AS c ON c.conversion_id = f.subject
    WHERE f.rule = 'transaction_reuse'$$, $$VALUES ('again', 1, 0), ('more', 0, 1), ('keys', 1, 0)$$, 'are flagged, and no correction or further event');
SELECT is(pg_temp.scan('transaction_reuse'), 0::bigint, 'a second scan finds nothing new');
SELECT * FROM finish();
