-- What a direct INSERT or COPY into clicks may leave out. It fires only where the bucket is missing, so rows written by
-- record_clicks() and rows restored by pg_dump pass by.
CREATE FUNCTION _postback.fill_click()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own_time timestamptz;
BEGIN
    -- Milliseconds are what an id can hold; a day's edge is never crossed by cutting.
    NEW.clicked_at := date_trunc('milliseconds', NEW.clicked_at);
    NEW.visitor := coalesce(NEW.visitor, postback.classify_visitor(NEW.method, NEW.purpose, NEW.user_agent));

    IF NEW.click_id IS NULL THEN
        NEW.click_id := postback.mint_click_id(NEW.subscriber_id, NEW.clicked_at);
        NEW.bucket := postback.click_id_bucket(NEW.click_id);
        RETURN NEW;
    END IF;
    IF NOT postback.is_legal_click_id(NEW.click_id) THEN
        RAISE EXCEPTION 'click id "%" is not 1 to 64 of [A-Za-z0-9._~-]', left(NEW.click_id, 64) USING ERRCODE = 'invalid_text_representation';
    END IF;
    NEW.bucket := coalesce(postback.subscriber_bucket(NEW.subscriber_id), postback.click_id_bucket(NEW.click_id));

    -- An id of our own keeps its address, as long as the row lies where the id says.
    own_time := _postback.click_id_time_in(NEW.click_id, NEW.bucket);
    IF _postback.is_of_the_moment(own_time, NEW.clicked_at) THEN
        -- It may have come before with somebody else's numbers: then its click lies at the place noted for it.
        UPDATE postback.click_locations AS l SET hits = l.hits + 1 WHERE l.click_id = NEW.click_id;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        NEW.clicked_at := own_time;
        RETURN NEW;
    END IF;

    IF _postback.claim_location(NEW.click_id, NEW.bucket, NEW.clicked_at) THEN
        RETURN NEW;
    END IF;
    RETURN NULL;  -- the same click again: counted as a hit, not as a click
END
$$;

-- Whether the time in an id is, but for clocks that differ, that of its click: the same day, so that the id names the right partition.
CREATE FUNCTION _postback.is_of_the_moment(own_time timestamptz, clicked_at timestamptz)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN own_time BETWEEN clicked_at - interval '1 hour' AND clicked_at + interval '1 hour'
        AND date_trunc('day', own_time AT TIME ZONE 'UTC') = date_trunc('day', clicked_at AT TIME ZONE 'UTC');
END
$$;

-- Notes where a foreign id's click lies. False when the id is known already; then its hits are counted up.
CREATE FUNCTION _postback.claim_location(click_id text, bucket smallint, clicked_at timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    hits bigint;
BEGIN
    -- An id of our own that comes back with somebody else's numbers is still that one click.
    IF postback.click_id_time(click_id) IS NOT NULL AND EXISTS (
        SELECT FROM postback.clicks AS c
        WHERE c.click_id = click_id AND c.bucket = postback.click_id_bucket(click_id)
          AND c.clicked_at = postback.click_id_time(click_id)) THEN
        RETURN false;
    END IF;
    INSERT INTO postback.click_locations AS l (click_id, bucket, clicked_at) VALUES (click_id, bucket, clicked_at)
    ON CONFLICT ON CONSTRAINT click_locations_pkey DO UPDATE SET hits = l.hits + 1
    RETURNING l.hits INTO hits;
    IF hits = 1 THEN
        RETURN true;
    ELSIF (_postback.find_click(click_id)).click_id IS NULL THEN
        -- The click was dropped with its day: this one takes its place.
        UPDATE postback.click_locations AS l SET bucket = bucket, clicked_at = clicked_at WHERE l.click_id = click_id;
        RETURN true;
    END IF;
    RETURN false;
END
$$;
