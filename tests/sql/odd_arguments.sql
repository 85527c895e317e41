-- What an analyst may ask by mistake, and what a visitor may do to a report on purpose.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1) \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, clicked_at)
SELECT 'k' || n, 1001, 1, timestamptz '2025-03-10 00:00+00' + n * interval '1 second' FROM generate_series(1, 33000) AS n;
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=k5&transaction_id=early&payout=3', now => '2025-03-10 12:00+00')), 'accepted', 'a link is tapped all night');
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=k33000&transaction_id=late&payout=3', now => '2025-03-10 12:00+00')), 'accepted', 'whichever of the taps is named');
SELECT is((SELECT array_agg(DISTINCT cardinality(p.click_ids)) FROM postback.path_log AS p), '{1001}', 'a path has the last thousand taps, and the one that was named');
SELECT results_eq($$ SELECT click_id FROM postback.attribution('first_click') ORDER BY transaction_id $$, $$ VALUES ('k5'), ('k32000') $$, 'and begins there');
SELECT results_eq($$ SELECT transaction_id, count(*), sum(credit), sum(revenue) FROM postback.attribution('linear') GROUP BY 1 ORDER BY 1 $$,
    $$ VALUES ('early', 1001::bigint, 1.0, 3.0), ('late', 1001, 1, 3) $$, 'the sums are exact all the same');

SELECT results_eq('SELECT * FROM postback.attribution(since => NULL, until => NULL, statuses => NULL)', 'SELECT * FROM postback.attribution()', 'NULL for the period or the statuses is all');
SELECT is_empty('SELECT * FROM postback.attribution(click_window => ''0'')', 'a window of nothing has no click');
SELECT is_empty('SELECT * FROM postback.attribution(since => ''infinity'')', 'nothing has happened at the end of time');
SELECT results_eq('SELECT count(*) FROM postback.attribution(click_window => ''170000000 years'')', 'VALUES (2::bigint)', 'a window may be longer than time');
SELECT results_eq(format('SELECT sum(credit) FROM postback.attribution(''time_decay'', half_life => %L)', half_life), 'VALUES (2::numeric)', 'a half-life of ' || half_life)
FROM unnest('{1 microsecond,170000000 years}'::text[]) AS half_life;
SELECT throws_ok('SELECT postback.attribution(' || arguments || ')', '22023', NULL, arguments) FROM unnest(ARRAY[
    'click_window => ''-1 day''', '''time_decay'', half_life => ''0''', '''time_decay'', half_life => NULL', '''time_decay'', half_life => ''1 mon -31 days''',
    'weights => NULL', 'weights => ''{}''', 'weights => ''{1,1}''', 'weights => ''{0,0,0}''', 'weights => ''{-1,1,1}''', 'weights => ''{NaN,1,1}''',
    'weights => ''{Infinity,1,1}''', 'weights => ''{1e300,1,1}''', 'weights => ''{{1,1,1}}''', 'weights => ''[0:2]={1,1,1}''']) AS arguments;
SELECT throws_ok('INSERT INTO postback.conversions (payout) VALUES (0.1234567890123456)', '23514', NULL, 'a payout that no report could divide');
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES
    ('large', 'k2', 999999999999999.99, '2025-03-10 00:00:02+00'), ('fine', 'k2', 0.123456789012345, '2025-03-10 00:00:02+00');
SELECT results_eq($$ SELECT transaction_id, revenue FROM postback.attribution('linear') WHERE transaction_id IN ('large', 'fine') ORDER BY 1, 2 DESC $$,
    $$ VALUES ('fine', 0.061728394506173), ('fine', 0.061728394506172), ('large', 500000000000000.00), ('large', 499999999999999.99) $$, 'the largest and the finest');
SELECT * FROM finish();
