-- The launch checklist: what must be right before a send goes out. One function per side of the chain.

-- Our side: the id, the link, the offer's URL.
CREATE FUNCTION _postback.check_links(offer bigint, network integer, send bigint, now timestamptz)
RETURNS TABLE (place integer, name text, ok boolean, evidence text, fix text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o CONSTANT postback.offers := (SELECT w FROM postback.offers AS w WHERE w.offer_id = offer);
    net CONSTANT postback.networks := (SELECT w FROM postback.networks AS w WHERE w.network_id = network);
    s CONSTANT postback.sends := (SELECT w FROM postback.sends AS w WHERE w.send_id = send);
    id CONSTANT text := postback.mint_click_id(NULL, now);
    names CONSTANT text[] := _postback.click_parameters(o.url_template);
    -- What is behind the # stays in the phone.
    is_sent CONSTANT boolean := strpos(split_part(_postback.render_url(o.url_template, id, s.campaign_id, s.segment_id, s.variant_id, o.offer_id,
        s.send_id, NULL), '#', 1), id) > 0;
    run CONSTANT postback.preflight_runs := (
        SELECT r FROM postback.preflight_runs AS r
        WHERE r.offer_id = o.offer_id AND (s.send_id IS NULL OR r.send_id = s.send_id) AND r.ran_at <= now ORDER BY r.ran_at DESC, r.run_id DESC LIMIT 1);
    is_fresh CONSTANT boolean := coalesce(run.ran_at > now - interval '7 days' AND run.url_template = o.url_template, false);
    follow CONSTANT text := 'Follow a link of this offer: postback-proxy preflight ' || coalesce(s.base_url, 'https://…') || '/CODE, with POSTBACK_DATABASE_URL set.';
    seen CONSTANT text := CASE WHEN run.run_id IS NULL THEN 'no link of it was followed yet'
        WHEN NOT is_fresh THEN 'followed before the URL changed, or more than seven days ago' END;
BEGIN
    RETURN QUERY VALUES
    (1, 'click_id_generation',
        postback.click_id_time(id) = date_trunc('milliseconds', now) AND is_sent,
        CASE WHEN is_sent THEN 'an id minted now carries its time, and the offer''s URL carries the id'
             ELSE 'the offer''s URL has the id behind its #, which no server is sent' END,
        'Look at postback.offers.url_template: it must hold {click_id} in its path or in a parameter.'),
    (2, 'links_minted', coalesce(s.messages > 0, false),
        CASE WHEN s.send_id IS NULL THEN 'the offer has no send yet' ELSE format('send %s has %s links', s.send_id, s.messages) END,
        'create_send() and mint_links() first.'),
    (3, 'offer_url_parameter', names = '{}' OR net.preset = 'generic' OR names && array(SELECT jsonb_array_elements_text(net.parameters -> 'click_id') UNION SELECT net.click_slot),
        CASE WHEN names = '{}' THEN 'the click id is no parameter of its own' ELSE format('the click id is in %s, the network gives back %s',
            array_to_string(names, ', '), concat_ws(', ', VARIADIC array(SELECT jsonb_array_elements_text(net.parameters -> 'click_id')))) END,
        format('Let url_template carry %s={click_id}.', net.click_slot)),
    (4, 'redirect_chain', is_fresh AND run.carries_click_id,
        coalesce(seen, CASE WHEN run.carries_click_id THEN format('each of %s hops carried the click id', jsonb_array_length(run.hops)) ELSE run.lost_at END),
        CASE WHEN is_fresh THEN 'Let the page where it is lost hand its parameters on.' ELSE follow END),
    (5, 'redirects', is_fresh AND run.redirects <= run.redirects_limit,
        coalesce(seen, format('%s redirects of at most %s', run.redirects, run.redirects_limit)), CASE WHEN is_fresh THEN 'Take hops out of the chain.' ELSE follow END),
    (6, 'short_domain_page', is_fresh AND run.page_ok,
        coalesce(seen, CASE WHEN run.page_ok THEN '/ answered with a page' ELSE '/ did not answer with a page' END),
        CASE WHEN is_fresh THEN 'Carriers refuse domains that only redirect: let / of the short domain reach the proxy, see POSTBACK_PAGE_FILE.' ELSE follow END);
END
$$;

-- The network's side: what it is to send, and whether that is believed and told apart.
CREATE FUNCTION _postback.check_network(offer bigint, network integer, now timestamptz)
RETURNS TABLE (place integer, name text, ok boolean, evidence text, fix text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o CONSTANT postback.offers := (SELECT w FROM postback.offers AS w WHERE w.offer_id = offer);
    net CONSTANT postback.networks := (SELECT w FROM postback.networks AS w WHERE w.network_id = network);
    preset CONSTANT postback.network_presets := (SELECT p FROM postback.network_presets AS p WHERE p.preset = net.preset);
    -- The fields that the network is asked for, by its own names.
    asked CONSTANT text[] := array(
        SELECT DISTINCT f.key FROM jsonb_array_elements(net.macros) AS m (pair)
        JOIN jsonb_each(net.parameters) AS f ON f.value ? _postback.parameter_name(m.pair ->> 0, preset.parameters, net.parameters));
    failing CONSTANT text[] := array(
        SELECT m.parameter || '=' || m.macro FROM postback.macro_conformance(net.slug, 200, now) AS m
        WHERE m.failing >= 1 AND (m.literal > 0 OR m.resolved > 0) AND m.field IN ('click_id', 'payout', 'status', 'transaction_id', 'conversion_id'));
    test record;
    tests bigint;
BEGIN
    SELECT p.received_at, p.reason INTO test FROM postback.postbacks AS p
    WHERE p.network_id = net.network_id AND p.verdict = 'test' AND p.received_at > now - interval '7 days' AND p.received_at <= now
    ORDER BY p.received_at DESC LIMIT 1;
    SELECT sum(r.conversions) INTO tests
    FROM postback.performance('{offer}', now - interval '7 days', now + interval '1 millisecond', with_tests => true) AS r WHERE r.offer_id = o.offer_id;
    tests := coalesce(tests, 0) - coalesce((SELECT sum(r.conversions) FROM postback.performance('{offer}', now - interval '7 days', now + interval '1 millisecond') AS r
        WHERE r.offer_id = o.offer_id), 0);
    RETURN QUERY VALUES
    (7, 'postback_url', 'click_id' = ANY (asked) AND ('payout' = ANY (asked) OR o.payout IS NOT NULL) AND failing = '{}',
        CASE WHEN failing <> '{}' THEN 'the newest messages lack ' || array_to_string(failing, ', ')
             ELSE format('%s is asked for %s', net.slug, array_to_string(asked, ', ')) END,
        format('Paste postback_url(%L, …) into the network as it is; without a payout macro set postback.offers.payout.', net.slug)),
    (8, 'authentication', _postback.is_guarded(net.network_id),
        CASE WHEN _postback.is_guarded(net.network_id) THEN 'its messages must pass '
                || concat_ws(', ', VARIADIC array(SELECT DISTINCT w.kind FROM _postback.network_secrets AS w WHERE w.network_id = net.network_id ORDER BY 1)
                    || CASE WHEN net.allowed_cidrs IS NOT NULL THEN ARRAY['cidr'] END)
             ELSE 'anybody may post for it' END,
        format('SELECT postback.add_network_secret(%L, ''token''), or allow_sources() with its addresses.', net.slug)),
    (9, 'dedupe_key', net.duplicate_policies <> '{}' OR EXISTS (
            SELECT FROM unnest(net.dedupe) AS r (recipe) WHERE split_part(r.recipe, ',', 1) <> 'click_id' AND split_part(r.recipe, ',', 1) = ANY (asked)),
        format('recipes %s; asked for %s', array_to_string(net.dedupe, ' or '), array_to_string(asked, ', ')),
        'Ask the network for its transaction id, so that a second sale of a click is no duplicate; if it has none, say with duplicate_policies what a repeat means.'),
    (10, 'test_postback', coalesce(test.reason LIKE '%in earnest accepted%', false),
        CASE WHEN test.received_at IS NULL THEN 'none within seven days' ELSE format('at %s: %s', test.received_at, test.reason) END, format('SELECT * FROM postback.test_postback(%L).', net.slug)),
    (11, 'report_shows_test', tests > 0, format('performance(…, with_tests => true) shows %s test conversions of the offer', tests),
        format('SELECT * FROM postback.test_postback(%L, click_id) with the id of a click of this offer.', net.slug));
END
$$;

-- The daily work after the launch.
CREATE FUNCTION _postback.check_operation(offer bigint, network integer, now timestamptz)
RETURNS TABLE (place integer, name text, ok boolean, evidence text, fix text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o CONSTANT postback.offers := (SELECT w FROM postback.offers AS w WHERE w.offer_id = offer);
    net CONSTANT postback.networks := (SELECT w FROM postback.networks AS w WHERE w.network_id = network);
    rules CONSTANT bigint := (SELECT count(*) FROM postback.fraud_rules AS r WHERE r.enabled);
    imported CONSTANT timestamptz := (SELECT max(i.imported_at) FROM postback.report_imports AS i WHERE i.network_id = net.network_id);
    -- A conversion that comes before the next send belongs to this one; most come within a day, nearly all within a week.
    latest CONSTANT interval := (
        SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY c.converted_at - c.clicked_at) FROM postback.conversions AS c
        WHERE c.offer_id = o.offer_id AND NOT c.is_test AND c.converted_at > now - interval '90 days' AND c.converted_at <= now);
    apart CONSTANT interval := (
        SELECT max(g.gap) FROM (
            SELECT s.sent_at - lag(s.sent_at) OVER (ORDER BY s.sent_at) AS gap FROM postback.sends AS s
            WHERE s.offer_id = o.offer_id AND s.sent_at > now - interval '90 days') AS g);
    needed CONSTANT interval := least(interval '7 days', greatest(interval '1 day', latest, apart));
BEGIN
    RETURN QUERY VALUES
    (12, 'fraud_rules', rules > 0, format('%s fraud rules are enabled', rules), 'UPDATE postback.fraud_rules SET enabled = true.'),
    (13, 'reconciliation', net.reconcile_weekly,
        format('weekly: %s; last report imported: %s', CASE WHEN net.reconcile_weekly THEN 'on' ELSE 'off' END, coalesce(imported::text, 'never')),
        format('UPDATE postback.networks SET reconcile_weekly = true WHERE slug = %L, and import its report each week.', net.slug)),
    (14, 'click_window', o.click_window >= needed,
        format('the window is %s, needed are %s%s', o.click_window, needed, ' (' || nullif(concat_ws(', ', 'sends up to ' || apart || ' apart',
            '95 of 100 conversions within ' || latest), '') || ')'),
        'UPDATE postback.offers SET click_window: a conversion before the next send belongs to this one.');
END
$$;

CREATE FUNCTION postback.preflight(offer bigint DEFAULT NULL, send bigint DEFAULT NULL, now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE ("check" text, ok boolean, evidence text, fix text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s postback.sends;
    o postback.offers;
    net postback.networks;
BEGIN
    IF (offer IS NULL) = (send IS NULL) THEN
        RAISE EXCEPTION 'preflight() needs an offer or a send' USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as preflight(send => 12).';
    END IF;
    SELECT w.* INTO s FROM postback.sends AS w WHERE w.send_id = send OR send IS NULL AND w.offer_id = offer ORDER BY w.sent_at DESC, w.send_id DESC LIMIT 1;
    IF send IS NOT NULL AND s.send_id IS NULL THEN
        RAISE EXCEPTION 'send "%" does not exist', send USING ERRCODE = 'no_data_found', HINT = 'create_send() makes one.';
    END IF;
    SELECT w.* INTO o FROM postback.offers AS w WHERE w.offer_id = coalesce(offer, s.offer_id);
    IF o.offer_id IS NULL THEN
        RAISE EXCEPTION 'offer "%" does not exist', offer USING ERRCODE = 'no_data_found', HINT = 'add_offer() makes one.';
    END IF;
    SELECT w.* INTO net FROM postback.networks AS w WHERE w.network_id = o.network_id OR o.network_id IS NULL AND w.slug = 'default';
    RETURN QUERY
    SELECT c.name, c.ok, c.evidence, CASE WHEN NOT c.ok THEN c.fix END
    FROM (
        -- An offer is asked about every link of its own, a send about those of its own.
        SELECT * FROM _postback.check_links(o.offer_id, net.network_id, s.send_id, now)
        UNION ALL SELECT * FROM _postback.check_network(o.offer_id, net.network_id, now)
        UNION ALL SELECT * FROM _postback.check_operation(o.offer_id, net.network_id, now)) AS c
    ORDER BY c.place;
END
$$;
COMMENT ON FUNCTION postback.preflight(bigint, bigint, timestamptz) IS
    'The launch checklist of an offer or a send: check, whether it is ok, the evidence, and how to fix what is not. Redirects, hops and the page of the short domain '
    'are what postback-proxy preflight found last, within seven days and for the URL template of now.';
