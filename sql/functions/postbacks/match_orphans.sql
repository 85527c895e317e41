-- Postbacks that came before their click, or before the conversion that they are about. They are matched as soon as it arrives, by
-- whatever road; the two may come in the same moment in two transactions that do not see each other, so maintain() looks again.

-- What can be matched, the earliest first, and no more than a run has time for. One whose click has not come within 90 days, the longest window in the field, waits no longer; its row in
-- postbacks stays.
CREATE FUNCTION _postback.match_orphans(now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM _postback.orphans AS w WHERE w.received_at < now - interval '90 days';
    RETURN _postback.apply_orphans(array(
        SELECT w.postback_id FROM _postback.orphans AS w
        WHERE EXISTS (SELECT FROM postback.click_locations AS l WHERE l.click_id = w.click_id)
           OR EXISTS (SELECT FROM postback.conversion_keys AS k WHERE k.network_id = w.network_id AND k.dedupe_key = w.dedupe_key)
           OR EXISTS (SELECT FROM postback.clicks AS c
                WHERE c.click_id = w.click_id AND c.bucket = postback.click_id_bucket(w.click_id)
                  AND c.clicked_at = postback.click_id_time(w.click_id))
        ORDER BY w.received_at LIMIT 5000));
END
$$;

-- Those that wait for one of these clicks, which are stored by now. Costs one look into an index when there are none. A tap does not wait
-- for more of them than anybody sends in earnest: the rest are maintain()'s.
CREATE FUNCTION _postback.match_orphans_of(click_ids text[], now timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    waiting CONSTANT text[] := array(SELECT w.postback_id FROM _postback.orphans AS w
        WHERE w.click_id = ANY (click_ids) AND w.received_at >= now - interval '90 days'
        ORDER BY w.received_at LIMIT 100);
BEGIN
    RETURN CASE WHEN waiting = '{}' THEN 0 ELSE _postback.apply_orphans(waiting) END;
END
$$;

-- Applies orphans and returns how many wait no longer. In the order of receipt, so that the story unfolds as it would have.
CREATE FUNCTION _postback.apply_orphans(postback_ids text[])
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- A tap does not wait long for a conversion that somebody else is just changing, nor until a deadlock is found.
SET lock_timeout = '250ms' AS $$
DECLARE
    orphan record;
BEGIN
    FOR orphan IN
        SELECT w.postback_id, w.received_at FROM _postback.orphans AS w WHERE w.postback_id = ANY (postback_ids)
        ORDER BY w.received_at, w.postback_id FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM _postback.apply_orphan(orphan.postback_id, orphan.received_at);
    END LOOP;
    RETURN (
        SELECT count(*) FROM unnest(postback_ids) AS i (postback_id)
        WHERE NOT EXISTS (SELECT FROM _postback.orphans AS w WHERE w.postback_id = i.postback_id));
END
$$;

-- One of them. It stays where it is when it has to wait on.
CREATE FUNCTION _postback.apply_orphan(postback_id text, received_at timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    kept record;
    m _postback.message;
    done _postback.outcome;
BEGIN
    SELECT p.*, n.slug, CASE WHEN p.raw_status IS NULL THEN n.default_status
               ELSE (n.statuses ->> lower(p.raw_status))::postback.conversion_status END AS status
    INTO kept FROM postback.postbacks AS p JOIN postback.networks AS n ON n.network_id = p.network_id
    WHERE p.postback_id = postback_id AND p.received_at = received_at;
    IF NOT FOUND THEN
        RETURN;  -- it is of the batch that is just being recorded, and store_messages() comes back to it once it is kept
    END IF;
    IF kept.slug = 'default' AND coalesce(kept.path, '/postback') = '/postback' THEN
        -- It named no network. Now that its click is known its offer's network is, with its own map and its own checks.
        m := (SELECT r FROM _postback.read_messages_carefully(ARRAY[NULL], ARRAY[kept.query], ARRAY[kept.source_ip], NULL, ARRAY[kept.method],
                  ARRAY[kept.path], ARRAY[kept.body], ARRAY[kept.content_type], ARRAY[kept.postback_id], kept.received_at) AS r);
    ELSE
        m := jsonb_populate_record(m, to_jsonb(kept));
    END IF;
    BEGIN
        -- First out of the queue: the conversion that it makes looks there for others of its key.
        DELETE FROM _postback.orphans AS w WHERE w.postback_id = postback_id;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        done := _postback.apply_message(m);
        IF done.verdict = 'unmatched' THEN
            RETURN;
        END IF;
    EXCEPTION
        WHEN lock_not_available OR deadlock_detected THEN
            RETURN;  -- maintain() comes back to it within a minute
        -- One that cannot be processed must not keep the others, or the partitions, from being made.
        WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception OR internal_error THEN
            DELETE FROM _postback.orphans AS w WHERE w.postback_id = postback_id;
            done := ROW('malformed', format('could not be processed: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL)::_postback.outcome;
    END;
    UPDATE postback.postbacks AS p
    SET network_id = m.network_id, checks = m.checks, dedupe_key = m.dedupe_key, verdict = done.verdict,
        reason = concat_ws('; ', 'matched later', nullif(done.reason, '')), conversion_id = done.conversion_id
    WHERE p.postback_id = postback_id AND p.received_at = received_at;
END
$$;

-- A click by INSERT, COPY or /click, or one that comes late. The hot path's rows, whose ids were minted a moment ago, pass by the
-- trigger's WHEN.
CREATE FUNCTION _postback.match_click()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- For one of our own links record_clicks() looks, where it can be late.
    IF NEW.link_id IS NULL OR postback.click_id_time(NEW.click_id) IS NULL THEN
        PERFORM _postback.match_orphans_of(ARRAY[NEW.click_id], NEW.clicked_at);
    END IF;
    IF NEW.visitor = 'human' AND NEW.clicked_at < clock_timestamp() - interval '1 minute' THEN
        PERFORM _postback.repair_touches_of(NEW.bucket, NEW.subscriber_id, NEW.click_id, NEW.clicked_at);
    END IF;
    RETURN NULL;
END
$$;

-- The first message of a conversion, for those that came before it and named only the transaction. They hold the key that this
-- transaction has just taken, so nobody is waited for.
CREATE FUNCTION _postback.match_conversion()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting CONSTANT text[] := array(
        SELECT w.postback_id FROM _postback.orphans AS w WHERE w.network_id = NEW.network_id AND w.dedupe_key = NEW.dedupe_key);
BEGIN
    IF waiting <> '{}' THEN
        PERFORM _postback.apply_orphans(waiting);
    END IF;
    RETURN NULL;
END
$$;
