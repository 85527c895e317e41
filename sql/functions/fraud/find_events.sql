-- Rules that look at single events and at some minutes around them: with the event, or each minute.

-- The time between click and conversion is certain where both were told by our own clock. A network's time counts only where it says more
-- than the minute and lies after the click: else it is a clock that differs. Of these conversions, or of those of a time.
CREATE FUNCTION _postback.find_fast_conversions(p jsonb, conversion_ids text[], since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    shortest CONSTANT interval := make_interval(secs => (p ->> 'seconds')::double precision);
    asked CONSTANT text[] := coalesce(conversion_ids, array(
        SELECT c.conversion_id FROM postback.conversions AS c
        WHERE c.converted_at >= since AND c.converted_at < until
          AND (c.converted_at < c.clicked_at + interval '60 seconds' OR c.received_at < c.clicked_at + interval '60 seconds')));
BEGIN
    RETURN QUERY
    SELECT 'conversion', c.conversion_id,
        jsonb_build_object('seconds', round(extract(epoch FROM e.elapsed), 3), 'limit', p -> 'seconds', 'clicked_at', c.clicked_at,
            'converted_at', c.converted_at, 'received_at', c.received_at, 'click_id', c.click_id, 'transaction_id', c.transaction_id),
        '{}'::jsonb, ARRAY['conversion'], ARRAY[c.conversion_id], ARRAY[c.bucket], ARRAY[c.converted_at]
    FROM postback.conversions AS c
    CROSS JOIN LATERAL (SELECT least(CASE WHEN c.received_at >= c.clicked_at THEN c.received_at END,
        CASE WHEN c.converted_at > c.clicked_at AND c.converted_at <> date_trunc('minute', c.converted_at) THEN c.converted_at END) - c.clicked_at) AS e (elapsed)
    WHERE c.conversion_id = ANY (asked) AND e.elapsed < shortest AND NOT c.is_test;
END
$$;

-- Clicks from a data centre get that class, and follow_click() repairs the paths that they were in. A machine that says so itself keeps
-- its own class. A list of carriers goes before one of data centres.
CREATE FUNCTION _postback.find_datacenter_clicks(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_variable
BEGIN
    IF NOT EXISTS (SELECT FROM postback.ip_ranges AS r WHERE r.kind = 'datacenter') THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH addresses AS MATERIALIZED (
        SELECT DISTINCT c.ip_address FROM postback.clicks AS c
        WHERE c.clicked_at >= since AND c.clicked_at < until AND c.visitor IN ('human', 'suspect') AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
    ), listed AS MATERIALIZED (
        SELECT a.ip_address, r.range, r.source FROM addresses AS a
        CROSS JOIN LATERAL (
            SELECT r.range, r.source, r.kind FROM postback.ip_ranges AS r WHERE r.range OPERATOR(pg_catalog.>>=) _postback.unmapped(a.ip_address)
            ORDER BY r.kind, masklen(r.range) DESC, r.source LIMIT 1) AS r
        WHERE r.kind = 'datacenter'
    ), moved AS (
        UPDATE postback.clicks AS c SET visitor = 'datacenter'
        FROM listed AS l
        WHERE c.ip_address = l.ip_address AND c.clicked_at >= since AND c.clicked_at < until AND c.visitor IN ('human', 'suspect') AND c.method <> 'TEST'
        RETURNING c.click_id, c.bucket, c.clicked_at, c.ip_address, l.range, l.source
    )
    SELECT 'range', m.range::text, jsonb_build_object('source', min(m.source), 'addresses', count(DISTINCT m.ip_address), 'clicks', count(*)),
        jsonb_build_object('addresses', (array_agg(DISTINCT host(m.ip_address)))[1:100]),
        array_agg('click'::text), array_agg(m.click_id), array_agg(m.bucket), array_agg(m.clicked_at)
    FROM moved AS m GROUP BY m.range;
END
$$;

-- A device is an address and a user agent; it taps for one subscriber, or without one for a campaign.
CREATE FUNCTION _postback.find_click_floods(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
-- Planned for its time; and what is joined has been counted a moment ago: nothing is known of its size.
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := (p ->> 'clicks')::bigint;
    span CONSTANT interval := make_interval(mins => (p ->> 'minutes')::integer);
BEGIN
    RETURN QUERY
    -- By hash first, so that the rows are narrow and only floods are read whole. Two devices of one hash only make one more to look at.
    WITH busy AS MATERIALIZED (
        SELECT hashtextextended(coalesce(c.user_agent, ''), hashinetextended(c.ip_address, coalesce(c.subscriber_id, c.campaign_id, 0))) AS device
        FROM postback.clicks AS c
        WHERE c.clicked_at >= since - span AND c.clicked_at < until AND c.visitor IN ('human', 'suspect', 'datacenter') AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
        GROUP BY 1 HAVING count(*) >= most
    ), hits AS MATERIALIZED (
        SELECT c.click_id, c.bucket, c.clicked_at, c.ip_address, c.user_agent, coalesce('subscriber ' || c.subscriber_id, 'campaign ' || c.campaign_id, '') AS target
        FROM postback.clicks AS c
        JOIN busy AS b ON b.device = hashtextextended(coalesce(c.user_agent, ''), hashinetextended(c.ip_address, coalesce(c.subscriber_id, c.campaign_id, 0)))
        WHERE c.clicked_at >= since - span AND c.clicked_at < until AND c.visitor IN ('human', 'suspect', 'datacenter') AND c.ip_address IS NOT NULL AND c.method <> 'TEST'
    ), counted AS (
        SELECT h.*, count(*) OVER (PARTITION BY h.ip_address, h.user_agent, h.target ORDER BY h.clicked_at RANGE BETWEEN span PRECEDING AND CURRENT ROW) AS clicks
        FROM hits AS h
    ), judged AS (
        SELECT c.*, max(c.clicks) OVER (PARTITION BY c.ip_address, c.user_agent, c.target ORDER BY c.clicked_at RANGE BETWEEN CURRENT ROW AND span FOLLOWING) AS reached
        FROM counted AS c
    )
    SELECT 'address', host(j.ip_address),
        jsonb_build_object('clicks', max(j.reached), 'minutes', p -> 'minutes', 'limit', most, 'targets', count(DISTINCT j.target), 'one_target', min(j.target)),
        jsonb_build_object('user_agents', (array_agg(DISTINCT j.user_agent))[1:20]),
        array_agg('click'::text), array_agg(j.click_id), array_agg(j.bucket), array_agg(j.clicked_at)
    FROM judged AS j WHERE j.reached >= most GROUP BY j.ip_address;
END
$$;

-- The least id of a moment: the key of postbacks begins with ids that were minted when the message came.
CREATE FUNCTION _postback.least_id(at timestamptz)
RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    milliseconds CONSTANT text := lpad(to_hex(greatest(floor(extract(epoch FROM at) * 1000), 0)::bigint), 12, '0');
BEGIN
    RETURN left(milliseconds, 8) || '-' || right(milliseconds, 4);
END
$$;

-- One network's messages that failed its checks, from whatever source: a spoofer changes his address.
CREATE FUNCTION _postback.find_spoofed_postbacks(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    most CONSTANT bigint := (p ->> 'postbacks')::bigint;
    span CONSTANT interval := make_interval(mins => (p ->> 'minutes')::integer);
BEGIN
    RETURN QUERY
    WITH failed AS (
        SELECT m.postback_id, m.received_at, m.network_id, m.source_ip, m.checks,
            count(*) OVER (PARTITION BY m.network_id ORDER BY m.received_at RANGE BETWEEN span PRECEDING AND CURRENT ROW) AS messages
        FROM postback.postbacks AS m
        WHERE m.postback_id >= _postback.least_id(since - span) COLLATE "C" AND m.received_at >= since - span AND m.received_at < until AND m.verdict = 'unauthenticated' AND m.network_id IS NOT NULL
    ), judged AS (
        SELECT f.*, max(f.messages) OVER (PARTITION BY f.network_id ORDER BY f.received_at RANGE BETWEEN CURRENT ROW AND span FOLLOWING) AS reached
        FROM failed AS f
    )
    SELECT 'network', j.network_id::text,
        jsonb_build_object('postbacks', max(j.reached), 'minutes', p -> 'minutes', 'limit', most, 'sources', count(DISTINCT j.source_ip),
            'checks', (SELECT jsonb_agg(DISTINCT c.name) FROM unnest(string_to_array(string_agg(array_to_string(j.checks, ' '), ' '), ' ')) AS c (name)
                       WHERE c.name ~ '^[a-z_]+:[a-z_]+$')),
        jsonb_build_object('addresses', (array_agg(DISTINCT host(j.source_ip)))[1:100]),
        array_agg('postback'::text), array_agg(j.postback_id), array_agg(NULL::smallint), array_agg(j.received_at)
    FROM judged AS j WHERE j.reached >= most GROUP BY j.network_id;
END
$$;

-- Messages about a known transaction with another click, or with a payout far from its first; and conversions that share their transaction
-- with one of another click under another key. Where the network adds payouts up, other amounts are what it is meant to send.
CREATE FUNCTION _postback.find_transaction_reuse(p jsonb, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    largest CONSTANT numeric := (p ->> 'payout_change')::numeric;
BEGIN
    RETURN QUERY
    WITH odd AS (
        SELECT c.conversion_id, c.bucket, m.received_at AS at, 'postback' AS kind, m.postback_id AS item, NULL::smallint AS item_bucket,
            CASE WHEN m.click_id <> c.click_id THEN 'other_click' ELSE 'other_payout' END AS what,
            jsonb_build_object('click_id', m.click_id, 'payout', m.payout, 'first_click_id', c.click_id, 'first_payout', f.payout) AS said
        FROM postback.postbacks AS m
        JOIN postback.conversions AS c ON c.conversion_id = m.conversion_id
        JOIN postback.networks AS n ON n.network_id = c.network_id
        CROSS JOIN LATERAL (
            SELECT e.asserted_payout AS payout FROM postback.conversion_events AS e
            WHERE e.conversion_id = c.conversion_id AND e.bucket = c.bucket AND e.asserted_status IN ('pending', 'approved') AND e.asserted_payout > 0
            ORDER BY e.seq LIMIT 1) AS f
        WHERE m.postback_id >= _postback.least_id(since) COLLATE "C" AND m.received_at >= since AND m.received_at < until AND m.verdict IN ('conflict', 'updated', 'stale') AND NOT c.is_test
          AND (m.verdict = 'conflict' AND m.click_id <> c.click_id
               OR abs(m.payout - f.payout) >= largest * f.payout AND m.payout > 0
                  AND coalesce(n.duplicate_policies ->> coalesce(m.event, '*'), n.duplicate_policies ->> '*', 'update') <> 'add_payout')
        UNION ALL
        SELECT c.conversion_id, c.bucket, o.received_at, 'conversion', o.conversion_id, o.bucket, 'other_click',
            jsonb_build_object('click_id', o.click_id, 'payout', o.payout, 'first_click_id', c.click_id, 'first_payout', c.payout)
        FROM postback.conversions AS o
        CROSS JOIN LATERAL (SELECT 'transaction_id=' || _postback.key_part(o.transaction_id) AS start) AS s
        CROSS JOIN LATERAL (  -- an apostrophe is the character after &
            SELECT k.conversion_id, k.bucket FROM postback.conversion_keys AS k
            WHERE k.network_id = o.network_id AND k.dedupe_key >= s.start AND k.dedupe_key < s.start || ''''
              AND (k.dedupe_key = s.start OR k.dedupe_key >= s.start || '&')
            -- One look into the index for each, whatever the planner thinks of ranges.
            OFFSET 0) AS k
        JOIN postback.conversions AS c ON c.conversion_id = k.conversion_id AND c.bucket = k.bucket
        WHERE o.converted_at >= since AND o.converted_at < until AND NOT o.is_test AND NOT c.is_test
          AND c.click_id <> o.click_id AND (c.received_at, c.conversion_id) < (o.received_at, o.conversion_id)
    )
    SELECT 'conversion', o.conversion_id,
        jsonb_build_object('messages', count(*), 'other_clicks', count(*) FILTER (WHERE o.what = 'other_click'),
            'other_payouts', count(*) FILTER (WHERE o.what = 'other_payout'), 'limit', largest, 'last', (array_agg(o.said ORDER BY o.at DESC))[1]),
        '{}'::jsonb, array_agg(o.kind) || 'conversion'::text, array_agg(o.item) || o.conversion_id, array_agg(o.item_bucket) || o.bucket, array_agg(o.at) || min(o.at)
    FROM odd AS o GROUP BY o.conversion_id, o.bucket;
END
$$;
