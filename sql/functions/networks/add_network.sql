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
    plain text := name;
BEGIN
    IF getdatabaseencoding() = 'UTF8' THEN
        plain := regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g');
    END IF;
    RETURN trim(BOTH '-' FROM left(trim(BOTH '-' FROM regexp_replace(lower(plain), '[^a-z0-9]+', '-', 'g')), 63));
END
$$;

-- A network is checked when it is typed, by add_network() or with an UPDATE, and told what would be right: not when a message meets it.
CREATE FUNCTION _postback.check_network()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM _postback.check_parameters(NEW.parameters), _postback.check_dedupe(NEW.dedupe), _postback.check_macros(NEW.click_slot, NEW.macros),
        _postback.check_duplicate_policies(NEW.duplicate_policies), _postback.check_reversals(NEW.reversal_scope, NEW.reversal_limit),
        _postback.check_hash(NEW.hash_algorithm, NEW.hash_template);
    IF NOT _postback.is_currency(NEW.currency) THEN
        RAISE EXCEPTION 'nobody is paid in the currency "%"', NEW.currency USING ERRCODE = 'invalid_parameter_value', HINT = 'A code of ISO 4217, such as USD.';
    ELSIF NOT _postback.is_parameter_name(NEW.signed_time_parameter) THEN
        RAISE EXCEPTION 'signed_time_parameter "%" is no parameter', NEW.signed_time_parameter USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as timestamp: one parameter name, without = or &.';
    ELSIF NOT EXISTS (
        SELECT FROM postback.network_presets AS p
        CROSS JOIN jsonb_array_elements(NEW.macros) AS m (pair)
        JOIN jsonb_each(NEW.parameters) AS f ON f.value ? _postback.parameter_name(m.pair ->> 0, p.parameters, NEW.parameters)
        WHERE p.preset = NEW.preset AND f.key IN ('click_id', 'transaction_id', 'conversion_id')) THEN
        RAISE EXCEPTION 'macros ask for no click id and no transaction' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A message needs one of them. Such as [["click_id", "{aff_sub2}"], ["payout", "{payout}"]].';
    END IF;
    RETURN NEW;
END
$$;

-- What may stand before the = of a query.
CREATE FUNCTION _postback.is_parameter_name(name text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN name ~ '^[^\s&=#?;]+$';
END
$$;

CREATE FUNCTION _postback.macros_are_pairs(macros jsonb)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_typeof(macros) = 'array' AND macros <> '[]' AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(macros) AS m (pair)
        WHERE jsonb_typeof(m.pair) <> 'array' OR jsonb_array_length(m.pair) <> 2 OR jsonb_typeof(m.pair -> 0) <> 'string'
           OR jsonb_typeof(m.pair -> 1) <> 'string' OR NOT _postback.is_parameter_name(m.pair ->> 0) OR m.pair ->> 1 !~ '^[^\s&]+$');
END
$$;

CREATE FUNCTION _postback.check_parameters(parameters jsonb)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fields CONSTANT text[] := ARRAY['click_id', 'transaction_id', 'conversion_id', 'event', 'status', 'payout', 'currency', 'offer_id',
        'time', 'token', 'signature'];
    given record;
BEGIN
    IF jsonb_typeof(parameters) <> 'object' THEN
        RAISE EXCEPTION 'parameters must be a JSON object' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as {"click_id": ["cid", "subid"]}: a field and the parameter names that may hold it.';
    END IF;
    FOR given IN SELECT e.key, e.value FROM jsonb_each(parameters) AS e LOOP
        IF given.key <> ALL (fields) THEN
            RAISE EXCEPTION 'parameters has a field "%" that is not known', given.key USING ERRCODE = 'invalid_parameter_value',
                HINT = format('Fields are %s.', array_to_string(fields, ', '));
        ELSIF jsonb_typeof(given.value) <> 'array' OR jsonb_path_exists(given.value, 'strict $[*] ? (@.type() != "string" || @ == "")') THEN
            RAISE EXCEPTION 'parameters of the field "%" must be an array of names', given.key USING ERRCODE = 'invalid_parameter_value',
                HINT = format('Such as {"%s": ["%s"]}.', given.key, given.key);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION _postback.check_statuses(statuses jsonb)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(statuses) <> 'object' THEN
        RAISE EXCEPTION 'statuses must be a JSON object' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as {"lead": "pending", "sale": "approved"}.';
    END IF;
    SELECT e.key INTO wrong FROM jsonb_each_text(statuses) AS e
    WHERE lower(e.value) NOT IN ('pending', 'approved', 'rejected', 'reversed') ORDER BY e.key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the status word "%" leads nowhere', wrong USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It must lead to pending, approved, rejected or reversed, or be null to take away a word of the preset.';
    END IF;
END
$$;

CREATE FUNCTION _postback.check_dedupe(dedupe text[])
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fields CONSTANT text[] := ARRAY['click_id', 'transaction_id', 'conversion_id', 'event', 'offer_id'];
    wrong text;
BEGIN
    IF cardinality(dedupe) = 0 THEN
        RAISE EXCEPTION 'dedupe is empty: no message would have a key' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave it out to take the preset''s.';
    END IF;
    SELECT coalesce(r.recipe, 'NULL') INTO wrong FROM unnest(dedupe) AS r (recipe)
    WHERE r.recipe IS NULL OR NOT string_to_array(r.recipe, ',') <@ fields OR r.recipe = '' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'dedupe has the recipe "%", which is not known', wrong USING ERRCODE = 'invalid_parameter_value',
            HINT = format('A recipe is a comma list, without spaces, of %s.', array_to_string(fields, ', '));
    END IF;
END
$$;

CREATE FUNCTION _postback.check_duplicate_policies(duplicate_policies jsonb)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    policies CONSTANT text[] := ARRAY['update', 'ignore', 'new', 'new_labelled', 'add_payout', 'ignore_event'];
    wrong record;
BEGIN
    IF jsonb_typeof(duplicate_policies) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'duplicate_policies must be a JSON object' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as {"rebill": "new", "*": "update"}: an event, or * for every other, and its policy.';
    END IF;
    SELECT e.key AS event, coalesce(e.value, 'null') AS policy INTO wrong FROM jsonb_each_text(duplicate_policies) AS e
    WHERE e.value IS NULL OR e.value <> ALL (policies) ORDER BY e.key LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the duplicate policy "%" of the event "%" is not known', wrong.policy, wrong.event
            USING ERRCODE = 'invalid_parameter_value', HINT = format('One of %s.', array_to_string(policies, ', '));
    END IF;
END
$$;

CREATE FUNCTION _postback.check_reversals(reversal_scope text, reversal_limit integer)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF reversal_scope IS NULL OR reversal_scope NOT IN ('transaction', 'click') THEN
        RAISE EXCEPTION 'reversal_scope "%" is not known', reversal_scope USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of transaction (the conversion of the message''s key) and click (all conversions of its click or transaction).';
    ELSIF reversal_limit IS NULL OR reversal_limit < 1 THEN
        RAISE EXCEPTION 'reversal_limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

CREATE FUNCTION _postback.check_hash(hash_algorithm text, hash_template text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (hash_algorithm IS NULL) <> (hash_template IS NULL) THEN
        RAISE EXCEPTION 'hash_algorithm and hash_template go together' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as hash_algorithm => ''md5'', hash_template => ''{user}.{transaction_id}.{secret}''.';
    ELSIF hash_algorithm NOT IN ('md5', 'sha1', 'sha256') THEN
        RAISE EXCEPTION 'hash_algorithm "%" is not known', hash_algorithm USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of md5, sha1, sha256.';
    ELSIF hash_template NOT LIKE '%{secret}%' THEN
        RAISE EXCEPTION 'hash_template has no {secret}: anybody could compute it' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

CREATE FUNCTION _postback.check_macros(click_slot text, macros jsonb)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT _postback.is_parameter_name(click_slot) THEN
        RAISE EXCEPTION 'click_slot "%" is no parameter of a link', click_slot USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as aff_sub2: one parameter name, without = or &.';
    ELSIF NOT _postback.macros_are_pairs(macros) THEN
        RAISE EXCEPTION 'macros must be a JSON array of pairs' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as [["click_id", "{aff_sub2}"], ["payout", "{payout}"]]: a parameter name and what the network puts in.';
    END IF;
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
