-- Clicks and conversions of a period, counted from the tables themselves. What is counted here can be added up: over hours, days and sends.

-- A click is unique when it is the first human one of its subscriber on its send, ever; of an unknown subscriber each one is. (Without a
-- send: on its campaign, segment, variant and offer.) Whether there was an earlier one is looked up from where rollups say that the send
-- began; they say nothing about hours from oldest_spoiled and from counted_until on.
CREATE FUNCTION _postback.count_clicks(
    since timestamptz, until timestamptz, grain interval, oldest_spoiled timestamptz DEFAULT NULL, by_subscriber boolean DEFAULT false,
    with_tests boolean DEFAULT false)
RETURNS TABLE (
    at timestamptz, send_id bigint, campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, subscriber_id bigint,
    clicks bigint, human_clicks bigint, unique_clicks bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    uncounted CONSTANT timestamptz := CASE WHEN with_tests THEN '-infinity'
        ELSE least(oldest_spoiled, (SELECT s.counted_until FROM _postback.rollup_state AS s)) END;
BEGIN
    RETURN QUERY
    WITH hit AS MATERIALIZED (
        SELECT date_bin(grain, k.clicked_at, '2000-01-01 00:00+00') AS at, k.clicked_at, k.click_id, k.bucket, k.send_id, k.campaign_id, k.segment_id,
               k.variant_id, k.offer_id, k.subscriber_id, k.visitor
        FROM postback.clicks AS k
        WHERE k.clicked_at >= count_clicks.since AND k.clicked_at < count_clicks.until AND k.visitor <> 'head'
          AND (k.method <> 'TEST' OR with_tests)
    ), began AS MATERIALIZED (
        SELECT s.send_id, least(uncounted, (SELECT min(r.hour) FROM postback.rollups AS r WHERE r.send_id = s.send_id AND r.human_clicks > 0)) AS at
        FROM (SELECT DISTINCT h.send_id FROM hit AS h WHERE h.send_id IS NOT NULL) AS s
    ), first_hit AS (
        SELECT DISTINCT ON (h.subscriber_id, h.send_id, h.campaign_id, h.segment_id, h.variant_id, h.offer_id)
               h.at, h.bucket, h.send_id, h.campaign_id, h.segment_id, h.variant_id, h.offer_id, h.subscriber_id
        FROM hit AS h WHERE h.visitor = 'human' AND h.subscriber_id IS NOT NULL
        ORDER BY h.subscriber_id, h.send_id, h.campaign_id, h.segment_id, h.variant_id, h.offer_id, h.clicked_at, h.click_id
    ), counted AS (
        SELECT h.at, h.send_id, h.campaign_id, h.segment_id, h.variant_id, h.offer_id, h.subscriber_id, true AS is_click,
               h.visitor = 'human' AS is_human, h.visitor = 'human' AND h.subscriber_id IS NULL AS is_unique
        FROM hit AS h
        UNION ALL
        SELECT f.at, f.send_id, f.campaign_id, f.segment_id, f.variant_id, f.offer_id, f.subscriber_id, false, false, true
        FROM first_hit AS f
        LEFT JOIN began AS b ON b.send_id = f.send_id
        WHERE (SELECT true FROM postback.clicks AS e
               WHERE e.bucket = f.bucket AND e.subscriber_id = f.subscriber_id AND e.clicked_at < count_clicks.since
                 AND e.clicked_at >= coalesce(b.at, '-infinity')
                 AND e.visitor = 'human' AND (e.method <> 'TEST' OR with_tests)
                 AND (e.send_id, e.campaign_id, e.segment_id, e.variant_id, e.offer_id)
                     IS NOT DISTINCT FROM (f.send_id, f.campaign_id, f.segment_id, f.variant_id, f.offer_id)
               LIMIT 1) IS NULL
    )
    SELECT c.at, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, CASE WHEN by_subscriber THEN c.subscriber_id END,
           count(*) FILTER (WHERE c.is_click), count(*) FILTER (WHERE c.is_human), count(*) FILTER (WHERE c.is_unique)
    FROM counted AS c
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
END
$$;

-- A network that tells no time has no delay.
CREATE FUNCTION _postback.count_conversions(
    since timestamptz, until timestamptz, grain interval, by_subscriber boolean DEFAULT false, with_tests boolean DEFAULT false)
RETURNS TABLE (
    at timestamptz, send_id bigint, campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, subscriber_id bigint,
    network_id integer, currency text, pending bigint, approved bigint, rejected bigint, reversed bigint,
    revenue numeric, pending_revenue numeric, conversion_seconds bytea, delay_milliseconds bytea)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT date_bin(grain, c.converted_at, '2000-01-01 00:00+00'), c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id,
           CASE WHEN by_subscriber THEN c.subscriber_id END, c.network_id, c.currency::text,
           count(*) FILTER (WHERE c.status = 'pending'), count(*) FILTER (WHERE c.status = 'approved'),
           count(*) FILTER (WHERE c.status = 'rejected'), count(*) FILTER (WHERE c.status = 'reversed'),
           coalesce(sum(c.payout) FILTER (WHERE c.status = 'approved'), 0), coalesce(sum(c.payout) FILTER (WHERE c.status = 'pending'), 0),
           string_agg(_postback.packed_duration(c.converted_at - c.clicked_at, 1), NULL),
           string_agg(_postback.packed_duration(c.received_at - c.converted_at, 1000), NULL) FILTER (WHERE e.event_at_is_network_time)
    FROM postback.conversions AS c
    LEFT JOIN postback.conversion_events AS e ON e.conversion_id = c.conversion_id AND e.bucket = c.bucket AND e.seq = 1
    WHERE c.converted_at >= count_conversions.since AND c.converted_at < count_conversions.until AND (NOT c.is_test OR with_tests)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
END
$$;

-- A duration in so many parts of a second as 4 bytes, big-endian; one that is too long (in milliseconds, 24 days) as the longest.
CREATE FUNCTION _postback.packed_duration(duration interval, parts integer)
RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN int4send(greatest(least(round(extract(epoch FROM duration) * parts), 2147483647), -2147483648)::integer);
END
$$;

-- The median of numbers of 4 bytes, big-endian: of an even number of them the lower of the two in the middle. NULL when there are none.
CREATE FUNCTION _postback.median_of_packed(numbers bytea)
RETURNS integer LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'median_of_packed_wrapper';
