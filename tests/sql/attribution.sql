-- Which click gets the credit for a conversion.
SELECT no_plan();
SELECT postback.add_network('Other') \g /dev/null
SELECT postback.add_offer('Last', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default', click_window => '7 days') AS a,
    postback.add_offer('First', 'https://network.example.com/{click_id}', offer_id => 2, network => 'default', click_window => '1 day', model => 'first_click') AS b,
    postback.add_offer('Elsewhere', 'https://network.example.com/{click_id}', offer_id => 3, network => 'other') AS c,
    postback.add_offer('Month', 'https://network.example.com/{click_id}', offer_id => 4, click_window => '1 month') AS d \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.tap(id text, subscriber bigint, offer bigint, at timestamptz, visitor postback.visitor DEFAULT 'human') RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor) VALUES (id, subscriber, offer, 456, at, visitor)
$$;
CREATE FUNCTION pg_temp.convert(transaction text, click text, at timestamptz, payout numeric DEFAULT 10) RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback('default', format('click_id=%s&transaction_id=%s&payout=%s', click, transaction, payout), now => at)
$$;
CREATE FUNCTION pg_temp.credited(transaction text, model text DEFAULT NULL, click_window interval DEFAULT NULL, scope text DEFAULT 'offer') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', a.click_id, a.credited_by, a.credit, a.revenue, a.currency), '; ')
    FROM postback.attribution(model, click_window => click_window, scope => scope) AS a WHERE a.transaction_id = transaction
$$;

-- First and last.
SELECT pg_temp.tap('a1', 1001, 1, '2026-03-08 12:00+00'), pg_temp.tap('a2', 1001, 1, '2026-03-09 12:00+00'), pg_temp.tap('a3', 1001, 1, '2026-03-10 12:00+00'),
    pg_temp.tap('a4', 1001, 1, '2026-03-10 14:00+00'), pg_temp.tap('other', 1002, 1, '2026-03-10 12:30+00') \g /dev/null
SELECT is(pg_temp.convert('t1', 'a2', '2026-03-10 13:00+00'), 'accepted', 'four taps of one subscriber, three before the conversion');
SELECT is(pg_temp.credited('t1', 'last_click'), 'a3 last_click 1 10 USD', 'last_click credits the last one before it, not the one the network named');
SELECT is(pg_temp.credited('t1', 'first_click'), 'a1 first_click 1 10 USD', 'first_click the first one');
SELECT is(pg_temp.credited('t1'), 'a3 last_click 1 10 USD', 'NULL takes the offer''s own model');
SELECT is(pg_temp.credited('t1', 'first_click', '1 day'), 'a3 first_click 1 10 USD', 'the caller may narrow the window');
SELECT is(pg_temp.credited('t1', 'first_click', '1 day 01:00'), 'a2 first_click 1 10 USD', 'by the hour');

-- The edges, to the millisecond.
SELECT pg_temp.tap('b1', 1003, 2, '2026-03-09 12:59:59.999+00'), pg_temp.tap('b2', 1003, 2, '2026-03-09 13:00:00.000+00'), pg_temp.tap('b3', 1003, 2, '2026-03-10 13:00:00.000+00'),
    pg_temp.tap('b4', 1003, 2, '2026-03-10 13:00:00.001+00') \g /dev/null
SELECT is(pg_temp.convert('t2', 'b3', '2026-03-10 13:00:00.000+00'), 'accepted', 'a conversion at the moment of a tap');
SELECT is(pg_temp.credited('t2'), 'b2 first_click 1 10 USD', 'the first one in the window of the offer, edge included');
SELECT is(pg_temp.credited('t2', 'last_click'), 'b3 last_click 1 10 USD', 'the last one not after the conversion, edge included');
SELECT is(pg_temp.credited('t2', 'first_click', '1 day 00:00:00.001'), 'b1 first_click 1 10 USD', 'a millisecond more takes the one before');
SELECT is(pg_temp.credited('t2', 'first_click', '23:59:59.999'), 'b3 first_click 1 10 USD', 'a millisecond less leaves it out');

-- Machines earn nothing.
SELECT pg_temp.tap('c1', 1004, 1, '2026-03-10 12:00+00'), pg_temp.tap('c2', 1004, 1, '2026-03-10 12:10+00', 'bot'), pg_temp.tap('c3', 1004, 1, '2026-03-10 12:20+00', 'preview') \g /dev/null
SELECT is(pg_temp.convert('t3', 'c2', '2026-03-10 13:00+00'), 'accepted', 'the network names a machine''s click');
SELECT is(pg_temp.credited('t3', 'last_click'), 'c1 last_click 1 10 USD', 'the person gets the credit');
UPDATE postback.clicks SET visitor = 'bot' WHERE click_id = 'c1';
SELECT is(pg_temp.credited('t3', 'last_click'), NULL, 'without a person there is no row');
UPDATE postback.clicks SET visitor = 'human' WHERE click_id = 'c3';
SELECT is(pg_temp.credited('t3', 'last_click'), 'c3 last_click 1 10 USD', 'a click that is classified anew counts at once');

SELECT pg_temp.tap('g1', 1007, 1, '2026-03-10 12:00+00'), pg_temp.tap('g2', 1007, 1, '2026-03-10 12:10+00', 'bot'), pg_temp.tap('g3', 1007, 1, '2026-03-10 12:20+00') \g /dev/null
SELECT is(pg_temp.convert('t7', 'g2', '2026-03-10 13:00+00'), 'accepted', 'a crawler between two taps of a person');
SELECT is(pg_temp.credited('t7', m), c || ' ' || m || ' 1 10 USD', 'the person''s tap gets the credit by ' || m) FROM (VALUES ('first_click', 'g1'), ('last_click', 'g3')) AS v (m, c);
SELECT pg_temp.tap('h1', 1008, 1, '2026-03-10 13:00:00.001+00') \g /dev/null
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES ('early', 'h1', 5, '2026-03-10 13:00+00');
SELECT is(pg_temp.credited('early', m), NULL, 'a click after its conversion earns nothing by ' || m) FROM unnest('{first_click,last_click}'::text[]) AS m;

-- A window is as long for every session as for the receipt of the postback, also over the night the clocks change.
SELECT pg_temp.tap('i1', 1009, 1, '2026-03-07 12:30+00'), pg_temp.tap('j1', 1010, 4, '2026-02-09 12:00+00') \g /dev/null
SELECT is(pg_temp.convert('t8', 'i1', '2026-03-08 12:00+00'), 'accepted', 'a conversion 23 and a half hours after its tap');
SELECT is(pg_temp.convert('t9', 'j1', '2026-03-11 12:00+00'), 'accepted', 'and one 30 days after, with a window of a month');
SELECT is((SELECT pg_temp.credited(transaction, 'last_click', click_window) FROM set_config('timezone', zone, true)), expected || ' last_click 1 10 USD', what || ' in ' || zone)
FROM (VALUES ('t8', interval '1 day', 'i1', 'a day is 24 hours'), ('t9', NULL, 'j1', 'a month is 30 days')) AS v (transaction, click_window, expected, what),
    unnest('{UTC,America/New_York,Asia/Kolkata}'::text[]) AS zone;

-- Scope.
SELECT pg_temp.tap('d1', 1005, 1, '2026-03-10 12:00+00'), pg_temp.tap('d2', 1005, 2, '2026-03-10 12:10+00'), pg_temp.tap('d3', 1005, 3, '2026-03-10 12:20+00') \g /dev/null
SELECT is(pg_temp.convert('t4', 'd1', '2026-03-10 13:00+00'), 'accepted', 'taps on three offers of two networks');
SELECT is(pg_temp.credited('t4', 'last_click', scope => s), expected || ' last_click 1 10 USD', 'scope ' || s)
FROM (VALUES ('offer', 'd1'), ('network', 'd2'), ('any', 'd3')) AS v (s, expected);
SELECT pg_temp.tap('d4', 1005, 4, '2026-03-10 12:15+00') \g /dev/null
SELECT is(pg_temp.credited('t4', 'last_click', scope => 'network'), 'd4 last_click 1 10 USD', 'an offer without a network is one of the default network');

-- Nobody knows the subscriber: the named click is all there is.
SELECT pg_temp.tap('e1', NULL, 1, '2026-03-10 12:00+00'), pg_temp.tap('e2', NULL, 1, '2026-03-10 12:30+00') \g /dev/null
SELECT is(pg_temp.convert('t5', 'e1', '2026-03-10 13:00+00'), 'accepted', 'a click without subscriber');
SELECT is(pg_temp.credited('t5', m), 'e1 ' || m || ' 1 10 USD', 'gets the credit itself by ' || m) FROM unnest('{first_click,last_click}'::text[]) AS m;

-- What changes later.
SELECT is(pg_temp.convert('t1', 'a2', '2026-03-10 13:30+00', 12), 'updated', 'another payout');
SELECT is(pg_temp.credited('t1'), 'a3 last_click 1 12 USD', 'moves the revenue, not the credit');
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 't1';
SELECT is(pg_temp.credited('t1'), 'a3 last_click 1 0 USD', 'a reversal takes it back');
INSERT INTO postback.conversions (transaction_id, payout, converted_at) VALUES ('nowhere', 5, '2026-03-10 13:00+00');
SELECT is(pg_temp.credited('nowhere'), NULL, 'a conversion that nobody tapped for has no row');

-- Every model gives each conversion one credit and its whole payout.
SELECT is_empty(
    format('SELECT conversion_id FROM postback.attribution(%L, scope => %L) GROUP BY conversion_id HAVING sum(credit) <> 1', m, s), format('credits sum to 1: %s, %s', m, s))
FROM unnest('{first_click,last_click}'::text[]) AS m, unnest('{offer,network,any}'::text[]) AS s;
SELECT is_empty(
    format('SELECT transaction_id FROM postback.attribution(%L, scope => ''any'') WHERE clicked_at > converted_at', m), 'no click after its conversion: ' || m)
FROM unnest('{first_click,last_click}'::text[]) AS m;
SELECT is_empty(
    'SELECT a.transaction_id FROM postback.attribution() AS a JOIN postback.conversions AS c USING (conversion_id) GROUP BY a.transaction_id, c.payout HAVING sum(a.revenue) <> c.payout',
    'revenue sums to the payout');

-- The period and the statuses asked for.
SELECT is((SELECT array_agg(transaction_id ORDER BY transaction_id) FROM postback.attribution(since => since, until => until)), expected, what)
FROM (VALUES ('from the moment of conversion', '2026-03-10 13:00+00'::timestamptz, 'infinity'::timestamptz, '{t1,t2,t3,t4,t5,t7,t9}'::text[]),
    ('a millisecond later', '2026-03-10 13:00:00.001+00', 'infinity', '{t9}'), ('until then, not including it', '-infinity', '2026-03-10 13:00+00', '{t8}')) AS v (what, since, until, expected);
SELECT is((SELECT array_agg(transaction_id) FROM postback.attribution(statuses => '{reversed}')), '{t1}', 'only the statuses asked for');

SELECT throws_ok(statement, '22023', NULL, statement) FROM unnest(ARRAY['SELECT postback.attribution(''magic'')', 'SELECT postback.attribution(scope => ''world'')',
    'SELECT postback.attribution(scope => NULL)']) AS statement;

SELECT * FROM finish();
