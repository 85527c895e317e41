-- Messages, clicks and money by any of the dimensions. Conversions count for the click that the network named. Whole hours come from
-- rollups as far as these go, the rest from the tables; the two give the same numbers.
CREATE FUNCTION postback.performance(
    by text[] DEFAULT '{campaign}',
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    time_zone text DEFAULT 'UTC',
    in_currency text DEFAULT NULL,
    medians boolean DEFAULT false,
    with_tests boolean DEFAULT false)
RETURNS TABLE (
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, send_id bigint, network_id integer, partner_id bigint, subscriber_id bigint,
    hour timestamp, day date, week date, month date, messages bigint, clicks bigint, human_clicks bigint, unique_clicks bigint,
    conversions bigint, pending bigint, approved bigint, rejected bigint, reversed bigint,
    revenue numeric, pending_revenue numeric, cost numeric, profit numeric, currency text,
    ctr numeric, cvr numeric, epc numeric, rpm numeric, median_to_conversion interval, median_postback_delay interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    dimensions CONSTANT text[] := ARRAY['campaign', 'segment', 'variant', 'offer', 'send', 'network', 'partner', 'subscriber', 'hour', 'day', 'week', 'month'];
    unknown text;
    money CONSTANT text := upper(in_currency);
    own_network CONSTANT integer := _postback.default_network();
    -- Messages have a subscriber only in links, which are not read unless somebody asks for subscribers.
    by_subscriber CONSTANT boolean := 'subscriber' = ANY (performance.by);
    grain CONSTANT text := CASE WHEN 'hour' = ANY (performance.by) THEN 'hour' WHEN performance.by && ARRAY['day', 'week', 'month'] THEN 'day' END;
    -- Every time zone's day begins at a quarter of an hour of UTC.
    raw_grain CONSTANT interval := CASE WHEN grain IS NULL THEN interval '1 day' ELSE interval '15 minutes' END;
    spoiled_clicks timestamptz[];
    spoiled_conversions timestamptz[];
    oldest_spoiled timestamptz;
BEGIN
    since := coalesce(since, '-infinity');
    until := coalesce(until, 'infinity');
    SELECT d INTO unknown FROM unnest(performance.by) AS d WHERE d IS NULL OR NOT d = ANY (dimensions) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'dimension "%" is not known', unknown USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Any of ' || array_to_string(dimensions, ', ') || '.';
    ELSIF time_zone IS NULL THEN
        RAISE EXCEPTION 'a report needs a time zone' USING ERRCODE = 'null_value_not_allowed', HINT = 'Such as UTC or America/New_York.';
    ELSIF in_currency !~* '^[a-z]{3}$' THEN
        RAISE EXCEPTION 'currency "%" is none', in_currency USING ERRCODE = 'invalid_parameter_value', HINT = 'A code of three letters, such as USD; NULL shows all.';
    ELSIF NOT since < until THEN
        RETURN;
    END IF;

    SELECT coalesce(array_agg(s.hour) FILTER (WHERE s.kind = 'clicks'), '{}'), coalesce(array_agg(s.hour) FILTER (WHERE s.kind = 'conversions'), '{}'),
           min(s.hour) FILTER (WHERE s.kind = 'clicks')
    INTO spoiled_clicks, spoiled_conversions, oldest_spoiled FROM _postback.spoiled_hours() AS s;

    RETURN QUERY
    WITH counted AS MATERIALIZED (
        -- Rollups know no subscribers and no tests.
        SELECT h.*, date_bin('4 hours', h.hour, '2000-01-01 00:00+00') AS block
        FROM _postback.counted_hours(since, until, time_zone, grain, spoiled_clicks, spoiled_conversions) AS h
        WHERE NOT by_subscriber AND NOT with_tests
    ), uncounted AS MATERIALIZED (
        SELECT u.kind, lower(v.span) AS since, upper(v.span) AS until
        FROM (SELECT range_agg(h.counted) FILTER (WHERE h.has_clicks), range_agg(h.counted) FILTER (WHERE h.has_conversions) FROM counted AS h)
            AS a (clicks, conversions)
        CROSS JOIN LATERAL (VALUES ('clicks', a.clicks), ('conversions', a.conversions)) AS u (kind, counted)
        CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange(since, until)) - coalesce(u.counted, '{}')) AS v (span)
    ), blocks AS MATERIALIZED (
        -- Of one day, and nothing of it spoiled.
        SELECT h.block AS began, min(h.local_time) AS local_time FROM counted AS h
        WHERE h.hour < (SELECT s.blocks_until FROM _postback.rollup_state AS s)
        GROUP BY 1
        HAVING count(*) = 4 AND min(h.local_time) IS NOT DISTINCT FROM max(h.local_time) AND bool_and(h.has_clicks) AND bool_and(h.has_conversions)
    ), hours AS MATERIALIZED (
        SELECT h.hour, h.local_time, h.has_clicks, h.has_conversions FROM counted AS h
        WHERE h.hour IS NOT NULL AND NOT EXISTS (SELECT FROM blocks AS b WHERE b.began = h.block)
    ), facts AS (
        SELECT s.campaign_id, s.segment_id, s.variant_id, s.offer_id, s.send_id, NULL::integer AS network_id, l.subscriber_id,
               CASE WHEN grain IS NOT NULL THEN s.sent_at AT TIME ZONE time_zone END AS local_time,
               m.messages, 0 AS clicks, 0 AS human_clicks, 0 AS unique_clicks, 0 AS pending, 0 AS approved, 0 AS rejected, 0 AS reversed,
               0::numeric AS revenue, 0::numeric AS pending_revenue, m.cost::numeric, m.currency, NULL::bytea AS conversion_seconds, NULL::bytea AS delay_milliseconds
        FROM postback.sends AS s
        LEFT JOIN postback.links AS l ON by_subscriber AND l.link_id BETWEEN s.send_id << 40 AND (s.send_id << 40) + 1099511627775
        -- Without a link the send counts as a whole: for nobody, when subscribers are asked for.
        CROSS JOIN LATERAL (SELECT CASE WHEN l.link_id IS NULL THEN s.messages ELSE 1 END) AS n (messages)
        CROSS JOIN LATERAL (VALUES (n.messages, 0, NULL), (0, n.messages * s.cost_per_message, s.cost_currency::text)) AS m (messages, cost, currency)
        WHERE s.sent_at >= since AND s.sent_at < until AND (m.currency IS NULL OR m.cost <> 0)
        UNION ALL
        -- Added up as early as possible, for there are many. In rows of clicks, which have no currency, there is nothing to add to the rest.
        SELECT r.campaign_id, r.segment_id, r.variant_id, r.offer_id, r.send_id, r.network_id, NULL::bigint, r.local_time,
               0, sum(r.clicks), sum(r.human_clicks), sum(r.unique_clicks), sum(r.pending), sum(r.approved), sum(r.rejected), sum(r.reversed),
               coalesce(sum(r.revenue) FILTER (WHERE r.currency IS NOT NULL), 0), coalesce(sum(r.pending_revenue) FILTER (WHERE r.currency IS NOT NULL), 0),
               0::numeric, r.currency::text, CASE WHEN medians THEN string_agg(r.conversion_seconds, NULL) END,
               CASE WHEN medians THEN string_agg(r.delay_milliseconds, NULL) END
        FROM (
            SELECT b.*, w.local_time FROM blocks AS w JOIN _postback.rollup_blocks AS b ON b.began = w.began
            UNION ALL
            SELECT r.*, h.local_time FROM hours AS h JOIN postback.rollups AS r ON r.hour = h.hour
            WHERE CASE WHEN r.currency IS NULL THEN h.has_clicks ELSE h.has_conversions END) AS r
        GROUP BY r.campaign_id, r.segment_id, r.variant_id, r.offer_id, r.send_id, r.network_id, r.local_time, r.currency
        UNION ALL
        SELECT k.campaign_id, k.segment_id, k.variant_id, k.offer_id, k.send_id, NULL::integer, k.subscriber_id, greatest(k.at, u.since) AT TIME ZONE time_zone,
               0, k.clicks, k.human_clicks, k.unique_clicks, 0, 0, 0, 0, 0::numeric, 0::numeric, 0::numeric, NULL::text, NULL::bytea, NULL::bytea
        FROM uncounted AS u
        CROSS JOIN LATERAL _postback.count_clicks(u.since, u.until, raw_grain, oldest_spoiled, by_subscriber, with_tests) AS k
        WHERE u.kind = 'clicks'
        UNION ALL
        SELECT c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.send_id, c.network_id, c.subscriber_id, greatest(c.at, u.since) AT TIME ZONE time_zone,
               0, 0, 0, 0, c.pending, c.approved, c.rejected, c.reversed,
               c.revenue, c.pending_revenue, 0::numeric, c.currency, c.conversion_seconds, c.delay_milliseconds
        FROM uncounted AS u
        CROSS JOIN LATERAL _postback.count_conversions(u.since, u.until, raw_grain, by_subscriber, with_tests) AS c
        WHERE u.kind = 'conversions'
    ), grouped AS (
        SELECT CASE WHEN 'campaign' = ANY (by) THEN f.campaign_id END AS campaign_id,
               CASE WHEN 'segment' = ANY (by) THEN f.segment_id END AS segment_id,
               CASE WHEN 'variant' = ANY (by) THEN f.variant_id END AS variant_id,
               CASE WHEN 'offer' = ANY (by) THEN f.offer_id END AS offer_id,
               CASE WHEN 'send' = ANY (by) THEN f.send_id END AS send_id,
               CASE WHEN 'network' = ANY (by) THEN coalesce(f.network_id,
                   (SELECT o.network_id FROM postback.offers AS o WHERE o.offer_id = f.offer_id), own_network) END AS network_id,
               CASE WHEN NOT 'partner' = ANY (by) THEN NULL
                    WHEN f.send_id IS NULL THEN (SELECT c.partner_id FROM postback.campaigns AS c WHERE c.campaign_id = f.campaign_id)
                    ELSE (SELECT s.partner_id FROM postback.sends AS s WHERE s.send_id = f.send_id) END AS partner_id,
               CASE WHEN by_subscriber THEN f.subscriber_id END AS subscriber_id,
               CASE WHEN 'hour' = ANY (by) THEN date_trunc('hour', f.local_time) END AS hour,
               CASE WHEN 'day' = ANY (by) THEN f.local_time::date END AS day,
               CASE WHEN 'week' = ANY (by) THEN date_trunc('week', f.local_time)::date END AS week,
               CASE WHEN 'month' = ANY (by) THEN date_trunc('month', f.local_time)::date END AS month,
               f.currency,
               sum(f.messages)::bigint AS messages, sum(f.clicks)::bigint AS clicks, sum(f.human_clicks)::bigint AS human_clicks,
               sum(f.unique_clicks)::bigint AS unique_clicks, sum(f.pending)::bigint AS pending, sum(f.approved)::bigint AS approved,
               sum(f.rejected)::bigint AS rejected, sum(f.reversed)::bigint AS reversed, sum(f.revenue) AS revenue,
               sum(f.pending_revenue) AS pending_revenue, sum(f.cost) AS cost,
               CASE WHEN medians THEN _postback.median_of_packed(string_agg(f.conversion_seconds, NULL)) END AS conversion_seconds,
               CASE WHEN medians THEN _postback.median_of_packed(string_agg(f.delay_milliseconds, NULL)) END AS delay_milliseconds
        FROM facts AS f
        WHERE f.currency IS NULL OR money IS NULL OR f.currency = money
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    ), completed AS (
        -- Messages and clicks have no currency: they stand beside the money of each.
        SELECT g.*, sum(g.messages) OVER same AS all_messages, sum(g.clicks) OVER same AS all_clicks,
               sum(g.human_clicks) OVER same AS all_human_clicks, sum(g.unique_clicks) OVER same AS all_unique_clicks,
               g.currency IS NOT NULL OR count(g.currency) OVER same = 0 AS is_shown
        FROM grouped AS g
        WINDOW same AS (PARTITION BY g.campaign_id, g.segment_id, g.variant_id, g.offer_id, g.send_id, g.network_id, g.partner_id,
            g.subscriber_id, g.hour, g.day, g.week, g.month)
    )
    SELECT g.campaign_id, g.segment_id, g.variant_id, g.offer_id, g.send_id, g.network_id, g.partner_id, g.subscriber_id, g.hour, g.day,
           g.week, g.month,
           g.all_messages::bigint, g.all_clicks::bigint, g.all_human_clicks::bigint, g.all_unique_clicks::bigint,
           g.pending + g.approved + g.rejected + g.reversed, g.pending, g.approved, g.rejected, g.reversed,
           g.revenue, g.pending_revenue, g.cost, g.revenue - g.cost, coalesce(g.currency, money),
           round(g.all_unique_clicks / nullif(g.all_messages, 0), 6),
           round(g.approved::numeric / nullif(g.all_human_clicks, 0), 6),
           round(g.revenue / nullif(g.all_human_clicks, 0), 6),
           round(g.revenue / nullif(g.all_messages, 0), 6),
           make_interval(secs => g.conversion_seconds), make_interval(secs => g.delay_milliseconds / 1000.0)
    FROM completed AS g
    WHERE g.is_shown
    ORDER BY g.revenue DESC, g.all_human_clicks DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, g.currency;
END
$$;
COMMENT ON FUNCTION postback.performance(text[], timestamptz, timestamptz, text, text, boolean, boolean) IS
    'One row per group and currency of what happened in [since, until), by any of campaign, segment, variant, offer, send, network, partner, subscriber, hour, '
    'day, week (from Monday), month, in time_zone. Messages and clicks stand in the row of each currency of their group; NULL: no money. '
    'clicks leaves out HEAD; unique_clicks are the first human ones of a subscriber on a send. revenue is approved payout, profit = revenue - cost of messages, '
    'ctr = unique_clicks/messages, cvr = approved/human_clicks, epc = revenue/human_clicks, rpm = revenue/messages. With medians (which cost by the '
    'conversion, not by the hour): from click to conversion, to the second, and until its postback came, of networks that tell the time; else NULL. '
    'Conversions stand with the network that sent them, clicks with the one that their offer has now (without one: default). By hour, the hour that a clock '
    'shows twice is one row. Test messages count only with_tests.';
