-- The ledger of a conversion sums to its payout and ends in its status, and nobody rewrites it unseen.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1) AS offer_id \gset
SELECT postback.record_click(offer_id => 1, campaign_id => 456, click_id => id, now => '2026-03-10 12:00+00') FROM unnest('{c1,c2,c3}'::text[]) AS id \g /dev/null
CREATE FUNCTION pg_temp.ledger_of(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', e.seq, e.cause, e.asserted_status, e.status, e.payout_delta), '; ' ORDER BY e.seq)
    FROM postback.ledger AS e JOIN postback.conversions AS c USING (conversion_id) WHERE c.transaction_id = transaction
$$;
CREATE FUNCTION pg_temp.state(transaction text) RETURNS text LANGUAGE sql AS
    'SELECT status || '' '' || payout FROM postback.conversions WHERE transaction_id = transaction';

-- A direct INSERT takes from its click what it leaves out, and begins a ledger.
INSERT INTO postback.conversions (transaction_id, click_id, payout, status) VALUES ('d1', 'c1', 10, 'pending');
SELECT is(
    (SELECT concat_ws(' ', campaign_id, offer_id, clicked_at AT TIME ZONE 'UTC', c.currency, slug, ledger_seq, dedupe_key)
     FROM postback.conversions AS c JOIN postback.networks AS n USING (network_id) WHERE transaction_id = 'd1'),
    '456 1 2026-03-10 12:00:00 USD default 1 transaction_id=d1&event=', 'a direct INSERT is filled from its click');
SELECT throws_ok($$ INSERT INTO postback.conversions (transaction_id, click_id, payout, status) VALUES ('d1', 'c1', 10, 'approved') $$, '23505', NULL,
    'the same transaction inserted twice is refused');
SELECT is(
    (SELECT verdict::text FROM postback.receive_postback('default', 'click_id=c1&payout=10&status=approved&transaction_id=d1')), 'updated',
    'a postback about it finds it');
INSERT INTO postback.conversions (click_id, payout) VALUES ('c2', 3), ('unknown', 4);
INSERT INTO postback.conversions (subscriber_id, payout) VALUES (1001, 5), (1001, 5);
INSERT INTO postback.conversions (transaction_id, payout, status) VALUES ('d2', 10, 'rejected');
SELECT is((SELECT count(*) FROM postback.conversions), 6::bigint, 'click, subscriber and transaction may each be missing');
SELECT is(pg_temp.state('d2'), 'rejected 0', 'a rejected conversion pays nothing');
SELECT throws_ok(format('INSERT INTO postback.conversions (transaction_id, payout) VALUES (''bad'', %L)', amount), '23514', NULL, 'a payout of ' || amount || ' is refused')
FROM unnest('{-1,NaN,Infinity,1e15}'::text[]) AS amount;

-- A direct UPDATE is checked and written down.
SELECT is(pg_temp.ledger_of('d1'), '1 insert pending pending 10; 2 postback approved approved 0', 'before');
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'd1';
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'd1';
UPDATE postback.conversions SET payout = 12.5 WHERE transaction_id = 'd1';
UPDATE postback.conversions SET status = 'reversed', payout = 0 WHERE transaction_id = 'd1';
SELECT is(
    pg_temp.ledger_of('d1'),
    '1 insert pending pending 10; 2 postback approved approved 0; 3 update reversed reversed -10; 4 update approved approved 10; '
    '5 update approved approved 2.5; 6 update reversed reversed -12.5', 'a reversal takes back what was given, a re-approval pays it again');
UPDATE postback.conversions SET raw_status = 'noted', subscriber_id = 7 WHERE transaction_id = 'd1';
UPDATE postback.conversions SET status = status, payout = payout WHERE transaction_id = 'd1';
SELECT is((SELECT ledger_seq FROM postback.conversions WHERE transaction_id = 'd1'), 6, 'what moves nothing is not written down');

CREATE TEMP TABLE moves AS
SELECT f, t FROM unnest(enum_range(NULL::postback.conversion_status)) AS f, unnest(enum_range(NULL::postback.conversion_status)) AS t WHERE f <> t;
INSERT INTO postback.conversions (transaction_id, status, payout) SELECT f || '>' || t, f, 1 FROM moves;
SELECT lives_ok(format('UPDATE postback.conversions SET status = %L WHERE transaction_id = %L', t, f || '>' || t), f || ' may become ' || t)
FROM moves WHERE f || '>' || t IN ('pending>approved', 'pending>rejected', 'approved>reversed', 'approved>rejected', 'rejected>approved', 'reversed>approved') ORDER BY f, t;
SELECT throws_ok(format('UPDATE postback.conversions SET status = %L WHERE transaction_id = %L', t, f || '>' || t), 'PB201', NULL, f || ' may not become ' || t)
FROM moves WHERE f || '>' || t NOT IN ('pending>approved', 'pending>rejected', 'approved>reversed', 'approved>rejected', 'rejected>approved', 'reversed>approved') ORDER BY f, t;
INSERT INTO postback.status_transitions VALUES ('pending', 'reversed');
SELECT lives_ok($$ UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'pending>reversed' $$, 'the allowed moves are rows');

SELECT throws_ok('UPDATE postback.conversions SET ' || change || ' WHERE transaction_id = ''d1''', 'PB202', NULL, 'refused: SET ' || change)
FROM unnest(ARRAY['currency = ''EUR''', 'bucket = (bucket + 1) % 1024', 'conversion_id = ''x''', 'ledger_seq = 7', 'ledger_hash = ''\x00''',
    'ledger_seq = 7, payout = 3, status = ''approved''']) AS change;
SELECT is(pg_temp.state('d1'), 'reversed 0', 'and nothing changed');

-- The ledger itself.
SELECT throws_ok(statement, 'PB203', NULL, statement)
FROM unnest(ARRAY['UPDATE postback.conversion_events SET payout_delta = 0', 'DELETE FROM postback.conversion_events', 'TRUNCATE postback.conversion_events',
    'DELETE FROM postback.conversions', 'TRUNCATE postback.conversions',
    'UPDATE postback.conversion_events SET hash = hash WHERE false OR seq = 1']) AS statement;
SET session_replication_role = replica;
SELECT throws_ok('DELETE FROM postback.conversion_events', 'PB203', NULL, 'also for who switches ordinary triggers off');
RESET session_replication_role;
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'verify_ledger() finds nothing');
SELECT is_empty(
    $$ SELECT c.conversion_id FROM postback.conversions AS c JOIN postback.conversion_events AS e USING (conversion_id, bucket)
       GROUP BY c.conversion_id, c.payout HAVING sum(e.payout_delta) <> c.payout $$, 'every ledger sums to its payout');

-- A superuser who switches the triggers off is found.
CREATE FUNCTION pg_temp.found_after(tampering text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    problems text;
BEGIN
    ALTER TABLE postback.conversion_events DISABLE TRIGGER USER;
    ALTER TABLE postback.conversions DISABLE TRIGGER USER;
    EXECUTE tampering;
    SELECT string_agg(DISTINCT problem, '; ') INTO problems FROM postback.verify_ledger();
    RAISE EXCEPTION 'undone' USING ERRCODE = 'PB999', DETAIL = coalesce(problems, 'nothing');
EXCEPTION WHEN SQLSTATE 'PB999' THEN
    GET STACKED DIAGNOSTICS problems = PG_EXCEPTION_DETAIL;
    RETURN problems;
END
$$;
SELECT conversion_id AS victim FROM postback.conversions WHERE transaction_id = 'd1' \gset
SELECT alike(pg_temp.found_after(format(tampering, :'victim')), '%' || expected || '%', 'found: ' || tampering)
FROM (VALUES
    ('UPDATE postback.conversion_events SET asserted_payout = 11 WHERE conversion_id = %L AND seq = 2', 'the hash does not fit the row'),
    ('UPDATE postback.conversion_events SET payout_delta = payout_delta + 1 WHERE conversion_id = %L AND seq = 1', 'does not sum'),
    ('UPDATE postback.conversion_events SET actor = ''nobody'' WHERE conversion_id = %L AND seq = 2', 'the hash does not fit the row'),
    ('UPDATE postback.conversion_events SET recorded_at = recorded_at + interval ''1 us'' WHERE conversion_id = %L AND seq = 2', 'the hash does not fit the row'),
    ('DELETE FROM postback.conversion_events WHERE conversion_id = %L AND seq = 2', 'a row of the ledger is missing'),
    ('DELETE FROM postback.conversion_events WHERE conversion_id = %L AND seq = 6', 'does not end where the conversion says'),
    ('DELETE FROM postback.conversion_events WHERE conversion_id = %L', 'does not end where the conversion says'),
    ('UPDATE postback.conversions SET payout = 5, status = ''approved'' WHERE conversion_id = %L', 'does not end in the conversion''s status'),
    ('UPDATE postback.conversions SET ledger_seq = 5 WHERE conversion_id = %L', 'does not end where the conversion says'),
    ('UPDATE postback.conversions SET currency = ''JPY'' WHERE conversion_id = %L', 'is in another currency'),
    ('DELETE FROM postback.conversion_keys WHERE conversion_id = %L', 'its key is gone'),
    ('UPDATE postback.conversion_keys SET conversion_id = ''x'' WHERE conversion_id = %L', 'its key is gone'),
    ('UPDATE postback.conversions SET dedupe_key = ''x'' WHERE conversion_id = %L', 'its key is gone'),
    ('DELETE FROM postback.conversions WHERE conversion_id = %L', 'the conversion of this ledger is gone')) AS t (tampering, expected);
SELECT is(pg_temp.found_after('SELECT 1'), 'nothing', 'the same without tampering finds nothing');

-- Order of arrival does not matter: every permutation of the same events ends in the same state.
SELECT postback.record_click(offer_id => 1, campaign_id => 456, click_id => 'order', now => '2026-03-10 12:00+00') \g /dev/null
CREATE TEMP TABLE events (n integer, message text);
INSERT INTO events VALUES (1, 'payout=10&status=pending&timestamp=2026-03-10T13:00:00Z'), (2, 'payout=12&status=approved&timestamp=2026-03-10T14:00:00Z'),
    (3, 'payout=12&status=reversed&timestamp=2026-03-10T15:00:00Z'), (4, 'payout=11&status=approved&timestamp=2026-03-10T13:30:00Z'),
    (5, 'payout=12&status=reversed&timestamp=2026-03-10T13:45:00Z');
CREATE FUNCTION pg_temp.arrive(transaction text, event_order integer[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    place integer;
BEGIN
    FOREACH place IN ARRAY event_order LOOP
        PERFORM postback.receive_postback('default', (SELECT 'click_id=order&transaction_id=' || transaction || '&' || message FROM events AS e WHERE e.n = place),
            now => '2026-03-11 12:00+00');
    END LOOP;
    RETURN pg_temp.state(transaction);
END
$$;
SELECT is_empty(
    $$ SELECT a, b, c, s FROM generate_series(1, 3) AS a, generate_series(1, 3) AS b, generate_series(1, 3) AS c,
       LATERAL pg_temp.arrive(format('p%s%s%s', a, b, c), ARRAY[a, b, c]) AS s
       WHERE a <> b AND b <> c AND a <> c AND s <> 'reversed 0' $$, 'pending, approved, reversed: reversed, in all six orders');
SELECT is(
    (SELECT array_agg(DISTINCT pg_temp.arrive(format('q%s%s%s', a, b, c), ARRAY[a, b, c])) FROM unnest('{1,2,4}'::int[]) AS a, unnest('{1,2,4}'::int[]) AS b,
     unnest('{1,2,4}'::int[]) AS c WHERE a <> b AND b <> c AND a <> c), '{approved 12}', 'two approvals: the later one''s payout, in all six orders');
SELECT is(
    (SELECT array_agg(DISTINCT pg_temp.arrive(format('r%s%s%s%s', a, b, c, d), ARRAY[a, b, c, d])) FROM generate_series(1, 4) AS a, generate_series(1, 4) AS b,
     generate_series(1, 4) AS c, generate_series(1, 4) AS d WHERE a <> b AND a <> c AND a <> d AND b <> c AND b <> d AND c <> d), '{reversed 0}', 'all four, in all 24 orders');
SELECT is(
    (SELECT array_agg(DISTINCT pg_temp.arrive(format('s%s%s%s%s', a, b, c, d), ARRAY[a, b, c, d])) FROM unnest('{2,3,4,5}'::int[]) AS a, unnest('{2,3,4,5}'::int[]) AS b,
     unnest('{2,3,4,5}'::int[]) AS c, unnest('{2,3,4,5}'::int[]) AS d WHERE a <> b AND a <> c AND a <> d AND b <> c AND b <> d AND c <> d), '{reversed 0}',
    'approved and reversed twice, in all 24 orders');
SELECT is(pg_temp.arrive('repeat', '{1,2,3,2,1,3,2}'), 'reversed 0', 'exact repeats move nothing, however old');
SELECT is(
    pg_temp.ledger_of('repeat'), '1 postback pending pending 10; 2 postback approved approved 2; 3 postback reversed reversed -12', 'and are not written down again');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and after all this the ledger verifies');

SELECT * FROM finish();
