-- What a proxy needs to answer without the database: where each send, alias and campaign leads, what each network wants to hear, and which
-- domains links have.
-- The proxy keeps it on disk and asks often: for the newest sends only, and now and then for all.
CREATE FUNCTION postback.routes(after_send_id bigint DEFAULT 0)
RETURNS TABLE (
    kind text, id bigint, name text, content text, content_type text,
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'offer', o.offer_id, NULL, o.url_template, NULL, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint
    FROM postback.offers AS o;
    RETURN QUERY
    SELECT 'network', n.network_id::bigint, n.slug, n.answer_body, n.answer_content_type, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint
    FROM postback.networks AS n;
    RETURN QUERY
    SELECT 'campaign', c.campaign_id, NULL, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, c.offer_id
    FROM postback.campaigns AS c WHERE c.offer_id IS NOT NULL;
    RETURN QUERY
    SELECT 'send', s.send_id, NULL, NULL, NULL, s.campaign_id, s.segment_id, s.variant_id, s.offer_id
    FROM postback.sends AS s WHERE s.send_id > after_send_id;
    RETURN QUERY
    SELECT 'domain', 0::bigint, d.host, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint
    FROM (
        SELECT lower(substring(u.base_url FROM '^https?://(?:[^/@]*@)?([^/:@[]+)')) AS host
        FROM (SELECT s.base_url FROM postback.sends AS s WHERE s.send_id > after_send_id
            UNION SELECT current_setting('postback.base_url', true)) AS u
    ) AS d
    WHERE d.host IS NOT NULL
    GROUP BY d.host;
    -- There may be very many, of an earlier system: only with all the rest.
    IF after_send_id = 0 THEN
        RETURN QUERY
        SELECT 'alias', a.link_id, a.alias, NULL, NULL, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint
        FROM postback.link_aliases AS a;
    END IF;
END
$$;
COMMENT ON FUNCTION postback.routes(bigint) IS
    'What a proxy needs to redirect and to answer networks without the database, one row per offer, network, campaign, send, alias and domain of links. '
    'With after_send_id only the sends above it and their domains, and no aliases.';
