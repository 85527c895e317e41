-- Markov chains and Shapley values over whole paths, small enough to be checked by hand.
SELECT no_plan();
SELECT postback.add_network('Yen', currency => 'JPY') AS yen, postback.add_network('Dinar', currency => 'KWD') AS dinar,
    postback.add_offer('Dollars', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') AS a,
    postback.add_offer('Yens', 'https://network.example.com/{click_id}', offer_id => 2, network => 'yen') AS b,
    postback.add_offer('Dinars', 'https://network.example.com/{click_id}', offer_id => 3, network => 'dinar') AS c \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
-- A subscriber's taps of these campaigns, an hour apart, the last one at 12:00 of the day.
CREATE FUNCTION pg_temp.walk(subscriber bigint, campaigns bigint[], offer bigint DEFAULT 1, day date DEFAULT '2026-03-10') RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, variant_id, send_id, clicked_at)
    SELECT format('%s-%s-%s-%s', subscriber, offer, day, c.place), subscriber, offer, c.campaign, 10 * c.campaign, 100 * c.campaign,
           (day + time '12:00') AT TIME ZONE 'UTC' - (cardinality(campaigns) - c.place) * interval '1 hour'
    FROM unnest(campaigns) WITH ORDINALITY AS c (campaign, place)
$$;
CREATE FUNCTION pg_temp.buy(subscriber bigint, payout numeric, offer bigint DEFAULT 1, status text DEFAULT 'approved', day date DEFAULT '2026-03-10') RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.conversions (network_id, transaction_id, subscriber_id, offer_id, payout, currency, status, converted_at)
    SELECT o.network_id, format('%s-%s-%s', subscriber, offer, status), subscriber, offer, buy.payout, n.currency, status::postback.conversion_status, (day + time '13:00') AT TIME ZONE 'UTC'
    FROM postback.offers AS o JOIN postback.networks AS n ON n.network_id = o.network_id WHERE o.offer_id = offer
$$;
CREATE FUNCTION pg_temp.markov(channel text DEFAULT 'campaign', chain_order integer DEFAULT 1, scope text DEFAULT 'offer') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', coalesce(channel_id::text, '-'), conversions, round(removal_effect::numeric, 6), share, revenue, currency), '; ')
    FROM postback.markov_attribution(channel, scope => scope, chain_order => chain_order)
$$;
CREATE FUNCTION pg_temp.shapley(worth text DEFAULT 'conversions', channel text DEFAULT 'campaign') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', coalesce(channel_id::text, '-'), conversions, round(value::numeric, 6), share, revenue, currency), '; ')
    FROM postback.shapley_attribution(channel, worth => worth)
$$;

SELECT is(pg_temp.markov(), NULL, 'nobody clicked: no rows from markov_attribution');
SELECT is(pg_temp.shapley(worth), NULL, 'nor from shapley_attribution by ' || worth) FROM unnest('{conversions,rate}'::text[]) AS worth;

-- 1 buys after campaign 1; 2 after campaigns 1 and 2; 3 sees both and does not buy.
SELECT pg_temp.walk(1, '{1}'), pg_temp.walk(2, '{1,2}'), pg_temp.walk(3, '{1,2}'), pg_temp.buy(1, 10), pg_temp.buy(2, 10) \g /dev/null
-- All start at 1. From 1 a third buys and two thirds go on to 2, from where half buy: 2 of 3. Without 1 nobody does, without 2 a third: effects 1 and 1/2.
SELECT is(pg_temp.markov(), '1 2 1.000000 0.666666666667 13.33 USD; 2 1 0.500000 0.333333333333 6.67 USD', 'removal effects 1 and 1/2 share 20.00 as 2 to 1');
SELECT is(pg_temp.markov('variant'), '10 2 1.000000 0.666666666667 13.33 USD; 20 1 0.500000 0.333333333333 6.67 USD', 'of variants');
SELECT is(pg_temp.markov('send'), '100 2 1.000000 0.666666666667 13.33 USD; 200 1 0.500000 0.333333333333 6.67 USD', 'of sends');
SELECT is(pg_temp.markov('offer'), '1 2 1.000000 1.000000000000 20.00 USD', 'of offers');
-- One conversion is all of campaign 1, the other one half and half: 1 1/2 and 1/2.
SELECT is(pg_temp.shapley(), '1 2 1.500000 0.750000000000 15.00 USD; 2 1 0.500000 0.250000000000 5.00 USD', 'each conversion in equal parts');
-- Campaign 1 alone converts all of 1, 2 alone none, both together 2 of 3. 1: half of (1 - 0) and of (2/3 - 0). 2: half of (0 - 0) and of (2/3 - 1).
SELECT is(pg_temp.shapley('rate'), '1 2 0.833333 1.000000000000 20.00 USD; 2 1 -0.166667 0.000000000000 0.00 USD', 'who lowers the rate gets nothing');

-- What makes a journey that ends in nothing.
SELECT pg_temp.walk(3, '{7}', day => '2026-03-03') \g /dev/null
-- Seven days before its last tap 3 came by 7. A third of all start there, and from 1 on the chain has forgotten it: effect 1/3.
SELECT is(pg_temp.markov(), '1 2 1.000000 0.545454545455 10.91 USD; 2 1 0.500000 0.272727272727 5.45 USD; 7 0 0.333333 0.181818181818 3.64 USD',
    'a tap within the window before the last one belongs to the journey');
SELECT is((SELECT count(*) FROM postback.markov_attribution('campaign', click_window => '6 days 23:59:59.999') WHERE channel_id = 7), 0::bigint, 'an older one does not');
SELECT is((SELECT count(*) FROM postback.markov_attribution('campaign', since => '2026-03-04') WHERE channel_id = 7), 0::bigint, 'nor one before the period');
UPDATE postback.clicks SET visitor = 'bot' WHERE campaign_id = 7;
SELECT is(pg_temp.markov(), '1 2 1.000000 0.666666666667 13.33 USD; 2 1 0.500000 0.333333333333 6.67 USD', 'nor a machine''s');
SELECT pg_temp.walk(1, '{2}', 2) \g /dev/null
-- 1 of 4 starts at 2, whose 3 visitors buy once: 1/3. Of the 3 at 1 one buys and two go on to 2: 1/3 + 2/3 · 1/3 = 5/9. All: 3/4 · 5/9 + 1/4 · 1/3 = 1/2.
-- Without 1: 1/4 · 1/3 = 1/12, effect 5/6. Without 2: 3/4 · 1/3 = 1/4, effect 1/2. Shares 5/8 and 3/8.
SELECT is(pg_temp.markov(), '1 2 0.833333 0.625000000000 12.50 USD; 2 1 0.500000 0.375000000000 7.50 USD', 'who buys one offer and not the other makes a journey of each');
SELECT is(pg_temp.markov(scope => 'any'), '1 2 1.000000 0.500000000000 10.00 USD; 2 2 1.000000 0.500000000000 10.00 USD', 'when any offer counts it is one, of both');
SELECT pg_temp.buy(1, 5, 2, 'rejected') \g /dev/null
SELECT is(pg_temp.markov(), '1 2 0.833333 0.625000000000 12.50 USD; 2 1 0.500000 0.375000000000 7.50 USD', 'a rejected conversion is none');

-- A journey has a past only in a chain that remembers. 11 buys after 1 and 3; 12 after 2 and 1; 13 sees 2 and 1 and does not buy.
SELECT postback.maintain('2026-04-10 12:00+00') \g /dev/null
SELECT pg_temp.walk(11, '{1,3}', day => '2026-04-10'), pg_temp.walk(12, '{2,1}', day => '2026-04-10'), pg_temp.walk(13, '{2,1}', day => '2026-04-10'),
    pg_temp.buy(11, 6.5, day => '2026-04-10'), pg_temp.buy(12, 6.5, day => '2026-04-10') \g /dev/null
CREATE FUNCTION pg_temp.april(chain_order integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', channel_id, round(removal_effect::numeric, 6), revenue), '; ')
    FROM postback.markov_attribution('campaign', '2026-04-01', '2026-05-01', chain_order => chain_order)
$$;
-- Of the 3 at 1 one goes on to 3, one buys. Without 2 the third that starts at 1 buys with 2/3, so 2/9 of 2/3: effect 2/3. Without 3: 1/3 of 2/3. 6 : 4 : 3.
SELECT is(pg_temp.april(1), '1 1.000000 6.00; 2 0.666667 4.00; 3 0.500000 3.00', 'of order 1 the chain takes some from 2 over 1 to 3');
-- Who came by 2 buys with 1/2 and never sees 3: the effects of 2 and 3 are 1/3 of 2/3 each. 2 : 1 : 1.
SELECT is(pg_temp.april(2), '1 1.000000 6.50; 2 0.500000 3.25; 3 0.500000 3.25', 'of order 2 it takes nobody there');

-- Money of each currency by itself, in its own smallest unit.
SELECT pg_temp.walk(21, '{1,NULL}', 2), pg_temp.walk(22, '{2}', 3), pg_temp.walk(23, '{2,1,2}', 3), pg_temp.walk(24, '{2,3,4}'),
    pg_temp.buy(21, 100, 2), pg_temp.buy(22, 1.001, 3), pg_temp.buy(23, 0.0005, 3), pg_temp.buy(24, 0.01) \g /dev/null
CREATE TEMP VIEW models AS
SELECT 'markov' || chain_order AS model, m.* FROM generate_series(1, 3) AS o (chain_order), postback.markov_attribution('campaign', chain_order => chain_order) AS m
UNION ALL
SELECT worth, s.* FROM unnest('{conversions,rate}'::text[]) AS w (worth), postback.shapley_attribution('campaign', worth => worth) AS s;
SELECT results_eq(
    format('SELECT currency, sum(share), sum(revenue) FROM models WHERE model = %L GROUP BY currency ORDER BY currency', model),
    $$ VALUES ('JPY', 1.000000000000, 100::numeric), ('KWD', 1.000000000000, 1.0015), ('USD', 1.000000000000, 33.01) $$,
    model || ': shares sum to 1 and revenue to the payouts')
FROM (SELECT DISTINCT model FROM models) AS m ORDER BY model;
SELECT is((SELECT max(scale(revenue)) FROM models WHERE currency = 'JPY'), 0, 'a yen is not divided');
SELECT is((SELECT string_agg(DISTINCT coalesce(channel_id::text, 'none'), ',') FROM models), '1,2,3,4,none', 'clicks without a campaign are a channel of their own');
SELECT results_eq(
    $$ SELECT coalesce(channel_id, 0), conversions, value, revenue, currency FROM postback.shapley_attribution('campaign') WHERE currency <> 'USD' ORDER BY currency, 1 $$,
    $$ VALUES (0::bigint, 1::bigint, 0.5::double precision, 50::numeric, 'JPY'), (1, 1, 0.5, 50, 'JPY'), (1, 1, 0.5, 0.2504, 'KWD'), (2, 2, 1.5, 0.7511, 'KWD') $$,
    'a channel gets nothing of a currency that it earned nothing in');
SELECT is_empty($$ SELECT FROM models WHERE currency <> 'USD' AND channel_id IN (3, 4) $$, 'by no model');

-- Arguments that are open.
SELECT results_eq(
    format('SELECT * FROM postback.%I(statuses => NULL, since => NULL, until => NULL%s)', f, a),
    format('SELECT * FROM postback.%I(statuses => ''{pending,approved,rejected,reversed}''%s)', f, a), f || ': NULL takes all')
FROM (VALUES ('markov_attribution', ''), ('shapley_attribution', ', worth => ''rate''')) AS v (f, a);
SELECT lives_ok($$ SELECT * FROM postback.markov_attribution(click_window => '1000000 years') $$, 'a window may be longer than history');

-- More channels than can be looked at in all coalitions: the same seed draws the same orders.
SELECT pg_temp.walk(100 + n, ARRAY[100 + n, 100 + n * 7 % 30], day => '2026-04-11') FROM generate_series(1, 30) AS n \g /dev/null
SELECT pg_temp.buy(100 + n, 10, day => '2026-04-11') FROM generate_series(1, 30, 3) AS n \g /dev/null
CREATE FUNCTION pg_temp.drawn(seed bigint, permutations integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(s::text, ';') FROM postback.shapley_attribution('campaign', '2026-04-11', '2026-04-12', worth => 'rate', permutations => permutations, seed => seed) AS s
$$;
SELECT is(pg_temp.drawn(1, 100), pg_temp.drawn(1, 100), 'a seed gives one answer');
SELECT isnt(pg_temp.drawn(1, 100), pg_temp.drawn(2, 100), 'another seed another one');
SELECT results_eq(
    $$ SELECT sum(share), sum(revenue), round(sum(value)::numeric, 9) FROM postback.shapley_attribution('campaign', '2026-04-11', '2026-04-12', worth => 'rate') $$,
    $$ VALUES (1.000000000000, 100::numeric, round(10 / 30.0, 9)) $$, 'drawn values add up to the rate of all, shares to 1, revenue to the payouts');

-- Two thousand million orders, and a circle that is walked ten million times: either takes longer than anybody waits.
CREATE FUNCTION pg_temp.is_cancelled(query text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN false;
EXCEPTION WHEN query_canceled THEN
    RETURN true;
END
$$;
SET statement_timeout = '2s';
SELECT ok(pg_temp.is_cancelled($$ SELECT * FROM _postback.shapley_shares(array(SELECT generate_series(1, 30)), array_fill(1, '{30}'),
    array_fill(1::bigint, '{30}'), array_fill(1::bigint, '{30}'), 'rate', 2147483647, 0) $$), 'the drawing of orders can be cancelled');
SELECT ok(pg_temp.is_cancelled($$ SELECT * FROM _postback.markov_shares(array(SELECT n % 2 FROM generate_series(0, 10000000) AS n), '{10000001}',
    '{1}', '{1}', 1) $$), 'and the walking of a chain');
RESET statement_timeout;

SELECT throws_ok(call, '22023', message, message) FROM (VALUES
    ($$ SELECT * FROM postback.markov_attribution('segment') $$, 'channel "segment" is not known'),
    ($$ SELECT * FROM postback.shapley_attribution(NULL) $$, 'channel "<NULL>" is not known'),
    ($$ SELECT * FROM postback.markov_attribution(scope => 'all') $$, 'attribution scope "all" is not known'),
    ($$ SELECT * FROM postback.markov_attribution(chain_order => 0) $$, 'chain order "0" is not between 1 and 10'),
    ($$ SELECT * FROM postback.shapley_attribution(worth => 'profit') $$, 'worth "profit" is not known'),
    ($$ SELECT * FROM postback.shapley_attribution(permutations => 0) $$, 'permutations "0" are not between 1 and 1000000')) AS v (call, message);
SELECT * FROM finish();
