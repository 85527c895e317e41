-- The arithmetic of attribution; the byte work is in extension/core. A touch of a path qualifies when it lies within the window before
-- the conversion and in the scope: clicks of the conversion's own offer, of the offers of that network, or any. The click that the
-- network named is in every scope.

-- The places of the touches that qualify, in order.
CREATE FUNCTION _postback.qualifying(
    clicked_ats timestamptz[], offer_ids bigint[], scope text, offer_id bigint, network_offer_ids bigint[], named smallint, converted_at timestamptz,
    click_window interval)
RETURNS bigint[] LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'qualifying_wrapper';

-- The place of the first or the last of them, which is what earns by first_click and last_click; NULL when none qualifies. It is called
-- volatile so that the planner leaves it where it stands: it would otherwise be worked out again at each mention.
CREATE FUNCTION _postback.credited_place(
    model text, clicked_ats timestamptz[], offer_ids bigint[], scope text, offer_id bigint, network_offer_ids bigint[], named smallint,
    converted_at timestamptz, click_window interval)
RETURNS bigint LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'credited_place_wrapper';

-- A share for each touch that earns credit, in order: its place in the path times 2^40, plus its credit in units of 10^-12. It is called
-- volatile for the same reason.
CREATE FUNCTION _postback.shares(
    model text, half_life interval, first_weight double precision, middle_weight double precision, last_weight double precision,
    clicked_ats timestamptz[], offer_ids bigint[], scope text, offer_id bigint, network_offer_ids bigint[], named smallint, converted_at timestamptz,
    click_window interval)
RETURNS bigint[] LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shares_wrapper';

-- unnest(), of which the planner expects a few shares and not ten, and without a memory of its own for each conversion.
CREATE FUNCTION _postback.each_share(shares bigint[])
RETURNS SETOF bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'each_share_wrapper';

-- What a share has earned of a payout.
CREATE FUNCTION _postback.revenue(payout numeric, currency text, shares bigint[], share bigint)
RETURNS numeric LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'revenue_wrapper';

-- The credit in a share.
CREATE FUNCTION _postback.credit_of(share bigint)
RETURNS numeric LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'credit_of_wrapper';

-- The offers of a network.
CREATE FUNCTION _postback.offers_of(network_id integer)
RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own_network CONSTANT integer := _postback.default_network();
BEGIN
    RETURN array(SELECT o.offer_id FROM postback.offer_rules AS o
        WHERE coalesce(o.network_id, own_network) IS NOT DISTINCT FROM coalesce(offers_of.network_id, own_network));
END
$$;

-- Refuses what attribution() cannot work with. Immutable, so that it costs nothing per conversion.
CREATE FUNCTION _postback.check_attribution(model text, scope text, click_window interval, half_life interval, weights numeric[])
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF model NOT IN ('first_click', 'last_click', 'linear', 'time_decay', 'position_based') THEN
        RAISE EXCEPTION 'attribution model "%" is not known', model USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of first_click, last_click, linear, time_decay, position_based; NULL takes each offer''s own.';
    ELSIF scope IS NULL OR scope NOT IN ('offer', 'network', 'any') THEN
        RAISE EXCEPTION 'attribution scope "%" is not known', scope USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of offer (clicks of the same offer), network (of the same network), any.';
    ELSIF click_window < interval '0' THEN
        RAISE EXCEPTION 'click window "%" is negative', click_window USING ERRCODE = 'invalid_parameter_value', HINT = 'NULL takes each offer''s own.';
    ELSIF half_life IS NULL OR half_life <= interval '0' THEN
        RAISE EXCEPTION 'half-life "%" is not above 0', half_life USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as 48 hours.';
    ELSIF array_dims(weights) IS DISTINCT FROM '[1:3]' OR array_position(weights, NULL) IS NOT NULL
        OR NOT (SELECT min(w) >= 0 AND max(w) BETWEEN 0.001 AND 1000 FROM unnest(weights) AS w) THEN
        RAISE EXCEPTION 'weights "%" are not three numbers from 0 to 1000', weights USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For the first touch, all between, and the last, such as {0.4,0.2,0.4}.';
    END IF;
    RETURN true;
END
$$;
