-- Rows and conversions that the first join left apart, and that are the same all the same.
CREATE FUNCTION _postback.pair_apart(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- The planner cannot know how many there are, and takes one.
SET enable_nestloop = off AS $$
DECLARE
    around CONSTANT tstzrange := _postback.days_around(imp);
    by_transaction CONSTANT boolean := 'transaction_id' = ANY (imp.matched_by);
    shared_events CONSTANT boolean := 'event' = ANY (imp.matched_by);
BEGIN
    IF NOT EXISTS (SELECT FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.conversion_id IS NULL) THEN
        RETURN;
    END IF;
    -- Of any other time: the network may date them by their click, or by their approval.
    INSERT INTO _postback.apart (import_id, conversion_id, bucket, our_status, our_payout, our_currency, our_time, our_click_id, our_transaction_id, our_event)
    SELECT imp.import_id, v.conversion_id, v.bucket, v.status, v.payout, v.currency, v.converted_at, v.click_id, v.transaction_id, v.event
    FROM postback.conversions AS v
    WHERE v.network_id = imp.network_id AND NOT v.is_test AND (v.converted_at < lower(around) OR v.converted_at >= upper(around))
      AND (v.transaction_id IN (SELECT a.their_transaction_id FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.conversion_id IS NULL)
        OR v.click_id IN (SELECT a.their_click_id FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.conversion_id IS NULL));
    ANALYZE _postback.apart;

    -- By transaction and event, by transaction where one side names no event; by click in the same way where one side names no transaction.
    FOR round IN 1 .. 7 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.conversion_id IS NULL)
            OR NOT EXISTS (SELECT FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.line IS NULL);
        WITH sides AS MATERIALIZED (
            SELECT a.apart_id, a.line, a.nth, coalesce(a.their_time, a.our_time) AS at, a.conversion_id IS NULL AS is_theirs,
                   CASE WHEN a.line IS NULL THEN a.our_click_id ELSE a.their_click_id END AS click_id,
                   CASE WHEN by_transaction THEN CASE WHEN a.line IS NULL THEN a.our_transaction_id ELSE a.their_transaction_id END END AS transaction_id,
                   CASE WHEN shared_events THEN _postback.event_key(CASE WHEN a.line IS NULL THEN a.our_event ELSE a.their_event END) END AS event
            FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND (a.line IS NULL OR a.conversion_id IS NULL)),
        theirs AS (
            SELECT s.apart_id, k.key, row_number() OVER (PARTITION BY k.key ORDER BY s.at, s.apart_id) AS nth
            FROM sides AS s
            CROSS JOIN LATERAL (SELECT CASE round
                WHEN 1 THEN s.transaction_id || chr(31) || coalesce(s.event, '')
                WHEN 2 THEN CASE WHEN s.event IS NULL AND s.nth = 1 THEN s.transaction_id END
                WHEN 3 THEN CASE WHEN s.nth = 1 THEN s.transaction_id END
                WHEN 4 THEN CASE WHEN s.transaction_id IS NULL THEN s.click_id || chr(31) || coalesce(s.event, '') END
                WHEN 5 THEN s.click_id || chr(31) || coalesce(s.event, '')
                WHEN 6 THEN CASE WHEN s.transaction_id IS NULL AND s.event IS NULL AND s.nth = 1 THEN s.click_id END
                WHEN 7 THEN CASE WHEN s.nth = 1 THEN s.click_id END END) AS k (key)
            WHERE s.is_theirs AND k.key IS NOT NULL),
        ours AS (
            SELECT s.apart_id, k.key, row_number() OVER (PARTITION BY k.key ORDER BY s.at, s.apart_id) AS nth
            FROM sides AS s
            CROSS JOIN LATERAL (SELECT CASE round
                WHEN 1 THEN s.transaction_id || chr(31) || coalesce(s.event, '')
                WHEN 2 THEN s.transaction_id
                WHEN 3 THEN CASE WHEN s.event IS NULL THEN s.transaction_id END
                WHEN 4 THEN s.click_id || chr(31) || coalesce(s.event, '')
                WHEN 5 THEN CASE WHEN s.transaction_id IS NULL THEN s.click_id || chr(31) || coalesce(s.event, '') END
                WHEN 6 THEN s.click_id
                WHEN 7 THEN CASE WHEN s.transaction_id IS NULL AND s.event IS NULL THEN s.click_id END END) AS k (key)
            WHERE NOT s.is_theirs AND k.key IS NOT NULL),
        gone AS (
            DELETE FROM _postback.apart AS a USING theirs AS t JOIN ours AS o ON o.key = t.key AND o.nth = t.nth
            WHERE a.import_id = imp.import_id AND a.apart_id = o.apart_id RETURNING a.*, t.apart_id AS of_row)
        UPDATE _postback.apart AS a
        SET conversion_id = g.conversion_id, bucket = g.bucket, our_click_id = g.our_click_id, our_transaction_id = g.our_transaction_id,
            our_event = g.our_event, our_status = g.our_status, our_payout = g.our_payout, our_currency = g.our_currency, our_time = g.our_time
        FROM gone AS g WHERE a.import_id = imp.import_id AND a.apart_id = g.of_row;
    END LOOP;

    -- A click id cut off, or in another case, that begins the one of a conversion: theirs is missing here and ours is not missing there.
    WITH met AS (
        SELECT t.apart_id, o.apart_id AS ours, count(*) OVER (PARTITION BY t.apart_id) AS candidates,
               row_number() OVER (PARTITION BY o.apart_id ORDER BY t.line) AS nth
        FROM _postback.apart AS t
        JOIN _postback.apart AS o ON o.import_id = imp.import_id AND o.line IS NULL
            AND left(lower(o.our_click_id), 16) = left(lower(t.their_click_id), 16) AND starts_with(lower(o.our_click_id), lower(t.their_click_id))
        WHERE t.import_id = imp.import_id AND t.conversion_id IS NULL AND length(t.their_click_id) >= 16 AND o.our_click_id <> t.their_click_id
          AND (NOT by_transaction OR t.their_transaction_id IS NULL OR o.our_transaction_id IS NULL)),
    gone AS (
        DELETE FROM _postback.apart AS a USING met AS m
        WHERE a.import_id = imp.import_id AND a.apart_id = m.ours AND m.candidates = 1 AND m.nth = 1 RETURNING a.*, m.apart_id AS of_row)
    UPDATE _postback.apart AS a
    SET conversion_id = g.conversion_id, bucket = g.bucket, our_click_id = g.our_click_id, our_transaction_id = g.our_transaction_id,
        our_event = g.our_event, our_status = g.our_status, our_payout = g.our_payout, our_currency = g.our_currency, our_time = g.our_time,
        cause = 'click_id_truncated', evidence = format('the report has "%s", the conversion "%s"', left(a.their_click_id, 64), g.our_click_id)
    FROM gone AS g WHERE a.import_id = imp.import_id AND a.apart_id = g.of_row;
END
$$;
