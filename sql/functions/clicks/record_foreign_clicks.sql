-- The careful path: clicks of links minted elsewhere, and ids minted elsewhere. One by one, in the order of their ids.
CREATE FUNCTION _postback.record_foreign_clicks(
    codes text[], click_ids text[], ip_addresses inet[], user_agents text[], methods text[], purposes text[],
    campaign_ids bigint[], offer_ids bigint[], subs jsonb[], countries text[], at timestamptz)
RETURNS TABLE (ordinal integer, click_id text, location text, visitor postback.visitor)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT integer := greatest(cardinality(codes), cardinality(click_ids), cardinality(campaign_ids), cardinality(offer_ids));
    ids text[] := array_fill(NULL::text, ARRAY[size]);
    locations text[] := array_fill(NULL::text, ARRAY[size]);
    visitors postback.visitor[] := array_fill(NULL::postback.visitor, ARRAY[size]);
    key CONSTANT bytea := postback.code_key();
    hit record;
    class postback.visitor;
    place integer;
BEGIN
    FOR hit IN
        SELECT h.*, o.offer_id AS to_offer, o.url_template, l.link_id, l.bucket AS link_bucket, l.subscriber_id,
               s.send_id, coalesce(s.campaign_id, h.campaign_id) AS of_campaign, s.segment_id, s.variant_id
        FROM unnest(codes, click_ids, ip_addresses, user_agents, methods, purposes, campaign_ids, offer_ids, subs, countries)
             WITH ORDINALITY AS h (code, click_id, ip_address, user_agent, method, purpose, campaign_id, offer_id, subs, country, ordinal)
        LEFT JOIN postback.links AS l ON l.link_id = _postback.decode_code(h.code, key)
        LEFT JOIN postback.sends AS s ON s.send_id = l.link_id >> 40
        LEFT JOIN postback.campaigns AS c ON c.campaign_id = h.campaign_id AND h.code IS NULL
        JOIN postback.offers AS o ON o.offer_id = coalesce(s.offer_id, CASE WHEN h.code IS NULL THEN coalesce(h.offer_id, c.offer_id) END)
        ORDER BY h.click_id, h.ordinal
    LOOP
        place := hit.ordinal;
        class := postback.classify_visitor(coalesce(hit.method, 'GET'), hit.purpose, hit.user_agent);
        ids[place] := _postback.record_one_click(
            CASE WHEN postback.is_legal_click_id(hit.click_id) THEN hit.click_id END, hit.link_id, hit.link_bucket, hit.send_id,
            hit.of_campaign, hit.segment_id, hit.variant_id, hit.to_offer, hit.subscriber_id, class, coalesce(hit.method, 'GET'),
            hit.ip_address, hit.user_agent, hit.purpose, hit.subs, hit.country, at);
        locations[place] := _postback.render_url(hit.url_template, ids[place], hit.of_campaign, hit.segment_id,
            hit.variant_id, hit.to_offer, hit.send_id, hit.subs);
        visitors[place] := class;
    END LOOP;
    -- The clicks of our own links among them pass by the trigger of clicks.
    PERFORM _postback.match_orphans_of(click_ids, at);

    RETURN QUERY SELECT r.ordinal::integer, r.click_id, r.location, r.visitor
    FROM unnest(ids, locations, visitors) WITH ORDINALITY AS r (click_id, location, visitor, ordinal);
END
$$;

-- Stores one click and returns its id. A foreign id that was tapped before is the same click with one more hit;
-- if the first hit was a machine and this one is a person, the click becomes the person's.
CREATE FUNCTION _postback.record_one_click(
    click_id text, link_id bigint, link_bucket smallint, send_id bigint, campaign_id bigint, segment_id bigint,
    variant_id bigint, offer_id bigint, subscriber_id bigint, visitor postback.visitor, method text, ip_address inet,
    user_agent text, purpose text, subs jsonb, country text, at timestamptz)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id text := click_id;
    bucket smallint := link_bucket;
    clicked_at timestamptz := date_trunc('milliseconds', at);
    own_time timestamptz;
    earlier _postback.click;
BEGIN
    IF id IS NULL THEN
        id := CASE WHEN bucket IS NULL THEN postback.mint_click_id(NULL, at) ELSE _postback.mint_click_id_in(bucket, at) END;
        bucket := postback.click_id_bucket(id);
        clicked_at := postback.click_id_time(id);
    ELSE
        bucket := coalesce(bucket, postback.click_id_bucket(id));
        own_time := _postback.click_id_time_in(id, bucket);
        -- Our own id on our own link carries its address, and so does one that the proxy minted for a link made elsewhere; every
        -- other id needs a note of where its click lies.
        IF own_time IS NOT NULL AND link_id IS NOT NULL OR _postback.is_of_the_moment(own_time, clicked_at) THEN
            clicked_at := own_time;
            earlier := _postback.find_click(id);
        ELSIF NOT _postback.claim_location(id, bucket, clicked_at) THEN
            earlier := _postback.find_click(id);
        END IF;
        IF earlier.click_id IS NOT NULL THEN
            IF visitor = 'human' AND earlier.visitor <> 'human' THEN
                UPDATE postback.clicks AS c
                SET visitor = visitor, method = method, ip_address = ip_address, user_agent = user_agent, purpose = purpose,
                    country = country
                WHERE c.click_id = id AND c.bucket = earlier.bucket AND c.clicked_at = earlier.clicked_at;
            END IF;
            RETURN id;
        END IF;
    END IF;
    INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id,
        subscriber_id, visitor, method, ip_address, user_agent, purpose, subs, country)
    VALUES (id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id,
        subscriber_id, visitor, method, ip_address, user_agent, purpose, subs, country);
    RETURN id;
END
$$;
