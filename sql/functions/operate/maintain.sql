-- What maintain() does, in this order. Rollups first, for what follows takes locks that others wait for. Alerts read what is before them; fraud
-- rules come late, for they take longest, and of them those first that decide what is a person's click. Last what no tap gets past until COMMIT.
CREATE FUNCTION postback.maintenance_tasks()
RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.task FROM unnest(ARRAY['hours_recounted', 'clicks_partitions', 'postbacks_partitions', 'orphans_matched', 'paths_settled',
        'reports_reconciled', 'tiers_changed', 'alerts_changed']) WITH ORDINALITY AS t (task, place) ORDER BY t.place;
    RETURN QUERY SELECT 'fraud_' || s.rule FROM _postback.fraud_state AS s ORDER BY s.rule <> 'datacenter_click', s.rule;
    RETURN QUERY SELECT 'days_dropped';
END
$$;
COMMENT ON FUNCTION postback.maintenance_tasks() IS
    'The tasks of maintain() in their order: fraud_<rule> is one of the rules, the others are called for what they count.';

-- Housekeeping: idempotent, safe to run anywhere and often. A second run at the same time does nothing.
CREATE FUNCTION postback.maintain(now timestamptz DEFAULT clock_timestamp(), tasks text[] DEFAULT NULL)
RETURNS TABLE (task text, done bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- An analyst's long query must not make taps wait behind this: give up soon, come back in a minute.
SET lock_timeout = '2s' AS $$
#variable_conflict use_variable
DECLARE
    known CONSTANT text[] := array(SELECT t FROM postback.maintenance_tasks() AS t);
    wanted CONSTANT text[] := coalesce(tasks, known);
    unknown text;
BEGIN
    now := coalesce(now, clock_timestamp());
    SELECT w.task INTO unknown FROM unnest(wanted) AS w (task) WHERE (w.task = ANY (known)) IS NOT TRUE LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no maintenance task %', quote_nullable(unknown) USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT * FROM postback.maintenance_tasks() lists them.';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('postback.maintain', 0)) THEN
        RETURN;
    END IF;
    -- A restored database has its functions with the superuser who restored it: from now on they are the owner's.
    IF EXISTS (
        SELECT FROM pg_roles AS r JOIN pg_class AS c ON c.relowner <> r.oid
        WHERE r.rolname = current_user AND r.rolsuper AND c.oid = '_postback.settings'::regclass) THEN
        PERFORM postback.set_owner();
        RETURN QUERY SELECT m.task, m.done FROM postback.maintain(now, tasks) AS m;
        RETURN;
    END IF;
    FOREACH task IN ARRAY known LOOP
        CONTINUE WHEN task <> ALL (wanted);
        done := CASE task
            WHEN 'hours_recounted' THEN _postback.refresh_rollups(now)
            WHEN 'clicks_partitions' THEN _postback.ensure_days('clicks', 'clicked_at', now)
            WHEN 'postbacks_partitions' THEN _postback.ensure_days('postbacks', 'received_at', now)
            WHEN 'orphans_matched' THEN _postback.match_orphans(now)
            WHEN 'paths_settled' THEN _postback.settle_touches(now)
            WHEN 'reports_reconciled' THEN _postback.reconcile_due(now)
            WHEN 'tiers_changed' THEN _postback.apply_tier_rules(now)
            WHEN 'alerts_changed' THEN (SELECT count(*) FROM postback.check_alerts(now))
            WHEN 'days_dropped' THEN _postback.drop_days(now)
            ELSE _postback.scan_fraud(substr(task, length('fraud_') + 1), now, is_alone => tasks IS NOT NULL AND cardinality(tasks) = 1)
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.maintain(timestamptz, text[]) IS
    'Makes daily partitions from yesterday to a week ahead, moves rows out of the DEFAULT partitions, matches postbacks that waited for their click, '
    'widens the paths of conversions to 90 days, brings the hourly rollups up to date (hours_recounted: those that late clicks or status changes had spoiled), '
    'compares the newest report of a network again after a week where networks.reconcile_weekly asks for it, '
    'applies the rules by which partners change their tier (hourly), checks the alert rules and runs each fraud rule over what came since '
    '(fraud_<rule>: clicks, conversions and postbacks newly named by a flag). Drops the days that postback.retention keeps no longer. Of these tasks those named, or all with NULL; in one transaction. '
    'The proxy calls it each minute with one task after the other, so that each commits by itself; pg_cron may instead, with all. '
    'Errors: 22023 for a task that maintenance_tasks() does not list.';

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
