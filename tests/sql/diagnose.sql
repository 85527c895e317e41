-- Each symptom planted, found, and gone once its cause is mended. Each network has one trouble of its own.
SELECT no_plan();
CREATE FUNCTION pg_temp.found(network text, at timestamptz) RETURNS text[] LANGUAGE sql AS
    'SELECT array(SELECT symptom FROM postback.diagnose(network, now => at) ORDER BY symptom)';
-- Messages one minute apart, {n} counting.
CREATE FUNCTION pg_temp.post(network text, query text, first timestamptz, messages integer DEFAULT 10, offset_by integer DEFAULT 0) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM generate_series(1, messages) AS n
    CROSS JOIN LATERAL postback.receive_postback(network, replace(query, '{n}', (n + offset_by)::text), now => first + n * interval '1 minute') AS r
$$;
-- Clicks of foreign ids {prefix}-click-0000001 and so on, one second apart.
CREATE FUNCTION pg_temp.tap(prefix text, offer bigint, first timestamptz, clicks integer, offset_by integer DEFAULT 0) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM generate_series(1, clicks) AS n
    CROSS JOIN LATERAL postback.record_click(click_id => prefix || '-click-' || lpad((n + offset_by)::text, 7, '0'), offer_id => offer, campaign_id => 7,
        user_agent => 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15', now => first + n * interval '1 second') AS r
$$;
CREATE FUNCTION pg_temp.network(name text, offer bigint, preset text DEFAULT 'generic', url text DEFAULT 'https://n.example.com/?click_id={click_id}')
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM postback.add_network(name, preset);
    RETURN postback.add_offer(name, url, offer_id => offer, network => name);
END
$$;
\set day '''2026-03-10 12:00+00'''
SELECT pg_temp.network('clean', 1), pg_temp.network('silent', 2), pg_temp.network('nameless', 3), pg_temp.network('cut', 4), pg_temp.network('repeats', 5),
    pg_temp.network('free', 6), pg_temp.network('late', 7), pg_temp.network('stops', 8), pg_temp.network('macro', 9), pg_temp.network('clock', 10),
    pg_temp.network('slow', 11), pg_temp.network('words', 12), pg_temp.network('guarded', 13), pg_temp.network('slot', 14), pg_temp.network('case', 15),
    pg_temp.network('twice', 16), pg_temp.network('tune-slot', 17, 'tune', 'https://n.example.com/?subid={click_id}'),
    pg_temp.network('reported', 18), pg_temp.network('literal', 19), pg_temp.network('strangers', 20), pg_temp.network('zone', 21),
    pg_temp.network('clash', 22) \g /dev/null
SELECT pg_temp.tap('clean', 1, :day, 300), pg_temp.tap('silent', 2, :day, 300), pg_temp.tap('nameless', 3, :day, 300) \g /dev/null
SELECT pg_temp.tap(slug, offer, :day, 40) FROM (VALUES ('cut', 4), ('repeats', 5), ('free', 6), ('late', 7), ('macro', 9), ('clock', 10), ('slow', 11), ('words', 12),
    ('guarded', 13), ('slot', 14), ('case', 15), ('twice', 16), ('reported', 18), ('literal', 19), ('strangers', 20), ('zone', 21), ('clash', 22)) AS s (slug, offer) \g /dev/null

-- All is well.
SELECT pg_temp.post('clean', 'click_id=clean-click-000000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 9) \g /dev/null
SELECT is_empty($$ SELECT * FROM postback.diagnose('clean', now => '2026-03-10 18:00+00') $$, 'a network whose messages are right has no symptom');

-- Clicks, but no conversions: nothing comes, or comes without a click id.
SELECT is(pg_temp.found('silent', '2026-03-10 18:00+00'), '{clicks_without_conversions}', 'people tap and nothing comes back');
SELECT matches(next_step, '^Nothing came from the network', 'and it says so') FROM postback.diagnose(offer => 2, now => '2026-03-10 18:00+00');
SELECT pg_temp.post('nameless', 'click_id=%7Bclick_id%7D&payout=5&status=approved&transaction_id=t{n}', :day) \g /dev/null
SELECT is(pg_temp.found('nameless', '2026-03-10 18:00+00'), '{click_ids_unknown,clicks_without_conversions,macro_unresolved}', 'a macro that was never filled in');
SELECT matches(next_step, 'carry no click id', 'is named as the reason') FROM postback.diagnose('nameless', now => '2026-03-10 18:00+00') WHERE symptom = 'clicks_without_conversions';
SELECT is((SELECT array_agg(DISTINCT subject ORDER BY subject) FROM postback.diagnose(campaign => 7, now => '2026-03-10 18:00+00') WHERE symptom = 'clicks_without_conversions'),
    NULL, 'a campaign that has no such offer has no such symptom');
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (7, 2);
SELECT is((SELECT array_agg(subject) FROM postback.diagnose(campaign => 7, now => '2026-03-10 18:00+00')), '{offer 2}', 'one that has it shows its offer');
SELECT pg_temp.post('silent', 'click_id=silent-click-0000001&payout=5&status=approved&transaction_id=t{n}', '2026-03-10 18:00+00', 1) \g /dev/null
SELECT pg_temp.post('nameless', 'click_id=nameless-click-00000{n}&payout=5&status=approved&transaction_id=n{n}', '2026-03-10 18:00+00', 12, 10) \g /dev/null
SELECT is(pg_temp.found('silent', '2026-03-10 19:00+00'), '{}', 'gone with the first conversion');
SELECT is(pg_temp.found('nameless', '2026-03-10 19:00+00'), '{}', 'gone with the macro');
SELECT is(pg_temp.found('tune-slot', '2026-03-10 18:00+00'), '{click_id_in_unknown_parameter}', 'an offer URL with a parameter that the network does not give back');
UPDATE postback.offers SET url_template = 'https://n.example.com/?aff_click_id={click_id}' WHERE offer_id = 17;
SELECT is(pg_temp.found('tune-slot', '2026-03-10 18:00+00'), '{}', 'gone with its slot');

-- Part of them is missing.
SELECT pg_temp.post('cut', 'click_id=cut-click-000000{n}' || repeat('x', 0) || '&payout=5&status=approved&transaction_id=t{n}', :day, 9) \g /dev/null
SELECT postback.record_click(click_id => 'an-id-that-is-longer-than-its-slot-' || n, offer_id => 4, user_agent => 'Mozilla/5.0 (iPhone)', now => :day)
FROM unnest('{a,b}'::text[]) AS n \g /dev/null
SELECT postback.record_click(click_id => 'one-id-that-is-much-longer-than-its-slot', offer_id => 4, user_agent => 'Mozilla/5.0 (iPhone)', now => :day) \g /dev/null
SELECT pg_temp.post('cut', 'click_id=one-id-that-is-much-lon&payout=5&status=approved&transaction_id=cut{n}', '2026-03-10 13:00+00', 2) \g /dev/null
SELECT is(pg_temp.found('cut', '2026-03-10 18:00+00'), '{click_ids_truncated}', 'click ids that are cut off');
SELECT is(evidence ->> 'of_them', '2', 'are counted') FROM postback.diagnose('cut', now => '2026-03-10 18:00+00');
SELECT pg_temp.post('cut', 'click_id=cut-click-00000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 28, 10) \g /dev/null
SELECT is(pg_temp.found('cut', '2026-03-10 18:00+00'), '{}', 'gone once enough came whole');
SELECT pg_temp.post('case', 'click_id=CASE-CLICK-000000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 3) \g /dev/null
SELECT is(pg_temp.found('case', '2026-03-10 18:00+00'), '{click_ids_case_changed}', 'in another case');
SELECT pg_temp.post('case', 'click_id=case-click-000000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 9) \g /dev/null
SELECT is(pg_temp.found('case', '2026-03-10 18:00+00'), '{}', 'gone');
SELECT pg_temp.post('twice', 'click_id=twice%252Dclick%252D000000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 3) \g /dev/null
SELECT is(pg_temp.found('twice', '2026-03-10 18:00+00') && '{click_ids_encoded_twice}', true, 'encoded twice');
SELECT pg_temp.post('twice', 'click_id=twice-click-000000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 9) \g /dev/null
SELECT is(pg_temp.found('twice', '2026-03-10 18:00+00'), '{}', 'gone');
SELECT pg_temp.post('slot', 'click_id=0000000{n}&their_sub=slot-click-000000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 3) \g /dev/null
SELECT is(pg_temp.found('slot', '2026-03-10 18:00+00'), '{click_ids_in_another_parameter}', 'in another parameter');
UPDATE postback.networks SET parameters = parameters || '{"click_id": ["their_sub"]}' WHERE slug = 'slot';
SELECT pg_temp.post('slot', 'click_id=0000000{n}&their_sub=slot-click-000000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 9) \g /dev/null
SELECT is(pg_temp.found('slot', '2026-03-10 18:00+00'), '{}', 'gone with its name');
SELECT pg_temp.post('strangers', 'click_id=nobodys-{n}&payout=5&status=approved&transaction_id=t{n}', :day, 6) \g /dev/null
SELECT is(pg_temp.found('strangers', '2026-03-10 18:00+00'), '{click_ids_unknown}', 'ids of nobody');
SELECT pg_temp.tap('nobodys', 20, '2026-03-10 11:00+00', 1), postback.record_click(click_id => 'nobodys-' || n, offer_id => 20, user_agent => 'Mozilla/5.0 (iPhone)', now => '2026-03-10 11:59+00')
FROM generate_series(1, 6) AS n \g /dev/null
SELECT is(pg_temp.found('strangers', '2026-03-10 18:00+00'), '{}', 'gone when their clicks have come');

-- Refused, and words that are not known.
SELECT postback.add_network_secret('guarded', 'token', 'token-of-16-bytes-') \g /dev/null
SELECT pg_temp.post('guarded', 'click_id=guarded-click-000000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 3) \g /dev/null
SELECT is(pg_temp.found('guarded', '2026-03-10 18:00+00'), '{postbacks_refused}', 'messages without the token');
SELECT pg_temp.post('guarded', 'click_id=guarded-click-000000{n}&payout=5&status=approved&transaction_id=t{n}&token=token-of-16-bytes-', '2026-03-10 14:00+00', 6) \g /dev/null
SELECT is(pg_temp.found('guarded', '2026-03-10 18:00+00'), '{}', 'gone with it');
SELECT pg_temp.post('words', 'click_id=words-click-000000{n}&payout=5&status=jackpot&transaction_id=t{n}', :day, 3) \g /dev/null
SELECT is(pg_temp.found('words', '2026-03-10 18:00+00'), '{status_words_unknown}', 'a status without a meaning');
SELECT is(evidence -> 'words', '["jackpot"]', 'is named') FROM postback.diagnose('words', now => '2026-03-10 18:00+00');
UPDATE postback.networks SET statuses = statuses || '{"jackpot": "approved"}' WHERE slug = 'words';
SELECT pg_temp.post('words', 'click_id=words-click-000000{n}&payout=5&status=jackpot&transaction_id=t{n}', '2026-03-10 14:00+00', 6) \g /dev/null
SELECT is(pg_temp.found('words', '2026-03-10 18:00+00'), '{}', 'gone with it');

-- Duplicates: there is no transaction id.
SELECT pg_temp.post('repeats', 'click_id=repeats-click-0000001&payout=5&status=approved', :day, 8) \g /dev/null
SELECT is(pg_temp.found('repeats', '2026-03-10 18:00+00'), '{duplicates,transaction_id_absent}', 'one click sells again and again under no transaction id');
SELECT pg_temp.post('repeats', 'click_id=repeats-click-0000001&payout=5&status=approved&transaction_id=t{n}', '2026-03-10 14:00+00', 9) \g /dev/null
SELECT is(pg_temp.found('repeats', '2026-03-10 18:00+00'), '{}', 'gone with it');

-- Conflicts: what the network calls a transaction is no id of one sale.
SELECT pg_temp.post('clash', 'click_id=clash-click-000000{n}&payout=5&status=approved&transaction_id=campaign-7', :day, 5) \g /dev/null
SELECT is(pg_temp.found('clash', '2026-03-10 18:00+00'), '{transactions_conflict}', 'one transaction for several clicks');
SELECT is(evidence ->> 'of_them', '4', 'all but the first') FROM postback.diagnose('clash', now => '2026-03-10 18:00+00');
UPDATE postback.networks SET dedupe = '{"click_id,event"}' WHERE slug = 'clash';
SELECT pg_temp.post('clash', 'click_id=clash-click-00000{n}&payout=5&status=approved&transaction_id=campaign-7', '2026-03-10 14:00+00', 9, 10) \g /dev/null
SELECT is(pg_temp.found('clash', '2026-03-10 18:00+00'), '{}', 'gone when the click tells sales apart');

-- Payout 0.
SELECT pg_temp.post('free', 'click_id=free-click-000000{n}&status=approved&transaction_id=t{n}', :day, 4) \g /dev/null
SELECT is(pg_temp.found('free', '2026-03-10 18:00+00'), '{payout_zero}', 'sales that pay nothing');
SELECT is(evidence ->> 'without_amount', '4', 'since no amount comes') FROM postback.diagnose('free', now => '2026-03-10 18:00+00');
UPDATE postback.offers SET payout = 5 WHERE offer_id = 6;
SELECT pg_temp.post('free', 'click_id=free-click-00000{n}&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 9, 10) \g /dev/null
SELECT is(pg_temp.found('free', '2026-03-10 18:00+00'), '{}', 'gone with a fixed payout');
SELECT pg_temp.post('literal', 'click_id=literal-click-000000{n}&payout=%7Bpayout%7D&status=approved&transaction_id=t{n}', :day, 4) \g /dev/null
SELECT is(pg_temp.found('literal', '2026-03-10 18:00+00'), '{macro_unresolved,postbacks_malformed}', 'an amount that is a macro');
SELECT pg_temp.post('literal', 'click_id=literal-click-00000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 14:00+00', 9, 10) \g /dev/null
SELECT is(pg_temp.found('literal', '2026-03-10 18:00+00'), '{}', 'gone with the amount');

-- Outside the window.
UPDATE postback.offers SET click_window = '1 hour' WHERE offer_id = 7;
SELECT pg_temp.post('late', 'click_id=late-click-000000{n}&payout=5&status=approved&transaction_id=t{n}', '2026-03-10 14:00+00', 4) \g /dev/null
SELECT is(pg_temp.found('late', '2026-03-10 18:00+00'), '{outside_window}', 'conversions after the window');
UPDATE postback.offers SET click_window = '7 days' WHERE offer_id = 7;
SELECT pg_temp.post('late', 'click_id=late-click-00000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 15:00+00', 9, 10) \g /dev/null
SELECT is(pg_temp.found('late', '2026-03-10 18:00+00'), '{}', 'gone with a wider one');

-- A network that stops.
SELECT pg_temp.tap('stops', 8, '2026-03-09 12:00+00', 300) \g /dev/null
SELECT pg_temp.post('stops', 'click_id=stops-click-00000{n}&payout=5&status=approved&transaction_id=t{n}', '2026-03-09 12:05+00', 12, 10) \g /dev/null
SELECT is(pg_temp.found('stops', '2026-03-10 11:00+00'), '{}', 'quiet while nobody taps is no trouble');
SELECT pg_temp.tap('stops', 8, '2026-03-10 12:00+00', 300, 1000) \g /dev/null
SELECT is(pg_temp.found('stops', '2026-03-10 18:00+00'), '{network_stopped_sending}', 'people tap as before and nothing comes');
SELECT is(evidence ->> 'expected_postbacks', '12', 'with what was to be expected') FROM postback.diagnose('stops', now => '2026-03-10 18:00+00');
SELECT pg_temp.post('stops', 'click_id=stops-click-00010{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 17:00+00', 12, 10) \g /dev/null
SELECT is(pg_temp.found('stops', '2026-03-10 18:00+00'), '{}', 'gone when it sends');

-- A macro that stops.
SELECT pg_temp.post('macro', 'click_id=macro-click-00000{n}&payout=5&status=approved&transaction_id=t{n}', :day, 20, 10) \g /dev/null
SELECT is(pg_temp.found('macro', '2026-03-10 18:00+00'), '{}', 'all macros come');
SELECT pg_temp.post('macro', 'click_id=macro-click-000000{n}&payout=5&transaction_id=m{n}', '2026-03-10 14:00+00', 5) \g /dev/null
SELECT is(pg_temp.found('macro', '2026-03-10 18:00+00'), '{macro_stopped_resolving}', 'then the status comes no more');
SELECT results_eq($$ SELECT parameter, messages, resolved, literal, absent, failing, last_resolved_at, failing_since FROM postback.macro_conformance('macro', now => '2026-03-10 18:00+00')
    WHERE field = 'status' $$, $$ VALUES ('status', 25::bigint, 20::bigint, 0::bigint, 5::bigint, 5::bigint, '2026-03-10 12:20+00'::timestamptz, '2026-03-10 14:01+00'::timestamptz) $$,
    'since when, is told');
SELECT pg_temp.post('macro', 'click_id=macro-click-000000{n}&payout=5&status=approved&transaction_id=m{n}', '2026-03-10 15:00+00', 1) \g /dev/null
SELECT is(pg_temp.found('macro', '2026-03-10 18:00+00'), '{}', 'gone when it comes again');

-- Clocks and delays.
SELECT pg_temp.post('clock', 'click_id=clock-click-00000{n}&payout=5&status=approved&transaction_id=t{n}&timestamp=2026-03-10+17:{n}:00', :day, 9, 10) \g /dev/null
SELECT is(pg_temp.found('clock', '2026-03-10 18:00+00'), '{clock_skew}', 'times that lie in the future');
UPDATE postback.networks SET time_zone = 'Asia/Karachi' WHERE slug = 'clock';
SELECT pg_temp.post('clock', 'click_id=clock-click-00000{n}&payout=5&status=approved&transaction_id=m{n}&timestamp=2026-03-10+17:{n}:00', '2026-03-10 12:10+00', 29, 10) \g /dev/null
SELECT is(pg_temp.found('clock', '2026-03-10 18:00+00'), '{}', 'gone with the zone');
SELECT postback.receive_postback('zone', format('click_id=zone-click-00000%s&payout=5&status=approved&transaction_id=t%s&timestamp=%s', n, n,
    floor(extract(epoch FROM timestamptz '2026-03-10 15:00+00' + n * interval '1 minute'))), now => timestamptz '2026-03-10 16:00+00' + n * interval '1 minute')
FROM generate_series(11, 19) AS n \g /dev/null
SELECT is(pg_temp.found('zone', '2026-03-10 18:00+00'), '{clock_skew}', 'all exactly an hour late is a zone, not a delay');
SELECT postback.receive_postback('slow', format('click_id=slow-click-00000%s&payout=5&status=approved&transaction_id=t%s&timestamp=%s', n, n,
    floor(extract(epoch FROM timestamptz '2026-03-10 12:10+00'))), now => timestamptz '2026-03-10 14:00+00' + n * interval '7 minutes')
FROM generate_series(11, 19) AS n \g /dev/null
SELECT is(pg_temp.found('slow', '2026-03-10 18:00+00'), '{late_delivery}', 'some hours late, each in its own way');
SELECT postback.receive_postback('slow', format('click_id=slow-click-00000%s&payout=5&status=approved&transaction_id=t%s&timestamp=%s', n, n,
    floor(extract(epoch FROM timestamptz '2026-03-10 16:30+00'))), now => timestamptz '2026-03-10 16:30+00' + n * interval '20 seconds')
FROM generate_series(20, 39) AS n \g /dev/null
SELECT postback.receive_postback('slow', format('click_id=slow-click-00000%s&payout=5&status=approved&transaction_id=s%s-%s&timestamp=%s', n, n, m,
    floor(extract(epoch FROM timestamptz '2026-03-10 17:00+00'))), now => timestamptz '2026-03-10 17:00+00' + n * interval '20 seconds')
FROM generate_series(20, 39) AS n, generate_series(1, 3) AS m \g /dev/null
SELECT is(pg_temp.found('slow', '2026-03-10 18:00+00'), '{}', 'gone once they come in time');

-- Log against log.
INSERT INTO postback.report_imports (network_id, format, columns, time_zone, first_day, last_day, row_count, bad_row_count, content_hash, imported_at, imported_by, reconciled_at)
SELECT network_id, 'generic', '{}', 'UTC', '2026-03-10', d::date, 10, 0, d, '2026-03-11 00:00+00', 'me', '2026-03-11 00:00+00'
FROM postback.networks, unnest('{2026-03-10}'::text[]) AS d WHERE slug = 'reported';
INSERT INTO postback.discrepancies (import_id, kind, cause, line, evidence)
SELECT import_id, 'missing_here', 'unexplained', n, 'planted' FROM postback.report_imports, generate_series(2, 11) AS n;
SELECT is(pg_temp.found('reported', '2026-03-11 01:00+00'), '{conversions_at_network_not_here}', 'a report of conversions that are not here');
DELETE FROM postback.discrepancies WHERE line > 3;
UPDATE postback.discrepancies SET cause = 'click_id_truncated';
SELECT is(pg_temp.found('reported', '2026-03-11 01:00+00'), '{conversions_partly_missing}', 'or of which some are');
SELECT matches(next_step, 'another slot', 'with what to do about the cause') FROM postback.diagnose('reported', now => '2026-03-11 01:00+00');
UPDATE postback.discrepancies SET cause = CASE line WHEN 2 THEN 'time_zone_edge' ELSE 'dedupe_rule' END;
SELECT is(pg_temp.found('reported', '2026-03-11 01:00+00'), '{}', 'what is here on another day, or in another conversion, is not missing');
UPDATE postback.discrepancies SET cause = 'postback_refused' WHERE line = 2;
SELECT matches(next_step, 'discrepancy_log WHERE import_id = \d+ .*The named postbacks came and had no effect', 'one that was refused is, and analysts may look')
FROM postback.diagnose('reported', now => '2026-03-11 01:00+00');
DELETE FROM postback.discrepancies;
SELECT is(pg_temp.found('reported', '2026-03-11 01:00+00'), '{}', 'gone when the next comparison finds nothing');

SELECT throws_ok($$ SELECT * FROM postback.diagnose('nowhere') $$, 'P0002', 'network "nowhere" does not exist', 'a network that is none');
SELECT throws_ok($$ SELECT * FROM postback.diagnose(offer => 99) $$, 'P0002', 'offer "99" does not exist', 'an offer that is none');
SELECT * FROM finish();
