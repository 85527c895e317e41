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
-- A session that began on empty tables would go on reading them whole: its plans are kept.
SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT integer := greatest(cardinality(networks), cardinality(queries), cardinality(bodies));
    at CONSTANT timestamptz := coalesce(now, clock_timestamp());
    verdicts postback.verdict[];
    statuses integer[];
    types text[];
    answers text[];
    conversions text[];
    m _postback.message;
    done _postback.outcome;
    answer record;
    place integer;
    careful boolean := false;
BEGIN
    LOOP
        BEGIN
            verdicts := array_fill(NULL::postback.verdict, ARRAY[size]);
            statuses := array_fill(NULL::integer, ARRAY[size]);
            types := array_fill(NULL::text, ARRAY[size]);
            answers := array_fill(NULL::text, ARRAY[size]);
            conversions := array_fill(NULL::text, ARRAY[size]);
            -- In key order, so that two batches cannot deadlock.
            FOR m IN
                SELECT r.* FROM unnest(networks, queries, source_ips, tokens, methods, paths, bodies, content_types, postback_ids)
                    WITH ORDINALITY AS p (network, query, source_ip, token, method, path, body, content_type, postback_id, ordinal)
                CROSS JOIN LATERAL (SELECT coalesce(postback.click_id_time(p.postback_id), date_trunc('milliseconds', at))) AS t (received_at)
                CROSS JOIN LATERAL (SELECT coalesce(p.postback_id, postback.mint_click_id(NULL, t.received_at)) OFFSET 0) AS i (postback_id)
                CROSS JOIN LATERAL (
                    SELECT f.* FROM _postback.read_message(p.ordinal::integer, i.postback_id, t.received_at, p.network, p.token,
                        coalesce(p.method, 'GET'), p.path, p.query, p.body, p.content_type, p.source_ip) AS f WHERE NOT careful
                    UNION ALL
                    SELECT f.* FROM _postback.read_message_carefully(p.ordinal::integer, i.postback_id, t.received_at, p.network, p.token,
                        coalesce(p.method, 'GET'), p.path, p.query, p.body, p.content_type, p.source_ip) AS f WHERE careful) AS r
                ORDER BY r.network_id, r.dedupe_key, r.ordinal
            LOOP
                place := m.ordinal;
                IF careful THEN
                    done := _postback.store_message_carefully(m);
                ELSE
                    done := _postback.store_message(m, replay);
                END IF;
                verdicts[place] := done.verdict;
                conversions[place] := done.conversion_id;
                answer := _postback.answer(done.verdict, m.network_id, m.click_id IS NOT NULL OR m.transaction_id IS NOT NULL);
                statuses[place] := answer.http_status;
                types[place] := answer.content_type;
                answers[place] := answer.body;
            END LOOP;
            EXIT;
        EXCEPTION
            -- One message that cannot be processed must not take the others with it: all again, each on its own.
            -- Only for trouble with the data: a lost connection, a full disk or a conflict is the caller's to retry.
            WHEN data_exception OR integrity_constraint_violation OR raise_exception OR internal_error THEN
                IF careful OR sqlstate = '23505' AND NOT replay THEN
                    RAISE;
                END IF;
                careful := true;
        END;
    END LOOP;

    RETURN QUERY SELECT r.ordinal::integer, r.verdict, r.http_status, r.content_type, r.body, r.conversion_id
    FROM unnest(verdicts, statuses, types, answers, conversions)
         WITH ORDINALITY AS r (verdict, http_status, content_type, body, conversion_id, ordinal);
END
$$;
COMMENT ON FUNCTION postback.receive_postbacks(text[], bytea[], inet[], text[], text[], text[], bytea[], text[], text[], boolean, timestamptz) IS
    'Receives a batch of postbacks, one row per element in order: verdict and the answer to give. networks: slugs, NULL for a plain /postback. '
    'Everything is stored; 200 whatever the verdict, 403 when authentication failed, 400 when no id could be read.';

-- Applies a message and keeps it, raw, with its verdict. A message that was kept before (same postback_id) is not applied again.
CREATE FUNCTION _postback.store_message(m _postback.message, replay boolean)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    done _postback.outcome;
BEGIN
    IF replay THEN
        SELECT p.verdict, p.reason, p.conversion_id, NULL::smallint INTO done FROM postback.postbacks AS p
        WHERE p.postback_id = m.postback_id AND p.received_at = m.received_at;
        IF FOUND THEN
            RETURN done;
        END IF;
    END IF;
    done := _postback.mark_test(m, _postback.apply_message(m));
    PERFORM _postback.keep_message(m, done);
    RETURN done;
END
$$;

CREATE FUNCTION _postback.store_message_carefully(m _postback.message)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    done _postback.outcome;
BEGIN
    BEGIN
        RETURN _postback.store_message(m, true);
    EXCEPTION
        WHEN data_exception OR integrity_constraint_violation OR raise_exception OR internal_error THEN
            done := ROW('malformed', format('could not be processed: %s (SQLSTATE %s)', sqlerrm, sqlstate), NULL, NULL)::_postback.outcome;
    END;
    PERFORM _postback.keep_message(m, done);
    RETURN done;
END
$$;

CREATE FUNCTION _postback.keep_message(m _postback.message, done _postback.outcome)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, path, query, body, content_type, source_ip, checks,
        verdict, reason, click_id, transaction_id, event, raw_status, payout, currency, network_offer_id, event_at, dedupe_key, conversion_id)
    VALUES (m.postback_id, m.received_at, m.network_id, m.method, m.path, m.query, m.body, m.content_type, m.source_ip, m.checks,
        done.verdict, nullif(done.reason, ''), m.click_id, m.transaction_id, m.event, m.raw_status, m.payout, m.currency,
        m.network_offer_id, m.event_at, m.dedupe_key, done.conversion_id);
END
$$;

-- What to tell the network. Networks switch a partner off after a few failures, so what was stored is a success.
CREATE FUNCTION _postback.answer(verdict postback.verdict, network_id integer, has_id boolean, OUT http_status integer, OUT content_type text, OUT body text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF verdict = 'unauthenticated' THEN
        http_status := 403;
        content_type := 'text/plain; charset=utf-8';
        body := 'forbidden';
    ELSIF verdict = 'malformed' AND NOT has_id THEN
        http_status := 400;
        content_type := 'text/plain; charset=utf-8';
        body := 'neither a click id nor a transaction id could be read';
    ELSE
        http_status := 200;
        SELECT n.answer_content_type, n.answer_body INTO content_type, body FROM postback.networks AS n WHERE n.network_id = network_id;
    END IF;
END
$$;
