-- Orders of events and of set-up that once cost money: each is ordinary, and none may count a sale twice, lose it or let one in unchecked.
SELECT no_plan();
SELECT postback.add_offer('Open', 'https://network.example.com/?c={click_id}', offer_id => 1) AS offer_id \gset
SELECT postback.add_network('Owner') AS network_id \gset
SELECT postback.add_offer('Owned', 'https://network.example.com/?c={click_id}', offer_id => 2, network => 'owner') AS offer_id \gset
CREATE FUNCTION pg_temp.tap(id text, offer bigint, at timestamptz DEFAULT '2026-03-10 12:00+00') RETURNS text LANGUAGE sql AS $$
    SELECT click_id FROM postback.record_click(offer_id => offer, click_id => id, now => at)
$$;
CREATE FUNCTION pg_temp.post(network text, query text, at timestamptz DEFAULT '2026-03-10 13:00+00') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback(network, query, now => at)
$$;
CREATE FUNCTION pg_temp.money(transaction text) RETURNS numeric LANGUAGE sql AS $$
    SELECT coalesce(sum(payout), 0) FROM postback.conversions WHERE transaction_id = transaction
$$;

-- A plain postback that overtakes its click.
SELECT is(pg_temp.post(NULL, 'click_id=early&payout=20&transaction_id=dup'), 'unmatched', 'a postback overtakes its click');
SELECT pg_temp.tap('early', 2) \g /dev/null
SELECT count(*) FROM postback.maintain('2026-03-10 13:00+00') \g /dev/null
SELECT is(pg_temp.post(NULL, 'click_id=early&payout=20&transaction_id=dup'), 'duplicate', 'its repeat is one, though the network was found out in between');
SELECT is(pg_temp.money('dup'), 20::numeric, 'and it counts once');
SELECT is((SELECT network_id FROM postback.conversions WHERE transaction_id = 'dup'), :network_id, 'for the network of the offer');

-- A reversal that names only the transaction, and comes first.
SELECT pg_temp.tap('c1', 1) \g /dev/null
SELECT is(pg_temp.post('default', 'transaction_id=tr1&status=reversed'), 'unmatched', 'a reversal comes before its sale');
SELECT is(pg_temp.post('default', 'click_id=c1&transaction_id=tr1&payout=40', '2026-03-10 13:01+00'), 'accepted', 'then the sale');
SELECT count(*) FROM postback.maintain('2026-03-10 13:02+00') \g /dev/null
SELECT is(pg_temp.money('tr1'), 0::numeric, 'which the reversal takes back');
SELECT is((SELECT status::text FROM postback.conversions WHERE transaction_id = 'tr1'), 'reversed', 'and says so');

-- The two in one batch, which is what the proxy makes of messages of one moment.
SELECT pg_temp.tap(id, 1) FROM unnest('{b1,b2}'::text[]) AS id \g /dev/null
SELECT count(*) FROM postback.receive_postbacks(array_fill('default'::text, '{5}'), ARRAY['transaction_id=tb1&status=reversed', 'click_id=b1&transaction_id=tb1&payout=40',
    'click_id=b2&transaction_id=tb2&payout=40', 'transaction_id=tb2&status=reversed', 'transaction_id=tb3&status=reversed']::bytea[], now => '2026-03-10 13:00+00') \g /dev/null
SELECT results_eq($$ SELECT transaction_id COLLATE "default", status::text, payout::numeric FROM postback.conversions WHERE transaction_id LIKE 'tb_' ORDER BY 1 $$,
    $$ VALUES ('tb1', 'reversed', 0::numeric), ('tb2', 'reversed', 0) $$, 'in one batch, too, whichever comes first');
SELECT is(string_agg(verdict || coalesce(': ' || reason, ''), ', ' ORDER BY transaction_id), 'updated: matched later, updated, unmatched: no conversion has this key and no click is named',
    'and the verdicts say so') FROM postback.postbacks WHERE raw_status = 'reversed' AND transaction_id LIKE 'tb_';
SELECT is(array_agg(p.transaction_id), '{tb3}', 'the one without a sale waits') FROM _postback.orphans AS w JOIN postback.postbacks AS p USING (postback_id);

-- Approved, reversed with an amount of 0, approved again without one.
SELECT pg_temp.tap('c2', 1) \g /dev/null
SELECT pg_temp.post('default', 'click_id=c2&transaction_id=again&payout=30') \g /dev/null
SELECT pg_temp.post('default', 'click_id=c2&transaction_id=again&payout=0&status=reversed', '2026-03-10 13:01+00') \g /dev/null
SELECT is(pg_temp.money('again'), 0::numeric, 'a reversal takes all back');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'again';
SELECT is(pg_temp.money('again'), 30::numeric, 'a re-approval by hand pays what was earned, not what the reversal said');

-- An approval that names no amount, among messages that do.
SELECT pg_temp.tap('c9', 1) \g /dev/null
SELECT pg_temp.post('default', format('click_id=c9&transaction_id=none-%s&%s&timestamp=2026-03-10T12:0%s:00Z', place,
    ('{status=pending&payout=10,status=pending&payout=20,status=approved}'::text[])[number], number), '2026-03-10 13:00+00'::timestamptz + turn * interval '1 second')
FROM (VALUES (1, '{1,2,3}'::integer[]), (2, '{1,3,2}'), (3, '{2,1,3}'), (4, '{2,3,1}'), (5, '{3,1,2}'), (6, '{3,2,1}')) AS o (place, numbers),
    unnest(o.numbers) WITH ORDINALITY AS m (number, turn) ORDER BY place, turn \g /dev/null
SELECT is(array_agg(DISTINCT status::text || ' ' || payout), '{approved 20}', 'in any order it approves the amount that was in force') FROM postback.conversions WHERE transaction_id LIKE 'none-%';
UPDATE postback.offers SET payout = 7 WHERE offer_id = 1;
SELECT pg_temp.post('default', 'click_id=c9&transaction_id=unnamed') \g /dev/null
UPDATE postback.offers SET payout = 9 WHERE offer_id = 1;
SELECT pg_temp.post('default', 'click_id=c9&transaction_id=unnamed&status=' || status, at::timestamptz)
FROM (VALUES ('reversed', '2026-03-10 13:01+00'), ('approved', '2026-03-10 13:02+00')) AS m (status, at) \g /dev/null
SELECT is(pg_temp.money('unnamed'), 0::numeric, 'its repeat does not undo a reversal');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'unnamed';
SELECT is(pg_temp.money('unnamed'), 7::numeric, 'and what nobody named an amount for pays what it paid first');
UPDATE postback.offers SET payout = NULL WHERE offer_id = 1;

-- The network's clock.
SELECT pg_temp.tap(id, 1) FROM unnest('{c3,c4}'::text[]) AS id \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c3&payout=1&transaction_id=same&timestamp=2026-03-10T11:58:00Z'), 'accepted', 'a clock two minutes slow');
SELECT is((SELECT count(*) FROM postback.attribution() WHERE transaction_id = 'same'), 1::bigint, 'does not cost the click its credit');
SELECT is(pg_temp.post('default', 'click_id=c4&payout=1&transaction_id=zone&timestamp=2026-03-10T04:00:00Z'), 'accepted', 'a wrong time zone');
SELECT is((SELECT converted_at FROM postback.conversions WHERE transaction_id = 'zone'), '2026-03-10 13:00+00'::timestamptz, 'is not believed');
SELECT is(pg_temp.post('default', 'click_id=c3&payout=1&transaction_id=same&timestamp=2026-03-10T11:58:00Z', '2026-03-10 13:01+00'), 'duplicate', 'its repeat is one');
SELECT is((SELECT ledger_seq FROM postback.conversions WHERE transaction_id = 'same'), 1, 'and leaves no trace in the ledger');
SELECT is(pg_temp.post('default', 'click_id=c3&status=reversed&transaction_id=same&timestamp=2026-03-10T11:58:00Z', '2026-03-10 13:02+00'), 'updated',
    'a reversal that carries the time of the sale, as many do, takes it back');
SELECT is(pg_temp.money('same'), 0::numeric, 'whatever the clock');
SELECT pg_temp.post('default', format('click_id=c3&payout=%s&status=%s&transaction_id=slow-%s&timestamp=2026-03-10T11:5%s:00Z', number,
    ('{pending,approved,reversed}'::text[])[number], place, 5 + number), '2026-03-10 13:00+00'::timestamptz + turn * interval '1 second')
FROM (VALUES (1, '{1,2,3}'::integer[]), (2, '{1,3,2}'), (3, '{2,1,3}'), (4, '{2,3,1}'), (5, '{3,1,2}'), (6, '{3,2,1}')) AS o (place, numbers),
    unnest(o.numbers) WITH ORDINALITY AS m (number, turn) ORDER BY place, turn \g /dev/null
SELECT is(array_agg(DISTINCT status::text || ' ' || payout), '{reversed 0}', 'in any order events before the click end alike') FROM postback.conversions WHERE transaction_id LIKE 'slow-%';
SELECT is(pg_temp.post('default', 'click_id=c4&payout=2&transaction_id=zone&timestamp=2026-03-10T04:00:00Z', '2026-03-10 13:01+00'), 'updated', 'what follows it by the same clock is not held to have come before');
SELECT is(pg_temp.post('default', 'click_id=c4&payout=1&transaction_id=offset&timestamp=2026-03-10T12:30:00%2B99:99'), 'accepted', 'nor an offset that no zone has');

-- Who may move whose money.
SELECT pg_temp.tap(id, 1) FROM unnest('{c5,c6,c7}'::text[]) AS id \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c5&payout=5&transaction_id=g1&status=pending'), 'accepted', 'as long as nothing is configured all may post');
SELECT postback.add_network('Open door') AS other_id \gset
SELECT postback.add_network_secret('default', 'hmac', 'secret-of-16-bytes') \g /dev/null
SELECT is(pg_temp.post('open-door', 'click_id=c6&payout=3&transaction_id=g2'), 'unauthenticated', 'an unguarded network is no way round the checks of default');
SELECT postback.add_network_secret('owner', 'hmac', 'secret-of-16-bytes') \g /dev/null
UPDATE postback.offers SET network_id = :network_id WHERE offer_id = 1;
SELECT postback.revoke_network_secrets('default', 'hmac') \g /dev/null
DELETE FROM _postback.network_secrets WHERE network_id = (SELECT network_id FROM postback.networks WHERE slug = 'default');
SELECT is(pg_temp.post('default', 'click_id=c5&payout=9000&transaction_id=g1&status=approved'), 'unauthenticated', 'nor is a conversion that was there before the checks');
SELECT is(pg_temp.money('g1'), 5::numeric, 'which stays as it was');

-- A conversion inserted by hand and the network's word about it.
SELECT pg_temp.tap('c8', 2) \g /dev/null
DELETE FROM _postback.network_secrets;
INSERT INTO postback.conversions (network_id, click_id, transaction_id, payout) VALUES (:network_id, 'c8', 'a b&c/%=', 10);
SELECT isnt(pg_temp.post('owner', 'click_id=c8&transaction_id=a%20b%26c%2F%25%3D&payout=10'), 'accepted', 'are one transaction');
SELECT is(pg_temp.money('a b&c/%='), 10::numeric, 'and one payout');

-- A foreign click whose day was dropped.
SELECT pg_temp.tap('gone', 2) \g /dev/null
DELETE FROM postback.clicks WHERE click_id = 'gone';
SELECT pg_temp.tap('gone', 2, '2026-03-11 12:00+00'), pg_temp.tap('gone', 2, '2026-03-11 12:01+00') \g /dev/null
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id = 'gone'), 1::bigint, 'is one click again when it is tapped again');
SELECT is(pg_temp.post('owner', 'click_id=gone&payout=1&transaction_id=back', '2026-03-11 13:00+00'), 'accepted', 'and can earn');

-- Times and numbers that would stop the housekeeping or the next offer.
SELECT throws_ok($$ INSERT INTO postback.clicks (campaign_id, click_id, clicked_at) VALUES (5, 'inf', 'infinity') $$, '23514', NULL, 'no click is at infinity');
SELECT throws_ok($$ UPDATE postback.offers SET click_window = '1000000 years' $$, '23514', NULL, 'no window is a million years');
SELECT is(postback.add_offer('Next', 'https://network.example.com/?c={click_id}'), 3::bigint, 'the next offer goes on after the numbers that were chosen');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');
-- Messages that are recorded in another order than they were received in: the later one came by while the earlier one was kept safe elsewhere.
SELECT pg_temp.tap('c-order', 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c-order&transaction_id=order&payout=10', '2026-03-11 13:00+00'), 'accepted', 'the repeat of a message is recorded first');
SELECT is(pg_temp.post('default', 'click_id=c-order&transaction_id=order&payout=10', '2026-03-10 13:00+00'), 'duplicate', 'then the message itself');
SELECT is((SELECT converted_at FROM postback.conversions WHERE transaction_id = 'order'), '2026-03-10 13:00+00', 'and the sale happened when it was first told');
SELECT pg_temp.tap('c-late', 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c-late&transaction_id=late&payout=10&status=reversed', '2026-03-20 13:00+00'), 'outside_window', 'a reversal alone, later than the window');
SELECT is(pg_temp.post('default', 'click_id=c-late&transaction_id=late&payout=10', '2026-03-10 13:00+00'), 'accepted', 'then its sale, which was in time');
SELECT is((SELECT concat_ws(' ', status, payout, converted_at) FROM postback.conversions WHERE transaction_id = 'late'), 'reversed 0 2026-03-10 13:00:00+00', 'is reversed all the same');
SELECT is((SELECT array_agg(verdict::text ORDER BY received_at) FROM postback.postbacks WHERE transaction_id = 'late'), '{accepted,updated}', 'and the reversal says what became of it');
SELECT count(*) FROM postback.maintain('2026-03-21 13:00+00') \g /dev/null
SELECT is(pg_temp.money('late'), 0::numeric, 'for good');
SELECT pg_temp.tap('c-never', 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c-never&transaction_id=never&payout=10', '2026-03-20 13:00+00'), 'outside_window', 'a sale later than the window');
SELECT count(*) FROM postback.maintain('2026-03-21 13:00+00') \g /dev/null
SELECT is((SELECT verdict || ' ' || reason FROM postback.postbacks WHERE transaction_id = 'never'), 'outside_window converted 10 days 01:00:00 after the click', 'stays so, however often somebody looks');

-- A reversal that names the click alone, before its sale or after it: one conversion, taken back.
SELECT pg_temp.tap('c-before', 1, '2026-03-10 12:00+00'), pg_temp.tap('c-after', 1, '2026-03-10 12:00+00'), pg_temp.tap('c-batch', 1, '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.post('default', 'click_id=c-after&transaction_id=after&payout=10', '2026-03-10 13:00+00'), 'accepted', 'a sale');
SELECT is(pg_temp.post('default', 'click_id=c-after&status=reversed', '2026-03-10 14:00+00'), 'updated', 'and its reversal by the click');
SELECT is(pg_temp.post('default', 'click_id=c-before&status=reversed', '2026-03-10 13:00+00'), 'accepted', 'the reversal first');
SELECT isnt(pg_temp.post('default', 'click_id=c-before&transaction_id=before&payout=10', '2026-03-10 14:00+00'), 'accepted', 'then the sale, which joins it');
SELECT postback.receive_postbacks(ARRAY['default', 'default'], ARRAY['click_id=c-batch&status=reversed', 'click_id=c-batch&transaction_id=batch&payout=10']::bytea[],
    now => '2026-03-10 13:00+00') \g /dev/null
SELECT results_eq($$ SELECT transaction_id || ' ' || status, payout::numeric FROM postback.conversions WHERE click_id IN ('c-after', 'c-before', 'c-batch') ORDER BY 1 $$,
    $$ VALUES ('after reversed', 0::numeric), ('batch reversed', 0), ('before reversed', 0) $$, 'ends the same in each order');
SELECT is(pg_temp.post('default', 'click_id=c-before&transaction_id=before&payout=10', '2026-03-10 15:00+00'), 'duplicate', 'the sale again is no second one');
SELECT is(pg_temp.post('default', 'click_id=c-before&transaction_id=second&payout=7', '2026-03-10 16:00+00'), 'accepted', 'another transaction of the click is');
SELECT is(pg_temp.money('second'), 7::numeric, 'and pays');
SELECT is(pg_temp.post('default', 'click_id=c-batch&payout=4&event=signup', '2026-03-10 16:00+00'), 'accepted', 'what names no transaction joins none');
SELECT is((SELECT count(*) FROM postback.postbacks AS p JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = 'before'), 3::bigint, 'its story has the reversal, the sale and its repeat');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');

SELECT * FROM finish();
