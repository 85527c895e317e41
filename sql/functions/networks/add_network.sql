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

-- Accepts a name or a slug. Volatile, so that it sees a network that the same statement has just added.
CREATE FUNCTION _postback.network_id(network text)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found_network integer;
BEGIN
    SELECT n.network_id INTO found_network FROM postback.networks AS n WHERE n.slug = network OR n.name = network
    ORDER BY n.slug = network DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'network "%" does not exist', network USING ERRCODE = 'no_data_found',
            HINT = 'add_network() makes one; SELECT slug, name FROM postback.networks lists them.';
    END IF;
    RETURN found_network;
END
$$;

CREATE FUNCTION postback.add_network_secret(
    network text,
    kind text,
    secret text DEFAULT NULL,
    not_before timestamptz DEFAULT '-infinity',
    not_after timestamptz DEFAULT 'infinity')
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chosen CONSTANT text := coalesce(secret, encode(_postback.random_bytes(24), 'hex'));
    active CONSTANT integer := (
        SELECT count(*) FROM _postback.network_secrets AS s
        WHERE s.network_id = _postback.network_id(network) AND s.kind = kind AND s.not_after > clock_timestamp());
BEGIN
    IF kind IS NULL OR kind NOT IN ('hmac', 'token', 'path_token') THEN
        RAISE EXCEPTION 'kind "%" of secret is not known', kind USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of hmac (signs the query), token (a parameter), path_token (last segment of the URL).';
    ELSIF octet_length(chosen) < 16 THEN
        RAISE EXCEPTION 'the secret is shorter than 16 bytes' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave it out, and one is made and returned.';
    ELSIF kind = 'path_token' AND chosen !~ '^[A-Za-z0-9._~-]+$' THEN
        RAISE EXCEPTION 'a path token may only have [A-Za-z0-9._~-]' USING ERRCODE = 'invalid_parameter_value';
    ELSIF active >= 3 THEN
        RAISE EXCEPTION 'network "%" has three active secrets of kind "%" already', network, kind USING ERRCODE = 'PB301',
            HINT = 'End one first: revoke_network_secrets(network, kind, except_newest => 1).';
    END IF;
    INSERT INTO _postback.network_secrets (network_id, kind, secret, not_before, not_after)
    VALUES (_postback.network_id(network), kind, chosen, not_before, not_after);
    RETURN chosen;
END
$$;
COMMENT ON FUNCTION postback.add_network_secret(text, text, text, timestamptz, timestamptz) IS
    'Adds a secret of kind hmac, token or path_token and returns it; from then on that check is enforced. Left out, a random one is made, '
    'which keeps it out of the server''s logs. Up to three are active at once, for rotation.';

CREATE FUNCTION postback.revoke_network_secrets(network text, kind text, except_newest integer DEFAULT 0)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ended integer;
BEGIN
    UPDATE _postback.network_secrets AS s SET not_after = date_trunc('milliseconds', clock_timestamp())  -- postbacks carry milliseconds
    FROM (
        SELECT a.secret_id, row_number() OVER (ORDER BY a.secret_id DESC) AS age
        FROM _postback.network_secrets AS a
        WHERE a.network_id = _postback.network_id(network) AND a.kind = kind AND a.not_after > clock_timestamp()) AS r
    WHERE s.secret_id = r.secret_id AND r.age > except_newest;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
COMMENT ON FUNCTION postback.revoke_network_secrets(text, text, integer) IS
    'Ends the active secrets of a kind but for the newest few, and returns how many. The check stays enforced.';

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
