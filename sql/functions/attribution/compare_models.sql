-- Would another model pay for other messages?
CREATE FUNCTION postback.compare_models(
    by text[] DEFAULT '{campaign}',
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    half_life interval DEFAULT '48 hours',
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved,rejected,reversed}',
    weights numeric[] DEFAULT '{0.4,0.2,0.4}')
RETURNS TABLE (
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, currency text,
    first_click numeric, last_click numeric, linear numeric, time_decay numeric, position_based numeric,
    first_click_revenue numeric, last_click_revenue numeric, linear_revenue numeric, time_decay_revenue numeric, position_based_revenue numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    dimensions CONSTANT text[] := ARRAY['campaign', 'segment', 'variant', 'offer'];
    unknown text;
BEGIN
    SELECT d INTO unknown FROM unnest(compare_models.by) AS d WHERE d IS NULL OR NOT d = ANY (dimensions) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'dimension "%" is not known', unknown USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Any of ' || array_to_string(dimensions, ', ') || '.';
    END IF;
    RETURN QUERY
    WITH credited AS (
        SELECT m.model, CASE WHEN 'campaign' = ANY (by) THEN a.campaign_id END AS campaign_id, CASE WHEN 'segment' = ANY (by) THEN a.segment_id END AS segment_id,
               CASE WHEN 'variant' = ANY (by) THEN a.variant_id END AS variant_id, CASE WHEN 'offer' = ANY (by) THEN a.offer_id END AS offer_id,
               a.currency, sum(a.credit) AS credit, sum(a.revenue) AS revenue
        FROM unnest(ARRAY['first_click', 'last_click', 'linear', 'time_decay', 'position_based']) AS m (model)
        CROSS JOIN LATERAL postback.attribution(m.model, since, until, compare_models.click_window, half_life, scope, statuses, weights) AS a
        GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.currency,
           coalesce(sum(c.credit) FILTER (WHERE c.model = 'first_click'), 0), coalesce(sum(c.credit) FILTER (WHERE c.model = 'last_click'), 0),
           coalesce(sum(c.credit) FILTER (WHERE c.model = 'linear'), 0), coalesce(sum(c.credit) FILTER (WHERE c.model = 'time_decay'), 0),
           coalesce(sum(c.credit) FILTER (WHERE c.model = 'position_based'), 0),
           coalesce(sum(c.revenue) FILTER (WHERE c.model = 'first_click'), 0), coalesce(sum(c.revenue) FILTER (WHERE c.model = 'last_click'), 0),
           coalesce(sum(c.revenue) FILTER (WHERE c.model = 'linear'), 0), coalesce(sum(c.revenue) FILTER (WHERE c.model = 'time_decay'), 0),
           coalesce(sum(c.revenue) FILTER (WHERE c.model = 'position_based'), 0)
    FROM credited AS c
    GROUP BY c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.currency
    ORDER BY c.currency, 12 DESC, c.campaign_id, c.segment_id, c.variant_id, c.offer_id;
END
$$;
COMMENT ON FUNCTION postback.compare_models(text[], timestamptz, timestamptz, interval, interval, text, postback.conversion_status[], numeric[]) IS
    'One row per group and currency, by any of campaign, segment, variant, offer of the credited clicks: its credit (in conversions) and its revenue in '
    'each model side by side. The arguments are those of attribution(); revenue counts every status asked for.';
