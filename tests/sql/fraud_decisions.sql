-- What becomes of flagged conversions: held, rejected, released; and who may see why.
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') \g /dev/null
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor, ip_address, user_agent)
SELECT 'c' || n, n, 1, 456, '2026-03-10 12:00+00', 'human', '192.0.2.77', 'Secret Phone' FROM generate_series(1, 9) AS n;
CREATE FUNCTION pg_temp.convert(transaction text, click text, at timestamptz, more text DEFAULT '', OUT verdict text) LANGUAGE sql AS $$
    SELECT r.verdict::text FROM postback.receive_postback('default', format('click_id=%s&transaction_id=%s&payout=10%s', click, transaction, more), now => at) AS r
$$;
CREATE FUNCTION pg_temp.state(transaction text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', c.status, c.payout) || CASE WHEN EXISTS (SELECT FROM _postback.held_conversions AS h WHERE (h.conversion_id, h.bucket) = (c.conversion_id, c.bucket)) THEN ' held' ELSE '' END
    FROM postback.conversions AS c WHERE c.transaction_id = transaction
$$;
CREATE FUNCTION pg_temp.flag(transaction text) RETURNS bigint LANGUAGE sql AS $$
    SELECT f.flag_id FROM postback.flags AS f JOIN postback.conversions AS c ON c.conversion_id = f.subject WHERE c.transaction_id = transaction
$$;

-- Hold.
UPDATE postback.fraud_rules SET action = 'hold' WHERE rule = 'fast_conversion';
SELECT is(pg_temp.convert('held', 'c1', '2026-03-10 12:00:01+00'), 'accepted', 'the network hears nothing of it');
SELECT is(pg_temp.state('held'), 'approved 10 held', 'a held conversion keeps its status');
SELECT is(postback.resolve_flag(pg_temp.flag('held'), 'release', now => '2026-03-10 13:00+00'), 0::bigint, 'released: nothing to move');
SELECT is(pg_temp.state('held'), 'approved 10', 'and not held any more');
SELECT set_eq($$SELECT status, decision, closed_at, closed_by FROM postback.flags$$, $$VALUES ('resolved', 'release', '2026-03-10 13:00+00'::timestamptz, session_user::text)$$, 'with time and actor');
SELECT is((SELECT sum(items) FROM postback.fraud_scan('2026-03-10 11:00+00', '2026-03-10 14:00+00')), 0::numeric, 'a scan does not flag it again');
SELECT is(postback.resolve_flag(pg_temp.flag('held'), 'reject', now => '2026-03-10 13:10+00'), 1::bigint, 'a decision may be changed');
SELECT is(pg_temp.state('held'), 'rejected 0 held', 'then it is rejected');
SELECT set_eq($$SELECT e.cause, e.status::text, e.payout_delta, e.actor FROM postback.conversion_events AS e JOIN postback.conversions AS c USING (conversion_id, bucket)
    WHERE c.transaction_id = 'held' AND e.seq = c.ledger_seq$$, $$VALUES ('fraud', 'rejected', -10::numeric, session_user::text)$$, 'in the ledger, with cause and actor');
SELECT is((SELECT what FROM postback.conversion_history('default', 'held') ORDER BY at DESC LIMIT 1), 'it was rejected as fraud', 'and in the history');
SELECT is((SELECT count(*) FROM postback.touches WHERE status = 'rejected' AND payout = 0), 1::bigint, 'its path follows');
SELECT is(postback.resolve_flag(pg_temp.flag('held'), 'reject', now => '2026-03-10 13:11+00'), 0::bigint, 'once');

-- Whatever its network says later.
SELECT is(pg_temp.convert('held', 'c1', '2026-03-10 14:00+00', '&status=pending'), 'illegal_transition', 'a message about it moves nothing');
SELECT is(pg_temp.convert('held', 'c1', '2026-03-10 14:01+00', '&status=approved&sale_amount=1'), 'duplicate', 'nor its repeat');
SELECT is((SELECT reason FROM postback.postbacks WHERE verdict = 'illegal_transition'), 'it was rejected as fraud and its flag is not released', 'and says why');
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=c1&transaction_id=held&payout=12', now => '2026-03-10 14:03+00')), 'illegal_transition', 'another payout waits too');
SELECT is(pg_temp.state('held'), 'rejected 0 held', 'it stays rejected');
SELECT is(postback.dismiss_flag(pg_temp.flag('held'), 'a bench', '2026-03-10 15:00+00'), 1::bigint, 'dismissed: what the messages say counts again');
SELECT is(pg_temp.state('held'), 'approved 12', 'with the payout of the latest');
SELECT is((SELECT status || ' ' || decision || ' ' || note FROM postback.flags), 'dismissed release a bench', 'and the flag says so');

-- Reject.
UPDATE postback.fraud_rules SET action = 'reject' WHERE rule = 'fast_conversion';
SELECT is(pg_temp.convert('thief', 'c2', '2026-03-10 12:00:01+00', '&status=pending'), 'accepted', 'a network may not learn that it was caught');
SELECT is(pg_temp.state('thief'), 'rejected 0 held', 'rejected with the event');
SELECT is(pg_temp.convert('thief', 'c2', '2026-03-10 16:00+00'), 'illegal_transition', 'its approval is recorded');
SELECT is(postback.resolve_flag(pg_temp.flag('thief'), 'release'), 1::bigint, 'released, it is');
SELECT is(pg_temp.state('thief'), 'approved 10', 'what its network said meanwhile');
SELECT is(pg_temp.convert('mine', 'c3', '2026-03-10 12:00:01+00'), 'accepted', 'another one');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'mine';
SELECT is((SELECT sum(items) FROM postback.fraud_scan('2026-03-10 11:00+00', '2026-03-10 14:00+00')), 0::numeric, 'a person''s own UPDATE stands against the next scan');
SELECT is(pg_temp.state('mine'), 'approved 10 held', 'and is held as long as the flag is open');
SELECT is(pg_temp.convert('mine', 'c3', clock_timestamp(), '&status=reversed'), 'updated', 'its messages count again');
SELECT is(pg_temp.convert('slow', 'c4', '2026-03-10 12:30+00'), 'accepted', 'a clean one');
SELECT is(pg_temp.state('slow'), 'approved 10', 'is none of it');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'the ledger verifies');

-- Two flags: the last one that lets go releases.
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES ('both', 'c5', 10, '2026-03-10 12:00:01+00');
UPDATE postback.fraud_rules SET action = 'reject';
SELECT postback.load_ip_ranges('cloud', '{192.0.2.64/26}'), (SELECT sum(items) FROM postback.fraud_scan('2026-03-10 11:00+00', '2026-03-10 14:00+00')) \g /dev/null
SELECT is(pg_temp.state('both'), 'rejected 0 held', 'rejected for two reasons');
SELECT is(postback.resolve_flag(pg_temp.flag('both'), 'release'), 0::bigint, 'released from one of them');
SELECT is(pg_temp.state('both'), 'rejected 0 held', 'it stays so');
SELECT ok(postback.dismiss_flag((SELECT flag_id FROM postback.flags WHERE rule = 'datacenter_click')) > 0, 'released from the other');
SELECT is(pg_temp.state('both'), 'approved 10', 'it pays');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'the ledger verifies');

-- A decision counts against what somebody did by hand before it.
UPDATE postback.fraud_rules SET action = 'reject';
SELECT is(pg_temp.convert('hand', 'c7', '2026-03-10 12:00:01+00'), 'accepted', 'one more');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'hand';
SELECT is(pg_temp.state('hand'), 'approved 10 held', 'approved by hand');
SELECT is(postback.resolve_flag(pg_temp.flag('hand'), 'reject'), 1::bigint, 'rejected again');
SELECT is(pg_temp.state('hand'), 'rejected 0 held', 'it is');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'hand';
SELECT is((SELECT sum(items) FROM postback.fraud_scan('2026-03-10 11:00+00', '2026-03-10 14:00+00')), 0::numeric, 'a scan is no decision');
SELECT is(pg_temp.state('hand'), 'approved 10 held', 'what was approved after it stands');

-- Who was judged once is held at least. A flag that grows is as strict as its rule.
UPDATE postback.fraud_rules SET action = 'flag';
SELECT postback.load_ip_ranges('other', '{198.51.100.0/24}') \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor, ip_address, user_agent)
SELECT 'd' || n, n, 1, 456, '2026-03-10 12:10+00', 'human', '198.51.100.7', 'Phone' FROM generate_series(1, 4) AS n;
CREATE FUNCTION pg_temp.late(n integer) RETURNS text LANGUAGE sql AS $$
    INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at)
    VALUES ('late' || n, 'd' || n, 10, timestamptz '2026-03-10 12:30+00' + n * interval '10 minutes');
    SELECT postback.fraud_scan('2026-03-10 12:00+00', '2026-03-10 14:00+00');
    SELECT pg_temp.state('late' || n)
$$;
CREATE FUNCTION pg_temp.range_flag() RETURNS bigint LANGUAGE sql AS $$
    SELECT max(f.flag_id) FROM postback.flags AS f WHERE f.rule = 'datacenter_click' AND f.subject = '198.51.100.0/24'
$$;
SELECT is(pg_temp.late(1), 'approved 10', 'flagged, and paid');
SELECT is(postback.resolve_flag(pg_temp.range_flag(), 'reject'), 1::bigint, 'somebody judges the range');
SELECT is(pg_temp.late(2), 'approved 10 held', 'its next conversion is held, though the rule only flags');
SELECT is(postback.resolve_flag(pg_temp.range_flag(), 'release'), 0::bigint, 'this one is fine');
SELECT is(pg_temp.late(3), 'approved 10', 'and so is the next');
UPDATE postback.fraud_rules SET action = 'reject';
SELECT is(pg_temp.late(4), 'rejected 0 held', 'the rule is stricter now');
SELECT is(pg_temp.state('late3'), 'rejected 0 held', 'for all that the open flag names');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'the ledger verifies');

SELECT throws_ok('SELECT postback.resolve_flag(1, ''burn'')', '22023', 'decision "burn" is not known', 'an unknown decision is refused');
SELECT throws_ok('SELECT postback.dismiss_flag(-1)', 'P0002', 'there is no flag -1', 'so is an unknown flag');

-- maintain() scans what came since, and not twice.
CREATE FUNCTION pg_temp.maintained(now timestamptz) RETURNS bigint LANGUAGE sql AS $$ SELECT sum(done)::bigint FROM postback.maintain(now) WHERE task LIKE 'fraud%' $$;
UPDATE _postback.fraud_state SET scanned_until = '2026-03-10 12:00+00';
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at) VALUES ('scanned', 'c6', 10, '2026-03-10 12:00:01+00');
SELECT is(pg_temp.maintained('2026-03-10 12:30+00'), 1::bigint, 'maintain() looks at the minutes since');
SELECT is(pg_temp.state('scanned'), 'rejected 0 held', 'and does what the rule says');
SELECT is(pg_temp.maintained('2026-03-10 13:02+00'), 0::bigint, 'once');
SELECT set_eq('SELECT scanned_until, array_agg(rule ORDER BY rule) FROM _postback.fraud_state GROUP BY 1', $$VALUES
    ('2026-03-10 13:02+00'::timestamptz, '{datacenter_click,fast_conversion,spoofed_postbacks,transaction_reuse}'::text[]),
    ('2026-03-10 13:00+00', '{address_fan_out,click_flood,conversion_rate,device_diversity,geo_anomaly,perfect_interval,reversal_rate}')$$, 'and knows how far, moments and hours');

-- A rule that fails: here because its flag cannot be written.
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON postback.flags FOR EACH ROW WHEN (NEW.rule = 'click_flood') EXECUTE FUNCTION public.refuse();
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor, ip_address, user_agent)
SELECT 'flood' || n, 99, 1, 456, '2026-03-10 13:10+00'::timestamptz + make_interval(secs => n * (1 + n % 3)), 'human', '192.0.2.200', 'Flooding Phone' FROM generate_series(1, 25) AS n;
CREATE FUNCTION pg_temp.reached(rule text) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(s.scanned_until AT TIME ZONE 'UTC', 'HH24:MI ') || s.failures FROM _postback.fraud_state AS s WHERE s.rule = reached.rule
$$;
CREATE FUNCTION pg_temp.alerted() RETURNS TABLE (status text, evidence jsonb) LANGUAGE sql AS $$
    SELECT CASE WHEN a.resolved_at IS NULL THEN 'open' ELSE 'over' END, a.evidence - 'since' - 'until' FROM postback.alerts AS a
    WHERE a.kind = 'fraud_rule_failed' AND a.subject = 'fraud rule click_flood'
$$;
SELECT postback.maintain('2026-03-10 14:01+00') \g /dev/null
SELECT is(pg_temp.reached('click_flood'), '13:00 1', 'stays where it is');
SELECT is(pg_temp.reached('perfect_interval') || ', ' || pg_temp.reached('datacenter_click'), '14:00 0, 14:01 0', 'while the others go on');
SELECT results_eq('SELECT * FROM pg_temp.alerted()', $$VALUES ('open', '{"sqlstate": "P0001", "failures": 1, "skipped": []}'::jsonb)$$, 'and is an alert');
SELECT postback.maintain('2026-03-10 14:01:59+00') \g /dev/null
SELECT is(pg_temp.reached('click_flood'), '13:00 1', 'it waits before it is tried again');
SELECT count(*) FROM unnest('{14:02,14:04,14:08,14:16}'::text[]) AS t, LATERAL postback.maintain(('2026-03-10 ' || t || '+00')::timestamptz) \g /dev/null
SELECT is(pg_temp.reached('click_flood'), '13:00 5', 'longer each time');
SELECT ok(NOT EXISTS (SELECT FROM postback.alerts WHERE kind = 'fraud_rule_failed' AND resolved_at IS NOT NULL), 'check_alerts() leaves the alert alone');
SELECT postback.maintain('2026-03-10 14:32+00') \g /dev/null
SELECT is(pg_temp.reached('click_flood'), '14:00 0', 'and then goes on behind the hour');
SELECT results_eq('SELECT * FROM pg_temp.alerted()', $$VALUES ('open', '{"sqlstate": "P0001", "failures": 6, "skipped": [{"since": "2026-03-10T13:00:00+00:00", "until": "2026-03-10T14:00:00+00:00"}]}'::jsonb)$$,
    'which the alert keeps');
SELECT postback.maintain('2026-03-10 15:01+00') \g /dev/null
SELECT results_eq('SELECT status, (SELECT reached FROM pg_temp.reached(''click_flood'')) FROM pg_temp.alerted()', $$VALUES ('over', '15:00 0')$$, 'and is over with the first hour that is done');
DROP TRIGGER refuse ON postback.flags;
SELECT is((SELECT items FROM postback.fraud_scan('2026-03-10 13:00+00', '2026-03-10 14:00+00') WHERE rule = 'click_flood'), 25::bigint, 'the hour may be done by hand');

-- One that takes too long.
CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON postback.flags FOR EACH ROW WHEN (NEW.rule = 'click_flood') EXECUTE FUNCTION public.refuse();
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor, ip_address, user_agent)
SELECT 'again' || n, 98, 1, 456, '2026-03-10 15:10+00'::timestamptz + make_interval(secs => n * (1 + n % 3)), 'human', '192.0.2.201', 'Flooding Phone' FROM generate_series(1, 25) AS n;
CREATE FUNCTION pg_temp.ended_with(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'success';
EXCEPTION WHEN query_canceled THEN
    RETURN SQLSTATE;
END
$$;
SET statement_timeout = '1s';
SELECT pg_temp.ended_with($$SELECT postback.maintain('2026-03-10 16:01+00', '{fraud_click_flood}')$$) AS alone \gset
SELECT pg_temp.ended_with($$SELECT postback.maintain('2026-03-10 16:05+00')$$) AS all_tasks \gset
RESET statement_timeout;
SELECT is(:'alone' || ' ' || pg_temp.reached('click_flood'), 'success 15:00 1', 'a rule in a statement of its own may fail by a timeout');
SELECT is((SELECT count(*) FROM postback.alerts WHERE kind = 'fraud_rule_failed' AND resolved_at IS NULL AND evidence ->> 'sqlstate' = '57014'), 1::bigint, 'which is an alert');
SELECT is(:'all_tasks', '57014'::text, 'all in one statement end with it');
DROP TRIGGER refuse ON postback.flags;

-- Analysts see flags, and no address or user agent.
BEGIN;
CREATE ROLE fraud_analyst;
CREATE ROLE fraud_admin;
SELECT postback.grant_role('fraud_analyst', 'analyst'), postback.grant_role('fraud_admin', 'admin') \g /dev/null
SELECT count(*) > 0 AS seen, bool_or(f::text LIKE '%192.0.2.%' OR f::text LIKE '%Secret Phone%') AS leaks FROM postback.flags AS f \gset
SET LOCAL ROLE fraud_analyst;
SELECT count(*) > 0 AS analyst_sees, bool_or(f::text LIKE '%192.0.2.%' OR f::text LIKE '%Secret Phone%') AS analyst_leaks FROM postback.flag_log AS f \gset
SELECT count(*) AS analyst_conversions FROM postback.flagged_conversions \gset
RESET ROLE;
SELECT has_table_privilege('fraud_analyst', 'postback.flags', 'SELECT') OR has_table_privilege('fraud_analyst', 'postback.ip_ranges', 'SELECT')
    OR has_function_privilege('fraud_analyst', 'postback.dismiss_flag(bigint, text, timestamptz)', 'EXECUTE') AS analyst_may \gset
SET LOCAL ROLE fraud_admin;
UPDATE postback.fraud_rules SET parameters = '{"seconds": 5}', action = 'hold' WHERE rule = 'fast_conversion';
SELECT count(*) AS admin_sees FROM postback.flags \gset
SELECT postback.dismiss_flag(max(flag_id)) FROM postback.flags \g /dev/null
ROLLBACK;
SELECT is(:'seen' || :'leaks', 'tt'::text, 'the table has addresses');
SELECT is(:'analyst_sees' || :'analyst_leaks', 'tf', 'what analysts see has none');
SELECT ok(:analyst_conversions > 0 AND :admin_sees > 0, 'analysts see the conversions, admins the flags');
SELECT is(:'analyst_may'::boolean, false, 'analysts may not read the table or the ranges, nor decide');
SELECT * FROM finish();
