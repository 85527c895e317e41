CREATE FUNCTION postback.version()
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION postback.version() IS 'The version of the loaded library, such as 0.1.0.';

-- The statements of sql/tables, sql/presets and sql/views, in order; compiled into the library.
CREATE FUNCTION _postback.install_steps()
RETURNS TABLE (step text, statements text) LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'install_steps_wrapper';

CREATE FUNCTION postback.install()
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    next_step record;
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
    FOR next_step IN SELECT s.step, s.statements FROM _postback.install_steps() AS s LOOP
        EXECUTE next_step.statements;
    END LOOP;
    PERFORM postback.add_network('default', 'generic');
    PERFORM postback.maintain();
    RETURN format('postback %s is installed in database %s', postback.version(), current_database());
END
$$;
COMMENT ON FUNCTION postback.install() IS
    'Creates the tables, views, triggers and first partitions, owned by the caller: pg_dump dumps them like any table. Once per database.';
