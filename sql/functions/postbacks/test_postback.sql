-- Test messages: the whole path, conversion and ledger too, under a key of their own that begins with "test:", outside every report.

-- Whether a message calls itself a test. read_messages() decides whether it may.
CREATE FUNCTION _postback.says_test(query bytea, body bytea, content_type text)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM _postback.read_parameters(query, body, content_type, '{"event": ["test"]}', NULL, NULL, NULL) AS p
        WHERE p.event = '1' AND p.problem IS NULL);
END
$$;

-- The outcome of a message as it is kept: that of a test says what it would have been.
CREATE FUNCTION _postback.mark_test(m _postback.message, done _postback.outcome)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts_with(m.dedupe_key, 'test:') AND done.verdict NOT IN ('unauthenticated', 'malformed') THEN
        -- A test is about now: it does not wait for its click.
        DELETE FROM _postback.orphans AS w WHERE w.postback_id = m.postback_id;
        RETURN ROW('test', concat_ws('; ', 'a test, in earnest ' || done.verdict, nullif(done.reason, '')), done.conversion_id, done.bucket)::_postback.outcome;
    END IF;
    RETURN done;
END
$$;

CREATE FUNCTION postback.test_postback(
    network text,
    click_id text DEFAULT NULL,
    payout numeric DEFAULT 1.00,
    status postback.conversion_status DEFAULT 'approved',
    now timestamptz DEFAULT NULL)
RETURNS TABLE (verdict postback.verdict, reason text, conversion_id text, postback_id text, query text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    at CONSTANT timestamptz := coalesce(now, clock_timestamp());
    net CONSTANT postback.networks := (SELECT n FROM postback.networks AS n WHERE n.network_id = _postback.network_id(network));
    click CONSTANT text := coalesce(click_id, _postback.test_click(net.network_id, net.slug, at));
    m _postback.message;
BEGIN
    postback_id := postback.mint_click_id(NULL, at);
    query := _postback.test_query(net.macros, net.parameters, net.statuses, net.currency, click, 'test-' || right(postback_id, 12), payout, status);
    m := (SELECT r FROM _postback.read_messages(ARRAY[net.slug], ARRAY[convert_to(query, 'UTF8')], NULL, NULL, NULL,
              ARRAY['/postback/' || net.slug], NULL, NULL, ARRAY[postback_id], at) AS r);
    -- Who may call this function needs no secret; and each call is a transaction of its own, whatever the recipe of the key.
    m := jsonb_populate_record(m, jsonb_build_object('failure', NULL, 'checks', ARRAY['test_postback'],
        'dedupe_key', format('test:%s:%s', postback_id, m.dedupe_key)));
    RETURN QUERY SELECT s.verdict, s.reason, s.conversion_id, postback_id, query FROM _postback.store_messages(ARRAY[m], 0, false) AS s;
END
$$;
COMMENT ON FUNCTION postback.test_postback(text, text, numeric, postback.conversion_status, timestamptz) IS
    'Sends a message as the network would, with its own parameter names, down the whole path: test_postback(''my-network''). The reason says what a real one '
    'would have been. Without a click id a click of one of the network''s offers is made. Postback, conversion and click are marked and outside every report.';

-- The message in the words of the network: the parameters of the URL that is pasted there.
CREATE FUNCTION _postback.test_query(
    macros jsonb, parameters jsonb, statuses jsonb, currency text, click_id text, transaction_id text, payout numeric,
    status postback.conversion_status)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    said CONSTANT jsonb := jsonb_build_object('click_id', click_id, 'transaction_id', transaction_id, 'conversion_id', transaction_id,
        'payout', payout::text, 'currency', currency,
        'status', (SELECT s.key FROM jsonb_each_text(statuses) AS s WHERE s.value = status::text ORDER BY s.key <> status::text, s.key LIMIT 1));
BEGIN
    RETURN (
        WITH asked AS (
            SELECT m.pair ->> 0 AS name, m.place FROM jsonb_array_elements(macros) WITH ORDINALITY AS m (pair, place)
        ), filled AS (
            SELECT f.field, coalesce(min(a.place), 1000) AS place, coalesce((array_agg(a.name ORDER BY a.place) FILTER (WHERE a.name IS NOT NULL))[1], f.names ->> 0) AS name
            FROM jsonb_each(parameters) AS f (field, names) LEFT JOIN asked AS a ON f.names ? a.name
            GROUP BY f.field, f.names
            -- A click and a status are always said; the rest where the network says it.
            HAVING count(a.name) > 0 OR f.field IN ('click_id', 'status')
        )
        SELECT string_agg(format('%s=%s', f.name, said ->> f.field), '&' ORDER BY f.place, f.field)
        FROM filled AS f WHERE said ->> f.field IS NOT NULL);
END
$$;

-- A click for a test, of the network's first offer. Its method keeps it out of click_log and of all reports.
CREATE FUNCTION _postback.test_click(network_id integer, slug text, at timestamptz)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT text := postback.mint_click_id(NULL, at);
BEGIN
    INSERT INTO postback.clicks (click_id, clicked_at, offer_id, visitor, method)
    SELECT id, postback.click_id_time(id), min(o.offer_id), 'bot', 'TEST' FROM postback.offers AS o
    WHERE o.network_id = network_id OR o.network_id IS NULL AND slug = 'default';
    RETURN id;
END
$$;
