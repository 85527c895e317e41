-- Rules that compare a send, partner or network with all the others. Each names the group's conversions.

-- What a click or conversion is counted for.
CREATE FUNCTION _postback.fraud_groups(send_id bigint, campaign_id bigint, network_id bigint)
RETURNS TABLE (kind text, number bigint) LANGUAGE plpgsql STABLE ROWS 3 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT g.kind, g.number
    FROM (VALUES ('send', send_id), ('partner', _postback.partner_of(send_id, campaign_id)), ('network', network_id)) AS g (kind, number)
    WHERE g.number IS NOT NULL;
END
$$;

-- The entropy, in bits, of user agents and of address blocks (/24 and /48) of a group's human clicks of a day, as a share of what so
-- many clicks have among all others of that day.
CREATE FUNCTION _postback.find_uniform_groups(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- What is joined has been counted a moment ago: nothing is known of its size.
SET enable_nestloop = off AS $$
#variable_conflict use_variable
DECLARE
    least_clicks CONSTANT bigint := (p ->> 'clicks')::bigint;
    share CONSTANT double precision := (p ->> 'share_of_entropy')::double precision;
    found_on record;
BEGIN
    FOR found_on IN
        WITH taps AS MATERIALIZED (
            SELECT t.day, t.send_id, t.campaign_id, t.offer_id, CASE WHEN grouping(t.user_agent) = 0 THEN 'user_agents' ELSE 'address_blocks' END AS what,
                hashtextextended(coalesce(t.user_agent, t.block::text), 0) AS value, count(*)::double precision AS n
            FROM (
                -- Numbers that are not there as 0, so that they can be joined.
                SELECT date_trunc('day', c.clicked_at) AS day, coalesce(c.send_id, 0) AS send_id, coalesce(c.campaign_id, 0) AS campaign_id,
                    coalesce(c.offer_id, 0) AS offer_id, c.user_agent, network(set_masklen(c.ip_address, CASE family(c.ip_address) WHEN 4 THEN 24 ELSE 48 END)) AS block
                FROM postback.clicks AS c
                WHERE c.clicked_at >= date_trunc('day', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST'
                  AND c.ip_address IS NOT NULL AND c.user_agent IS NOT NULL) AS t
            GROUP BY GROUPING SETS ((t.day, t.send_id, t.campaign_id, t.offer_id, t.user_agent), (t.day, t.send_id, t.campaign_id, t.offer_id, t.block))
        ), places AS MATERIALIZED (
            SELECT t.*, g.kind, g.number FROM (SELECT DISTINCT w.send_id, w.campaign_id, w.offer_id FROM taps AS w) AS t
            LEFT JOIN postback.offers AS o ON o.offer_id = t.offer_id
            CROSS JOIN LATERAL _postback.fraud_groups(nullif(t.send_id, 0), nullif(t.campaign_id, 0), o.network_id) AS g
        ), counts AS MATERIALIZED (
            SELECT t.day, g.kind, g.number, t.what, t.value, sum(t.n) AS n
            FROM taps AS t
            JOIN places AS g ON g.send_id = t.send_id AND g.campaign_id = t.campaign_id AND g.offer_id = t.offer_id
            GROUP BY 1, 2, 3, 4, 5
        ), everything AS MATERIALIZED (
            SELECT t.day, t.what, t.value, sum(t.n) AS n FROM taps AS t GROUP BY 1, 2, 3
        ), totals AS (
            SELECT e.day, e.what, sum(e.n) AS n, sum(e.n * ln(e.n)) AS nlogn FROM everything AS e GROUP BY 1, 2
        ), entropies AS (
            -- H = ln N - sum(n ln n) / N. The rest is everything without the group: only the group's own values change.
            SELECT c.day, c.kind, c.number, c.what, sum(c.n) AS n, t.n - sum(c.n) AS rest, count(*) AS kinds,
                ln(sum(c.n)) - sum(c.n * ln(c.n)) / sum(c.n) AS entropy,
                CASE WHEN t.n > sum(c.n) THEN ln(t.n - sum(c.n))
                    - (t.nlogn - sum(e.n * ln(e.n)) + sum(CASE WHEN e.n > c.n THEN (e.n - c.n) * ln(e.n - c.n) ELSE 0 END)) / (t.n - sum(c.n)) END AS of_rest
            FROM counts AS c
            JOIN everything AS e ON e.day = c.day AND e.what = c.what AND e.value = c.value
            JOIN totals AS t ON t.day = c.day AND t.what = c.what
            GROUP BY c.day, c.kind, c.number, c.what, t.n, t.nlogn
            HAVING sum(c.n) >= least_clicks AND t.n - sum(c.n) >= least_clicks
        )
        SELECT e.day, e.kind, e.number, max(e.n) AS clicks,
            jsonb_object_agg(e.what, jsonb_build_object('kinds', e.kinds, 'bits', round((e.entropy / ln(2))::numeric, 2), 'bits_of_others', round((e.of_rest / ln(2))::numeric, 2))) AS entropies
        FROM entropies AS e
        GROUP BY e.day, e.kind, e.number
        HAVING bool_or(e.entropy < share * least(e.of_rest, ln(e.n)))
        ORDER BY e.day
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, found_on.day, least(found_on.day + interval '1 day', until),
            jsonb_build_object('day', found_on.day::date, 'clicks', found_on.clicks, 'limit', share) || found_on.entropies) AS f;
    END LOOP;
END
$$;

-- A finding about a group: the conversions that its clicks of a time have made so far, and the day, where it is about one.
CREATE FUNCTION _postback.group_finding(kind text, number bigint, since timestamptz, until timestamptz, evidence jsonb)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    send_ids CONSTANT bigint[] := CASE kind WHEN 'partner' THEN array(SELECT s.send_id FROM postback.sends AS s WHERE s.partner_id = number) END;
    campaign_ids CONSTANT bigint[] := CASE kind WHEN 'partner' THEN array(SELECT m.campaign_id FROM postback.campaigns AS m WHERE m.partner_id = number) END;
BEGIN
    RETURN QUERY
    SELECT kind, number::text, evidence || jsonb_build_object('conversions', count(*) FILTER (WHERE n.kind = 'conversion')), '{}'::jsonb,
        array_agg(n.kind), array_agg(n.item), array_agg(n.bucket), array_agg(n.at)
    FROM (
        SELECT 'conversion'::text, c.conversion_id, c.bucket, c.converted_at FROM postback.conversions AS c
        WHERE c.converted_at >= since AND c.clicked_at >= since AND c.clicked_at < until AND NOT c.is_test
          AND CASE kind WHEN 'send' THEN c.send_id = number
                        WHEN 'partner' THEN c.send_id = ANY (send_ids) OR c.send_id IS NULL AND c.campaign_id = ANY (campaign_ids)
                        ELSE c.network_id = number END
        UNION ALL
        SELECT 'day', evidence ->> 'day', NULL, since WHERE evidence ? 'day') AS n (kind, item, bucket, at);
END
$$;

-- Conversions that were approved and taken back, of those of the last days.
CREATE FUNCTION _postback.find_reversing_groups(p jsonb, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    least_conversions CONSTANT bigint := (p ->> 'conversions')::bigint;
    since CONSTANT timestamptz := until - make_interval(days => (p ->> 'days')::integer);
    found_on record;
BEGIN
    FOR found_on IN
        WITH counts AS MATERIALIZED (
            SELECT c.send_id, c.campaign_id, c.network_id, count(*) AS n, count(*) FILTER (WHERE c.status = 'reversed') AS hits
            FROM postback.conversions AS c
            WHERE c.converted_at >= since AND c.converted_at < until AND c.status IN ('approved', 'reversed') AND NOT c.is_test
            GROUP BY 1, 2, 3
        ), groups AS (
            SELECT g.kind, g.number, sum(c.n)::bigint AS n, sum(c.hits)::bigint AS hits
            FROM counts AS c CROSS JOIN LATERAL _postback.fraud_groups(c.send_id, c.campaign_id, c.network_id) AS g GROUP BY 1, 2
        ), totals AS (
            SELECT sum(c.n)::bigint AS n, sum(c.hits)::bigint AS hits FROM counts AS c
        )
        SELECT g.kind, g.number, o.evidence
        FROM groups AS g CROSS JOIN totals AS t
        CROSS JOIN LATERAL _postback.outlier(p, g.hits, g.n, t.hits - g.hits, t.n - g.n, least_conversions) AS o (evidence)
        WHERE o.evidence IS NOT NULL
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, since, until,
            jsonb_build_object('days', p -> 'days') || found_on.evidence) AS f;
    END LOOP;
END
$$;

-- Clicks of a day that converted so far, beside the clicks of all others on the same offer.
CREATE FUNCTION _postback.find_converting_groups(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    least_clicks CONSTANT bigint := (p ->> 'clicks')::bigint;
    found_on record;
BEGIN
    FOR found_on IN
        WITH taps AS MATERIALIZED (
            SELECT date_trunc('day', c.clicked_at) AS day, c.offer_id, c.send_id, c.campaign_id, count(*) AS n
            FROM postback.clicks AS c
            WHERE c.clicked_at >= date_trunc('day', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST' AND c.offer_id IS NOT NULL
            GROUP BY 1, 2, 3, 4
        ), converted AS (
            SELECT date_trunc('day', c.clicked_at) AS day, c.offer_id, c.send_id, c.campaign_id, count(DISTINCT c.click_id) AS hits
            FROM postback.conversions AS c
            WHERE c.converted_at >= date_trunc('day', since) AND c.clicked_at >= date_trunc('day', since) AND c.clicked_at < until AND NOT c.is_test
            GROUP BY 1, 2, 3, 4
        ), counts AS MATERIALIZED (
            SELECT t.day, t.offer_id, t.send_id, t.campaign_id, t.n, least(t.n, coalesce(v.hits, 0)) AS hits
            FROM taps AS t LEFT JOIN converted AS v ON v.day = t.day AND v.offer_id = t.offer_id
                AND v.send_id IS NOT DISTINCT FROM t.send_id AND v.campaign_id IS NOT DISTINCT FROM t.campaign_id
        ), groups AS (
            SELECT c.day, c.offer_id, g.kind, g.number, sum(c.n)::bigint AS n, sum(c.hits)::bigint AS hits
            FROM counts AS c CROSS JOIN LATERAL _postback.fraud_groups(c.send_id, c.campaign_id, NULL) AS g GROUP BY 1, 2, 3, 4
        ), totals AS (
            SELECT c.day, c.offer_id, sum(c.n)::bigint AS n, sum(c.hits)::bigint AS hits FROM counts AS c GROUP BY 1, 2
        )
        SELECT g.day, g.offer_id, g.kind, g.number, o.evidence
        FROM groups AS g JOIN totals AS t ON t.day = g.day AND t.offer_id = g.offer_id
        CROSS JOIN LATERAL _postback.outlier(p, g.hits, g.n, t.hits - g.hits, t.n - g.n, least_clicks) AS o (evidence)
        WHERE o.evidence IS NOT NULL
        ORDER BY g.day
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, found_on.day, least(found_on.day + interval '1 day', until),
            jsonb_build_object('day', found_on.day::date, 'offer_id', found_on.offer_id) || found_on.evidence) AS f;
    END LOOP;
END
$$;

-- The numbers, when hits of n are more than chance makes of the rate of the others; else NULL. The others' rate is taken with one hit more
-- than they have: a rate of 0 is only one that was not seen yet.
CREATE FUNCTION _postback.outlier(p jsonb, hits bigint, n bigint, other_hits bigint, other_n bigint, least_n bigint)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rate double precision;
    expected double precision;
    deviations double precision;
BEGIN
    IF n < least_n OR other_n < least_n THEN
        RETURN NULL;
    END IF;
    rate := hits::double precision / n;
    expected := (other_hits + 1)::double precision / (other_n + 2);
    deviations := (hits - n * expected) / sqrt(n * expected * (1 - expected));
    IF rate < (p ->> 'factor')::double precision * expected OR deviations < (p ->> 'deviations')::double precision THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('counted', n, 'hits', hits, 'rate', round(rate::numeric, 5), 'rate_of_others', round((other_hits::double precision / other_n)::numeric, 5),
        'others', other_n, 'deviations', round(deviations::numeric, 1), 'factor_limit', p -> 'factor', 'deviations_limit', p -> 'deviations');
END
$$;
