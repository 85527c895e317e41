-- What partners are due, and what closed statements say: every amount has its reason, and nothing is paid twice.
SELECT no_plan();

SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) \g /dev/null
INSERT INTO postback.payout_tiers (tier_id, name, share, hold, currency, conversion_cap, daily_cap, monthly_cap, above_cap) VALUES
    (1, 'plain', 0.7, '0', NULL, NULL, NULL, NULL, 'defer'),
    (2, 'held', 0.8, '30 days', NULL, NULL, NULL, NULL, 'defer'),
    (3, 'deferring', 0.5, '0', 'USD', 20, 50, NULL, 'defer'),
    (4, 'forfeiting', 0.5, '0', 'USD', NULL, 50, 80, 'forfeit');
INSERT INTO postback.partners (partner_id, name, tier_id, tier_since, time_zone)
SELECT v.*, timestamptz '2026-01-01 00:00+00', CASE v.name WHEN 'Deferring' THEN 'America/New_York' ELSE 'UTC' END
FROM (VALUES (11, 'Plain', 1), (12, 'Held', 2), (13, 'Deferring', 3), (14, 'Forfeiting', 4), (15, 'Other', 1)) AS v (partner_id, name, tier_id);
INSERT INTO postback.campaigns (campaign_id, offer_id, partner_id) VALUES (456, 1, NULL), (457, 1, 11);
SELECT postback.create_send(456, base_url => 'https://s.example.com') AS nobodys,
    postback.create_send(457, base_url => 'https://s.example.com') AS plain, postback.create_send(456, base_url => 'https://s.example.com', partner_id => 12) AS held,
    postback.create_send(456, base_url => 'https://s.example.com', partner_id => 13) AS deferring,
    postback.create_send(456, base_url => 'https://s.example.com', partner_id => 14) AS forfeiting \gset
SELECT is((SELECT partner_id FROM postback.sends WHERE send_id = :plain), 11::bigint, 'a send is its campaign''s partner''s, unless it names one');
SELECT throws_ok('SELECT postback.create_send(456, base_url => ''https://s.example.com'', partner_id => 404)', '23503', NULL, 'a partner must exist');

CREATE PROCEDURE pg_temp.earn(transaction text, send bigint, payout numeric, at timestamptz, status text DEFAULT 'approved', currency text DEFAULT 'USD', campaign bigint DEFAULT NULL)
LANGUAGE sql AS $$
    INSERT INTO postback.conversions (transaction_id, send_id, campaign_id, payout, converted_at, received_at, status, currency)
    VALUES (transaction, send, campaign, payout, at, at, status::postback.conversion_status, currency)
$$;
-- The open rows of a partner, in short.
CREATE FUNCTION pg_temp.open(partner bigint, until timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(c.transaction_id, '-'), d.reason, d.amount, CASE WHEN d.withheld <> 0 THEN 'withheld ' || d.withheld END,
        CASE WHEN d.forfeited <> 0 THEN 'forfeited ' || d.forfeited END, d.currency, 'on ' || d.day)
    FROM postback.payables(partner, until) WITH ORDINALITY AS d LEFT JOIN postback.conversions AS c USING (conversion_id, bucket) ORDER BY d.ordinality
$$;
CREATE FUNCTION pg_temp.closed(partner bigint, until timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', s.currency, s.amount, s.lines, CASE WHEN s.is_new THEN 'new' END) FROM postback.close_payout(partner, until) AS s
$$;

-- A share of what is approved, and of nothing else.
CALL pg_temp.earn('p1', :plain, 12.50, '2026-03-01 10:00+00');
CALL pg_temp.earn('p2', :plain, 10, '2026-03-01 11:00+00', 'pending');
CALL pg_temp.earn('p3', :plain, 10, '2026-03-01 12:00+00', 'rejected');
CALL pg_temp.earn('p4', :plain, 0, '2026-03-01 13:00+00');
CALL pg_temp.earn('p5', NULL, 1, '2026-03-01 14:00+00', campaign => 457);
CALL pg_temp.earn('p6', :plain, 333, '2026-03-01 15:00+00', currency => 'JPY');
CALL pg_temp.earn('p7', :plain, 10, '2026-04-01 00:00+00');
CALL pg_temp.earn('n1', :nobodys, 10, '2026-03-01 10:00+00');
CALL pg_temp.earn('n2', :nobodys, 10, '2026-03-01 10:00+00', campaign => 457);
SELECT is((SELECT count(*) FROM postback.test_postback('default', (SELECT code FROM postback.mint_links(:plain, '{1}')))), 1::bigint, 'a test goes the whole way');
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-01 00:00+00'')', ARRAY[
    'p1 share 8.75 USD on 2026-03-01', 'p2 pending 0 withheld 7.00 USD on 2026-03-01', 'p5 share 0.70 USD on 2026-03-01', 'p6 share 233 JPY on 2026-03-01'],
    'a share of what is approved before the end; of a click without a send it is the campaign''s partner''s; tests and the traffic of others are not theirs');
SELECT is((SELECT explanation FROM postback.payables(11, '2026-04-01 00:00+00') LIMIT 1), '70 % of 12.50 USD', 'the amount is explained');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-01 00:00+00'')', ARRAY['JPY 233 1 new', 'USD 9.45 2 new'], 'a statement for each currency');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-01 00:00+00'')', ARRAY['JPY 233 1', 'USD 9.45 2'], 'closed again it is the same one');
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-01 00:00+00'')', ARRAY['p2 pending 0 withheld 7.00 USD on 2026-03-01'], 'nothing that is paid is due');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'p2';
SELECT is_empty('SELECT * FROM postback.close_payout(11, ''2026-04-01 00:00+00'') WHERE is_new', 'what comes late waits for the next period');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-02 00:00+00'')', ARRAY['USD 14.00 2 new'], 'and is paid there');

-- Reversals: whole, in part, and taken back.
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'p1';
UPDATE postback.conversions SET payout = 4 WHERE transaction_id = 'p2';
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-03 00:00+00'')', ARRAY['p1 clawback -8.75 USD on 2026-03-01', 'p2 clawback -4.20 USD on 2026-03-01'],
    'what was paid too much is due back');
SELECT is((SELECT string_agg(explanation, ', ' ORDER BY converted_at) FROM postback.payables(11, '2026-04-03 00:00+00')),
    '8.75 was paid; the conversion is reversed and earns 0.00, 7.00 was paid; the conversion is approved and earns 2.80', 'and says why');
SELECT is_empty('SELECT * FROM pg_temp.closed(11, ''2026-04-03 00:00+00'')', 'a debt makes no statement');
SELECT is((SELECT string_agg(concat_ws(' ', currency, due, paid), ', ' ORDER BY currency) FROM postback.partner_balances WHERE partner_id = 11), 'JPY 0 233, USD -12.95 23.45', 'it is kept');
CALL pg_temp.earn('p8', :plain, 100, '2026-04-03 10:00+00');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-04 00:00+00'')', ARRAY['USD 57.05 3 new'], 'and set against what comes');
UPDATE postback.conversions SET status = 'approved' WHERE transaction_id = 'p1';
UPDATE postback.conversions SET payout = 14 WHERE transaction_id = 'p2';
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-05 00:00+00'')', ARRAY['p1 share 8.75 USD on 2026-03-01', 'p2 share 7.00 USD on 2026-03-01'],
    'approved again it is paid again, and a higher payout pays the difference');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-05 00:00+00'')', ARRAY['USD 15.75 2 new'], 'once');
SELECT is_empty('SELECT * FROM pg_temp.open(11, ''2026-04-05 00:00+00'')', 'and then nothing is open');

-- Fractions of a cent add up from statement to statement.
CALL pg_temp.earn('f1', :plain, 0.0125, '2026-04-06 10:00+00');
SELECT is_empty('SELECT * FROM pg_temp.closed(11, ''2026-04-07 00:00+00'')', 'less than a cent is not paid');
CALL pg_temp.earn('f2', :plain, 0.0125, '2026-04-07 10:00+00');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-08 00:00+00'')', ARRAY['USD 0.01 3 new'], 'two of them are more than a cent');
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-09 00:00+00'')', ARRAY['- carried 0.0076 USD'], 'and the rest is carried');
CALL pg_temp.earn('f3', :plain, 0.0125, '2026-04-08 10:00+00');
SELECT results_eq('SELECT * FROM pg_temp.closed(11, ''2026-04-09 00:00+00'')', ARRAY['USD 0.01 3 new'], 'into the next one');

-- The hold.
CALL pg_temp.earn('h1', :held, 10, '2026-03-01 10:00+00');
SELECT results_eq('SELECT * FROM pg_temp.open(12, ''2026-03-31 09:59:59+00'')', ARRAY['h1 hold 0 withheld 8.00 USD on 2026-03-01'], 'a held conversion is not due');
SELECT is((SELECT explanation FROM postback.payables(12, '2026-03-31 00:00+00')), 'on hold until 2026-03-31 10:00:00+00', 'it says until when');
SELECT results_eq('SELECT * FROM pg_temp.open(12, ''2026-03-31 10:00+00'')', ARRAY['h1 share 8.00 USD on 2026-03-01'], 'and then it is');

-- An open fraud flag.
INSERT INTO postback.flags (rule, subject_kind, subject, severity, action, first_at, last_at, opened_at, updated_at, evidence)
SELECT 'fast_conversion', 'conversion', conversion_id, 'high', 'hold', now(), now(), now(), now(), '{}' FROM postback.conversions WHERE transaction_id = 'h1';
INSERT INTO _postback.flag_items (rule, subject, kind, item, bucket, at, flag_id)
SELECT rule, subject, 'conversion', conversion_id, bucket, now(), flag_id FROM postback.flags JOIN postback.conversions ON conversion_id = subject;
SELECT results_eq('SELECT * FROM pg_temp.open(12, ''2026-04-01 00:00+00'')', ARRAY['h1 flag 0 withheld 8.00 USD on 2026-03-01'], 'an open flag holds what it names');
UPDATE postback.flags SET status = 'dismissed', decision = 'release', closed_at = now();
SELECT results_eq('SELECT * FROM pg_temp.closed(12, ''2026-04-01 00:00+00'')', ARRAY['USD 8.00 1 new'], 'a dismissed one does not');

-- Trust: (approved + 1) / (decided + 2) of the 90 days before.
UPDATE postback.payout_tiers SET min_trust = 0.7 WHERE tier_id = 2;
CALL pg_temp.earn('h2', :held, 10, '2026-04-02 10:00+00');
SELECT is((SELECT trust FROM postback.partner_trust('2026-05-10 00:00+00') WHERE partner_id = 12), 0.7500, 'two of two approved');
SELECT results_eq('SELECT * FROM pg_temp.open(12, ''2026-05-10 00:00+00'')', ARRAY['h2 share 8.00 USD on 2026-04-02'], 'are enough for the tier');
CALL pg_temp.earn('h3', :held, 10, '2026-04-02 11:00+00', 'reversed');
SELECT is((SELECT trust FROM postback.partner_trust('2026-05-10 00:00+00') WHERE partner_id = 12), 0.6000, 'a reversal lowers it');
SELECT results_eq('SELECT * FROM pg_temp.open(12, ''2026-05-10 00:00+00'')', ARRAY['h2 trust 0 withheld 8.00 USD on 2026-04-02'], 'a partner below the tier''s trust is paid nothing for now');
UPDATE postback.payout_tiers SET min_trust = 0 WHERE tier_id = 2;

-- Caps that defer: 20 a conversion, 50 a day of New York.
CALL pg_temp.earn('d1', :deferring, 30, '2026-03-02 04:59+00');
CALL pg_temp.earn('d2', :deferring, 60, '2026-03-02 05:00+00');
CALL pg_temp.earn('d3', :deferring, 30, '2026-03-02 06:00+00');
CALL pg_temp.earn('d4', :deferring, 38, '2026-03-02 07:00+00');
CALL pg_temp.earn('d5', :deferring, 10, '2026-03-02 08:00+00', currency => 'EUR');
SELECT results_eq('SELECT * FROM pg_temp.open(13, ''2026-03-03 05:00+00'')', ARRAY[
    'd1 share 15.00 USD on 2026-03-01', 'd2 share 20 USD on 2026-03-02', 'd2 conversion_cap 0 forfeited 10.00 USD on 2026-03-02', 'd3 share 15.00 USD on 2026-03-02',
    'd4 share 15.00 USD on 2026-03-02', 'd4 cap 0 withheld 4.00 USD on 2026-03-02', 'd5 currency 0 withheld 5.00 EUR on 2026-03-02'],
    'a day pays up to its cap, and what is above waits');
SELECT results_eq('SELECT * FROM pg_temp.closed(13, ''2026-03-03 05:00+00'')', ARRAY['USD 65.00 5 new'], 'the statement has the part that fits');
CALL pg_temp.earn('d6', :deferring, 40, '2026-03-03 12:00+00');
SELECT results_eq('SELECT * FROM pg_temp.open(13, ''2026-03-04 05:00+00'') AS o WHERE o NOT LIKE ''d5%''', ARRAY['d4 share 4.00 USD on 2026-03-03', 'd6 share 20.00 USD on 2026-03-03'],
    'the rest counts for the next day');
SELECT results_eq('SELECT * FROM pg_temp.closed(13, ''2026-03-04 05:00+00'')', ARRAY['USD 24.00 2 new'], 'and is paid with it');
UPDATE postback.conversions SET status = 'reversed' WHERE transaction_id = 'd4';
SELECT results_eq('SELECT * FROM pg_temp.open(13, ''2026-03-05 05:00+00'') AS o WHERE o NOT LIKE ''d5%''', ARRAY['d4 clawback -4.00 USD on 2026-03-03', 'd4 clawback -15.00 USD on 2026-03-02'],
    'a clawback gives each day back what was counted for it');

-- Caps that forfeit: 50 a day, 80 a month.
CALL pg_temp.earn('o1', :forfeiting, 120, '2026-03-02 10:00+00');
CALL pg_temp.earn('o2', :forfeiting, 80, '2026-03-03 10:00+00');
CALL pg_temp.earn('o3', :forfeiting, 80, '2026-04-01 10:00+00');
SELECT results_eq('SELECT * FROM pg_temp.closed(14, ''2026-04-02 00:00+00'')', ARRAY['USD 120.00 5 new'], 'each day and month pays up to its cap');
SELECT results_eq('SELECT concat_ws('' '', reason, l.amount, forfeited, day) FROM postback.statement_lines AS l JOIN postback.statements USING (statement_id) WHERE partner_id = 14 ORDER BY line', ARRAY[
    'share 50 0 2026-03-02', 'cap 0 10.00 2026-03-02', 'share 30 0 2026-03-03', 'cap 0 10.00 2026-03-03', 'share 40.00 0 2026-04-01'], 'and what is above is written down as forfeited');
SELECT is_empty('SELECT * FROM pg_temp.open(14, ''2026-05-01 00:00+00'')', 'and never due again');
UPDATE postback.conversions SET payout = 104 WHERE transaction_id = 'o1';
SELECT is_empty('SELECT * FROM pg_temp.open(14, ''2026-05-01 00:00+00'')', 'a lower payout takes from the forfeited part first');
UPDATE postback.conversions SET payout = 90 WHERE transaction_id = 'o1';
SELECT results_eq('SELECT * FROM pg_temp.open(14, ''2026-05-01 00:00+00'')', ARRAY['o1 clawback -5.00 USD on 2026-03-02'], 'then from what was paid');

-- Tiers: what a conversion earns is the tier's of its time; a change touches nothing closed.
SELECT throws_ok('UPDATE postback.tier_changes SET tier_id = 1', 'PB203', NULL, 'the history of tiers stays');
SELECT throws_ok('UPDATE postback.partners SET tier_id = 1, tier_since = ''2025-12-31 00:00+00'' WHERE partner_id = 14', '22023', NULL, 'and goes forward');
UPDATE postback.partners SET tier_id = 2, tier_since = '2026-05-01 00:00+00', tier_reason = 'agreed' WHERE partner_id = 14;
CALL pg_temp.earn('t1', :forfeiting, 10, '2026-04-30 23:59+00');
CALL pg_temp.earn('t2', :forfeiting, 10, '2026-05-01 00:00+00');
SELECT results_eq('SELECT * FROM pg_temp.open(14, ''2026-05-31 00:00+00'')', ARRAY[
    'o1 clawback -5.00 USD on 2026-03-02', 't1 share 5.00 USD on 2026-04-30', 't2 share 8.00 USD on 2026-05-01'],
    'the share is that of the tier at the conversion, the hold that of the tier of now');
UPDATE postback.partners SET tier_id = 1 WHERE partner_id = 14;
SELECT results_eq('SELECT tier_id, reason, changed_at < clock_timestamp() - interval ''1 minute'' FROM postback.tier_changes WHERE partner_id = 14 ORDER BY changed_at',
    $$VALUES (4, NULL, true), (2, 'agreed', true), (1, NULL, false)$$, 'each change is written down, with its own reason');
CREATE TABLE before AS SELECT s::text FROM postback.statements AS s UNION ALL SELECT l::text FROM postback.statement_lines AS l;
UPDATE postback.payout_tiers SET share = 0.1, conversion_cap = 1, currency = 'USD' WHERE tier_id = 1;
SELECT is_empty('SELECT * FROM pg_temp.open(11, ''2026-04-09 00:00+00'') AS o WHERE o NOT LIKE ''-%''', 'other terms change nothing about what was settled');
UPDATE postback.conversions SET payout = 24 WHERE transaction_id = 'p2';
SELECT results_eq('SELECT * FROM pg_temp.open(11, ''2026-04-09 00:00+00'') AS o WHERE o NOT LIKE ''-%''', ARRAY['p2 share 7.00 USD on 2026-03-01'], 'not even of its later amounts');
UPDATE postback.payout_tiers SET share = 0.7, conversion_cap = NULL, currency = NULL WHERE tier_id = 1;

-- A send that changes hands: taken back from the one before it is paid to the other.
UPDATE postback.sends SET partner_id = 15 WHERE send_id = :plain;
SELECT is((SELECT sum(amount) FROM postback.payables(15, '2026-04-10 00:00+00')), 0::numeric, 'what was paid to another is not paid again');
SELECT ok((SELECT bool_and(o LIKE '%clawback%' OR o LIKE '-%') FROM pg_temp.open(11, '2026-04-10 00:00+00') AS o), 'the one before owes it');
CALL pg_temp.earn('p9', NULL, 1000, '2026-04-09 10:00+00', campaign => 457);
SELECT is((SELECT count(*) FROM postback.close_payout(11, '2026-04-10 00:00+00')), 1::bigint, 'once it is taken back');
SELECT is((SELECT sum(amount) FROM postback.payables(15, '2026-04-10 00:00+00') WHERE currency = 'USD'),
    (SELECT sum(round(payout * 0.7, 4)) FROM postback.conversions WHERE send_id = :plain AND status = 'approved' AND currency = 'USD' AND NOT is_test), 'it is due to the other');

-- What is closed stays.
SELECT throws_ok(statement, 'PB203', NULL, statement || ' is refused') FROM (VALUES
    ('UPDATE postback.statements SET amount = amount + 1'), ('DELETE FROM postback.statements'), ('TRUNCATE postback.statements CASCADE'),
    ('UPDATE postback.statement_lines SET amount = amount + 1'), ('DELETE FROM postback.statement_lines'), ('TRUNCATE postback.statement_lines'),
    ('INSERT INTO postback.statement_lines (statement_id, line, reason, amount, forfeited, explanation) VALUES (1, 99, ''share'', 5, 0, ''more'')')) AS v (statement);
SELECT throws_ok('INSERT INTO postback.statements (statement_id, partner_id, currency, until, amount, lines, tier_id, time_zone, closed_at, actor)
    VALUES (99, 11, ''USD'', now(), 5, 1, 1, ''UTC'', now(), ''me'')', 'PB202', NULL, 'a statement sums up its lines');
SELECT is_empty('SELECT * FROM before EXCEPT (SELECT s::text FROM postback.statements AS s UNION ALL SELECT l::text FROM postback.statement_lines AS l)', 'statements are what they were');
SELECT is((SELECT array_agg(statement_id ORDER BY statement_id) FROM postback.statements), (SELECT array_agg(n::bigint) FROM generate_series(1, (SELECT count(*) FROM postback.statements)) AS n),
    'their numbers have no gaps');
SELECT ok((SELECT bool_and(amount = share + clawback + carried) FROM postback.statement_log), 'and each is made up of its parts');

SELECT throws_ok(statement, state, NULL, statement || ' is refused') FROM (VALUES
    ('SELECT * FROM postback.payables(404)', 'P0002'), ('SELECT * FROM postback.payables(11, ''infinity'')', '22023'), ('SELECT * FROM postback.payables(11, NULL)', '22023'),
    ('SELECT * FROM postback.close_payout(NULL)', '22004'), ('SELECT * FROM postback.close_payout(404)', 'P0002'),
    ('SELECT * FROM postback.close_payout(11, ''2026-04-10 00:00+00'', ''2026-04-09 00:00+00'')', '22023'),
    ('SELECT * FROM postback.close_payout(11, clock_timestamp() + interval ''1 day'', clock_timestamp() + interval ''2 days'')', '22023'),
    ('INSERT INTO postback.partners (name, tier_id, tier_since) VALUES (''x'', 1, ''-infinity'')', '23514'), ('UPDATE postback.partners SET tier_id = 2, tier_since = ''infinity'' WHERE partner_id = 11', '23514'),
    ('INSERT INTO postback.payout_tiers (name, share) VALUES (''x'', 1.5)', '23514'), ('INSERT INTO postback.payout_tiers (name, share, daily_cap) VALUES (''x'', 1, 5)', '23514'),
    ('INSERT INTO postback.payout_tiers (name, share) VALUES (''x'', ''NaN'')', '23514'), ('INSERT INTO postback.payout_tiers (name, share, above_cap) VALUES (''x'', 1, ''pay'')', '23514'),
    ('INSERT INTO postback.partners (name, tier_id, time_zone) VALUES (''x'', 1, ''Mars'')', '22023'),
    ('INSERT INTO postback.tier_rules (from_tier_id, to_tier_id) VALUES (1, 1)', '23514')) AS v (statement, state);

-- A conversion of a click that is flagged, before a scan has seen it.
INSERT INTO postback.flags (rule, subject_kind, subject, severity, action, clicks, first_at, last_at, opened_at, updated_at, evidence)
VALUES ('datacenter_click', 'range', '198.51.100.0/24', 'medium', 'hold', 1, now(), now(), now(), now(), '{}');
INSERT INTO _postback.flag_items (rule, subject, kind, item, bucket, at, flag_id)
SELECT rule, subject_kind || ' ' || subject, 'click', 'flagged-click-1', 1, now(), flag_id FROM postback.flags WHERE rule = 'datacenter_click';
INSERT INTO postback.conversions (transaction_id, click_id, send_id, payout, converted_at) VALUES ('k1', 'flagged-click-1', :held, 10, '2026-03-03 10:00+00');
CREATE FUNCTION pg_temp.k1() RETURNS text LANGUAGE sql AS $$ SELECT o FROM pg_temp.open(12, '2026-05-01 00:00+00') AS o WHERE o LIKE 'k1 %' $$;
SELECT is(pg_temp.k1(), 'k1 flag 0 withheld 8.00 USD on 2026-03-03', 'a click on an open flag that holds');
UPDATE postback.flags SET status = 'resolved', decision = 'reject', closed_at = now() WHERE rule = 'datacenter_click';
SELECT is(pg_temp.k1(), 'k1 flag 0 withheld 8.00 USD on 2026-03-03', 'or on one that was resolved by rejecting');
UPDATE postback.flags SET decision = 'release' WHERE rule = 'datacenter_click';
SELECT is(pg_temp.k1(), 'k1 share 8.00 USD on 2026-03-03', 'is not paid, and is once it is released');
UPDATE postback.flags SET decision = 'reject' WHERE rule = 'datacenter_click';
INSERT INTO postback.flags (rule, subject_kind, subject, severity, action, status, decision, closed_at, conversions, first_at, last_at, opened_at, updated_at, evidence)
VALUES ('datacenter_click', 'range', '198.51.100.0/24', 'medium', 'hold', 'resolved', 'release', now(), 1, now(), now(), now(), now(), '{}');
INSERT INTO _postback.flag_items (rule, subject, kind, item, bucket, at, flag_id)
SELECT f.rule, f.subject_kind || ' ' || f.subject, 'conversion', c.conversion_id, c.bucket, now(), f.flag_id
FROM postback.conversions AS c, postback.flags AS f WHERE c.transaction_id = 'k1' AND f.rule = 'datacenter_click' AND f.decision = 'release';
SELECT is(pg_temp.k1(), 'k1 share 8.00 USD on 2026-03-03', 'what somebody decided about the conversion itself counts');

-- A cap of nothing pays on no day, however far one looks.
INSERT INTO postback.payout_tiers (tier_id, name, share, currency, daily_cap) VALUES (90, 'closed', 1, 'USD', 0);
UPDATE postback.partners SET tier_id = 90 WHERE partner_id = 13;
SELECT is((SELECT sum(greatest(amount, 0)) FROM postback.payables(13, '200000-01-01 00:00+00')), 0::numeric, 'a cap of nothing pays nothing');

SELECT * FROM finish();
