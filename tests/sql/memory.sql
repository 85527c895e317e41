-- However often a transaction calls a function, its memory stays as it was. POSTBACK_TESTS_CALLS=1000000 asks for more calls than a test run has
-- time for; a leak of thirty bytes a call shows with as many as here.
\set calls `echo "${POSTBACK_TESTS_CALLS:-20000}"`
SELECT no_plan();
SET jit = off;
-- The series lies on disk, whatever its length.
SET work_mem = '64kB';
SET max_parallel_workers_per_gather = 0;

SELECT postback.add_offer('Offer', 'https://network.example.com/?a={click_id}', offer_id => 789) \g /dev/null
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
SELECT postback.create_send(456, base_url => 'https://s.example.com') AS send_id \gset
SELECT code FROM postback.mint_links(:send_id, '{1001}') \gset
SELECT set_config('tests.code', :'code', false), set_config('tests.send', :'send_id', false) \g /dev/null

-- What this backend has in memory of its own, without what it shares with others.
CREATE FUNCTION pg_temp.kilobytes() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+) kB')::bigint
$$;
-- How much more memory a statement has at the last of so many calls than halfway.
CREATE FUNCTION pg_temp.growth(call text, calls bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    grown bigint;
BEGIN
    EXECUTE format('SELECT count(c.result) * 0 + max(CASE n WHEN $1 THEN pg_temp.kilobytes() END) - max(CASE n WHEN $1 / 2 THEN pg_temp.kilobytes() END)
        FROM generate_series(1::bigint, $1) AS n, LATERAL (SELECT %s AS result) AS c', call) INTO grown USING calls;
    RETURN grown;
END $$;

CREATE TEMP TABLE calls (call text, fraction integer);
INSERT INTO calls VALUES
    ('postback.mint_click_id(n)', 1),
    ('postback.mint_random_click_id()', 1),
    ('postback.click_id_time(''018f0000-0000-7000-8000-'' || lpad(n::text, 12, ''0''))', 1),
    ('postback.click_id_bucket(''018f0000-0000-7000-8000-'' || lpad(n::text, 12, ''0''))', 1),
    ('postback.is_legal_click_id(''a'' || n)', 1),
    ('postback.subscriber_bucket(n)', 1),
    ('postback.sign(''click_id='' || n, ''secret'' || n % 2)', 1),
    ('postback.verify_signature(''click_id='' || n, repeat(''ab'', 32), ''secret'')', 1),
    ('postback.classify_visitor(''GET'', NULL, ''Mozilla/5.0 (iPhone) '' || n)', 1),
    ('_postback.decode_code(_postback.encode_code(n, sha256(''key'')), sha256(''key''))', 1),
    ('(_postback.number_links(1, n, ARRAY[n, NULL])).link_ids', 1),
    ('_postback.decode_codes(_postback.encode_codes(ARRAY[n, NULL], sha256(''key'')), sha256(''key''))', 1),
    ('_postback.has_foreign_id(ARRAY[n::text], ARRAY[n])', 1),
    ('_postback.render_url(''https://network.example.com/?a={click_id}&s={sub1}'', n::text, n, n, n, n, n, jsonb_build_object(''sub1'', n))', 1),
    ('_postback.check_url_template(''https://network.example.com/'' || n || ''?a={click_id}'')', 2),
    ('(_postback.destination_target(''https://network.example.com/'' || n || ''?a={click_id}'')).address', 2),
    ('_postback.check_body_template(''{"id": "{click_id}", "n": '' || n || ''}'', ''application/json'')', 2),
    ('_postback.read_parameters(convert_to(''click_id='' || n || ''&payout=5&transaction_id=t'', ''UTF8''), NULL, NULL, jsonb_build_object(''click_id'', jsonb_build_array(''click_id'', n)), NULL)', 5),
    ('_postback.mask_tokens(convert_to(''token='' || n, ''UTF8''), ''{"token": ["token"]}'')', 2),
    ('_postback.verify_query(convert_to(''click_id='' || n || ''&sig=00'', ''UTF8''), ''{secret}'', ''raw1'', NULL, NULL)', 2),
    ('_postback.is_secret(n::text, ''{secret}'')', 1),
    ('_postback.source_cidrs(ARRAY[''10.0.0.'' || n % 256])', 2),
    ('_postback.shares(''time_decay'', ''1 day'', 1, 1, 1, ARRAY[''2025-01-01''::timestamptz, ''2025-01-01''], ARRAY[n, n], ''any'', n, NULL, 1::smallint, ''2025-01-02'', ''7 days'')', 1),
    ('_postback.qualifying(ARRAY[''2025-01-01''::timestamptz], ARRAY[n], ''any'', n, NULL, 1::smallint, ''2025-01-02'', ''7 days'')', 1),
    ('_postback.credited_place(''last_click'', ARRAY[''2025-01-01''::timestamptz], ARRAY[n], ''any'', n, NULL, 1::smallint, ''2025-01-02'', ''7 days'')', 1),
    ('_postback.revenue(n::numeric, ''USD'', ARRAY[(1::bigint << 40) | 500000000000, (2::bigint << 40) | 500000000000], (1::bigint << 40) | 500000000000)', 1),
    ('_postback.credit_of(n)', 1),
    ('_postback.minor_units(CASE n % 2 WHEN 0 THEN ''JPY'' ELSE ''USD'' END)', 1),
    ('_postback.fold(''{approved}'', ARRAY[n::text], ''{2025-01-01}'', ''{f}'', ''{2025-01-01}'', ''{pending}'', ''{approved}'')', 5),
    ('(_postback.markov_shares(ARRAY[n, n + 1], ''{2}'', ''{3}'', ''{1}'', 1)).share', 10),
    ('(_postback.shapley_shares(ARRAY[n, n + 1], ''{2}'', ''{3}'', ''{1}'', ''rate'', 10, n)).share', 10),
    ('_postback.median_of_packed(sha256(n::text::bytea))', 1),
    ('postback.record_click(current_setting(''tests.code''))', 20),
    ('postback.record_click(current_setting(''tests.code''), click_id => ''mem'' || n)', 10),
    ('postback.receive_postback(''default'', ''click_id=unknown&payout=5&transaction_id=t'' || n % 7)', 10),
    ('postback.receive_postback(''default'', ''nothing='' || n)', 10);
SELECT cmp_ok(pg_temp.growth(call, :calls / fraction), '<', 300::bigint, call) FROM calls;
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
       WHERE p.pronamespace = 'postback'::regnamespace AND l.lanname = 'c' AND p.proname <> 'version'
         AND NOT EXISTS (SELECT FROM calls AS c WHERE strpos(c.call, 'postback.' || p.proname || '(') > 0) $$,
    'every public function in C is among them');
SELECT * FROM finish();
