-- What rollups have to count again: rows that were written late, changed or deleted.

CREATE FUNCTION _postback.note_late_click()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO _postback.late_clicks (clicked_at, bucket, subscriber_id, send_id, campaign_id, segment_id, variant_id, offer_id)
        VALUES (OLD.clicked_at, OLD.bucket, OLD.subscriber_id, OLD.send_id, OLD.campaign_id, OLD.segment_id, OLD.variant_id, OLD.offer_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO _postback.late_clicks (clicked_at, bucket, subscriber_id, send_id, campaign_id, segment_id, variant_id, offer_id)
        VALUES (NEW.clicked_at, NEW.bucket, NEW.subscriber_id, NEW.send_id, NEW.campaign_id, NEW.segment_id, NEW.variant_id, NEW.offer_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION _postback.note_late_conversion()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO _postback.late_conversions (converted_at) VALUES (NEW.converted_at);
    IF TG_OP = 'UPDATE' AND OLD.converted_at <> NEW.converted_at THEN
        INSERT INTO _postback.late_conversions (converted_at) VALUES (OLD.converted_at);
    END IF;
    RETURN NULL;
END
$$;

-- The hours whose rollups do not hold: those that are known to be stale, and those that late rows spoil. A late click spoils its own hour
-- and that of the next human click of its subscriber on its send, which was the first one or has become it. One of a day that was dropped
-- spoils nothing: there is nothing left to count.
CREATE FUNCTION _postback.spoiled_hours()
RETURNS TABLE (kind text, hour timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    counted_until CONSTANT timestamptz := (SELECT s.counted_until FROM _postback.rollup_state AS s);
    dropped_until CONSTANT timestamptz := coalesce(
        (SELECT r.dropped_until FROM postback.retention AS r WHERE r.relation = 'clicks'), '-infinity');
    earliest timestamptz;
BEGIN
    RETURN QUERY SELECT s.kind, s.hour FROM _postback.stale_hours AS s
    UNION SELECT 'conversions', date_trunc('hour', c.converted_at, 'UTC') FROM _postback.late_conversions AS c;
    IF NOT EXISTS (SELECT FROM _postback.late_clicks AS l WHERE l.clicked_at >= dropped_until) THEN
        RETURN;
    ELSIF (SELECT count(*) FROM (SELECT FROM _postback.late_clicks LIMIT 10001) AS l) > 10000 THEN
        -- To look for each one's next click would take longer than to count all that may be spoiled.
        SELECT min(l.clicked_at) INTO earliest FROM _postback.late_clicks AS l WHERE l.clicked_at >= dropped_until;
        RETURN QUERY SELECT 'clicks', h FROM generate_series(date_trunc('hour', earliest, 'UTC'), counted_until, interval '1 hour') AS h;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 'clicks', date_trunc('hour', l.clicked_at, 'UTC') FROM _postback.late_clicks AS l WHERE l.clicked_at >= dropped_until
    UNION
    SELECT 'clicks', date_trunc('hour', n.clicked_at, 'UTC')
    FROM _postback.late_clicks AS l
    CROSS JOIN LATERAL (
        SELECT k.clicked_at FROM postback.clicks AS k
        WHERE k.bucket = l.bucket AND k.subscriber_id = l.subscriber_id AND k.clicked_at > l.clicked_at AND k.clicked_at < counted_until
          AND k.visitor = 'human' AND k.method <> 'TEST'
          AND (k.send_id, k.campaign_id, k.segment_id, k.variant_id, k.offer_id)
              IS NOT DISTINCT FROM (l.send_id, l.campaign_id, l.segment_id, l.variant_id, l.offer_id)
        ORDER BY k.clicked_at LIMIT 1) AS n
    WHERE l.clicked_at >= dropped_until;
END
$$;
