-- Why what is apart is apart: the first cause that there is evidence for, else unexplained.
CREATE FUNCTION _postback.find_causes(imp _postback.report, lag interval)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE _postback.apart AS a
    SET cause = 'dedupe_rule', evidence = format('the same as line %s: the network counts it again', a.first_line)
    WHERE a.import_id = imp.import_id AND a.kind = 'duplicate';
    -- Paired, and yet missing in the days as we count them.
    UPDATE _postback.apart AS a
    SET cause = 'time_zone_edge', evidence = format('%s in %s is %s in %s', a.their_time AT TIME ZONE imp.time_zone, imp.time_zone,
        a.our_time AT TIME ZONE imp.own_time_zone, imp.own_time_zone)
    WHERE a.import_id = imp.import_id AND a.kind = 'missing_here' AND a.conversion_id IS NOT NULL AND a.cause IS NULL;
    PERFORM _postback.find_postbacks(imp), _postback.find_cut_clicks(imp), _postback.explain_missing_here(imp), _postback.explain_missing_there(imp),
        _postback.explain_statuses(imp, lag), _postback.explain_payouts(imp);
    UPDATE _postback.apart AS a SET cause = 'unexplained', evidence = coalesce(a.evidence, CASE a.kind
        WHEN 'missing_here' THEN 'no postback of this transaction or click came'
        WHEN 'missing_there' THEN 'the report has neither its transaction nor its click'
        WHEN 'status_differs' THEN 'no postback tells of it'
        ELSE 'the difference is more than a minor unit, and no postback tells of it' END)
    WHERE a.import_id = imp.import_id AND a.cause IS NULL AND a.kind <> 'unpaid';
END
$$;

-- A postback that said it and changed nothing, with the verdict it got: of the same transaction, else of the same click, or of the
-- beginning of the click. About a status or payout, only one that says the report's.
CREATE FUNCTION _postback.find_postbacks(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- The planner cannot know how many there are, and takes one.
SET enable_nestloop = off AS $$
DECLARE
    around CONSTANT tstzrange := _postback.days_around(imp);
    words CONSTANT jsonb := (SELECT n.statuses FROM postback.networks AS n WHERE n.network_id = imp.network_id);
    -- A report may call its goals by their names and the postbacks by their numbers.
    shared_events CONSTANT boolean := 'event' = ANY (imp.matched_by);
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT a.apart_id, a.kind, a.raw_status, a.their_status, a.their_payout, a.their_event AS event,
               coalesce(a.their_transaction_id, a.our_transaction_id) AS transaction_id, coalesce(a.their_click_id, a.our_click_id) AS click_id
        FROM _postback.apart AS a
        WHERE a.import_id = imp.import_id AND a.kind IN ('missing_here', 'status_differs', 'payout_differs') AND a.cause IS NULL),
    said AS MATERIALIZED (
        SELECT p.postback_id, p.received_at, p.verdict, p.reason, p.click_id, p.transaction_id, p.event, p.raw_status, p.payout
        FROM postback.postbacks AS p
        WHERE p.network_id = imp.network_id AND p.verdict NOT IN ('accepted', 'updated')
          AND p.received_at >= lower(around) AND p.received_at < upper(around) + interval '90 days'
          AND (p.transaction_id IN (SELECT q.transaction_id FROM asked AS q) OR p.click_id IN (SELECT q.click_id FROM asked AS q)
            OR left(p.click_id, 16) IN (SELECT left(q.click_id, 16) FROM asked AS q WHERE q.kind = 'missing_here'))),
    met AS (
        SELECT q.apart_id, 1 AS rank, s.postback_id FROM asked AS q JOIN said AS s ON s.transaction_id = q.transaction_id
        WHERE q.kind <> 'missing_here' OR NOT shared_events OR s.event IS NULL OR q.event IS NULL
           OR _postback.event_key(s.event) IS NOT DISTINCT FROM _postback.event_key(q.event)
        UNION ALL
        SELECT q.apart_id, 2, s.postback_id FROM asked AS q JOIN said AS s ON s.click_id = q.click_id
        WHERE q.transaction_id IS NULL OR s.transaction_id IS NULL
        UNION ALL
        SELECT q.apart_id, 3, s.postback_id FROM asked AS q JOIN said AS s ON left(s.click_id, 16) = left(q.click_id, 16)
        WHERE q.kind = 'missing_here' AND length(s.click_id) >= 16 AND s.click_id <> q.click_id AND starts_with(q.click_id, s.click_id)
          AND (q.transaction_id IS NULL OR s.transaction_id IS NULL)),
    best AS (
        SELECT DISTINCT ON (m.apart_id) m.apart_id, s.*, s.click_id <> q.click_id AND starts_with(lower(q.click_id), lower(s.click_id)) AS is_cut
        FROM met AS m JOIN asked AS q ON q.apart_id = m.apart_id JOIN said AS s ON s.postback_id = m.postback_id
        WHERE q.kind = 'missing_here'
           OR s.verdict <> 'duplicate' AND q.kind = 'status_differs'
              AND (lower(s.raw_status) = lower(q.raw_status) OR words ->> lower(s.raw_status) = q.their_status::text)
           OR s.verdict <> 'duplicate' AND q.kind = 'payout_differs' AND s.payout = q.their_payout
        ORDER BY m.apart_id, m.rank, s.verdict = 'duplicate', s.received_at DESC, s.postback_id)
    UPDATE _postback.apart AS a
    SET postback_id = b.postback_id, postback_received_at = b.received_at,
        cause = CASE WHEN b.is_cut THEN 'click_id_truncated' WHEN b.verdict = 'unmatched' THEN 'postback_unmatched'
            WHEN b.verdict = 'duplicate' THEN 'dedupe_rule' ELSE 'postback_refused' END,
        evidence = concat_ws(': ', CASE WHEN b.is_cut THEN format('the postback had "%s"', b.click_id) ELSE 'the postback was ' || b.verdict END, b.reason)
    FROM best AS b WHERE a.import_id = imp.import_id AND a.apart_id = b.apart_id;
END
$$;

-- A click id of the report that begins one known click, or is one in another case: cut off on the way, and so is the postback's.
CREATE FUNCTION _postback.find_cut_clicks(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    WITH cut AS (
        SELECT a.apart_id, min(k.click_id) AS click_id
        FROM _postback.apart AS a
        CROSS JOIN LATERAL (SELECT postback.click_id_time(lower(a.their_click_id)
            || substr('00000000-0000-7000-8000-000000000000', length(a.their_click_id) + 1)) OFFSET 0) AS t (clicked_at)
        CROSS JOIN LATERAL (
            -- One of our own tells its day; each arm is a look into an index.
            (SELECT c.click_id FROM postback.clicks AS c
             WHERE c.clicked_at = t.clicked_at AND c.click_id >= lower(a.their_click_id) COLLATE "C" AND c.click_id < lower(a.their_click_id) || chr(127) COLLATE "C"
             LIMIT 2)
            UNION ALL
            (SELECT l.click_id FROM postback.click_locations AS l
             WHERE l.click_id >= a.their_click_id AND l.click_id < a.their_click_id || chr(127) LIMIT 2)) AS k
        WHERE a.import_id = imp.import_id AND a.kind = 'missing_here' AND (a.cause IS NULL OR a.cause = 'postback_unmatched')
          AND length(a.their_click_id) BETWEEN 16 AND 64
        GROUP BY a.apart_id, a.their_click_id
        HAVING count(*) = 1 AND min(k.click_id) <> a.their_click_id)
    UPDATE _postback.apart AS a
    SET cause = 'click_id_truncated', evidence = format('the report has "%s", the click is "%s"', a.their_click_id, c.click_id)
    FROM cut AS c WHERE a.import_id = imp.import_id AND a.apart_id = c.apart_id;
END
$$;

CREATE FUNCTION _postback.explain_missing_here(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- The planner cannot know how many there are, and takes one.
SET enable_nestloop = off AS $$
BEGIN
    WITH asked AS MATERIALIZED (
        SELECT a.apart_id, a.their_transaction_id AS transaction_id, a.their_click_id AS click_id FROM _postback.apart AS a
        WHERE a.import_id = imp.import_id AND a.kind = 'missing_here' AND a.cause IS NULL),
    ours AS MATERIALIZED (
        SELECT v.conversion_id, v.transaction_id, v.click_id FROM postback.conversions AS v
        WHERE v.network_id = imp.network_id AND NOT v.is_test
          AND (v.transaction_id IN (SELECT q.transaction_id FROM asked AS q) OR v.click_id IN (SELECT q.click_id FROM asked AS q))),
    met AS (
        SELECT q.apart_id, 'transaction' AS what, o.conversion_id FROM asked AS q JOIN ours AS o ON o.transaction_id = q.transaction_id
        UNION ALL
        SELECT q.apart_id, 'click', o.conversion_id FROM asked AS q JOIN ours AS o ON o.click_id = q.click_id)
    UPDATE _postback.apart AS a
    SET cause = 'dedupe_rule', evidence = format('the conversion "%s" of the same %s is another row''s: the network counts more often', m.conversion_id, m.what)
    FROM (SELECT DISTINCT ON (m.apart_id) m.* FROM met AS m ORDER BY m.apart_id, m.what DESC, m.conversion_id) AS m
    WHERE a.import_id = imp.import_id AND a.apart_id = m.apart_id;
END
$$;

CREATE FUNCTION _postback.explain_missing_there(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- The planner cannot know how many there are, and takes one.
SET enable_nestloop = off AS $$
DECLARE
    their_days CONSTANT tstzrange := _postback.days_in(imp, imp.time_zone);
    our_days CONSTANT tstzrange := _postback.days_in(imp, imp.own_time_zone);
    -- Between a conversion and its postback.
    slack CONSTANT interval := '15 minutes';
BEGIN
    UPDATE _postback.apart AS a
    SET cause = 'time_zone_edge', evidence = format('%s in %s, %s in %s%s', a.our_time AT TIME ZONE imp.own_time_zone, imp.own_time_zone,
        a.our_time AT TIME ZONE imp.time_zone, imp.time_zone, CASE WHEN imp.clock_offset <> '0' THEN format('; their clock is %s from ours', imp.clock_offset) END)
    WHERE a.import_id = imp.import_id AND a.kind = 'missing_there'
      AND NOT (a.our_time <@ our_days AND a.our_time + imp.clock_offset <@ their_days
        AND a.our_time >= lower(their_days) + slack AND a.our_time < upper(their_days) - slack);
    IF NOT EXISTS (SELECT FROM _postback.apart AS a WHERE a.import_id = imp.import_id AND a.kind = 'missing_there' AND a.cause IS NULL) THEN
        RETURN;
    END IF;

    WITH asked AS MATERIALIZED (
        SELECT a.apart_id, a.our_transaction_id AS transaction_id, a.our_click_id AS click_id FROM _postback.apart AS a
        WHERE a.import_id = imp.import_id AND a.kind = 'missing_there' AND a.cause IS NULL),
    theirs AS MATERIALIZED (
        SELECT r.line, r.transaction_id, r.click_id, r.problem FROM postback.report_rows AS r
        WHERE r.import_id = imp.import_id
          AND (r.transaction_id IN (SELECT q.transaction_id FROM asked AS q) OR r.click_id IN (SELECT q.click_id FROM asked AS q))),
    met AS (
        SELECT q.apart_id, 'transaction' AS what, t.line, t.problem FROM asked AS q JOIN theirs AS t ON t.transaction_id = q.transaction_id
        UNION ALL
        SELECT q.apart_id, 'click', t.line, t.problem FROM asked AS q JOIN theirs AS t ON t.click_id = q.click_id
        WHERE t.problem IS NULL OR t.transaction_id IS NULL)
    UPDATE _postback.apart AS a
    SET cause = CASE WHEN m.problem IS NULL THEN 'dedupe_rule' ELSE 'row_not_read' END,
        evidence = CASE WHEN m.problem IS NULL THEN format('line %s of the same %s is another conversion''s: the network counts less often', m.line, m.what)
            ELSE format('line %s of the same %s could not be read: %s', m.line, m.what, m.problem) END
    FROM (SELECT DISTINCT ON (m.apart_id) m.* FROM met AS m ORDER BY m.apart_id, m.what DESC, m.problem IS NULL, m.line) AS m
    WHERE a.import_id = imp.import_id AND a.apart_id = m.apart_id;

    -- An export of what counts alone has none that are pending.
    UPDATE _postback.apart AS a
    SET cause = 'status_lag', evidence = 'it is pending here, and the report has none that are'
    WHERE a.import_id = imp.import_id AND a.kind = 'missing_there' AND a.cause IS NULL AND a.our_status = 'pending'
      AND NOT EXISTS (SELECT FROM postback.report_rows AS r WHERE r.import_id = imp.import_id AND r.status = 'pending');
END
$$;

-- One side is behind: it has not decided yet, or the conversion was once what the report says, or what tells us may still be under way.
CREATE FUNCTION _postback.explain_statuses(imp _postback.report, lag interval)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE _postback.apart AS a
    SET cause = 'status_lag', evidence = CASE
        WHEN a.our_status = 'pending' THEN 'we have not been told of their decision'
        WHEN a.their_status = 'pending' THEN 'the report does not know the decision yet'
        ELSE format('it happened less than %s before the report, and the postback may still be under way', lag) END
    WHERE a.import_id = imp.import_id AND a.kind = 'status_differs' AND a.cause IS NULL
      AND ('pending' IN (a.our_status, a.their_status) OR a.our_time > imp.imported_at - lag);
    UPDATE _postback.apart AS a
    SET cause = 'status_lag', evidence = format('it was %s here until %s', a.their_status, e.moved_at)
    FROM (
        SELECT w.apart_id, max(e.recorded_at) AS moved_at
        FROM _postback.apart AS w
        JOIN postback.conversion_events AS e ON e.conversion_id = w.conversion_id AND e.bucket = w.bucket
        WHERE w.import_id = imp.import_id AND w.kind = 'status_differs' AND w.cause IS NULL
        GROUP BY w.apart_id, w.their_status HAVING bool_or(e.status = w.their_status AND e.moved)) AS e
    WHERE a.import_id = imp.import_id AND a.apart_id = e.apart_id;
END
$$;

CREATE FUNCTION _postback.explain_payouts(imp _postback.report)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE _postback.apart AS a
    SET cause = 'currency', evidence = format('%s there, %s here', a.their_currency, a.our_currency)
    WHERE a.import_id = imp.import_id AND a.kind = 'payout_differs' AND a.their_currency <> a.our_currency;
    UPDATE _postback.apart AS a
    SET cause = CASE WHEN 0 IN (a.their_payout, a.our_payout) THEN 'status_lag' ELSE 'rounding' END,
        evidence = CASE WHEN 0 IN (a.their_payout, a.our_payout) THEN 'the amount is not known while it is pending'
            ELSE format('they differ by %s', abs(a.their_payout - a.our_payout)) END
    WHERE a.import_id = imp.import_id AND a.kind = 'payout_differs' AND a.cause IS NULL
      AND (0 IN (a.their_payout, a.our_payout) AND 'pending' IN (a.their_status, a.our_status)
        OR abs(a.their_payout - a.our_payout) <= power(10::numeric, -_postback.minor_units(a.our_currency)));
    -- One side adds up what the other has in several.
    UPDATE _postback.apart AS a
    SET cause = 'dedupe_rule', evidence = 'the sums of the transaction are the same: one side has it in several parts'
    FROM (
        SELECT coalesce(w.their_transaction_id, w.our_transaction_id) AS transaction_id FROM _postback.apart AS w
        WHERE w.import_id = imp.import_id AND w.kind IN ('missing_here', 'missing_there', 'duplicate', 'payout_differs')
        GROUP BY 1
        HAVING count(*) > 1 AND sum(CASE WHEN w.line IS NOT NULL THEN w.their_payout ELSE 0 END) = sum(coalesce(w.our_payout, 0))) AS s
    WHERE a.import_id = imp.import_id AND a.kind = 'payout_differs' AND a.cause IS NULL
      AND coalesce(a.their_transaction_id, a.our_transaction_id) = s.transaction_id;
    UPDATE _postback.apart AS a
    SET cause = 'status_lag', evidence = format('it was %s here until %s', a.their_payout, e.moved_at)
    FROM (
        SELECT w.apart_id, max(e.recorded_at) AS moved_at
        FROM _postback.apart AS w
        JOIN postback.conversion_events AS e ON e.conversion_id = w.conversion_id AND e.bucket = w.bucket
        WHERE w.import_id = imp.import_id AND w.kind = 'payout_differs' AND w.cause IS NULL
        GROUP BY w.apart_id, w.their_payout HAVING bool_or(e.asserted_payout = w.their_payout AND e.moved)) AS e
    WHERE a.import_id = imp.import_id AND a.apart_id = e.apart_id;
END
$$;
