-- Fraud rules that compare a send, partner or network with the others: what was planted is flagged, its clean twin is not.
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') \g /dev/null
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
INSERT INTO postback.payout_tiers (tier_id, name, share) VALUES (1, 'all', 1);
INSERT INTO postback.partners (partner_id, name, tier_id) VALUES (1, 'Honest', 1), (2, 'Farmer', 1);
-- Send 9 is the farmer's only one.
INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url, partner_id)
SELECT n, n, 1, 'https://s.example.com', CASE WHEN n = 9 THEN 2 WHEN n NOT IN (7, 10) THEN 1 END FROM generate_series(1, 10) AS n;
CREATE FUNCTION pg_temp.flags(rule text) RETURNS TABLE (subject text) LANGUAGE sql AS $$
    SELECT f.subject_kind || ' ' || f.subject FROM postback.flags AS f WHERE f.rule = flags.rule
$$;
CREATE FUNCTION pg_temp.scan(wanted text) RETURNS bigint LANGUAGE sql AS $$
    SELECT s.items FROM postback.fraud_scan('2026-03-10 10:00+00', '2026-03-10 20:00+00') AS s WHERE s.rule = wanted
$$;

-- 240 clicks a send: from 60 blocks with 40 user agents, in send 9 from two blocks. Send 10 has as few, but too few clicks to tell.
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, send_id, clicked_at, visitor, ip_address, user_agent)
SELECT format('s%s-%s', send, n), send * 1000 + n, 1, send, send, '2026-03-10 10:00+00'::timestamptz + make_interval(secs => n * 7 + send),
    'human', format('10.0.%s.%s', (n * 7 + send) % CASE WHEN send >= 9 THEN 2 ELSE 60 END, n % 200)::inet, 'Phone ' || (n * 13 + send) % 40
FROM generate_series(1, 10) AS send, generate_series(1, 240) AS n WHERE send < 10 OR n <= 40;
UPDATE postback.fraud_rules SET enabled = true WHERE rule = 'device_diversity';
SELECT is(pg_temp.scan('device_diversity'), 2::bigint, 'a day of two groups');
SELECT set_eq($$SELECT * FROM pg_temp.flags('device_diversity')$$, $$VALUES ('send 9'), ('partner 2')$$, 'the send from two blocks, and its partner; no other, and none of few clicks');
SELECT results_eq($$SELECT (evidence #>> '{address_blocks,kinds}')::int, (evidence #>> '{address_blocks,bits}')::numeric, (evidence #>> '{address_blocks,bits_expected}')::numeric > 4, evidence ? 'user_agents' FROM postback.flags
    WHERE rule = 'device_diversity' AND subject_kind = 'send'$$, $$VALUES (2, 1.00, true, false)$$, 'its entropy is the evidence, beside that of a sample of the others');
SELECT is(pg_temp.scan('device_diversity'), 0::bigint, 'a second scan finds nothing new');
UPDATE postback.clicks SET user_agent = 'Phone 1' WHERE send_id = 8;
SELECT is(pg_temp.scan('device_diversity'), 1::bigint, 'a send with one user agent is one more');
SELECT ok('send 8' IN (SELECT * FROM pg_temp.flags('device_diversity')), 'that one');

-- Every 40th click converts, of send 7 every third.
INSERT INTO postback.conversions (click_id, payout, converted_at, transaction_id)
SELECT c.click_id, 10, c.clicked_at + interval '1 hour', c.click_id FROM postback.clicks AS c
WHERE c.subscriber_id % CASE c.send_id WHEN 7 THEN 3 ELSE 40 END = 0 AND c.send_id <= 9;
SELECT is(pg_temp.scan('conversion_rate'), 81::bigint, 'a day and its conversions');
SELECT results_eq($$SELECT f.subject_kind || f.subject, f.conversions, (f.evidence ->> 'hits')::int FROM postback.flags AS f WHERE rule = 'conversion_rate'$$, $$VALUES ('send7', 80::bigint, 80)$$,
    'the send that converts far more often than the rest');
SELECT is(pg_temp.scan('conversion_rate'), 0::bigint, 'a second scan finds nothing new');

-- 40 sales of each send, two of them taken back; of send 9 thirty.
INSERT INTO postback.conversions (campaign_id, send_id, offer_id, payout, converted_at, transaction_id)
SELECT send, send, 1, 10, '2026-03-08 12:00+00', format('r%s-%s', send, n) FROM generate_series(1, 9) AS send, generate_series(1, 40) AS n;
UPDATE postback.conversions AS c SET status = 'reversed' WHERE c.transaction_id LIKE 'r%' AND split_part(c.transaction_id, '-', 2)::int <= CASE c.send_id WHEN 9 THEN 30 ELSE 2 END;
SELECT ok(pg_temp.scan('reversal_rate') > 0, 'conversions that are taken back');
SELECT set_eq($$SELECT * FROM pg_temp.flags('reversal_rate')$$, $$VALUES ('send 9'), ('partner 2')$$, 'of the send and the partner where that is the habit');
SELECT is((SELECT (evidence ->> 'hits')::int FROM postback.flags WHERE rule = 'reversal_rate' AND subject_kind = 'send'), 30, 'with their number');
SELECT is(pg_temp.scan('reversal_rate'), 0::bigint, 'a second scan finds nothing new');

-- What is switched off looks for nothing.
UPDATE postback.fraud_rules SET enabled = false WHERE rule <> 'click_flood';
SELECT results_eq($$SELECT rule, flags, items FROM postback.fraud_scan('2026-03-10 10:00+00', '2026-03-10 20:00+00')$$, $$VALUES ('click_flood', 0::bigint, 0::bigint)$$, 'a rule that is off is not run');
SELECT * FROM finish();
