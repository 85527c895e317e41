-- Visitor classes worked out again, with the rules of today, from what was stored with each click.
CREATE FUNCTION postback.reclassify(since timestamptz, until timestamptz DEFAULT 'infinity', now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (was postback.visitor, visitor postback.visitor, clicks bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    since := coalesce(since, '-infinity');
    until := coalesce(until, 'infinity');
    RETURN QUERY
    WITH judged AS (
        SELECT c.click_id, c.bucket, c.clicked_at, c.visitor AS was, postback.classify_visitor(c.method, c.purpose, c.user_agent) AS becomes
        FROM postback.clicks AS c
        WHERE c.clicked_at >= reclassify.since AND c.clicked_at < reclassify.until AND c.method <> 'TEST'
          -- Whoever recorded a click without evidence vouched for its class.
          AND NOT (c.method = 'GET' AND c.purpose IS NULL AND c.user_agent IS NULL)
    ), changed AS (
        UPDATE postback.clicks AS c SET visitor = j.becomes
        FROM judged AS j
        WHERE c.click_id = j.click_id AND c.bucket = j.bucket AND c.clicked_at = j.clicked_at AND j.becomes <> j.was
          AND c.clicked_at >= reclassify.since AND c.clicked_at < reclassify.until
          -- What is known of an address is not in the evidence: only a class that goes before it takes its place.
          AND NOT (j.was = 'datacenter' AND j.becomes IN ('human', 'suspect'))
        RETURNING j.was, j.becomes
    )
    SELECT c.was, c.becomes, count(*) FROM changed AS c GROUP BY c.was, c.becomes ORDER BY c.was, c.becomes;
    IF FOUND THEN
        PERFORM _postback.repair_touches(since, until);
        -- Another one that runs now does it within a minute; reports are right until then, too.
        IF pg_try_advisory_xact_lock(hashtextextended('postback.maintain', 0)) THEN
            PERFORM _postback.refresh_rollups(now);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION postback.reclassify(timestamptz, timestamptz, timestamptz) IS
    'Works out the visitor class of the clicks in [since, until) again, from method, purpose and user agent as stored, and repairs touches and rollups: '
    'one row per kind of change. Clicks without evidence keep their class; datacenter is kept unless the evidence says head, prefetch, preview or bot.';
