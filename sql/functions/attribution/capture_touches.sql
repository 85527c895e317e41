-- The path of a conversion is kept when it arrives, by whatever road.

-- The human clicks of each conversion's subscriber before it, on any offer, and the click that it names. As far back as reach; without
-- it as far as the offer's window, and 7 days. The earliest and the latest time leave the partitions between them.
CREATE FUNCTION _postback.find_paths(conversions _postback.conversion[], reach interval)
RETURNS SETOF _postback.path LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    -- The longest that an offer of theirs wants, in seconds: 30 days are a month in every session's time zone.
    longest CONSTANT interval := coalesce(reach, (
        SELECT make_interval(secs => greatest(max(extract(epoch FROM o.click_window)), 7 * 86400)) FROM postback.offers AS o
        WHERE o.offer_id = ANY (array(SELECT DISTINCT c.offer_id FROM unnest(conversions) AS c))));
    earliest timestamptz;
    latest timestamptz;
BEGIN
    SELECT min(c.converted_at) - longest, max(c.converted_at) INTO earliest, latest FROM unnest(conversions) AS c;
    RETURN QUERY
    SELECT c.conversion_id, c.bucket, array_position(p.click_ids, c.click_id)::smallint, p.clicked_ats, p.offer_ids, p.campaign_ids, p.segment_ids,
           p.variant_ids, p.send_ids, p.click_ids
    FROM unnest(conversions) AS c
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(t.clicked_at), '{}') AS clicked_ats, coalesce(array_agg(t.offer_id), '{}') AS offer_ids,
               coalesce(array_agg(t.campaign_id), '{}') AS campaign_ids, coalesce(array_agg(t.segment_id), '{}') AS segment_ids,
               coalesce(array_agg(t.variant_id), '{}') AS variant_ids, coalesce(array_agg(t.send_id), '{}') AS send_ids,
               coalesce(array_agg(t.click_id), '{}') AS click_ids
        FROM (
            -- The last thousand: more are no person's, and whoever has a link could else make paths of any length.
            (SELECT k.click_id, k.clicked_at, k.send_id, k.campaign_id, k.segment_id, k.variant_id, k.offer_id FROM postback.clicks AS k
            WHERE k.bucket = c.bucket AND k.subscriber_id = c.subscriber_id AND k.clicked_at BETWEEN c.converted_at - longest AND c.converted_at
              AND k.clicked_at BETWEEN earliest AND latest AND k.click_id IS DISTINCT FROM c.click_id AND k.visitor = 'human' AND k.method <> 'TEST'
            ORDER BY k.clicked_at DESC, k.click_id DESC LIMIT 1000)
            UNION ALL
            -- The click that the network named, also when nobody knows the subscriber.
            SELECT k.click_id, k.clicked_at, k.send_id, k.campaign_id, k.segment_id, k.variant_id, k.offer_id FROM postback.clicks AS k
            WHERE k.click_id = c.click_id AND k.bucket = c.bucket AND k.clicked_at = c.clicked_at
              AND k.clicked_at BETWEEN c.converted_at - longest AND c.converted_at AND k.clicked_at BETWEEN earliest AND latest
              AND k.visitor = 'human' AND k.method <> 'TEST'
            ORDER BY clicked_at, click_id) AS t) AS p;
END
$$;

-- Keeps the paths of new conversions; returns how many.
CREATE FUNCTION _postback.capture_touches(conversions _postback.conversion[])
RETURNS bigint LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    captured bigint;
BEGIN
    INSERT INTO postback.touches (converted_at, settles_at, offer_id, network_id, status, bucket, named, payout, currency, clicked_ats, offer_ids,
        campaign_ids, segment_ids, variant_ids, send_ids, conversion_id, click_ids)
    SELECT c.converted_at, greatest(clock_timestamp(), c.converted_at), c.offer_id, c.network_id, c.status, c.bucket, p.named, c.payout, c.currency,
        p.clicked_ats, p.offer_ids, p.campaign_ids, p.segment_ids, p.variant_ids, p.send_ids, c.conversion_id, p.click_ids
    FROM unnest(conversions) AS c
    JOIN _postback.find_paths(conversions, NULL) AS p ON p.conversion_id = c.conversion_id;
    GET DIAGNOSTICS captured = ROW_COUNT;
    RETURN captured;
END
$$;
