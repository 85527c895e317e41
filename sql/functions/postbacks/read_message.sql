-- From bytes to a message: which network, is it authentic, what does it say. No table is written here.

-- The byte work (extension/core): parameters by the network's map, macros, decimals, the key of the recipe.
CREATE FUNCTION _postback.read_parameters(
    query bytea, body bytea, content_type text, parameters jsonb, dedupe text[],
    own_currency text DEFAULT NULL, joins_payouts boolean DEFAULT false)
RETURNS TABLE (
    problem text, note text, click_id text, transaction_id text, event text, raw_status text, payout text, payout_problem text,
    currency text, network_offer_id text, event_time text, token text, dedupe_key text)
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'read_parameters_wrapper';

-- The bytes with the values of the token parameters replaced, fit to be stored.
CREATE FUNCTION _postback.mask_tokens(raw bytea, parameters jsonb)
RETURNS bytea LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mask_tokens_wrapper';

CREATE FUNCTION _postback.read_message(
    ordinal integer, postback_id text, received_at timestamptz, network text, token text, method text, path text,
    query bytea, body bytea, content_type text, source_ip inet)
RETURNS _postback.message LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    net record;
    said record;
    proof record;
    status postback.conversion_status;
    problem text;
    payout numeric;
    event_at timestamptz;
    note text;
    opened bytea;
    kept_path CONSTANT text := CASE WHEN token IS NULL THEN path ELSE regexp_replace(path, '[^/]*$', '***') END;
BEGIN
    SELECT n.* INTO net FROM postback.networks AS n
    WHERE n.network_id = _postback.route_network(network, query, body, content_type);
    IF NOT FOUND THEN
        RETURN ROW(ordinal, postback_id, received_at, NULL, method, kept_path, _postback.mask_tokens(query, NULL),
            _postback.mask_tokens(body, NULL), content_type, source_ip, '{}', 'no network of this name', NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL)::_postback.message;
    END IF;

    IF body <> '' THEN
        opened := _postback.opened_body(net.network_id, body, received_at);
    END IF;
    SELECT p.* INTO said
    FROM _postback.read_parameters(query, opened, CASE WHEN opened = body THEN content_type ELSE 'application/json' END,
        net.parameters, net.dedupe, net.currency, net.joins_payouts) AS p;
    SELECT a.* INTO proof
    FROM _postback.authenticate(net.network_id, token, said.token, method, path, query, body, content_type, source_ip, received_at) AS a;

    status := CASE WHEN said.raw_status IS NULL THEN net.default_status
                   ELSE (net.statuses ->> lower(said.raw_status))::postback.conversion_status END;
    problem := said.problem;
    note := said.note;
    IF said.payout_problem IS NULL THEN
        payout := said.payout::numeric;
    ELSIF status IN ('rejected', 'reversed') THEN
        note := concat_ws('; ', note, said.payout_problem);  -- such a status pays nothing, whatever the amount
    ELSIF said.click_id IS NOT NULL OR said.transaction_id IS NOT NULL THEN
        problem := coalesce(problem, said.payout_problem);
    END IF;
    IF said.event_time IS NOT NULL THEN
        event_at := _postback.read_time(said.event_time, net.time_zone);
        IF event_at IS NULL THEN
            note := concat_ws('; ', note, 'the time was not understood');
        ELSIF event_at > received_at + interval '5 minutes' THEN
            event_at := NULL;
            note := concat_ws('; ', note, 'the time lies in the future: is the network''s time_zone right?');
        END IF;
    END IF;
    RETURN ROW(ordinal, postback_id, received_at, net.network_id, method, kept_path,
        _postback.mask_tokens(query, net.parameters), CASE WHEN body IS NOT NULL THEN _postback.mask_tokens(body, net.parameters) END,
        content_type, source_ip, proof.checks, proof.failure, problem, said.click_id, said.transaction_id, said.event, said.raw_status,
        status, payout, said.currency, said.network_offer_id, event_at, note,
        CASE WHEN _postback.is_test(proof.checks, proof.failure, query, body, content_type) THEN 'test:' ELSE '' END || said.dedupe_key)::_postback.message;
END
$$;

-- The same for a message that made reading fail: it is kept as malformed, and its neighbours go on.
CREATE FUNCTION _postback.read_message_carefully(
    ordinal integer, postback_id text, received_at timestamptz, network text, token text, method text, path text,
    query bytea, body bytea, content_type text, source_ip inet)
RETURNS _postback.message LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN _postback.read_message(ordinal, postback_id, received_at, network, token, method, path, query, body, content_type, source_ip);
EXCEPTION
    WHEN data_exception OR integrity_constraint_violation OR raise_exception OR internal_error THEN
        RETURN ROW(ordinal, postback_id, received_at, NULL, method, CASE WHEN token IS NULL THEN path END,
            _postback.mask_tokens(query, NULL), _postback.mask_tokens(body, NULL), content_type, source_ip, '{}', NULL,
            format('could not be read: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL)::_postback.message;
END
$$;

-- The network of a URL: by its slug; for a plain /postback the one of the named click's offer, else 'default'.
CREATE FUNCTION _postback.route_network(network text, query bytea, body bytea, content_type text)
RETURNS integer LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fallback record;
    named_click text;
    of_offer integer;
BEGIN
    IF network IS NOT NULL THEN
        RETURN (SELECT n.network_id FROM postback.networks AS n WHERE n.slug = lower(network));
    END IF;
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
