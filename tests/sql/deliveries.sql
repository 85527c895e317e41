-- What a conversion queues, what goes over the wire, and how much of it at a time.
SELECT no_plan();
SELECT postback.add_network('Other') AS other_id \gset
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 7) AS offer_id \gset
SELECT postback.add_offer('Another', 'https://network.example.com/?c={click_id}', offer_id => 8) AS offer_id \gset
-- An hour ahead, so that everything queued below is due.
SELECT date_trunc('hour', clock_timestamp()) + interval '2 hours' AS t0 \gset
CREATE FUNCTION pg_temp.queued(destination text) RETURNS bigint LANGUAGE sql AS
    'SELECT count(*) FROM postback.deliveries AS w JOIN postback.destinations AS d USING (destination_id) WHERE d.name = destination';
CREATE FUNCTION pg_temp.claimed(at timestamptz, most integer DEFAULT 100) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_object_agg(n.name, n.claimed), '{}') FROM (
        SELECT d.name, count(*) AS claimed FROM postback.claim_deliveries(most, at) AS c JOIN postback.destinations AS d USING (destination_id)
        GROUP BY d.name) AS n
$$;
CREATE FUNCTION pg_temp.answer(code integer, at timestamptz) RETURNS integer LANGUAGE sql AS $$
    SELECT postback.finish_deliveries(array_agg(delivery_id), array_agg(code), array_agg(NULL::text), array_agg(NULL::integer), array_agg(NULL::text), at)
    FROM postback.deliveries WHERE state = 'sending'
$$;

-- Who is told.
INSERT INTO postback.conversions (transaction_id, payout, offer_id) VALUES ('before', 5, 7);
SELECT is(postback.next_delivery_at(), NULL, 'without a destination nothing is queued');
SELECT postback.add_destination('All', 'https://all.example.com/'), postback.add_destination('Offer', 'https://offer.example.com/', offer_id => 7),
    postback.add_destination('Network', 'https://network.example.com/', network => 'other'),
    postback.add_destination('Reversals', 'https://reversals.example.com/', statuses => '{rejected,reversed}'),
    postback.add_destination('Deposits', 'https://deposits.example.com/', events => '{deposit,ftd}'),
    postback.add_destination('Off', 'https://off.example.com/'), postback.disable_destination('Off') \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout, offer_id) VALUES ('a', 5, 7), ('b', 5, 8), ('c', 5, NULL);
INSERT INTO postback.conversions (transaction_id, payout, network_id) VALUES ('d', 5, :other_id);
INSERT INTO postback.conversions (transaction_id, payout, event) VALUES ('e', 5, 'ftd'), ('f', 5, 'lead');
INSERT INTO postback.conversions (transaction_id, payout, status) VALUES ('g', 5, 'pending'), ('h', 5, 'rejected');
SELECT is((SELECT jsonb_object_agg(name, queued) FROM postback.delivery_queue),
    '{"All": 6, "Offer": 1, "Network": 1, "Reversals": 1, "Deposits": 1, "Off": 0}', 'offer, network, status and event choose who is told');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'g';
SELECT is(pg_temp.queued('All'), 7::bigint, 'a status that is reached later is told then');
UPDATE postback.conversions SET payout = 6 WHERE transaction_id = 'g';
SELECT is(pg_temp.queued('All'), 8::bigint, 'and another payout in it');
UPDATE postback.conversions SET payout = 6, raw_status = 'sale' WHERE transaction_id = 'g';
SELECT is(pg_temp.queued('All'), 8::bigint, 'what moves nothing is not told');
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'g';
SELECT is(array[pg_temp.queued('All'), pg_temp.queued('Reversals')], '{8,2}', 'a reversal goes to those who want reversals');
SELECT postback.test_postback('default') \g /dev/null
SELECT is(pg_temp.queued('All'), 8::bigint, 'a test message is told to nobody');
BEGIN;
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('gone', 5);
SELECT is(pg_temp.queued('All'), 9::bigint, 'a delivery is queued in the transaction of its conversion');
ROLLBACK;
SELECT is(pg_temp.queued('All'), 8::bigint, 'and rolled back with it');
SELECT matches(min(delivery_id), '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$', 'its id is a UUIDv7') FROM postback.deliveries;
SELECT is_empty('SELECT FROM postback.deliveries WHERE bucket <> postback.click_id_bucket(delivery_id)', 'with the bucket of its conversion');

-- A postback that the network repeats, then corrects: one delivery per change.
SELECT postback.record_click(offer_id => 8, click_id => 'click-1', now => '2026-03-10 12:00+00') \g /dev/null
TRUNCATE postback.deliveries;
SELECT verdict FROM unnest('{5,5,6}'::text[]) AS payout, LATERAL postback.receive_postback('default',
    'click_id=click-1&transaction_id=t1&status=approved&payout=' || payout, now => '2026-03-10 13:00+00') \g /dev/null
SELECT is(pg_temp.queued('All'), 2::bigint, 'a duplicate postback is not told twice');
TRUNCATE postback.deliveries;

-- What goes over the wire.
DELETE FROM postback.destinations;
SELECT postback.record_click(offer_id => 7, campaign_id => 3, click_id => 'click-2', now => '2026-03-10 12:00+00') \g /dev/null
SELECT postback.add_destination('Wire', 'https://wire.example.com/{event}/p?click={click_id}&tx={transaction_id}&s={status}&p={payout}&d={payout_delta}&c={currency}&o={offer_id}&n={network}&seq={event_seq}&at={converted_at}&u={converted_at_unix}&x={variant_id}',
    method => 'POST', body_template => '{"tx": "{transaction_id}", "alone": {transaction_id}, "payout": {payout}, "variant": {variant_id}, "offer": {offer_id}, "id": "{delivery_id}"}',
    timeout => '1.5 seconds') \g /dev/null
INSERT INTO postback.conversions (transaction_id, event, click_id, currency, payout, converted_at) VALUES (E'a&b/.."\r\né', '..', 'click-2', 'EUR', 10.00, '2026-03-10 13:00+00');
UPDATE postback.conversions SET payout = 12.50 WHERE click_id = 'click-2';
CREATE TEMP TABLE wire AS SELECT * FROM postback.claim_deliveries(now => :'t0') ORDER BY delivery_id;
SELECT results_eq('SELECT url FROM wire ORDER BY split_part(url, ''seq='', 2)', $$
    SELECT format('https://wire.example.com/%%252E%%252E/p?click=click-2&tx=a%%26b%%2F..%%22%%0D%%0A%%C3%%A9&s=approved&p=%s&d=%s&c=EUR&o=7&n=default&seq=%s&at=2026-03-10T13%%3A00%%3A00Z&u=1773147600&x=', p, d, seq)
    FROM (VALUES ('10.00', '10.00', 1), ('12.50', '2.50', 2)) AS v (p, d, seq) $$, 'each delivery tells its own row of the ledger, and no value leaves its place');
SELECT is(body::jsonb, jsonb_build_object('tx', E'a&b/.."\r\né', 'alone', E'a&b/.."\r\né', 'payout', 12.50, 'variant', NULL, 'offer', 7, 'id', delivery_id),
    'in JSON too') FROM wire WHERE url LIKE '%seq=2&%';
SELECT is(headers, jsonb_build_object('User-Agent', 'postback/' || postback.version(), 'Idempotency-Key', delivery_id), 'headers of an unsigned one') FROM wire LIMIT 1;
SELECT results_eq('SELECT DISTINCT method, content_type, timeout_ms, allowed_addresses FROM wire', $$ VALUES ('POST', 'application/json', 1500, '{}'::cidr[]) $$,
    'method, type and timeout');
SELECT is(pg_temp.answer(200, :'t0'), 2, 'both arrive');

-- Signatures, computed a second time here.
CREATE FUNCTION pg_temp.hmac(message text, key bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    padded bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
    inner_key bytea := padded;
    outer_key bytea := padded;
BEGIN
    FOR i IN 0..63 LOOP
        inner_key := set_byte(inner_key, i, get_byte(padded, i) # 54);
        outer_key := set_byte(outer_key, i, get_byte(padded, i) # 92);
    END LOOP;
    RETURN sha256(outer_key || sha256(inner_key || convert_to(message, 'UTF8')));
END $$;
SELECT postback.set_destination_secret('Wire', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', signing => 'standard_webhooks'),
    postback.set_destination_secret('Wire', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD') \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('signed', 5);
SELECT delivery_id, headers ->> 'webhook-id' AS id, headers ->> 'webhook-timestamp' AS at, headers ->> 'webhook-signature' AS signature, body
FROM postback.claim_deliveries(now => :'t0') \gset
SELECT is(:'id'::text, :'delivery_id', 'the webhook-id is the id that stays');
SELECT is(:'at'::bigint, extract(epoch FROM :'t0'::timestamptz)::bigint, 'the time is that of the attempt');
SELECT is(:'signature'::text, (SELECT string_agg('v1,' || encode(pg_temp.hmac(concat_ws('.', :'id', :'at', :'body'), decode(key, 'base64')), 'base64'), ' ')
    FROM unnest('{C2FVsBQIhrscChlQIMV+b5sSYspob7oD,MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}'::text[]) AS key), 'while secrets are rotated both sign');
SELECT postback.set_destination_secret('Wire', '0123456789abcdef', signing => 'hmac_sha256') \g /dev/null
-- The lease ends, and it is sent again.
SELECT c.delivery_id AS again, c.headers ->> 'X-Postback-Signature' AS signature, c.url, c.body, extract(epoch FROM :'t0'::timestamptz)::bigint + 60 AS later
FROM postback.claim_deliveries(now => :'t0'::timestamptz + interval '1 minute') AS c \gset
SELECT is(:'again'::text, :'delivery_id', 'an attempt that nobody told the end of is made again under the same id');
SELECT is(:'signature'::text, format('t=%s,v1=%s', :'later', encode(pg_temp.hmac(format('%s.POST.%s.%s', :'later', :'url', :'body'), '0123456789abcdef'), 'hex')),
    'the plain signature covers time, method, URL and body');
SELECT is(attempts, 2, 'both attempts are counted') FROM postback.deliveries WHERE delivery_id = :'delivery_id';
SELECT is(pg_temp.answer(204, :'t0'), 1, 'it arrives');

-- What cannot be rendered is dead with its reason, and nothing else suffers.
DELETE FROM _postback.destination_secrets;
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('unsigned', 5);
SELECT postback.add_destination('Beside', 'https://beside.example.com/?t={transaction_id}', method => 'GET') \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('fine', 5), (repeat('x', 9000), 5);
SELECT is(pg_temp.claimed(:'t0'), '{"Beside": 1}', 'what can be sent is handed out');
SELECT results_eq('SELECT DISTINCT last_error, finished_at IS NOT NULL FROM postback.deliveries WHERE state = ''dead'' ORDER BY 1',
    $$ VALUES ('the URL became longer than 8192 bytes', true), ('there is no secret to sign with', true) $$, 'what cannot is dead, and says why');
SELECT pg_temp.answer(200, :'t0') \g /dev/null
INSERT INTO postback.deliveries (delivery_id, destination_id, conversion_id, bucket, event_seq, due_at, created_at)
SELECT 'stray', destination_id, 'nothing', 0, 1, now(), now() FROM postback.destinations WHERE name = 'Beside';
SELECT is(pg_temp.claimed(:'t0'), '{}', 'nor can what has no conversion');
SELECT results_eq('SELECT state, last_error FROM postback.deliveries WHERE delivery_id = ''stray''', $$ VALUES ('dead', 'its conversion is gone') $$, 'which is dead too');

-- Concurrency, turns, and the whole limit.
DELETE FROM postback.destinations;
TRUNCATE postback.deliveries;
SELECT postback.add_destination('Busy', 'https://busy.example.com/', max_concurrency => 3), postback.add_destination('Wide', 'https://wide.example.com/', max_concurrency => 100) \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout) SELECT 'many-' || i, 5 FROM generate_series(1, 20) AS i;
SELECT ok(postback.next_delivery_at() <= clock_timestamp(), 'there is something to do now');
SELECT is(pg_temp.claimed(:'t0', 4), '{"Busy": 2, "Wide": 2}', 'destinations take turns within the limit of a claim');
SELECT is(pg_temp.claimed(:'t0'), '{"Busy": 1, "Wide": 18}', 'no more are under way than the destination allows');
SELECT is(pg_temp.claimed(:'t0'), '{}', 'nothing is handed out twice');
SELECT is(postback.next_delivery_at(:'t0'), :'t0'::timestamptz + interval '45 seconds', 'the next thing to happen is the end of a lease');
SELECT is(pg_temp.answer(200, :'t0'), 23, 'all arrive');
SELECT is(pg_temp.claimed(:'t0'), '{"Busy": 3}', 'and make room');
SELECT is(pg_temp.claimed(:'t0'::timestamptz + interval '45 seconds'), '{"Busy": 3}', 'an expired lease makes room too');
SELECT pg_temp.answer(200, :'t0') \g /dev/null
SELECT is(postback.next_delivery_at(:'t0') <= :'t0', true, 'what waits is due');
SELECT pg_temp.claimed(:'t0', 1) \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('late', 5);
SELECT is(pg_temp.claimed(:'t0', 1), '{"Wide": 1}', 'a slot that comes free goes to who has the fewest, so that many that hang keep nobody waiting');

-- Rate.
DELETE FROM postback.destinations;
TRUNCATE postback.deliveries;
SELECT postback.add_destination('Slow', 'https://slow.example.com/', max_concurrency => 100, max_rate => 2), postback.add_destination('Fast', 'https://fast.example.com/', max_concurrency => 100, max_rate => 100) \g /dev/null
INSERT INTO postback.conversions (transaction_id, payout) SELECT 'rated-' || i, 5 FROM generate_series(1, 150) AS i;
SELECT is(pg_temp.claimed(:'t0'), '{"Slow": 1, "Fast": 10}', 'one, or a tenth of a second''s worth');
SELECT is(pg_temp.claimed(:'t0'), '{}', 'then it waits');
SELECT pg_temp.answer(200, :'t0') \g /dev/null
SELECT is(postback.next_delivery_at(:'t0'), :'t0'::timestamptz + interval '10 milliseconds', 'until the rate allows the next');
SELECT is((SELECT sum((pg_temp.claimed(:'t0'::timestamptz + i * interval '50 milliseconds') ->> 'Slow')::integer) FROM generate_series(1, 40) AS i), 4::bigint,
    'in two seconds a rate of two allows four more');
SELECT is((SELECT count(*) FROM postback.deliveries AS w JOIN postback.destinations AS d USING (destination_id) WHERE d.name = 'Fast' AND w.attempts > 0), 110::bigint,
    'and one of a hundred as many as may be under way');

-- A destination that is off keeps nobody waiting.
SELECT postback.disable_destination('Fast'), postback.disable_destination('Slow') \g /dev/null
SELECT is(postback.next_delivery_at(:'t0'), NULL, 'what is disabled is never due');
SELECT is(pg_temp.claimed(:'t0'::timestamptz + interval '1 hour'), '{}', 'nor claimed');

SELECT * FROM finish();
