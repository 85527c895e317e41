-- A/B tests: does a message variant do better than the control, or was it luck?
CREATE FUNCTION postback.compare_variants(
    since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity', in_currency text DEFAULT NULL)
RETURNS TABLE (
    campaign_id bigint, variant_id bigint, currency text, messages bigint, unique_clicks bigint, approved bigint, revenue numeric, ctr numeric, rpm numeric,
    approved_per_message numeric, control_variant_id bigint, lift numeric, z numeric, p_value numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH told AS MATERIALIZED (
        SELECT p.* FROM postback.performance('{campaign,variant}', since, until, 'UTC', in_currency) AS p WHERE p.variant_id IS NOT NULL
    ), sent AS (
        SELECT DISTINCT ON (t.campaign_id, t.variant_id) t.campaign_id, t.variant_id, t.messages, t.unique_clicks, t.ctr FROM told AS t
    ), variant AS (
        -- Who earned nothing in a currency of the campaign is compared in it all the same.
        SELECT s.*, m.currency, coalesce(t.approved, 0) AS approved, coalesce(t.revenue, 0) AS revenue,
               round(coalesce(t.revenue, 0) / nullif(s.messages, 0), 6) AS rpm,
               coalesce(t.approved, 0)::double precision / nullif(s.messages, 0) AS rate,
               first_value(s.variant_id) OVER campaign AS control_variant_id
        FROM sent AS s
        LEFT JOIN (SELECT DISTINCT t.campaign_id, t.currency FROM told AS t WHERE t.currency IS NOT NULL) AS m
            ON m.campaign_id IS NOT DISTINCT FROM s.campaign_id
        LEFT JOIN told AS t ON t.campaign_id IS NOT DISTINCT FROM s.campaign_id AND t.variant_id = s.variant_id AND t.currency = m.currency
        WINDOW campaign AS (PARTITION BY s.campaign_id, m.currency ORDER BY s.variant_id)
    )
    SELECT v.campaign_id, v.variant_id, v.currency, v.messages, v.unique_clicks, v.approved, v.revenue, v.ctr, v.rpm, round(v.rate::numeric, 6),
           v.control_variant_id, round((v.rate / nullif(c.rate, 0) - 1)::numeric, 6), round(t.z::numeric, 4),
           round((2 * _postback.normal_cdf(-abs(t.z)))::numeric, 6)
    FROM variant AS v
    LEFT JOIN variant AS c ON c.campaign_id IS NOT DISTINCT FROM v.campaign_id AND c.currency IS NOT DISTINCT FROM v.currency
        AND c.variant_id = v.control_variant_id AND c.variant_id <> v.variant_id
    CROSS JOIN LATERAL (SELECT (v.approved + c.approved)::double precision / nullif(v.messages + c.messages, 0)) AS o (pooled)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN o.pooled > 0 AND o.pooled < 1 THEN
            (v.rate - c.rate) / sqrt(o.pooled * (1 - o.pooled) * (1.0 / nullif(v.messages, 0) + 1.0 / nullif(c.messages, 0))) END) AS t (z)
    ORDER BY 1, 3, 2;
END
$$;
COMMENT ON FUNCTION postback.compare_variants(timestamptz, timestamptz, text) IS
    'One row per campaign, variant and currency of the campaign''s money in [since, until), beside the control: the campaign''s lowest variant_id. Two-proportion z-test of approved '
    'conversions per message: z = (p1 - p0) / sqrt(p (1 - p) (1/n1 + 1/n0)), p pooled (NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3); p_value is '
    'two-sided, below 0.05 is the usual bar. It takes each message to convert at most once. lift = p1/p0 - 1; all three are NULL for the control.';

-- The share of a standard normal distribution below z, as next_offer() has it too (extension/core).
CREATE FUNCTION _postback.normal_cdf(z double precision)
RETURNS double precision LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'normal_cdf_wrapper';
