-- Paths are worked out again when what they were made of changes: a click comes late or is classified anew, a conversion gets another
-- subscriber. And once for each conversion when no click of before it can still be under way: maintain() settles it.

-- How far back a path reaches: 90 days, the longest window in the field, unless an offer has a longer one.
CREATE FUNCTION _postback.path_reach()
RETURNS interval LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT make_interval(secs => greatest(max(extract(epoch FROM o.click_window)), 90 * 86400)) FROM postback.offers AS o);
END
$$;

-- Works out the paths of these conversions again and returns how many were other than they were kept.
CREATE FUNCTION _postback.refresh_touches(conversion_ids text[], buckets smallint[], keeps_subscriber boolean DEFAULT true)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch CONSTANT integer := 5000;
    refreshed bigint := 0;
BEGIN
    FOR place IN 1 .. coalesce(cardinality(conversion_ids), 0) BY batch LOOP
        refreshed := refreshed
            + _postback.refresh_batch(conversion_ids[place : place + batch - 1], buckets[place : place + batch - 1], keeps_subscriber);
    END LOOP;
    RETURN refreshed;
END
$$;

-- The paths of these conversions once more. Clicks of days that were dropped cannot be found again: they stay as they are kept, or with another
-- subscriber the one that the network named.
CREATE FUNCTION _postback.find_paths_again(conversions _postback.conversion[], keeps_subscriber boolean)
RETURNS SETOF _postback.path LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    dropped_until CONSTANT timestamptz := (SELECT r.dropped_until FROM postback.retention AS r WHERE r.relation = 'clicks');
BEGIN
    IF dropped_until = '-infinity' THEN
        RETURN QUERY SELECT * FROM _postback.find_paths(conversions, _postback.path_reach());
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.conversion_id, p.bucket, array_position(t.click_ids[k.first:k.last] || p.click_ids[n.found + 1:], c.click_id)::smallint,
           t.clicked_ats[k.first:k.last] || p.clicked_ats[n.found + 1:], t.offer_ids[k.first:k.last] || p.offer_ids[n.found + 1:],
           t.campaign_ids[k.first:k.last] || p.campaign_ids[n.found + 1:], t.segment_ids[k.first:k.last] || p.segment_ids[n.found + 1:],
           t.variant_ids[k.first:k.last] || p.variant_ids[n.found + 1:], t.send_ids[k.first:k.last] || p.send_ids[n.found + 1:],
           t.click_ids[k.first:k.last] || p.click_ids[n.found + 1:]
    FROM _postback.find_paths(conversions, _postback.path_reach()) AS p
    JOIN unnest(conversions) AS c ON c.conversion_id = p.conversion_id
    JOIN postback.touches AS t ON t.conversion_id = p.conversion_id AND t.bucket = p.bucket
    -- Both are in the order of time. Of a dropped day only what was kept counts, as in rollups.
    CROSS JOIN LATERAL (
        SELECT (SELECT count(*) FROM unnest(t.clicked_ats) AS at WHERE at < dropped_until AND at <= c.converted_at)::integer AS kept,
               (SELECT count(*) FROM unnest(p.clicked_ats) AS at WHERE at < dropped_until)::integer AS found) AS n
    CROSS JOIN LATERAL (SELECT array_position(t.click_ids[:n.kept], c.click_id) AS place) AS w
    CROSS JOIN LATERAL (SELECT CASE WHEN keeps_subscriber THEN 1 ELSE coalesce(w.place, 1) END AS first,
                               CASE WHEN keeps_subscriber THEN n.kept ELSE coalesce(w.place, 0) END AS last) AS k;
END
$$;

-- First the locks, then a look with eyes of its own: two late clicks of one path would otherwise not see each other.
CREATE FUNCTION _postback.refresh_batch(conversion_ids text[], buckets smallint[], keeps_subscriber boolean)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    conversions _postback.conversion[];
    refreshed bigint;
    added bigint;
BEGIN
    -- Before the next look: else a day could be dropped between it and the clicks.
    LOCK TABLE ONLY postback.clicks IN ACCESS SHARE MODE;
    PERFORM FROM unnest(conversion_ids, buckets) AS i (conversion_id, bucket)
    JOIN postback.touches AS t ON t.conversion_id = i.conversion_id AND t.bucket = i.bucket
    ORDER BY t.conversion_id FOR UPDATE OF t;
    conversions := array(
        SELECT ROW(c.conversion_id, c.bucket, c.network_id, c.offer_id, c.subscriber_id, c.click_id, c.clicked_at, c.status, c.payout, c.currency,
            c.converted_at)::_postback.conversion
        FROM unnest(conversion_ids, buckets) AS i (conversion_id, bucket)
        JOIN postback.conversions AS c ON c.conversion_id = i.conversion_id AND c.bucket = i.bucket AND NOT c.is_test);
    UPDATE postback.touches AS t
    SET converted_at = c.converted_at, offer_id = c.offer_id, network_id = c.network_id, status = c.status, payout = c.payout, named = p.named,
        clicked_ats = p.clicked_ats, offer_ids = p.offer_ids, campaign_ids = p.campaign_ids, segment_ids = p.segment_ids,
        variant_ids = p.variant_ids, send_ids = p.send_ids, click_ids = p.click_ids
    FROM unnest(conversions) AS c JOIN _postback.find_paths_again(conversions, keeps_subscriber) AS p ON p.conversion_id = c.conversion_id
    WHERE t.conversion_id = c.conversion_id AND t.bucket = c.bucket
      AND (t.converted_at, t.offer_id, t.network_id, t.status, t.payout, t.named, t.clicked_ats, t.offer_ids, t.campaign_ids, t.segment_ids,
           t.variant_ids, t.send_ids, t.click_ids)
          IS DISTINCT FROM (c.converted_at, c.offer_id, c.network_id, c.status, c.payout, p.named, p.clicked_ats, p.offer_ids, p.campaign_ids,
           p.segment_ids, p.variant_ids, p.send_ids, p.click_ids);
    GET DIAGNOSTICS refreshed = ROW_COUNT;
    -- Conversions that were loaded with the triggers off have none yet; maintain() does the rest.
    added := _postback.capture_touches(array(
        SELECT c FROM unnest(conversions) AS c
        WHERE NOT EXISTS (SELECT FROM postback.touches AS t WHERE t.conversion_id = c.conversion_id AND t.bucket = c.bucket)));
    RETURN refreshed + added;
END
$$;

-- The paths that a click belongs to, or could. One look into an index when there are none.
CREATE FUNCTION _postback.repair_touches_of(bucket smallint, subscriber_id bigint, click_id text, clicked_at timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    conversion_ids text[];
BEGIN
    -- A subscriber has few conversions, so it is not asked whether they are too late for the click.
    -- Another subscriber's conversion that names the click is not looked for: nothing but a direct INSERT makes one.
    IF subscriber_id IS NOT NULL THEN
        conversion_ids := array(
            SELECT c.conversion_id FROM postback.conversions AS c
            WHERE c.bucket = bucket AND c.subscriber_id = subscriber_id AND c.converted_at >= clicked_at);
    ELSE
        conversion_ids := array(
            SELECT c.conversion_id FROM postback.conversions AS c
            WHERE c.bucket = bucket AND c.subscriber_id IS NULL AND c.click_id = click_id
              AND c.converted_at >= clicked_at AND c.converted_at <= clicked_at + _postback.path_reach());
    END IF;
    RETURN CASE WHEN conversion_ids = '{}' THEN 0
                ELSE _postback.refresh_touches(conversion_ids, array_fill(bucket, ARRAY[cardinality(conversion_ids)])) END;
END
$$;

CREATE FUNCTION _postback.repair_touches(since timestamptz, until timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    wanted record;
BEGIN
    -- In the order of time: each batch looks into few partitions.
    SELECT array_agg(c.conversion_id ORDER BY c.converted_at) AS conversion_ids, array_agg(c.bucket ORDER BY c.converted_at) AS buckets INTO wanted
    FROM postback.conversions AS c WHERE c.converted_at >= since AND c.converted_at <= until + _postback.path_reach();
    RETURN _postback.refresh_touches(wanted.conversion_ids, wanted.buckets);
END
$$;
COMMENT ON FUNCTION _postback.repair_touches(timestamptz, timestamptz) IS
    'Works out again the path of every conversion that may contain clicks of [since, until]; returns how many changed. Also after a load with the triggers off.';

-- Settles the paths of conversions that are some minutes old. A click may have been under way when its conversion was captured, in another
-- transaction or in a proxy, which is the only road without a look for conversions. So a time is noted with the transactions of that
-- moment, and what is older than that time is looked at once more when all of them have ended. Returns how many paths changed.
CREATE FUNCTION _postback.settle_touches(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s _postback.settling;
    locked record;
    changed bigint := 0;
BEGIN
    SELECT w.* INTO STRICT s FROM _postback.settling AS w;
    -- A number from the future is that of the cluster that was dumped.
    IF s.next_xid <= pg_snapshot_xmin(pg_current_snapshot()) OR s.next_xid > pg_snapshot_xmax(pg_current_snapshot()) THEN
        -- What somebody is just changing is left for the next time.
        SELECT array_agg(l.conversion_id) AS conversion_ids, array_agg(l.bucket) AS buckets INTO locked FROM (
            SELECT t.conversion_id, t.bucket FROM postback.touches AS t
            WHERE t.settles_at > s.settled_until AND t.settles_at <= s.next_until
            ORDER BY t.settles_at LIMIT 100000 FOR UPDATE SKIP LOCKED) AS l;
        changed := _postback.refresh_touches(locked.conversion_ids, locked.buckets);
        UPDATE _postback.settling AS w
        -- Never past the present, whatever the caller calls now.
        SET settled_until = greatest(s.settled_until, least(clock_timestamp(), coalesce((
                SELECT min(t.settles_at) - interval '1 microsecond' FROM postback.touches AS t
                WHERE t.settles_at > s.settled_until AND t.settles_at <= s.next_until
                  AND NOT EXISTS (SELECT FROM unnest(locked.conversion_ids) AS l (conversion_id) WHERE l.conversion_id = t.conversion_id)),
                s.next_until))),
            next_until = now - interval '5 minutes',
            next_xid = pg_snapshot_xmax(pg_current_snapshot());
    END IF;
    RETURN changed;
END
$$;

-- A click that was classified anew, or got another subscriber or label.
CREATE FUNCTION _postback.follow_click()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM _postback.repair_touches_of(NEW.bucket, NEW.subscriber_id, NEW.click_id, NEW.clicked_at);
    IF (OLD.bucket, OLD.subscriber_id, OLD.clicked_at) IS DISTINCT FROM (NEW.bucket, NEW.subscriber_id, NEW.clicked_at) THEN
        PERFORM _postback.repair_touches_of(OLD.bucket, OLD.subscriber_id, OLD.click_id, OLD.clicked_at);
    END IF;
    RETURN NULL;
END
$$;

-- A conversion that moved, or got another subscriber, offer or time.
CREATE FUNCTION _postback.follow_conversion()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.network_id, OLD.offer_id, OLD.subscriber_id, OLD.click_id, OLD.clicked_at, OLD.converted_at)
        IS DISTINCT FROM (NEW.network_id, NEW.offer_id, NEW.subscriber_id, NEW.click_id, NEW.clicked_at, NEW.converted_at) THEN
        PERFORM _postback.refresh_touches(ARRAY[NEW.conversion_id], ARRAY[NEW.bucket], NEW.subscriber_id IS NOT DISTINCT FROM OLD.subscriber_id);
    ELSE
        UPDATE postback.touches AS t SET status = NEW.status, payout = NEW.payout WHERE t.conversion_id = NEW.conversion_id AND t.bucket = NEW.bucket;
    END IF;
    RETURN NULL;
END
$$;
