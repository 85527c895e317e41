-- Every check that is configured runs and must pass; a kind whose secrets have all expired lets nobody in.
CREATE FUNCTION _postback.authenticate(
    network_id integer, path_token text, token text, method text, path text, query bytea, body bytea, content_type text, source_ip inet,
    at timestamptz, OUT checks text[], OUT failure text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    net record;
    configured record;
    refused text;
BEGIN
    SELECT n.allowed_cidrs, n.signature_scheme, n.signature_covers_target INTO net
    FROM postback.networks AS n WHERE n.network_id = network_id;
    checks := '{}';
    IF net.allowed_cidrs IS NOT NULL THEN
        IF source_ip <<= ANY (net.allowed_cidrs) THEN
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
            -- The signature covers one string. A message in two parts would have a part that nobody signed.
            refused := CASE
                WHEN query <> '' AND body <> '' THEN 'a body beside a signed query'
                ELSE _postback.verify_query(CASE WHEN body <> '' THEN body ELSE coalesce(query, '') END, configured.secrets, net.signature_scheme,
                    CASE WHEN net.signature_covers_target THEN method END,
                    CASE WHEN net.signature_covers_target THEN path END) END;
        ELSIF configured.kind = 'token' THEN
            refused := CASE WHEN NOT _postback.is_secret(token, configured.secrets) THEN 'token is missing or wrong' END;
        ELSE
            refused := CASE WHEN NOT _postback.is_secret(path_token, configured.secrets) THEN 'path token is missing or wrong' END;
        END IF;
        checks := checks || (configured.kind || CASE WHEN refused IS NULL THEN ':ok' ELSE ':refused' END);
        failure := nullif(concat_ws('; ', failure, refused), '');
    END LOOP;
END
$$;
