-- Models over whole paths: what each channel contributes, by the ways of all who clicked. The arithmetic is in extension/core.

CREATE FUNCTION postback.markov_attribution(
    channel text DEFAULT 'campaign',
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved}',
    chain_order integer DEFAULT 1)
RETURNS TABLE (channel_id bigint, conversions bigint, removal_effect double precision, share numeric, revenue numeric, currency text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
BEGIN
    IF chain_order IS NULL OR chain_order NOT BETWEEN 1 AND 10 THEN
        RAISE EXCEPTION 'chain order "%" is not between 1 and 10', chain_order USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    SELECT a.* FROM _postback.path_attribution('markov', channel, since, until, click_window, scope, statuses, chain_order, NULL, NULL, NULL) AS a;
END
$$;
COMMENT ON FUNCTION postback.markov_attribution(text, timestamptz, timestamptz, interval, text, postback.conversion_status[], integer) IS
    'One row per channel (campaign, variant, offer or send; NULL: clicks without one) and currency, for the conversions in [since, until) with a touch. '
    'Journeys are the touches of each conversion in order and, for every subscriber with human clicks in the period but no conversion in the same '
    'scope, the clicks within the click window before the last one, which end in nothing. The chain moves from the last chain_order channels to '
    'the next, to a conversion or to nothing, as often as journeys did. Each currency has a chain of its own. removal_effect, 0 to 1: the fraction of the chain''s conversions that are '
    'lost when whoever comes to the channel ends in nothing (Anderl et al. 2016). share: of all removal effects; shares sum to 1 in each currency, '
    'revenue to its payouts. conversions: those in the currency that touched the channel. Errors: 22023 for an argument that is not known.';

CREATE FUNCTION postback.shapley_attribution(
    channel text DEFAULT 'campaign',
    since timestamptz DEFAULT '-infinity',
    until timestamptz DEFAULT 'infinity',
    click_window interval DEFAULT NULL,
    scope text DEFAULT 'offer',
    statuses postback.conversion_status[] DEFAULT '{pending,approved}',
    worth text DEFAULT 'conversions',
    permutations integer DEFAULT 1000,
    seed bigint DEFAULT 0)
RETURNS TABLE (channel_id bigint, conversions bigint, value double precision, share numeric, revenue numeric, currency text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
BEGIN
    IF worth IS NULL OR worth NOT IN ('conversions', 'rate') THEN
        RAISE EXCEPTION 'worth "%" is not known', worth USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of conversions (of journeys through these channels alone), rate (the fraction of those journeys that converted).';
    ELSIF permutations IS NULL OR permutations NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'permutations "%" are not between 1 and 1000000', permutations USING ERRCODE = 'invalid_parameter_value';
    ELSIF seed IS NULL THEN
        RAISE EXCEPTION 'seed is NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN QUERY
    SELECT a.* FROM _postback.path_attribution('shapley', channel, since, until, click_window, scope, statuses, NULL, worth, permutations, seed) AS a;
END
$$;
COMMENT ON FUNCTION postback.shapley_attribution(text, timestamptz, timestamptz, interval, text, postback.conversion_status[], text, integer, bigint) IS
    'One row per channel (campaign, variant, offer or send; NULL: clicks without one) and currency, for the conversions in [since, until) with a touch. '
    'value: what the channel adds to the worth of the others, on average over all orders of adding them; order and number of touches do not count. '
    'worth conversions: the conversions whose touches are all of these channels; each is then divided equally among those it touched, exactly '
    '(Zhao et al. 2018), each currency by itself. worth rate: of the journeys through these channels alone (those of markov_attribution()), the fraction that converted; exact '
    'up to 20 channels, with more the average over so many permutations, drawn from seed and each taken both ways. A value below 0 gets no share. Shares '
    'sum to 1 in each currency, revenue to its payouts. conversions: those in the currency that touched the channel. Errors: 22023 for an argument that is not known.';

-- Weights, shares and money. Each share has 12 decimals; money goes by largest remainder in the currency's minor unit, or in the smallest
-- unit that its payouts use, and a tie to the lower channel.
CREATE FUNCTION _postback.path_attribution(
    model text, channel text, since timestamptz, until timestamptz, click_window interval, scope text, statuses postback.conversion_status[],
    chain_order integer, worth text, permutations integer, seed bigint)
RETURNS TABLE (channel_id bigint, conversions bigint, weight double precision, share numeric, revenue numeric, currency text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF channel IS NULL OR channel NOT IN ('campaign', 'variant', 'offer', 'send') THEN
        RAISE EXCEPTION 'channel "%" is not known', channel USING ERRCODE = 'invalid_parameter_value', HINT = 'One of campaign, variant, offer, send.';
    ELSIF scope IS NULL OR scope NOT IN ('offer', 'network', 'any') THEN
        RAISE EXCEPTION 'attribution scope "%" is not known', scope USING ERRCODE = 'invalid_parameter_value',
            HINT = 'One of offer (clicks of the same offer), network (of the same network), any.';
    END IF;
    RETURN QUERY
    WITH journeys AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY j.channels, j.currency) AS number, j.*
        FROM _postback.journeys(channel, since, until, click_window, scope, statuses, model = 'markov' OR worth = 'rate') AS j
    ), totals AS (
        SELECT j.currency, sum(j.revenue) AS revenue, greatest(_postback.minor_units(j.currency), min_scale(sum(j.revenue))) AS decimals
        FROM journeys AS j WHERE j.currency IS NOT NULL
        GROUP BY j.currency
    ), flat AS MATERIALIZED (
        -- Each currency by itself: its conversions, and the journeys that ended in nothing.
        SELECT t.currency, f.* FROM totals AS t CROSS JOIN LATERAL (
            SELECT (SELECT array_agg(c.channel ORDER BY j.number, c.place)
                    FROM journeys AS j CROSS JOIN LATERAL unnest(j.channels) WITH ORDINALITY AS c (channel, place)
                    WHERE j.currency = t.currency OR j.currency IS NULL) AS channels,
                   array_agg(cardinality(j.channels) ORDER BY j.number) AS lengths,
                   array_agg(j.converted ORDER BY j.number) AS converted, array_agg(j.lost ORDER BY j.number) AS lost
            FROM journeys AS j WHERE j.currency = t.currency OR j.currency IS NULL) AS f
    ), shares AS (
        SELECT f.currency, m.* FROM flat AS f CROSS JOIN LATERAL _postback.markov_shares(f.channels, f.lengths, f.converted, f.lost, chain_order) AS m
        WHERE model = 'markov'
        UNION ALL
        SELECT f.currency, s.* FROM flat AS f
        CROSS JOIN LATERAL _postback.shapley_shares(f.channels, f.lengths, f.converted, f.lost, worth, permutations, seed) AS s
        WHERE model = 'shapley'
    ), parts AS (
        SELECT s.channel_id, s.conversions, s.weight, p.share, t.currency, t.revenue, round(10 ^ -t.decimals::numeric, t.decimals) AS unit,
               t.revenue * p.share AS exact, trunc(t.revenue * p.share, t.decimals) AS part
        FROM shares AS s JOIN totals AS t ON t.currency = s.currency CROSS JOIN LATERAL (SELECT s.share * 0.000000000001) AS p (share)
    )
    SELECT p.channel_id, p.conversions, p.weight, p.share,
           p.part + CASE WHEN row_number() OVER (PARTITION BY p.currency ORDER BY p.exact - p.part DESC, p.channel_id)
                              <= (p.revenue - sum(p.part) OVER (PARTITION BY p.currency)) / p.unit THEN p.unit ELSE 0 END,
           p.currency
    FROM parts AS p
    ORDER BY p.currency, p.share DESC, p.channel_id;
END
$$;

-- The ways that people took through channels, and how often each ended in a conversion, with its money, and in nothing.
CREATE FUNCTION _postback.journeys(
    channel text, since timestamptz, until timestamptz, click_window interval, scope text, statuses postback.conversion_status[], with_lost boolean)
RETURNS TABLE (channels bigint[], currency text, revenue numeric, converted bigint, lost bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' AS $$
#variable_conflict use_column
DECLARE
    own_network CONSTANT integer := _postback.default_network();
BEGIN
    IF with_lost THEN
        -- Of days that were dropped nobody knows who came and did not buy.
        since := greatest(since, (SELECT r.dropped_until FROM postback.retention AS r WHERE r.relation = 'clicks'));
    END IF;
    RETURN QUERY
    SELECT c.channels, p.currency, sum(p.payout), count(*), 0::bigint
    FROM _postback.conversion_paths(since, until, click_window, scope, statuses) AS p
    CROSS JOIN LATERAL (SELECT CASE journeys.channel WHEN 'campaign' THEN p.campaign_ids WHEN 'variant' THEN p.variant_ids
                                                     WHEN 'offer' THEN p.offer_ids ELSE p.send_ids END) AS c (channels)
    GROUP BY c.channels, p.currency;

    RETURN QUERY
    -- A person is a subscriber; where nobody knows the subscriber, every click is its own.
    WITH buyers AS (
        SELECT DISTINCT c.bucket, coalesce(c.subscriber_id, 0) AS subscriber, CASE WHEN c.subscriber_id IS NULL THEN c.click_id ELSE '' END AS stranger,
               CASE scope WHEN 'offer' THEN coalesce(c.offer_id, -1) WHEN 'network' THEN coalesce(o.network_id, own_network, -1) ELSE 0 END AS realm
        FROM postback.conversion_log AS c LEFT JOIN postback.offer_rules AS o ON o.offer_id = c.offer_id
        WHERE c.converted_at >= coalesce(since, '-infinity') AND c.converted_at < coalesce(until, 'infinity')
          AND (statuses IS NULL OR c.status = ANY (statuses))
    ), clicks AS (
        SELECT k.bucket, coalesce(k.subscriber_id, 0) AS subscriber, CASE WHEN k.subscriber_id IS NULL THEN k.click_id ELSE '' END AS stranger,
               k.click_id, k.clicked_at,
               CASE scope WHEN 'offer' THEN coalesce(k.offer_id, -1) WHEN 'network' THEN coalesce(o.network_id, own_network, -1) ELSE 0 END AS realm,
               CASE journeys.channel WHEN 'campaign' THEN k.campaign_id WHEN 'variant' THEN k.variant_id WHEN 'offer' THEN k.offer_id ELSE k.send_id END
                   AS channel,
               -- Longer than any time that can be taken off.
               make_interval(secs => least(extract(epoch FROM coalesce(journeys.click_window, o.click_window, interval '7 days')), 1e11)) AS click_window
        FROM postback.click_log AS k LEFT JOIN postback.offer_rules AS o ON o.offer_id = k.offer_id
        WHERE with_lost AND k.visitor = 'human' AND k.clicked_at >= coalesce(since, '-infinity') AND k.clicked_at < coalesce(until, 'infinity')
    ), lost AS (
        SELECT array_agg(k.channel ORDER BY k.clicked_at, k.click_id) AS channels
        FROM (
            SELECT k.*, max(k.clicked_at) OVER (PARTITION BY k.bucket, k.subscriber, k.stranger, k.realm) AS last_clicked_at
            FROM clicks AS k
            WHERE NOT EXISTS (SELECT FROM buyers AS b WHERE b.bucket = k.bucket AND b.subscriber = k.subscriber AND b.stranger = k.stranger
                AND b.realm = k.realm)
        ) AS k
        WHERE k.clicked_at >= k.last_clicked_at - k.click_window
        GROUP BY k.bucket, k.subscriber, k.stranger, k.realm
    )
    SELECT l.channels, NULL::text, NULL::numeric, 0::bigint, count(*) FROM lost AS l GROUP BY l.channels;
END
$$;

-- Per channel that some journey touches: the conversions that touched it, its removal effect and its share in units of 10^-12. The journeys
-- come one after the other in channels, each with its length, how often it converted and how often not.
CREATE FUNCTION _postback.markov_shares(channels bigint[], lengths integer[], converted bigint[], lost bigint[], chain_order integer)
RETURNS TABLE (channel_id bigint, conversions bigint, weight double precision, share bigint)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'markov_shares_wrapper';

-- The same with Shapley values.
CREATE FUNCTION _postback.shapley_shares(
    channels bigint[], lengths integer[], converted bigint[], lost bigint[], worth text, permutations integer, seed bigint)
RETURNS TABLE (channel_id bigint, conversions bigint, weight double precision, share bigint)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shapley_shares_wrapper';
