-- A panic in Rust is an ERROR like any other, and the session goes on. No input is known that panics; what does is a second declaration of a
-- function that lets a NULL through to an argument which Rust has declared to have none.
SELECT no_plan();
SELECT pg_backend_pid() AS pid \gset

CREATE FUNCTION pg_temp.failure_of(function oid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    SELECT p.proname, p.prosrc, pg_get_function_result(p.oid) AS result,
        array_to_string(p.proargtypes::regtype[], ', ') AS arguments,
        (SELECT string_agg('NULL::' || a::regtype, ', ' ORDER BY place) FROM unnest(p.proargtypes) WITH ORDINALITY AS t (a, place)) AS nulls
    INTO f FROM pg_proc AS p WHERE p.oid = function;
    EXECUTE format('CREATE FUNCTION pg_temp.%I(%s) RETURNS %s LANGUAGE c AS ''$libdir/postback'', %L', f.proname, f.arguments, f.result, f.prosrc);
    EXECUTE format('SELECT (pg_temp.%I(%s))::text', f.proname, f.nulls);
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;

SELECT matches(pg_temp.failure_of(p.oid), '^XX000 .*(was null|must not be null|on a `None` value)$', 'a panic in ' || p.oid::regprocedure || ' is an error')
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND l.lanname = 'c' AND p.proisstrict AND p.pronargs > 0
  -- These read their arguments in place, and what is missing makes NULL.
  AND p.proname NOT IN ('each_share', 'revenue', 'credit_of')
ORDER BY p.oid::regprocedure::text;

SELECT is(pg_backend_pid(), :pid, 'the session is the same after all of them');
SELECT is(postback.subscriber_bucket(1001), postback.click_id_bucket(postback.mint_click_id(1001)), 'and its functions work');
SELECT * FROM finish();
