-- What read_messages() needs to know whether a message is from the network that it names.

-- NULL when the template's hash over the message's parameters verifies under one of the secrets, else the reason in words.
CREATE FUNCTION _postback.verify_hash(
    query bytea, body bytea, content_type text, parameters jsonb, algorithm text, template text, secrets text[])
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_hash_wrapper';

-- The value of a parameter; NULL when it is missing, has two different values or the message cannot be read.
CREATE FUNCTION _postback.single_value(query bytea, body bytea, content_type text, name text)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'single_value_wrapper';

-- The JSON object in a ClickBank notification; NULL when no secret opens it.
CREATE FUNCTION _postback.decrypt_clickbank(body bytea, secrets text[])
RETURNS bytea LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'decrypt_clickbank_wrapper';

-- Its scalar members, and its first tracking code as tid.
CREATE FUNCTION _postback.flatten_clickbank(notification bytea)
RETURNS bytea LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'flatten_clickbank_wrapper';

-- NULL when a time of signing lies within 300 s of the receipt on either side, in whole seconds; else the reason in words.
CREATE FUNCTION _postback.check_signed_time(written text, at timestamptz)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF written IS NULL OR written !~ '^[1-9][0-9]{0,10}$' THEN
        RETURN 'the signed time is not there once as whole Unix seconds';
    ELSIF abs(floor(extract(epoch FROM at)) - written::bigint) > 300 THEN
        RETURN 'the signed time is more than 300 s from the time of receipt';
    END IF;
    RETURN NULL;
END
$$;

-- An IPv4 address that was mapped into IPv6 (::ffff:192.0.2.7) as what it is; any other address unchanged.
CREATE FUNCTION _postback.unmapped(address inet)
RETURNS inet LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF family(address) = 6 AND address <<= inet '::ffff:0.0.0.0/96' THEN
        RETURN inet '0.0.0.0' + (set_masklen(address, 128) - inet '::ffff:0.0.0.0');
    END IF;
    RETURN address;
END
$$;

-- The body as it is to be read: for a network whose notifications are encrypted the flat JSON object inside, NULL when no secret
-- that was active then opens it; for every other network the body itself.
CREATE FUNCTION _postback.opened_body(network_id integer, body bytea, at timestamptz)
RETURNS bytea LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    secrets CONSTANT text[] := (
        SELECT coalesce(array_agg(s.secret ORDER BY s.secret_id DESC) FILTER (WHERE at >= s.not_before AND at < s.not_after), '{}')
        FROM _postback.network_secrets AS s WHERE s.network_id = network_id AND s.kind = 'clickbank_ins' HAVING count(*) > 0);
BEGIN
    RETURN CASE WHEN secrets IS NULL THEN body ELSE _postback.flatten_clickbank(_postback.decrypt_clickbank(body, secrets)) END;
END
$$;
