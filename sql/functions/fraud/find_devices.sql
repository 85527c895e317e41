-- Rules that look at whole hours of one device or address.

-- The subscribers behind one address in an hour. Behind a carrier's are as many kinds of devices as anywhere; behind one device is one.
CREATE FUNCTION _postback.find_fan_outs(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- Planned for its hour; and what is joined has been counted a moment ago: nothing is known of its size.
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := (p ->> 'subscribers')::bigint;
    share CONSTANT numeric := (p ->> 'agent_share')::numeric;
BEGIN
    RETURN QUERY
    -- Narrow rows first: most of an hour is out of question by numbers alone. So many clicks of one device at least, and since each other
    -- device has a subscriber at least, not too many of those. Two devices of one hash only make one more to look at.
    WITH devices AS MATERIALIZED (
        SELECT date_trunc('hour', c.clicked_at) AS hour, c.ip_address, hashtextextended(coalesce(c.user_agent, ''), 0) AS agent, count(*) AS clicks
        FROM postback.clicks AS c
        WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
        GROUP BY 1, 2, 3
    ), likely AS MATERIALIZED (
        SELECT d.hour, d.ip_address FROM devices AS d GROUP BY d.hour, d.ip_address
        HAVING max(d.clicks) >= share * most AND max(d.clicks) * (1 - share) >= share * (count(*) - 1)
    ), hits AS MATERIALIZED (
        SELECT l.hour, c.ip_address, c.user_agent, c.click_id, c.bucket, c.clicked_at, coalesce(c.subscriber_id::text, c.click_id) AS subscriber
        FROM postback.clicks AS c JOIN likely AS l ON l.ip_address = c.ip_address AND l.hour = date_trunc('hour', c.clicked_at)
        WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.method <> 'TEST'
    ), addresses AS MATERIALIZED (
        SELECT d.hour, d.ip_address, sum(d.subscribers)::bigint AS subscribers, max(d.subscribers) AS of_one, count(*) AS agents,
            (array_agg(d.user_agent ORDER BY d.subscribers DESC, d.user_agent))[1] AS user_agent
        FROM (SELECT h.hour, h.ip_address, h.user_agent, count(DISTINCT h.subscriber) AS subscribers FROM hits AS h GROUP BY 1, 2, 3) AS d
        GROUP BY d.hour, d.ip_address
        HAVING sum(d.subscribers) >= most AND max(d.subscribers) >= share * sum(d.subscribers)
    )
    SELECT 'address', host(a.ip_address),
        jsonb_build_object('subscribers', max(a.subscribers), 'limit', most, 'agent_share', round(max(a.of_one::numeric / a.subscribers), 3), 'share_limit', share,
            'user_agents', max(a.agents), 'hours', count(DISTINCT a.hour)),
        jsonb_build_object('user_agents', (array_agg(DISTINCT a.user_agent))[1:20]),
        array_agg('click'::text), array_agg(h.click_id), array_agg(h.bucket), array_agg(h.clicked_at)
    FROM addresses AS a JOIN hits AS h ON h.hour = a.hour AND h.ip_address = a.ip_address AND h.user_agent IS NOT DISTINCT FROM a.user_agent
    WHERE NOT EXISTS (
        SELECT FROM postback.ip_ranges AS r WHERE r.range OPERATOR(pg_catalog.>>=) _postback.unmapped(a.ip_address) AND r.kind = 'carrier')
    GROUP BY a.ip_address;
END
$$;

-- The variation of the gaps between a device's clicks: their standard deviation over their mean. People's is near 1.
CREATE FUNCTION _postback.find_perfect_intervals(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- Planned for its hour; and what is joined has been counted a moment ago: nothing is known of its size.
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
    least_clicks CONSTANT bigint := greatest((p ->> 'clicks')::bigint, 3);
    largest CONSTANT double precision := (p ->> 'variation')::double precision;
BEGIN
    RETURN QUERY
    -- Behind a carrier's address are many busy devices: their gaps are looked at in narrow rows, and only what is even is read whole.
    WITH taps AS MATERIALIZED (
        SELECT date_trunc('hour', c.clicked_at) AS hour, hashtextextended(coalesce(c.user_agent, ''), hashinetextended(c.ip_address, 0)) AS device, c.clicked_at
        FROM postback.clicks AS c
        WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor IN ('human', 'suspect', 'datacenter')
          AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
    ), busy AS MATERIALIZED (
        SELECT t.hour, t.device FROM taps AS t GROUP BY t.hour, t.device HAVING count(*) >= least_clicks
    ), even AS MATERIALIZED (
        SELECT g.hour, g.device
        FROM (SELECT t.hour, t.device, date_part('epoch', t.clicked_at - lag(t.clicked_at) OVER (PARTITION BY t.hour, t.device ORDER BY t.clicked_at)) AS gap
              FROM taps AS t JOIN busy AS b ON b.hour = t.hour AND b.device = t.device) AS g
        GROUP BY g.hour, g.device HAVING avg(g.gap) > 0 AND stddev_pop(g.gap) <= largest * avg(g.gap)
    ), gaps AS (
        SELECT c.click_id, c.bucket, c.clicked_at, c.ip_address, c.user_agent, e.hour,
            date_part('epoch', c.clicked_at - lag(c.clicked_at) OVER (PARTITION BY e.hour, c.ip_address, c.user_agent ORDER BY c.clicked_at)) AS gap
        FROM postback.clicks AS c
        JOIN even AS e ON e.device = hashtextextended(coalesce(c.user_agent, ''), hashinetextended(c.ip_address, 0)) AND e.hour = date_trunc('hour', c.clicked_at)
        WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor IN ('human', 'suspect', 'datacenter')
          AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
    ), devices AS (
        SELECT g.hour, g.ip_address, g.user_agent, count(*) AS clicks, avg(g.gap) AS mean, stddev_pop(g.gap) AS deviation,
            array_agg(g.click_id) AS click_ids, array_agg(g.bucket) AS buckets, array_agg(g.clicked_at) AS clicked_ats
        FROM gaps AS g GROUP BY g.hour, g.ip_address, g.user_agent
        HAVING count(*) >= least_clicks AND avg(g.gap) > 0 AND stddev_pop(g.gap) <= largest * avg(g.gap)
    )
    SELECT 'address', host(d.ip_address),
        jsonb_build_object('clicks', d.clicks, 'seconds_between', round(d.mean::numeric, 3), 'variation', round((d.deviation / d.mean)::numeric, 4), 'limit', p -> 'variation'),
        jsonb_build_object('user_agents', jsonb_build_array(d.user_agent)),
        array_fill('click'::text, ARRAY[d.clicks::integer]), d.click_ids, d.buckets, d.clicked_ats
    FROM devices AS d;
END
$$;
