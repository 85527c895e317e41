-- What a network's row may say. add_network() and an UPDATE of postback.networks are told what would be right when it is typed, not when
-- a message meets it.

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
