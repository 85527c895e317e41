-- Alerts: opened once per incident, closed once, told on a channel and to destinations.

-- One that is open already is only seen again.
CREATE FUNCTION _postback.raise_alert(kind text, subject text, severity text, message text, evidence jsonb, now timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    raised_id bigint;
BEGIN
    UPDATE postback.alerts AS a SET last_seen_at = greatest(a.last_seen_at, now), evidence = raise_alert.evidence
    WHERE a.kind = kind AND a.subject = subject AND a.resolved_at IS NULL;
    IF FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO postback.alerts (kind, subject, severity, message, evidence, raised_at, last_seen_at)
    VALUES (kind, subject, severity, message, evidence, now, now)
    ON CONFLICT DO NOTHING
    RETURNING alert_id INTO raised_id;
    IF raised_id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM _postback.tell_alert(raised_id, 1, now);
    RETURN true;
END
$$;

CREATE FUNCTION _postback.resolve_alert(kind text, subject text, now timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    resolved_id bigint;
BEGIN
    UPDATE postback.alerts AS a SET resolved_at = greatest(a.raised_at, now)
    WHERE a.kind = kind AND a.subject = subject AND a.resolved_at IS NULL
    RETURNING a.alert_id INTO resolved_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM _postback.tell_alert(resolved_id, 2, now);
    RETURN true;
END
$$;

-- Says on the channel and to the destinations that an alert was raised (1) or resolved (2).
CREATE FUNCTION _postback.tell_alert(alert_id bigint, event_seq integer, now timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM pg_notify('postback_alerts', (
        SELECT jsonb_build_object('alert_id', a.alert_id, 'alert', a.kind, 'subject', a.subject, 'severity', a.severity,
            'status', CASE event_seq WHEN 1 THEN 'raised' ELSE 'resolved' END, 'message', left(a.message, 1000))::text
        FROM postback.alerts AS a WHERE a.alert_id = alert_id));
    INSERT INTO postback.deliveries (delivery_id, destination_id, alert_id, bucket, event_seq, due_at, created_at)
    SELECT _postback.mint_click_id_in(0::smallint, now), d.destination_id, alert_id, 0, event_seq, now, now
    FROM postback.destinations AS d
    WHERE (d.enabled OR d.keeps_queueing) AND 'alert' = ANY (d.events);
END
$$;

-- The values of the macros of a delivery about an alert.
CREATE FUNCTION _postback.alert_fields(delivery_id text, event_seq integer)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
BEGIN
    RETURN (
        SELECT jsonb_build_object('delivery_id', delivery_id, 'event', 'alert', 'event_seq', event_seq::text, 'alert_id', a.alert_id::text,
            'alert', a.kind, 'subject', a.subject, 'severity', a.severity, 'message', a.message,
            'status', CASE event_seq WHEN 1 THEN 'raised' ELSE 'resolved' END,
            'event_at', to_char(t.at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'event_at_unix', floor(extract(epoch FROM t.at))::text)
        FROM postback.deliveries AS w
        JOIN postback.alerts AS a ON a.alert_id = w.alert_id
        CROSS JOIN LATERAL (SELECT CASE event_seq WHEN 1 THEN a.raised_at ELSE a.resolved_at END AS at) AS t
        WHERE w.delivery_id = delivery_id);
END
$$;
