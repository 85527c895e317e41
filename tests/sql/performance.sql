-- Messages, clicks and money by any dimension, counted by hand.
SELECT no_plan();
\set phone 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
SELECT is_empty('SELECT * FROM postback.performance()', 'nothing happened: no rows');
SELECT is_empty('SELECT * FROM postback.performance(''{campaign,segment,variant,offer,send,network,subscriber,day,hour}'')', 'by nothing of anything: no rows');

SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') AS a, postback.add_offer('Two', 'https://network.example.com/{click_id}', offer_id => 2) AS b \gset
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
-- Two sends of campaign 456: ten messages at 0.02, four at 0.01; one of campaign 457 without cost.
SELECT postback.create_send(456, 1, segment_id => 101, variant_id => 1, base_url => 'https://s.example.com', cost_per_message => 0.02, sent_at => '2026-03-10 09:00+00') AS send_a,
    postback.create_send(456, 2, segment_id => 102, variant_id => 1, base_url => 'https://s.example.com', cost_per_message => 0.01, sent_at => '2026-03-10 22:00+00') AS send_b,
    postback.create_send(457, 1, base_url => 'https://s.example.com', sent_at => '2026-03-11 09:00+00') AS send_c \gset
CREATE TEMP TABLE links AS
SELECT 'a' AS send, * FROM postback.mint_links(:send_a, array(SELECT generate_series(1, 10)))
UNION ALL SELECT 'b', * FROM postback.mint_links(:send_b, '{1,2,3,4}') UNION ALL SELECT 'c', * FROM postback.mint_links(:send_c, '{1,2}');
CREATE TEMP TABLE taps (send text, subscriber_id bigint, at timestamptz, method text, user_agent text, payout numeric, status text);
INSERT INTO taps VALUES
    ('a', 1, '2026-03-10 10:00+00', 'GET', :'phone', 10, 'approved'), ('a', 1, '2026-03-10 10:01+00', 'GET', :'phone', NULL, NULL),
    ('a', 2, '2026-03-10 10:02+00', 'GET', :'phone', 4, 'pending'), ('a', 3, '2026-03-10 10:03+00', 'GET', 'curl/8.0', NULL, NULL),
    ('a', 3, '2026-03-10 10:04+00', 'HEAD', :'phone', NULL, NULL), ('a', 4, '2026-03-10 10:05+00', 'GET', :'phone', 7, 'rejected'),
    ('b', 1, '2026-03-10 23:30+00', 'GET', :'phone', 2.5, 'approved'), ('b', 2, '2026-03-11 00:30+00', 'GET', :'phone', 1, 'reversed');
CREATE TEMP TABLE told AS
SELECT t.*, r.click_id, p.verdict
FROM taps AS t JOIN links AS l USING (send, subscriber_id), LATERAL postback.record_click(l.code, user_agent => t.user_agent, method => t.method, now => t.at) AS r,
LATERAL (SELECT CASE WHEN t.payout IS NOT NULL THEN (SELECT verdict FROM postback.receive_postback('default',
    format('click_id=%s&payout=%s&status=%s', r.click_id, t.payout, t.status), now => t.at + interval '10 minutes')) END) AS p (verdict);
SELECT is((SELECT count(*) FROM told WHERE verdict = 'accepted'), 5::bigint, 'five conversions');

SELECT results_eq(
    'SELECT campaign_id, messages, clicks, human_clicks, unique_clicks, conversions, pending, approved, rejected, reversed FROM postback.performance()',
    $$ VALUES (456::bigint, 14::bigint, 7::bigint, 6::bigint, 5::bigint, 5::bigint, 1::bigint, 2::bigint, 1::bigint, 1::bigint), (457, 2, 0, 0, 0, 0, 0, 0, 0, 0) $$,
    'by campaign: HEAD is no click, a machine is no person, a person counts once per send');
SELECT results_eq(
    'SELECT revenue, pending_revenue, cost, profit, ctr, cvr, epc, rpm FROM postback.performance() WHERE campaign_id = 456',
    $$ VALUES (12.5, 4::numeric, 0.24, 12.26, round(5 / 14.0, 6), round(2 / 6.0, 6), round(12.5 / 6, 6), round(12.5 / 14, 6)) $$,
    'money: only approved payouts are revenue, messages cost');
SELECT is((SELECT currency FROM postback.performance() WHERE campaign_id = 456), 'USD', 'in the currency of the period');
SELECT is((SELECT concat_ws(' ', ctr, coalesce(cvr::text, 'none'), coalesce(epc::text, 'none'), rpm, currency) FROM postback.performance() WHERE campaign_id = 457),
    '0.000000 none none 0.000000', 'no clicks: no rate, not an error; no money: no currency');

SELECT results_eq(
    'SELECT segment_id, messages, human_clicks, approved, revenue, cost FROM postback.performance(''{segment}'') ORDER BY segment_id',
    $$ VALUES (101::bigint, 10::bigint, 4::bigint, 1::bigint, 10::numeric, 0.20), (102, 4, 2, 1, 2.5, 0.04), (NULL, 2, 0, 0, 0, 0) $$, 'by segment');
SELECT results_eq(
    'SELECT variant_id, messages, revenue FROM postback.performance(''{variant}'') ORDER BY variant_id', $$ VALUES (1::bigint, 14::bigint, 12.5), (NULL, 2, 0) $$, 'by variant');
SELECT results_eq(
    'SELECT offer_id, messages, revenue FROM postback.performance(''{offer}'') ORDER BY offer_id', $$ VALUES (1::bigint, 12::bigint, 10::numeric), (2, 4, 2.5) $$, 'by offer');
SELECT results_eq(
    'SELECT send_id, messages, revenue FROM postback.performance(''{send}'') ORDER BY send_id',
    format('VALUES (%s::bigint, 10::bigint, 10::numeric), (%s, 4, 2.5), (%s, 2, 0)', :send_a, :send_b, :send_c), 'by send');
SELECT is((SELECT sum(revenue) FROM postback.performance('{network}')), 12.5, 'by network');
SELECT results_eq(
    'SELECT subscriber_id, messages, human_clicks, unique_clicks, revenue, cost FROM postback.performance(''{subscriber}'') WHERE subscriber_id <= 5 ORDER BY subscriber_id',
    $$ VALUES (1::bigint, 3::bigint, 3::bigint, 2::bigint, 12.5, 0.03), (2, 3, 2, 2, 0, 0.03), (3, 2, 0, 0, 0, 0.03), (4, 2, 1, 1, 0, 0.03), (5, 1, 0, 0, 0, 0.02) $$,
    'by subscriber: each message has its receiver and its cost');
SELECT results_eq(
    'SELECT campaign_id, segment_id, offer_id, revenue FROM postback.performance(''{campaign,segment,offer}'')',
    $$ VALUES (456::bigint, 101::bigint, 1::bigint, 10::numeric), (456, 102, 2, 2.5), (457, NULL, 1, 0) $$, 'by several at once, the best first');
SELECT is((SELECT concat_ws(' ', messages, clicks, revenue) FROM postback.performance('{}')), '16 7 12.5', 'by nothing: the total');
SELECT is_empty(
    $$ SELECT d FROM unnest('{campaign,segment,variant,offer,send,network,subscriber,day,hour}'::text[]) AS d, LATERAL (
         SELECT sum(messages), sum(clicks), sum(conversions), sum(revenue), sum(cost) FROM postback.performance(ARRAY[d])) AS p (m, k, c, r, t)
       WHERE (m, k, c, r, t) IS DISTINCT FROM (16, 7, 5, 12.5, 0.24) $$, 'every dimension adds up to the same total');

-- Days are the caller's.
SELECT results_eq(
    $$ SELECT day, messages, human_clicks, revenue FROM postback.performance('{day}') ORDER BY day $$,
    $$ VALUES ('2026-03-10'::date, 14::bigint, 5::bigint, 12.5), ('2026-03-11', 2, 1, 0) $$, 'days in UTC');
SELECT results_eq(
    $$ SELECT day, messages, human_clicks, revenue FROM postback.performance('{day}', time_zone => 'America/Los_Angeles') ORDER BY day $$,
    $$ VALUES ('2026-03-10'::date, 14::bigint, 6::bigint, 12.5), ('2026-03-11', 2, 0, 0) $$, 'in Los Angeles the tap after midnight UTC is the day before');
SELECT results_eq(
    $$ SELECT day, messages, human_clicks, revenue FROM postback.performance('{day}', time_zone => 'Asia/Tokyo') ORDER BY day $$,
    $$ VALUES ('2026-03-10'::date, 10::bigint, 4::bigint, 10::numeric), ('2026-03-11', 6, 2, 2.5) $$, 'in Tokyo the evening is the day after');
SELECT results_eq(
    $$ SELECT hour, human_clicks FROM postback.performance('{hour}', time_zone => 'Asia/Kolkata') WHERE human_clicks > 0 ORDER BY hour $$,
    $$ VALUES ('2026-03-10 15:00'::timestamp, 4::bigint), ('2026-03-11 05:00', 1), ('2026-03-11 06:00', 1) $$, 'hours too, where they are off by half');
SET timezone = 'Pacific/Kiritimati';
SELECT is((SELECT min(day) FROM postback.performance('{day}')), '2026-03-10'::date, 'the session''s time zone does not matter');
RESET timezone;
SELECT is((SELECT concat_ws(' ', messages, human_clicks, approved) FROM postback.performance('{}', '2026-03-10 22:00+00', '2026-03-11 00:30+00')), '4 1 1', 'the period begins with since and ends before until');
SELECT is_empty('SELECT * FROM postback.performance(since => ''2030-01-01 00:00+00'')', 'nothing happened then: no rows');

SELECT postback.create_send(458, 1, base_url => 'https://s.example.com', cost_per_message => 0.02, sent_at => '2031-03-10 09:00+00') \g /dev/null
SELECT is_empty(
    $$ SELECT d FROM unnest('{campaign,send,subscriber}'::text[]) AS d, LATERAL postback.performance(ARRAY[d], '2031-01-01 00:00+00') AS p
       WHERE (p.messages, p.cost) IS DISTINCT FROM (0, 0) $$, 'a send without links has no message and no cost, by subscriber too');

-- Weeks begin on Monday; the week of this Tuesday and Wednesday, and their month.
SELECT results_eq(
    $$ SELECT week, month, messages, revenue FROM postback.performance('{week,month}', '2026-03-01 00:00+00', '2026-04-01 00:00+00') $$,
    $$ VALUES ('2026-03-09'::date, '2026-03-01'::date, 16::bigint, 12.5) $$, 'weeks and months');

-- Currencies are kept apart.
SELECT postback.receive_postback('default', format('click_id=%s&payout=3&currency=EUR&transaction_id=eur', (SELECT click_id FROM told WHERE send = 'a' AND subscriber_id = 2)),
    now => '2026-03-10 10:30+00') \g /dev/null
SELECT results_eq(
    'SELECT campaign_id, currency, messages, human_clicks, conversions, approved, revenue, cost, profit, epc FROM postback.performance()',
    $$ VALUES (456::bigint, 'USD', 14::bigint, 6::bigint, 5::bigint, 2::bigint, 12.5, 0.24, 12.26, round(12.5 / 6, 6)), (456, 'EUR', 14, 6, 1, 1, 3, 0, 3, round(3 / 6.0, 6)),
        (457, NULL, 2, 0, 0, 0, 0, 0, 0, NULL), (458, NULL, 0, 0, 0, 0, 0, 0, 0, NULL) $$,
    'a row for each currency, messages and clicks beside the money of each; none where there is no money');
SELECT results_eq(
    'SELECT campaign_id, currency, messages, conversions, revenue, cost FROM postback.performance(in_currency => ''eur'')',
    $$ VALUES (456::bigint, 'EUR', 14::bigint, 1::bigint, 3::numeric, 0::numeric), (457, 'EUR', 2, 0, 0, 0), (458, 'EUR', 0, 0, 0, 0) $$, 'one currency: a row for each group, whose sums make sense');

-- The views answer the same, and keep currencies apart by themselves.
INSERT INTO postback.campaigns (campaign_id, name) VALUES (456, 'Spring');
INSERT INTO postback.segments (segment_id, name) VALUES (101, 'New');
SELECT results_eq(
    'SELECT campaign_id, campaign, currency::text COLLATE "default", conversions, approved, revenue, pending_revenue FROM postback.revenue_by_campaign ORDER BY campaign_id, currency',
    $$ VALUES (456::bigint, 'Spring', 'EUR', 1::bigint, 1::bigint, 3::numeric, 0::numeric), (456, 'Spring', 'USD', 5, 2, 12.5, 4) $$, 'revenue_by_campaign');
SELECT results_eq(
    'SELECT segment_id, segment, currency::text COLLATE "default", conversions, approved, revenue, pending_revenue FROM postback.revenue_by_segment ORDER BY segment_id, currency',
    $$ VALUES (101::bigint, 'New', 'EUR', 1::bigint, 1::bigint, 3::numeric, 0::numeric), (101, 'New', 'USD', 3, 1, 10, 4), (102, NULL, 'USD', 2, 1, 2.5, 0) $$,
    'revenue_by_segment');
SELECT results_eq(
    'SELECT variant_id, variant, currency::text COLLATE "default", conversions, approved, revenue, pending_revenue FROM postback.revenue_by_variant ORDER BY variant_id, currency',
    $$ VALUES (1::bigint, NULL::text, 'EUR', 1::bigint, 1::bigint, 3::numeric, 0::numeric), (1, NULL, 'USD', 5, 2, 12.5, 4) $$, 'revenue_by_variant');
SELECT results_eq(
    'SELECT offer_id, offer, currency::text COLLATE "default", conversions, approved, revenue, pending_revenue FROM postback.revenue_by_offer ORDER BY offer_id, currency',
    $$ VALUES (1::bigint, 'One', 'EUR', 1::bigint, 1::bigint, 3::numeric, 0::numeric), (1, 'One', 'USD', 3, 1, 10, 4), (2, 'Two', 'USD', 2, 1, 2.5, 0) $$,
    'revenue_by_offer');
SELECT results_eq(
    'SELECT subscriber_id, currency::text COLLATE "default", approved, revenue, first_converted_at, last_converted_at FROM postback.subscriber_value ORDER BY subscriber_id, currency',
    $$ VALUES (1::bigint, 'USD', 2::bigint, 12.5, '2026-03-10 10:10+00'::timestamptz, '2026-03-10 23:40+00'::timestamptz),
        (2, 'EUR', 1, 3, '2026-03-10 10:30+00', '2026-03-10 10:30+00'), (2, 'USD', 0, 0, '2026-03-10 10:12+00', '2026-03-11 00:40+00'),
        (4, 'USD', 0, 0, '2026-03-10 10:15+00', '2026-03-10 10:15+00') $$, 'subscriber_value');
SELECT postback.receive_postback('default', 'click_id=nobody&payout=1', now => at), postback.receive_postback('default', 'payout=1', now => at)
FROM unnest('{2026-03-10 23:59:59.999+00,2026-03-11 00:00+00}'::timestamptz[]) AS at \g /dev/null
SET timezone = 'Pacific/Kiritimati';
SELECT results_eq(
    'SELECT network, day, verdict::text, postbacks, one_reason IS NOT NULL FROM postback.postback_verdicts ORDER BY day, verdict::text',
    $$ VALUES ('default', '2026-03-10'::date, 'accepted', 5::bigint, false), ('default', '2026-03-10', 'malformed', 1, true), ('default', '2026-03-10', 'unmatched', 1, true),
        ('default', '2026-03-11', 'accepted', 1, false), ('default', '2026-03-11', 'malformed', 1, true), ('default', '2026-03-11', 'unmatched', 1, true) $$,
    'postback_verdicts, by UTC day in every session');
RESET timezone;
SELECT results_eq(
    'SELECT send_id, visitor::text, hits, first_hit_at FROM postback.visitors_by_send ORDER BY send_id, visitor::text',
    format($$ VALUES (%1$s::bigint, 'bot', 1::bigint, '2026-03-10 10:03+00'::timestamptz), (%1$s, 'head', 1, '2026-03-10 10:04+00'), (%1$s, 'human', 4, '2026-03-10 10:00+00'),
        (%2$s, 'human', 2, '2026-03-10 23:30+00') $$, :send_a, :send_b), 'visitors_by_send');

-- The clocks change: New York on 8 March and on 1 November 2026.
INSERT INTO postback.clicks (click_id, campaign_id, clicked_at, visitor) SELECT 'clock' || extract(epoch FROM at), 459, at, 'human'
FROM unnest('{2026-03-08 04:30+00,2026-03-08 06:30+00,2026-03-08 07:30+00,2026-03-09 03:30+00,2026-03-09 04:30+00,
    2026-11-01 05:30+00,2026-11-01 06:30+00,2026-11-02 04:30+00,2026-11-02 05:30+00}'::timestamptz[]) AS at;
SELECT results_eq(
    $$ SELECT day, human_clicks FROM postback.performance('{campaign,day}', time_zone => 'America/New_York', in_currency => 'USD') WHERE campaign_id = 459 ORDER BY day $$,
    $$ VALUES ('2026-03-07'::date, 1::bigint), ('2026-03-08', 3), ('2026-03-09', 1), ('2026-11-01', 3), ('2026-11-02', 1) $$, 'a day of 23 hours and one of 25 end at midnight');
SELECT results_eq(
    $$ SELECT hour, human_clicks FROM postback.performance('{campaign,hour}', time_zone => 'America/New_York', in_currency => 'USD')
       WHERE campaign_id = 459 AND hour::date IN ('2026-03-08', '2026-11-01') ORDER BY hour $$,
    $$ VALUES ('2026-03-08 01:00'::timestamp, 1::bigint), ('2026-03-08 03:00', 1), ('2026-03-08 23:00', 1), ('2026-11-01 01:00', 2), ('2026-11-01 23:00', 1) $$,
    'the hour that is skipped has nothing, the one that comes twice has both');

-- From the click to the conversion, and until the postback came.
SELECT is((SELECT concat_ws(' ', median_to_conversion, coalesce(median_postback_delay::text, 'unknown')) FROM postback.performance('{}', in_currency => 'USD', until => '2026-03-12 00:00+00')), '00:10:00 unknown',
    'ten minutes from click to conversion; of a network that tells no time the delay is not known');
SELECT postback.add_network('Timely') \g /dev/null
SELECT r.verdict FROM told AS t, generate_series(1, 4) AS n, LATERAL postback.receive_postback('timely', format('click_id=%s&payout=1&transaction_id=timely%s&timestamp=%s', t.click_id, n, extract(epoch FROM t.at + n * interval '1 minute')::bigint),
    now => t.at + n * interval '1 minute' + n * interval '1.5 seconds') AS r WHERE t.send = 'b' AND t.subscriber_id = 2 \g /dev/null
SELECT results_eq(
    $$ SELECT conversions, median_to_conversion, median_postback_delay FROM postback.performance('{network}', since => '2026-03-11 00:30+00')
       WHERE network_id = (SELECT network_id FROM postback.networks WHERE slug = 'timely') $$,
    $$ VALUES (4::bigint, '00:02:00'::interval, '3 seconds'::interval) $$, 'of an even number the lower of the two in the middle');

SELECT results_eq('SELECT * FROM postback.performance(since => NULL, until => NULL)', 'SELECT * FROM postback.performance()', 'a period without a beginning or an end is open there');
SELECT throws_ok('SELECT postback.performance(''{day}'', time_zone => NULL)', '22004', NULL, 'days of no time zone');
SELECT throws_ok(statement, '22023', NULL, statement)
FROM unnest(ARRAY['SELECT postback.performance(''{planet}'')', 'SELECT postback.performance(''{campaign,NULL}'')', 'SELECT postback.performance(''{day}'', ''2026-03-10 20:00+00'', time_zone => ''Mars/Olympus'')']) AS statement;

SELECT * FROM finish();
