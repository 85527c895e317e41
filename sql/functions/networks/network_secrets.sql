-- Which network is meant, and what its messages must prove.

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

-- The network of messages to the plain /postback, and so of an offer without a network.
CREATE FUNCTION _postback.default_network()
RETURNS integer LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT n.network_id FROM postback.networks AS n WHERE n.slug = 'default');
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
    -- A hash secret or a ClickBank key is what the network gives out, and some are short.
    shortest CONSTANT integer := CASE WHEN kind IN ('hash', 'clickbank_ins') THEN 8 ELSE 16 END;
    chosen CONSTANT text := coalesce(secret, encode(_postback.random_bytes(24), 'hex'));
    active CONSTANT integer := (
        SELECT count(*) FROM _postback.network_secrets AS s
        WHERE s.network_id = _postback.network_id(network) AND s.kind = kind AND s.not_after > clock_timestamp());
BEGIN
    IF kind IS NULL OR kind NOT IN ('hmac', 'token', 'path_token', 'hash', 'clickbank_ins') THEN
        RAISE EXCEPTION 'kind "%" of secret is not known', kind USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of hmac (signs the query), token (a parameter), path_token (last segment of the URL), hash (goes into hash_template), '
                'clickbank_ins (decrypts the body).';
    ELSIF octet_length(chosen) < shortest THEN
        RAISE EXCEPTION 'the secret is shorter than % bytes', shortest USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave it out, and one is made and returned.';
    ELSIF kind = 'path_token' AND chosen !~ '^[A-Za-z0-9._~-]+$' THEN
        RAISE EXCEPTION 'a path token may only have [A-Za-z0-9._~-]' USING ERRCODE = 'invalid_parameter_value';
    ELSIF not_before IS NULL OR not_after IS NULL OR not_before >= not_after THEN
        RAISE EXCEPTION 'the secret would end before it begins' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'not_before is the first moment at which it counts, not_after the first at which it no longer does.';
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
    'Adds a secret of kind hmac, token, path_token, hash or clickbank_ins and returns it; from then on that check is enforced. Left out, a random one is made, '
    'which keeps it out of the server''s logs. Up to three are active at once, for rotation.';

CREATE FUNCTION postback.revoke_network_secrets(network text, kind text, except_newest integer DEFAULT 0)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    ended integer;
BEGIN
    UPDATE _postback.network_secrets AS s SET not_after = date_trunc('milliseconds', clock_timestamp())  -- postbacks carry milliseconds
    FROM (
        -- One that does not count yet takes the place of none that does: every message would be refused until it begins.
        SELECT a.secret_id, b.has_begun, count(*) FILTER (WHERE b.has_begun) OVER (ORDER BY a.secret_id DESC) AS age
        FROM _postback.network_secrets AS a
        CROSS JOIN LATERAL (SELECT a.not_before <= clock_timestamp()) AS b (has_begun)
        WHERE a.network_id = _postback.network_id(network) AND a.kind = kind AND a.not_after > clock_timestamp()) AS r
    WHERE s.secret_id = r.secret_id AND (except_newest = 0 OR r.has_begun AND r.age > except_newest);
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
COMMENT ON FUNCTION postback.revoke_network_secrets(text, text, integer) IS
    'Ends the active secrets of a kind but for the newest few, and returns how many. One that begins later is kept and not counted, unless all are to '
    'end. The check stays enforced.';

-- The parsing (extension/core) of what networks list as their addresses.
CREATE FUNCTION _postback.source_cidrs(sources text[])
RETURNS text[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'source_cidrs_wrapper';

CREATE FUNCTION postback.source_ranges(sources text[])
RETURNS cidr[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN _postback.source_cidrs(sources)::cidr[];
END
$$;
COMMENT ON FUNCTION postback.source_ranges(text[]) IS
    'The CIDRs that hold exactly the given sources: addresses, networks (192.0.2.0/24) and ranges (192.0.2.0-255, 192.0.2.7-192.0.2.20), '
    'IPv4 or IPv6. Refuses leading zeros, hexadecimal IPv4, host bits and reversed ranges.';

CREATE FUNCTION postback.allow_sources(network text, sources text[])
RETURNS cidr[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.network_id(network);
    ranges CONSTANT cidr[] := postback.source_ranges(sources);
BEGIN
    UPDATE postback.networks AS n SET allowed_cidrs = ranges WHERE n.network_id = id;
    RETURN ranges;
END
$$;
COMMENT ON FUNCTION postback.allow_sources(text, text[]) IS
    'Sets from which sources a network may post, as source_ranges() reads them, and returns the CIDRs. NULL lifts the check, an empty array lets '
    'nobody in.';
