-- Clicks from abroad: from another country than most of a send, or of a campaign where there is no send, of the same day. A person counts once,
-- however often he taps.
CREATE FUNCTION _postback.find_foreign_groups(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    least_clicks CONSTANT bigint := (p ->> 'clicks')::bigint;
    found_on record;
BEGIN
    FOR found_on IN
        WITH taps AS (
            SELECT p.day, p.send_id, p.campaign_id, p.offer_id, p.country, count(*) AS n
            FROM (SELECT DISTINCT date_trunc('day', c.clicked_at) AS day, c.send_id, c.campaign_id, c.offer_id, c.country,
                      coalesce(c.subscriber_id::text, host(c.ip_address), c.click_id)
                  FROM postback.clicks AS c
                  WHERE c.clicked_at >= date_trunc('day', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST' AND c.country IS NOT NULL) AS p
            GROUP BY 1, 2, 3, 4, 5
        ), counts AS MATERIALIZED (
            SELECT t.*, t.country <> first_value(t.country) OVER (PARTITION BY t.day, t.send_id, t.campaign_id, t.offer_id ORDER BY t.n DESC, t.country) AS is_abroad
            FROM taps AS t
        ), places AS MATERIALIZED (
            SELECT c.day, c.send_id, c.campaign_id, c.offer_id, o.network_id, sum(c.n)::bigint AS n, coalesce(sum(c.n) FILTER (WHERE c.is_abroad), 0)::bigint AS hits
            FROM counts AS c LEFT JOIN postback.offers AS o ON o.offer_id = c.offer_id GROUP BY 1, 2, 3, 4, 5
        ), groups AS (
            SELECT t.day, g.kind, g.number, sum(t.n)::bigint AS n, sum(t.hits)::bigint AS hits
            FROM places AS t CROSS JOIN LATERAL _postback.fraud_groups(t.send_id, t.campaign_id, t.network_id) AS g GROUP BY 1, 2, 3
        ), totals AS (
            SELECT t.day, sum(t.n)::bigint AS n, sum(t.hits)::bigint AS hits FROM places AS t GROUP BY 1
        ), outliers AS MATERIALIZED (
            SELECT g.day, g.kind, g.number, o.evidence
            FROM groups AS g JOIN totals AS t ON t.day = g.day
            CROSS JOIN LATERAL _postback.outlier(p, g.hits, g.n, t.hits - g.hits, t.n - g.n, least_clicks) AS o (evidence)
            WHERE o.evidence IS NOT NULL
        )
        SELECT o.day, o.kind, o.number, o.evidence || jsonb_build_object('countries', (
            SELECT jsonb_object_agg(f.country, f.n)
            FROM (SELECT c.country, sum(c.n) AS n
                  FROM counts AS c JOIN places AS t ON t.day = c.day AND t.send_id IS NOT DISTINCT FROM c.send_id
                      AND t.campaign_id IS NOT DISTINCT FROM c.campaign_id AND t.offer_id IS NOT DISTINCT FROM c.offer_id
                  CROSS JOIN LATERAL _postback.fraud_groups(t.send_id, t.campaign_id, t.network_id) AS g
                  WHERE c.day = o.day AND c.is_abroad AND g.kind = o.kind AND g.number = o.number
                  GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5) AS f)) AS evidence
        FROM outliers AS o ORDER BY o.day
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, found_on.day, least(found_on.day + interval '1 day', until),
            jsonb_build_object('day', found_on.day::date) || found_on.evidence) AS f;
    END LOOP;
END
$$;
