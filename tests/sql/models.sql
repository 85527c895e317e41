-- How each model divides the credit and the payout of a conversion.
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') AS a,
    postback.add_offer('Decay', 'https://network.example.com/{click_id}', offer_id => 2, network => 'default', model => 'time_decay') AS b \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.tap(id text, subscriber bigint, at timestamptz, offer bigint DEFAULT 1, visitor postback.visitor DEFAULT 'human') RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor) VALUES (id, subscriber, offer, 456, at, visitor)
$$;
CREATE FUNCTION pg_temp.convert(transaction text, subscriber bigint, payout numeric, currency text DEFAULT 'USD', offer bigint DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.conversions (transaction_id, subscriber_id, offer_id, payout, currency, converted_at) VALUES (transaction, subscriber, offer, payout, currency, '2026-03-10 12:00+00')
$$;
CREATE FUNCTION pg_temp.credited(transaction text, model text, half_life interval DEFAULT '48 hours', weights numeric[] DEFAULT '{0.4,0.2,0.4}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', a.click_id, a.credit, a.revenue), '; ' ORDER BY a.clicked_at, a.click_id)
    FROM postback.attribution(model, half_life => half_life, weights => weights) AS a WHERE a.transaction_id = transaction
$$;

SELECT pg_temp.tap('a1', 1, '2026-03-06 12:00+00'), pg_temp.tap('a2', 1, '2026-03-08 12:00+00'), pg_temp.tap('a3', 1, '2026-03-10 12:00+00'), pg_temp.convert('three', 1, 10) \g /dev/null
SELECT pg_temp.tap('b1', 2, '2026-03-08 12:00+00'), pg_temp.tap('b2', 2, '2026-03-10 12:00+00'), pg_temp.convert('two', 2, 10.01) \g /dev/null
SELECT pg_temp.tap('c1', 3, '2026-03-08 12:00+00'), pg_temp.convert('one', 3, 10) \g /dev/null
SELECT is(pg_temp.credited(transaction, model), expected, format('%s touches by %s', transaction, model))
FROM (VALUES ('three', 'first_click', 'a1 1 10'), ('three', 'last_click', 'a3 1 10'),
    ('three', 'linear', 'a1 0.333333333334 3.34; a2 0.333333333333 3.33; a3 0.333333333333 3.33'),
    ('three', 'time_decay', 'a1 0.142857142857 1.43; a2 0.285714285714 2.86; a3 0.571428571429 5.71'),
    ('three', 'position_based', 'a1 0.4 4.00; a2 0.2 2.00; a3 0.4 4.00'),
    ('two', 'linear', 'b1 0.5 5.01; b2 0.5 5.00'), ('two', 'time_decay', 'b1 0.333333333333 3.34; b2 0.666666666667 6.67'), ('two', 'position_based', 'b1 0.5 5.01; b2 0.5 5.00'),
    ('one', 'linear', 'c1 1 10'), ('one', 'time_decay', 'c1 1 10'), ('one', 'position_based', 'c1 1 10')) AS v (transaction, model, expected);
SELECT is(pg_temp.credited('two', 'time_decay', half_life => '24 hours'), 'b1 0.2 2.00; b2 0.8 8.01', 'another half-life');
SELECT is(pg_temp.credited('three', 'position_based', weights => '{0.3,0.4,0.3}'), 'a1 0.3 3.00; a2 0.4 4.00; a3 0.3 3.00', 'other weights');
SELECT is(pg_temp.credited('two', 'position_based', weights => '{3,5,1}'), 'b1 0.75 7.51; b2 0.25 2.50', 'two touches share by the weights of first and last');
SELECT is(pg_temp.credited('three', 'position_based', weights => '{1,0,1}'), 'a1 0.5 5.00; a3 0.5 5.00', 'a touch that earns nothing has no row');
SELECT pg_temp.convert('yen', 1, 1000, 'JPY'), pg_temp.convert('dinar', 1, 10, 'KWD'), pg_temp.convert('fine', 1, 1.00005), pg_temp.convert('cent', 1, 0.01) \g /dev/null
SELECT is((SELECT array_agg(revenue ORDER BY clicked_at) FROM postback.attribution('linear') WHERE transaction_id = transaction), expected, what)
FROM (VALUES ('yen', '{334,333,333}'::numeric[], 'yen have no decimals'), ('dinar', '{3.334,3.333,3.333}', 'dinars have three'),
    ('fine', '{0.33335,0.33335,0.33335}', 'a finer payout is divided in its own last decimal'), ('cent', '{0.01,0.00,0.00}', 'a cent is not divided')) AS v (transaction, expected, what);

-- A model of an offer's own; a reversal takes back what was given.
SELECT pg_temp.tap('d1', 4, '2026-03-08 12:00+00', 2), pg_temp.tap('d2', 4, '2026-03-10 12:00+00', 2), pg_temp.convert('own', 4, 9, offer => 2) \g /dev/null
SELECT is(pg_temp.credited('own', NULL), 'd1 0.333333333333 3.00; d2 0.666666666667 6.00', 'NULL takes the offer''s model');
SELECT array_agg((click_id, credit) ORDER BY click_id) AS given FROM postback.attribution('linear') WHERE transaction_id = 'three' \gset
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'three';
SELECT is((SELECT array_agg((click_id, credit) ORDER BY click_id)::text FROM postback.attribution('linear') WHERE transaction_id = 'three'), :'given', 'a reversal keeps the credits');
SELECT is((SELECT sum(revenue) FROM postback.attribution('linear') WHERE transaction_id = 'three'), 0.00, 'and leaves no revenue');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'three';
SELECT is(pg_temp.credited('three', 'linear'), 'a1 0.333333333334 3.34; a2 0.333333333333 3.33; a3 0.333333333333 3.33', 'approved again it gives the same again');

-- At one moment, the smaller id is the earlier.
SELECT pg_temp.tap('t2', 5, '2026-03-10 11:00+00'), pg_temp.tap('t1', 5, '2026-03-10 11:00+00'), pg_temp.convert('tie', 5, 1) \g /dev/null
SELECT is(pg_temp.credited('tie', m), c || ' 1 1', 'two clicks at one moment by ' || m) FROM (VALUES ('first_click', 't1'), ('last_click', 't2')) AS v (m, c);

-- Random paths: nothing is lost and nothing is made, in any model and scope.
SELECT setseed(0.7) \g /dev/null
INSERT INTO postback.clicks (subscriber_id, offer_id, campaign_id, clicked_at, visitor)
SELECT 100 + random() * 50, 1 + random(), random() * 9, '2026-03-10 12:00+00'::timestamptz - random() * interval '9 days', CASE WHEN random() < 0.8 THEN 'human' ELSE 'bot' END::postback.visitor
FROM generate_series(1, 500);
INSERT INTO postback.conversions (transaction_id, subscriber_id, offer_id, payout, currency, converted_at)
SELECT 'random' || g, 100 + random() * 50, 1 + random(), round((random() * 100)::numeric, (random() * 5)::integer), (ARRAY['USD', 'JPY', 'KWD'])[1 + random() * 2], '2026-03-10 12:00+00'::timestamptz - random() * interval '1 day'
FROM generate_series(1, 300) AS g;
SELECT is_empty(format('SELECT c.transaction_id FROM postback.attribution(%L, scope => %L) AS a JOIN postback.conversions AS c USING (conversion_id)
    GROUP BY c.transaction_id, c.payout HAVING sum(a.credit) <> 1 OR sum(a.revenue) <> c.payout OR min(a.credit) <= 0', m, s), format('sums are exact: %s, %s', m, s))
FROM unnest('{first_click,last_click,linear,time_decay,position_based}'::text[]) AS m, unnest('{offer,network,any}'::text[]) AS s;
SELECT is((SELECT count(DISTINCT conversion_id) FROM postback.attribution('linear', scope => 'any')), (SELECT count(*) FROM _postback.conversion_paths(scope => 'any')), 'every path with a touch is credited');
SELECT is_empty($$SELECT conversion_id, click_id, clicked_at, campaign_id, offer_id FROM postback.attribution('linear')
    EXCEPT SELECT p.conversion_id, u.* FROM _postback.conversion_paths() AS p, unnest(p.click_ids, p.clicked_ats, p.campaign_ids, p.offer_ids) AS u$$, 'and conversion_paths() has the same touches');

-- All models beside each other.
SELECT results_eq($$SELECT currency COLLATE "C", sum(linear), sum(linear_revenue), sum(last_click), sum(last_click_revenue) FROM postback.compare_models('{campaign,offer}') GROUP BY 1 ORDER BY 1$$,
    $$SELECT c.currency::text COLLATE "C", count(*)::numeric, sum(c.payout)::numeric, count(*)::numeric, sum(c.payout)::numeric FROM postback.conversions AS c
      WHERE EXISTS (SELECT FROM _postback.conversion_paths() AS p WHERE p.conversion_id = c.conversion_id) GROUP BY 1 ORDER BY 1$$, 'each model has the whole of each currency');
SELECT is((SELECT count(*) FROM postback.compare_models('{}')), 3::bigint, 'without a dimension one row per currency');

-- Why.
SELECT pg_temp.tap('e1', 6, '2026-03-01 12:00+00'), pg_temp.tap('e2', 6, '2026-03-09 12:00+00', 2), pg_temp.tap('e3', 6, '2026-03-09 13:00+00', visitor => 'preview'),
    pg_temp.tap('e4', 6, '2026-03-09 14:00+00'), pg_temp.tap('e5', 6, '2026-03-10 11:00+00'), pg_temp.tap('e6', 6, '2026-03-10 12:00:00.001+00') \g /dev/null
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES ('why', 'e4', 10, '2026-03-10 12:00+00');
SELECT results_eq($$SELECT click_id, credit, revenue, reason FROM postback.explain_credit('default', 'why')$$, $$VALUES
    ('e1', 0::numeric, 0::numeric, 'no: outside the click window of 7 days by 2 days'),
    ('e2', 0, 0, 'no: a click on offer 2, and with scope offer only those on offer 1 count'),
    ('e3', 0, 0, 'no: its visitor is not a human but of class preview'),
    ('e4', 0, 0, 'no: it is a touch, but last_click gives it nothing; the network named it'),
    ('e5', 1, 10, 'yes: 1 of it by last_click'),
    ('e6', 0, 0, 'no: 00:00:00.001 after the conversion')$$, 'explain_credit() says of each click why');
SELECT is((SELECT array_agg(credit ORDER BY clicked_at) FROM postback.explain_credit('default', 'why', 'linear', scope => 'any')), '{0,0.333333333334,0,0.333333333333,0.333333333333,0}', 'by any model and scope');
SELECT pg_temp.convert('unseen', 7, 1) \g /dev/null
SELECT is((SELECT reason FROM postback.explain_credit('default', 'unseen')), 'no click is known of subscriber 7', 'and when there is none');

SELECT throws_ok(statement, '22023', NULL, statement) FROM unnest(ARRAY['SELECT * FROM postback.attribution(''linear'', half_life => ''0'')', 'SELECT * FROM postback.attribution(weights => ''{1,2}'')',
    'SELECT * FROM postback.attribution(weights => ''{1,-1,1}'')', 'SELECT * FROM postback.attribution(weights => ''{0,0,0}'')', 'SELECT * FROM postback.attribution(weights => ''{NaN,1,1}'')',
    'SELECT * FROM postback.attribution(weights => NULL)', 'SELECT * FROM postback.compare_models(''{moon}'')']) AS statement;
SELECT throws_ok($$UPDATE postback.offers SET model = 'magic' WHERE offer_id = 1$$, '23514', NULL, 'an offer''s model is one of them');

SELECT * FROM finish();
