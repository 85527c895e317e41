-- Who may do what, and that no planted object runs with the rights of the owner.
SELECT no_plan();

-- Nothing for everybody.
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc AS p, LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
       WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND a.grantee = 0 $$, 'PUBLIC may execute no function');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class AS c, LATERAL aclexplode(c.relacl) AS a
       WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND a.grantee = 0 $$, 'PUBLIC may read no table or view');
SELECT is_empty(
    $$ SELECT n.nspname FROM pg_namespace AS n, LATERAL aclexplode(n.nspacl) AS a WHERE n.nspname IN ('postback', '_postback') AND a.grantee = 0 $$,
    'PUBLIC may not even look into the schemas');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
       WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND (p.prosecdef OR l.lanname = 'plpgsql')
         AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) $$, 'every function that could be led astray pins its search_path');

-- Something to work on, and a session in which every name that a function could use means something else.
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
SELECT postback.create_send(456, base_url => 'https://s.example.com') AS send_id \gset
SELECT code FROM postback.mint_links(:send_id, '{1001,1002}') LIMIT 1 \gset
SELECT postback.add_network('Guarded'), postback.add_network_secret('default', 'token', 'the-secret-of-default') \g /dev/null

BEGIN;
CREATE ROLE postback_test_nobody;
CREATE ROLE postback_test_ingest;
CREATE ROLE postback_test_analyst;
CREATE ROLE postback_test_admin;
SELECT postback.grant_role('postback_test_' || kind, kind) FROM unnest('{ingest,analyst,admin}'::text[]) AS kind \g /dev/null
CREATE FUNCTION pg_temp.as_role(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SET LOCAL ROLE ' || role;
    EXECUTE statement;
    RESET ROLE;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;

SELECT throws_ok('SELECT postback.grant_role(''postback_test_nobody'', ''king'')', '22023', NULL, 'an unknown kind of role is refused');
SELECT throws_ok('SELECT postback.grant_role(''postback_test_missing'', ''ingest'')', '42704', NULL, 'a missing role is not made');

-- KEY stands for something that is new each time.
CREATE TEMP TABLE statements (place serial, statement text, ingest boolean, analyst boolean, admin boolean);
INSERT INTO statements (statement, ingest, analyst, admin) VALUES
    ('SELECT postback.version()', true, true, true),
    (format('SELECT * FROM postback.record_click(%L)', :'code'), true, false, true),
    (format('SELECT * FROM postback.record_clicks(ARRAY[%L], user_agents => ARRAY[''curl/8.0''], replay => false)', :'code'), true, false, true),
    ('SELECT * FROM postback.record_click(campaign_id => 456, click_id => ''KEY'')', true, false, true),
    ('SELECT * FROM postback.receive_postback(''default'', ''click_id=KEY&payout=5&token=the-secret-of-default'')', true, false, true),
    ('SELECT * FROM postback.receive_postbacks(ARRAY[NULL], ARRAY[''click_id=KEY&payout=6&status=sale&timestamp=1773144000&token=the-secret-of-default''::bytea])', true, false, true),
    ('SELECT * FROM postback.maintain(''2033-03-03 12:00+00'')', true, false, true),
    ('SELECT postback.code_key()', true, false, true),
    ('SELECT * FROM postback.claim_deliveries(), postback.next_delivery_at()', true, false, true),
    ('SELECT postback.finish_deliveries(''{KEY}'', ''{500}'', ''{NULL}'', ''{NULL}'', ''{NULL}'')', true, false, true),
    ('SELECT * FROM postback.performance()', false, true, true),
    ('SELECT * FROM postback.attribution()', false, true, true),
    ('SELECT * FROM postback.attribution(''linear'', scope => ''network'')', false, true, true),
    ('SELECT * FROM postback.compare_models()', false, true, true),
    ('SELECT * FROM postback.markov_attribution(), postback.shapley_attribution(worth => ''rate'')', false, true, true),
    ('SELECT postback.classify_visitor(''GET'', NULL, ''curl/8.0''), postback.source_ranges(''{10.0.0.0/8}'')', false, false, true),
    ('SELECT * FROM postback.explain_credit(''default'', ''t1'')', false, true, true),
    ('SELECT * FROM _postback.conversion_paths()', false, true, true),
    ('SELECT * FROM postback.touches', false, false, true),
    ('SELECT * FROM postback.verify_ledger()', false, true, true),
    ('SELECT * FROM postback.click_log, postback.conversion_log, postback.postback_log, postback.ledger, postback.revenue_by_campaign, postback.subscriber_value', false, true, true),
    ('SELECT * FROM postback.delivery_queue, postback.alerts', false, true, true),
    ('SELECT * FROM postback.payables(), postback.partner_trust(), postback.partner_balances, postback.statement_log, postback.partner_performance', false, true, true),
    ('SELECT * FROM postback.partners, postback.payout_tiers, postback.tier_rules, postback.tier_changes, postback.statement_lines', false, true, true),
    ('INSERT INTO postback.payout_tiers (name, share) VALUES (''KEY'', 0.5)', false, false, true),
    ('INSERT INTO postback.partners (name, tier_id) SELECT ''KEY'', max(t.tier_id) FROM postback.payout_tiers AS t', false, false, true),
    ('UPDATE postback.partners SET time_zone = ''Asia/Tokyo''', false, false, true),
    ('SELECT postback.close_payout(max(p.partner_id)) FROM postback.partners AS p', false, false, true),
    ('INSERT INTO postback.statement_lines SELECT * FROM postback.statement_lines', false, false, false),
    ('UPDATE postback.tier_changes SET reason = ''none''', false, false, false),
    ('SELECT * FROM postback.campaign_performance, postback.segment_performance, postback.offer_performance, postback.send_performance', false, true, true),
    ('SELECT * FROM postback.variant_performance, postback.subscriber_cohorts, postback.conversion_latency, postback.postback_delay, postback.rollups', false, true, true),
    ('SELECT * FROM postback.compare_performance(''{day}'', ''2026-03-10 00:00+00'', ''2026-03-11 00:00+00''), postback.next_offer(''USD'')', false, true, true),
    ('SELECT * FROM postback.reclassify(''-infinity'')', false, false, true),
    ('SELECT * FROM postback.campaigns, postback.offers, postback.networks, postback.sends', false, true, true),
    ('SELECT ip_address, user_agent FROM postback.clicks', false, false, true),
    ('SELECT query, source_ip FROM postback.postbacks', false, false, true),
    ('SELECT * FROM postback.conversion_events', false, false, true),
    ('SELECT postback.create_send(456, base_url => ''https://s.example.com'')', false, false, true),
    (format('SELECT * FROM postback.mint_links(%s, ''{1,2}'')', :send_id), false, false, true),
    ('SELECT postback.add_offer(''Other'', ''https://example.com/{click_id}'')', false, false, true),
    ('INSERT INTO postback.offers (url_template) VALUES (''https://example.com/{click_id}'')', false, false, true),
    ('UPDATE postback.offers SET name = ''x''', false, false, true),
    ('SELECT postback.add_network(''KEY'', ''tune'', time_zone => ''Europe/Berlin'')', false, false, true),
    ('SELECT postback.add_network_secret(''guarded'', ''hmac'')', false, false, true),
    ('SELECT postback.add_destination(''KEY'', ''https://example.com/{click_id}'', signing => ''hmac_sha256'', max_rate => 5)', false, false, true),
    ('SELECT * FROM postback.destinations, postback.deliveries', false, false, true),
    ('UPDATE postback.destinations SET max_rate = 6, url_template = ''https://example.com/'' WHERE name = ''KEY''', false, false, true),
    ('UPDATE postback.destinations SET enabled = true', false, false, false),
    ('SELECT postback.disable_destination(''KEY'', cancel_queued => true), postback.replay_deliveries(''KEY'', ''-infinity''), postback.enable_destination(''KEY'')', false, false, true),
    ('SELECT postback.set_destination_secret(''KEY'', signing => ''standard_webhooks'')', false, false, true),
    ('SELECT postback.allow_deliveries_to(''10.0.0.0/8'', ''me'')', false, false, false),
    ('SELECT postback.postback_url(''default'', ''https://s.example.com'')', false, false, true),
    ('INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at) VALUES (456, 1, ''2033-03-03 12:00+00'')', false, false, true),
    ('INSERT INTO postback.clicks (click_id, clicked_at) VALUES (''KEY-direct'', ''2033-03-03 12:00+00'')', false, false, true),
    ('INSERT INTO postback.conversions (transaction_id, payout) VALUES (''KEY'', 5)', false, false, true),
    ('UPDATE postback.conversions SET status = ''reversed'' WHERE transaction_id = ''KEY''', false, false, true),
    ('UPDATE postback.conversions SET payout = 7 WHERE transaction_id = ''KEY'' AND status = ''approved''', false, false, true),
    ('UPDATE postback.conversions SET ledger_hash = ''''', false, false, false),
    ('DELETE FROM postback.conversions', false, false, false),
    ('INSERT INTO postback.conversion_events SELECT * FROM postback.conversion_events', false, false, false),
    ('DELETE FROM postback.conversion_events', false, false, false),
    ('UPDATE postback.conversion_events SET payout_delta = 0', false, false, false),
    ('TRUNCATE postback.conversion_events', false, false, false),
    ('TRUNCATE postback.conversions CASCADE', false, false, false),
    ('DELETE FROM postback.conversion_keys', false, false, false),
    ('TRUNCATE postback.clicks', false, false, false),
    ('SELECT * FROM _postback.network_secrets', false, false, false),
    ('SELECT * FROM _postback.destination_secrets, _postback.delivery_exceptions', false, false, false),
    ('SELECT * FROM _postback.settings', false, false, false),
    ('SELECT _postback.random_bytes(1)', false, false, false),
    ('CREATE TABLE postback.mine ()', false, false, false),
    ('SELECT postback.install()', false, false, false);
SELECT is(pg_temp.as_role('postback_test_' || kind, replace(statement, 'KEY', kind || '-plain')), 'done', kind || ' may: ' || statement)
FROM statements, LATERAL (VALUES ('ingest', ingest), ('analyst', analyst), ('admin', admin)) AS k (kind, allowed) WHERE allowed ORDER BY place, kind;
SELECT alike(pg_temp.as_role('postback_test_' || kind, statement), CASE statement WHEN 'SELECT postback.install()' THEN '4%' ELSE '42501 %' END, kind || ' may not: ' || statement)
FROM statements, LATERAL (VALUES ('nobody', false), ('ingest', ingest), ('analyst', analyst), ('admin', admin)) AS k (kind, allowed) WHERE NOT allowed ORDER BY place, kind;

-- The same again in a hostile session: planted functions and operators raise an error the moment one of them runs.
CREATE FUNCTION public.planted() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted code ran as %', current_user USING ERRCODE = 'PB999'; END $$;
DO $$
DECLARE
    f record;
BEGIN
    -- Every function of pg_catalog whose types allow a copy in SQL.
    FOR f IN
        SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result
        FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
          AND p.proname IN ('clock_timestamp', 'now', 'date_trunc', 'lower', 'left', 'length', 'rtrim', 'format', 'to_char', 'sha256', 'convert_to', 'encode', 'octet_length', 'cardinality',
              'array_fill', 'current_setting', 'regexp_replace', 'to_timestamp', 'to_regclass', 'pg_advisory_xact_lock', 'pg_try_advisory_xact_lock', 'hashtextextended', 'quote_literal',
              'round', 'concat_ws', 'date_part', 'timezone', 'jsonb_build_array')
          AND NOT p.prorettype::regtype::text LIKE 'any%' AND pg_get_function_identity_arguments(p.oid) !~ 'any'
    LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE sql AS ''SELECT public.planted()::%3$s''', f.proname, f.arguments, f.result);
    END LOOP;
    FOR f IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r FROM pg_operator AS o
        WHERE o.oprname IN ('=', '<>', '<', '>', '>=', '<=', '~', '!~', '||', '-', '+', '->>', '>>') AND o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft = o.oprright
          AND o.oprresult = 'bool'::regtype AND o.oprleft IN ('text'::regtype, 'integer'::regtype, 'bigint'::regtype, 'smallint'::regtype, 'timestamptz'::regtype, 'bytea'::regtype, 'numeric'::regtype)
    LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION public.planted_operator(a %s, b %s) RETURNS boolean LANGUAGE sql AS ''SELECT public.planted()::boolean''', f.l, f.r);
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.planted_operator)', f.oprname, f.l, f.r);
    END LOOP;
END $$;
CREATE TEMP TABLE clicks (planted text);
CREATE TEMP TABLE offers (planted text);
CREATE TEMP TABLE networks (planted text);
CREATE TEMP TABLE conversions (planted text);
CREATE TEMP TABLE pg_class (planted text);
GRANT ALL ON TABLE pg_temp.clicks, pg_temp.offers, pg_temp.networks, pg_temp.conversions, pg_temp.pg_class TO PUBLIC;
CREATE FUNCTION pg_temp.as_hostile(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('search_path', 'pg_temp, public, pg_catalog', true);
    RETURN pg_temp.as_role(role, statement);
END $$;
ALTER FUNCTION pg_temp.as_hostile(text, text) SET search_path = pg_catalog;
SELECT tap.alike(pg_temp.as_hostile('postback_test_ingest', 'SELECT clock_timestamp()'), 'PB999%', 'in the hostile session planted code does run');
SELECT tap.is(pg_temp.as_hostile('postback_test_' || kind, replace(statement, 'KEY', kind || '-hostile')), 'done', 'in the hostile session too, ' || kind || ' may: ' || statement)
FROM pg_temp.statements, LATERAL (VALUES ('ingest', ingest), ('analyst', analyst), ('admin', admin)) AS k (kind, allowed)
WHERE allowed AND statement !~ 'WHERE' ORDER BY place, kind;
SELECT tap.is(
    (SELECT count(*) FROM postback.conversions WHERE click_id IN ('ingest-hostile', 'admin-hostile') OR transaction_id = 'admin-hostile'), 3::bigint, 'conversions were made on the way');
SELECT tap.is_empty('SELECT planted FROM pg_temp.clicks UNION ALL SELECT planted FROM pg_temp.conversions', 'nothing was written into planted tables');

SELECT * FROM finish();
ROLLBACK;
