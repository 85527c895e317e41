-- Postbacks in batches, as the proxy sends them, and one by one, as people do.
CREATE FUNCTION postback.receive_postbacks(
    networks text[],
    queries bytea[],
    source_ips inet[] DEFAULT NULL,
    tokens text[] DEFAULT NULL,
    methods text[] DEFAULT NULL,
    paths text[] DEFAULT NULL,
    bodies bytea[] DEFAULT NULL,
    content_types text[] DEFAULT NULL,
    postback_ids text[] DEFAULT NULL,
    replay boolean DEFAULT true,
    now timestamptz DEFAULT NULL)
RETURNS TABLE (ordinal integer, verdict postback.verdict, http_status integer, content_type text, body text, conversion_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- A session that began on empty tables would go on reading them whole: its plans are kept. And compiling one costs more than it saves.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at CONSTANT timestamptz := coalesce(now, clock_timestamp());
    messages _postback.message[];
    first_ones integer := 0;
    careful boolean := false;
BEGIN
    LOOP
        BEGIN
            -- In key order, so that two batches cannot deadlock.
            IF careful THEN
                messages := array(
                    SELECT r FROM _postback.read_messages_carefully(networks, queries, source_ips, tokens, methods, paths, bodies, content_types,
                        postback_ids, at) AS r
                    ORDER BY r.network_id, r.dedupe_key, r.ordinal);
            ELSE
                SELECT array_agg(f.r ORDER BY f.is_first DESC, (f.r).network_id, (f.r).dedupe_key, (f.r).ordinal), count(*) FILTER (WHERE f.is_first)
                INTO messages, first_ones
                FROM (
                    SELECT r, r.failure IS NULL AND r.problem IS NULL AND r.click_id IS NOT NULL AND r.status IN ('pending', 'approved')
                        AND r.dedupe_key IS NOT NULL AND NOT starts_with(r.dedupe_key, 'test:')
                        AND row_number() OVER (PARTITION BY r.network_id, r.dedupe_key ORDER BY r.ordinal) = 1
                        AND (SELECT k.conversion_id FROM postback.conversion_keys AS k WHERE k.network_id = r.network_id AND k.dedupe_key = r.dedupe_key) IS NULL
                        -- Nor its click alone: see join_reversal(). One by one: a plan made while there was no key would read all of the network's.
                        AND (SELECT k.conversion_id FROM postback.conversion_keys AS k WHERE k.network_id = r.network_id AND k.dedupe_key = 'click_id=' || r.click_id) IS NULL
                        AND (SELECT k.conversion_id FROM postback.conversion_keys AS k WHERE k.network_id = r.network_id AND k.dedupe_key = 'click_id=' || r.click_id || '&event=') IS NULL
                        AS is_first
                    FROM _postback.read_messages(networks, queries, source_ips, tokens, methods, paths, bodies, content_types, postback_ids, at) AS r) AS f;
            END IF;
            RETURN QUERY
            SELECT s.ordinal, s.verdict, c.http_status, coalesce(a.content_type, n.answer_content_type), coalesce(a.body, n.answer_body), s.conversion_id
            FROM (
                SELECT w.* FROM _postback.store_messages(messages, first_ones, replay) AS w WHERE NOT careful
                UNION ALL
                SELECT w.* FROM _postback.store_messages_carefully(messages) AS w WHERE careful) AS s
            LEFT JOIN postback.networks AS n ON n.network_id = s.network_id
            -- Networks switch a partner off after a few failures, so what was stored is a success.
            CROSS JOIN LATERAL (SELECT CASE WHEN s.verdict = 'unauthenticated' THEN 403 WHEN s.verdict = 'malformed' AND NOT s.has_id THEN 400 ELSE 200 END)
                AS c (http_status)
            LEFT JOIN (VALUES
                (403, 'text/plain; charset=utf-8', 'forbidden'),
                (400, 'text/plain; charset=utf-8', 'neither a click id nor a transaction id could be read')) AS a (http_status, content_type, body)
                ON a.http_status = c.http_status
            ORDER BY s.ordinal;
            RETURN;
        EXCEPTION
            -- One message that cannot be processed must not take the others with it: all again, each on its own.
            -- Only for trouble with the data: a lost connection, a full disk or a conflict is the caller's to retry.
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception OR internal_error THEN
                IF careful OR sqlstate = '23505' AND NOT replay THEN
                    RAISE;
                END IF;
                careful := true;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.receive_postbacks(text[], bytea[], inet[], text[], text[], text[], bytea[], text[], text[], boolean, timestamptz) IS
    'Receives a batch of postbacks, one row per element in order: verdict and the answer to give. networks: slugs, NULL for a plain /postback. '
    'Everything is stored; 200 whatever the verdict, 403 when authentication failed, 400 when no id could be read.';

-- Applies messages and keeps them, raw, with their outcomes. The first first_ones of them are each the first of a key that nobody has; they
-- make their conversions together. With replay, a message that was kept before (same postback_id) is not applied again.
CREATE FUNCTION _postback.store_messages(messages _postback.message[], first_ones integer, replay boolean)
RETURNS TABLE (ordinal integer, network_id integer, has_id boolean, verdict postback.verdict, reason text, conversion_id text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    known CONSTANT _postback.outcome[] := CASE WHEN replay THEN _postback.kept_outcomes(messages) END;
    outcomes _postback.outcome[];
    overtaken text[];
BEGIN
    IF known IS NULL THEN
        outcomes := _postback.begin_conversions(messages[1:first_ones], 0);
    END IF;
    FOR i IN 1 .. cardinality(messages) LOOP
        IF (known[i]).verdict IS NOT NULL THEN
            outcomes[i] := known[i];
        ELSIF (outcomes[i]).verdict IS NULL THEN
            outcomes[i] := _postback.mark_test(messages[i], _postback.apply_message(messages[i]));
        END IF;
    END LOOP;
    PERFORM _postback.keep_messages(messages, outcomes, known);
    -- A reversal that names only the transaction, and the sale behind it in the same batch.
    overtaken := array(
        SELECT m.postback_id FROM ROWS FROM (unnest(messages), unnest(outcomes)) AS m
        WHERE m.verdict IN ('unmatched', 'outside_window')
          AND EXISTS (SELECT FROM postback.conversion_keys AS k WHERE k.network_id = m.network_id AND k.dedupe_key = m.dedupe_key));
    IF overtaken <> '{}' THEN
        PERFORM _postback.apply_orphans(overtaken);
    END IF;
    RETURN QUERY SELECT m.ordinal, m.network_id, m.click_id IS NOT NULL OR m.transaction_id IS NOT NULL, m.verdict, m.reason, m.conversion_id
    FROM ROWS FROM (unnest(messages), unnest(outcomes)) AS m;
END
$$;

-- The same, each on its own: one that cannot be processed is kept as malformed.
CREATE FUNCTION _postback.store_messages_carefully(messages _postback.message[])
RETURNS TABLE (ordinal integer, network_id integer, has_id boolean, verdict postback.verdict, reason text, conversion_id text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    m _postback.message;
    failed _postback.outcome;
BEGIN
    FOREACH m IN ARRAY messages LOOP
        BEGIN
            RETURN QUERY SELECT s.* FROM _postback.store_messages(ARRAY[m], 0, true) AS s;
        EXCEPTION
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception OR internal_error THEN
                failed := ROW('malformed', format('could not be processed: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL)::_postback.outcome;
                PERFORM _postback.keep_messages(ARRAY[m], ARRAY[failed], NULL);
                RETURN QUERY SELECT m.ordinal, m.network_id, m.click_id IS NOT NULL OR m.transaction_id IS NOT NULL,
                    failed.verdict, failed.reason, failed.conversion_id;
        END;
    END LOOP;
END
$$;

-- The outcomes of messages that were kept before, in their places, NULL for the others; NULL when there are none.
CREATE FUNCTION _postback.kept_outcomes(messages _postback.message[])
RETURNS _postback.outcome[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT array_agg(CASE WHEN p.postback_id IS NOT NULL THEN ROW(p.verdict, p.reason, p.conversion_id, NULL)::_postback.outcome END
                         ORDER BY m.ordinality)
        FROM unnest(messages) WITH ORDINALITY AS m
        LEFT JOIN postback.postbacks AS p ON p.postback_id = m.postback_id AND p.received_at = m.received_at
        HAVING count(p.postback_id) > 0);
END
$$;

-- Messages as they came, with their outcomes; not those that were known before.
CREATE FUNCTION _postback.keep_messages(messages _postback.message[], outcomes _postback.outcome[], known _postback.outcome[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, path, query, body, content_type, source_ip, checks,
        verdict, reason, click_id, transaction_id, event, raw_status, payout, currency, network_offer_id, event_at, dedupe_key, conversion_id)
    SELECT m.postback_id, m.received_at, m.network_id, m.method, m.path, m.query, m.body, m.content_type, m.source_ip, m.checks,
        m.verdict, nullif(m.reason, ''), m.click_id, m.transaction_id, m.event, m.raw_status, m.payout, m.currency,
        m.network_offer_id, m.event_at, m.dedupe_key, m.conversion_id
    FROM ROWS FROM (unnest(messages), unnest(outcomes)) WITH ORDINALITY AS m
    WHERE (known[m.ordinality]).verdict IS NULL;
END
$$;
