-- A report's days beside ours, in its zone and in the one that it was compared in.
CREATE FUNCTION postback.report_totals(import_id bigint)
RETURNS TABLE (time_zone text, day date, currency text, their_rows bigint, our_conversions bigint, their_payout numeric, our_payout numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_variable
DECLARE
    imp _postback.report;
    their_days tstzrange;
    our_days tstzrange;
BEGIN
    SELECT i.import_id, i.network_id, i.time_zone, i.own_time_zone, i.first_day, i.last_day, i.row_count, i.bad_row_count, i.imported_at, i.matched_by,
           i.clock_offset
    INTO imp FROM postback.report_imports AS i WHERE i.import_id = import_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'import "%" does not exist', import_id USING ERRCODE = 'no_data_found',
            HINT = 'SELECT import_id, network FROM postback.reconciliations lists them.';
    END IF;
    their_days := _postback.days_in(imp, imp.time_zone);
    our_days := _postback.days_in(imp, coalesce(imp.own_time_zone, 'UTC'));
    RETURN QUERY
    WITH hours AS MATERIALIZED (
        -- Zones differ by quarters of an hour at the least.
        SELECT date_bin('15 minutes', r.happened_at, '2000-01-01 00:00+00') AS at, r.currency::text AS currency, count(*) AS theirs, 0::bigint AS ours,
               sum(CASE WHEN r.status IN ('pending', 'approved') THEN r.payout END) AS their_payout, 0::numeric AS our_payout
        FROM postback.report_rows AS r WHERE r.import_id = import_id AND r.problem IS NULL GROUP BY 1, 2
        UNION ALL
        SELECT date_bin('15 minutes', v.converted_at, '2000-01-01 00:00+00'), v.currency, 0, count(*), 0, sum(v.payout)
        FROM postback.conversions AS v
        WHERE v.network_id = imp.network_id AND NOT v.is_test AND v.converted_at >= least(lower(their_days), lower(our_days))
          AND v.converted_at < greatest(upper(their_days), upper(our_days)) GROUP BY 1, 2)
    SELECT z.zone, (h.at AT TIME ZONE z.zone)::date, h.currency, sum(h.theirs)::bigint, sum(h.ours)::bigint, coalesce(sum(h.their_payout), 0), sum(h.our_payout)
    FROM hours AS h
    JOIN (SELECT imp.time_zone AS zone, true AS is_theirs UNION ALL SELECT imp.own_time_zone, false WHERE imp.own_time_zone <> imp.time_zone) AS z
      ON h.theirs > 0 OR (h.at AT TIME ZONE z.zone)::date BETWEEN imp.first_day AND imp.last_day
    GROUP BY z.is_theirs, z.zone, 2, 3 ORDER BY z.is_theirs DESC, 2, 3;
END
$$;
COMMENT ON FUNCTION postback.report_totals(bigint) IS
    'Rows and payouts of a report beside conversions and payouts recorded here, by day and currency: in the report''s zone, and in the one of the last reconcile().';

-- What networks that are to be reconciled weekly ask of maintain(): their newest report once more, when a week has passed since the last time
-- and conversions may have moved. One network at a time, and none of more rows than can be compared while taps wait for nothing else.
CREATE FUNCTION _postback.reconcile_due(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
BEGIN
    -- Somebody compares a report just now, which may take long: what else is to be maintained does not wait for that.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('postback.reconcile', 0)) THEN
        RETURN 0;
    END IF;
    SELECT i.import_id, i.own_time_zone, i.threshold INTO due
    FROM postback.networks AS n
    CROSS JOIN LATERAL (
        SELECT w.* FROM postback.report_imports AS w WHERE w.network_id = n.network_id ORDER BY w.last_day DESC, w.import_id DESC LIMIT 1) AS i
    WHERE n.reconcile_weekly AND i.row_count <= 1000000 AND coalesce(i.reconciled_at, '-infinity') <= now - interval '7 days'
    ORDER BY i.reconciled_at NULLS FIRST, i.import_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM postback.reconcile(due.import_id, coalesce(due.own_time_zone, 'UTC'), coalesce(due.threshold, 0.02), now => now);
    RETURN 1;
END
$$;
