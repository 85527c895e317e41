-- What becomes of flagged conversions: held while their flag is open, rejected, or released. Each move is a row of the ledger.

-- With the event: conversions of a batch that came within a minute of their click.
CREATE FUNCTION _postback.flag_fast_conversions(conversion_ids text[], at timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r record;
BEGIN
    SELECT _postback.fraud_defaults(w.rule) || w.parameters AS parameters, w.action INTO r
    FROM postback.fraud_rules AS w WHERE w.rule = 'fast_conversion' AND w.enabled;
    IF FOUND
        AND _postback.raise_flags('fast_conversion', array(SELECT f FROM _postback.find_fast_conversions(r.parameters, conversion_ids, NULL, NULL) AS f), at) > 0
        -- It looks through all flags that reject.
        AND r.action = 'reject' THEN
        PERFORM _postback.reject_flagged('fast_conversion', at);
    END IF;
END
$$;

-- Whether a flag rejected the conversion, and neither a release nor a person's own UPDATE came after it.
CREATE FUNCTION _postback.is_rejected_as_fraud(conversion_id text, bucket smallint)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce((
        SELECT e.cause = 'fraud' FROM postback.conversion_events AS e
        WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.cause IN ('fraud', 'release', 'update')
        ORDER BY e.seq DESC LIMIT 1), false);
END
$$;

-- Rejects a conversion that pays, or gives one that was rejected as fraud back what its messages say. Returns whether it moved.
CREATE FUNCTION _postback.judge_conversion(conversion_id text, bucket smallint, cause text, at timestamptz)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c record;
    new_status postback.conversion_status := 'rejected';
    new_payout numeric := 0;
    hash bytea;
BEGIN
    SELECT v.status, v.payout, v.currency, v.ledger_seq, v.ledger_hash INTO STRICT c
    FROM postback.conversions AS v WHERE v.conversion_id = conversion_id AND v.bucket = bucket FOR UPDATE;
    IF cause = 'fraud' THEN
        IF NOT EXISTS (SELECT FROM postback.status_transitions AS t WHERE t.from_status = c.status AND t.to_status = new_status) THEN
            RETURN false;
        END IF;
    ELSIF NOT _postback.is_rejected_as_fraud(conversion_id, bucket) THEN
        RETURN false;
    ELSE
        SELECT f.status::postback.conversion_status,
            _postback.counted(f.status::postback.conversion_status, coalesce(f.payout::numeric, _postback.unnamed_amount(conversion_id, bucket)))
        INTO STRICT new_status, new_payout
        FROM (SELECT array_agg(e.asserted_status::text ORDER BY e.seq) AS statuses, array_agg(coalesce(e.asserted_payout::text, '') ORDER BY e.seq) AS payouts,
                array_agg(e.event_at ORDER BY e.seq) AS ats, array_agg(e.event_at_is_network_time ORDER BY e.seq) AS network_times,
                array_agg(e.recorded_at ORDER BY e.seq) AS received
              FROM postback.conversion_events AS e
              WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.cause NOT IN ('fraud', 'release')) AS s,
            (SELECT array_agg(t.from_status::text) AS froms, array_agg(t.to_status::text) AS tos FROM postback.status_transitions AS t) AS a,
            LATERAL _postback.fold(s.statuses, s.payouts, s.ats, s.network_times, s.received, a.froms, a.tos) AS f;
    END IF;
    hash := _postback.append_event(conversion_id, bucket, c.ledger_seq + 1, c.ledger_hash, clock_timestamp(), at, false, cause, new_status, NULL,
        new_status <> c.status OR new_payout <> c.payout, new_status, new_payout - c.payout, c.currency, NULL);
    UPDATE postback.conversions AS v
    SET status = new_status, payout = new_payout, ledger_seq = c.ledger_seq + 1, ledger_hash = hash
    WHERE v.conversion_id = conversion_id AND v.bucket = bucket;
    RETURN true;
END
$$;

-- Rejects what the flags of a rule name that reject, each conversion once: an UPDATE by hand afterwards stands. In key order, as batches
-- of postbacks, so that the two cannot deadlock.
CREATE FUNCTION _postback.reject_flagged(rule text, at timestamptz, flag_id bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    target record;
    rejected bigint := 0;
BEGIN
    FOR target IN
        SELECT c.conversion_id, c.bucket, array_agg(i.subject) AS subjects
        FROM postback.flags AS f
        JOIN _postback.flag_items AS i ON i.flag_id = f.flag_id AND i.kind = 'conversion' AND NOT i.rejected
        JOIN postback.conversions AS c ON c.conversion_id = i.item AND c.bucket = i.bucket
        WHERE f.rule = rule AND (f.status = 'open' AND f.action = 'reject' OR f.decision = 'reject') AND (flag_id IS NULL OR f.flag_id = flag_id)
        GROUP BY c.conversion_id, c.bucket, c.network_id, c.dedupe_key
        ORDER BY c.network_id, c.dedupe_key
    LOOP
        rejected := rejected + _postback.judge_conversion(target.conversion_id, target.bucket, 'fraud', at)::integer;
        UPDATE _postback.flag_items AS i SET rejected = true
        WHERE i.rule = rule AND i.subject = ANY (target.subjects) AND i.kind = 'conversion' AND i.item = target.conversion_id;
    END LOOP;
    RETURN rejected;
END
$$;

CREATE FUNCTION postback.resolve_flag(flag_id bigint, decision text, note text DEFAULT NULL, now timestamptz DEFAULT clock_timestamp())
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF decision IS NULL OR decision NOT IN ('release', 'reject') THEN
        RAISE EXCEPTION 'decision "%" is not known', decision USING ERRCODE = 'invalid_parameter_value', HINT = 'One of release, reject.';
    END IF;
    RETURN _postback.close_flag(flag_id, 'resolved', decision, note, now);
END
$$;
COMMENT ON FUNCTION postback.resolve_flag(bigint, text, text, timestamptz) IS
    'Closes a flag, or decides anew about a closed one. release: its conversions are no longer held, and those rejected as fraud get back what their network says; '
    'reject: those that pay are rejected and stay out of payables(), approved by hand before or not. Returns how many conversions moved; each move is in the ledger, with cause and actor.';

CREATE FUNCTION postback.dismiss_flag(flag_id bigint, note text DEFAULT NULL, now timestamptz DEFAULT clock_timestamp())
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN _postback.close_flag(flag_id, 'dismissed', 'release', note, now);
END
$$;
COMMENT ON FUNCTION postback.dismiss_flag(bigint, text, timestamptz) IS
    'Closes a flag that was a false alarm, and releases what it held; returns how many conversions moved. The same clicks and conversions are not flagged for it again.';

CREATE FUNCTION _postback.close_flag(flag_id bigint, status text, decision text, note text, at timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    closed record;
    target record;
    moved bigint := 0;
BEGIN
    UPDATE postback.flags AS f
    SET status = status, decision = decision, closed_at = at, closed_by = session_user::text, note = coalesce(note, f.note)
    WHERE f.flag_id = flag_id RETURNING f.rule INTO closed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no flag %', flag_id USING ERRCODE = 'no_data_found', HINT = 'SELECT flag_id FROM postback.flags WHERE status = ''open'';';
    ELSIF decision = 'reject' THEN
        -- Decided now: what somebody approved by hand before is rejected, too.
        UPDATE _postback.flag_items AS i SET rejected = false WHERE i.flag_id = flag_id AND i.rejected;
        RETURN _postback.reject_flagged(closed.rule, at, flag_id);
    END IF;
    FOR target IN
        SELECT c.conversion_id, c.bucket
        FROM _postback.flag_items AS i JOIN postback.conversions AS c ON c.conversion_id = i.item AND c.bucket = i.bucket
        WHERE i.flag_id = flag_id AND i.kind = 'conversion' AND c.status = 'rejected'
          -- Another flag may reject it still.
          AND NOT EXISTS (
              SELECT FROM _postback.flag_items AS o JOIN postback.flags AS f ON f.flag_id = o.flag_id
              WHERE o.item = i.item AND o.kind = 'conversion' AND (f.status = 'open' AND f.action = 'reject' OR f.decision = 'reject'))
        ORDER BY c.network_id, c.dedupe_key
    LOOP
        moved := moved + _postback.judge_conversion(target.conversion_id, target.bucket, 'release', at)::integer;
    END LOOP;
    UPDATE _postback.flag_items AS i SET rejected = false WHERE i.flag_id = flag_id AND i.rejected;
    RETURN moved;
END
$$;
