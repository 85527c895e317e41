-- Housekeeping: idempotent, safe to run anywhere and often. A second run at the same time does nothing.
CREATE FUNCTION postback.maintain(now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (task text, done bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- An analyst's long query must not make taps wait behind this: give up soon, come back in a minute.
SET lock_timeout = '2s' AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('postback.maintain', 0)) THEN
        RETURN;
    END IF;
    -- A restored database has its functions with the superuser who restored it: from now on they are the owner's.
    IF EXISTS (
        SELECT FROM pg_roles AS r JOIN pg_class AS c ON c.relowner <> r.oid
        WHERE r.rolname = current_user AND r.rolsuper AND c.oid = '_postback.settings'::regclass) THEN
        PERFORM postback.set_owner();
        RETURN QUERY SELECT m.task, m.done FROM postback.maintain(now) AS m;
        RETURN;
    END IF;
    -- First, for what follows takes locks that others wait for.
    task := 'hours_recounted';
    done := _postback.refresh_rollups(now);
    RETURN NEXT;
    task := 'clicks_partitions';
    done := _postback.ensure_days('clicks', 'clicked_at', now);
    RETURN NEXT;
    task := 'postbacks_partitions';
    done := _postback.ensure_days('postbacks', 'received_at', now);
    RETURN NEXT;
    task := 'orphans_matched';
    done := _postback.match_orphans(now);
    RETURN NEXT;
    task := 'paths_settled';
    done := _postback.settle_touches(now);
    RETURN NEXT;
    task := 'fraud_found';
    done := _postback.scan_fraud(now);
    RETURN NEXT;
    task := 'reports_reconciled';
    done := _postback.reconcile_due(now);
    RETURN NEXT;
    task := 'tiers_changed';
    done := _postback.apply_tier_rules(now);
    RETURN NEXT;
    -- Last: it reads what the others have brought up to date.
    task := 'alerts_changed';
    done := (SELECT count(*) FROM postback.check_alerts(now));
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION postback.maintain(timestamptz) IS
    'Makes daily partitions from yesterday to a week ahead, moves rows out of the DEFAULT partitions, matches postbacks that waited for their click, '
    'widens the paths of conversions to 90 days, brings the hourly rollups up to date (hours_recounted: those that late clicks or status changes had spoiled), '
    'compares the newest report of a network again after a week where networks.reconcile_weekly asks for it, '
    'runs the fraud rules over what came since (fraud_found: clicks, conversions and postbacks newly named by a flag), '
    'applies the rules by which partners change their tier (hourly) and checks the alert rules. '
    'The proxy calls it each minute; pg_cron may instead.';

-- Partitions for the days around now and for every day that has rows in the DEFAULT partition. Returns how many were made.
CREATE FUNCTION _postback.ensure_days(parent text, day_column text, now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    day timestamptz;
    made bigint := 0;
    partition text;
BEGIN
    FOR day IN EXECUTE format(
        'SELECT generate_series(date_trunc(''day'', $1) - interval ''1 day'', date_trunc(''day'', $1) + interval ''7 days'', interval ''1 day'')
         UNION SELECT date_trunc(''day'', %I) FROM postback.%I ORDER BY 1', day_column, parent || '_default') USING now
    LOOP
        partition := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        CONTINUE WHEN to_regclass('postback.' || partition) IS NOT NULL;
        PERFORM _postback.split_day(parent, day_column, partition, day);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- One day's partition; rows of that day that lie in the DEFAULT partition move into it, in this transaction.
CREATE FUNCTION _postback.split_day(parent text, day_column text, partition text, day timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    waiting boolean;
BEGIN
    EXECUTE format('LOCK TABLE postback.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
    EXECUTE format('SELECT EXISTS (SELECT FROM postback.%I WHERE %I >= $1 AND %2$I < $1 + interval ''1 day'')', parent || '_default', day_column)
        INTO waiting USING day;
    IF waiting THEN
        EXECUTE format('CREATE TEMP TABLE moving ON COMMIT DROP AS SELECT * FROM postback.%I WHERE %I >= $1 AND %2$I < $1 + interval ''1 day''',
            parent || '_default', day_column) USING day;
        EXECUTE format('DELETE FROM postback.%I WHERE %I >= $1 AND %2$I < $1 + interval ''1 day''', parent || '_default', day_column) USING day;
    END IF;
    PERFORM _postback.add_partition(parent, partition, quote_literal(day), quote_literal(day + interval '1 day'));
    IF waiting THEN
        -- They are not new: their triggers have fired.
        EXECUTE format('ALTER TABLE postback.%I DISABLE TRIGGER USER', partition);
        EXECUTE format('INSERT INTO postback.%I SELECT * FROM pg_temp.moving', partition);
        EXECUTE format('ALTER TABLE postback.%I ENABLE TRIGGER USER', partition);
        DROP TABLE pg_temp.moving;
    END IF;
END
$$;
