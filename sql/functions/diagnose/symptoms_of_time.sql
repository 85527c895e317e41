-- What changes in time: macros that stop, clocks that differ, messages that come late.

-- A macro that came and comes no more, or comes as it was typed. One that now and then is empty has to be away for longer.
CREATE FUNCTION _postback.symptom_macros(networks integer[], since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN m.resolved > 0 THEN 'macro_stopped_resolving' ELSE 'macro_unresolved' END,
           CASE WHEN m.field IN ('click_id', 'payout', 'transaction_id', 'conversion_id', 'status') THEN 'critical' ELSE 'warning' END, 'network ' || n.slug,
           jsonb_build_object('parameter', m.parameter, 'macro', m.macro, 'messages', m.messages, 'resolved', m.resolved, 'literal', m.literal, 'absent', m.absent,
               'last_resolved_at', m.last_resolved_at, 'failing', m.failing, 'failing_since', m.failing_since),
           format('The postback URL at the network should have %s=%s: compare it with postback_url(%L, …), and ask the network whether it has renamed the macro.',
               m.parameter, m.macro, n.slug)
    FROM postback.networks AS n
    CROSS JOIN LATERAL postback.macro_conformance(n.slug, 200, now) AS m
    WHERE n.network_id = ANY (networks) AND m.failing >= 3 AND m.failing_since <= now
      AND EXISTS (SELECT FROM postback.postbacks AS p WHERE p.network_id = n.network_id AND p.received_at >= since AND p.received_at <= now)
      AND CASE WHEN m.resolved > 0
               -- The chance that so many lack it in a row.
               THEN power(1 - least(0.999, m.resolved::float8 / (m.messages - m.failing)), m.failing) < 0.001
               ELSE m.literal > 0 END;
END
$$;

-- The newest fifty messages that tell their time: a median before zero or a note of the kind is a clock, a delay that hardly varies and is
-- whole quarters of an hour is a zone, and any other long one is late.
CREATE FUNCTION _postback.symptom_times(networks integer[], since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    WITH judged AS (
        SELECT n.slug, n.time_zone, s.*,
               s.median < interval '-1 minute' OR 2 * s.impossible > s.messages
               OR s.median > interval '14 minutes' AND s.p90 - s.p10 < interval '5 minutes' AND abs(s.off_quarter) < 60 AS is_clock
        FROM postback.networks AS n
        CROSS JOIN LATERAL (
            SELECT count(*) AS messages, count(*) FILTER (WHERE d.is_impossible) AS impossible,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY d.delay) AS median, percentile_disc(0.1) WITHIN GROUP (ORDER BY d.delay) AS p10,
                   percentile_disc(0.9) WITHIN GROUP (ORDER BY d.delay) AS p90,
                   percentile_disc(0.1) WITHIN GROUP (ORDER BY d.seconds - 900 * round(d.seconds / 900.0)) AS off_quarter
            FROM (
                SELECT p.received_at - p.event_at AS delay, extract(epoch FROM p.received_at - p.event_at)::numeric AS seconds,
                       coalesce(p.reason ~ 'time lies in the future|time lies before the click', false) AS is_impossible
                FROM postback.postbacks AS p
                WHERE p.network_id = n.network_id AND p.received_at >= since AND p.received_at <= now AND p.verdict NOT IN ('test', 'unauthenticated')
                  AND (p.event_at IS NOT NULL OR p.reason LIKE '%time lies in the future%')
                ORDER BY p.received_at DESC LIMIT 50) AS d) AS s
        WHERE n.network_id = ANY (networks) AND s.messages >= 5
    )
    SELECT CASE WHEN j.is_clock THEN 'clock_skew' ELSE 'late_delivery' END, 'warning', 'network ' || j.slug,
           jsonb_build_object('messages', j.messages, 'median_delay', j.median, 'p10_delay', j.p10, 'p90_delay', j.p90, 'impossible_times', j.impossible,
               'time_zone', j.time_zone),
           CASE WHEN j.is_clock THEN format('The network''s times are not in the zone %s, or its clock is wrong: ask in which zone it writes them, and UPDATE postback.networks '
                    'SET time_zone.', j.time_zone)
                ELSE 'Postbacks come long after what they tell: reports of the last hours are incomplete until then. Ask the network whether it sends in batches, '
                    'or holds conversions back; the click window counts by its clock.' END
    FROM judged AS j WHERE j.is_clock OR j.median > interval '1 hour' OR j.p90 > interval '6 hours';
END
$$;
