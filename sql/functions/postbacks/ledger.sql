-- The ledger: append-only, hash chained per conversion, and the triggers that keep it true.

-- One expression in plain SQL, so that the planner inlines it.
CREATE FUNCTION _postback.event_hash(
    previous bytea, conversion_id text, bucket smallint, seq integer, recorded_at timestamptz, event_at timestamptz,
    event_at_is_network_time boolean, cause text, asserted_status postback.conversion_status, asserted_payout numeric, moved boolean,
    status postback.conversion_status, payout_delta numeric, currency text, postback_id text, actor text)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.sha256(previous OPERATOR(pg_catalog.||) pg_catalog.convert_to(pg_catalog.jsonb_build_array(conversion_id, bucket, seq,
        extract(epoch FROM recorded_at), extract(epoch FROM event_at), event_at_is_network_time, cause, asserted_status, asserted_payout, moved,
        status, payout_delta, currency, postback_id, actor)::pg_catalog.text, 'UTF8'))
$$;

CREATE FUNCTION _postback.append_event(
    conversion_id text, bucket smallint, seq integer, previous bytea, recorded_at timestamptz, event_at timestamptz,
    event_at_is_network_time boolean, cause text, asserted_status postback.conversion_status, asserted_payout numeric, moved boolean,
    status postback.conversion_status, payout_delta numeric, currency text, postback_id text)
RETURNS bytea LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chained CONSTANT bytea := _postback.event_hash(previous, conversion_id, bucket, seq, recorded_at, event_at, event_at_is_network_time,
        cause, asserted_status, asserted_payout, moved, status, payout_delta, currency, postback_id, session_user::text);
BEGIN
    INSERT INTO postback.conversion_events (conversion_id, bucket, seq, recorded_at, event_at, event_at_is_network_time, cause,
        asserted_status, asserted_payout, moved, status, payout_delta, currency, postback_id, actor, hash)
    VALUES (conversion_id, bucket, seq, recorded_at, event_at, event_at_is_network_time, cause,
        asserted_status, asserted_payout, moved, status, payout_delta, currency, postback_id, session_user::text, chained);
    RETURN chained;
END
$$;

-- A value inside a dedupe key, written as extension/core writes it.
CREATE FUNCTION _postback.key_part(value text)
RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN replace(replace(replace(value, '%', '%25'), '&', '%26'), '=', '%3D');
END
$$;

-- The amount last reported with a status that pays; a reversal's own amount is not one while there is another.
CREATE FUNCTION _postback.last_amount(conversion_id text, bucket smallint)
RETURNS numeric LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN (
        SELECT e.asserted_payout FROM postback.conversion_events AS e
        WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.asserted_payout IS NOT NULL
        ORDER BY e.asserted_status IN ('pending', 'approved') DESC, e.event_at DESC, e.seq DESC LIMIT 1);
END
$$;

-- What a conversion pays while no message has named an amount: what the first one paid, else the payout of its offer.
CREATE FUNCTION _postback.unnamed_amount(conversion_id text, bucket smallint)
RETURNS numeric LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    RETURN coalesce(
        (SELECT e.payout_delta FROM postback.conversion_events AS e
         WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.seq = 1
           AND e.asserted_payout IS NULL AND e.asserted_status IN ('pending', 'approved')),
        (SELECT o.payout FROM postback.conversions AS v JOIN postback.offers AS o ON o.offer_id = v.offer_id
         WHERE v.conversion_id = conversion_id AND v.bucket = bucket), 0);
END
$$;

-- A direct INSERT INTO postback.conversions: what it leaves out is taken from its click, and its ledger begins.
CREATE FUNCTION _postback.begin_ledger()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    click _postback.click;
    amount CONSTANT numeric := NEW.payout;
BEGIN
    IF NEW.click_id IS NOT NULL THEN
        click := _postback.find_click(NEW.click_id);
    END IF;
    NEW.network_id := coalesce(NEW.network_id, _postback.default_network());
    NEW.clicked_at := coalesce(NEW.clicked_at, click.clicked_at);
    NEW.send_id := coalesce(NEW.send_id, click.send_id);
    NEW.campaign_id := coalesce(NEW.campaign_id, click.campaign_id);
    NEW.segment_id := coalesce(NEW.segment_id, click.segment_id);
    NEW.variant_id := coalesce(NEW.variant_id, click.variant_id);
    NEW.offer_id := coalesce(NEW.offer_id, click.offer_id);
    NEW.subscriber_id := coalesce(NEW.subscriber_id, click.subscriber_id);
    NEW.bucket := coalesce(click.bucket, postback.subscriber_bucket(NEW.subscriber_id),
        postback.click_id_bucket(coalesce(NEW.click_id, NEW.transaction_id, '')));
    NEW.conversion_id := coalesce(NEW.conversion_id, _postback.mint_click_id_in(NEW.bucket, NEW.received_at));
    NEW.status := coalesce(NEW.status, 'approved');
    NEW.payout := _postback.counted(NEW.status, coalesce(amount, 0));
    NEW.dedupe_key := coalesce(NEW.dedupe_key,
        'transaction_id=' || _postback.key_part(NEW.transaction_id) || '&event=' || coalesce(_postback.key_part(NEW.event), ''),
        'click_id=' || NEW.click_id || '&event=' || coalesce(_postback.key_part(NEW.event), ''),
        'conversion_id=' || NEW.conversion_id);
    INSERT INTO postback.conversion_keys (network_id, dedupe_key, conversion_id, bucket)
    VALUES (NEW.network_id, NEW.dedupe_key, NEW.conversion_id, NEW.bucket);
    NEW.ledger_seq := 1;
    NEW.ledger_hash := _postback.append_event(NEW.conversion_id, NEW.bucket, 1, ''::bytea, clock_timestamp(), NEW.converted_at, false,
        'insert', NEW.status, coalesce(amount, 0), true, NEW.status, NEW.payout, NEW.currency, NULL);
    IF NOT starts_with(NEW.dedupe_key, 'test:') THEN
        PERFORM _postback.capture_touches(ARRAY[ROW(NEW.conversion_id, NEW.bucket, NEW.network_id, NEW.offer_id, NEW.subscriber_id, NEW.click_id,
            NEW.clicked_at, NEW.status, NEW.payout, NEW.currency, NEW.converted_at)::_postback.conversion]);
    END IF;
    RETURN NEW;
END
$$;

-- The status-transition trigger. The receiving functions write the ledger first and the row second, and the trigger sees that
-- the two agree; a direct UPDATE is checked against status_transitions and gets its ledger row here.
CREATE FUNCTION _postback.move_status()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    amount numeric := NEW.payout;
BEGIN
    IF NEW.conversion_id <> OLD.conversion_id OR NEW.bucket <> OLD.bucket OR NEW.currency <> OLD.currency THEN
        RAISE EXCEPTION 'a conversion keeps its id, its bucket and its currency' USING ERRCODE = 'PB202';
    END IF;
    IF NEW.ledger_seq <> OLD.ledger_seq OR NEW.ledger_hash <> OLD.ledger_hash THEN
        IF NOT EXISTS (
            SELECT FROM postback.conversion_events AS e
            WHERE e.conversion_id = NEW.conversion_id AND e.bucket = NEW.bucket AND e.seq = OLD.ledger_seq + 1
              AND e.seq = NEW.ledger_seq AND e.hash = NEW.ledger_hash AND e.status = NEW.status
              AND e.payout_delta = NEW.payout - OLD.payout) THEN
            RAISE EXCEPTION 'conversion "%" and its ledger would disagree', NEW.conversion_id USING ERRCODE = 'PB202',
                HINT = 'Leave ledger_seq and ledger_hash alone: UPDATE status or payout, and the ledger follows.';
        END IF;
        RETURN NEW;
    END IF;

    IF NEW.status <> OLD.status AND NOT EXISTS (
        SELECT FROM postback.status_transitions AS t WHERE t.from_status = OLD.status AND t.to_status = NEW.status) THEN
        RAISE EXCEPTION 'a conversion cannot go from "%" to "%"', OLD.status, NEW.status USING ERRCODE = 'PB201',
            HINT = 'The allowed moves are the rows of postback.status_transitions.';
    END IF;
    IF NEW.payout = OLD.payout AND NEW.status <> OLD.status THEN
        -- Only the status was named: the amount is the one last reported, so a re-approval pays again.
        amount := coalesce(_postback.last_amount(OLD.conversion_id, OLD.bucket), _postback.unnamed_amount(OLD.conversion_id, OLD.bucket));
    END IF;
    NEW.payout := _postback.counted(NEW.status, amount);
    NEW.ledger_seq := OLD.ledger_seq + 1;
    NEW.ledger_hash := _postback.append_event(OLD.conversion_id, OLD.bucket, NEW.ledger_seq, OLD.ledger_hash, clock_timestamp(),
        clock_timestamp(), false, 'update', NEW.status, amount, true, NEW.status, NEW.payout - OLD.payout, OLD.currency, NULL);
    RETURN NEW;
END
$$;

CREATE FUNCTION _postback.refuse_change()
RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of "%" is refused', lower(TG_OP), TG_TABLE_NAME USING ERRCODE = 'PB203',
        HINT = coalesce(TG_ARGV[0],
            'Conversions stay and their ledger is append-only: UPDATE status or payout of postback.conversions, and the change becomes an event.');
END
$$;

CREATE FUNCTION postback.verify_ledger()
RETURNS TABLE (conversion_id text, seq integer, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH chained AS (
        SELECT e.*, lag(e.hash, 1, ''::bytea) OVER path AS previous, row_number() OVER path AS place,
               sum(e.payout_delta) OVER path AS balance, lead(e.seq) OVER path IS NULL AS is_last
        FROM postback.conversion_events AS e
        WINDOW path AS (PARTITION BY e.conversion_id, e.bucket ORDER BY e.seq)
    )
    SELECT e.conversion_id, e.seq, p.problem
    FROM chained AS e
    CROSS JOIN LATERAL (VALUES
        (e.seq <> e.place, 'a row of the ledger is missing before this one'),
        (e.balance < 0, 'the payout becomes negative'),
        (e.hash <> _postback.event_hash(e.previous, e.conversion_id, e.bucket, e.seq, e.recorded_at, e.event_at, e.event_at_is_network_time,
            e.cause, e.asserted_status, e.asserted_payout, e.moved, e.status, e.payout_delta, e.currency, e.postback_id, e.actor),
            'the hash does not fit the row')) AS p (found, problem)
    WHERE p.found
    UNION ALL
    SELECT DISTINCT e.conversion_id, 0, 'the conversion of this ledger is gone'
    FROM chained AS e
    WHERE NOT EXISTS (SELECT FROM postback.conversions AS c WHERE c.conversion_id = e.conversion_id AND c.bucket = e.bucket)
    UNION ALL
    SELECT c.conversion_id, c.ledger_seq, p.problem
    FROM postback.conversions AS c
    LEFT JOIN chained AS e ON e.conversion_id = c.conversion_id AND e.bucket = c.bucket AND e.is_last
    LEFT JOIN postback.conversion_keys AS k ON k.network_id = c.network_id AND k.dedupe_key = c.dedupe_key
    CROSS JOIN LATERAL (VALUES
        (e.seq IS DISTINCT FROM c.ledger_seq OR e.hash IS DISTINCT FROM c.ledger_hash, 'the ledger does not end where the conversion says'),
        (e.status IS DISTINCT FROM c.status, 'the ledger does not end in the conversion''s status'),
        (e.balance IS DISTINCT FROM c.payout, 'the ledger does not sum to the conversion''s payout'),
        (e.currency IS DISTINCT FROM c.currency, 'the ledger is in another currency than the conversion'),
        (k.conversion_id IS DISTINCT FROM c.conversion_id, 'its key is gone: the next message would count it again')) AS p (found, problem)
    WHERE p.found;
END
$$;
COMMENT ON FUNCTION postback.verify_ledger() IS
    'Recomputes every chain, sum and final status, and looks for every key; one row per thing that is wrong, no rows when all is well.';
