-- What a reversal takes back: one conversion or all of its click, never more than the network's limit; and what comes after it.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) AS offer_id \gset
SELECT r.click_id FROM generate_series(1, 9) AS n, postback.record_click(offer_id => 1, click_id => 'c' || n, now => '2026-03-10 12:00+00') AS r \g /dev/null
CREATE FUNCTION pg_temp.post(query text, at timestamptz DEFAULT '2026-03-10 13:00+00') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback('default', query, now => at)
$$;
CREATE FUNCTION pg_temp.money(click text) RETURNS text LANGUAGE sql AS $$
    SELECT count(*) || ' ' || sum(payout) FROM postback.conversions WHERE click_id = click
$$;
SELECT is(pg_temp.post('click_id=c' || c || '&transaction_id=t' || c || '&payout=10&event=e' || e), 'accepted', 'sale') FROM generate_series(1, 3) AS c, generate_series(1, 3) AS e;
SELECT is(pg_temp.post('click_id=c1&transaction_id=other1&payout=5'), 'accepted', 'and another transaction of the first click');

-- The scope 'transaction'.
SELECT is(pg_temp.post('click_id=c1&transaction_id=other1&status=reversed'), 'updated', 'a reversal of a known key');
SELECT is(pg_temp.money('c1'), '4 30', 'takes back that conversion');
SELECT is(pg_temp.post('click_id=c1&transaction_id=t1&event=e1&status=reversed'), 'updated', 'one that names an event');
SELECT is(pg_temp.money('c1'), '4 20', 'too');
SELECT is(pg_temp.post('transaction_id=t1&status=reversed'), 'updated', 'one that names a transaction of several events');
SELECT is(pg_temp.money('c1'), '4 0', 'takes back the rest of them');
SELECT is(pg_temp.post('transaction_id=t1&status=reversed'), 'duplicate', 'and changes nothing when it is repeated');
SELECT is(pg_temp.post('click_id=c2&transaction_id=unheard&status=reversed'), 'accepted', 'one of a transaction that has not come');
SELECT is(pg_temp.money('c2'), '4 30', 'touches no other');
SELECT is(pg_temp.post('click_id=c2&transaction_id=unheard&payout=8'), 'stale', 'and meets its sale');
SELECT is(pg_temp.money('c2'), '4 30', 'which pays nothing');

-- The scope 'click' and the limit.
UPDATE postback.networks SET reversal_scope = 'click', reversal_limit = 2;
SELECT is((SELECT verdict || ': ' || reason FROM postback.receive_postback('default', 'click_id=c2&status=reversed', now => '2026-03-10 13:00+00')),
    'conflict: the message would take back 3 conversions, and the network''s limit is 2', 'more than the limit is a conflict');
SELECT is(pg_temp.money('c2'), '4 30', 'and moves nothing');
UPDATE postback.networks SET reversal_limit = 3;
SELECT is(pg_temp.post('click_id=c2&transaction_id=t2&status=reversed'), 'updated', 'up to the limit');
SELECT is(pg_temp.money('c2'), '4 0', 'every conversion of the click is taken back');
SELECT is((SELECT count(*) FROM postback.conversion_events AS e JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = 't2' AND e.payout_delta = -10),
    3::bigint, 'each with its own row in the ledger');
SELECT is(pg_temp.money('c3'), '3 30', 'no other click''s');
SELECT is(pg_temp.post('click_id=c3&status=rejected'), 'updated', 'a rejection does the same');
SELECT is((SELECT array_agg(DISTINCT status::text) FROM postback.conversions WHERE click_id = 'c3'), '{rejected}', 'in its own words');
SELECT postback.add_network('Foreign') AS network_id \gset
SELECT is((SELECT verdict::text FROM postback.receive_postback('foreign', 'click_id=c4&transaction_id=f&payout=7', now => '2026-03-10 13:00+00')), 'accepted', 'another network''s sale');
SELECT is(pg_temp.post('click_id=c4&status=reversed'), 'accepted', 'is not taken back by a reversal for the click');
SELECT is(pg_temp.money('c4'), '2 7', 'but waits for one of its own network');
UPDATE postback.networks SET reversal_scope = 'transaction';

-- Partial refunds and second approvals.
SELECT is(pg_temp.post('click_id=c5&transaction_id=p&' || rest, '2026-03-10 13:00+00'::timestamptz + place * interval '1 minute'), verdict, rest || ': ' || verdict)
FROM (VALUES (1, 'payout=40', 'accepted'), (2, 'payout=25', 'updated'), (3, 'payout=40&status=reversed', 'updated'), (4, 'payout=25', 'duplicate'),
    (5, 'payout=24', 'updated'), (6, 'payout=0', 'updated')) AS m (place, rest, verdict) ORDER BY place;
SELECT is((SELECT array_agg(payout_delta ORDER BY e.seq) FROM postback.conversion_events AS e JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = 'p'),
    '{40,-15,-25,24,-24}', 'a lower amount is a delta, a second approval pays again');

-- A reversal before its sale, by the network's own times.
CREATE FUNCTION pg_temp.last_state(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT status || ' ' || payout FROM postback.conversions WHERE transaction_id = transaction
$$;
SELECT pg_temp.post('click_id=c6&transaction_id=early&status=reversed&timestamp=2026-03-10T12:30:00Z'),
    pg_temp.post('click_id=c6&transaction_id=early&payout=9&timestamp=2026-03-10T12:20:00Z', '2026-03-10 13:01+00') \g /dev/null
SELECT is(pg_temp.last_state('early'), 'reversed 0', 'a sale of an earlier time stays taken back');
SELECT pg_temp.post('click_id=c7&transaction_id=late&status=reversed&timestamp=2026-03-10T12:30:00Z'),
    pg_temp.post('click_id=c7&transaction_id=late&payout=9&timestamp=2026-03-10T12:40:00Z', '2026-03-10 13:01+00') \g /dev/null
SELECT is(pg_temp.last_state('late'), 'approved 9', 'a later approval is a new decision');
SELECT pg_temp.post('click_id=c8&transaction_id=none&status=reversed'), pg_temp.post('click_id=c8&transaction_id=none&payout=9', '2026-03-10 13:01+00') \g /dev/null
SELECT is(pg_temp.last_state('none'), 'reversed 0', 'without times the reversal waits for its sale');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');
SELECT * FROM finish();
