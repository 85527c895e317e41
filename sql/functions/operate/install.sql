CREATE FUNCTION postback.version()
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION postback.version() IS 'The version of the loaded library, such as 0.1.0.';

-- The statements of sql/tables, sql/presets and sql/views, in order; compiled into the library.
CREATE FUNCTION _postback.install_steps()
RETURNS TABLE (step text, statements text) LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'install_steps_wrapper';

CREATE FUNCTION postback.install(owner text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    next_step record;
    superuser text;
BEGIN
    IF to_regclass('_postback.settings') IS NOT NULL THEN
        RAISE EXCEPTION 'postback is already installed in this database' USING ERRCODE = 'duplicate_object',
            HINT = 'Once per database is enough. SELECT postback.version() tells which version it is.';
    END IF;
    IF EXISTS (
        SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('postback', '_postback') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')) THEN
        RAISE EXCEPTION 'schema postback has tables that install() did not make' USING ERRCODE = 'duplicate_object',
            HINT = 'Look with \d postback.* and \d _postback.*, and move them away first.';
    END IF;
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'the database is encoded in %, and taps come in UTF-8', getdatabaseencoding() USING ERRCODE = 'feature_not_supported',
            HINT = 'CREATE DATABASE postback ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
    -- Whoever owned the tables could otherwise have a trigger run with the rights of whoever owns the functions.
    SELECT pg_get_userbyid(p.proowner) INTO superuser FROM pg_proc AS p
    WHERE p.oid = 'postback.maintain(timestamptz, text[])'::regprocedure AND NOT pg_has_role(current_user, p.proowner, 'MEMBER');
    IF FOUND THEN
        RAISE EXCEPTION 'the functions of postback belong to another role than the tables would' USING ERRCODE = 'insufficient_privilege',
            HINT = format('As "%s": SELECT postback.install(owner => %L).', superuser, current_user);
    END IF;
    FOR next_step IN SELECT s.step, s.statements FROM _postback.install_steps() AS s LOOP
        EXECUTE next_step.statements;
    END LOOP;
    PERFORM postback.add_network('default', 'generic');
    PERFORM postback.maintain();
    PERFORM postback.set_owner(coalesce(owner, current_user));
    RETURN format('postback %s is installed in database %s', postback.version(), current_database());
END
$$;
COMMENT ON FUNCTION postback.install(text) IS
    'Creates the tables, views, triggers and first partitions, once per database: pg_dump dumps them like any table. They and the functions then belong '
    'to owner, or without one to the caller (see set_owner()). Errors: 42710 when installed already, 0A000 in a database that is not UTF-8, 42501 when the functions belong to somebody else.';
