-- Where clicks are: first at the address inside the id, else at the place noted for foreign ids.

-- Those of these ids that are known, each once. Planned once: a plan for its days at each call costs more than it saves. The earliest and
-- the latest time leave the partitions between them, and each id looks into its own.
CREATE FUNCTION _postback.find_clicks(click_ids text[])
RETURNS SETOF _postback.click LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
    earliest timestamptz;
    latest timestamptz;
    first_place timestamptz;
    last_place timestamptz;
BEGIN
    SELECT min(t.own_time), max(t.own_time) INTO earliest, latest
    FROM unnest(click_ids) AS i (click_id) CROSS JOIN LATERAL (SELECT postback.click_id_time(i.click_id) OFFSET 0) AS t (own_time);
    IF earliest IS NOT NULL THEN
        RETURN QUERY
        SELECT c.click_id, c.bucket, c.clicked_at, c.visitor, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.subscriber_id
        FROM (SELECT DISTINCT i.click_id FROM unnest(click_ids) AS i (click_id)) AS i
        JOIN postback.clicks AS c ON c.click_id = i.click_id AND c.bucket = postback.click_id_bucket(i.click_id)
            AND c.clicked_at = postback.click_id_time(i.click_id)
        WHERE c.clicked_at BETWEEN earliest AND latest;
    END IF;

    SELECT min(l.clicked_at), max(l.clicked_at) INTO first_place, last_place FROM postback.click_locations AS l WHERE l.click_id = ANY (click_ids);
    IF first_place IS NOT NULL THEN
        RETURN QUERY
        SELECT c.click_id, c.bucket, c.clicked_at, c.visitor, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.subscriber_id
        FROM postback.click_locations AS l
        JOIN postback.clicks AS c ON c.click_id = l.click_id AND c.bucket = l.bucket AND c.clicked_at = l.clicked_at
        WHERE l.click_id = ANY (click_ids) AND c.clicked_at BETWEEN first_place AND last_place
          AND NOT EXISTS (
              SELECT FROM postback.clicks AS o
              WHERE o.click_id = l.click_id AND o.bucket = postback.click_id_bucket(l.click_id) AND o.clicked_at = postback.click_id_time(l.click_id)
                AND o.clicked_at BETWEEN earliest AND latest);
    END IF;
END
$$;

CREATE FUNCTION _postback.find_click(click_id text)
RETURNS _postback.click LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN (SELECT f FROM _postback.find_clicks(ARRAY[click_id]) AS f);
END
$$;
