-- The first message of a key makes the conversion, when its click is known, its offer may be credited by this network and it is in time.
-- Whole batches at once: it is what most messages do.

-- An outcome for each message, in order; NULL for one whose key somebody else has taken meanwhile. The messages are complete (not
-- refused, with status and key) and no two have one key. In key order, so that two batches cannot deadlock.
CREATE FUNCTION _postback.begin_conversions(messages _postback.message[], repeat integer)
RETURNS _postback.outcome[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    outcomes _postback.outcome[];
    captured bigint;
    soon text[];
BEGIN
    WITH credited AS MATERIALIZED (
        SELECT m.*, c.click_id AS known_click_id, c.bucket, c.clicked_at, c.send_id, c.campaign_id, c.segment_id, c.variant_id, c.offer_id, c.subscriber_id,
            o.network_id AS owner, coalesce(o.click_window, interval '7 days') AS click_window,
            coalesce(m.payout, o.payout, 0) AS amount, coalesce(m.currency, n.currency) AS money,
            -- By the network's clock where it says so, else at the receipt. Nothing converts before its click: clocks differ by minutes;
            -- hours are a wrong time zone.
            greatest(CASE WHEN h.lies_before THEN m.received_at ELSE h.said_at END, c.clicked_at) AS happened_at,
            -- Its place among the conversion's events is by the network's clock, right or wrong, as that of those that follow.
            h.said_at, m.event_at IS NOT NULL AS by_network, h.lies_before
        FROM unnest(messages) WITH ORDINALITY AS m
        JOIN postback.networks AS n ON n.network_id = m.network_id
        LEFT JOIN _postback.find_clicks(array(SELECT w.click_id FROM unnest(messages) AS w)) AS c ON c.click_id = m.click_id
        LEFT JOIN postback.offers AS o ON o.offer_id = c.offer_id
        CROSS JOIN LATERAL (SELECT t.said_at, t.said_at < c.clicked_at - interval '5 minutes' AS lies_before
            FROM (SELECT coalesce(m.event_at, m.received_at)) AS t (said_at)) AS h
    ), owners AS MATERIALIZED (
        SELECT w.network_id, w.owner, _postback.may_credit(w.network_id, w.owner) AS may_credit
        FROM (SELECT DISTINCT c.network_id, c.owner FROM credited AS c WHERE c.known_click_id IS NOT NULL) AS w
    ), judged AS MATERIALIZED (
        SELECT c.*, v.verdict, v.reason, _postback.counted(c.status, c.amount) AS pays, CASE WHEN v.verdict = 'accepted' THEN _postback.mint_click_id_in(c.bucket, c.received_at) END AS conversion_id
        FROM credited AS c
        LEFT JOIN owners AS w ON w.network_id = c.network_id AND w.owner IS NOT DISTINCT FROM c.owner
        CROSS JOIN LATERAL (SELECT
            CASE WHEN c.known_click_id IS NULL THEN 'unmatched'
                 WHEN NOT w.may_credit THEN 'unauthenticated'
                 WHEN c.happened_at - c.clicked_at > c.click_window THEN 'outside_window'
                 ELSE 'accepted' END::postback.verdict) AS d (verdict)
        CROSS JOIN LATERAL (SELECT d.verdict, CASE d.verdict
            WHEN 'unmatched' THEN concat_ws('; ', c.note, CASE WHEN c.click_id IS NULL THEN 'no conversion has this key and no click is named'
                ELSE 'the click is not known (yet)' END, _postback.near_miss(c.click_id, c.query, c.body))
            WHEN 'unauthenticated' THEN 'the click''s offer belongs to another network, whose checks this message did not pass'
            WHEN 'outside_window' THEN format('converted %s after the click', c.happened_at - c.clicked_at)
            ELSE nullif(concat_ws('; ', c.note, CASE WHEN c.lies_before THEN 'the time lies before the click: is the network''s time_zone right?' END), '')
            END) AS v (verdict, reason)
    ), waiting AS (
        -- For their click; those that come too late for it, for an earlier message of their conversion that is still under way.
        INSERT INTO _postback.orphans (postback_id, received_at, click_id, network_id, dedupe_key)
        SELECT j.postback_id, j.received_at, CASE WHEN j.verdict = 'unmatched' THEN j.click_id END, j.network_id, j.dedupe_key
        FROM judged AS j WHERE j.verdict IN ('unmatched', 'outside_window')
        ON CONFLICT ON CONSTRAINT orphans_pkey DO NOTHING
    ), taken AS (
        INSERT INTO postback.conversion_keys (network_id, dedupe_key, conversion_id, bucket)
        SELECT j.network_id, j.dedupe_key, j.conversion_id, j.bucket FROM judged AS j WHERE j.verdict = 'accepted' ORDER BY j.ordinality
        ON CONFLICT ON CONSTRAINT conversion_keys_pkey DO NOTHING
        RETURNING conversion_id, bucket
    ), begun AS MATERIALIZED (
        SELECT j.*, _postback.event_hash(''::bytea, j.conversion_id, j.bucket, 1, j.received_at, j.said_at, j.by_network, 'postback',
            j.status, j.payout, true, j.status, j.pays, j.money, j.postback_id, session_user::text) AS hash
        FROM judged AS j JOIN taken AS t ON t.conversion_id = j.conversion_id
    ), ledger AS (
        INSERT INTO postback.conversion_events (conversion_id, bucket, seq, recorded_at, event_at, event_at_is_network_time, cause,
            asserted_status, asserted_payout, moved, status, payout_delta, currency, postback_id, actor, hash)
        SELECT b.conversion_id, b.bucket, 1, b.received_at, b.said_at, b.by_network, 'postback',
            b.status, b.payout, true, b.status, b.pays, b.money, b.postback_id, session_user::text, b.hash
        FROM begun AS b
    ), conversions AS (
        INSERT INTO postback.conversions (conversion_id, bucket, network_id, dedupe_key, transaction_id, event, click_id, clicked_at,
            send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id, status, raw_status, payout, currency,
            converted_at, received_at, source_ip, repeat, ledger_seq, ledger_hash)
        SELECT b.conversion_id, b.bucket, b.network_id, b.dedupe_key, b.transaction_id, b.event, b.click_id, b.clicked_at,
            b.send_id, b.campaign_id, b.segment_id, b.variant_id, b.offer_id, b.subscriber_id, b.status, b.raw_status, b.pays, b.money,
            b.happened_at, b.received_at, b.source_ip, begin_conversions.repeat, 1, b.hash
        FROM begun AS b
    )
    SELECT (SELECT _postback.capture_touches(array_agg(ROW(b.conversion_id, b.bucket, b.network_id, b.offer_id, b.subscriber_id, b.known_click_id,
                b.clicked_at, b.status, b.pays, b.money, b.happened_at)::_postback.conversion ORDER BY b.conversion_id))
            FROM begun AS b WHERE NOT starts_with(b.dedupe_key, 'test:')),
           -- No parameter of the rule reaches further than a minute.
           (SELECT array_agg(b.conversion_id) FROM begun AS b
            WHERE b.received_at < b.clicked_at + interval '60 seconds' OR b.happened_at < b.clicked_at + interval '60 seconds'),
           array_agg(CASE WHEN j.verdict <> 'accepted' OR t.conversion_id IS NOT NULL
                          THEN ROW(j.verdict, j.reason, t.conversion_id, t.bucket)::_postback.outcome END ORDER BY j.ordinality)
    INTO captured, soon, outcomes FROM judged AS j LEFT JOIN taken AS t ON t.conversion_id = j.conversion_id;
    IF soon IS NOT NULL THEN
        PERFORM _postback.flag_fast_conversions(soon, messages[1].received_at);
    END IF;
    RETURN outcomes;
END
$$;

-- What a status makes of a payout: rejected and reversed conversions pay nothing.
CREATE FUNCTION _postback.counted(status postback.conversion_status, payout numeric)
RETURNS numeric LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN status IN ('pending', 'approved') THEN payout ELSE 0 END;
END
$$;

-- Whether a network's message may move money of an offer. The offer's own network may; another one may not get past checks
-- that the owner has configured. An offer without a network belongs to 'default', but a network that passed checks of its own may too.
CREATE FUNCTION _postback.may_credit(sender integer, owner integer)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fallback integer;
BEGIN
    IF owner IS NOT NULL THEN
        RETURN sender = owner OR NOT _postback.is_guarded(owner);
    END IF;
    fallback := _postback.default_network();
    RETURN sender IS NOT DISTINCT FROM fallback OR NOT _postback.is_guarded(fallback) OR _postback.is_guarded(sender);
END
$$;

-- Whether a network has anything configured that its messages must pass.
CREATE FUNCTION _postback.is_guarded(network_id integer)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN EXISTS (SELECT FROM _postback.network_secrets AS s WHERE s.network_id = network_id)
        OR EXISTS (SELECT FROM postback.networks AS n WHERE n.network_id = network_id AND n.allowed_cidrs IS NOT NULL);
END
$$;
