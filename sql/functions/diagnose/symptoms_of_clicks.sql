-- What clicks tell: people tap, and nothing comes back.

-- A trouble is over once so many good messages came after it that five more of it were to be expected.
CREATE FUNCTION _postback.still_happens(bad bigint, until_last_bad bigint, good_since bigint)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN bad * good_since < 5 * until_last_bad;
END
$$;

-- The parameters of an offer's URL that carry the click id.
CREATE FUNCTION _postback.click_parameters(url_template text)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN array(SELECT m.part[1] FROM regexp_matches(url_template, '[?&;]([^?&=#;]+)=[^&#]*\{click_id\}', 'g') AS m (part));
END
$$;

-- The click id rides in a parameter that the network does not give back.
CREATE FUNCTION _postback.symptom_offer_url(offers bigint[])
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'click_id_in_unknown_parameter', 'critical', 'offer ' || o.offer_id,
           jsonb_build_object('network', n.slug, 'url_carries_it_in', to_jsonb(c.names), 'network_gives_back', (n.parameters -> 'click_id') || to_jsonb(n.click_slot)),
           format('Let the offer''s url_template carry %s={click_id}: see offer_url_hint(%L).', n.click_slot, n.slug)
    FROM postback.offers AS o
    JOIN postback.networks AS n ON n.network_id = o.network_id
    CROSS JOIN LATERAL (SELECT _postback.click_parameters(o.url_template) AS names) AS c
    -- An id in the path is a matter between offer and network; and a network of any kind may use any slot.
    WHERE o.offer_id = ANY (offers) AND cardinality(c.names) > 0 AND n.preset <> 'generic'
      AND NOT c.names && array(SELECT jsonb_array_elements_text(n.parameters -> 'click_id') UNION SELECT n.click_slot);
END
$$;

-- 200 people tapped, an hour ago or more, and nobody converted: at one in a hundred that happens to one offer in eight.
CREATE FUNCTION _postback.symptom_no_conversions(offers bigint[], campaign bigint, since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    WITH tapped AS (
        SELECT p.offer_id, sum(p.human_clicks) AS clicks
        FROM postback.performance('{offer,campaign}', since, now - interval '1 hour') AS p
        WHERE p.offer_id = ANY (offers) AND (campaign IS NULL OR p.campaign_id = campaign)
        GROUP BY p.offer_id
    ), converted AS (
        SELECT DISTINCT p.offer_id FROM postback.performance('{offer,campaign}', since, now) AS p
        WHERE p.conversions > 0 AND (campaign IS NULL OR p.campaign_id = campaign)
    )
    SELECT 'clicks_without_conversions', 'critical', 'offer ' || t.offer_id,
           jsonb_build_object('human_clicks', t.clicks, 'conversions', 0, 'network', n.slug, 'url_carries_click_id_in', to_jsonb(_postback.click_parameters(o.url_template)),
               'postbacks_of_network', m.messages, 'without_click_id', m.nameless, 'verdicts', coalesce(m.verdicts, '{}')),
           CASE WHEN m.messages = 0 THEN format('Nothing came from the network: is postback_url(%L, …) pasted there, and does the offer''s own page carry the id on? '
                    'Follow a link with postback-proxy preflight.', n.slug)
                WHEN m.nameless > 0 THEN 'Its postbacks carry no click id: the macro of the postback URL, or the parameter of the offer URL, is missing. Compare '
                    || format('offer_url_hint(%L) and postback_url(%L, …).', n.slug, n.slug)
                ELSE 'Postbacks come, none for this offer''s clicks: look at the other symptoms of the network, then follow a link with postback-proxy preflight.' END
    FROM tapped AS t
    JOIN postback.offers AS o ON o.offer_id = t.offer_id
    JOIN postback.networks AS n ON n.network_id = o.network_id OR o.network_id IS NULL AND n.slug = 'default'
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(v.messages), 0) AS messages, coalesce(sum(v.nameless), 0) AS nameless, jsonb_object_agg(v.verdict, v.messages) AS verdicts
        FROM (
            SELECT p.verdict, count(*) AS messages, count(*) FILTER (WHERE p.click_id IS NULL) AS nameless
            FROM postback.postbacks AS p
            WHERE p.network_id = n.network_id AND p.received_at >= since AND p.received_at <= now AND p.verdict <> 'test' GROUP BY p.verdict) AS v) AS m
    WHERE t.clicks >= 200 AND NOT EXISTS (SELECT FROM converted AS c WHERE c.offer_id = t.offer_id);
END
$$;

-- People go on tapping, and by what they used to bring ten messages are overdue.
CREATE FUNCTION _postback.symptom_network_stopped(networks integer[], since timestamptz, now timestamptz)
RETURNS TABLE (symptom text, severity text, subject text, evidence jsonb, next_step text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    SELECT 'network_stopped_sending', 'critical', 'network ' || n.slug,
           jsonb_build_object('last_postback_at', l.last_at, 'postbacks_before', l.messages, 'human_clicks_before', b.clicks, 'human_clicks_since', s.clicks,
               'expected_postbacks', round(l.messages * s.clicks / b.clicks)),
           'Ask the network whether it has switched the postback off (Everflow does after ten failures), and look at what was answered before: '
               || format('SELECT verdict, reason, received_at FROM postback.postback_log WHERE network = %L ORDER BY received_at DESC LIMIT 20.', n.slug)
    FROM postback.networks AS n
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages, max(p.received_at) AS last_at FROM postback.postbacks AS p
        WHERE p.network_id = n.network_id AND p.received_at >= since AND p.received_at <= now AND p.verdict NOT IN ('test', 'unauthenticated')) AS l
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.human_clicks), 0) AS clicks FROM postback.performance('{offer}', since, l.last_at) AS p
        WHERE p.offer_id = ANY (_postback.offers_of(n.network_id))) AS b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.human_clicks), 0) AS clicks FROM postback.performance('{offer}', l.last_at, now - interval '1 hour') AS p
        WHERE p.offer_id = ANY (_postback.offers_of(n.network_id))) AS s
    WHERE n.network_id = ANY (networks) AND l.last_at < now - interval '1 hour' AND b.clicks > 0 AND l.messages * s.clicks >= 10 * b.clicks;
END
$$;
