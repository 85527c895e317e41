-- Is a message from the network that it names? Every check that is configured runs and must pass.

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

-- A kind whose secrets have all expired lets nobody in.
CREATE FUNCTION _postback.authenticate(
    network_id integer, path_token text, token text, method text, path text, query bytea, body bytea, content_type text, source_ip inet,
    at timestamptz, OUT checks text[], OUT failure text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    net record;
    configured record;
    refused text;
    time_is_signed boolean := false;
BEGIN
    SELECT n.allowed_cidrs, n.signature_scheme, n.signature_covers_target, n.parameters, n.hash_algorithm, n.hash_template, n.signed_time_parameter
    INTO net FROM postback.networks AS n WHERE n.network_id = network_id;
    checks := '{}';
    IF net.allowed_cidrs IS NOT NULL THEN
        IF _postback.unmapped(source_ip) <<= ANY (net.allowed_cidrs) THEN
            checks := checks || 'cidr:ok'::text;
        ELSE
            checks := checks || 'cidr:refused'::text;
            failure := 'source address is not allowed';
        END IF;
    END IF;

    FOR configured IN
        SELECT s.kind, coalesce(array_agg(s.secret ORDER BY s.secret_id DESC) FILTER (WHERE at >= s.not_before AND at < s.not_after), '{}') AS secrets
        FROM _postback.network_secrets AS s WHERE s.network_id = network_id GROUP BY s.kind ORDER BY s.kind
    LOOP
        IF configured.kind = 'hmac' THEN
            time_is_signed := true;
            -- The signature covers one string. A message in two parts would have a part that nobody signed.
            refused := CASE
                WHEN query <> '' AND body <> '' THEN 'a body beside a signed query'
                ELSE _postback.verify_query(CASE WHEN body <> '' THEN body ELSE coalesce(query, '') END, configured.secrets, net.signature_scheme,
                    CASE WHEN net.signature_covers_target THEN method END, CASE WHEN net.signature_covers_target THEN path END) END;
        ELSIF configured.kind = 'hash' THEN
            time_is_signed := time_is_signed OR coalesce(strpos(net.hash_template, '{' || net.signed_time_parameter || '}') > 0, false);
            refused := _postback.verify_hash(query, body, content_type, net.parameters, net.hash_algorithm, net.hash_template, configured.secrets);
        ELSIF configured.kind = 'clickbank_ins' THEN
            -- What is read is the decrypted body alone: nobody vouches for a query beside it.
            refused := CASE WHEN query <> '' THEN 'a query beside an encrypted body'
                WHEN _postback.decrypt_clickbank(body, configured.secrets) IS NULL THEN 'no secret opens the body' END;
        ELSIF configured.kind = 'token' THEN
            refused := CASE WHEN NOT _postback.is_secret(token, configured.secrets) THEN 'token is missing or wrong' END;
        ELSE
            refused := CASE WHEN NOT _postback.is_secret(path_token, configured.secrets) THEN 'path token is missing or wrong' END;
        END IF;
        checks := checks || (configured.kind || CASE WHEN refused IS NULL THEN ':ok' ELSE ':refused' END);
        failure := nullif(concat_ws('; ', failure, refused), '');
    END LOOP;

    IF net.signed_time_parameter IS NOT NULL THEN
        refused := CASE
            WHEN NOT time_is_signed THEN 'a signed time is asked for, and no hmac or hash covers it'
            ELSE _postback.check_signed_time(_postback.single_value(query, body, content_type, net.signed_time_parameter), at) END;
        checks := checks || (CASE WHEN refused IS NULL THEN 'time:ok' ELSE 'time:refused' END);
        failure := nullif(concat_ws('; ', failure, refused), '');
    END IF;
END
$$;

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
