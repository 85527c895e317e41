-- Drops the days of clicks and postbacks that are older than postback.retention keeps them, ten of each at a time. A day of clicks goes only
-- when rollups have counted it. Returns how many days went.
CREATE FUNCTION _postback.drop_days(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
-- Taps queue behind this while it waits for a reader of the table.
SET lock_timeout = '100ms' AS $$
#variable_conflict use_variable
DECLARE
    kept record;
    partitions text[];
    until timestamptz;
    dropped bigint := 0;
BEGIN
    FOR kept IN
        -- Never past the present, whatever the caller calls now.
        SELECT r.relation, least(now, clock_timestamp()) - greatest(r.keep_for, _postback.path_reach()) AS since
        FROM postback.retention AS r WHERE r.keep_for IS NOT NULL ORDER BY r.relation
    LOOP
        IF kept.relation = 'clicks' THEN
            kept.since := least(kept.since, (SELECT s.counted_until FROM _postback.rollup_state AS s),
                (SELECT min(h.hour) FROM _postback.spoiled_hours() AS h WHERE h.kind = 'clicks'));
        END IF;
        SELECT array_agg(d.partition), max(d.day) + interval '1 day' INTO partitions, until FROM (
            SELECT d.partition, d.day FROM _postback.days_of(kept.relation) AS d
            WHERE d.day + interval '1 day' <= kept.since ORDER BY d.day LIMIT 10) AS d;
        CONTINUE WHEN partitions IS NULL;
        UPDATE postback.retention AS r SET dropped_until = greatest(r.dropped_until, until) WHERE r.relation = kept.relation;
        IF kept.relation = 'clicks' THEN
            DELETE FROM postback.click_locations AS l WHERE l.clicked_at < until;
        END IF;
        -- The locks come last.
        EXECUTE (SELECT 'DROP TABLE ' || string_agg(format('postback.%I', p), ', ') FROM unnest(partitions) AS p);
        dropped := dropped + cardinality(partitions);
    END LOOP;
    RETURN dropped;
EXCEPTION
    WHEN lock_not_available OR dependent_objects_still_exist THEN
        RAISE WARNING 'old days are not dropped yet: %', sqlerrm USING HINT = 'maintain() tries again the next time.';
        RETURN 0;
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
