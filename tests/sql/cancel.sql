-- A call of any length can be broken off: within a second and a half of the moment at which it should end.
SELECT no_plan();
CREATE EXTENSION dblink SCHEMA tap;
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s user=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user)) \g /dev/null

SELECT postback.add_offer('Offer', 'https://network.example.com/?a={click_id}', offer_id => 789) \g /dev/null
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
SELECT postback.create_send(456, base_url => 'https://s.example.com') AS send_id \gset
SELECT code FROM postback.mint_links(:send_id, '{1001}') \gset
SELECT dblink_exec('other', format('SET tests.code = %L; SET tests.send = %L', :'code', :'send_id')) \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, clicked_at)
SELECT 'k' || n, n % 1000, 789, timestamptz '2025-03-10 00:00+00' + n * interval '1 second' FROM generate_series(1, 8000) AS n;
INSERT INTO postback.conversions (transaction_id, click_id, payout, converted_at)
SELECT 't' || n, 'k' || n, 3, timestamptz '2025-03-11 00:00+00' FROM generate_series(1, 5000) AS n;

-- Arguments as they lie in a table, so that the call itself takes the time.
CREATE TABLE public.ids AS SELECT array_agg(n) AS bigints, array_agg(current_setting('tests.code', true)) AS codes FROM generate_series(1::bigint, 1000000) AS n;
UPDATE public.ids SET codes = array_fill(:'code'::text, ARRAY[300000]);

CREATE FUNCTION pg_temp.ended(statement text, milliseconds integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
    late double precision;
BEGIN
    PERFORM tap.dblink_exec('other', format('SET statement_timeout = %s', milliseconds));
    started := clock_timestamp();
    BEGIN
        PERFORM * FROM tap.dblink('other', statement) AS t (nothing text);
        RETURN 'finished before it was to end';
    EXCEPTION WHEN query_canceled THEN
        late := extract(epoch FROM clock_timestamp() - started) - milliseconds / 1000.0;
        RETURN CASE WHEN late < 1.5 THEN 'in time' ELSE 'after ' || late END;
    END;
END $$;

SELECT is(pg_temp.ended(replace(statement, E'\n', ' '), milliseconds), 'in time', format('%s ms: %s', milliseconds, statement))
FROM (VALUES
    ('SELECT count(*)::text FROM public.ids, LATERAL postback.mint_links(current_setting(''tests.send'')::bigint, bigints)', '{200,800}'::integer[]),
    ('SELECT count(*)::text FROM public.ids, LATERAL _postback.number_links(1, 1, bigints)', '{100}'),
    ('SELECT cardinality(_postback.encode_codes(bigints, sha256(''key'')))::text FROM public.ids', '{100}'),
    ('SELECT count(*)::text FROM public.ids, LATERAL postback.record_clicks(codes)', '{200,800}'),
    ('SELECT count(*)::text FROM postback.receive_postbacks(array_fill(''default''::text, ARRAY[50000]), array_fill(''click_id=k1&payout=5&transaction_id=t''::bytea, ARRAY[50000]))', '{200,800}'),
    ('SELECT count(*)::text FROM postback.verify_ledger()', '{10}'),
    ('SELECT sum(a.n)::text FROM generate_series(1, 100) AS day, LATERAL (SELECT count(*) AS n FROM postback.attribution(''linear'', until => now() + day * interval ''1 day'')) AS a', '{10,100}'),
    ('SELECT count(*)::text FROM postback.compare_models()', '{10}'),
    ('SELECT count(*)::text FROM _postback.markov_shares(ARRAY(SELECT n * n % 997 FROM generate_series(1::bigint, 200000) AS n), array_fill(20, ARRAY[10000]), array_fill(1::bigint, ARRAY[10000]), array_fill(1::bigint, ARRAY[10000]), 4)', '{300}'),
    ('SELECT count(*)::text FROM _postback.shapley_shares(ARRAY(SELECT n * n % 997 FROM generate_series(1::bigint, 200000) AS n), array_fill(20, ARRAY[10000]), array_fill(1::bigint, ARRAY[10000]), array_fill(1::bigint, ARRAY[10000]), ''rate'', 1000000, 1)', '{300}'),
    ('SELECT count(*)::text FROM _postback.shapley_shares(ARRAY(SELECT n % 20 FROM generate_series(1::bigint, 200000) AS n), array_fill(3, ARRAY[60000]), array_fill(1::bigint, ARRAY[60000]), array_fill(1::bigint, ARRAY[60000]), ''rate'', 1, 1)', '{10}')
) AS s (statement, timeouts), unnest(timeouts) AS milliseconds;
SELECT is((SELECT alive FROM dblink('other', 'SELECT postback.version()') AS t (alive text)), postback.version(), 'the session goes on');
SELECT dblink_disconnect('other') \g /dev/null
SELECT * FROM finish();
