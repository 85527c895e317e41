-- A tap in one statement per batch: decode the code, find link, send and offer, classify, render, store.
-- The proxy's redirects wait for it, so nothing here is planned twice and nothing reads a table without an index.
CREATE FUNCTION postback.record_clicks(
    codes text[],
    click_ids text[] DEFAULT NULL,
    ip_addresses inet[] DEFAULT NULL,
    user_agents text[] DEFAULT NULL,
    methods text[] DEFAULT NULL,
    purposes text[] DEFAULT NULL,
    campaign_ids bigint[] DEFAULT NULL,
    offer_ids bigint[] DEFAULT NULL,
    subs jsonb[] DEFAULT NULL,
    replay boolean DEFAULT true,
    now timestamptz DEFAULT NULL,
    countries text[] DEFAULT NULL)
RETURNS TABLE (ordinal integer, click_id text, location text, visitor postback.visitor)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at CONSTANT timestamptz := coalesce(now, clock_timestamp());
    key CONSTANT bytea := postback.code_key();
    named text[] := codes;
    link_ids bigint[];
    known text[] := '{}';
BEGIN
    IF EXISTS (SELECT FROM postback.link_aliases) THEN
        named := _postback.resolve_aliases(codes, key);
    END IF;
    link_ids := _postback.decode_codes(named, key);
    IF campaign_ids IS NOT NULL OR offer_ids IS NOT NULL OR _postback.has_foreign_id(click_ids, link_ids) THEN
        RETURN QUERY SELECT * FROM _postback.record_foreign_clicks(
            named, click_ids, ip_addresses, user_agents, methods, purposes, campaign_ids, offer_ids, subs, countries, at);
        RETURN;
    END IF;
    IF replay THEN
        known := _postback.known_clicks(click_ids);
    END IF;

    RETURN QUERY
    WITH route AS MATERIALIZED (
        -- A batch has few sends: found once each, not once per tap.
        SELECT s.send_id, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, o.url_template
        FROM (SELECT DISTINCT n.link_id >> 40 AS send_id FROM unnest(link_ids) AS n (link_id)) AS d
        JOIN postback.sends AS s ON s.send_id = d.send_id
        JOIN postback.offers AS o ON o.offer_id = s.offer_id
    ), hit AS MATERIALIZED (
        SELECT h.ordinal, i.click_id, l.link_id, l.bucket, l.subscriber_id,
               r.send_id, r.campaign_id, r.segment_id, r.variant_id, r.offer_id,
               h.ip_address, h.user_agent, coalesce(h.method, 'GET') AS method, h.purpose, h.country,
               postback.classify_visitor(coalesce(h.method, 'GET'), h.purpose, h.user_agent) AS visitor,
               _postback.render_url(r.url_template, i.click_id, r.campaign_id, r.segment_id, r.variant_id, r.offer_id,
                   r.send_id, NULL) AS location
        FROM unnest(link_ids, click_ids, ip_addresses, user_agents, methods, purposes, countries)
             WITH ORDINALITY AS h (link_id, click_id, ip_address, user_agent, method, purpose, country, ordinal)
        LEFT JOIN postback.links AS l ON l.link_id = h.link_id AND l.bucket = _postback.link_bucket(h.link_id)
        LEFT JOIN route AS r ON r.send_id = l.link_id >> 40
        CROSS JOIN LATERAL (
            SELECT coalesce(h.click_id, _postback.mint_click_id_in(l.bucket, at)) COLLATE "C" AS click_id) AS i
    ), stored AS (
        INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id,
            offer_id, subscriber_id, visitor, method, ip_address, user_agent, purpose, country)
        -- In key order, so that two batches cannot deadlock; a batch that names a click twice stores it once.
        SELECT DISTINCT ON (h.click_id)
            h.click_id, h.bucket, postback.click_id_time(h.click_id), h.link_id, h.send_id, h.campaign_id, h.segment_id,
            h.variant_id, h.offer_id, h.subscriber_id, h.visitor, h.method, h.ip_address, h.user_agent, h.purpose, h.country
        FROM hit AS h
        WHERE h.link_id IS NOT NULL AND NOT (h.click_id = ANY (known))
        ORDER BY h.click_id
    )
    SELECT h.ordinal::integer, CASE WHEN h.link_id IS NOT NULL THEN h.click_id END, h.location,
           CASE WHEN h.link_id IS NOT NULL THEN h.visitor END
    FROM hit AS h;
    IF replay THEN
        -- A tap that comes late may find its postback waiting; one minted a moment ago cannot.
        PERFORM _postback.match_orphans_of(click_ids, at);
    END IF;
END
$$;
COMMENT ON FUNCTION postback.record_clicks(text[], text[], inet[], text[], text[], text[], bigint[], bigint[], jsonb[], boolean, timestamptz, text[]) IS
    'Records a batch of taps, one row per element in order: click id, where to redirect (NULL: no such link, nothing stored) and visitor class. '
    'Elements with a code are our own links; without one they need a campaign or an offer. Idempotent by click id; '
    'replay => false skips the look for ids stored before and is for ids minted a moment ago. countries are codes of two capital letters.';

-- Whether some click id is not of our own making for its link: such an element needs the careful path.
CREATE FUNCTION _postback.has_foreign_id(click_ids text[], link_ids bigint[])
RETURNS boolean LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'has_foreign_id_wrapper';

-- Vanity codes turned into the codes of their links; the others as they are.
CREATE FUNCTION _postback.resolve_aliases(codes text[], key bytea)
RETURNS text[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT array_agg(coalesce(_postback.encode_code(a.link_id, key), c.code) ORDER BY c.ordinal)
        FROM unnest(codes) WITH ORDINALITY AS c (code, ordinal)
        LEFT JOIN postback.link_aliases AS a ON a.alias = c.code);
END
$$;

-- Those of the ids whose click is stored already.
CREATE FUNCTION _postback.known_clicks(click_ids text[])
RETURNS text[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN array(SELECT f.click_id FROM _postback.find_clicks(click_ids) AS f);
END
$$;
