-- Messages, clicks and money by any of the dimensions. Conversions count for the click that the network named.
CREATE FUNCTION postback.performance(
    by text[] DEFAULT '{campaign}',
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    time_zone text DEFAULT 'UTC',
    in_currency text DEFAULT NULL)
RETURNS TABLE (
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, send_id bigint, network_id integer, subscriber_id bigint,
    day date, hour timestamp, messages bigint, clicks bigint, human_clicks bigint, unique_clicks bigint,
    conversions bigint, pending bigint, approved bigint, rejected bigint, reversed bigint,
    revenue numeric, pending_revenue numeric, cost numeric, profit numeric, currency text,
    ctr numeric, cvr numeric, epc numeric, rpm numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    dimensions CONSTANT text[] := ARRAY['campaign', 'segment', 'variant', 'offer', 'send', 'network', 'subscriber', 'day', 'hour'];
    unknown text;
    currencies text[];
    money text := upper(in_currency);
    -- An offer without a network belongs to 'default', where its postbacks arrive.
    own_network CONSTANT integer := (SELECT n.network_id FROM postback.networks AS n WHERE n.slug = 'default');
    -- Messages have a subscriber only in links, which are not read unless somebody asks for subscribers.
    by_subscriber CONSTANT boolean := 'subscriber' = ANY (performance.by);
BEGIN
    SELECT d INTO unknown FROM unnest(performance.by) AS d WHERE d IS NULL OR NOT d = ANY (dimensions) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'dimension "%" is not known', unknown USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Any of ' || array_to_string(dimensions, ', ') || '.';
    END IF;
    IF money IS NULL THEN
        -- Money of different currencies is never added up.
        SELECT array_agg(DISTINCT m.currency) INTO currencies FROM (
            SELECT c.currency::text FROM postback.conversion_log AS c WHERE c.converted_at >= since AND c.converted_at < until AND c.payout <> 0
            UNION ALL
            SELECT s.cost_currency::text FROM postback.send_log AS s WHERE s.sent_at >= since AND s.sent_at < until AND s.cost_per_message <> 0) AS m;
        IF cardinality(currencies) > 1 THEN
            RAISE EXCEPTION 'the period has money in %', array_to_string(currencies, ', ') USING ERRCODE = 'PB401',
                HINT = format('Ask for one currency at a time: in_currency => ''%s''.', currencies[1]);
        END IF;
        money := currencies[1];
    END IF;

    RETURN QUERY
    WITH facts AS (
        SELECT s.campaign_id, s.segment_id, s.variant_id, s.offer_id, s.send_id, coalesce(o.network_id, own_network) AS network_id, l.subscriber_id, s.sent_at AS at,
               m.messages, CASE WHEN s.cost_currency = money THEN s.cost_per_message * m.messages END AS cost,
               0 AS clicks, 0 AS human_clicks, NULL::text AS person, NULL::postback.conversion_status AS status, NULL::numeric AS payout
        FROM postback.send_log AS s
        LEFT JOIN postback.offer_rules AS o ON o.offer_id = s.offer_id
        LEFT JOIN postback.link_log AS l ON by_subscriber AND l.link_id BETWEEN s.send_id << 40 AND (s.send_id << 40) + 1099511627775
        -- Without a link the send counts as a whole: for nobody, when subscribers are asked for.
        CROSS JOIN LATERAL (SELECT CASE WHEN l.link_id IS NULL THEN s.messages ELSE 1 END AS messages) AS m
        WHERE s.sent_at >= since AND s.sent_at < until
        UNION ALL
        SELECT k.campaign_id, k.segment_id, k.variant_id, k.offer_id, k.send_id, coalesce(o.network_id, own_network), k.subscriber_id, k.clicked_at,
               0, NULL, CASE WHEN k.visitor = 'head' THEN 0 ELSE 1 END, CASE WHEN k.visitor = 'human' THEN 1 ELSE 0 END,
               -- A person is a subscriber within a send; where nobody knows the subscriber, every click is its own.
               CASE WHEN k.visitor = 'human' THEN coalesce(k.send_id || '/' || k.subscriber_id, k.subscriber_id::text, k.click_id) END, NULL, NULL
        FROM postback.click_log AS k
        LEFT JOIN postback.offer_rules AS o ON o.offer_id = k.offer_id
        WHERE k.clicked_at >= since AND k.clicked_at < until
        UNION ALL
        SELECT c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.send_id, c.network_id, c.subscriber_id, c.converted_at,
               0, NULL, 0, 0, NULL, c.status, CASE WHEN c.currency = money THEN c.payout::numeric END
        FROM postback.conversion_log AS c
        WHERE c.converted_at >= since AND c.converted_at < until
    ), grouped AS (
        SELECT CASE WHEN 'campaign' = ANY (by) THEN f.campaign_id END AS campaign_id,
               CASE WHEN 'segment' = ANY (by) THEN f.segment_id END AS segment_id,
               CASE WHEN 'variant' = ANY (by) THEN f.variant_id END AS variant_id,
               CASE WHEN 'offer' = ANY (by) THEN f.offer_id END AS offer_id,
               CASE WHEN 'send' = ANY (by) THEN f.send_id END AS send_id,
               CASE WHEN 'network' = ANY (by) THEN f.network_id END AS network_id,
               CASE WHEN by_subscriber THEN f.subscriber_id END AS subscriber_id,
               CASE WHEN 'day' = ANY (by) THEN (f.at AT TIME ZONE time_zone)::date END AS day,
               CASE WHEN 'hour' = ANY (by) THEN date_trunc('hour', f.at AT TIME ZONE time_zone) END AS hour,
               sum(f.messages)::bigint AS messages, sum(f.clicks)::bigint AS clicks, sum(f.human_clicks)::bigint AS human_clicks,
               count(DISTINCT f.person) AS unique_clicks, count(f.status) AS conversions,
               count(*) FILTER (WHERE f.status = 'pending') AS pending, count(*) FILTER (WHERE f.status = 'approved') AS approved,
               count(*) FILTER (WHERE f.status = 'rejected') AS rejected, count(*) FILTER (WHERE f.status = 'reversed') AS reversed,
               coalesce(sum(f.payout) FILTER (WHERE f.status = 'approved'), 0) AS revenue,
               coalesce(sum(f.payout) FILTER (WHERE f.status = 'pending'), 0) AS pending_revenue,
               coalesce(sum(f.cost), 0) AS cost
        FROM facts AS f
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    )
    SELECT g.*, g.revenue - g.cost, money,
           round(g.unique_clicks::numeric / nullif(g.messages, 0), 6),
           round(g.approved::numeric / nullif(g.human_clicks, 0), 6),
           round(g.revenue / nullif(g.human_clicks, 0), 6),
           round(g.revenue / nullif(g.messages, 0), 6)
    FROM grouped AS g
    ORDER BY g.revenue DESC, g.human_clicks DESC, 1, 2, 3, 4, 5, 6, 7, 8, 9;
END
$$;
COMMENT ON FUNCTION postback.performance(text[], timestamptz, timestamptz, text, text) IS
    'One row per group of sends, clicks and conversions that happened in [since, until), by any of campaign, segment, variant, offer, send, network, '
    'subscriber, day, hour (days in time_zone). clicks leaves out HEAD; unique_clicks counts a subscriber once per send. revenue is approved payout. '
    'ctr = unique_clicks/messages, cvr = approved/human_clicks, epc = revenue/human_clicks, rpm = revenue/messages. Several currencies in the period: name one.';
