-- Clicks from abroad: from another country than most of a send, or of a campaign where there is no send, of the same hour. A person counts
-- once, however often he taps.
CREATE FUNCTION _postback.find_foreign_groups(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    least_people CONSTANT bigint := (p ->> 'people')::bigint;
    found_on record;
BEGIN
    FOR found_on IN
        WITH people AS (
            SELECT w.hour, w.send_id, w.campaign_id, w.offer_id, w.country, count(*) AS n
            FROM (SELECT DISTINCT date_trunc('hour', c.clicked_at) AS hour, c.send_id, c.campaign_id, c.offer_id, c.country,
                      coalesce(c.subscriber_id::text, host(c.ip_address), c.click_id)
                  FROM postback.clicks AS c
                  WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST' AND c.country IS NOT NULL) AS w
            GROUP BY 1, 2, 3, 4, 5
        ), counts AS MATERIALIZED (
            SELECT w.*, w.country <> first_value(w.country) OVER (PARTITION BY w.hour, w.send_id, w.campaign_id, w.offer_id ORDER BY w.n DESC, w.country) AS is_abroad
            FROM people AS w
        ), places AS MATERIALIZED (
            SELECT c.hour, c.send_id, c.campaign_id, o.network_id, sum(c.n)::bigint AS n, coalesce(sum(c.n) FILTER (WHERE c.is_abroad), 0)::bigint AS hits,
                jsonb_object_agg(c.country, c.n) FILTER (WHERE c.is_abroad) AS countries
            FROM counts AS c LEFT JOIN postback.offers AS o ON o.offer_id = c.offer_id GROUP BY c.hour, c.send_id, c.campaign_id, c.offer_id, o.network_id
        ), groups AS (
            SELECT w.hour, g.kind, g.number, sum(w.n)::bigint AS n, sum(w.hits)::bigint AS hits, array_agg(w.countries) AS countries
            FROM places AS w CROSS JOIN LATERAL _postback.fraud_groups(w.send_id, w.campaign_id, w.network_id) AS g GROUP BY 1, 2, 3
        ), totals AS (
            SELECT w.hour, sum(w.n)::bigint AS n, sum(w.hits)::bigint AS hits FROM places AS w GROUP BY 1
        ), outliers AS (
            SELECT g.hour, g.kind, g.number, o.evidence || jsonb_build_object('hour', g.hour, 'countries', (
                SELECT jsonb_object_agg(f.country, f.n)
                FROM (SELECT a.key AS country, sum(a.value::bigint) AS n FROM unnest(g.countries) AS w (countries), jsonb_each_text(w.countries) AS a
                      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5) AS f)) AS evidence
            FROM groups AS g JOIN totals AS t ON t.hour = g.hour
            CROSS JOIN LATERAL _postback.outlier(p, g.hits, g.n, t.hits - g.hits, t.n - g.n, least_people) AS o (evidence)
            WHERE o.evidence IS NOT NULL
        )
        -- The last hour that says so. And what was found before: its clicks of the day go on to convert.
        SELECT DISTINCT ON (w.day, w.kind, w.number) w.day, w.kind, w.number, w.evidence
        FROM (
            SELECT date_trunc('day', o.hour) AS day, o.hour, o.kind, o.number, o.evidence FROM outliers AS o
            UNION ALL
            SELECT i.at, NULL, f.subject_kind, f.subject::bigint, f.evidence
            FROM _postback.flag_items AS i JOIN postback.flags AS f ON f.flag_id = i.flag_id
            WHERE i.rule = 'geo_anomaly' AND i.kind = 'day' AND i.at >= date_trunc('day', since) AND i.at < until AND f.status = 'open') AS w
        ORDER BY w.day, w.kind, w.number, w.hour DESC NULLS LAST
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, found_on.day, least(found_on.day + interval '1 day', until),
            found_on.evidence || jsonb_build_object('day', found_on.day::date)) AS f;
    END LOOP;
END
$$;
