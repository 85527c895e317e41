-- When things happened: windows, clicks that come late, replays, times in all notations; and what is kept of secrets.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789, click_window => '2 days') AS offer_id \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.tap(id text, at timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT click_id FROM postback.record_click(offer_id => 789, click_id => id, now => at) $$;
CREATE FUNCTION pg_temp.post(query text, now timestamptz DEFAULT '2026-03-11 12:00+00') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(': ', verdict, reason) FROM postback.receive_postback('default', query, now => now)
$$;
SELECT pg_temp.tap(id, '2026-03-10 12:00+00') FROM unnest('{c1,c2,c3,c4,c5,c6,c7,c8,c9}'::text[]) AS id \g /dev/null

-- The window of the offer.
SELECT is(pg_temp.post('click_id=c1&payout=1', '2026-03-12 12:00:00.000+00'), 'accepted', 'exactly at the end of the window counts');
SELECT is(pg_temp.post('click_id=c2&payout=1', '2026-03-12 12:00:00.001+00'), 'outside_window: converted 2 days 00:00:00.001 after the click', 'a millisecond later does not');
SELECT is(
    pg_temp.post('click_id=c2&payout=1&timestamp=2026-03-12T11:00:00Z', '2026-03-20 12:00+00'), 'accepted', 'what counts is when it happened, not when it was told');
SELECT is((SELECT converted_at FROM postback.conversions WHERE click_id = 'c2'), '2026-03-12 11:00+00'::timestamptz, 'and that is when it converted');
SELECT is((SELECT received_at FROM postback.conversions WHERE click_id = 'c2'), '2026-03-20 12:00+00'::timestamptz, 'received_at is when it was told');
SELECT is(
    pg_temp.post('click_id=c1&payout=1&status=reversed', '2026-06-01 12:00+00'), 'updated', 'a reversal needs no window');

-- Times in all notations, in the network's zone.
UPDATE postback.networks SET time_zone = 'America/New_York' WHERE slug = 'default';
CREATE TEMP TABLE told AS
SELECT t.*, r.postback_id
FROM (VALUES ('1773144000', '2026-03-10 12:00+00'::timestamptz), ('1773144000250', '2026-03-10 12:00:00.25+00'), ('2026-03-10T12:00:00Z', '2026-03-10 12:00+00'),
    ('2026-03-10T12:00:00.250Z', '2026-03-10 12:00:00.25+00'), ('2026-03-10T14:00:00%2B02:00', '2026-03-10 12:00+00'), ('2026-03-10T07:00:00-0500', '2026-03-10 12:00+00'),
    ('2026-03-10+08:00:00', '2026-03-10 12:00+00'), ('2026-03-10%2008:00', '2026-03-10 12:00+00'), ('2026-03-10 08:00:00', '2026-03-10 12:00+00'),
    ('10.03.2026', NULL), ('2026-13-45 25:61:00', NULL), ('2026-02-30T00:00:00Z', NULL), ('yesterday', NULL), ('infinity', NULL), ('now', NULL), ('-1', NULL), ('99999999999999999999', NULL),
    ('2026-03-10T12:00:00Z; DROP TABLE', NULL), ('2026-03-12T12:00:00Z', NULL)) AS t (written, expected),
LATERAL postback.receive_postback('default', 'transaction_id=none&payout=1&timestamp=' || written, now => '2026-03-11 12:00+00') AS r;
SELECT is(p.event_at, t.expected, format('time "%s"', t.written)) FROM told AS t JOIN postback.postbacks AS p USING (postback_id);
UPDATE postback.networks SET time_zone = 'UTC' WHERE slug = 'default';
SELECT is(pg_temp.post('click_id=c3&payout=1&timestamp=2026-03-11T12:10:00Z'), 'accepted: the time lies in the future: is the network''s time_zone right?',
    'a time in the future is not believed, the message is');
SELECT is(pg_temp.post('click_id=c4&payout=1&timestamp=soon'), 'accepted: the time was not understood', 'nor is a time that cannot be read');
SELECT is((SELECT max(converted_at) FROM postback.conversions WHERE click_id IN ('c3', 'c4')), '2026-03-11 12:00+00'::timestamptz, 'receipt counts instead');

-- A postback that comes before its click waits for it.
SELECT is(pg_temp.post('click_id=late&payout=3&transaction_id=o1&status=pending'), 'unmatched: the click is not known (yet)', 'before its click it is unmatched');
SELECT is(pg_temp.post('click_id=late&payout=3&transaction_id=o1&status=approved', '2026-03-11 12:00:01+00'), 'unmatched: the click is not known (yet)', 'so is the next');
SELECT is(pg_temp.post('click_id=late&payout=x&transaction_id=o1'), 'malformed: payout: the amount is not a number', 'a bad one does not wait');
SELECT is((SELECT done FROM postback.maintain('2026-03-11 12:00+00') WHERE task = 'orphans_matched'), 0::bigint, 'nothing to match yet');
SELECT pg_temp.tap('late', '2026-03-11 11:59+00') \g /dev/null
SELECT is_empty('SELECT * FROM _postback.orphans WHERE click_id = ''late''', 'the click arrives, and both are matched');
SELECT results_eq(
    $$ SELECT status::text, payout::numeric, ledger_seq, offer_id, received_at FROM postback.conversions WHERE transaction_id = 'o1' $$,
    $$ VALUES ('approved', 3::numeric, 2, 789::bigint, '2026-03-11 12:00+00'::timestamptz) $$, 'in the order they came, at the time they came');
SELECT results_eq(
    $$ SELECT verdict::text, reason, conversion_id IS NOT NULL FROM postback.postbacks WHERE transaction_id = 'o1' AND verdict <> 'malformed' ORDER BY received_at $$,
    $$ VALUES ('accepted', 'matched later', true), ('updated', 'matched later', true) $$, 'and their verdicts say so');
SELECT is((SELECT done FROM postback.maintain('2026-03-11 12:00+00') WHERE task = 'orphans_matched'), 0::bigint, 'a second run has nothing to do');
SELECT is_empty('SELECT * FROM _postback.orphans WHERE click_id = ''late''', 'and nothing of it waits any more');
SELECT is(pg_temp.post('click_id=stale&payout=3&transaction_id=o2', '2026-03-11 12:00+00'), 'unmatched: the click is not known (yet)', 'another waits');
SELECT pg_temp.tap('stale', '2026-03-01 12:00+00') \g /dev/null
SELECT postback.maintain('2026-03-11 12:00+00') \g /dev/null
SELECT is((SELECT verdict FROM postback.postbacks WHERE transaction_id = 'o2'), 'outside_window', 'a click that is too old does not help');

-- A lost answer makes the proxy send the batch again.
SELECT postback.mint_click_id(NULL, '2026-03-11 12:00+00') AS id_one, postback.mint_click_id(NULL, '2026-03-11 12:00+00') AS id_two \gset
CREATE FUNCTION pg_temp.batch(ids text[], queries text[]) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(concat_ws(' ', r.verdict, r.http_status, r.body) ORDER BY r.ordinal)
    FROM postback.receive_postbacks(array_fill('default'::text, ARRAY[cardinality(queries)]), array(SELECT convert_to(q, 'UTF8') FROM unnest(queries) AS q), postback_ids => ids) AS r
$$;
SELECT is(pg_temp.batch(ARRAY[:'id_one', :'id_two'], '{click_id=c5&payout=1,payout=1}'), pg_temp.batch(ARRAY[:'id_one', :'id_two'], '{click_id=c5&payout=1,payout=1}'),
    'a replayed batch gets the same answers');
SELECT is((SELECT count(*) FROM postback.postbacks WHERE postback_id IN (:'id_one', :'id_two')), 2::bigint, 'and is kept once');
SELECT is((SELECT received_at FROM postback.postbacks WHERE postback_id = :'id_one'), '2026-03-11 12:00+00'::timestamptz, 'its id holds the time of receipt');
SELECT is((SELECT count(*) FROM postback.conversion_events JOIN postback.conversions USING (conversion_id, bucket) WHERE click_id = 'c5'), 1::bigint, 'and moved money once');
SELECT throws_ok(
    format('SELECT postback.receive_postbacks(''{default}'', ARRAY[''payout=1''::bytea], postback_ids => ARRAY[%L], replay => false)', :'id_one'), '23505', NULL,
    'without the look for replays the key still holds');

-- Tokens are not kept, wherever they stood.
SELECT postback.receive_postback('default', 'click_id=c6&token=Secret-in-query-1&payout=1&SECURE=x&secure=Secret-in-query-2', token => 'Secret-in-path-00',
    body => 'security_token=Secret-in-body-11', content_type => 'application/x-www-form-urlencoded', now => '2026-03-11 12:00+00') \g /dev/null
SELECT postback.receive_postback('default', 'click_id=c7', body => '{"token": "Secret-in-json-11", "payout": 2}', content_type => 'application/json',
    now => '2026-03-11 12:00+00') \g /dev/null
SELECT postback.receive_postback('nobody', 'click_id=c8&token=Secret-of-nobody', token => 'Secret-of-nobody-2', body => 'token=Secret-of-nobody-3', now => '2026-03-11 12:00+00') \g /dev/null
SELECT postback.receive_postback('default', 'click_id=c9&%74oken=Secret-with-escape', now => '2026-03-11 12:00+00') \g /dev/null
SELECT is_empty(
    $$ SELECT click_id, path, convert_from(query, 'UTF8'), convert_from(body, 'UTF8') FROM postback.postbacks
       WHERE concat_ws('|', path, convert_from(query, 'UTF8'), convert_from(body, 'UTF8')) ~ 'Secret' $$, 'no token is kept');
SELECT results_eq(
    $$ SELECT path, convert_from(query, 'UTF8') COLLATE "default", convert_from(body, 'UTF8') COLLATE "default" FROM postback.postbacks WHERE click_id = 'c6' $$,
    $$ VALUES ('/postback/default/***', 'click_id=c6&token=***&payout=1&SECURE=***&secure=***', 'security_token=***') $$, 'the rest is kept as it came');
SELECT is((SELECT count(*) FROM postback.conversions WHERE click_id IN ('c6', 'c7', 'c9')), 3::bigint, 'masking changes nothing about the message');
SELECT results_eq(
    $$ SELECT verdict::text, network_id, path FROM postback.postbacks WHERE reason = 'no network of this name' $$,
    $$ VALUES ('unauthenticated', NULL::integer, '/postback/nobody/***') $$, 'a message for an unknown network is refused and kept');

SELECT * FROM finish();
