-- Which click gets the credit for a conversion. Reads clicks and conversions as they are now, so a late click or a
-- reclassified visitor needs no repair.
CREATE FUNCTION postback.attribution(
    model text DEFAULT NULL,
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved,rejected,reversed}')
RETURNS TABLE (
    conversion_id text, network_id integer, transaction_id text, status postback.conversion_status, converted_at timestamptz, credited_by text,
    click_id text, clicked_at timestamptz, send_id bigint, campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint,
    subscriber_id bigint, credit numeric, revenue numeric, currency text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF attribution.model NOT IN ('first_click', 'last_click') THEN
        RAISE EXCEPTION 'attribution model "%" is not known', attribution.model USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of first_click, last_click; NULL takes each offer''s own.';
    ELSIF scope IS NULL OR scope NOT IN ('offer', 'network', 'any') THEN
        RAISE EXCEPTION 'attribution scope "%" is not known', scope USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of offer (clicks of the same offer), network (of the same network), any.';
    END IF;

    RETURN QUERY
    SELECT c.conversion_id, c.network_id, c.transaction_id, c.status, c.converted_at, r.model,
           t.click_id, t.clicked_at, t.send_id, t.campaign_id, t.segment_id, t.variant_id, t.offer_id, t.subscriber_id,
           1::numeric, c.payout::numeric, c.currency::text
    FROM postback.conversion_log AS c
    LEFT JOIN postback.offer_rules AS o ON o.offer_id = c.offer_id
    CROSS JOIN LATERAL (SELECT coalesce(attribution.model, o.model, 'last_click') AS model,
                               -- In seconds, as the receipt of a postback measures it: a day of 24 hours and a month of 30 days
                               -- in every session's time zone.
                               make_interval(secs => extract(epoch FROM coalesce(attribution.click_window, o.click_window, interval '7 days')))
                                   AS click_window) AS r
    CROSS JOIN LATERAL (
        SELECT p.* FROM (
            SELECT k.* FROM postback.click_log AS k
            WHERE k.bucket = c.bucket AND k.subscriber_id = c.subscriber_id
              AND k.clicked_at BETWEEN c.converted_at - r.click_window AND c.converted_at
              AND k.visitor = 'human'
              AND CASE attribution.scope
                      WHEN 'offer' THEN k.offer_id = c.offer_id
                      WHEN 'network' THEN k.offer_id IN (
                          SELECT x.offer_id FROM postback.offer_rules AS x WHERE x.network_id IS NOT DISTINCT FROM o.network_id)
                      ELSE true END
            UNION
            -- The click that the network named, also when nobody knows the subscriber.
            SELECT k.* FROM postback.click_log AS k
            WHERE k.click_id = c.click_id AND k.bucket = c.bucket AND k.clicked_at = c.clicked_at
              AND k.clicked_at BETWEEN c.converted_at - r.click_window AND c.converted_at
              AND k.visitor = 'human') AS p
        ORDER BY CASE WHEN r.model = 'first_click' THEN p.clicked_at END, p.clicked_at DESC, p.click_id
        LIMIT 1) AS t
    WHERE c.converted_at >= since AND c.converted_at < until AND c.status = ANY (statuses);
END
$$;
COMMENT ON FUNCTION postback.attribution(text, timestamptz, timestamptz, interval, text, postback.conversion_status[]) IS
    'One row per credited touch of the conversions in [since, until). A touch is a human click of the same subscriber (scope offer, network or any), '
    'before the conversion and within the click window (the offer''s, 7 days by default). Credits of a conversion sum to 1 and revenue to its payout; '
    'a conversion without a qualifying click has no row.';
