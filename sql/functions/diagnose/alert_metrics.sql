-- What alert rules measure, each over a period: of what (subject), out of how many (volume), and how much of it (amount). The value is
-- amount by volume where the metric is a share or a mean.

-- The first id that postbacks of this moment can have: their ids begin with their time, so a few minutes are read of a day.
CREATE FUNCTION _postback.first_id_at(at timestamptz)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hex CONSTANT text := lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0');
BEGIN
    RETURN substr(hex, 1, 8) || '-' || substr(hex, 9, 4);
END
$$;

-- Of the human clicks of the period, those that converted, and were told to have, within as much time again: so each click has the same
-- time, and a send that has just gone out is no drop. Whole hours of the past are counted already.
CREATE FUNCTION _postback.measure_conversion_rate(since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    is_counted CONSTANT boolean := since = date_trunc('hour', since) AND until = date_trunc('hour', until)
        AND until <= (SELECT s.counted_until FROM _postback.rollup_state AS s);
BEGIN
    RETURN QUERY
    WITH click AS (
        SELECT r.offer_id, sum(r.human_clicks)::numeric AS clicks FROM postback.rollups AS r
        WHERE is_counted AND r.hour >= since AND r.hour < until GROUP BY r.offer_id
        UNION ALL
        SELECT k.offer_id, count(*)::numeric FROM postback.clicks AS k
        WHERE NOT is_counted AND k.clicked_at >= since AND k.clicked_at < until AND k.visitor = 'human' AND k.method <> 'TEST'
        GROUP BY k.offer_id
    ), converted AS (
        SELECT c.offer_id, count(*)::numeric AS conversions FROM postback.conversions AS c
        WHERE c.converted_at >= since AND c.converted_at < until + (until - since)
          AND c.clicked_at >= since AND c.clicked_at < until AND c.received_at < c.clicked_at + (until - since)
          AND NOT c.is_test AND c.status IN ('pending', 'approved')
        GROUP BY c.offer_id
    )
    SELECT 'offer ' || k.offer_id, k.clicks, coalesce(v.conversions, 0)
    FROM click AS k LEFT JOIN converted AS v ON v.offer_id = k.offer_id WHERE k.offer_id IS NOT NULL AND k.clicks > 0;
END
$$;

CREATE FUNCTION _postback.measure_postbacks(since timestamptz, until timestamptz, verdicts postback.verdict[])
RETURNS TABLE (subject text, volume numeric, amount numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT 'network ' || n.slug, count(*)::numeric, count(*) FILTER (WHERE p.verdict = ANY (verdicts))::numeric
    FROM postback.postbacks AS p JOIN postback.networks AS n ON n.network_id = p.network_id
    WHERE p.postback_id >= _postback.first_id_at(since) AND p.postback_id < _postback.first_id_at(until)
      AND p.received_at >= since AND p.received_at < until AND p.verdict <> 'test'
    GROUP BY n.slug;
END
$$;

CREATE FUNCTION _postback.measure_payout(since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT format('offer %s in %s', c.offer_id, c.currency), count(*)::numeric, sum(c.payout)::numeric
    FROM postback.conversions AS c
    WHERE c.converted_at >= since AND c.converted_at < until AND NOT c.is_test AND c.status IN ('pending', 'approved') AND c.offer_id IS NOT NULL
    GROUP BY c.offer_id, c.currency;
END
$$;

-- A proxy that has said nothing for the whole period is gone.
CREATE FUNCTION _postback.measure_spools(since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'proxy ' || s.listen, 1::numeric, sum(s.records)::numeric
    FROM _postback.spools AS s WHERE s.told_at > since AND s.told_at <= until GROUP BY s.listen;
END
$$;

-- Of each network's newest reconciled report.
CREATE FUNCTION _postback.measure_discrepancies(since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'network ' || n.slug, r.row_count::numeric, r.unexplained_share * r.row_count
    FROM postback.networks AS n
    CROSS JOIN LATERAL (
        SELECT i.row_count, i.unexplained_share FROM postback.report_imports AS i
        WHERE i.network_id = n.network_id AND i.reconciled_at > since AND i.reconciled_at <= until
        ORDER BY i.last_day DESC, i.import_id DESC LIMIT 1) AS r
    WHERE r.row_count > 0;
END
$$;

CREATE FUNCTION _postback.measure_flags(since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'fraud rule ' || f.rule, 1::numeric, count(*)::numeric
    FROM postback.flags AS f WHERE f.opened_at >= since AND f.opened_at < until GROUP BY f.rule;
END
$$;

CREATE FUNCTION _postback.measure(metric text, since timestamptz, until timestamptz)
RETURNS TABLE (subject text, volume numeric, amount numeric) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE metric
        WHEN 'conversion_rate' THEN RETURN QUERY SELECT m.* FROM _postback.measure_conversion_rate(since, until) AS m;
        WHEN 'refused_share' THEN RETURN QUERY SELECT m.* FROM _postback.measure_postbacks(since, until, '{unauthenticated,malformed,unmapped_status}') AS m;
        WHEN 'unmatched_share' THEN RETURN QUERY SELECT m.* FROM _postback.measure_postbacks(since, until, '{unmatched}') AS m;
        WHEN 'payout_per_conversion' THEN RETURN QUERY SELECT m.* FROM _postback.measure_payout(since, until) AS m;
        WHEN 'spool_depth' THEN RETURN QUERY SELECT m.* FROM _postback.measure_spools(since, until) AS m;
        WHEN 'discrepancy_share' THEN RETURN QUERY SELECT m.* FROM _postback.measure_discrepancies(since, until) AS m;
        WHEN 'fraud_flags' THEN RETURN QUERY SELECT m.* FROM _postback.measure_flags(since, until) AS m;
    END CASE;
END
$$;
