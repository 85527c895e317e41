-- The views that answer by name, comparison of periods, significance, rotation of offers, and reclassification; counted by hand.
SELECT no_plan();
\set phone 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
SELECT postback.add_offer('Offer ' || n, 'https://network.example.com/{click_id}', offer_id => n) FROM generate_series(1, 3) AS n \g /dev/null
INSERT INTO postback.campaigns (campaign_id, name) VALUES (1, 'Spring');
INSERT INTO postback.segments (segment_id, name) VALUES (10, 'New');
INSERT INTO postback.variants (variant_id, name) VALUES (100, 'Short'), (200, 'Long');
-- A thousand messages of each variant: 40 and 60 conversions of 2.00.
INSERT INTO postback.sends (send_id, campaign_id, segment_id, variant_id, offer_id, base_url, sent_at, messages, cost_per_message)
VALUES (1, 1, 10, 100, 1, 'https://s.example.com', '2026-03-09 10:00+00', 1000, 0.01), (2, 1, 10, 200, 2, 'https://s.example.com', '2026-03-10 10:00+00', 1000, 0.01);
INSERT INTO postback.clicks (click_id, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id, clicked_at, user_agent)
SELECT format('c%s-%s', s.send_id, n), s.send_id, 1, 10, s.variant_id, s.offer_id, n, s.sent_at + n * interval '1 minute', :'phone'
FROM postback.sends AS s, generate_series(1, 100) AS n;
INSERT INTO postback.conversions (click_id, transaction_id, payout, converted_at)
SELECT k.click_id, 't' || k.click_id, 2, k.clicked_at + CASE WHEN k.subscriber_id <= 30 THEN interval '30 seconds' ELSE interval '2 hours' END
FROM postback.clicks AS k WHERE k.subscriber_id <= CASE k.send_id WHEN 1 THEN 40 ELSE 60 END;

SELECT results_eq('SELECT campaign_id, campaign, currency, messages, unique_clicks, approved, revenue, cost, profit, rpm FROM postback.campaign_performance',
    $$ VALUES (1::bigint, 'Spring', 'USD', 2000::bigint, 200::bigint, 100::bigint, 200::numeric, 20::numeric, 180::numeric, 0.1) $$, 'campaign_performance');
SELECT results_eq('SELECT segment_id, segment, messages, ctr, cvr, epc FROM postback.segment_performance', $$ VALUES (10::bigint, 'New', 2000::bigint, 0.1, 0.5, 1::numeric) $$, 'segment_performance');
SELECT results_eq('SELECT offer_id, offer, approved, median_to_conversion FROM postback.offer_performance ORDER BY 1',
    $$ VALUES (1::bigint, 'Offer 1', 40::bigint, interval '30 seconds'), (2, 'Offer 2', 60, '30 seconds') $$, 'offer_performance');
SELECT results_eq('SELECT send_id, sent_at, variant_id, profit FROM postback.send_performance ORDER BY 1',
    $$ VALUES (1::bigint, '2026-03-09 10:00+00'::timestamptz, 100::bigint, 70::numeric), (2, '2026-03-10 10:00+00', 200, 110) $$, 'send_performance');

-- z = 0.02 / sqrt(0.05 * 0.95 * 0.002) = 2.0520, which happens by chance in 4.02 of 100 cases.
SELECT results_eq('SELECT variant_id, variant, approved_per_message, control_variant_id, lift, z, round(p_value, 4) FROM postback.variant_performance ORDER BY 1',
    $$ VALUES (100::bigint, 'Short', 0.04, 100::bigint, NULL::numeric, NULL::numeric, NULL::numeric), (200, 'Long', 0.06, 100, 0.5, 2.0520, 0.0402) $$, 'variant_performance');
SELECT ok(abs(_postback.normal_cdf(z) - p) < 1e-7, format('the normal distribution at %s', z))
FROM (VALUES (0::float8, 0.5::float8), (1.959963985, 0.975), (-1.959963985, 0.025), (-3, 0.0013498980), (50, 1), (-50, 0)) AS v (z, p);

SELECT results_eq('SELECT offer_id, latency_from, latency_until, conversions, share, share_so_far FROM postback.conversion_latency ORDER BY 1, 2',
    $$ VALUES (1::bigint, interval '0', interval '1 minute', 30::bigint, 0.75, 0.75), (1, '1 hour', '3 hours', 10, 0.25, 1), (2, '0', '1 minute', 30, 0.5, 0.5), (2, '1 hour', '3 hours', 30, 0.5, 1) $$,
    'conversion_latency');
SELECT is_empty('SELECT * FROM postback.postback_delay', 'postback_delay: nobody told a time');
SELECT r.verdict FROM generate_series(1, 3) AS n, LATERAL postback.receive_postback('default', format('click_id=c1-%s&event=delayed&payout=0&status=pending&timestamp=2026-03-09T12:00:00Z', n),
    now => '2026-03-09 12:00+00'::timestamptz + n * interval '10 seconds') AS r \g /dev/null
SELECT results_eq('SELECT * FROM postback.postback_delay', $$ VALUES ('default', 3::bigint, interval '20 seconds', interval '30 seconds', interval '30 seconds') $$, 'postback_delay');
SELECT postback.maintain() \g /dev/null
SELECT results_eq('SELECT cohort, subscribers, converted, approved, revenue, value_per_subscriber FROM postback.subscriber_cohorts WHERE months_since = 0',
    $$ VALUES ('2026-03-01'::date, 100::bigint, 60::bigint, 100::bigint, 200::numeric, 2::numeric) $$, 'subscriber_cohorts');

-- Two days side by side; the messages of each had their clicks on the same day.
SELECT results_eq(
    $$ SELECT offer_id, measure, value, before, change FROM postback.compare_performance('{offer}', '2026-03-10 00:00+00', '2026-03-11 00:00+00')
       WHERE measure IN ('messages', 'revenue', 'cvr') AND currency = 'USD' $$,
    $$ VALUES (1::bigint, 'messages', NULL::numeric, 1000::numeric, NULL::numeric), (1, 'revenue', NULL, 80, NULL), (1, 'cvr', NULL, 0.4, NULL),
        (2, 'messages', 1000, NULL, NULL), (2, 'revenue', 120, NULL, NULL), (2, 'cvr', 0.6, NULL, NULL) $$, 'compare_performance');
SELECT results_eq(
    $$ SELECT day, measure, value, before, change FROM postback.compare_performance('{day}', '2026-03-10 00:00+00', '2026-03-11 00:00+00') WHERE measure IN ('approved', 'profit') $$,
    $$ VALUES ('2026-03-10'::date, 'approved', 60::numeric, 40::numeric, 0.5), ('2026-03-10', 'profit', 110, 70, 0.571429) $$, 'a day beside the day before');
SELECT results_eq(
    $$ SELECT measure, value, before, change FROM postback.compare_performance('{}', '2026-03-10 00:00+00', '2026-03-11 00:00+00', before_since => '2026-03-01 00:00+00') WHERE measure = 'messages' $$,
    $$ VALUES ('messages', 1000::numeric, 1000::numeric, 0::numeric) $$, 'or beside a period of one''s choice');
SELECT is((SELECT min(day) FROM postback.compare_performance('{day}', '2026-03-09 04:00+00', '2026-03-10 04:00+00', 'America/New_York', before_since => '2026-03-08 05:00+00')), '2026-03-09'::date,
    'where the clocks change, too');
SELECT throws_ok(statement, '22023', NULL, statement)
FROM unnest(ARRAY['SELECT postback.compare_performance(''{week}'', ''2026-03-09 00:00+00'', ''2026-03-16 00:00+00'')', 'SELECT postback.compare_performance(''{}'', ''-infinity'', ''2026-03-16 00:00+00'')',
    'SELECT postback.compare_performance(''{}'', ''2026-03-09'', ''2026-03-16'', before_since => ''-infinity'')',
    'SELECT postback.compare_performance(''{}'', ''2026-03-09'', ''2026-03-16'', before_since => ''2026-03-09'')']) AS statement;

-- Offer 2 earns more a click, nobody knows offer 3.
SELECT is((SELECT array_agg(offer_id) FROM postback.next_offer('USD', since => '2026-03-01 00:00+00')), '{2,3,1}'::bigint[], 'next_offer: the better one first, the unknown one before the worse');
SELECT is((SELECT sum(weight) FROM postback.next_offer('USD', since => '2026-03-01 00:00+00')), 1.000000, 'weights sum to 1');
SELECT results_eq(
    $$ SELECT offer_id, human_clicks, approved, epc, expected_epc FROM postback.next_offer('USD', since => '2026-03-01 00:00+00') ORDER BY 1 $$,
    $$ VALUES (1::bigint, 100::bigint, 40::bigint, 0.8, 0.9), (2, 100, 60, 1.2, 1.1), (3, 0, 0, NULL, 1.0) $$, 'beliefs lie between what was seen and what all have in common');
-- Two Normals: the one with mean 1.1 is above the one with mean 0.9, both of variance 1 / 200, with probability Phi(0.2 / sqrt(2 / 200)) = Phi(2).
SELECT ok(abs(weight - 0.97725) < 0.00001, 'the weight is the probability to be best') FROM postback.next_offer('USD', offer_ids => '{1,2}', since => '2026-03-01 00:00+00') LIMIT 1;
SELECT is((SELECT array_agg(DISTINCT weight) FROM postback.next_offer('EUR')), '{0.333333}'::numeric[], 'where nothing is known all are the same');
SELECT throws_ok(statement, '22023', NULL, statement)
FROM unnest(ARRAY['SELECT postback.next_offer(NULL)', 'SELECT postback.next_offer(''EURO'')', 'SELECT postback.performance(in_currency => '' usd'')']) AS statement;
SELECT results_eq($$ SELECT offer_id, weight FROM postback.next_offer('USD', since => NULL, until => NULL) $$, $$ SELECT offer_id, weight FROM postback.next_offer('USD', since => '-infinity') $$,
    'a NULL period takes all');
BEGIN;
SELECT postback.add_offer('Unknown ' || n, 'https://network.example.com/{click_id}') FROM generate_series(1, 40) AS n \g /dev/null
SELECT ok((SELECT abs(sum(weight) - 1) < 0.001 AND min(weight) >= 0 FROM postback.next_offer('USD', since => '2026-03-01 00:00+00')), 'of more than forty offers');
-- Offer 1 has two thousand clicks that earned a cent: nobody would take it for the best.
INSERT INTO postback.clicks (click_id, offer_id, campaign_id, clicked_at, visitor)
SELECT format('many-%s-%s', o, n), o, 1, '2026-03-10 10:00+00', 'human' FROM generate_series(1, 2) AS o, generate_series(1, 5000) AS n;
INSERT INTO postback.conversions (transaction_id, click_id, payout, status, converted_at)
SELECT format('many-%s-%s', o, n), format('many-%s-%s', o, n), CASE o WHEN 1 THEN 0.01 ELSE 20 END, 'approved', '2026-03-10 12:00+00'
FROM generate_series(1, 2) AS o, generate_series(1, 5000) AS n WHERE n % 5 = 0;
SELECT is((SELECT weight FROM postback.next_offer('USD', offer_ids => '{1,2}', since => '2026-03-01 00:00+00') WHERE offer_id = 1), 0::numeric, 'a clear loser has no weight');
ROLLBACK;

-- An A/B test whose control sold nothing, and one whose control sold in another currency only.
BEGIN;
INSERT INTO postback.sends (send_id, campaign_id, variant_id, offer_id, base_url, sent_at, messages)
SELECT 900 + v, 900, 900 + v, 1, 'https://s.example.com', '2026-03-10 08:00+00', 1000 FROM generate_series(1, 3) AS v;
INSERT INTO postback.clicks (click_id, subscriber_id, send_id, offer_id, campaign_id, variant_id, clicked_at, visitor)
SELECT format('ab-%s-%s', v, n), 1000 * v + n, 900 + v, 1, 900, 900 + v, '2026-03-10 10:00+00', 'human' FROM generate_series(1, 3) AS v, generate_series(1, 100) AS n;
INSERT INTO postback.conversions (transaction_id, click_id, payout, status, converted_at)
SELECT format('ab-%s-%s', v, n), format('ab-%s-%s', v, n), 10, 'approved', '2026-03-10 11:00+00' FROM generate_series(2, 3) AS v, generate_series(1, 100) AS n WHERE n % (5 - v) = 0;
SELECT results_eq('SELECT variant_id, currency, approved, rpm, control_variant_id, z FROM postback.compare_variants() WHERE campaign_id = 900',
    $$ VALUES (901::bigint, 'USD', 0::bigint, 0.000000, 901::bigint, NULL::numeric), (902, 'USD', 33, 0.33, 901, 5.7925), (903, 'USD', 50, 0.5, 901, 7.1611) $$,
    'the control may have sold nothing');
UPDATE postback.conversions SET payout = 11 WHERE transaction_id = 'ab-3-2';
INSERT INTO postback.conversions (transaction_id, click_id, payout, currency, status, converted_at) VALUES ('ab-eur', 'ab-1-1', 5, 'EUR', 'approved', '2026-03-10 11:00+00');
SELECT results_eq('SELECT variant_id, currency, approved, control_variant_id FROM postback.compare_variants() WHERE campaign_id = 900',
    $$ VALUES (901::bigint, 'EUR', 1::bigint, 901::bigint), (902, 'EUR', 0, 901), (903, 'EUR', 0, 901), (901, 'USD', 0, 901), (902, 'USD', 33, 901), (903, 'USD', 50, 901) $$,
    'or sold in another currency only');
ROLLBACK;

-- A month in which nobody bought is a cohort, too, and a preview that the network named does not make one buy before its first click.
BEGIN;
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at, visitor) VALUES
    ('jan', 70001, 1, 1, '2026-01-10 10:00+00', 'human'), ('dec', 70002, 1, 1, '2025-12-31 23:59+00', 'preview'), ('feb', 70002, 1, 1, '2026-02-01 00:01+00', 'human');
INSERT INTO postback.conversions (transaction_id, click_id, payout, status, converted_at) VALUES ('dec', 'dec', 7, 'approved', '2025-12-31 23:59:30+00');
SELECT postback.maintain() \g /dev/null
SELECT results_eq($$ SELECT cohort, months_since, currency = 'USD', subscribers, converted, approved, revenue, value_per_subscriber FROM postback.subscriber_cohorts WHERE cohort < '2026-03-01' ORDER BY 1 $$,
    $$ VALUES ('2026-01-01'::date, NULL::integer, NULL::boolean, 1::bigint, 0::bigint, 0::bigint, 0::numeric, 0::numeric), ('2026-02-01', 0, true, 1, 1, 1, 7, 7) $$, 'cohorts that bought nothing');
ROLLBACK;

-- A rule of today for the clicks of yesterday.
SELECT is_empty('SELECT * FROM postback.reclassify(''-infinity'')', 'reclassify: the classes follow from what is stored');
UPDATE postback.clicks SET user_agent = 'curl/8.0' WHERE click_id IN ('c1-1', 'c1-2');
UPDATE postback.clicks SET visitor = 'datacenter' WHERE click_id = 'c1-3';
UPDATE postback.clicks SET visitor = 'bot', user_agent = NULL WHERE click_id = 'c1-4';
SELECT results_eq('SELECT was::text, visitor::text, clicks FROM postback.reclassify(''2026-03-09 00:00+00'', ''2026-03-10 00:00+00'')', $$ VALUES ('human', 'bot', 2::bigint) $$, 'what is a machine by today''s rules becomes one');
SELECT is((SELECT human_clicks FROM postback.performance('{send}') WHERE send_id = 1), 96::bigint, 'and reports know');
SELECT is((SELECT sum(human_clicks) FROM postback.rollups WHERE send_id = 1), 96::bigint, 'and so do rollups');
SELECT is_empty('SELECT * FROM postback.reclassify(''-infinity'')', 'what a writer vouched for and what an address told stays');

-- No report by name reads clicks from one end to the other.
SELECT postback.maintain() \g /dev/null
ANALYZE;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT coalesce(sum(seq_scan), 0) AS before FROM pg_stat_user_tables WHERE relname ~ '^clicks' \gset
CREATE FUNCTION pg_temp.read_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{campaign_performance,segment_performance,offer_performance,send_performance,variant_performance,conversion_latency,postback_delay,subscriber_cohorts,subscriber_value}'::text[] LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT * FROM postback.%I) AS v', name);
    END LOOP;
END
$$;
SELECT pg_temp.read_all() \g /dev/null
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT is((SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname ~ '^clicks'), :before::numeric, 'no sequential scan of clicks in any of them');
SELECT * FROM finish();
