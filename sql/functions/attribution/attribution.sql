-- Which click gets the credit for a conversion. Reads the paths of conversions (postback.path_log), never clicks.

-- Plain SQL and every name with its schema, so that the planner inlines it: it works out only the columns that are asked for, and in parallel.
CREATE FUNCTION postback.attribution(
    model text DEFAULT NULL,
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    half_life interval DEFAULT '48 hours',
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved,rejected,reversed}',
    weights numeric[] DEFAULT '{0.4,0.2,0.4}')
RETURNS TABLE (
    conversion_id text, network_id integer, transaction_id text, status postback.conversion_status, converted_at timestamptz, credited_by text,
    click_id text, clicked_at timestamptz, send_id bigint, campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint,
    subscriber_id bigint, credit numeric, revenue numeric, currency text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- First and last click have one share: without the rows of a path this takes half the time. The planner drops the branch that a
    -- given model does not need.
    SELECT s.conversion_id, s.network_id, s.transaction_id, s.status, s.converted_at, s.credited_by,
           s.click_ids[s.place], s.clicked_ats[s.place], s.send_ids[s.place], s.campaign_ids[s.place], s.segment_ids[s.place],
           s.variant_ids[s.place], s.offer_ids[s.place], s.subscriber_id, 1::pg_catalog.numeric, s.payout, s.currency
    FROM (
        SELECT p.*, attribution.model AS credited_by,
               _postback.credited_place(attribution.model, p.clicked_ats, p.offer_ids, attribution.scope, p.offer_id,
                   CASE WHEN attribution.scope OPERATOR(pg_catalog.=) 'network' THEN _postback.offers_of(p.offer_network_id) END,
                   p.named, p.converted_at, coalesce(attribution.click_window, p.click_window)) AS place
        FROM postback.path_log AS p
        WHERE _postback.check_attribution(attribution.model, attribution.scope, attribution.click_window, attribution.half_life, attribution.weights)
          AND attribution.model OPERATOR(pg_catalog.=) ANY ('{first_click,last_click}')
          AND p.converted_at OPERATOR(pg_catalog.>=) coalesce(since, '-infinity') AND p.converted_at OPERATOR(pg_catalog.<) coalesce(until, 'infinity')
          AND (statuses IS NULL OR p.status OPERATOR(pg_catalog.=) ANY (statuses))) AS s
    WHERE s.place IS NOT NULL
    UNION ALL
    SELECT s.conversion_id, s.network_id, s.transaction_id, s.status, s.converted_at, s.credited_by,
           s.click_ids[s.share OPERATOR(pg_catalog.>>) 40], s.clicked_ats[s.share OPERATOR(pg_catalog.>>) 40],
           s.send_ids[s.share OPERATOR(pg_catalog.>>) 40], s.campaign_ids[s.share OPERATOR(pg_catalog.>>) 40],
           s.segment_ids[s.share OPERATOR(pg_catalog.>>) 40], s.variant_ids[s.share OPERATOR(pg_catalog.>>) 40],
           s.offer_ids[s.share OPERATOR(pg_catalog.>>) 40], s.subscriber_id,
           CASE WHEN pg_catalog.cardinality(s.shares) OPERATOR(pg_catalog.=) 1 THEN 1
                ELSE _postback.credit_of(s.share) END,
           CASE WHEN pg_catalog.cardinality(s.shares) OPERATOR(pg_catalog.=) 1 THEN s.payout
                ELSE _postback.revenue(s.payout, s.currency, s.shares, s.share) END,
           s.currency
    FROM (
        SELECT c.*, _postback.each_share(c.shares) AS share
        FROM (
            SELECT p.*, coalesce(attribution.model, p.model) AS credited_by,
                   _postback.shares(coalesce(attribution.model, p.model), attribution.half_life,
                       weights[1]::pg_catalog.float8, weights[2]::pg_catalog.float8, weights[3]::pg_catalog.float8,
                       p.clicked_ats, p.offer_ids, attribution.scope, p.offer_id,
                       CASE WHEN attribution.scope OPERATOR(pg_catalog.=) 'network' THEN _postback.offers_of(p.offer_network_id) END,
                       p.named, p.converted_at, coalesce(attribution.click_window, p.click_window)) AS shares
            FROM postback.path_log AS p
            WHERE _postback.check_attribution(attribution.model, attribution.scope, attribution.click_window, attribution.half_life, attribution.weights)
              AND (attribution.model OPERATOR(pg_catalog.=) ANY ('{first_click,last_click}')) IS NOT TRUE
              AND p.converted_at OPERATOR(pg_catalog.>=) coalesce(since, '-infinity') AND p.converted_at OPERATOR(pg_catalog.<) coalesce(until, 'infinity')
              AND (statuses IS NULL OR p.status OPERATOR(pg_catalog.=) ANY (statuses))) AS c) AS s
$$;
COMMENT ON FUNCTION postback.attribution(
    text, timestamptz, timestamptz, interval, interval, text, postback.conversion_status[], numeric[]) IS
    'One row per credited touch of the conversions in [since, until). A touch is a human click of the same subscriber (scope offer, network or any), '
    'before the conversion and within the click window (the offer''s, 7 days by default), or the click that the network named. model: first_click, '
    'last_click, linear, time_decay (half as much for each half_life before the last touch), position_based (weights of the first, all between and the '
    'last); NULL takes the offer''s. Credits of a conversion sum to 1 (twelve decimals) and revenue to its payout (in the currency''s minor unit, or the '
    'payout''s last decimal where that is finer), both by largest remainder, what is left over to the earlier touch; of two clicks at one time the '
    'smaller id is the earlier. A conversion without a qualifying click has no row. '
    'Paths reach back as far as the offer''s window, and 7 days, at first, and 90 days some minutes later (postback.touches); a NULL period or status takes all.';
