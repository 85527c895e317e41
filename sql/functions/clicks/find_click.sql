-- Where a click is: first at the address inside its id, else at the place noted for foreign ids.
-- Planned once: a plan for the one day at each call costs 90 us more than all the partitions that a cached plan locks (200 of them),
-- and a batch locks them once.
CREATE FUNCTION _postback.find_click(click_id text)
RETURNS _postback.click LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_variable
DECLARE
    own_time CONSTANT timestamptz := postback.click_id_time(click_id);
    own_bucket CONSTANT smallint := postback.click_id_bucket(click_id);
    place record;
    found_click _postback.click;
BEGIN
    IF own_time IS NOT NULL THEN
        SELECT c.click_id, c.bucket, c.clicked_at, c.visitor, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id,
               c.subscriber_id
        INTO found_click FROM postback.clicks AS c
        WHERE c.click_id = click_id AND c.bucket = own_bucket AND c.clicked_at = own_time;
        IF FOUND THEN
            RETURN found_click;
        END IF;
    END IF;

    SELECT l.bucket, l.clicked_at INTO place FROM postback.click_locations AS l WHERE l.click_id = click_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT c.click_id, c.bucket, c.clicked_at, c.visitor, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id,
           c.subscriber_id
    INTO found_click FROM postback.clicks AS c
    WHERE c.click_id = click_id AND c.bucket = place.bucket AND c.clicked_at = place.clicked_at;
    RETURN found_click;
END
$$;
