-- The paths of conversions: captured by each road, right again when something changes, and the same in any order of arrival.
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') AS a,
    postback.add_offer('Two', 'https://network.example.com/{click_id}', offer_id => 2, network => 'default') AS b,
    postback.add_offer('Long', 'https://network.example.com/{click_id}', offer_id => 3, network => 'default', click_window => '120 days') AS c \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.tap(id text, subscriber bigint, offer bigint, at timestamptz, visitor postback.visitor DEFAULT 'human') RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor) VALUES (id, subscriber, offer, 456, at, visitor)
$$;
CREATE FUNCTION pg_temp.convert(transaction text, click text, at timestamptz, more text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback('default', format('click_id=%s&transaction_id=%s&payout=10%s', click, transaction, more), now => at)
$$;
-- The path as it is kept; the click that the network named is in brackets.
CREATE FUNCTION pg_temp.path(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT (SELECT string_agg(CASE WHEN place = t.named THEN '[' || id || ']' ELSE id END, ' ' ORDER BY place)
            FROM unnest(t.click_ids) WITH ORDINALITY AS i (id, place))
    FROM postback.touches AS t JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = transaction
$$;

-- Each road.
SELECT pg_temp.tap('a1', 1, 1, '2026-03-08 12:00+00'), pg_temp.tap('a2', 1, 2, '2026-03-09 12:00+00'), pg_temp.tap('a3', 1, 1, '2026-03-10 12:00+00'),
    pg_temp.tap('a4', 1, 1, '2026-03-10 12:00+00', 'bot'), pg_temp.tap('a5', 1, 1, '2026-03-10 14:00+00'), pg_temp.tap('b1', 2, 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.convert('batch', 'a1', '2026-03-10 13:00+00'), 'accepted', 'a postback');
SELECT is(pg_temp.path('batch'), '[a1] a2 a3', 'keeps the human clicks of its subscriber before it, on every offer');
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES ('direct', 'a3', 5, '2026-03-10 13:00+00');
SELECT is(pg_temp.path('direct'), 'a1 a2 [a3]', 'so does a direct INSERT');
INSERT INTO postback.conversions (transaction_id, subscriber_id, payout, converted_at) VALUES ('nameless', 1, 5, '2026-03-10 13:00+00');
SELECT is(pg_temp.path('nameless'), 'a1 a2 a3', 'and one that names no click');
SELECT is(pg_temp.convert('orphan', 'o1', '2026-03-10 13:00+00'), 'unmatched', 'a postback before its click');
SELECT pg_temp.tap('o2', 3, 1, '2026-03-10 11:00+00'), pg_temp.tap('o1', 3, 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.path('orphan'), 'o2 [o1]', 'has its path once it is matched');
SELECT is(pg_temp.convert('reversed', 'b1', '2026-03-10 13:00+00', '&status=reversed'), 'accepted', 'a reversal that comes first');
SELECT is(pg_temp.path('reversed'), '[b1]', 'has a path');
SELECT is(pg_temp.convert('reversed', 'b1', '2026-03-10 13:01+00', '&status=approved'), 'stale', 'and its approval');
SELECT is_empty('SELECT c.transaction_id FROM postback.conversions AS c LEFT JOIN postback.touches AS t USING (conversion_id, bucket)
    WHERE (t.status, t.payout, t.currency, t.network_id, t.offer_id, t.converted_at) IS DISTINCT FROM (c.status, c.payout::numeric, c.currency::text, c.network_id, c.offer_id, c.converted_at)',
    'every path says of its conversion what the conversion says');
SELECT is((SELECT verdict::text FROM postback.test_postback('default', 'a1', now => '2026-03-10 13:00+00')), 'test', 'a test message');
SELECT is_empty('SELECT FROM postback.touches AS t JOIN postback.conversions AS c USING (conversion_id) WHERE c.is_test', 'keeps no path');
SELECT is((SELECT count(*) FROM postback.touches), (SELECT count(*) FROM postback.conversions WHERE NOT is_test), 'one path per conversion');
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, clicked_at, visitor, method) VALUES ('t1', 1, 1, '2026-03-10 12:30+00', 'human', 'TEST');
SELECT is(pg_temp.path('batch'), '[a1] a2 a3', 'nor does the click of a test enter one');

-- What comes late.
SELECT pg_temp.tap('a0', 1, 1, '2026-03-07 12:00+00') \g /dev/null
SELECT is(pg_temp.path('batch'), 'a0 [a1] a2 a3', 'a click by INSERT that comes late is repaired into its place');
SELECT pg_temp.tap('a6', 1, 1, '2026-03-10 13:00:00.001+00'), pg_temp.tap('a7', 1, 1, '2026-03-07 13:00+00', 'preview'), pg_temp.tap('a8', 9, 1, '2026-03-07 13:00+00') \g /dev/null
SELECT is(pg_temp.path('batch'), 'a0 [a1] a2 a3', 'not one after the conversion, nor a machine''s, nor another subscriber''s');
COPY postback.clicks (click_id, subscriber_id, offer_id, clicked_at, visitor) FROM stdin WITH (FORMAT csv);
a9,1,1,2026-03-10 12:45+00,human
\.
SELECT is(pg_temp.path('batch'), 'a0 [a1] a2 a3 a9', 'nor is one by COPY missed');
SELECT postback.create_send(456, 1, base_url => 'https://s.example.com') AS send \gset
SELECT code FROM postback.mint_links(:send, ARRAY[1]) \gset
SELECT postback.mint_click_id(1, '2026-03-10 12:50+00') AS late \gset
SELECT count(*) FROM postback.record_clicks(ARRAY[:'code'], ARRAY[:'late'], user_agents => ARRAY['Mozilla/5.0 (iPhone)']) \g /dev/null
SELECT is(pg_temp.path('batch'), 'a0 [a1] a2 a3 a9 ' || :'late', 'nor one that is replayed from a spool');

-- What changes.
UPDATE postback.clicks SET visitor = 'bot' WHERE click_id IN ('a1', :'late');
SELECT is(pg_temp.path('batch'), 'a0 a2 a3 a9', 'a click that turns out a machine''s leaves the path, also the one that was named');
UPDATE postback.clicks SET visitor = 'human' WHERE click_id = 'a4';
SELECT is(pg_temp.path('batch'), 'a0 a2 a3 a4 a9', 'a click that turns out a person''s enters it');
UPDATE postback.clicks SET offer_id = 3, campaign_id = 7 WHERE click_id = 'a2';
SELECT is((SELECT offer_ids[2] || '/' || campaign_ids[2] FROM postback.touches JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = 'batch'), '3/7', 'labels follow');
UPDATE postback.clicks SET subscriber_id = 1 WHERE click_id = 'b1' AND bucket = postback.subscriber_bucket(1);
UPDATE postback.conversions SET subscriber_id = NULL WHERE transaction_id = 'direct';
SELECT is(pg_temp.path('direct'), '[a3]', 'without its subscriber a conversion has the click that was named');
UPDATE postback.conversions SET subscriber_id = 1, offer_id = 2 WHERE transaction_id = 'direct';
SELECT is(pg_temp.path('direct'), 'a0 a2 [a3] a4 a9', 'with its subscriber all of his');
SELECT is((SELECT offer_id FROM postback.path_log WHERE transaction_id = 'direct'), 2::bigint, 'and its offer');

-- How far back.
SELECT pg_temp.tap('w0', 5, 1, '2025-12-09 13:00+00'), pg_temp.tap('w1', 5, 1, '2025-12-10 13:00+00'), pg_temp.tap('w2', 5, 1, '2026-03-03 13:00+00'), pg_temp.tap('w3', 5, 1, '2026-03-10 12:00+00'),
    pg_temp.tap('l1', 6, 3, '2025-11-11 13:00+00'), pg_temp.tap('l2', 6, 3, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.convert('wide', 'w3', '2026-03-10 13:00+00'), 'accepted', 'clicks of many days before');
SELECT is(pg_temp.convert('long', 'l2', '2026-03-10 13:00+00'), 'accepted', 'and of an offer with a long window');
SELECT is(pg_temp.path('wide'), 'w2 [w3]', 'on arrival a path reaches back 7 days');
SELECT is(pg_temp.path('long'), 'l1 [l2]', 'or as far as the offer''s window');
SELECT postback.maintain(clock_timestamp() + interval '6 minutes') \g /dev/null
SELECT is(pg_temp.path('wide'), 'w2 [w3]', 'what was under way may still come');
UPDATE postback.offers SET click_window = '7 days' WHERE offer_id = 3;
SELECT postback.maintain(clock_timestamp() + interval '6 minutes') \g /dev/null
SELECT is(pg_temp.path('wide'), 'w1 w2 [w3]', 'settled it reaches back 90 days');
SELECT is((SELECT array_agg(click_id ORDER BY clicked_at) FROM postback.attribution('linear', click_window => '90 days') WHERE transaction_id = 'wide'), '{w1,w2,w3}', 'so that any window up to that can be asked for');
SELECT is((SELECT done FROM postback.maintain(clock_timestamp() + interval '7 minutes') WHERE task = 'paths_settled'), 0::bigint, 'once');

-- Loaded with the triggers off, as a migration does.
SET session_replication_role = replica;
INSERT INTO postback.clicks (click_id, bucket, subscriber_id, offer_id, clicked_at, visitor) VALUES ('a10', postback.subscriber_bucket(1), 1, 1, '2026-03-10 12:55+00', 'human');
SET session_replication_role = origin;
SELECT is(pg_temp.path('batch'), 'a0 a2 a3 a4 a9', 'a click that no trigger saw');
SELECT is(_postback.repair_touches('2026-03-10 12:50+00', '2026-03-10 12:59+00'), 3::bigint, 'repair_touches() finds the paths it belongs to');
SELECT is(pg_temp.path('batch'), 'a0 a2 a3 a4 a9 a10', 'and repairs them');

-- The order of arrival says nothing: the same events for two subscribers, one forwards and one backwards.
SELECT pg_temp.tap('f1', 21, 1, '2026-03-10 10:00+00'), pg_temp.tap('f2', 21, 2, '2026-03-10 11:00+00'), pg_temp.tap('f3', 21, 1, '2026-03-10 12:00+00') \g /dev/null
SELECT pg_temp.convert('forwards', 'f1', '2026-03-10 13:00+00') \g /dev/null
SELECT pg_temp.convert('backwards', 'g1', '2026-03-10 13:00+00') \g /dev/null
SELECT pg_temp.tap('g3', 22, 1, '2026-03-10 12:00+00'), pg_temp.tap('g1', 22, 1, '2026-03-10 10:00+00'), pg_temp.tap('g2', 22, 2, '2026-03-10 11:00+00') \g /dev/null
SELECT is(pg_temp.path('backwards'), replace(pg_temp.path('forwards'), 'f', 'g'), 'the same path in either order');
SELECT is((SELECT array_agg((replace(click_id, 'g', 'f'), credit, revenue) ORDER BY click_id)::text FROM postback.attribution(m, scope => 'any') WHERE transaction_id = 'backwards'),
    (SELECT array_agg((click_id, credit, revenue) ORDER BY click_id)::text FROM postback.attribution(m, scope => 'any') WHERE transaction_id = 'forwards'), 'the same credit by ' || m)
FROM unnest('{first_click,last_click,linear,time_decay,position_based}'::text[]) AS m;

-- A report reads paths, never clicks.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$;
SELECT is_empty(format('SELECT line FROM pg_temp.plan_of(%L) AS line WHERE line ~ ''clicks_|Function Scan on attribution''', query), 'no click is read, and the function is inlined: ' || query)
FROM unnest(ARRAY['SELECT campaign_id, sum(credit), sum(revenue) FROM postback.attribution(''linear'') GROUP BY 1', 'SELECT * FROM postback.attribution(scope => ''any'')']) AS query;
SELECT is_empty($$SELECT line FROM pg_temp.plan_of('SELECT campaign_id, sum(credit) FROM postback.attribution(''linear'') GROUP BY 1') AS line WHERE line ~ 'conversions'$$, 'nor a conversion, when nothing is asked for that only it knows');

SELECT * FROM finish();
