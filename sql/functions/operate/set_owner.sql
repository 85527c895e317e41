-- CREATE EXTENSION leaves every function with the superuser who ran it, and a dump does not carry who owns a function of an
-- extension. So that no definer function has more rights than the tables' owner, functions and tables are given to one role.
CREATE FUNCTION postback.set_owner(owner text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    role record;
    change text;
BEGIN
    owner := coalesce(owner, (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = to_regclass('_postback.settings')));
    SELECT r.oid, r.rolname, r.rolsuper INTO role FROM pg_roles AS r WHERE r.rolname = owner;
    IF role IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', owner USING ERRCODE = 'undefined_object',
            HINT = 'CREATE ROLE … NOLOGIN first; postback makes none.';
    ELSIF role.rolsuper THEN
        RAISE WARNING 'the functions of postback run with the rights of superuser "%"', owner
            USING HINT = 'CREATE ROLE postback_owner NOLOGIN; SELECT postback.set_owner(''postback_owner'');';
    END IF;
    FOR change IN
        SELECT format('ALTER SCHEMA %I', n.nspname) FROM pg_namespace AS n
        WHERE n.nspname IN ('postback', '_postback') AND n.nspowner <> role.oid
        UNION ALL
        SELECT format('ALTER ROUTINE %s', p.oid::regprocedure) FROM pg_proc AS p
        WHERE p.pronamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND p.proowner <> role.oid
        UNION ALL
        -- The sequence of a column goes with its table.
        SELECT format('ALTER %s %s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass) FROM pg_class AS c
        WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND c.relkind IN ('r', 'p', 'v') AND c.relowner <> role.oid
    LOOP
        EXECUTE format('%s OWNER TO %I', change, role.rolname);
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.set_owner(text) IS
    'Gives the schemas, tables, views and functions to an existing role, with whose rights the definer functions then run; without a name, to the '
    'owner of the tables, as is right after a restore or an update. Warns when that is a superuser. Errors: 42704 for a missing role.';
