-- Rules that look at whole hours of one device or address.

-- The subscribers behind one address in an hour. Behind a carrier's are as many kinds of devices as anywhere; behind one device is one.
CREATE FUNCTION _postback.find_fan_outs(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := (p ->> 'subscribers')::bigint;
    share CONSTANT numeric := (p ->> 'agent_share')::numeric;
BEGIN
    RETURN QUERY
    WITH devices AS MATERIALIZED (
        SELECT t.hour, t.ip_address, t.user_agent, count(*) AS subscribers
        FROM (SELECT DISTINCT date_trunc('hour', c.clicked_at) AS hour, c.ip_address, c.user_agent, coalesce(c.subscriber_id::text, c.click_id) AS subscriber
              FROM postback.clicks AS c
              WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor = 'human' AND c.ip_address IS NOT NULL AND c.method <> 'TEST') AS t
        GROUP BY t.hour, t.ip_address, t.user_agent
    ), addresses AS MATERIALIZED (
        SELECT d.hour, d.ip_address, sum(d.subscribers)::bigint AS subscribers, max(d.subscribers) AS of_one, count(*) AS agents,
            (array_agg(d.user_agent ORDER BY d.subscribers DESC, d.user_agent))[1] AS user_agent
        FROM devices AS d GROUP BY d.hour, d.ip_address
        HAVING sum(d.subscribers) >= most AND max(d.subscribers) >= share * sum(d.subscribers)
    )
    SELECT 'address', host(a.ip_address),
        jsonb_build_object('subscribers', max(a.subscribers), 'limit', most, 'agent_share', round(max(a.of_one::numeric / a.subscribers), 3), 'share_limit', share,
            'user_agents', max(a.agents), 'hours', count(DISTINCT a.hour)),
        jsonb_build_object('user_agents', (array_agg(DISTINCT a.user_agent))[1:20]),
        array_agg('click'::text), array_agg(c.click_id), array_agg(c.bucket), array_agg(c.clicked_at)
    FROM addresses AS a
    JOIN postback.clicks AS c ON c.ip_address = a.ip_address AND c.user_agent IS NOT DISTINCT FROM a.user_agent
        AND date_trunc('hour', c.clicked_at) = a.hour AND c.visitor = 'human' AND c.method <> 'TEST'
        AND c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until
    WHERE NOT EXISTS (
        SELECT FROM postback.ip_ranges AS r WHERE r.range OPERATOR(pg_catalog.>>=) _postback.unmapped(a.ip_address) AND r.kind = 'carrier')
    GROUP BY a.ip_address;
END
$$;

-- The variation of the gaps between a device's clicks: their standard deviation over their mean. People's is near 1.
CREATE FUNCTION _postback.find_perfect_intervals(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    least_clicks CONSTANT bigint := greatest((p ->> 'clicks')::bigint, 3);
    largest CONSTANT double precision := (p ->> 'variation')::double precision;
BEGIN
    RETURN QUERY
    WITH hits AS MATERIALIZED (
        SELECT c.click_id, c.bucket, c.clicked_at, c.ip_address, c.user_agent, date_trunc('hour', c.clicked_at) AS hour
        FROM postback.clicks AS c
        WHERE c.clicked_at >= date_trunc('hour', since) AND c.clicked_at < until AND c.visitor IN ('human', 'suspect', 'datacenter')
          AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
    ), busy AS MATERIALIZED (
        SELECT h.hour, h.ip_address, h.user_agent FROM hits AS h GROUP BY h.hour, h.ip_address, h.user_agent HAVING count(*) >= least_clicks
    ), gaps AS (
        SELECT h.*, extract(epoch FROM h.clicked_at - lag(h.clicked_at) OVER (PARTITION BY h.hour, h.ip_address, h.user_agent ORDER BY h.clicked_at))::double precision AS gap
        FROM hits AS h JOIN busy AS b ON b.hour = h.hour AND b.ip_address = h.ip_address AND b.user_agent IS NOT DISTINCT FROM h.user_agent
    ), devices AS (
        SELECT g.hour, g.ip_address, g.user_agent, count(*) AS clicks, avg(g.gap) AS mean, stddev_pop(g.gap) AS deviation,
            array_agg(g.click_id) AS click_ids, array_agg(g.bucket) AS buckets, array_agg(g.clicked_at) AS clicked_ats
        FROM gaps AS g GROUP BY g.hour, g.ip_address, g.user_agent
        HAVING avg(g.gap) > 0 AND stddev_pop(g.gap) <= largest * avg(g.gap)
    )
    SELECT 'address', host(d.ip_address),
        jsonb_build_object('clicks', d.clicks, 'seconds_between', round(d.mean::numeric, 3), 'variation', round((d.deviation / d.mean)::numeric, 4), 'limit', p -> 'variation'),
        jsonb_build_object('user_agents', jsonb_build_array(d.user_agent)),
        array_fill('click'::text, ARRAY[d.clicks::integer]), d.click_ids, d.buckets, d.clicked_ats
    FROM devices AS d;
END
$$;
