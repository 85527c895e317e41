-- PostgreSQL does not check function bodies inside an extension script, so here each one is checked once.
CREATE EXTENSION plpgsql_check SCHEMA tap;
SET check_function_bodies = on;
SELECT no_plan();

-- A function in SQL is checked by creating it again.
CREATE FUNCTION pg_temp.problem_of(function oid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE pg_get_functiondef(function);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;

SELECT is(pg_temp.problem_of(p.oid), NULL, p.oid::regprocedure || ' is valid')
FROM pg_proc AS p
JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND l.lanname = 'sql' AND p.prokind = 'f'
ORDER BY p.oid::regprocedure::text;

-- A trigger function is checked once for each table it serves; of a partitioned table's copies, the parent is enough.
SELECT is(
    (SELECT string_agg(format('line %s: %s', c.lineno, c.message), E'\n')
     FROM plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), other_warnings => false) AS c
     WHERE c.level = 'error'),
    NULL,
    p.oid::regprocedure || coalesce(' on ' || t.tgrelid::regclass, '') || ' is valid')
FROM pg_proc AS p
JOIN pg_language AS l ON l.oid = p.prolang
LEFT JOIN pg_trigger AS t ON t.tgfoid = p.oid AND NOT t.tgisinternal AND t.tgparentid = 0
WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND l.lanname = 'plpgsql'
    AND p.prokind = 'f' AND (p.prorettype <> 'trigger'::regtype OR t.oid IS NOT NULL)
ORDER BY p.oid::regprocedure::text, t.tgrelid::regclass::text;

SELECT * FROM finish();
