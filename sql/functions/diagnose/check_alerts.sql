-- Rules against numbers, numbers into incidents.

-- What a rule finds now: the period beside the same hours of earlier days. An hour of the past is taken whole, so that it is counted already.
CREATE FUNCTION _postback.findings(rule_name text, now timestamptz)
RETURNS TABLE (subject text, value numeric, usual numeric, volume numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    rule CONSTANT postback.alert_rules := (SELECT r FROM postback.alert_rules AS r WHERE r.name = rule_name);
    -- Clicks of the period need as long again to convert.
    until CONSTANT timestamptz := CASE WHEN rule.metric = 'conversion_rate' THEN now - rule.duration ELSE now END;
    since CONSTANT timestamptz := until - rule.duration;
    from_hour CONSTANT timestamptz := date_trunc('hour', since);
    to_hour CONSTANT timestamptz := date_trunc('hour', until - interval '1 microsecond') + interval '1 hour';
    is_count CONSTANT boolean := rule.metric IN ('spool_depth', 'fraud_flags');
    is_share CONSTANT boolean := rule.metric IN ('conversion_rate', 'refused_share', 'unmatched_share');
BEGIN
    RETURN QUERY
    WITH usually AS MATERIALIZED (
        SELECT m.subject, sum(m.volume) AS volume, sum(m.amount) AS amount
        FROM generate_series(1, rule.baseline_days) AS d (day)
        CROSS JOIN LATERAL _postback.measure(rule.metric, from_hour - d.day * interval '24 hours', to_hour - d.day * interval '24 hours') AS m
        GROUP BY m.subject
    ), measured AS (
        SELECT m.subject, m.volume, m.amount,
               CASE WHEN is_count THEN m.amount ELSE m.amount / m.volume END AS value,
               -- Of a count the usual amount of a period of this length; of the rest the usual value, when there was enough to tell.
               CASE WHEN rule.baseline_days = 0 THEN 0
                    WHEN is_count THEN coalesce(u.amount, 0) / rule.baseline_days * (extract(epoch FROM rule.duration) / extract(epoch FROM to_hour - from_hour))::numeric
                    WHEN u.volume >= greatest(rule.minimum_volume, 1) THEN u.amount / u.volume
                    -- A network that is new is to be refused or unmatched never.
                    WHEN rule.metric IN ('refused_share', 'unmatched_share') THEN 0 END AS usual,
               coalesce(u.volume, 0) AS usual_volume
        FROM _postback.measure(rule.metric, since, until) AS m LEFT JOIN usually AS u ON u.subject = m.subject
    ), compared AS (
        SELECT m.*, CASE WHEN rule.relative THEN (m.value - m.usual) / nullif(m.usual, 0) ELSE m.value - m.usual END AS change,
               -- Three standard errors of the difference of two shares: less may be chance.
               CASE WHEN is_share AND rule.baseline_days > 0 THEN 3 * sqrt(p.both * (1 - p.both) * (1 / m.volume + coalesce(1 / nullif(m.usual_volume, 0), 0))) ELSE 0 END AS chance
        FROM measured AS m
        CROSS JOIN LATERAL (
            SELECT least(1, greatest(0, (m.amount + m.usual * m.usual_volume) / (m.volume + m.usual_volume))) AS both) AS p
        WHERE m.usual IS NOT NULL
          AND (m.volume >= rule.minimum_volume OR is_count AND m.amount >= rule.minimum_volume)
    )
    SELECT c.subject, round(c.value, 6), round(c.usual, 6), CASE WHEN is_count THEN c.amount ELSE c.volume END
    FROM compared AS c
    WHERE abs(c.value - c.usual) >= c.chance
      AND CASE rule.direction WHEN 'drop' THEN c.change <= -rule.threshold WHEN 'rise' THEN c.change >= rule.threshold
               ELSE abs(c.change) >= rule.threshold END;
END
$$;

CREATE FUNCTION postback.check_alerts(now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (alert text, subject text, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    -- What is not seen for so long is over: a number that wavers around its threshold is one incident.
    quiet CONSTANT interval := '10 minutes';
    rule postback.alert_rules;
    found record;
BEGIN
    FOR rule IN SELECT r.* FROM postback.alert_rules AS r WHERE r.enabled ORDER BY r.name LOOP
        FOR found IN SELECT f.* FROM _postback.findings(rule.name, now) AS f ORDER BY f.subject LOOP
            IF _postback.raise_alert(rule.name, found.subject, rule.severity,
                format('%s of %s is %s%s', replace(rule.metric, '_', ' '), found.subject, trim_scale(found.value),
                    CASE WHEN rule.baseline_days > 0 THEN format(', usually %s', trim_scale(found.usual)) END),
                jsonb_build_object('metric', rule.metric, 'value', found.value, 'usual', CASE WHEN rule.baseline_days > 0 THEN found.usual END,
                    'volume', found.volume, 'threshold', rule.threshold, 'duration', rule.duration), now)
            THEN
                alert := rule.name;
                subject := found.subject;
                status := 'raised';
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
    FOR found IN
        SELECT a.kind, a.subject FROM postback.alerts AS a
        LEFT JOIN postback.alert_rules AS r ON r.name = a.kind AND r.enabled
        WHERE a.resolved_at IS NULL AND a.kind NOT IN ('destination_disabled', 'fraud_rule_failed') AND (a.last_seen_at < now - quiet OR r.name IS NULL)
        ORDER BY a.alert_id
    LOOP
        PERFORM _postback.resolve_alert(found.kind, found.subject, now);
        alert := found.kind;
        subject := found.subject;
        status := 'resolved';
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.check_alerts(timestamptz) IS
    'Measures what the enabled rows of alert_rules name, raises an alert where a number is out of the usual, and resolves the one that has not been seen for '
    'ten minutes or whose rule is off; returns what changed. Again at the same moment it changes nothing. maintain() calls it each minute.';

-- For the proxy: what is in its spool.
CREATE FUNCTION postback.report_spool(listen text, records bigint, bytes bigint, oldest_at timestamptz, now timestamptz DEFAULT clock_timestamp())
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO _postback.spools (client_address, listen, told_at, records, bytes, oldest_at)
    VALUES (coalesce(host(inet_client_addr())::inet, '0.0.0.0'), listen, now, records, bytes, oldest_at)
    ON CONFLICT ON CONSTRAINT spools_pkey DO UPDATE
    SET told_at = excluded.told_at, records = excluded.records, bytes = excluded.bytes, oldest_at = excluded.oldest_at;
END
$$;
COMMENT ON FUNCTION postback.report_spool(text, bigint, bigint, timestamptz, timestamptz) IS
    'For the proxy, each minute: how many requests its spool holds, how many bytes, and when the oldest came (NULL for none). Read by the alert rule spool_fills.';
