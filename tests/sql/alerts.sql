-- Alerts: what is out of the usual is one incident with a beginning and an end, told once each.
SELECT no_plan();
\set now '''2026-03-10 12:30+00'''
SELECT postback.add_network('net') \g /dev/null
SELECT postback.add_offer('Offer', 'https://n.example.com/?click_id={click_id}', offer_id => 1, network => 'net', payout => 5) \g /dev/null
-- A week of usual hours: 600 human clicks an hour, each twentieth converts within minutes; of 40 messages two are refused.
CREATE FUNCTION pg_temp.hour(first timestamptz, prefix text, each integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postback.clicks (click_id, bucket, clicked_at, offer_id, visitor)
    SELECT prefix || n, postback.click_id_bucket(prefix || n), first + n * interval '6 seconds', 1, 'human' FROM generate_series(0, 599) AS n;
    INSERT INTO postback.conversions (transaction_id, click_id, clicked_at, offer_id, network_id, payout, converted_at, received_at)
    SELECT prefix || n, prefix || n, first + n * interval '6 seconds', 1, (SELECT network_id FROM postback.networks WHERE slug = 'net'), 5,
        first + n * interval '6 seconds' + interval '2 minutes', first + n * interval '6 seconds' + interval '2 minutes'
    FROM generate_series(0, 599) AS n WHERE each > 0 AND n % each = 0;
END
$$;
CREATE FUNCTION pg_temp.messages(first timestamptz, verdict postback.verdict, number integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, checks, verdict)
    SELECT postback.mint_click_id(NULL, first + n * interval '1 second'), first + n * interval '1 second', (SELECT network_id FROM postback.networks WHERE slug = 'net'), 'GET', '{}', verdict
    FROM generate_series(1, number) AS n
$$;
SELECT pg_temp.hour(timestamptz '2026-03-10 10:00+00' - d * interval '1 day' + h * interval '1 hour', format('u%s-%s-', d, h), 20),
    pg_temp.messages(timestamptz '2026-03-10 10:00+00' - d * interval '1 day' + h * interval '1 hour', 'accepted', 38),
    pg_temp.messages(timestamptz '2026-03-10 10:30+00' - d * interval '1 day' + h * interval '1 hour', 'unauthenticated', 2)
FROM generate_series(1, 7) AS d, generate_series(0, 2) AS h \g /dev/null
SELECT _postback.refresh_rollups(:now) \g /dev/null
SELECT is_empty(format('SELECT * FROM postback.check_alerts(%L)', :now), 'nothing is wrong where nothing happens');

-- A usual hour.
SELECT pg_temp.hour('2026-03-10 10:30+00', 'now-', 20), pg_temp.messages('2026-03-10 12:05+00', 'accepted', 38), pg_temp.messages('2026-03-10 12:15+00', 'unauthenticated', 2) \g /dev/null
SELECT is_empty(format('SELECT * FROM postback.check_alerts(%L)', :now), 'nor in a usual hour');

-- Nobody converts any more, and messages are refused.
DELETE FROM postback.clicks WHERE click_id LIKE 'now-%';
SELECT pg_temp.hour('2026-03-10 10:30+00', 'less-', 100) \g /dev/null
CREATE TEMP TABLE shown AS SELECT f.* FROM postback.alert_rules AS r, _postback.findings(r.name, :now) AS f WHERE r.name = 'conversion_rate_drop';
SELECT is_empty('SELECT * FROM shown', 'some more conversions than the hour before are no drop');
UPDATE postback.conversions SET status = 'rejected' WHERE click_id LIKE 'now-%' OR click_id LIKE 'less-%';
SELECT pg_temp.messages('2026-03-10 12:20+00', 'unauthenticated', 40) \g /dev/null
LISTEN postback_alerts;
SELECT postback.allow_deliveries_to('127.0.0.0/8', 'the test'),
    postback.add_destination('ops', 'https://ops.example.com/{status}/{alert}', events => '{alert}', method => 'POST',
        body_template => '{"text": "{message}", "about": "{subject}", "id": {alert_id}, "severity": "{severity}"}') \g /dev/null
SELECT results_eq(format('SELECT * FROM postback.check_alerts(%L)', :now),
    $$ VALUES ('conversion_rate_drop', 'offer 1', 'raised'), ('refused_postbacks', 'network net', 'raised') $$, 'a drop and a rise are alerts');
SELECT is_empty(format('SELECT * FROM postback.check_alerts(%L)', :now), 'which are raised once');
SELECT results_eq('SELECT kind, severity, message, evidence ->> ''value'', evidence ->> ''usual'', raised_at, last_seen_at, resolved_at FROM postback.alerts ORDER BY kind',
    format($$ VALUES ('conversion_rate_drop', 'critical', 'conversion rate of offer 1 is 0, usually 0.05', '0.000000', '0.050000', %1$L::timestamptz, %1$L::timestamptz, NULL::timestamptz),
        ('refused_postbacks', 'critical', 'refused share of network net is 0.525, usually 0.05', '0.525000', '0.050000', %1$L, %1$L, NULL) $$, :now), 'with the numbers');
SELECT is((SELECT count(*) FROM postback.deliveries WHERE alert_id IS NOT NULL), 2::bigint, 'each is told to the destination');
SELECT results_eq($$ SELECT url, body::jsonb - 'id' FROM postback.claim_deliveries(now => clock_timestamp() + interval '1 day') ORDER BY url $$,
    $$ VALUES ('https://ops.example.com/raised/conversion_rate_drop', '{"text": "conversion rate of offer 1 is 0, usually 0.05", "about": "offer 1", "severity": "critical"}'::jsonb),
        ('https://ops.example.com/raised/refused_postbacks', '{"text": "refused share of network net is 0.525, usually 0.05", "about": "network net", "severity": "critical"}') $$, 'with its macros');
INSERT INTO postback.conversions (transaction_id, event, payout) VALUES ('x', 'alert', 5);
SELECT is((SELECT count(*) FROM postback.deliveries WHERE conversion_id IS NOT NULL), 0::bigint, 'a conversion that calls its event alert is not told there');

-- Still so, then over.
SELECT is_empty($$ SELECT * FROM postback.check_alerts('2026-03-10 12:35+00') $$, 'an incident that lasts is not raised again');
SELECT is((SELECT max(last_seen_at) FROM postback.alerts), '2026-03-10 12:35+00'::timestamptz, 'but seen again');
SELECT pg_temp.messages('2026-03-10 12:36+00', 'accepted', 900) \g /dev/null
SELECT is_empty($$ SELECT * FROM postback.check_alerts('2026-03-10 12:44+00') WHERE alert = 'refused_postbacks' $$, 'once right is not yet over');
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-10 12:56+00') WHERE alert = 'refused_postbacks' $$,
    $$ VALUES ('refused_postbacks', 'network net', 'resolved') $$, 'ten minutes without it are');
SELECT is(resolved_at, '2026-03-10 12:56+00'::timestamptz, 'its end is kept') FROM postback.alerts WHERE kind = 'refused_postbacks';
UPDATE postback.alert_rules SET enabled = false WHERE name = 'conversion_rate_drop';
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-10 12:56+00') $$, $$ VALUES ('conversion_rate_drop', 'offer 1', 'resolved') $$, 'a rule that is off ends its alerts');
SELECT is((SELECT count(*) FROM postback.deliveries WHERE alert_id IS NOT NULL AND event_seq = 2), 2::bigint, 'the ends are told too');
SELECT is((SELECT count(*) FROM postback.alerts WHERE resolved_at IS NULL), 0::bigint, 'nothing is open');

-- The other metrics.
SELECT postback.report_spool('127.0.0.1:8080', 5000, 1500000, '2026-03-11 09:00+00', '2026-03-11 10:00+00') \g /dev/null
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-11 10:00+00') $$, $$ VALUES ('spool_fills', 'proxy 127.0.0.1:8080', 'raised') $$, 'a spool that fills');
SELECT postback.report_spool('127.0.0.1:8080', 0, 0, NULL, '2026-03-11 10:20+00') \g /dev/null
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-11 10:20+00') $$, $$ VALUES ('spool_fills', 'proxy 127.0.0.1:8080', 'resolved') $$, 'and is drained');
INSERT INTO postback.report_imports (network_id, format, columns, time_zone, first_day, last_day, row_count, bad_row_count, content_hash, imported_at, imported_by, reconciled_at, unexplained_share)
SELECT network_id, 'generic', '{}', 'UTC', '2026-03-10', '2026-03-11', 100, 0, 'one', '2026-03-12 09:00+00', 'me', '2026-03-12 09:00+00', 0.05 FROM postback.networks WHERE slug = 'net';
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-12 10:00+00') $$, $$ VALUES ('report_discrepancies', 'network net', 'raised') $$, 'a report that does not agree');
INSERT INTO postback.report_imports (network_id, format, columns, time_zone, first_day, last_day, row_count, bad_row_count, content_hash, imported_at, imported_by, reconciled_at, unexplained_share)
SELECT network_id, 'generic', '{}', 'UTC', '2026-03-11', '2026-03-12', 100, 0, 'two', '2026-03-13 09:00+00', 'me', '2026-03-13 09:00+00', 0.01 FROM postback.networks WHERE slug = 'net';
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-13 10:00+00') $$, $$ VALUES ('report_discrepancies', 'network net', 'resolved') $$, 'and the next one, which does');
INSERT INTO postback.flags (rule, subject_kind, subject, severity, action, first_at, last_at, opened_at, updated_at, evidence)
SELECT 'click_flood', 'conversion', n::text, 'low', 'flag', t.at, t.at, t.at, t.at, '{}' FROM generate_series(1, 25) AS n, (VALUES ('2026-03-14 09:30+00'::timestamptz)) AS t (at);
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-14 10:00+00') $$, $$ VALUES ('fraud_flags_rise', 'fraud rule click_flood', 'raised') $$, 'many flags at once');
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-14 12:00+00') $$, $$ VALUES ('fraud_flags_rise', 'fraud rule click_flood', 'resolved') $$, 'and their end');
INSERT INTO postback.conversions (transaction_id, offer_id, network_id, payout, converted_at)
SELECT 'p' || n, 1, 1, 1, '2026-03-10 14:00+00'::timestamptz + n * interval '1 minute' FROM generate_series(1, 20) AS n;
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-10 14:30+00') WHERE alert = 'payout_changed' $$, $$ VALUES ('payout_changed', 'offer 1 in USD', 'raised') $$, 'another payout than usual');
SELECT pg_temp.messages('2026-03-10 14:00+00', 'unmatched', 20) \g /dev/null
SELECT results_eq($$ SELECT alert, status FROM postback.check_alerts('2026-03-10 14:30+00') WHERE alert = 'unmatched_postbacks' $$,
    $$ VALUES ('unmatched_postbacks', 'raised') $$, 'where there are no usual hours, unmatched messages are unusual');
SELECT results_eq($$ SELECT alert, status FROM postback.check_alerts('2026-03-10 16:00+00') WHERE alert = 'unmatched_postbacks' $$,
    $$ VALUES ('unmatched_postbacks', 'resolved') $$, 'until they are over');
SELECT postback.add_network('fresh') \g /dev/null
INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, checks, verdict)
SELECT postback.mint_click_id(NULL, at), at, (SELECT network_id FROM postback.networks WHERE slug = 'fresh'), 'GET', '{}', 'unauthenticated'
FROM generate_series(timestamptz '2026-03-10 16:30+00', '2026-03-10 16:38+00', '1 minute') AS at;
SELECT is_empty($$ SELECT * FROM postback.check_alerts('2026-03-10 16:40+00') WHERE subject = 'network fresh' $$, 'nine refused messages of a new network may be a rehearsal');
INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, checks, verdict)
SELECT postback.mint_click_id(NULL, '2026-03-10 16:39+00'), '2026-03-10 16:39+00', (SELECT network_id FROM postback.networks WHERE slug = 'fresh'), 'GET', '{}', 'unauthenticated';
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-10 16:40+00') WHERE subject = 'network fresh' $$,
    $$ VALUES ('refused_postbacks', 'network fresh', 'raised') $$, 'ten are an alert from its first hour on');
SELECT pg_temp.messages('2026-03-11 11:30+00', 'accepted', 30), pg_temp.messages('2026-03-11 11:40+00', 'unmatched', 20), pg_temp.hour('2026-03-11 10:00+00', 'rise-', 4) \g /dev/null
SELECT results_eq($$ SELECT * FROM postback.check_alerts('2026-03-11 12:00+00') WHERE alert IN ('unmatched_postbacks', 'conversion_rate_rise') $$, $$ VALUES
    ('conversion_rate_rise', 'offer 1', 'raised'), ('unmatched_postbacks', 'network net', 'raised') $$, 'four times as many convert, and two in five messages know no click');
SELECT throws_ok($$ UPDATE postback.alert_rules SET metric = 'moods' $$, '23514', NULL, 'a metric that is none');
SELECT throws_ok($$ UPDATE postback.alert_rules SET relative = true, baseline_days = 0 $$, '23514', NULL, 'a share of nothing');
SELECT is((SELECT done FROM postback.maintain() WHERE task = 'alerts_changed') IS NOT NULL, true, 'maintain() checks the rules');
SELECT * FROM finish();
