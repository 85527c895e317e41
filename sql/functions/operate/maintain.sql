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
    task := 'clicks_partitions';
    done := _postback.ensure_days('clicks', 'clicked_at', now);
    RETURN NEXT;
    task := 'postbacks_partitions';
    done := _postback.ensure_days('postbacks', 'received_at', now);
    RETURN NEXT;
    task := 'orphans_matched';
    done := _postback.match_orphans(now);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION postback.maintain(timestamptz) IS
    'Makes daily partitions from yesterday to a week ahead, moves rows out of the DEFAULT partitions, matches postbacks that waited for their click. '
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
        EXECUTE format('INSERT INTO postback.%I SELECT * FROM pg_temp.moving', partition);
        DROP TABLE pg_temp.moving;
    END IF;
END
$$;

-- Postbacks that came before their click. In the order of receipt, so that the story unfolds as it would have.
-- One whose click has not come within 90 days, the longest window in the field, waits no longer; its row in postbacks stays.
CREATE FUNCTION _postback.match_orphans(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    orphan record;
    kept record;
    m _postback.message;
    done _postback.outcome;
    matched bigint := 0;
BEGIN
    DELETE FROM _postback.orphans AS w WHERE w.received_at < now - interval '90 days';
    FOR orphan IN
        SELECT w.postback_id, w.received_at FROM _postback.orphans AS w
        WHERE EXISTS (SELECT FROM postback.click_locations AS l WHERE l.click_id = w.click_id)
           OR EXISTS (SELECT FROM postback.conversion_keys AS k WHERE k.network_id = w.network_id AND k.dedupe_key = w.dedupe_key)
           OR EXISTS (SELECT FROM postback.clicks AS c
                WHERE c.click_id = w.click_id AND c.bucket = postback.click_id_bucket(w.click_id)
                  AND c.clicked_at = postback.click_id_time(w.click_id))
        ORDER BY w.received_at, w.postback_id FOR UPDATE OF w SKIP LOCKED
    LOOP
        SELECT p.*, n.slug, n.statuses, n.default_status INTO kept
        FROM postback.postbacks AS p JOIN postback.networks AS n ON n.network_id = p.network_id
        WHERE p.postback_id = orphan.postback_id AND p.received_at = orphan.received_at;
        IF kept.slug = 'default' AND coalesce(kept.path, '/postback') = '/postback' THEN
            -- It named no network. Now that its click is known its offer's network is, with its own map and its own checks.
            m := _postback.read_message_carefully(NULL, kept.postback_id, kept.received_at, NULL, NULL, kept.method, kept.path,
                kept.query, kept.body, kept.content_type, kept.source_ip);
        ELSE
            m := ROW(NULL, kept.postback_id, kept.received_at, kept.network_id, kept.slug, kept.method, kept.path, kept.query, kept.body,
                kept.content_type, kept.source_ip, kept.checks, NULL, NULL, kept.click_id, kept.transaction_id, kept.event,
                kept.raw_status, CASE WHEN kept.raw_status IS NULL THEN kept.default_status
                    ELSE (kept.statuses ->> lower(kept.raw_status))::postback.conversion_status END,
                kept.payout, kept.currency, kept.network_offer_id, kept.event_at, NULL, kept.dedupe_key)::_postback.message;
        END IF;
        BEGIN
            done := _postback.apply_message(m);
        EXCEPTION
            -- One that cannot be processed must not keep the others, or the partitions, from being made.
            WHEN data_exception OR integrity_constraint_violation OR raise_exception OR internal_error THEN
                done := ROW('malformed', format('could not be processed: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL)::_postback.outcome;
        END;
        UPDATE postback.postbacks AS p
        SET network_id = m.network_id, checks = m.checks, dedupe_key = m.dedupe_key, verdict = done.verdict, reason = concat_ws('; ', 'matched later', nullif(done.reason, '')), conversion_id = done.conversion_id
        WHERE p.postback_id = orphan.postback_id AND p.received_at = orphan.received_at;
        DELETE FROM _postback.orphans AS w WHERE w.postback_id = orphan.postback_id;
        matched := matched + 1;
    END LOOP;
    RETURN matched;
END
$$;
