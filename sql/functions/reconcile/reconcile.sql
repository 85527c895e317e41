-- A report against the conversions: one join over all, then what stands apart is paired more carefully, then the causes. Set-based throughout.
CREATE FUNCTION postback.reconcile(
    import_id bigint,
    time_zone text DEFAULT 'UTC',
    threshold numeric DEFAULT 0.02,
    lag interval DEFAULT '30 days',
    now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (kind text, cause text, found bigint, share numeric, currency text, their_payout numeric, our_payout numeric)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
-- So that a million rows are sorted and hashed in memory.
SET work_mem = '128MB' AS $$
#variable_conflict use_variable
DECLARE
    imp _postback.report := _postback.report_import(import_id);
    compared bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = time_zone) THEN
        RAISE EXCEPTION 'time zone "%" is not known', time_zone USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT name FROM pg_timezone_names lists them.';
    ELSIF threshold IS NULL OR threshold NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'threshold "%" is not a share', threshold USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as 0.02 for two in a hundred.';
    END IF;
    UPDATE postback.report_imports AS i
    SET reconciled_at = now, own_time_zone = time_zone, threshold = threshold, (matched_by, clock_offset) = (
        SELECT b.fields, b.clock_offset FROM _postback.common_ground(imp) AS b)
    WHERE i.import_id = import_id;
    imp := _postback.report_import(import_id);

    PERFORM _postback.find_apart(imp), _postback.pair_apart(imp), _postback.name_kinds(imp);
    PERFORM _postback.find_causes(imp, lag);

    DELETE FROM postback.discrepancies AS d WHERE d.import_id = import_id;
    INSERT INTO postback.discrepancies (import_id, kind, cause, line, conversion_id, bucket, postback_id, postback_received_at, click_id,
        transaction_id, event, their_status, our_status, their_payout, our_payout, their_currency, our_currency, their_time, our_time, evidence)
    SELECT a.import_id, a.kind, a.cause, a.line, a.conversion_id, a.bucket, a.postback_id, a.postback_received_at, coalesce(a.their_click_id, a.our_click_id),
           coalesce(a.their_transaction_id, a.our_transaction_id), coalesce(a.their_event, a.our_event), a.their_status, a.our_status,
           a.their_payout, a.our_payout, a.their_currency, a.our_currency, a.their_time, a.our_time, a.evidence
    FROM _postback.apart AS a WHERE a.import_id = import_id AND a.kind <> 'unpaid'
    ORDER BY a.line, a.our_time, a.conversion_id, a.kind;

    compared := greatest(imp.row_count + (SELECT count(*) FROM _postback.apart AS a WHERE a.import_id = import_id AND a.kind = 'missing_there' AND a.cause <> 'row_not_read'), 1);
    UPDATE postback.report_imports AS i
    SET matched = i.row_count - i.bad_row_count - s.lines, unpaid = s.unpaid, discrepancies = s.discrepancies, unexplained = s.unexplained,
        unexplained_share = round(s.unexplained::numeric / compared, 6), investigate = s.unexplained > threshold * compared
    FROM (
        SELECT count(DISTINCT a.line) AS lines, count(*) FILTER (WHERE a.kind = 'unpaid') AS unpaid, count(*) FILTER (WHERE a.kind <> 'unpaid') AS discrepancies,
               count(*) FILTER (WHERE a.cause = 'unexplained') + imp.bad_row_count AS unexplained
        FROM _postback.apart AS a WHERE a.import_id = import_id) AS s
    WHERE i.import_id = import_id;
    DELETE FROM _postback.apart AS a WHERE a.import_id = import_id;

    RETURN QUERY
    SELECT 'matched', NULL::text, i.matched, round(i.matched::numeric / compared, 6), NULL::text, NULL::numeric, NULL::numeric
    FROM postback.report_imports AS i WHERE i.import_id = import_id;
    IF imp.bad_row_count > 0 THEN
        RETURN QUERY SELECT 'not_read', NULL::text, imp.bad_row_count, round(imp.bad_row_count::numeric / compared, 6), NULL::text, NULL::numeric, NULL::numeric;
    END IF;
    RETURN QUERY
    SELECT d.kind, d.cause, count(*), round(count(*)::numeric / compared, 6), coalesce(d.their_currency, d.our_currency),
           sum(CASE WHEN d.their_status IN ('pending', 'approved') THEN d.their_payout ELSE 0 END), sum(coalesce(d.our_payout, 0))
    FROM postback.discrepancies AS d WHERE d.import_id = import_id
    GROUP BY d.kind, d.cause, coalesce(d.their_currency, d.our_currency) ORDER BY d.kind, d.cause, 5;
END
$$;
COMMENT ON FUNCTION postback.reconcile(bigint, text, numeric, interval, timestamptz) IS
    'Compares an imported report with the conversions of its network, writes the discrepancies anew (postback.discrepancy_log) and sums them up by kind, '
    'cause and currency; share is of all rows and missing conversions. Days are the report''s, and those of time_zone. Above the threshold of unexplained '
    'ones postback.reconciliations says investigate. A decision the other side does not know is a lag up to this age.';

-- A period of whole days, as a zone has them.
CREATE FUNCTION _postback.days_in(imp _postback.report, zone text)
RETURNS tstzrange LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tstzrange(imp.first_day::timestamp AT TIME ZONE zone, (imp.last_day + 1)::timestamp AT TIME ZONE zone);
END
$$;

-- The conversions that the first join is over: those of the days, in whichever zone they are meant, and of a day before and after.
CREATE FUNCTION _postback.days_around(imp _postback.report)
RETURNS tstzrange LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tstzrange(imp.first_day::timestamp AT TIME ZONE 'UTC' - interval '2 days', imp.last_day::timestamp AT TIME ZONE 'UTC' + interval '3 days');
END
$$;

-- By what rows and conversions can be paired, seen on a thousand rows: the network's conversion id, its transaction id or the click id, with
-- the event where both sides use the same words. And how far the two clocks are apart.
CREATE FUNCTION _postback.common_ground(imp _postback.report)
RETURNS TABLE (fields text[], clock_offset interval) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    around CONSTANT tstzrange := _postback.days_around(imp);
    seen record;
BEGIN
    WITH sample AS MATERIALIZED (
        SELECT r.* FROM postback.report_rows AS r
        WHERE r.import_id = imp.import_id AND r.problem IS NULL AND r.line % greatest(imp.row_count / 1000, 1) = 0),
    ours AS MATERIALIZED (
        SELECT v.transaction_id, v.click_id, v.dedupe_key, v.event, v.converted_at FROM postback.conversions AS v
        WHERE v.network_id = imp.network_id AND NOT v.is_test AND v.converted_at >= lower(around) AND v.converted_at < upper(around)
          AND (v.transaction_id IN (SELECT s.transaction_id FROM sample AS s) OR v.click_id IN (SELECT s.click_id FROM sample AS s)
            OR v.dedupe_key IN (SELECT 'conversion_id=' || _postback.key_part(s.network_conversion_id) FROM sample AS s)))
    SELECT EXISTS (SELECT FROM sample AS s JOIN ours AS o ON o.dedupe_key = 'conversion_id=' || _postback.key_part(s.network_conversion_id)) AS conversions,
           EXISTS (SELECT FROM sample AS s JOIN ours AS o ON o.transaction_id = s.transaction_id) AS transactions,
           EXISTS (SELECT FROM sample AS s JOIN ours AS o ON o.event = s.event) AS events,
           (SELECT mode() WITHIN GROUP (ORDER BY round(extract(epoch FROM s.happened_at - o.converted_at) / 900))
            FROM sample AS s JOIN ours AS o ON coalesce(o.transaction_id = s.transaction_id, o.click_id = s.click_id)) AS quarters
    INTO seen;
    fields := CASE WHEN seen.conversions THEN '{conversion_id}'::text[] ELSE '{}' END
        || CASE WHEN seen.transactions THEN '{transaction_id}'::text[] ELSE '{}' END || '{click_id}'
        || CASE WHEN seen.events THEN '{event}'::text[] ELSE '{}' END;
    clock_offset := coalesce(seen.quarters::integer, 0) * interval '15 minutes';
    RETURN NEXT;
END
$$;

-- What networks call the first event of a transaction, in lower case.
CREATE FUNCTION _postback.words_of_first_event()
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY['0', 'base', 'default', 'conversion'];
END
$$;

-- The first event is none.
CREATE FUNCTION _postback.event_key(event text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN lower(event) <> ALL (_postback.words_of_first_event()) THEN event END;
END
$$;

-- Everything but the pairs that agree in status, payout and currency. Keys are compared by their hashes of 64 bits; of several rows with
-- one key, the first goes with the first.
CREATE FUNCTION _postback.find_apart(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    around CONSTANT tstzrange := _postback.days_around(imp);
    our_days CONSTANT tstzrange := _postback.days_in(imp, imp.own_time_zone);
    by_conversion CONSTANT boolean := 'conversion_id' = ANY (imp.matched_by);
    by_transaction CONSTANT boolean := 'transaction_id' = ANY (imp.matched_by);
    by_event CONSTANT boolean := 'event' = ANY (imp.matched_by);
    -- As event_key() has it, without a call for each of two million rows.
    first_event CONSTANT text[] := _postback.words_of_first_event();
BEGIN
    DELETE FROM _postback.apart AS a WHERE a.import_id = imp.import_id;
    INSERT INTO _postback.apart (import_id, line, nth, first_line, their_status, their_payout, their_currency, their_time,
        conversion_id, bucket, our_status, our_payout, our_currency, our_time)
    SELECT imp.import_id, t.line, t.nth, t.first_line, t.status, t.payout, t.currency, t.happened_at,
           o.conversion_id, o.bucket, o.status, o.payout, o.currency, o.converted_at
    FROM (
        SELECT k.key, r.line, r.status, r.payout, r.currency, r.happened_at,
               row_number() OVER (PARTITION BY k.key ORDER BY r.happened_at, r.line) AS nth,
               first_value(r.line) OVER (PARTITION BY k.key ORDER BY r.happened_at, r.line) AS first_line
        FROM postback.report_rows AS r
        CROSS JOIN LATERAL (SELECT hashtextextended(CASE
            WHEN by_conversion AND r.network_conversion_id IS NOT NULL THEN 'conversion_id=' || CASE WHEN r.network_conversion_id ~ '[%&=]'
                THEN _postback.key_part(r.network_conversion_id) ELSE r.network_conversion_id END
            ELSE concat_ws(chr(31), CASE WHEN by_transaction AND r.transaction_id IS NOT NULL THEN 't' || r.transaction_id ELSE 'c' || r.click_id END,
                CASE WHEN by_event AND lower(r.event) <> ALL (first_event) THEN r.event END) END COLLATE "C", 0)) AS k (key)
        WHERE r.import_id = imp.import_id AND r.problem IS NULL) AS t
    FULL JOIN (
        SELECT k.key, v.conversion_id, v.bucket, v.status, v.payout, v.currency, v.converted_at,
               row_number() OVER (PARTITION BY k.key ORDER BY v.converted_at, v.conversion_id) AS nth
        FROM postback.conversions AS v
        CROSS JOIN LATERAL (SELECT hashtextextended(CASE
            WHEN by_conversion AND starts_with(v.dedupe_key, 'conversion_id=') THEN split_part(v.dedupe_key, '&repeat=', 1)
            ELSE concat_ws(chr(31), CASE WHEN by_transaction AND v.transaction_id IS NOT NULL THEN 't' || v.transaction_id ELSE 'c' || v.click_id END,
                CASE WHEN by_event AND lower(v.event) <> ALL (first_event) THEN v.event END) END COLLATE "C", 0)) AS k (key)
        WHERE v.network_id = imp.network_id AND NOT v.is_test AND v.converted_at >= lower(around) AND v.converted_at < upper(around)) AS o
    ON o.key = t.key AND o.nth = t.nth
    WHERE (
        (t.status = o.status OR t.status IN ('rejected', 'reversed') AND o.status IN ('rejected', 'reversed'))
        AND (t.payout IS NULL OR t.status IN ('rejected', 'reversed') OR t.payout = o.payout AND t.currency = o.currency)
        AND (o.converted_at >= lower(our_days) AND o.converted_at < upper(our_days)
            OR abs(extract(epoch FROM t.happened_at - o.converted_at)) > 86400)) IS NOT TRUE;
    ANALYZE _postback.apart;
    UPDATE _postback.apart AS a
    SET their_click_id = r.click_id, their_transaction_id = r.transaction_id, their_event = r.event, raw_status = r.raw_status
    FROM postback.report_rows AS r WHERE a.import_id = imp.import_id AND r.import_id = imp.import_id AND r.line = a.line;
    UPDATE _postback.apart AS a
    SET our_click_id = v.click_id, our_transaction_id = v.transaction_id, our_event = v.event
    FROM postback.conversions AS v WHERE a.import_id = imp.import_id AND v.conversion_id = a.conversion_id AND v.bucket = a.bucket;
END
$$;

-- What each of them is. Conversions of the days around, which no row asked for, are nothing; nor is what pays nothing and one side has.
CREATE FUNCTION _postback.name_kinds(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    their_days CONSTANT tstzrange := _postback.days_in(imp, imp.time_zone);
    our_days CONSTANT tstzrange := _postback.days_in(imp, imp.own_time_zone);
BEGIN
    DELETE FROM _postback.apart AS a
    WHERE a.import_id = imp.import_id AND a.line IS NULL
      AND NOT (a.our_time <@ their_days OR a.our_time <@ our_days OR a.our_time + imp.clock_offset <@ their_days);
    UPDATE _postback.apart AS a
    SET kind = CASE
            WHEN a.conversion_id IS NULL AND a.their_status IN ('rejected', 'reversed') OR a.line IS NULL AND a.our_status IN ('rejected', 'reversed') THEN 'unpaid'
            WHEN a.conversion_id IS NULL AND a.nth > 1 AND (
                SELECT r.event IS NOT DISTINCT FROM a.their_event FROM postback.report_rows AS r
                WHERE r.import_id = imp.import_id AND r.line = a.first_line) THEN 'duplicate'
            WHEN a.conversion_id IS NULL THEN 'missing_here'
            WHEN a.line IS NULL THEN 'missing_there'
            WHEN a.cause IS NOT NULL THEN 'missing_here'
            WHEN a.their_status <> a.our_status AND NOT (a.their_status IN ('rejected', 'reversed') AND a.our_status IN ('rejected', 'reversed')) THEN 'status_differs'
            WHEN a.their_status IN ('pending', 'approved') AND (a.their_payout <> a.our_payout OR a.their_currency <> a.our_currency AND a.their_payout IS NOT NULL)
                THEN 'payout_differs'
            WHEN NOT a.our_time <@ our_days AND a.their_time <@ their_days AND abs(extract(epoch FROM a.their_time - a.our_time)) <= 86400 THEN 'missing_here' END
    WHERE a.import_id = imp.import_id;
    DELETE FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.kind IS NULL;
    -- Both differ: one row for each.
    INSERT INTO _postback.apart (import_id, kind, line, nth, first_line, raw_status, their_click_id, their_transaction_id, their_event, their_status,
        their_payout, their_currency, their_time, conversion_id, bucket, our_click_id, our_transaction_id, our_event, our_status, our_payout,
        our_currency, our_time)
    SELECT a.import_id, 'payout_differs', a.line, a.nth, a.first_line, a.raw_status, a.their_click_id, a.their_transaction_id, a.their_event, a.their_status,
           a.their_payout, a.their_currency, a.their_time, a.conversion_id, a.bucket, a.our_click_id, a.our_transaction_id, a.our_event, a.our_status,
           a.our_payout, a.our_currency, a.our_time
    FROM _postback.apart AS a
    WHERE a.import_id = imp.import_id AND a.kind = 'status_differs' AND a.their_status IN ('pending', 'approved') AND a.our_status IN ('pending', 'approved')
      AND (a.their_payout <> a.our_payout OR a.their_currency <> a.our_currency AND a.their_payout IS NOT NULL);
    ANALYZE _postback.apart;
END
$$;
