CREATE FUNCTION postback.add_network(
    name text,
    preset text DEFAULT 'generic',
    currency text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    allowed_cidrs cidr[] DEFAULT NULL,
    signature_scheme text DEFAULT 'raw1',
    signature_covers_target boolean DEFAULT false,
    answer_body text DEFAULT 'OK')
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new_network integer;
BEGIN
    IF time_zone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = time_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', time_zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT name FROM pg_timezone_names lists them.';
    END IF;
    INSERT INTO postback.networks (name, slug, preset, parameters, statuses, default_status, dedupe, currency, time_zone,
        allowed_cidrs, signature_scheme, signature_covers_target, answer_body)
    SELECT name, trim(BOTH '-' FROM regexp_replace(lower(name), '[^a-z0-9]+', '-', 'g')), p.preset, p.parameters, p.statuses,
           p.default_status, p.dedupe, coalesce(currency, p.currency), coalesce(time_zone, p.time_zone), allowed_cidrs,
           signature_scheme, signature_covers_target, answer_body
    FROM postback.network_presets AS p WHERE p.preset = preset
    RETURNING network_id INTO new_network;
    IF new_network IS NULL THEN
        RAISE EXCEPTION 'preset "%" does not exist', preset USING ERRCODE = 'no_data_found',
            HINT = 'SELECT preset, title FROM postback.network_presets lists them.';
    END IF;
    RETURN new_network;
END
$$;
COMMENT ON FUNCTION postback.add_network(text, text, text, text, cidr[], text, boolean, text) IS
    'Adds a network from a preset and returns its network_id. Its postback URL is /postback/{slug}; the slug is the name in lower case with dashes.';

CREATE FUNCTION postback.postback_url(network text, base_url text)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.network_id(network);
BEGIN
    RETURN (
        SELECT rtrim(base_url, '/') || '/postback/' || n.slug
            || coalesce('/' || (SELECT s.secret FROM _postback.network_secrets AS s
                WHERE s.network_id = id AND s.kind = 'path_token' AND s.not_after > clock_timestamp() ORDER BY s.secret_id DESC LIMIT 1), '')
            || '?' || (SELECT string_agg((m.pair ->> 0) || '=' || (m.pair ->> 1), '&' ORDER BY m.place)
                FROM jsonb_array_elements(p.macros) WITH ORDINALITY AS m (pair, place))
            || coalesce('&token=' || (SELECT s.secret FROM _postback.network_secrets AS s
                WHERE s.network_id = id AND s.kind = 'token' AND s.not_after > clock_timestamp() ORDER BY s.secret_id DESC LIMIT 1), '')
        FROM postback.networks AS n JOIN postback.network_presets AS p ON p.preset = n.preset WHERE n.network_id = id);
END
$$;
COMMENT ON FUNCTION postback.postback_url(text, text) IS
    'The URL to paste into the network, with the network''s own macros and the newest token: treat it as a secret.';

CREATE FUNCTION postback.offer_url_hint(network text)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT p.click_slot || '={click_id}' FROM postback.networks AS n JOIN postback.network_presets AS p ON p.preset = n.preset
        WHERE n.network_id = _postback.network_id(network));
END
$$;
COMMENT ON FUNCTION postback.offer_url_hint(text) IS 'What to append to the network''s offer link, so that it carries our click id.';
