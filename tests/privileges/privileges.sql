-- Prints who may do what with each object of the two schemas, one line a privilege, for roles of each kind that
-- grant_role() makes. Owners are left out (they may do all), and so are partitions (they follow their parent).
SET client_min_messages = warning;
CREATE ROLE privileges_ingest;
CREATE ROLE privileges_analyst;
CREATE ROLE privileges_admin;
DO $$
BEGIN
    PERFORM postback.grant_role('privileges_ingest', 'ingest');
    PERFORM postback.grant_role('privileges_analyst', 'analyst');
    PERFORM postback.grant_role('privileges_admin', 'admin');
END $$;

WITH schemas AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname IN ('postback', '_postback')
), objects (kind, name, owner, acl) AS (
    SELECT 'schema', nspname::text, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM schemas
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
        c.oid::regclass::text, c.relowner,
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))
    FROM pg_class AS c JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
    UNION ALL
    SELECT 'column', a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL AND NOT c.relispartition
    UNION ALL
    SELECT CASE p.prosecdef WHEN true THEN 'definer function' ELSE 'function' END, p.oid::regprocedure::text, p.proowner,
        coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc AS p JOIN schemas AS s ON s.oid = p.pronamespace
    UNION ALL
    SELECT 'type', t.oid::regtype::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
    FROM pg_type AS t JOIN schemas AS s ON s.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd')
)
SELECT format('%s %s: %s may %s', o.kind, o.name,
    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
    string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' (and grant it)' ELSE '' END, ', ' ORDER BY a.privilege_type))
FROM objects AS o CROSS JOIN aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner
GROUP BY o.kind, o.name, a.grantee
ORDER BY o.kind COLLATE "C", o.name COLLATE "C", a.grantee::regrole::text COLLATE "C";

-- A definer function runs with its owner's rights, whoever calls it: each one is listed.
SELECT format('definer function %s', p.oid::regprocedure)
FROM pg_proc AS p
WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND p.prosecdef
ORDER BY p.oid::regprocedure::text COLLATE "C";
