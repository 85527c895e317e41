-- Networks from presets, and the two URLs that go with them.
CREATE FUNCTION postback.add_network(
    name text,
    preset text DEFAULT 'generic',
    currency text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    allowed_cidrs cidr[] DEFAULT NULL,
    signature_scheme text DEFAULT 'raw1',
    signature_covers_target boolean DEFAULT false,
    answer_body text DEFAULT 'OK',
    parameters jsonb DEFAULT NULL,
    statuses jsonb DEFAULT NULL,
    default_status postback.conversion_status DEFAULT NULL,
    dedupe text[] DEFAULT NULL,
    joins_payouts boolean DEFAULT NULL,
    duplicate_policies jsonb DEFAULT '{}',
    reversal_scope text DEFAULT 'transaction',
    reversal_limit integer DEFAULT 10,
    hash_algorithm text DEFAULT NULL,
    hash_template text DEFAULT NULL,
    signed_time_parameter text DEFAULT NULL,
    click_slot text DEFAULT NULL,
    macros jsonb DEFAULT NULL,
    slug text DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new_network integer;
    path CONSTANT text := coalesce(slug, _postback.slug_of(name));
BEGIN
    IF path IS NULL OR path !~ '^[a-z0-9][a-z0-9-]{0,62}$' THEN
        RAISE EXCEPTION '"%" is no name in a URL: small letters, digits and dashes, at most 63', coalesce(slug, name)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say slug => ''my-network''; the name itself may be any.';
    ELSIF EXISTS (SELECT FROM postback.networks AS n WHERE n.slug = path) THEN
        RAISE EXCEPTION 'network "%" exists already', path USING ERRCODE = 'unique_violation', HINT = 'Say slug => to give this one another name in its URL.';
    END IF;
    IF time_zone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = time_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', time_zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT name FROM pg_timezone_names lists them.';
    END IF;
    IF currency !~ '^[A-Z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is not known', currency USING ERRCODE = 'invalid_parameter_value', HINT = 'A code of ISO 4217 in capital letters, such as USD.';
    END IF;
    PERFORM _postback.check_statuses(statuses);
    INSERT INTO postback.networks (name, slug, preset, click_slot, macros, parameters, statuses, default_status, dedupe, currency, time_zone, joins_payouts,
        duplicate_policies, reversal_scope, reversal_limit, allowed_cidrs, signature_scheme, signature_covers_target,
        signed_time_parameter, hash_algorithm, hash_template, answer_body)
    SELECT name, path, p.preset, coalesce(click_slot, p.click_slot), coalesce(macros, p.macros),
           p.parameters || coalesce(parameters, '{}'), jsonb_strip_nulls(p.statuses || coalesce(lower(statuses::text)::jsonb, '{}')),
           coalesce(default_status, p.default_status), coalesce(dedupe, p.dedupe), coalesce(currency, p.currency),
           coalesce(time_zone, p.time_zone), coalesce(joins_payouts, p.joins_payouts), duplicate_policies, reversal_scope,
           reversal_limit, postback.source_ranges(allowed_cidrs::text[]), signature_scheme, signature_covers_target, signed_time_parameter, hash_algorithm,
           hash_template, answer_body
    FROM postback.network_presets AS p WHERE p.preset = preset
    RETURNING network_id INTO new_network;
    IF new_network IS NULL THEN
        RAISE EXCEPTION 'preset "%" does not exist', preset USING ERRCODE = 'no_data_found',
            HINT = 'SELECT preset, title FROM postback.network_presets lists them.';
    END IF;
    RETURN new_network;
END
$$;
COMMENT ON FUNCTION postback.add_network(text, text, text, text, cidr[], text, boolean, text, jsonb, jsonb, postback.conversion_status,
    text[], boolean, jsonb, text, integer, text, text, text, text, jsonb, text) IS
    'Adds a network from a preset and returns its network_id. Its postback URL is /postback/{slug}; a slug that is left out is the name in '
    'lower case, without accents, with dashes. What else is left out comes from the preset; parameters and statuses are merged over it: a '
    'field''s names replace those of the preset, a status word given as null is taken away. click_slot and macros ([["parameter", "{macro}"], …]) '
    'are what offer_url_hint() and postback_url() print.';

CREATE FUNCTION _postback.slug_of(name text)
RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    plain CONSTANT text := regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g');
BEGIN
    RETURN trim(BOTH '-' FROM left(trim(BOTH '-' FROM regexp_replace(lower(plain), '[^a-z0-9]+', '-', 'g')), 63));
END
$$;

CREATE FUNCTION postback.postback_url(network text, base_url text)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.network_id(network);
BEGIN
    RETURN (
        SELECT rtrim(base_url, '/') || '/postback/' || n.slug
            || coalesce('/' || (SELECT s.secret FROM _postback.network_secrets AS s
                WHERE s.network_id = id AND s.kind = 'path_token' AND s.not_after > clock_timestamp()
                ORDER BY s.not_before <= clock_timestamp() DESC, s.secret_id DESC LIMIT 1), '')
            || '?' || (SELECT string_agg(_postback.parameter_name(m.pair ->> 0, p.parameters, n.parameters) || '=' || (m.pair ->> 1), '&'
                    ORDER BY m.place)
                FROM jsonb_array_elements(n.macros) WITH ORDINALITY AS m (pair, place))
            || coalesce('&' || _postback.parameter_name('token', '{"token": ["token"]}', n.parameters) || '='
                || (SELECT s.secret FROM _postback.network_secrets AS s
                WHERE s.network_id = id AND s.kind = 'token' AND s.not_after > clock_timestamp()
                ORDER BY s.not_before <= clock_timestamp() DESC, s.secret_id DESC LIMIT 1), '')
        FROM postback.networks AS n JOIN postback.network_presets AS p ON p.preset = n.preset WHERE n.network_id = id);
END
$$;
COMMENT ON FUNCTION postback.postback_url(text, text) IS
    'The URL to paste into the network, with the network''s own macros and the newest token that counts already: treat it as a secret.';

-- The preset's name of a parameter, or the network's first name of that field where the network has other names.
CREATE FUNCTION _postback.parameter_name(name text, of_preset jsonb, of_network jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((
        SELECT of_network -> f.key ->> 0 FROM jsonb_each(of_preset) AS f
        WHERE f.value ? name AND NOT of_network -> f.key ? name ORDER BY f.key LIMIT 1), name);
END
$$;

CREATE FUNCTION postback.offer_url_hint(network text)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT n.click_slot || '={click_id}' FROM postback.networks AS n WHERE n.network_id = _postback.network_id(network));
END
$$;
COMMENT ON FUNCTION postback.offer_url_hint(text) IS 'What to append to the network''s offer link, behind its ? or &, so that it carries our click id.';
