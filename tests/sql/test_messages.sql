-- Test messages: the whole path, marked, and outside every report. Nobody can hide a sale as one.
SELECT no_plan();
SELECT postback.add_network('Guarded') AS guarded_id \gset
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1, network => 'guarded') AS offer_id \gset
SELECT postback.add_offer('Open', 'https://network.example.com/?c={click_id}', offer_id => 2) AS offer_id \gset
SELECT postback.record_click(offer_id => 1, campaign_id => 7, click_id => 'real-1', user_agent => 'Mozilla/5.0 (iPhone)', now => '2026-03-10 12:00+00'),
       postback.record_click(offer_id => 2, campaign_id => 7, click_id => 'open-1', user_agent => 'Mozilla/5.0 (iPhone)', now => '2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.post(query text, network text DEFAULT 'guarded', token text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(': ', verdict, reason) FROM postback.receive_postback(network, query, token => token, now => '2026-03-10 13:00+00')
$$;

-- test=1.
SELECT is(pg_temp.post('click_id=open-1&transaction_id=t0&payout=5&test=1', 'default'), 'accepted: test=1 counts only with a secret of the network',
    'without a secret test=1 hides nothing, and the reason says why');
UPDATE postback.networks SET allowed_cidrs = '{192.0.2.0/24}' WHERE slug = 'default';
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=open-1&transaction_id=t00&payout=5&test=1', '192.0.2.7', now => '2026-03-10 13:00+00')),
    'accepted', 'nor does it from an address that is allowed: an address is no secret');
SELECT postback.add_network_secret('guarded', 'token', 'token-of-16-bytes-') \g /dev/null
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t1&payout=5&test=1'), 'unauthenticated: token is missing or wrong', 'nor does it without the secret');
SELECT is((SELECT count(*) FROM postback.conversions WHERE is_test), 0::bigint, 'so there is no test yet');
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t1&payout=5&test=1&token=token-of-16-bytes-'), 'test: a test, in earnest accepted', 'with it the message is a test');
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t1&payout=5&test=1&token=token-of-16-bytes-'),
    'test: a test, in earnest duplicate; the same status, payout and time were reported before', 'its repeat would be a duplicate');
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t1&payout=5&token=token-of-16-bytes-'), 'accepted', 'the real sale of this transaction counts');
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t1&status=reversed&test=1&token=token-of-16-bytes-'), 'test: a test, in earnest updated', 'a test reversal');
SELECT results_eq($$ SELECT is_test, status::text, payout::numeric FROM postback.conversions WHERE transaction_id = 't1' ORDER BY is_test $$,
    $$ VALUES (false, 'approved', 5::numeric), (true, 'reversed', 0) $$, 'touches the test only');
UPDATE postback.networks SET reversal_scope = 'click' WHERE slug = 'guarded';
SELECT matches(pg_temp.post('click_id=real-1&status=reversed&test=1&token=token-of-16-bytes-'), '^test: ', 'one of a whole click');
UPDATE postback.networks SET reversal_scope = 'transaction' WHERE slug = 'guarded';
SELECT matches(pg_temp.post('click_id=real-1&status=reversed&test=1&token=token-of-16-bytes-'), '^test: ', 'and one that names no transaction');
SELECT is((SELECT sum(payout)::numeric FROM postback.conversions WHERE NOT is_test AND click_id = 'real-1'), 5::numeric, 'take back no sale');
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t2&payout=5&token=token-of-16-bytes-&' || flag), 'accepted', flag || ' is no test')
FROM (VALUES ('test=0')) AS f (flag);
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t2&payout=5&token=token-of-16-bytes-&' || flag),
    'duplicate: the same status, payout and time were reported before', flag || ' is no test')
FROM unnest('{test=,TEST=1,test=true,contest=1,sub1=test%3D1,test=1&test=0}'::text[]) AS flag WHERE flag <> 'test=1&test=0';
SELECT is(pg_temp.post('click_id=nobody-1&transaction_id=t3&payout=5&test=1&token=token-of-16-bytes-'),
    'test: a test, in earnest unmatched; the click is not known (yet)', 'one without a click');
SELECT is_empty('SELECT * FROM _postback.orphans', 'does not wait for it');
SELECT is(pg_temp.post('transaction_id=&payout=5&test=1&token=token-of-16-bytes-'), 'malformed: neither a click id nor a transaction id', 'one that says nothing is malformed');
SELECT is((SELECT verdict::text FROM postback.receive_postback('guarded', 'token=token-of-16-bytes-', method => 'POST',
    body => '{"click_id": "real-1", "transaction_id": "t4", "payout": 5, "test": 1}', content_type => 'application/json', now => '2026-03-10 13:00+00')), 'test', 'in JSON');
SELECT postback.add_network_secret('guarded', 'path_token', 'path-token-of-16-bytes') \g /dev/null
SELECT is(pg_temp.post('click_id=real-1&transaction_id=t5&payout=5&test=1&token=token-of-16-bytes-'), 'unauthenticated: path token is missing or wrong', 'every secret has to be passed');

-- test_postback().
SELECT is((SELECT verdict || ': ' || reason FROM postback.test_postback('guarded')), 'test: a test, in earnest accepted', 'test_postback() needs no secret');
SELECT is((SELECT verdict || ': ' || reason FROM postback.test_postback('guarded', 'real-1', now => '2026-03-10 13:00+00')), 'test: a test, in earnest accepted', 'nor a click, but takes one');
SELECT is((SELECT verdict || ': ' || reason FROM postback.test_postback('guarded', 'real-1', now => '2026-03-10 13:00+00')), 'test: a test, in earnest accepted', 'as often as one likes');
SELECT is((SELECT verdict || ': ' || reason FROM postback.test_postback('guarded', 'real-1', now => '2027-03-10 13:00+00')),
    'test: a test, in earnest outside_window; converted 365 days 01:00:00 after the click', 'and says what a real one would have been');
SELECT is((SELECT reason FROM postback.test_postback('guarded', 'nobody-1')), 'a test, in earnest unmatched; the click is not known (yet)', 'of an unknown click too');
SELECT is((SELECT verdict || ': ' || reason FROM postback.test_postback('default')), 'test: a test, in earnest accepted', 'for the network that is there from the start');
CREATE TEMP TABLE sent AS SELECT t.conversion_id, s.status FROM unnest(enum_range(NULL::postback.conversion_status)) AS s (status)
    CROSS JOIN LATERAL postback.test_postback('guarded', status => s.status, payout => 12.50) AS t;
SELECT results_eq('SELECT c.status::text, c.is_test, c.payout::numeric FROM postback.conversions AS c JOIN sent USING (conversion_id) ORDER BY c.status',
    $$ VALUES ('pending', true, 12.50), ('approved', true, 12.50), ('rejected', true, 0), ('reversed', true, 0) $$, 'in every status, of any amount');
SELECT throws_ok($$ SELECT * FROM postback.test_postback('nowhere') $$, 'P0002', 'network "nowhere" does not exist', 'of a network that exists');
SELECT is((SELECT query FROM postback.test_postback('guarded', 'real-1') AS t WHERE query ~ '^click_id=real-1&payout=1.00&status=approved&transaction_id=test-[0-9a-f]{12}$') IS NOT NULL, true,
    'its parameters are those that postback_url() asks for');

-- Every preset's test is accepted.
UPDATE postback.networks SET allowed_cidrs = NULL WHERE slug = 'default';
SELECT postback.add_network('Preset ' || preset, preset) FROM postback.network_presets \g /dev/null
SELECT is(t.verdict || ': ' || t.reason, 'test: a test, in earnest accepted', format('%s: %s', n.preset, t.query))
FROM postback.networks AS n CROSS JOIN LATERAL postback.test_postback(n.slug) AS t WHERE n.name LIKE 'Preset %';

-- Outside every report.
SELECT is(array(SELECT DISTINCT transaction_id FROM postback.conversion_log ORDER BY 1), '{t0,t00,t1,t2}', 'conversion_log has the sales only');
SELECT is((SELECT sum(payout_delta) FROM postback.ledger), (SELECT sum(payout) FROM postback.conversion_log), 'the ledger view sums to them');
SELECT results_eq('SELECT clicks, conversions, revenue FROM postback.performance()', 'VALUES (2::bigint, 4::bigint, 20::numeric)', 'performance() counts neither test clicks nor tests');
SELECT results_eq('SELECT sum(approved)::bigint, sum(revenue) FROM postback.revenue_by_campaign', 'VALUES (4::bigint, 20::numeric)', 'nor does a view');
SELECT is((SELECT sum(revenue) FROM postback.attribution()), 20::numeric, 'nor attribution()');
SELECT ok((SELECT count(*) > 10 FROM postback.postback_log WHERE verdict = 'test'), 'the log of messages shows them, marked');
SELECT is(array(SELECT DISTINCT what FROM postback.conversion_history('guarded', 't1') WHERE what LIKE 'test:%' ORDER BY what), ARRAY[
    'test: the network said 5: test; a test, in earnest duplicate; the same status, payout and time were reported before',
    'test: the network said approved 5.00 USD: test; a test, in earnest accepted',
    'test: the network said reversed: test; a test, in earnest duplicate; the same status, payout and time were reported before',
    'test: the network said reversed: test; a test, in earnest updated'], 'and so does the history');
-- A real reversal of a click alone waits for its sale, and no test is that.
SELECT postback.add_network('Waiting') \g /dev/null
SELECT postback.add_network_secret('waiting', 'token', 'token-of-16-bytes-'),
       postback.add_offer('Waiting', 'https://network.example.com/?c={click_id}', offer_id => 9, network => 'waiting') \g /dev/null
SELECT postback.record_click(offer_id => 9, campaign_id => 7, click_id => 'real-9', user_agent => 'Mozilla/5.0 (iPhone)', now => '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('click_id=real-9&status=reversed&token=token-of-16-bytes-', 'waiting'), 'accepted', 'a reversal that names its click alone');
SELECT is(pg_temp.post('click_id=real-9&transaction_id=t9&payout=5&test=1&token=token-of-16-bytes-', 'waiting'), 'test: a test, in earnest accepted', 'then a test');
SELECT is((SELECT transaction_id FROM postback.conversions WHERE click_id = 'real-9' AND NOT is_test), NULL, 'which does not join it');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'the ledger is whole, tests included');
SELECT * FROM finish();
