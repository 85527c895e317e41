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

-- Groups whose devices of an hour (of human clicks) have far less entropy of user agents or of address blocks (/24 and /48) than a sample of as
-- many of all others. A small sample has less than what it is drawn from, for it misses the rare kinds: where a kind has the share p of all,
-- n devices have in the mean the entropy sum(p (ln n - E ln(1 + k))), with k of a Poisson distribution around np; E ln(1 + k) is nearly
-- ln(1 + np) - np / 2(1 + np)^2. Kinds are told apart by 12 bits of a hash, the others' by the same: so the work has a limit.
CREATE FUNCTION _postback.find_uniform_groups(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- What is joined has been counted a moment ago: nothing is known of its size. Hashing is right for many narrow rows of few kinds.
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off AS $$
#variable_conflict use_variable
DECLARE
    least_devices CONSTANT bigint := greatest((p ->> 'devices')::bigint, 2);
    share CONSTANT double precision := (p ->> 'share_of_entropy')::double precision;
    deviations CONSTANT double precision := (p ->> 'deviations')::double precision;
    kinds CONSTANT text[] := '{send,partner,network}';
    found_on record;
BEGIN
    FOR found_on IN
        WITH taps AS MATERIALIZED (
            SELECT t.hour, t.send_id, t.campaign_id, t.offer_id, grouping(t.agent) AS what, coalesce(t.agent, t.block) AS value, count(*)::double precision AS n
            FROM (
                -- One device that taps often is what other rules look for: an address and user agent count once. Numbers that are not there as 0,
                -- so that they can be joined.
                SELECT DISTINCT date_trunc('hour', c.clicked_at) AS hour, coalesce(c.send_id, 0) AS send_id, coalesce(c.campaign_id, 0) AS campaign_id,
                    coalesce(c.offer_id, 0) AS offer_id, hashtext(c.user_agent) & 4095 AS agent,
                    hashinet(network(set_masklen(c.ip_address, CASE family(c.ip_address) WHEN 4 THEN 24 ELSE 48 END))) & 4095 AS block,
                    hashtextextended(c.user_agent, hashinetextended(c.ip_address, 0)) AS device
                FROM postback.clicks AS c
                WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST'
                  AND c.ip_address IS NOT NULL AND c.user_agent IS NOT NULL) AS t
            GROUP BY GROUPING SETS ((t.hour, t.send_id, t.campaign_id, t.offer_id, t.agent), (t.hour, t.send_id, t.campaign_id, t.offer_id, t.block))
        ), places AS MATERIALIZED (
            SELECT t.*, array_position(kinds, g.kind) AS kind, g.number FROM (SELECT DISTINCT w.send_id, w.campaign_id, w.offer_id FROM taps AS w) AS t
            LEFT JOIN postback.offers AS o ON o.offer_id = t.offer_id
            CROSS JOIN LATERAL _postback.fraud_groups(nullif(t.send_id, 0), nullif(t.campaign_id, 0), o.network_id) AS g
        ), counts AS MATERIALIZED (
            SELECT t.hour, g.kind, g.number, t.what, t.value, sum(t.n) AS n
            FROM taps AS t
            JOIN places AS g ON g.send_id = t.send_id AND g.campaign_id = t.campaign_id AND g.offer_id = t.offer_id
            GROUP BY 1, 2, 3, 4, 5
        ), everything AS MATERIALIZED (
            SELECT t.hour, t.what, t.value, sum(t.n) AS n, sum(sum(t.n)) OVER (PARTITION BY t.hour, t.what) AS total FROM taps AS t GROUP BY 1, 2, 3
        ), totals AS MATERIALIZED (
            SELECT DISTINCT e.hour, e.what, e.total FROM everything AS e
        ), groups AS MATERIALIZED (
            SELECT c.hour, c.kind, c.number, c.what, sum(c.n) AS n, count(*) AS different, ln(sum(c.n)) - sum(c.n * ln(c.n)) / sum(c.n) AS entropy
            FROM counts AS c GROUP BY 1, 2, 3, 4 HAVING sum(c.n) >= least_devices
        ), curve AS MATERIALIZED (
            -- What a sample of all has, for sizes in steps of a half.
            SELECT e.hour, e.what, s.step, sum(e.n / e.total * (ln(s.size) - ln(1 + m.mean) + m.mean / (2 * (1 + m.mean) ^ 2))) AS entropy
            FROM everything AS e
            CROSS JOIN (SELECT DISTINCT ceil(ln(g.n) / ln(1.5)) AS step, 1.5 ^ ceil(ln(g.n) / ln(1.5)) AS size FROM groups AS g) AS s
            CROSS JOIN LATERAL (SELECT s.size * e.n / e.total AS mean) AS m
            GROUP BY 1, 2, 3
        ), likely AS MATERIALIZED (
            -- Entropy is concave: of all it is at least that of the others times their share. So no group is lost here that the others make one.
            SELECT g.*, t.total FROM groups AS g
            JOIN totals AS t ON t.hour = g.hour AND t.what = g.what
            JOIN curve AS v ON v.hour = g.hour AND v.what = g.what AND v.step = ceil(ln(g.n) / ln(1.5))
            WHERE t.total - g.n >= least_devices AND g.entropy * (1 - g.n / t.total) < share * v.entropy
        ), rest AS (
            SELECT l.hour, l.kind, l.number, l.what, l.n, l.different, l.entropy, (e.n - coalesce(c.n, 0)) / (l.total - l.n) AS p
            FROM likely AS l
            JOIN everything AS e ON e.hour = l.hour AND e.what = l.what
            LEFT JOIN counts AS c ON c.hour = l.hour AND c.kind = l.kind AND c.number = l.number AND c.what = l.what AND c.value = e.value
            WHERE e.n > coalesce(c.n, 0)
        ), entropies AS (
            -- By chance a sample's entropy varies as the mean of n numbers -ln p.
            SELECT r.hour, r.kind, r.number, r.what, r.n, r.different, r.entropy, sum(r.p * (ln(r.n) - ln(1 + r.n * r.p) + r.n * r.p / (2 * (1 + r.n * r.p) ^ 2))) AS expected,
                sqrt(greatest(sum(r.p * ln(r.p) ^ 2) - sum(r.p * ln(r.p)) ^ 2, 0) / r.n) AS deviation
            FROM rest AS r GROUP BY r.hour, r.kind, r.number, r.what, r.n, r.different, r.entropy
        ), uniform AS (
            SELECT e.hour, e.kind, e.number, max(e.n) AS devices,
                jsonb_object_agg(CASE e.what WHEN 0 THEN 'user_agents' ELSE 'address_blocks' END,
                    jsonb_build_object('kinds', e.different, 'bits', round((e.entropy / ln(2))::numeric, 2), 'bits_expected', round((e.expected / ln(2))::numeric, 2))) AS entropies
            FROM entropies AS e
            WHERE e.entropy < share * e.expected AND e.entropy <= e.expected - deviations * e.deviation
            GROUP BY e.hour, e.kind, e.number
        )
        -- The last hour that says so. And what was found before: its clicks of the day go on to convert.
        SELECT DISTINCT ON (u.day, u.kind, u.number) u.day, u.kind, u.number, u.evidence
        FROM (
            SELECT date_trunc('day', u.hour) AS day, u.hour, kinds[u.kind] AS kind, u.number, jsonb_build_object('hour', u.hour, 'devices', u.devices) || u.entropies AS evidence
            FROM uniform AS u
            UNION ALL
            SELECT i.at, NULL, f.subject_kind, f.subject::bigint, f.evidence
            FROM _postback.flag_items AS i JOIN postback.flags AS f ON f.flag_id = i.flag_id
            WHERE i.rule = 'device_diversity' AND i.kind = 'day' AND i.at >= date_trunc('day', since) AND i.at < until AND f.status = 'open') AS u
        ORDER BY u.day, u.kind, u.number, u.hour DESC NULLS LAST
    LOOP
        RETURN QUERY SELECT f.* FROM _postback.group_finding(found_on.kind, found_on.number, found_on.day, least(found_on.day + interval '1 day', until),
            found_on.evidence || jsonb_build_object('day', found_on.day::date, 'limit', share)) AS f;
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

-- The hours of a period that rollups hold, as far as nothing has spoiled them, and the spans between, which are to be counted from the tables.
CREATE FUNCTION _postback.hours_in_rollups(of_kind text, since timestamptz, until timestamptz)
RETURNS tstzmultirange LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    RETURN coalesce((
        SELECT range_agg(tstzrange(h.hour, h.hour + interval '1 hour'))
        FROM generate_series(date_trunc('hour', since + interval '1 hour' - interval '1 microsecond'), until - interval '1 hour', interval '1 hour') AS h (hour)
        WHERE h.hour + interval '1 hour' <= (SELECT s.counted_until FROM _postback.rollup_state AS s)
          AND h.hour NOT IN (SELECT s.hour FROM _postback.spoiled_hours() AS s WHERE s.kind = of_kind)), '{}');
END
$$;

-- Conversions of a period that were approved, and those of them that were taken back. Of 30 days, each hour: so from rollups.
CREATE FUNCTION _postback.count_reversals(since timestamptz, until timestamptz)
RETURNS TABLE (send_id bigint, campaign_id bigint, network_id bigint, n bigint, hits bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    counted CONSTANT tstzmultirange := _postback.hours_in_rollups('conversions', count_reversals.since, count_reversals.until);
    span tstzrange;
BEGIN
    RETURN QUERY
    SELECT r.send_id, r.campaign_id, r.network_id::bigint, sum(r.approved + r.reversed), sum(r.reversed)
    FROM postback.rollups AS r
    WHERE r.hour >= count_reversals.since AND r.hour < count_reversals.until AND r.hour <@ counted AND r.currency IS NOT NULL AND r.approved + r.reversed > 0
    GROUP BY 1, 2, 3;
    FOR span IN SELECT u FROM unnest(tstzmultirange(tstzrange(count_reversals.since, count_reversals.until)) - counted) AS u LOOP
        RETURN QUERY
        SELECT c.send_id, c.campaign_id, c.network_id::bigint, count(*), count(*) FILTER (WHERE c.status = 'reversed')
        FROM postback.conversions AS c
        WHERE c.converted_at >= lower(span) AND c.converted_at < upper(span) AND c.status IN ('approved', 'reversed') AND NOT c.is_test
        GROUP BY 1, 2, 3;
    END LOOP;
END
$$;

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
            SELECT c.send_id, c.campaign_id, c.network_id, sum(c.n)::bigint AS n, sum(c.hits)::bigint AS hits
            FROM _postback.count_reversals(since, until) AS c GROUP BY 1, 2, 3
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

-- Human clicks of a period by day. A day at 2,000 clicks a second is not read again each hour: what rollups hold is taken from there.
CREATE FUNCTION _postback.count_taps(since timestamptz, until timestamptz)
RETURNS TABLE (day timestamptz, offer_id bigint, send_id bigint, campaign_id bigint, n bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    counted CONSTANT tstzmultirange := _postback.hours_in_rollups('clicks', count_taps.since, count_taps.until);
    span tstzrange;
BEGIN
    RETURN QUERY
    SELECT date_trunc('day', r.hour), r.offer_id, r.send_id, r.campaign_id, sum(r.human_clicks)
    FROM postback.rollups AS r
    WHERE r.hour >= count_taps.since AND r.hour < count_taps.until AND r.hour <@ counted AND r.currency IS NULL AND r.human_clicks > 0 AND r.offer_id IS NOT NULL
    GROUP BY 1, 2, 3, 4;
    FOR span IN SELECT u FROM unnest(tstzmultirange(tstzrange(count_taps.since, count_taps.until)) - counted) AS u LOOP
        RETURN QUERY
        SELECT date_trunc('day', c.clicked_at), c.offer_id, c.send_id, c.campaign_id, count(*)
        FROM postback.clicks AS c
        WHERE c.clicked_at >= lower(span) AND c.clicked_at < upper(span) AND c.visitor = 'human' AND c.method <> 'TEST' AND c.offer_id IS NOT NULL
        GROUP BY 1, 2, 3, 4;
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
            SELECT c.day, c.offer_id, c.send_id, c.campaign_id, sum(c.n)::bigint AS n
            FROM _postback.count_taps(date_trunc('day', since), until) AS c GROUP BY 1, 2, 3, 4
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
