-- Every object of the public schema says in one sentence what it is; docs/sql-api.md is made from these comments.
SELECT no_plan();

SELECT isnt(obj_description(p.oid, 'pg_proc'), NULL, 'function ' || p.oid::regprocedure || ' has a comment')
FROM pg_proc AS p
WHERE p.pronamespace = 'postback'::regnamespace
ORDER BY p.oid::regprocedure::text;

SELECT isnt(obj_description(c.oid, 'pg_class'), NULL, 'relation ' || c.oid::regclass || ' has a comment')
FROM pg_class AS c
WHERE c.relnamespace = 'postback'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY c.oid::regclass::text;

SELECT isnt(obj_description(t.oid, 'pg_type'), NULL, 'type ' || t.oid::regtype || ' has a comment')
FROM pg_type AS t
WHERE t.typnamespace = 'postback'::regnamespace AND t.typtype IN ('e', 'd')
ORDER BY t.oid::regtype::text;

SELECT * FROM finish();
