-- From bytes to a message: which network, is it authentic, what does it say. No table is written here.

-- The byte work (extension/core): parameters by the network's map, macros, decimals, the key of the recipe.
CREATE FUNCTION _postback.read_parameters(
    query bytea, body bytea, content_type text, parameters jsonb, dedupe text[],
    own_currency text DEFAULT NULL, joins_payouts boolean DEFAULT false)
RETURNS TABLE (
    problem text, note text, click_id text, transaction_id text, event text, raw_status text, payout text, payout_problem text,
    currency text, network_offer_id text, event_time text, token text, dedupe_key text)
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'read_parameters_wrapper';

-- The bytes with the values of the token parameters replaced, fit to be stored.
CREATE FUNCTION _postback.mask_tokens(raw bytea, parameters jsonb)
RETURNS bytea LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mask_tokens_wrapper';

-- One message per element. Its time of receipt is the one in its postback id, without one the time at; first is the ordinal of the
-- first element.
CREATE FUNCTION _postback.read_messages(
    networks text[], queries bytea[], source_ips inet[], tokens text[], methods text[], paths text[], bodies bytea[], content_types text[],
    postback_ids text[], at timestamptz, first integer DEFAULT 1)
RETURNS SETOF _postback.message LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT p.ordinal::integer + first - 1, i.postback_id, t.received_at, n.network_id, m.method,
        CASE WHEN p.token IS NULL THEN p.path ELSE regexp_replace(p.path, '[^/]*/?$', '***') END,
        _postback.mask_tokens(p.query, n.parameters), CASE WHEN p.body IS NOT NULL THEN _postback.mask_tokens(p.body, n.parameters) END, p.content_type, p.source_ip,
        coalesce(proof.checks, '{}'), CASE WHEN n.network_id IS NULL THEN 'no network of this name' ELSE proof.failure END,
        coalesce(said.problem, CASE WHEN s.pays AND (said.click_id IS NOT NULL OR said.transaction_id IS NOT NULL) THEN said.payout_problem END),
        said.click_id, said.transaction_id, said.event, said.raw_status, s.status,
        CASE WHEN said.payout_problem IS NULL THEN said.payout::numeric END, said.currency, said.network_offer_id,
        CASE WHEN NOT e.is_future THEN e.event_at END,
        nullif(concat_ws('; ', said.note,
            CASE WHEN NOT s.pays THEN said.payout_problem END,  -- such a status pays nothing, whatever the amount
            CASE WHEN said.event_time IS NOT NULL AND e.event_at IS NULL THEN 'the time was not understood' END,
            CASE WHEN e.is_future THEN 'the time lies in the future: is the network''s time_zone right?' END,
            CASE WHEN z.says_test AND NOT z.is_proven THEN 'test=1 counts only with a secret of the network' END), ''),
        CASE WHEN z.says_test AND z.is_proven THEN 'test:' || said.dedupe_key ELSE said.dedupe_key END
    FROM unnest(networks, queries, source_ips, tokens, methods, paths, bodies, content_types, postback_ids)
        WITH ORDINALITY AS p (network, query, source_ip, token, method, path, body, content_type, postback_id, ordinal)
    CROSS JOIN LATERAL (SELECT coalesce(p.method, 'GET')) AS m (method)
    CROSS JOIN LATERAL (SELECT coalesce(postback.click_id_time(p.postback_id), date_trunc('milliseconds', at)) OFFSET 0) AS t (received_at)
    CROSS JOIN LATERAL (SELECT coalesce(p.postback_id, postback.mint_click_id(NULL, t.received_at)) OFFSET 0) AS i (postback_id)
    LEFT JOIN LATERAL (
        SELECT w.* FROM postback.networks AS w WHERE w.slug = lower(p.network)
        UNION ALL
        SELECT w.* FROM postback.networks AS w
        WHERE p.network IS NULL AND w.network_id = _postback.network_of_click(p.query, p.body, p.content_type)) AS n ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN p.body <> '' THEN _postback.opened_body(n.network_id, p.body, t.received_at) END OFFSET 0) AS o (body)
    LEFT JOIN LATERAL _postback.read_parameters(p.query, o.body, CASE WHEN o.body = p.body THEN p.content_type ELSE 'application/json' END,
        n.parameters, n.dedupe, n.currency, n.joins_payouts) AS said ON n.network_id IS NOT NULL
    -- Is it from the network that it names? Every check that is configured runs and must pass; a kind of secret of which all have expired
    -- lets nobody in. (Not a function of its own: calling one costs several times what it does.)
    CROSS JOIN LATERAL (
        SELECT array_agg(c.name || CASE WHEN c.refused IS NULL THEN ':ok' ELSE ':refused' END ORDER BY c.place, c.name) AS checks,
               string_agg(c.refused, '; ' ORDER BY c.place, c.name) AS failure
        FROM (
            SELECT 1 AS place, 'cidr' AS name,
                CASE WHEN coalesce(_postback.unmapped(p.source_ip) <<= ANY (n.allowed_cidrs), false) THEN NULL ELSE 'source address is not allowed' END
                AS refused
            WHERE n.allowed_cidrs IS NOT NULL
            UNION ALL
            SELECT 2, s.kind, CASE
                -- The signature covers one string. A message in two parts would have a part that nobody signed.
                WHEN s.kind = 'hmac' THEN CASE WHEN p.query <> '' AND p.body <> '' THEN 'a body beside a signed query'
                    ELSE _postback.verify_query(CASE WHEN p.body <> '' THEN p.body ELSE coalesce(p.query, '') END, s.secrets, n.signature_scheme,
                        CASE WHEN n.signature_covers_target THEN m.method END, CASE WHEN n.signature_covers_target THEN p.path END) END
                WHEN s.kind = 'hash' THEN
                    _postback.verify_hash(p.query, p.body, p.content_type, n.parameters, n.hash_algorithm, n.hash_template, s.secrets)
                -- What is read is the decrypted body alone: nobody vouches for a query beside it.
                WHEN s.kind = 'clickbank_ins' THEN CASE WHEN p.query <> '' THEN 'a query beside an encrypted body'
                    WHEN _postback.decrypt_clickbank(p.body, s.secrets) IS NULL THEN 'no secret opens the body' END
                WHEN s.kind = 'token' THEN CASE WHEN NOT _postback.is_secret(said.token, s.secrets) THEN 'token is missing or wrong' END
                ELSE CASE WHEN NOT _postback.is_secret(p.token, s.secrets) THEN 'path token is missing or wrong' END END
            FROM (
                SELECT w.kind, coalesce(array_agg(w.secret ORDER BY w.secret_id DESC)
                    FILTER (WHERE t.received_at >= w.not_before AND t.received_at < w.not_after), '{}') AS secrets
                FROM _postback.network_secrets AS w WHERE w.network_id = n.network_id GROUP BY w.kind) AS s
            UNION ALL
            SELECT 3, 'time', CASE
                WHEN NOT EXISTS (
                    SELECT FROM _postback.network_secrets AS w
                    WHERE w.network_id = n.network_id
                      AND (w.kind = 'hmac' OR w.kind = 'hash' AND strpos(n.hash_template, '{' || n.signed_time_parameter || '}') > 0))
                    THEN 'a signed time is asked for, and no hmac or hash covers it'
                ELSE _postback.check_signed_time(_postback.single_value(p.query, p.body, p.content_type, n.signed_time_parameter), t.received_at) END
            WHERE n.signed_time_parameter IS NOT NULL) AS c) AS proof
    -- Without a secret that it has passed anybody could hide a sale with test=1.
    CROSS JOIN LATERAL (
        SELECT coalesce(proof.failure IS NULL AND proof.checks && '{hmac:ok,token:ok,path_token:ok,hash:ok,clickbank_ins:ok}', false) AS is_proven,
               CASE WHEN position('test'::bytea IN coalesce(p.query, '')) > 0 OR position('test'::bytea IN coalesce(p.body, '')) > 0
                   THEN _postback.says_test(p.query, p.body, p.content_type) ELSE false END AS says_test OFFSET 0) AS z
    CROSS JOIN LATERAL (
        SELECT w.status, coalesce(w.status IN ('pending', 'approved'), true) AS pays
        FROM (SELECT CASE WHEN said.raw_status IS NULL THEN n.default_status
                          ELSE (n.statuses ->> lower(said.raw_status))::postback.conversion_status END) AS w (status)) AS s
    CROSS JOIN LATERAL (
        SELECT w.event_at, w.event_at > t.received_at + interval '5 minutes' AS is_future
        FROM (SELECT CASE WHEN said.event_time IS NOT NULL THEN _postback.read_time(said.event_time, n.time_zone) END OFFSET 0) AS w (event_at)) AS e;
END
$$;

-- The same, each on its own: one that makes reading fail is kept as malformed, and its neighbours go on.
CREATE FUNCTION _postback.read_messages_carefully(
    networks text[], queries bytea[], source_ips inet[], tokens text[], methods text[], paths text[], bodies bytea[], content_types text[],
    postback_ids text[], at timestamptz)
RETURNS SETOF _postback.message LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    received_at timestamptz;
BEGIN
    FOR i IN 1 .. greatest(cardinality(networks), cardinality(queries), cardinality(bodies)) LOOP
        BEGIN
            RETURN QUERY SELECT r.* FROM _postback.read_messages(networks[i:i], queries[i:i], source_ips[i:i], tokens[i:i], methods[i:i], paths[i:i],
                bodies[i:i], content_types[i:i], postback_ids[i:i], at, i) AS r;
        EXCEPTION
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception OR internal_error THEN
                received_at := coalesce(postback.click_id_time(postback_ids[i]), date_trunc('milliseconds', at));
                RETURN QUERY SELECT i, coalesce(postback_ids[i], postback.mint_click_id(NULL, received_at)), received_at, NULL::integer,
                    coalesce(methods[i], 'GET'), CASE WHEN tokens[i] IS NULL THEN paths[i] END,
                    _postback.mask_tokens(queries[i], NULL), _postback.mask_tokens(bodies[i], NULL), content_types[i], source_ips[i], '{}'::text[], NULL,
                    format('could not be read: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL, NULL, NULL, NULL::postback.conversion_status,
                    NULL::numeric, NULL, NULL, NULL::timestamptz, NULL, NULL;
        END;
    END LOOP;
END
$$;

-- The network of a message to the plain /postback: the one of the named click's offer, else 'default'.
CREATE FUNCTION _postback.network_of_click(query bytea, body bytea, content_type text)
RETURNS integer LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fallback record;
    named_click text;
    of_offer integer;
BEGIN
    SELECT n.network_id, n.parameters INTO fallback FROM postback.networks AS n WHERE n.slug = 'default';
    SELECT p.click_id INTO named_click
    FROM _postback.read_parameters(query, body, content_type, fallback.parameters, NULL) AS p;
    IF named_click IS NOT NULL THEN
        SELECT o.network_id INTO of_offer FROM postback.offers AS o
        WHERE o.offer_id = (_postback.find_click(named_click)).offer_id;
    END IF;
    RETURN coalesce(of_offer, fallback.network_id);
END
$$;

-- Unix seconds, Unix milliseconds, ISO 8601, or 'Y-m-d H:i:s' in the network's zone. NULL when it is none of them.
CREATE FUNCTION _postback.read_time(written text, zone text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
BEGIN
    IF written ~ '^\d{9,10}$' THEN
        RETURN to_timestamp(written::bigint);
    ELSIF written ~ '^\d{12,13}$' THEN
        RETURN to_timestamp(written::numeric / 1000);
    ELSIF written ~ '^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?$' THEN
        RETURN written::timestamp AT TIME ZONE zone;
    ELSIF written ~ '^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)$' THEN
        RETURN written::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN data_exception THEN
        RETURN NULL;
END
$$;
