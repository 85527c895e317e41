-- Runs the rules and keeps what they find. A second run over the same time finds the same and changes nothing.

CREATE FUNCTION postback.fraud_scan(since timestamptz, now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (rule text, flags bigint, items bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF since IS NULL OR NOT isfinite(since) OR now IS NULL OR NOT isfinite(now) THEN
        RAISE EXCEPTION 'from "%" to "%" is no time to look at', since, now USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Such as fraud_scan(now() - interval ''1 day'').';
    END IF;
    RETURN QUERY SELECT s.* FROM _postback.run_fraud_rules(array(SELECT r.rule FROM postback.fraud_rules AS r), since, now) AS s;
END
$$;
COMMENT ON FUNCTION postback.fraud_scan(timestamptz, timestamptz) IS
    'Looks with every enabled rule at what happened from since up to now (rules about hours and days take them whole): per rule how many flags were opened and how many '
    'clicks, conversions and postbacks are newly named. Idempotent. maintain() does it as time goes by; call it after a change of rules or ip_ranges, or a load of old data.';

CREATE FUNCTION _postback.run_fraud_rules(wanted text[], since timestamptz, until timestamptz)
RETURNS TABLE (rule text, flags bigint, items bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off SET work_mem = '64MB' AS $$
#variable_conflict use_column
DECLARE
    r record;
    opened bigint;
    named bigint;
BEGIN
    -- What a rule writes, the next one reads: a click that is a data centre's is no person's. In this order.
    FOR r IN
        SELECT w.rule, _postback.fraud_defaults(w.rule) || w.parameters AS p FROM postback.fraud_rules AS w
        WHERE w.enabled AND w.rule = ANY (wanted)
        ORDER BY w.rule <> 'datacenter_click', w.rule
    LOOP
        opened := (SELECT count(*) FROM postback.flags AS f WHERE f.rule = r.rule);
        named := CASE r.rule
            WHEN 'fast_conversion' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_fast_conversions(r.p, NULL, since, until) AS f), until)
            WHEN 'datacenter_click' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_datacenter_clicks(r.p, since, until) AS f), until)
            WHEN 'click_flood' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_click_floods(r.p, since, until) AS f), until)
            WHEN 'spoofed_postbacks' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_spoofed_postbacks(r.p, since, until) AS f), until)
            WHEN 'transaction_reuse' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_transaction_reuse(r.p, since, until) AS f), until)
            WHEN 'address_fan_out' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_fan_outs(r.p, since, until) AS f), until)
            WHEN 'perfect_interval' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_perfect_intervals(r.p, since, until) AS f), until)
            WHEN 'device_diversity' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_uniform_groups(r.p, since, until) AS f), until)
            WHEN 'geo_anomaly' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_foreign_groups(r.p, since, until) AS f), until)
            WHEN 'reversal_rate' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_reversing_groups(r.p, until) AS f), until)
            WHEN 'conversion_rate' THEN _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_converting_groups(r.p, since, until) AS f), until)
        END;
        named := named + _postback.raise_flags(r.rule, array(SELECT f FROM _postback.find_conversions_of_flagged_clicks(r.rule, since, until) AS f), until);
        PERFORM _postback.reject_flagged(r.rule, until);
        rule := r.rule;
        flags := (SELECT count(*) FROM postback.flags AS f WHERE f.rule = r.rule) - opened;
        items := named;
        RETURN NEXT;
    END LOOP;
END
$$;

-- What maintain() does with one rule: moments each minute, whole hours once they are over. At most an hour at a time, should it have stood still.
-- A rule that fails is tried again after 1, 2, 4, 8 and 16 minutes; then it goes on behind what it could not do. Each failure is an alert, which
-- is over when the rule has gone on well, and a warning in the server's log. Whoever cancels the statement cancels it, and so does a timeout
-- when more than this is done in it.
CREATE FUNCTION _postback.scan_fraud(rule text, now timestamptz, is_alone boolean)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    is_hourly CONSTANT boolean := _postback.looks_at_hours(rule);
    s _postback.fraud_state;
    until timestamptz;
    found bigint;
BEGIN
    SELECT w.* INTO STRICT s FROM _postback.fraud_state AS w WHERE w.rule = rule;
    until := s.scanned_until + interval '1 hour';
    IF NOT is_hourly THEN
        until := least(until, now, clock_timestamp());
    END IF;
    IF now < s.retry_at OR until <= s.scanned_until OR is_hourly AND until + interval '1 minute' > least(now, clock_timestamp()) THEN
        RETURN 0;
    END IF;
    BEGIN
        -- A tap of some seconds ago may be on its way yet.
        found := (SELECT coalesce(sum(r.items), 0)
            FROM _postback.run_fraud_rules(ARRAY[rule], s.scanned_until - CASE WHEN is_hourly THEN interval '0' ELSE interval '2 minutes' END, until) AS r);
    EXCEPTION
        WHEN query_canceled THEN
            IF NOT is_alone OR current_setting('statement_timeout') = '0'
                OR clock_timestamp() - statement_timestamp() < current_setting('statement_timeout')::interval THEN
                RAISE;
            END IF;
            PERFORM _postback.note_failed_scan(rule, s.scanned_until, until, s.failures + 1, now, SQLSTATE, SQLERRM);
            RETURN 0;
        WHEN OTHERS THEN
            PERFORM _postback.note_failed_scan(rule, s.scanned_until, until, s.failures + 1, now, SQLSTATE, SQLERRM);
            RETURN 0;
    END;
    UPDATE _postback.fraud_state AS w SET scanned_until = until, failures = 0, retry_at = '-infinity' WHERE w.rule = rule;
    PERFORM _postback.resolve_alert('fraud_rule_failed', 'fraud rule ' || rule, now);
    RETURN found;
END
$$;

-- The alert says the SQLSTATE only: a message may quote what it was about.
CREATE FUNCTION _postback.note_failed_scan(rule text, since timestamptz, until timestamptz, failures integer, now timestamptz, code text, message text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    given_up CONSTANT boolean := failures >= 6;
    period CONSTANT jsonb := jsonb_build_object('since', since, 'until', until);
    skipped CONSTANT jsonb := coalesce((
        SELECT a.evidence -> 'skipped' FROM postback.alerts AS a
        WHERE a.kind = 'fraud_rule_failed' AND a.subject = 'fraud rule ' || rule AND a.resolved_at IS NULL), '[]');
BEGIN
    RAISE WARNING 'fraud rule "%" failed on % to % (SQLSTATE %): %', rule, since, until, code, message;
    UPDATE _postback.fraud_state AS w
    SET failures = CASE WHEN given_up THEN 0 ELSE failures END,
        scanned_until = CASE WHEN given_up THEN until ELSE since END,
        retry_at = CASE WHEN given_up THEN '-infinity' ELSE now + 2 ^ (failures - 1) * interval '1 minute' END
    WHERE w.rule = rule;
    PERFORM _postback.raise_alert('fraud_rule_failed', 'fraud rule ' || rule, 'warning',
        format('fraud rule %s cannot look at what happened from %s on: SQLSTATE %s', rule, since, code),
        period || jsonb_build_object('sqlstate', code, 'failures', failures, 'skipped', CASE WHEN given_up THEN skipped || period ELSE skipped END), now);
END
$$;

-- Conversions of a time whose click is flagged, by this rule and not released: they belong to its flag.
CREATE FUNCTION _postback.find_conversions_of_flagged_clicks(rule text, since timestamptz, until timestamptz)
RETURNS SETOF _postback.finding LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN QUERY
    SELECT f.subject_kind, f.subject, f.evidence, f.private_evidence,
        array_agg('conversion'::text), array_agg(c.conversion_id), array_agg(c.bucket), array_agg(c.converted_at)
    FROM postback.conversions AS c
    JOIN _postback.flag_items AS i ON i.kind = 'click' AND i.item = c.click_id AND i.rule = rule
    JOIN postback.flags AS f ON f.flag_id = i.flag_id AND (f.status = 'open' OR f.decision = 'reject')
    WHERE c.converted_at >= since AND c.converted_at < until AND NOT c.is_test
    GROUP BY f.flag_id;
END
$$;

-- Keeps findings: one open flag per rule and subject, and each thing once, also when its flag has been closed meanwhile. Returns how many
-- things are new.
CREATE FUNCTION _postback.raise_flags(rule text, findings _postback.finding[], at timestamptz)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    r postback.fraud_rules;
    f _postback.finding;
    flag bigint;
    fresh record;
    named bigint := 0;
BEGIN
    IF findings = '{}' THEN
        RETURN 0;
    END IF;
    SELECT w.* INTO STRICT r FROM postback.fraud_rules AS w WHERE w.rule = raise_flags.rule;
    -- In the order of subjects, so that two of us cannot deadlock; one at a time for each, so that both do not count the same.
    FOR f IN SELECT u.* FROM unnest(findings) AS u ORDER BY u.subject_kind, u.subject LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(format('postback.flags %s %s %s', raise_flags.rule, f.subject_kind, f.subject), 0));
        SELECT count(*) FILTER (WHERE n.kind = 'click') AS clicks, count(*) FILTER (WHERE n.kind = 'conversion') AS conversions,
            count(*) FILTER (WHERE n.kind = 'postback') AS postbacks, count(*) AS items, min(n.at) AS first_at, max(n.at) AS last_at
        INTO fresh
        FROM unnest(f.kinds, f.items, f.ats) AS n (kind, item, at)
        -- Looked up one by one: a plan made while there was none would read all of them each time.
        WHERE (SELECT i.flag_id FROM _postback.flag_items AS i
               WHERE i.rule = raise_flags.rule AND i.subject = f.subject_kind || ' ' || f.subject AND i.kind = n.kind AND i.item = n.item) IS NULL;
        CONTINUE WHEN fresh.items = 0;
        INSERT INTO postback.flags AS o (rule, subject_kind, subject, severity, action, clicks, conversions, postbacks, first_at, last_at, opened_at,
            updated_at, evidence, private_evidence)
        VALUES (raise_flags.rule, f.subject_kind, f.subject, r.severity,
            -- What was judged once to be fraud is not paid before somebody has looked at the next of it.
            CASE WHEN r.action = 'flag' AND (
                    SELECT l.decision = 'reject' FROM postback.flags AS l
                    WHERE l.rule = raise_flags.rule AND l.subject_kind = f.subject_kind AND l.subject = f.subject AND l.status <> 'open' ORDER BY l.closed_at DESC, l.flag_id DESC LIMIT 1)
                THEN 'hold' ELSE r.action END,
            fresh.clicks, fresh.conversions, fresh.postbacks, fresh.first_at, fresh.last_at,
            raise_flags.at, raise_flags.at, f.evidence, f.private_evidence)
        ON CONFLICT (rule, subject_kind, subject) WHERE status = 'open' DO UPDATE
        SET clicks = o.clicks + fresh.clicks, conversions = o.conversions + fresh.conversions, postbacks = o.postbacks + fresh.postbacks,
            first_at = least(o.first_at, fresh.first_at), last_at = greatest(o.last_at, fresh.last_at), updated_at = raise_flags.at,
            evidence = f.evidence, private_evidence = f.private_evidence,
            -- 'flag' < 'hold' < 'reject'.
            action = greatest(o.action COLLATE "C", excluded.action COLLATE "C")
        RETURNING o.flag_id INTO flag;
        INSERT INTO _postback.flag_items (rule, subject, kind, item, bucket, at, flag_id)
        SELECT raise_flags.rule, f.subject_kind || ' ' || f.subject, n.kind, n.item, n.bucket, n.at, flag
        FROM unnest(f.kinds, f.items, f.buckets, f.ats) AS n (kind, item, bucket, at)
        ON CONFLICT ON CONSTRAINT flag_items_pkey DO NOTHING;
        named := named + fresh.items;
    END LOOP;
    RETURN named;
END
$$;
