-- conversion_history() tells the story of a transaction in words and in order.
SELECT no_plan();
SELECT postback.add_network('Other') AS other_id \gset
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1, click_window => '30 days') AS offer_id \gset
CREATE FUNCTION pg_temp.post(query text, at timestamptz, network text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback(network, query, now => at)
$$;
CREATE FUNCTION pg_temp.story(network text, id text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', to_char(at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), what, status, payout_delta, balance, source) FROM postback.conversion_history(network, id)
$$;
SELECT postback.record_click(offer_id => 1, campaign_id => 7, click_id => 'tap-1', user_agent => 'Mozilla/5.0 (iPhone)', now => '2026-03-10 12:00+00') \g /dev/null
SELECT pg_temp.post(query || '&click_id=tap-1&transaction_id=t1', at::timestamptz) FROM (VALUES
    (1, 'payout=10&status=pending', '2026-03-10 13:00+00'), (2, 'payout=12.50&status=approved', '2026-03-10 14:00+00'),
    (3, 'payout=12.50&status=approved', '2026-03-10 15:00+00'), (4, 'payout=12.50&status=approved&currency=EUR', '2026-03-10 16:00+00'),
    (5, 'payout=12.50&status=pending&timestamp=2026-03-10T12:30:00Z', '2026-03-10 17:00+00'), (6, 'status=reversed', '2026-03-11 18:00+00'),
    (7, 'status=pending', '2026-03-11 19:00+00')) AS v (n, query, at) ORDER BY n \g /dev/null
SELECT pg_temp.post('click_id=tap-1&transaction_id=t1&payout=99', '2026-03-10 13:30+00', 'other') \g /dev/null
SELECT is(array(SELECT pg_temp.story('default', 't1')), ARRAY[
    '03-10 12:00 | tapped by a visitor of class human, campaign 7, offer 1 | click tap-1',
    '03-10 13:00 | the network said pending 10.00 USD: accepted | pending | 10 | 10 | postback',
    '03-10 14:00 | the network said approved 12.50 USD: updated | approved | 2.50 | 12.50 | postback',
    '03-10 15:00 | the network said approved 12.50: duplicate; the same status, payout and time were reported before | approved | 0 | 12.50 | postback',
    '03-10 16:00 | the network said approved 12.50 EUR: conflict; the same transaction was first reported in USD | approved | 0 | 12.50 | postback',
    '03-10 17:00 | the network said pending 12.50 USD: stale; of 2026-03-10 12:30:00 UTC by its own clock; an older event than the ones that count | approved | 0.00 | 12.50 | postback',
    '03-11 18:00 | the network said reversed: updated | reversed | -12.50 | 0.00 | postback',
    '03-11 19:00 | the network said pending: illegal_transition; reversed cannot become pending | reversed | 0 | 0.00 | postback'],
    'the tap, the repeats, the contradictions and the money, and nothing of another network''s transaction of this name');
SELECT is((SELECT balance FROM postback.conversion_history('default', 't1') ORDER BY at DESC LIMIT 1),
    (SELECT payout::numeric FROM postback.conversions WHERE transaction_id = 't1' AND network_id = 1), 'the last balance is the payout');
SELECT is((SELECT count(*) FROM postback.conversion_history('default', 't1') AS h JOIN postback.postbacks AS p USING (postback_id)), 7::bigint, 'each message by its id');

-- By hand.
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 't1' AND network_id = 1;
SELECT is((SELECT what || ' | ' || balance || ' | ' || source FROM postback.conversion_history('default', 't1') ORDER BY at DESC LIMIT 1),
    'it was changed by hand: approved 12.50 USD | 12.50 | role ' || session_user, 'a change by hand names who made it');
INSERT INTO postback.conversions (click_id, transaction_id, payout) VALUES ('tap-1', 'by-hand', 4);
SELECT is((SELECT what FROM postback.conversion_history('default', 'by-hand') ORDER BY at DESC LIMIT 1), 'it was inserted by hand: approved 4.00 USD', 'so does an insert');

-- Without a transaction id, and before there is a conversion.
SELECT postback.record_click(offer_id => 1, click_id => 'tap-2', now => '2026-03-10 12:00+00') \g /dev/null
SELECT pg_temp.post('click_id=tap-2&payout=3', '2026-03-10 13:00+00') \g /dev/null
SELECT is((SELECT array_agg(payout_delta) FROM postback.conversion_history('default', 'tap-2')), '{NULL,3}', 'the click id does in its place');
SELECT pg_temp.post('click_id=unknown-1&payout=3&transaction_id=waits', '2026-03-10 13:00+00') \g /dev/null
SELECT is(array(SELECT pg_temp.story('default', id)), '{"03-10 13:00 | the network sent a message that waits: unmatched; the click is not known (yet) | postback"}', 'a message that waits is told, by ' || id)
FROM unnest('{unknown-1,waits}'::text[]) AS id;
SELECT postback.record_click(offer_id => 1, click_id => 'unknown-1', now => '2026-03-10 12:00+00') \g /dev/null
SELECT is(array(SELECT what FROM postback.conversion_history('default', 'waits')),
    '{"tapped by a visitor of class human, offer 1","the network said approved 3.00 USD: accepted; matched later"}', 'and how it ended');
SELECT pg_temp.post('click_id=tap-2&payout=3&event=sale', '2026-03-10 14:00+00') \g /dev/null
SELECT ok('the network said approved 3.00 USD: accepted; event sale' = ANY (array(SELECT what FROM postback.conversion_history('default', 'tap-2'))), 'every event of a click');
SELECT is_empty($$ SELECT * FROM postback.conversion_history('default', 'nobody') $$, 'of nothing there is nothing to tell');
SELECT throws_ok($$ SELECT * FROM postback.conversion_history('nowhere', 't1') $$, 'P0002', 'network "nowhere" does not exist', 'and a network must exist');
SELECT * FROM finish();
