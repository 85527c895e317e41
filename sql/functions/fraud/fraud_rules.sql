-- What the rules may be told.

-- The parameters of a rule with their defaults; NULL when there is no such rule.
CREATE FUNCTION _postback.fraud_defaults(rule text)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE rule
        WHEN 'fast_conversion' THEN '{"seconds": 2}'
        WHEN 'datacenter_click' THEN '{}'
        WHEN 'address_fan_out' THEN '{"subscribers": 20, "agent_share": 0.8}'
        WHEN 'click_flood' THEN '{"clicks": 20, "minutes": 10}'
        WHEN 'perfect_interval' THEN '{"clicks": 12, "variation": 0.1}'
        WHEN 'spoofed_postbacks' THEN '{"postbacks": 10, "minutes": 60}'
        WHEN 'transaction_reuse' THEN '{"payout_change": 0.5}'
        WHEN 'device_diversity' THEN '{"devices": 50, "share_of_entropy": 0.6, "deviations": 5}'
        WHEN 'geo_anomaly' THEN '{"people": 100, "factor": 3, "deviations": 6}'
        WHEN 'reversal_rate' THEN '{"conversions": 30, "days": 30, "factor": 2, "deviations": 5}'
        WHEN 'conversion_rate' THEN '{"clicks": 200, "factor": 3, "deviations": 6}'
    END::jsonb;
END
$$;

-- Whether a rule looks at whole hours once they are over, or at the minutes since.
CREATE FUNCTION _postback.looks_at_hours(rule text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule IN ('address_fan_out', 'click_flood', 'conversion_rate', 'device_diversity', 'geo_anomaly', 'perfect_interval', 'reversal_rate');
END
$$;

-- The CHECK of fraud_rules.
CREATE FUNCTION _postback.check_fraud_rule(rule text, parameters jsonb)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    defaults CONSTANT jsonb := _postback.fraud_defaults(rule);
    counts CONSTANT text[] := ARRAY['clicks', 'conversions', 'days', 'devices', 'minutes', 'people', 'postbacks', 'subscribers'];
    given record;
BEGIN
    IF defaults IS NULL THEN
        RAISE EXCEPTION 'there is no fraud rule "%"', rule USING ERRCODE = 'check_violation',
            HINT = 'Rules are code; what can be set are their parameters, severity and action.';
    ELSIF jsonb_typeof(parameters) <> 'object' THEN
        RAISE EXCEPTION 'the parameters of fraud rule "%" are no JSON object', rule USING ERRCODE = 'check_violation';
    END IF;
    FOR given IN SELECT p.key, p.value FROM jsonb_each(parameters) AS p LOOP
        IF NOT defaults ? given.key THEN
            RAISE EXCEPTION 'fraud rule "%" has no parameter "%"', rule, given.key USING ERRCODE = 'check_violation',
                HINT = format('Its parameters and their defaults are %s.', defaults);
        ELSIF jsonb_typeof(given.value) <> 'number' OR (given.value #>> '{}')::numeric < 1e-6 OR (given.value #>> '{}')::numeric > 1e9
            OR given.key = ANY (counts) AND (given.value #>> '{}')::numeric <> trunc((given.value #>> '{}')::numeric)
            -- What is looked at with the event, and how far back a scan must look, has these limits.
            OR given.key = 'seconds' AND (given.value #>> '{}')::numeric > 60
            OR given.key = 'minutes' AND (given.value #>> '{}')::numeric > 60
            OR given.key = 'days' AND (given.value #>> '{}')::numeric > 365 THEN
            RAISE EXCEPTION 'parameter "%" of fraud rule "%" cannot be %', given.key, rule, given.value USING ERRCODE = 'check_violation',
                HINT = 'Parameters are positive numbers, those that count whole ones; seconds and minutes are at most 60, days at most 365.';
        END IF;
    END LOOP;
    RETURN true;
END
$$;

-- Loads a published list of ranges in place of what it said before.
CREATE FUNCTION postback.load_ip_ranges(source text, cidrs text[], kind text DEFAULT 'datacenter')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    loaded bigint;
BEGIN
    IF source IS NULL OR cidrs IS NULL THEN
        RAISE EXCEPTION 'a list needs its source and its ranges' USING ERRCODE = 'null_value_not_allowed',
            HINT = 'load_ip_ranges(source, ''{}'') takes a source''s list away.';
    END IF;
    DELETE FROM postback.ip_ranges AS r WHERE r.source = source;
    INSERT INTO postback.ip_ranges (source, range, kind)
    SELECT DISTINCT source, network(trim(c.cidr)::inet)::cidr, kind FROM unnest(cidrs) AS c (cidr);
    GET DIAGNOSTICS loaded = ROW_COUNT;
    RETURN loaded;
END
$$;
COMMENT ON FUNCTION postback.load_ip_ranges(text, text[], text) IS
    'Loads a list of address ranges (such as {192.0.2.0/24,2001:db8::/32}) under the name of its source, in place of that source''s earlier ones (an empty list: none); returns how many. '
    'kind: datacenter, or carrier for addresses that many people share. Clicks of before are looked at again by fraud_scan(since).';
