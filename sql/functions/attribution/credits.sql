-- The arithmetic of attribution; the byte work is in extension/core. A touch of a path qualifies when it lies within the window before
-- the conversion and in the scope: clicks of the conversion's own offer, of the offers of that network, or any. The click that the
-- network named is in every scope.

-- The places of the touches that qualify, in order.
CREATE FUNCTION _postback.qualifying(
    clicked_ats timestamptz[], offer_ids bigint[], scope text, offer_id bigint, network_offer_ids bigint[], named smallint, converted_at timestamptz,
    click_window interval)
RETURNS integer[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'qualifying_wrapper';

-- The credit of each touch of the path in units of 10^-12, 0 for those that earn none; NULL when none qualifies. It is called volatile so that
-- the planner leaves it where it stands: it would otherwise be worked out again at each mention.
CREATE FUNCTION _postback.credits(
    model text, half_life interval, weights double precision[],
    clicked_ats timestamptz[], offer_ids bigint[], scope text, offer_id bigint, network_offer_ids bigint[], named smallint, converted_at timestamptz,
    click_window interval)
RETURNS bigint[] LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'credits_wrapper';

-- The part of a payout that the touch at a place has earned.
CREATE FUNCTION _postback.revenue(payout numeric, currency text, credits bigint[], place integer)
RETURNS numeric LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revenue_wrapper';

-- generate_subscripts() under a name of its own, so that the planner expects a path of a few touches and not of a thousand.
CREATE FUNCTION _postback.places(credits bigint[], dimension integer)
RETURNS SETOF integer LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE ROWS 2 AS 'generate_subscripts_nodir';

-- The offers of a network, or those without one.
CREATE FUNCTION _postback.offers_of(network_id integer)
RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN array(SELECT o.offer_id FROM postback.offer_rules AS o WHERE o.network_id IS NOT DISTINCT FROM offers_of.network_id);
END
$$;

-- Refuses what attribution() cannot work with. Immutable, so that it costs nothing per conversion.
CREATE FUNCTION _postback.check_attribution(model text, scope text, half_life interval, weights numeric[])
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF model NOT IN ('first_click', 'last_click', 'linear', 'time_decay', 'position_based') THEN
        RAISE EXCEPTION 'attribution model "%" is not known', model USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of first_click, last_click, linear, time_decay, position_based; NULL takes each offer''s own.';
    ELSIF scope IS NULL OR scope NOT IN ('offer', 'network', 'any') THEN
        RAISE EXCEPTION 'attribution scope "%" is not known', scope USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of offer (clicks of the same offer), network (of the same network), any.';
    ELSIF half_life IS NULL OR half_life <= interval '0' THEN
        RAISE EXCEPTION 'half-life "%" is not above 0', half_life USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as 48 hours.';
    ELSIF cardinality(weights) IS DISTINCT FROM 3 OR array_position(weights, NULL) IS NOT NULL
        OR NOT (SELECT min(w) >= 0 AND max(w) BETWEEN 0.001 AND 1000 FROM unnest(weights) AS w) THEN
        RAISE EXCEPTION 'weights "%" are not three numbers from 0 to 1000', weights USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For the first touch, all between, and the last, such as {0.4,0.2,0.4}.';
    END IF;
    RETURN true;
END
$$;
