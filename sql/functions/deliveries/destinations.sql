-- Destinations: made, checked, given secrets.

-- What a URL leads to: the address, when its host is one in any spelling, and what keeps it from being a target. The rules are in
-- extension/core. An error when the URL is not safe at all.
CREATE FUNCTION _postback.destination_target(url_template text)
RETURNS TABLE (address text, refusal text)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'destination_target_wrapper';

-- True, or an error that says what is wrong.
CREATE FUNCTION _postback.check_body_template(body_template text, content_type text)
RETURNS boolean LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_body_template_wrapper';

CREATE FUNCTION _postback.check_destination_secret(signing text, secret text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_destination_secret_wrapper';

-- The trigger of destinations. An address that is not public needs an exception that holds it; a name of an inside network needs any:
-- where it leads is seen when it is connected to.
CREATE FUNCTION _postback.check_destination()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target record;
BEGIN
    SELECT t.address::inet AS address, t.refusal INTO target FROM _postback.destination_target(NEW.url_template) AS t;
    IF target.refusal IS NOT NULL AND NOT EXISTS (
        SELECT FROM _postback.delivery_exceptions AS e WHERE target.address IS NULL OR target.address <<= e.addresses) THEN
        RAISE EXCEPTION 'url_template is refused: its host is not public but %',
            target.refusal || coalesce(' ("' || host(target.address) || '")', '') USING ERRCODE = 'check_violation',
            HINT = 'Deliveries go to public addresses. For a receiver inside, the owner calls allow_deliveries_to() first.';
    END IF;
    IF NEW.body_template IS NOT NULL THEN
        PERFORM _postback.check_body_template(NEW.body_template, NEW.content_type);
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.signing NOT IN ('none', OLD.signing) THEN
        PERFORM _postback.check_destination_secret(NEW.signing, s.secret)
        FROM _postback.destination_secrets AS s WHERE s.destination_id = NEW.destination_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'destination "%" has no secret to sign with', NEW.name USING ERRCODE = 'check_violation',
                HINT = 'set_destination_secret(…, signing => …) changes both.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- Volatile, so that it sees a destination that the same statement has just added.
CREATE FUNCTION _postback.destination_id(destination text)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    found_destination integer;
BEGIN
    SELECT d.destination_id INTO found_destination FROM postback.destinations AS d WHERE d.name = destination;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'destination "%" does not exist', destination USING ERRCODE = 'no_data_found',
            HINT = 'add_destination() makes one; SELECT name FROM postback.destinations lists them.';
    END IF;
    RETURN found_destination;
END
$$;

CREATE FUNCTION postback.add_destination(
    name text,
    url_template text,
    method text DEFAULT 'GET',
    body_template text DEFAULT NULL,
    content_type text DEFAULT NULL,
    offer_id bigint DEFAULT NULL,
    network text DEFAULT NULL,
    statuses postback.conversion_status[] DEFAULT '{approved}',
    events text[] DEFAULT NULL,
    signing text DEFAULT 'none',
    secret text DEFAULT NULL,
    max_concurrency integer DEFAULT 4,
    max_rate numeric DEFAULT NULL,
    timeout interval DEFAULT '15 seconds',
    retry_after_failures interval[] DEFAULT '{5 seconds,5 minutes,30 minutes,2 hours,5 hours,10 hours,14 hours,20 hours,24 hours}',
    disable_after integer DEFAULT 100,
    partner_id bigint DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chosen_network integer;
    new_destination integer;
BEGIN
    IF network IS NOT NULL THEN
        chosen_network := _postback.network_id(network);
    END IF;
    IF offer_id IS NOT NULL AND NOT EXISTS (SELECT FROM postback.offers AS o WHERE o.offer_id = offer_id) THEN
        RAISE EXCEPTION 'offer "%" does not exist', offer_id USING ERRCODE = 'no_data_found',
            HINT = 'add_offer() makes one; without an offer the destination is told about all of them.';
    END IF;
    IF partner_id IS NOT NULL AND NOT EXISTS (SELECT FROM postback.partners AS p WHERE p.partner_id = partner_id) THEN
        RAISE EXCEPTION 'partner "%" does not exist', partner_id USING ERRCODE = 'no_data_found',
            HINT = 'SELECT partner_id, name FROM postback.partners lists them.';
    END IF;
    INSERT INTO postback.destinations (name, url_template, method, body_template, content_type, offer_id, network_id, partner_id, statuses, events,
        signing, max_concurrency, max_rate, timeout, retry_after_failures, disable_after)
    VALUES (name, url_template, method, body_template,
        CASE WHEN body_template IS NOT NULL THEN coalesce(content_type, 'application/json') ELSE content_type END,
        offer_id, chosen_network, partner_id, statuses, events, signing, max_concurrency, max_rate, timeout, retry_after_failures, disable_after)
    RETURNING postback.destinations.destination_id INTO new_destination;
    IF signing <> 'none' THEN
        PERFORM postback.set_destination_secret(name, secret);
    ELSIF secret IS NOT NULL THEN
        RAISE EXCEPTION 'destination "%" has a secret and signs nothing', name USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the way to sign: signing => ''standard_webhooks'' or ''hmac_sha256''.';
    END IF;
    RETURN new_destination;
END
$$;
COMMENT ON FUNCTION postback.add_destination(text, text, text, text, text, bigint, text, postback.conversion_status[], text[], text, text,
    integer, numeric, interval, interval[], integer, bigint) IS
    'Adds a destination and returns its destination_id: from now on each conversion that reaches one of the statuses is told to it. '
    'The URL must lead to a public address. A signed one without a secret gets a random one: set_destination_secret() makes the next and shows it.';

CREATE FUNCTION postback.set_destination_secret(
    destination text, secret text DEFAULT NULL, keep_old boolean DEFAULT true, signing text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.destination_id(destination);
    -- The lock keeps two callers from leaving three secrets.
    now_signing CONSTANT text := (SELECT d.signing FROM postback.destinations AS d WHERE d.destination_id = id FOR NO KEY UPDATE);
    next_signing CONSTANT text := coalesce(signing, now_signing);
    chosen CONSTANT text := coalesce(secret, CASE next_signing
        WHEN 'standard_webhooks' THEN 'whsec_' || encode(_postback.random_bytes(32), 'base64')
        ELSE encode(_postback.random_bytes(32), 'hex') END);
BEGIN
    IF next_signing = 'none' THEN
        RAISE EXCEPTION 'destination "%" signs nothing', destination USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the way to sign: signing => ''standard_webhooks'' or ''hmac_sha256''.';
    END IF;
    PERFORM _postback.check_destination_secret(next_signing, chosen);
    DELETE FROM _postback.destination_secrets AS s
    WHERE s.destination_id = id AND (NOT keep_old OR next_signing <> now_signing OR s.secret_id < (
        SELECT max(n.secret_id) FROM _postback.destination_secrets AS n WHERE n.destination_id = id));
    INSERT INTO _postback.destination_secrets (destination_id, secret) VALUES (id, chosen);
    UPDATE postback.destinations AS d SET signing = next_signing WHERE d.destination_id = id AND d.signing <> next_signing;
    RETURN chosen;
END
$$;
COMMENT ON FUNCTION postback.set_destination_secret(text, text, boolean, text) IS
    'Gives a destination a new secret and returns it; left out, a random one is made. The one before it goes on signing beside it until the next call '
    'or keep_old => false. standard_webhooks wants whsec_ and the base64 of 24 to 64 bytes, hmac_sha256 at least 16 bytes, used as typed. With signing '
    'the destination signs that way from now on, under the new secret alone.';

-- Not SECURITY DEFINER: whoever calls it must own the tables, so that no admin opens the inside network.
CREATE FUNCTION postback.allow_deliveries_to(addresses cidr, note text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO _postback.delivery_exceptions (addresses, note) VALUES (addresses, note)
    ON CONFLICT ON CONSTRAINT delivery_exceptions_pkey DO UPDATE SET note = excluded.note;
END
$$;
COMMENT ON FUNCTION postback.allow_deliveries_to(cidr, text) IS
    'Lets deliveries reach a network that is not public, such as 10.1.2.3/32 of a receiver inside. For the owner of the tables only. Names of inside '
    'networks may be saved once there is any such network; the address that they resolve to is checked when it is connected to.';

CREATE FUNCTION postback.refuse_deliveries_to(addresses cidr)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM _postback.delivery_exceptions AS e WHERE e.addresses = addresses;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'deliveries to "%" are not allowed anyway', addresses USING ERRCODE = 'no_data_found',
            HINT = 'SELECT * FROM _postback.delivery_exceptions lists what is.';
    END IF;
END
$$;
COMMENT ON FUNCTION postback.refuse_deliveries_to(cidr) IS 'Takes back allow_deliveries_to(): from the next batch on nothing connects there.';
