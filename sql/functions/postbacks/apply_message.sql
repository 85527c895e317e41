-- From a message to its effect: deduplicate, match to the click, move the conversion. This is where money is decided.
CREATE FUNCTION _postback.apply_message(m _postback.message, repeat integer DEFAULT 0)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known record;
    done _postback.outcome;
BEGIN
    IF m.failure IS NOT NULL THEN
        RETURN ROW('unauthenticated', m.failure, NULL, NULL)::_postback.outcome;
    ELSIF m.problem IS NOT NULL THEN
        RETURN ROW('malformed', m.problem, NULL, NULL)::_postback.outcome;
    ELSIF m.click_id IS NULL AND m.transaction_id IS NULL THEN
        RETURN ROW('malformed', concat_ws('; ', m.note, 'neither a click id nor a transaction id',
            _postback.near_miss(m.click_id, m.query, m.body)), NULL, NULL)::_postback.outcome;
    ELSIF m.status IS NULL THEN
        RETURN ROW('unmapped_status', CASE WHEN m.raw_status IS NULL THEN 'the message carries no status and the network has no default'
            ELSE format('the network''s statuses do not have the word "%s"', left(m.raw_status, 64)) END, NULL, NULL)::_postback.outcome;
    ELSIF m.dedupe_key IS NULL THEN
        RETURN ROW('malformed', 'no dedupe recipe of the network fits the message', NULL, NULL)::_postback.outcome;
    END IF;

    SELECT k.conversion_id, k.bucket INTO known FROM postback.conversion_keys AS k
    WHERE k.network_id = m.network_id AND k.dedupe_key = m.dedupe_key;
    IF m.event IS NULL AND m.status IN ('rejected', 'reversed') THEN
        done := _postback.reverse_together(m, known.conversion_id IS NOT NULL);
        IF done.verdict IS NOT NULL THEN
            RETURN done;
        END IF;
    END IF;
    -- A test is nobody's sale, and a repeat is the next one.
    IF known.conversion_id IS NULL AND repeat = 0 AND NOT starts_with(m.dedupe_key, 'test:') THEN
        known := _postback.join_reversal(m);
    END IF;
    IF known.conversion_id IS NULL THEN
        done := (_postback.begin_conversions(ARRAY[m], repeat))[1];
        IF done.verdict IS NOT NULL THEN
            RETURN done;
        END IF;
        -- Somebody else's message with this key committed meanwhile.
        SELECT k.conversion_id, k.bucket INTO STRICT known FROM postback.conversion_keys AS k
        WHERE k.network_id = m.network_id AND k.dedupe_key = m.dedupe_key;
    END IF;
    RETURN _postback.apply_further(m, known.conversion_id, known.bucket);
END
$$;

-- A sale with a transaction whose click was taken back before by a message that named the click alone: the two are one conversion, whichever
-- came first. The next sale of that click is one of its own.
CREATE FUNCTION _postback.join_reversal(m _postback.message)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reversal record;
BEGIN
    SELECT v.conversion_id, v.bucket INTO reversal
    FROM unnest(ARRAY['click_id=' || m.click_id, 'click_id=' || m.click_id || '&event=']) AS named (dedupe_key)
    CROSS JOIN LATERAL (
        SELECT w.conversion_id, w.bucket, w.dedupe_key FROM postback.conversion_keys AS w
        WHERE w.network_id = m.network_id AND w.dedupe_key = named.dedupe_key
        -- One look into the index for each, whatever the planner thinks of a table that was empty.
        OFFSET 0) AS k
    JOIN postback.conversions AS v ON v.conversion_id = k.conversion_id AND v.bucket = k.bucket
    WHERE m.status IN ('pending', 'approved') AND m.transaction_id IS NOT NULL
      AND v.click_id = m.click_id AND v.transaction_id IS NULL AND v.status IN ('rejected', 'reversed')
      AND NOT EXISTS (
          SELECT FROM postback.conversion_events AS e
          WHERE e.conversion_id = v.conversion_id AND e.bucket = v.bucket AND e.asserted_status IN ('pending', 'approved'))
    ORDER BY k.dedupe_key LIMIT 1 FOR UPDATE OF v;
    IF FOUND THEN
        INSERT INTO postback.conversion_keys (network_id, dedupe_key, conversion_id, bucket)
        VALUES (m.network_id, m.dedupe_key, reversal.conversion_id, reversal.bucket)
        ON CONFLICT ON CONSTRAINT conversion_keys_pkey DO NOTHING;
        IF NOT FOUND THEN
            RETURN ROW(NULL::text, NULL::smallint);  -- somebody else's message with this key committed meanwhile
        END IF;
        UPDATE postback.conversions AS v SET transaction_id = m.transaction_id, event = m.event
        WHERE v.conversion_id = reversal.conversion_id AND v.bucket = reversal.bucket;
    END IF;
    RETURN reversal;
END
$$;

-- A further message of a known key does what the network's duplicate policy for its event says. The conversions that share the key
-- are its first one and its repeats, whose keys end in &repeat=1 and so on; a lock on the first one puts their messages in a row.
CREATE FUNCTION _postback.apply_further(m _postback.message, conversion_id text, bucket smallint)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    policy CONSTANT text := (
        SELECT coalesce(n.duplicate_policies ->> coalesce(m.event, '*'), n.duplicate_policies ->> '*', 'update')
        FROM postback.networks AS n WHERE n.network_id = m.network_id);
    first record;
    newest record;
    repeated _postback.message;
BEGIN
    IF policy IN ('update', 'add_payout') THEN
        RETURN _postback.apply_to_conversion(m, conversion_id, bucket, policy = 'add_payout');
    ELSIF policy = 'ignore' THEN
        RETURN ROW('duplicate', concat_ws('; ', m.note, 'the network''s policy ignores further messages of this key'),
            conversion_id, bucket)::_postback.outcome;
    END IF;

    SELECT v.click_id INTO STRICT first FROM postback.conversions AS v
    WHERE v.conversion_id = conversion_id AND v.bucket = bucket FOR UPDATE;
    IF m.click_id <> first.click_id THEN
        RETURN ROW('conflict', 'the same transaction was first reported for another click', conversion_id, bucket)::_postback.outcome;
    END IF;
    SELECT v.conversion_id, v.bucket, v.repeat, array_agg(v.event) OVER () AS events INTO STRICT newest
    FROM (
        SELECT k.conversion_id, k.bucket FROM postback.conversion_keys AS k
        WHERE k.network_id = m.network_id AND k.dedupe_key = m.dedupe_key
        UNION ALL
        SELECT k.conversion_id, k.bucket FROM postback.conversion_keys AS k  -- > is the character after =
        WHERE k.network_id = m.network_id AND k.dedupe_key > m.dedupe_key || '&repeat=' AND k.dedupe_key < m.dedupe_key || '&repeat>') AS k
    JOIN postback.conversions AS v ON v.conversion_id = k.conversion_id AND v.bucket = k.bucket
    ORDER BY v.repeat DESC LIMIT 1;
    IF policy = 'ignore_event' AND array_position(newest.events, m.event) IS NOT NULL THEN
        RETURN ROW('duplicate', concat_ws('; ', m.note, 'an event of this id was reported before'), conversion_id, bucket)::_postback.outcome;
    ELSIF m.status IN ('rejected', 'reversed') OR NOT EXISTS (
        SELECT FROM postback.conversion_events AS e
        WHERE e.conversion_id = newest.conversion_id AND e.bucket = newest.bucket AND e.asserted_status IN ('pending', 'approved')) THEN
        -- What pays nothing is about a sale that was: the newest. And a reversal that came first waits for its sale, not for a second one.
        RETURN _postback.apply_to_conversion(m, newest.conversion_id, newest.bucket, false);
    END IF;

    repeated := jsonb_populate_record(m, jsonb_build_object(
        'click_id', first.click_id,
        'dedupe_key', m.dedupe_key || '&repeat=' || newest.repeat + 1,
        'event', CASE WHEN policy = 'new_labelled' THEN coalesce(m.event, '') || '#' || newest.repeat + 2 ELSE m.event END));
    RETURN _postback.apply_message(repeated, newest.repeat + 1);
END
$$;

-- A reversal or rejection that names no event, when it is not about one known key: with the scope 'click' every conversion of its click
-- (of its transaction, where it names no click), else those of its transaction under other keys (of its click, where it names no
-- transaction). Nothing when there is none: then it is a message like any other, and waits for its sale.
CREATE FUNCTION _postback.reverse_together(m _postback.message, key_is_known boolean)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    net record;
    click _postback.click;
    targets text[];
    target record;
    done _postback.outcome;
    verdicts postback.verdict[] := '{}';
    paying bigint;
BEGIN
    SELECT n.reversal_scope, n.reversal_limit INTO net FROM postback.networks AS n WHERE n.network_id = m.network_id;
    IF net.reversal_scope = 'transaction' AND key_is_known THEN
        RETURN NULL;
    END IF;
    IF m.click_id IS NOT NULL AND (net.reversal_scope = 'click' OR m.transaction_id IS NULL) THEN
        click := _postback.find_click(m.click_id);
        -- By the index on bucket and subscriber: the click's own numbers are its conversions'.
        targets := array(
            SELECT v.conversion_id FROM postback.conversions AS v
            WHERE v.bucket = coalesce(click.bucket, postback.click_id_bucket(m.click_id))
              AND (v.subscriber_id = click.subscriber_id OR click.subscriber_id IS NULL)
              AND v.click_id = m.click_id AND v.network_id = m.network_id AND v.is_test = starts_with(m.dedupe_key, 'test:'));
    ELSE
        targets := array(
            SELECT v.conversion_id
            FROM unnest(ARRAY['transaction_id=', 'conversion_id=']) AS named (field)
            CROSS JOIN LATERAL (SELECT named.field || _postback.key_part(m.transaction_id) AS start) AS s
            CROSS JOIN LATERAL (
                SELECT k.conversion_id, k.bucket FROM postback.conversion_keys AS k
                WHERE k.network_id = m.network_id AND k.dedupe_key = s.start
                UNION ALL
                SELECT k.conversion_id, k.bucket FROM postback.conversion_keys AS k  -- an apostrophe is the character after &
                WHERE k.network_id = m.network_id AND k.dedupe_key > s.start || '&' AND k.dedupe_key < s.start || '''') AS k
            JOIN postback.conversions AS v ON v.conversion_id = k.conversion_id AND v.bucket = k.bucket
            WHERE (m.click_id IS NULL OR v.click_id = m.click_id) AND v.is_test = starts_with(m.dedupe_key, 'test:'));
    END IF;
    IF targets = '{}' THEN
        RETURN NULL;
    END IF;

    paying := (SELECT count(*) FROM postback.conversions AS v WHERE v.conversion_id = ANY (targets) AND v.status IN ('pending', 'approved'));
    IF paying > net.reversal_limit THEN
        RETURN ROW('conflict', format('the message would take back %s conversions, and the network''s limit is %s', paying, net.reversal_limit),
            NULL, NULL)::_postback.outcome;
    ELSIF paying = 0 AND key_is_known THEN
        RETURN NULL;
    END IF;
    FOR target IN
        SELECT v.conversion_id, v.bucket FROM postback.conversions AS v
        WHERE v.conversion_id = ANY (targets) AND (v.status IN ('pending', 'approved') OR paying = 0) ORDER BY v.dedupe_key
    LOOP
        done := _postback.apply_to_conversion(m, target.conversion_id, target.bucket, false);
        verdicts := verdicts || done.verdict;
    END LOOP;
    IF cardinality(verdicts) = 1 THEN
        RETURN done;
    END IF;
    RETURN ROW(CASE WHEN 'updated' = ANY (verdicts) THEN 'updated' ELSE done.verdict END,
        concat_ws('; ', m.note, format('about %s conversions: %s', cardinality(verdicts), array_to_string(verdicts, ', '))),
        done.conversion_id, done.bucket)::_postback.outcome;
END
$$;
