-- Postbacks that come before their click: matched as soon as it arrives, by whatever road. Near misses are named, never matched.
SELECT no_plan();
SELECT postback.add_network('Other') AS other_id \gset
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1, click_window => '30 days') AS offer_id \gset
SELECT postback.create_send(campaign_id => 7, offer_id => 1, base_url => 'https://go.example.com') AS send_id \gset
CREATE FUNCTION pg_temp.post(query text, at timestamptz DEFAULT '2026-03-10 13:00+00', network text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback(network, query, now => at)
$$;
CREATE FUNCTION pg_temp.said(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(verdict || ': ' || coalesce(reason, ''), ', ' ORDER BY received_at) FROM postback.postbacks WHERE transaction_id = transaction
$$;
CREATE FUNCTION pg_temp.money(transaction text) RETURNS numeric LANGUAGE sql AS $$
    SELECT sum(payout) FROM postback.conversions WHERE transaction_id = transaction
$$;

-- The roads by which a click arrives. 019cd7a5-fc00 is the time 2026-03-10 12:00 in an id of our own.
SELECT is(pg_temp.post(format('click_id=%s&transaction_id=%s&payout=5', id, road)), 'unmatched', road || ': the postback comes first')
FROM (VALUES ('foreign-1', 'click'), ('foreign-2', 'insert'), ('foreign-3', 'copy'),
    ('019cd78d-4c00-7123-8123-0123456789ab', 'insert_own'), ('019cd78d-4c00-7124-8123-0123456789ab', 'explicit_bucket')) AS r (id, road);
SELECT postback.record_click(offer_id => 1, click_id => 'foreign-1', now => '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.said('click'), 'accepted: matched later', 'a click of /click matches at once');
INSERT INTO postback.clicks (click_id, offer_id, clicked_at) VALUES ('foreign-2', 1, '2026-03-10 12:00+00');
SELECT is(pg_temp.said('insert'), 'accepted: matched later', 'so does one by INSERT');
COPY postback.clicks (click_id, offer_id, clicked_at) FROM stdin;
foreign-3	1	2026-03-10 12:00+00
\.
SELECT is(pg_temp.said('copy'), 'accepted: matched later', 'and by COPY');
SELECT is(postback.click_id_time('019cd78d-4c00-7123-8123-0123456789ab')::date, '2026-03-10', 'an id of our own');
INSERT INTO postback.clicks (click_id, offer_id, clicked_at)
SELECT id, 1, postback.click_id_time(id) FROM (VALUES ('019cd78d-4c00-7123-8123-0123456789ab')) AS i (id);
SELECT is(pg_temp.said('insert_own'), 'accepted: matched later', 'by INSERT');
INSERT INTO postback.clicks (click_id, bucket, offer_id, clicked_at, visitor)
SELECT id, postback.click_id_bucket(id), 1, postback.click_id_time(id), 'human' FROM (VALUES ('019cd78d-4c00-7124-8123-0123456789ab')) AS i (id);
SELECT is(pg_temp.said('explicit_bucket'), 'accepted: matched later', 'and by INSERT that leaves nothing out');
SELECT is_empty('SELECT * FROM _postback.orphans', 'nothing waits any more');
SELECT is((SELECT sum(payout) FROM postback.conversions), 25.0, 'and each paid once');
SELECT is(pg_temp.post('click_id=foreign-1&transaction_id=click&payout=5'), 'duplicate', 'a repeat is one');

-- One tap does not wait for all that somebody may have sent under its id before.
SELECT pg_temp.post(format('click_id=crowd&transaction_id=crowd-%s&payout=0', n)) FROM generate_series(1, 250) AS n \g /dev/null
SELECT postback.record_click(offer_id => 1, click_id => 'crowd', now => '2026-03-10 12:00+00') \g /dev/null
SELECT is((SELECT count(*) FROM _postback.orphans WHERE click_id = 'crowd'), 50::bigint, 'of a crowd, two hundred are matched with the tap');
SELECT is(_postback.match_orphans('2026-03-10 14:00+00'), 50::bigint, 'and the others by maintain()');
SELECT is_empty('SELECT * FROM _postback.orphans', 'so that none waits');

-- A tap of our own link that was replayed late, beside a tap that has a foreign id.
SELECT link_code AS code FROM (SELECT regexp_replace(u::text, '.*/|[)"]', '', 'g') AS link_code
    FROM postback.mint_links(:send_id, ARRAY[42::bigint]) AS u) AS m \gset
SELECT _postback.mint_click_id_in(postback.subscriber_bucket(42), '2026-03-10 12:00+00') AS own \gset
SELECT is(pg_temp.post(format('click_id=%s&transaction_id=mixed&payout=5', :'own')), 'unmatched', 'the postback of a replayed tap');
SELECT count(*) FROM postback.record_clicks(ARRAY[:'code', NULL], ARRAY[:'own', 'foreign-9'], offer_ids => ARRAY[NULL, 1::bigint],
    now => '2026-03-10 12:00+00') \g /dev/null
SELECT is(pg_temp.said('mixed'), 'accepted: matched later', 'is matched when the tap comes in a batch with foreign ids');

-- One that waits for its sale, not for a click.
SELECT is(pg_temp.post('transaction_id=early&status=reversed', '2026-03-10 13:00:02+00'), 'unmatched', 'a reversal that names only the transaction');
SELECT is(pg_temp.post('click_id=foreign-4&transaction_id=early&payout=5', '2026-03-10 13:00:01+00'), 'unmatched', 'its sale, whose click is unknown too');
SELECT postback.record_click(offer_id => 1, click_id => 'foreign-4', now => '2026-03-10 12:00+00') \g /dev/null
SELECT results_eq($$ SELECT verdict::text, reason FROM postback.postbacks WHERE transaction_id = 'early' ORDER BY received_at $$,
    $$ VALUES ('accepted', 'matched later'), ('updated', 'matched later') $$, 'the click brings both, each once');
SELECT is(pg_temp.money('early'), 0::numeric, 'and the reversal counts');
SELECT pg_temp.post('transaction_id=first&status=rejected', '2026-03-10 13:00:02+00') \g /dev/null
SELECT is(pg_temp.post('click_id=foreign-4&transaction_id=first&payout=5', '2026-03-10 13:00:01+00'), 'accepted', 'a sale that comes after its rejection');
SELECT is((SELECT status::text FROM postback.conversions WHERE transaction_id = 'first'), 'rejected', 'takes it up at once');

-- The cases by time, click and network; each right, each shown.
SELECT is(pg_temp.post('click_id=foreign-1&transaction_id=late&payout=5', '2026-03-24 12:00+00'), 'accepted', 'two weeks late');
SELECT is(pg_temp.post('click_id=foreign-5&transaction_id=before&payout=5&timestamp=2026-03-10T12:30:00Z'), 'unmatched', 'before its click');
SELECT postback.record_click(offer_id => 1, click_id => 'foreign-5', now => '2026-03-10 14:00+00') \g /dev/null
SELECT is(pg_temp.said('before'), 'accepted: matched later; the time lies before the click: is the network''s time_zone right?', 'is credited and says so');
SELECT is(pg_temp.post('click_id=foreign-1&transaction_id=outside&payout=5', '2026-04-09 12:00:01+00'), 'outside_window', 'a second after its window');
SELECT is(pg_temp.said('outside'), 'outside_window: converted 30 days 00:00:01 after the click', 'says by how much');
SELECT is(pg_temp.post('click_id=foreign-2&transaction_id=click&payout=3', network => 'other'), 'accepted', 'the same transaction id at another network');
SELECT results_eq($$ SELECT network_id, click_id COLLATE "default", payout::numeric FROM postback.conversions WHERE transaction_id = 'click' ORDER BY payout $$,
    format($$ VALUES (%s, 'foreign-2', 3::numeric), (1, 'foreign-1', 5) $$, :other_id), 'is another transaction');
SELECT is_empty($$ SELECT * FROM postback.verify_ledger() $$, 'the ledger is whole');

-- A click whose own processing is wrong does not keep the tap from being stored.
SELECT is(pg_temp.post('click_id=foreign-6&transaction_id=blocked&payout=5'), 'unmatched', 'a postback waits');
CREATE EXTENSION dblink SCHEMA tap;
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s user=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user)) \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT dblink_exec('other', $$ INSERT INTO postback.conversion_keys VALUES (1, 'transaction_id=blocked&event=', 'x', 0) $$) \g /dev/null
SELECT is((SELECT click_id FROM postback.record_click(offer_id => 1, click_id => 'foreign-6', now => '2026-03-10 12:00+00')), 'foreign-6',
    'the tap does not wait for somebody who holds the transaction');
SELECT is(array(SELECT click_id FROM _postback.orphans WHERE click_id = 'foreign-6'), '{foreign-6}', 'the postback waits on');
SELECT dblink_exec('other', 'ROLLBACK'), dblink_disconnect('other') \g /dev/null
SELECT count(*) FROM postback.maintain('2026-03-10 14:00+00') \g /dev/null
SELECT is(pg_temp.said('blocked'), 'accepted: matched later', 'and maintain() matches it');

-- Near misses. Another click begins like the first one up to its 22nd character.
INSERT INTO postback.clicks (click_id, offer_id, clicked_at)
SELECT id, 1, postback.click_id_time(id) FROM unnest(ARRAY['019cd78d-4c00-7125-8123-0123456789ab', '019cd78d-4c00-7125-8123-ffffffffffff']) AS i (id);
SELECT postback.record_click(offer_id => 1, click_id => id, now => '2026-03-10 12:00+00')
FROM unnest(ARRAY['session.of~some-other.system', 'UPPER-CASE-ID', 'lower-case-id']) AS id \g /dev/null
CREATE FUNCTION pg_temp.near(query text) RETURNS text LANGUAGE sql AS $$
    SELECT verdict || ': ' || reason FROM postback.receive_postback('default', query || '&payout=5', now => '2026-03-10 13:00+00')
$$;
SELECT is(pg_temp.near('transaction_id=m1&click_id=019cd78d-4c00-7125-8123-01'), 'unmatched: the click is not known (yet); it was cut off: the click "019cd78d-4c00-7125-8123-0123456789ab" is known', 'a prefix of our own');
SELECT is(pg_temp.near('transaction_id=m2&click_id=019CD78D-4C00-7125-8123-01'), 'unmatched: the click is not known (yet); it was cut off: the click "019cd78d-4c00-7125-8123-0123456789ab" is known', 'in capitals');
SELECT is(pg_temp.near('transaction_id=m3&click_id=019cd78d-4c00-7125-8123'), 'unmatched: the click is not known (yet)', 'one that fits two clicks names neither');
SELECT is(pg_temp.near('transaction_id=m4&click_id=019cd78d-4c00-7'), 'unmatched: the click is not known (yet)', 'nor does one of fewer than 16 characters');
SELECT is(pg_temp.near('transaction_id=m5&click_id=session.of~some-'), 'unmatched: the click is not known (yet); it was cut off: the click "session.of~some-other.system" is known', 'a prefix of a foreign id');
SELECT is(pg_temp.near('transaction_id=m6&click_id=019CD78D-4C00-7125-8123-0123456789AB'), 'unmatched: the click is not known (yet); its case was changed: the click "019cd78d-4c00-7125-8123-0123456789ab" is known', 'capitals');
SELECT is(pg_temp.near('transaction_id=m7&click_id=upper-case-id'), 'unmatched: the click is not known (yet); its case was changed: the click "UPPER-CASE-ID" is known', 'small letters');
SELECT is(pg_temp.near('transaction_id=m8&click_id=LOWER-CASE-ID'), 'unmatched: the click is not known (yet); its case was changed: the click "lower-case-id" is known', 'and a foreign id in capitals');
SELECT is(pg_temp.near('transaction_id=m9&click_id=019cd78d%252D4c00%252D7125%252D8123%252D0123456789ab'),
    'unmatched: the click id is not 1 to 64 of [A-Za-z0-9._~-]; no conversion has this key and no click is named; parameter "click_id" is percent-encoded twice: the click "019cd78d-4c00-7125-8123-0123456789ab" is known', 'encoded twice');
SELECT is(pg_temp.near('transaction_id=m10&click_id=affiliate%2F77&sub5=lower%2Dcase%2Did'), 'unmatched: the click id is not 1 to 64 of [A-Za-z0-9._~-]; no conversion has this key and no click is named; parameter "sub5" holds the known click "lower-case-id": is that its slot?', 'another slot');
SELECT is(pg_temp.near('transaction_id=m11&click_id=affiliate77&sub5=lower-case-id'), 'unmatched: the click is not known (yet); parameter "sub5" holds the known click "lower-case-id": is that its slot?', 'beside an id in the right one');
SELECT is((SELECT reason FROM postback.receive_postback('default', NULL, body => '{"click_id": "affiliate77", "transaction_id": "m12", "sub5" : "lower-case-id"}',
    method => 'POST', content_type => 'application/json')), 'the click is not known (yet); parameter "sub5" holds the known click "lower-case-id": is that its slot?', 'in JSON');
SELECT is(pg_temp.near('click_id=lower%252Dcase%252Did'), 'malformed: the click id is not 1 to 64 of [A-Za-z0-9._~-]; neither a click id nor a transaction id; parameter "click_id" is percent-encoded twice: the click "lower-case-id" is known', 'and where nothing else is said');
SELECT is(pg_temp.near('transaction_id=m13&click_id=nobody-knows-this-one&sub5=%2500%25zz%25&sub6=%E2%82%AC&sub7=12345678'), 'unmatched: the click is not known (yet)', 'what nobody knows is just that');
SELECT is((SELECT count(*) FROM postback.conversions WHERE transaction_id LIKE 'm%' AND transaction_id <> 'mixed'), 0::bigint, 'none is matched');

-- Without a look at every row: near_miss() and match_orphans_of() find their rows by index alone.
SET enable_seqscan = off;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END $$;
SELECT ok(NOT EXISTS (SELECT FROM pg_temp.plan($$ SELECT FROM _postback.orphans AS w WHERE w.click_id = ANY ('{a,b}') $$) AS p (line) WHERE line LIKE '%Seq Scan%'), 'orphans by click');
SELECT ok(NOT EXISTS (SELECT FROM pg_temp.plan($$ SELECT FROM _postback.orphans AS w WHERE w.network_id = 1 AND w.dedupe_key = 'a' $$) AS p (line) WHERE line LIKE '%Seq Scan%'), 'orphans by key');
SELECT ok(NOT EXISTS (SELECT FROM pg_temp.plan($$ SELECT FROM postback.clicks AS c WHERE c.click_id > 'a' AND c.click_id < 'b' AND c.clicked_at = '2026-03-10 12:00+00' $$) AS p (line) WHERE line LIKE '%Seq Scan%'), 'clicks by prefix');
SELECT * FROM finish();
