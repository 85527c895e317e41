-- A request that was answered from the spool and that the database then refused for what it carries: kept for a person to look at.
CREATE FUNCTION postback.keep_dead_letter(
    kind text, request_id text, requested_at timestamptz, request jsonb, record bytea, failure text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The proxy may not have heard that the first try got through.
    INSERT INTO postback.dead_letters (kind, request_id, requested_at, request, record, failure)
    VALUES (kind, request_id, requested_at, request, record, failure)
    ON CONFLICT ON CONSTRAINT dead_letters_pkey DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION postback.keep_dead_letter(text, text, timestamptz, jsonb, bytea, text) IS
    'Keeps a spooled request that the database refused, so that it blocks no other; false when it is kept already. For the proxy.';
