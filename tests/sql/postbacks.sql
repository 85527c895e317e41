-- From a network's message to money: the chain of the example, repeats, reversals, and what is refused.
SELECT no_plan();
\set phone 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
SELECT postback.add_network('TUNE', 'tune'), postback.add_network('Everflow', 'everflow'), postback.add_network('Euro', 'generic', currency => 'EUR') \g /dev/null
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
SELECT postback.create_send(456, segment_id => 101, variant_id => 1, base_url => 'https://s.example.com') AS send_id \gset
CREATE TEMP TABLE taps AS
SELECT m.subscriber_id, r.click_id, r.location
FROM postback.mint_links(:send_id, array(SELECT generate_series(1001, 1040))) AS m, LATERAL postback.record_click(m.code, user_agent => :'phone', now => '2026-03-10 12:00+00') AS r;
CREATE FUNCTION pg_temp.tapped(subscriber bigint) RETURNS text LANGUAGE sql AS 'SELECT click_id FROM taps WHERE subscriber_id = subscriber';
-- One postback: what became of it and the answer. Each is received a millisecond after the one before, so that none tie.
CREATE TEMP SEQUENCE tick;
CREATE FUNCTION pg_temp.post(network text, query text, body text DEFAULT NULL, content_type text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT verdict || ' ' || http_status FROM postback.receive_postback(network, query, body => body, content_type => content_type,
        now => '2026-03-10 13:00+00'::timestamptz + nextval('tick') * interval '1 ms',
        method => CASE WHEN body IS NULL THEN 'GET' ELSE 'POST' END)
$$;
CREATE FUNCTION pg_temp.conversion(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', campaign_id, segment_id, variant_id, offer_id, subscriber_id, status, payout, currency), '; ')
    FROM postback.conversions WHERE transaction_id = transaction
$$;

-- The example of the field, by hand.
SELECT is(location, 'https://network.example.com/offer/789?aff_click_id=' || click_id, 'the offer gets the click id') FROM taps WHERE subscriber_id = 1001;
SELECT is(
    pg_temp.post(NULL, format('click_id=%s&payout=12.50&status=approved&offer_id=789&transaction_id=txn_001', pg_temp.tapped(1001))), 'accepted 200',
    'the example''s postback is accepted');
SELECT is(pg_temp.conversion('txn_001'), '456 101 1 789 1001 approved 12.50 USD', 'with its campaign, segment, variant and subscriber');
SELECT is(
    pg_temp.post('tune', format('aff_click_id=%s&payout=3.20&offer_id=7&transaction_id=102f7&goal_id=0', pg_temp.tapped(1002))), 'accepted 200', 'TUNE''s names');
SELECT is(pg_temp.conversion('102f7'), '456 101 1 789 1002 approved 3.20 USD', 'mean the same');
SELECT is(
    pg_temp.post('everflow', format('sub1=%s&payout_amount=7&transaction_id=ef1&event_id=0&currency=eur', pg_temp.tapped(1003))), 'accepted 200', 'Everflow''s names');
SELECT is(pg_temp.conversion('ef1'), '456 101 1 789 1003 approved 7 EUR', 'mean the same, in its currency');
SELECT postback.record_click(campaign_id => 456, click_id => 'a1b2c3', user_agent => :'phone', now => '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=a1b2c3&payout=5&transaction_id=txn_f'), 'accepted 200', 'a click id made elsewhere');
SELECT is(pg_temp.conversion('txn_f'), '456 789 approved 5 USD', 'is matched to its campaign and offer');
SELECT results_eq(
    $$ SELECT campaign_id, segment_id, variant_id, subscriber_id, approved, revenue FROM postback.performance('{campaign,segment,variant,subscriber}', in_currency => 'USD')
       WHERE revenue > 0 ORDER BY subscriber_id $$,
    $$ VALUES (456::bigint, 101::bigint, 1::bigint, 1001::bigint, 1::bigint, 12.50), (456, 101, 1, 1002, 1, 3.20), (456, NULL, NULL, NULL, 1, 5) $$,
    'performance() shows the money where it belongs');

-- The same message again.
SELECT is(
    pg_temp.post(NULL, format('click_id=%s&payout=12.50&status=approved&offer_id=789&transaction_id=txn_001', pg_temp.tapped(1001))), 'duplicate 200',
    'the same postback twice is a duplicate');
SELECT is(
    pg_temp.post(NULL, format('payout=12.50&transaction_id=txn_001&click_id=%s&status=APPROVED', pg_temp.tapped(1001))), 'duplicate 200',
    'in another order and case too');
SELECT is((SELECT count(*) FROM postback.conversions WHERE transaction_id = 'txn_001'), 1::bigint, 'it is one conversion');
SELECT is((SELECT count(*) FROM postback.postbacks WHERE transaction_id = 'txn_001'), 3::bigint, 'of which every message is kept');
SELECT is(
    (SELECT count(*) FROM postback.conversion_events JOIN postback.conversions USING (conversion_id, bucket) WHERE transaction_id = 'txn_001'), 1::bigint,
    'and one ledger row');
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=9.50', pg_temp.tapped(1004))) FROM generate_series(1, 2)),
    '{accepted 200,duplicate 200}', 'without a transaction id the click makes the key');
SELECT is(
    array(SELECT pg_temp.post('tune', format('aff_click_id=%s&payout=1&transaction_id=goals&goal_id=%s', pg_temp.tapped(1005), goal)) FROM unnest('{1,2,1}'::int[]) AS goal),
    '{accepted 200,accepted 200,duplicate 200}', 'two goals of one TUNE transaction are two conversions');
SELECT is(
    array(SELECT pg_temp.post(network, format('click_id=%s&payout=1&transaction_id=shared', pg_temp.tapped(1006))) FROM unnest('{default,tune}'::text[]) AS network),
    '{accepted 200,accepted 200}', 'the same transaction id of two networks is two conversions');

-- A life: pending, approved, reversed.
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=20&status=%s&transaction_id=life', pg_temp.tapped(1007), s)) FROM unnest('{hold,sale,chargeback}'::text[]) AS s),
    '{accepted 200,updated 200,updated 200}', 'pending, approved, reversed');
SELECT results_eq(
    $$ SELECT e.seq, e.status::text, e.payout_delta FROM postback.ledger AS e JOIN postback.conversions USING (conversion_id) WHERE transaction_id = 'life' ORDER BY seq $$,
    $$ VALUES (1, 'pending', 20::numeric), (2, 'approved', 0), (3, 'reversed', -20) $$, 'are three ledger rows');
SELECT is(pg_temp.conversion('life'), '456 101 1 789 1007 reversed 0 USD', 'and the revenue is back to 0');
SELECT is((SELECT raw_status FROM postback.conversions WHERE transaction_id = 'life'), 'chargeback', 'the network''s own word is kept');
-- The amount of a reversal comes in every shape; it pays nothing, whatever it says.
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=%s&status=%s&transaction_id=minus', pg_temp.tapped(1019), p, s))
          FROM (VALUES ('8', 'sale'), ('-8', 'chargeback'), ('-8', 'chargeback')) AS v (p, s)),
    '{accepted 200,updated 200,duplicate 200}', 'a reversal with a negative payout is a reversal, once');
SELECT is(pg_temp.conversion('minus'), '456 101 1 789 1019 reversed 0 USD', 'it takes back what was given, not more');
SELECT is(
    array(SELECT payout_delta FROM postback.ledger JOIN postback.conversions USING (conversion_id) WHERE transaction_id = 'minus' ORDER BY seq), '{8,-8}'::numeric[],
    'in one ledger row');
SELECT is(
    (SELECT reason FROM postback.postbacks WHERE transaction_id = 'minus' AND verdict = 'updated'), 'payout: the amount is negative', 'and the message says what was odd');
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=%s&status=%s&transaction_id=odd-%s', pg_temp.tapped(1020), p, s, n))
          FROM (VALUES (1, '-3', 'reversed'), (2, '{payout}', 'rejected'), (3, '-3', 'approved'), (4, '-3', 'pending')) AS v (n, p, s) ORDER BY n),
    '{accepted 200,accepted 200,malformed 200,malformed 200}', 'only a status that pays nothing excuses the amount');
SELECT is(
    array(SELECT pg_temp.conversion('odd-' || n) FROM generate_series(1, 4) AS n),
    '{456 101 1 789 1020 reversed 0 USD,456 101 1 789 1020 rejected 0 USD,NULL,NULL}', 'and nothing is paid for any of them');
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=%s&transaction_id=raise', pg_temp.tapped(1008), p)) FROM unnest('{10,12.5,12.50}'::text[]) AS p),
    '{accepted 200,updated 200,duplicate 200}', 'another payout is a delta, the same number written otherwise is none');
SELECT is(pg_temp.conversion('raise'), '456 101 1 789 1008 approved 12.5 USD', 'the last payout counts');
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=1&status=%s&transaction_id=back', pg_temp.tapped(1009), s)) FROM unnest('{rejected,pending}'::text[]) AS s),
    '{accepted 200,illegal_transition 200}', 'rejected does not become pending');
SELECT is(pg_temp.conversion('back'), '456 101 1 789 1009 rejected 0 USD', 'and pays nothing');
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=1&status=%s&transaction_id=tomb', pg_temp.tapped(1010), s)) FROM unnest('{reversed,approved}'::text[]) AS s)
        || pg_temp.conversion('tomb'),
    '{accepted 200,stale 200,456 101 1 789 1010 reversed 0 USD}', 'a reversal that overtook its approval waits for it as a tombstone');
SELECT is(
    pg_temp.post('default', format('click_id=%s&payout=1&status=approved&transaction_id=tomb&timestamp=2026-03-10T13:01:00Z', pg_temp.tapped(1010)))
        || pg_temp.conversion('tomb'),
    'updated 200456 101 1 789 1010 approved 1 USD', 'an approval dated later than the reversal counts');

-- A network that tries again after a reversal, and one that approves again.
SELECT is(
    array(SELECT pg_temp.post('default', format('click_id=%s&payout=6&transaction_id=again&status=%s', pg_temp.tapped(1021), s))
          FROM unnest('{approved,reversed,approved,reversed&timestamp=2026-03-10T13:02:00Z,approved&timestamp=2026-03-10T13:03:00Z}'::text[]) AS s),
    '{accepted 200,updated 200,duplicate 200,duplicate 200,updated 200}', 'a repeat of the approval is not a new one, an approval with a later time is');
SELECT is(
    array(SELECT payout_delta FROM postback.ledger JOIN postback.conversions USING (conversion_id) WHERE transaction_id = 'again' ORDER BY seq), '{6,-6,0,6}'::numeric[],
    'which pays again; the second reversal, of another time, is written down and moves nothing');

-- Conflicts: the same key, another click or another currency.
SELECT pg_temp.post('default', format('click_id=%s&payout=1&transaction_id=claimed', pg_temp.tapped(1011))) \g /dev/null
SELECT is(pg_temp.post('default', format('click_id=%s&payout=1&transaction_id=claimed', pg_temp.tapped(1012))), 'conflict 200', 'another click is a conflict');
SELECT is(
    pg_temp.post('default', format('click_id=%s&payout=1&transaction_id=claimed&currency=EUR', pg_temp.tapped(1011))), 'conflict 200', 'so is another currency');
SELECT is(pg_temp.post('default', 'payout=2&transaction_id=claimed'), 'updated 200', 'no click named is none');
SELECT is(pg_temp.conversion('claimed'), '456 101 1 789 1011 approved 2 USD', 'a conflict changes nothing');

-- Money that is not said and currencies that are not said.
SELECT is(pg_temp.post('euro', format('click_id=%s&payout=1&transaction_id=euro', pg_temp.tapped(1013))), 'accepted 200', 'a network has its currency');
SELECT is(pg_temp.conversion('euro'), '456 101 1 789 1013 approved 1 EUR', 'which counts when the message names none');
SELECT pg_temp.post('default', format('click_id=%s&transaction_id=free', pg_temp.tapped(1014))) \g /dev/null
SELECT is(pg_temp.conversion('free'), '456 101 1 789 1014 approved 0 USD', 'without any amount it pays 0');
UPDATE postback.offers SET payout = 4.25 WHERE offer_id = 789;
SELECT pg_temp.post('default', format('click_id=%s&transaction_id=rule', pg_temp.tapped(1015))) \g /dev/null
SELECT is(pg_temp.conversion('rule'), '456 101 1 789 1015 approved 4.25 USD', 'or what the offer says');

-- Bodies.
SELECT is(
    pg_temp.post('default', NULL, format('click_id=%s&payout=1&transaction_id=form', pg_temp.tapped(1016)), 'application/x-www-form-urlencoded'), 'accepted 200', 'a form');
SELECT is(
    pg_temp.post('default', '', format('{"click_id": "%s", "payout": 12.50, "transaction_id": 900719925474099312345}', pg_temp.tapped(1017)), 'application/json; charset=utf-8'),
    'accepted 200', 'JSON');
SELECT is(pg_temp.conversion('900719925474099312345'), '456 101 1 789 1017 approved 12.50 USD', 'whose numbers keep their digits');
SELECT is(
    pg_temp.post('default', format('click_id=%s', pg_temp.tapped(1018)), 'payout=1&transaction_id=both', 'application/x-www-form-urlencoded'), 'accepted 200',
    'a query and a form');
SELECT is(pg_temp.post('default', '', '[1]', 'application/json'), 'malformed 400', 'JSON that is no object is malformed');
SELECT is(pg_temp.post('default', '', '{"click_id":', 'application/json'), 'malformed 400', 'broken JSON too');
SELECT is(
    pg_temp.post('default', format('click_id=%s', pg_temp.tapped(1018)), 'click_id=other', 'application/x-www-form-urlencoded'), 'malformed 200',
    'a click id that is given twice, differently, is malformed');
SELECT is((SELECT count(*) FROM postback.postbacks WHERE verdict = 'malformed'), 5::bigint, 'what is malformed is kept all the same');

SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'after all this the ledger verifies');
SELECT * FROM finish();
