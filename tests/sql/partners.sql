-- Partners in reports and deliveries, and the rules by which they change their tier.
SELECT no_plan();

SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) \g /dev/null
INSERT INTO postback.payout_tiers (tier_id, name, share) VALUES (1, 'new', 0.5), (2, 'proven', 0.7), (3, 'watched', 0.4);
INSERT INTO postback.partners (partner_id, name, tier_id, tier_since) SELECT n, 'Partner ' || n, 1, '2026-01-01 00:00+00' FROM generate_series(21, 24) AS n;
INSERT INTO postback.campaigns (campaign_id, offer_id, partner_id) VALUES (456, 1, NULL), (457, 1, 22);
SELECT postback.create_send(456, base_url => 'https://s.example.com', partner_id => 21, cost_per_message => 0.01, sent_at => '2026-03-01 00:00+00') AS send_21,
    postback.create_send(456, base_url => 'https://s.example.com', sent_at => '2026-03-01 00:00+00') AS nobodys \gset
SELECT count(*) FROM postback.mint_links(:send_21, '{1,2,3}') \g /dev/null

-- Reports: of a send, of a campaign's clicks without one, of nobody.
INSERT INTO postback.clicks (click_id, send_id, campaign_id, offer_id, subscriber_id, user_agent, clicked_at)
SELECT 'c' || n, CASE WHEN n <= 3 THEN :send_21 WHEN n = 6 THEN :nobodys END, CASE WHEN n IN (4, 5) THEN 457 ELSE 456 END, 1, n, 'Mozilla/5.0 (iPhone)', '2026-03-01 10:00+00'
FROM generate_series(1, 6) AS n;
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at, received_at)
SELECT 't' || n, 'c' || n, 10 * n, '2026-03-01 11:00+00', '2026-03-01 11:00+00' FROM unnest('{1,4,6}'::integer[]) AS n;
CREATE FUNCTION pg_temp.report() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(p.partner_id::text, 'nobody'), p.messages, p.human_clicks, p.approved, p.revenue, p.cost)
    FROM postback.performance('{partner}', '2026-03-01 00:00+00', '2026-03-02 00:00+00') AS p ORDER BY p.partner_id
$$;
SELECT results_eq('SELECT * FROM pg_temp.report()', ARRAY['21 3 3 1 10 0.03', '22 0 2 1 40 0', 'nobody 0 1 1 60 0'], 'what each partner brings, of its sends and of its campaigns'' clicks without a send');
SELECT postback.maintain('2026-03-05 00:00+00') \g /dev/null
SELECT ok((SELECT sum(human_clicks) = 6 FROM postback.rollups), 'counted in rollups');
SELECT results_eq('SELECT * FROM pg_temp.report()', ARRAY['21 3 3 1 10 0.03', '22 0 2 1 40 0', 'nobody 0 1 1 60 0'], 'it is the same');
SELECT results_eq('SELECT partner_id, campaign_id FROM postback.performance(''{campaign,partner}'') ORDER BY 1, 2', $$VALUES (21::bigint, 456::bigint), (22, 457), (NULL, 456)$$, 'together with others');
SELECT results_eq('SELECT partner_id, value FROM postback.compare_performance(''{partner}'', ''2026-03-01 00:00+00'', ''2026-03-02 00:00+00'') WHERE measure = ''approved'' ORDER BY 1',
    $$VALUES (21::bigint, 1::numeric), (22, 1), (NULL, 1)$$, 'beside the period before');
SELECT results_eq('SELECT partner::text, revenue FROM postback.partner_performance WHERE partner_id = 22', $$VALUES ('Partner 22', 40::numeric)$$, 'and by name');

-- Deliveries.
SELECT postback.add_destination('Of 21', 'https://example.com/{click_id}', partner_id => 21), postback.add_destination('Of 22', 'https://example.com/{click_id}', partner_id => 22),
    postback.add_destination('Of all', 'https://example.com/{click_id}') \g /dev/null
INSERT INTO postback.conversions (transaction_id, click_id, payout) SELECT 'd' || n, 'c' || n, 5 FROM unnest('{2,5,6}'::integer[]) AS n;
SELECT results_eq('SELECT d.name, string_agg(c.transaction_id, '' '' ORDER BY c.transaction_id) FROM postback.deliveries JOIN postback.destinations AS d USING (destination_id)
    JOIN postback.conversions AS c USING (conversion_id, bucket) GROUP BY d.name ORDER BY d.name',
    $$VALUES ('Of 21', 'd2'), ('Of 22', 'd5'), ('Of all', 'd2 d5 d6')$$, 'a destination of a partner hears of that partner''s conversions');
SELECT throws_ok('SELECT postback.add_destination(''Of 404'', ''https://example.com/'', partner_id => 404)', 'P0002', NULL, 'the partner must exist');

-- Promotion and demotion.
INSERT INTO postback.tier_rules (rule_id, from_tier_id, to_tier_id, trust_from, trust_below, min_decided, min_time_in_tier) VALUES
    (1, 2, 3, 0, 0.8, 10, '0'), (2, 1, 2, 0.9, 1, 10, '30 days');
CREATE FUNCTION pg_temp.decide(partner bigint, approved integer, reversed integer, at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO postback.conversions (send_id, campaign_id, payout, status, converted_at, received_at)
    SELECT s.send_id, 456, 1, CASE WHEN n <= approved THEN 'approved' ELSE 'reversed' END::postback.conversion_status, at, at
    FROM (SELECT postback.create_send(456, base_url => 'https://s.example.com', partner_id => partner) AS send_id) AS s, generate_series(1, approved + reversed) AS n
$$;
CREATE FUNCTION pg_temp.changed(now timestamptz) RETURNS bigint LANGUAGE sql AS $$ SELECT done FROM postback.maintain(now) WHERE task = 'tiers_changed' $$;
SELECT pg_temp.decide(23, 20, 0, '2026-04-10 00:00+00'), pg_temp.decide(24, 9, 0, '2026-04-10 00:00+00'), pg_temp.decide(21, 20, 10, '2026-04-10 00:00+00') \g /dev/null
UPDATE postback.tier_rules SET min_time_in_tier = '200 days' WHERE rule_id = 2;
SELECT is(pg_temp.changed('2026-04-20 00:00+00'), 0::bigint, 'nobody changes before the time');
UPDATE postback.tier_rules SET min_time_in_tier = '30 days' WHERE rule_id = 2;
SELECT is(pg_temp.changed('2026-04-20 00:59:59+00'), 0::bigint, 'a rule is applied once an hour');
SELECT is(pg_temp.changed('2026-04-20 01:00+00'), 1::bigint, 'then who fits changes');
SELECT results_eq('SELECT tier_id, tier_since FROM postback.partners ORDER BY partner_id', $$VALUES
    (1, timestamptz '2026-01-01 00:00+00'), (1, '2026-01-01 00:00+00'), (2, '2026-04-20 01:00+00'), (1, '2026-01-01 00:00+00')$$,
    'who has the trust, on enough conversions');
SELECT is((SELECT reason FROM postback.tier_changes WHERE partner_id = 23 ORDER BY changed_at DESC LIMIT 1),
    'rule 2: trust 0.9545 of 20 decided conversions, 109 days in the tier', 'and why is written down');
SELECT is(pg_temp.changed('2026-04-20 03:00+00'), 0::bigint, 'nothing changes twice');
UPDATE postback.conversions SET status = 'reversed' WHERE conversion_id IN (
    SELECT conversion_id FROM postback.conversions AS c JOIN postback.sends USING (send_id) WHERE partner_id = 23 LIMIT 8);
SELECT is(pg_temp.changed('2026-04-20 05:00+00'), 1::bigint, 'reversals demote');
SELECT is((SELECT tier_id FROM postback.partners WHERE partner_id = 23), 3, 'to the tier that the rule says');
UPDATE postback.tier_rules SET enabled = false, min_decided = 0, trust_from = 0;
SELECT is(pg_temp.changed('2026-06-20 05:00+00'), 0::bigint, 'a rule that is off does nothing');

SELECT * FROM finish();
