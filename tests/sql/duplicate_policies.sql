-- What a further message of a known key does, by the network's policy for its event.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) AS offer_id \gset
SELECT click_id FROM postback.record_click(offer_id => 1, click_id => 'c1', now => '2026-03-10 12:00+00') \g /dev/null
SELECT click_id FROM postback.record_click(offer_id => 1, click_id => 'c2', now => '2026-03-10 12:00+00') \g /dev/null
UPDATE postback.networks SET duplicate_policies = '{"install": "ignore", "rebill": "new", "upsell": "new_labelled", "sum": "add_payout", "*": "update"}';
CREATE FUNCTION pg_temp.post(query text, network text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback(network, 'click_id=c1&' || query, now => '2026-03-10 13:00+00')
$$;
CREATE FUNCTION pg_temp.rows(transaction text) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(concat_ws(' ', repeat, event, status, payout) ORDER BY repeat) FROM postback.conversions WHERE transaction_id = transaction
$$;

SELECT is(pg_temp.post('transaction_id=u&event=other&payout=' || payout), verdict, 'update: ' || verdict)
FROM (VALUES ('1', 'accepted'), ('2', 'updated'), ('2', 'duplicate')) AS m (payout, verdict);
SELECT is(pg_temp.rows('u'), '{0 other approved 2}', 'update moves the one conversion');

SELECT is(pg_temp.post('transaction_id=i&event=install&' || rest), verdict, 'ignore: ' || verdict)
FROM (VALUES ('payout=1', 'accepted'), ('payout=2', 'duplicate'), ('status=reversed', 'duplicate')) AS m (rest, verdict);
SELECT is(pg_temp.rows('i'), '{0 install approved 1}', 'ignore lets nothing move');

SELECT is(pg_temp.post('transaction_id=n&event=rebill&payout=' || payout), 'accepted', 'new: accepted') FROM (VALUES ('1'), ('1'), ('3')) AS m (payout);
SELECT is(pg_temp.rows('n'), '{0 rebill approved 1,1 rebill approved 1,2 rebill approved 3}', 'new makes each message a conversion of its own');
SELECT is((SELECT array_agg(dedupe_key ORDER BY repeat) FROM postback.conversions WHERE transaction_id = 'n'),
    '{transaction_id=n&event=rebill,transaction_id=n&event=rebill&repeat=1,transaction_id=n&event=rebill&repeat=2}', 'with a key of its own');
SELECT is((SELECT count(DISTINCT dedupe_key) FROM postback.postbacks WHERE transaction_id = 'n'), 1::bigint, 'while the messages keep the key that they share');
SELECT is(pg_temp.post('transaction_id=n&event=rebill&status=reversed'), 'updated', 'a reversal takes the newest back');
SELECT is(pg_temp.post('transaction_id=n&event=rebill&status=reversed'), 'duplicate', 'and its retry no other');
SELECT is(pg_temp.rows('n'), '{0 rebill approved 1,1 rebill approved 1,2 rebill reversed 0}', 'the others still pay');
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'transaction_id=n&event=rebill&payout=5', now => '2026-03-10 13:00+00')), 'accepted',
    'a further message need not name the click');
SELECT is((SELECT click_id FROM postback.conversions WHERE transaction_id = 'n' AND repeat = 3), 'c1', 'which is that of the first');
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=c2&transaction_id=n&event=rebill&payout=5', now => '2026-03-10 13:00+00')),
    'conflict', 'and cannot be another');
SELECT is(pg_temp.post('transaction_id=t&event=rebill&status=reversed'), 'accepted', 'a reversal may come first');
SELECT is(pg_temp.post('transaction_id=t&event=rebill&payout=4'), 'stale', 'and waits for its sale');
SELECT is(pg_temp.post('transaction_id=t&event=rebill&payout=4'), 'accepted', 'not for the next');
SELECT is(pg_temp.rows('t'), '{0 rebill reversed 0,1 rebill approved 4}', 'which pays');

SELECT is(pg_temp.post('transaction_id=l&event=upsell&payout=1'), 'accepted', 'new_labelled') FROM generate_series(1, 3);
SELECT is(pg_temp.rows('l'), '{0 upsell approved 1,1 upsell#2 approved 1,2 upsell#3 approved 1}', 'new_labelled numbers the events');

SELECT is(pg_temp.post('transaction_id=a&event=sum&' || rest), verdict, 'add_payout: ' || rest)
FROM (VALUES (1, 'payout=10&status=pending', 'accepted'), (2, 'payout=2.50', 'updated'), (3, 'payout=2.50', 'updated'),
    (4, 'payout=1&timestamp=2026-03-10T12:40:00Z', 'updated'), (5, 'payout=1&timestamp=2026-03-10T12:40:00Z', 'duplicate'),
    (6, 'payout=2&timestamp=2026-03-10T12:30:00Z', 'updated'), (7, 'payout=2&timestamp=2026-03-10T12:30:00Z', 'duplicate')) AS m (place, rest, verdict) ORDER BY place;
SELECT is(pg_temp.rows('a'), '{0 sum approved 18.00}', 'amounts are added whatever their order, a repeat with a time of its own once');
SELECT is(pg_temp.post('transaction_id=a&event=sum&status=reversed'), 'updated', 'a reversal takes all back');
SELECT is(pg_temp.rows('a'), '{0 sum reversed 0}', 'and nothing is left');

SELECT (SELECT verdict::text FROM postback.receive_postback('default', 'click_id=c1&transaction_id=m&event=sum&payout=5', now => at::timestamptz))
FROM unnest('{2026-03-10 13:00:00.020+00,2026-03-10 13:00:00.010+00,2026-03-10 13:00:00.030+00,2026-03-10 13:00:00.015+00}'::text[]) AS at \g /dev/null
SELECT is(pg_temp.rows('m'), '{0 sum approved 20}', 'messages that overtake each other by milliseconds are added too');
SELECT (SELECT verdict::text FROM postback.receive_postback('default', 'click_id=c1&transaction_id=w&event=sum&payout=5' || rest, now => at::timestamptz))
FROM (VALUES ('', '2026-03-10 13:00+00'), ('&status=reversed', '2026-03-10 13:02+00'), ('', '2026-03-10 13:01+00')) AS m (rest, at) \g /dev/null
SELECT is(pg_temp.rows('w'), '{0 sum reversed 0}', 'one that a reversal has overtaken does not undo it');

SELECT postback.add_network('Events') AS network_id \gset
UPDATE postback.networks SET dedupe = '{transaction_id}', duplicate_policies = '{"*": "ignore_event"}' WHERE slug = 'events';
SELECT is(pg_temp.post('transaction_id=e&payout=1&event=' || event, 'events'), verdict, 'ignore_event: ' || event || ' ' || verdict)
FROM (VALUES (1, 'x', 'accepted'), (2, 'x', 'duplicate'), (3, 'y', 'accepted'), (4, 'x', 'duplicate'), (5, 'y', 'duplicate')) AS m (place, event, verdict) ORDER BY place;
SELECT is(pg_temp.rows('e'), '{0 x approved 1,1 y approved 1}', 'ignore_event makes one conversion for each event');

-- A replay is the same message: it does nothing under any policy.
SELECT is((SELECT verdict::text FROM postback.receive_postbacks(ARRAY['default'], ARRAY[convert_to('click_id=c1&transaction_id=r&payout=1&event=' || event, 'UTF8')],
    postback_ids => ARRAY[postback.mint_click_id(NULL, '2026-03-10 13:00+00')])), 'accepted', 'first') FROM unnest('{rebill,upsell,sum}'::text[]) AS event;
SELECT is((SELECT array_agg(r.verdict::text) FROM postback.postbacks AS p, postback.receive_postbacks(ARRAY['default'], ARRAY[p.query], postback_ids => ARRAY[p.postback_id]) AS r
           WHERE p.transaction_id = 'r'), '{accepted,accepted,accepted}', 'a replay is answered as before');
SELECT is((SELECT count(*) || ' ' || sum(payout) FROM postback.conversions WHERE transaction_id = 'r'), '3 3', 'and counts no second time');
SELECT throws_ok($$ UPDATE postback.networks SET duplicate_policies = '{"*": "sometimes"}' $$, '22023', NULL, 'a policy that is none is refused');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');
SELECT * FROM finish();
