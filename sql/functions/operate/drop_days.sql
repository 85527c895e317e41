-- Drops the days of clicks and postbacks that are older than postback.retention keeps them, ten of each at a time; returns how many.
CREATE FUNCTION _postback.drop_days(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    dropped_until CONSTANT timestamptz := (SELECT r.dropped_until FROM postback.retention AS r WHERE r.relation = 'clicks');
    kept record;
    dropped bigint := 0;
BEGIN
    IF dropped_until > '-infinity' THEN
        -- Where those with foreign ids were; so many that a run ends.
        DELETE FROM postback.click_locations AS l
        WHERE l.ctid = ANY (array(SELECT o.ctid FROM postback.click_locations AS o WHERE o.clicked_at < dropped_until LIMIT 100000));
    END IF;
    FOR kept IN
        -- Never past the present, whatever the caller calls now.
        SELECT r.relation, least(w.at - r.keep_for, w.at - _postback.path_reach()) AS since
        FROM postback.retention AS r CROSS JOIN (SELECT least(now, clock_timestamp())) AS w (at)
        WHERE r.keep_for IS NOT NULL ORDER BY r.relation FOR UPDATE OF r
    LOOP
        BEGIN
            dropped := dropped + _postback.drop_days_of(kept.relation, least(kept.since, _postback.needed_since(kept.relation)));
        EXCEPTION
            -- Somebody reads it, or has made a view of it.
            WHEN lock_not_available OR object_in_use OR dependent_objects_still_exist THEN
                RAISE WARNING 'old days of % are not dropped yet: %', kept.relation, sqlerrm USING HINT = 'maintain() tries again the next time.';
        END;
    END LOOP;
    RETURN dropped;
END
$$;

-- Since when something else still needs the days of a table.
CREATE FUNCTION _postback.needed_since(relation text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation = 'clicks' THEN
        -- Rollups that have not counted them, paths that are not as wide yet as they will be.
        RETURN least((SELECT s.counted_until FROM _postback.rollup_state AS s),
            (SELECT min(h.hour) FROM _postback.spoiled_hours() AS h WHERE h.kind = 'clicks'),
            (SELECT s.settled_until - _postback.path_reach() FROM _postback.settling AS s));
    END IF;
    -- Where payouts add up, what was added is nowhere else: a message that came again would be added again.
    RETURN CASE WHEN EXISTS (SELECT FROM postback.networks AS n WHERE jsonb_path_exists(n.duplicate_policies, '$.* ? (@ == "add_payout")'))
                THEN '-infinity' ELSE 'infinity' END::timestamptz;
END
$$;

CREATE FUNCTION _postback.drop_days_of(relation text, since timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- Taps queue behind this while it waits for a reader of the table.
SET lock_timeout = '100ms' AS $$
#variable_conflict use_variable
DECLARE
    partitions text[];
    until timestamptz;
BEGIN
    SELECT array_agg(d.partition), max(d.day) + interval '1 day' INTO partitions, until FROM (
        SELECT d.partition, d.day FROM _postback.days_of(relation) AS d WHERE d.day + interval '1 day' <= since ORDER BY d.day LIMIT 10) AS d;
    IF partitions IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE postback.retention AS r SET dropped_until = greatest(r.dropped_until, until) WHERE r.relation = relation;
    -- The locks come last.
    EXECUTE (SELECT 'DROP TABLE ' || string_agg(format('postback.%I', p), ', ') FROM unnest(partitions) AS p);
    RETURN cardinality(partitions);
END
$$;

-- The partitions of a table and their days; the DEFAULT partition, which is none, comes first.
CREATE FUNCTION _postback.days_of(parent text)
RETURNS TABLE (partition text, day timestamptz) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    RETURN QUERY
    SELECT c.relname::text, to_date(substring(c.relname FROM '_(\d{8})$'), 'YYYYMMDD')::timestamptz
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = format('postback.%I', parent)::regclass
    ORDER BY 2 NULLS FIRST;
END
$$;
