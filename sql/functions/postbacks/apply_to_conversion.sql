-- A further message about a known conversion. Its state is a function of the set of its events, so the whole set is
-- folded again: the order of arrival does not matter, and an exact repeat never moves anything.

CREATE FUNCTION _postback.fold(
    statuses text[], payouts text[], ats timestamptz[], network_times boolean[], received timestamptz[],
    allowed_from text[], allowed_to text[])
RETURNS TABLE (status text, payout text, last_applied boolean)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fold_wrapper';

-- With adds_payout a further paying amount is added to what the conversion pays: the ledger asserts the sum, and no earlier than the amounts that
-- are in it, so that a late message adds too.
CREATE FUNCTION _postback.apply_to_conversion(m _postback.message, conversion_id text, bucket smallint, adds_payout boolean)
RETURNS _postback.outcome LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c record;
    amount numeric;
    adds CONSTANT boolean := adds_payout AND m.payout IS NOT NULL AND m.status IN ('pending', 'approved');
    happened_at timestamptz := coalesce(m.event_at, m.received_at);
    recorded_at timestamptz := m.received_at;
    converted_at timestamptz;
    folded record;
    new_status postback.conversion_status;
    new_payout numeric;
    moved boolean;
    agrees boolean;
    is_fraud boolean;
    verdict postback.verdict;
    hash bytea;
BEGIN
    SELECT v.click_id, v.clicked_at, v.converted_at, v.currency, v.status, v.payout, v.ledger_seq, v.ledger_hash, o.network_id AS owner INTO STRICT c
    FROM postback.conversions AS v LEFT JOIN postback.offers AS o ON o.offer_id = v.offer_id
    WHERE v.conversion_id = conversion_id AND v.bucket = bucket FOR UPDATE OF v;

    IF NOT _postback.may_credit(m.network_id, c.owner) THEN
        RETURN ROW('unauthenticated', 'the offer belongs to another network, whose checks this message did not pass', NULL, NULL)::_postback.outcome;
    ELSIF m.click_id <> c.click_id THEN
        RETURN ROW('conflict', 'the same transaction was first reported for another click', conversion_id, bucket)::_postback.outcome;
    ELSIF m.currency <> c.currency THEN
        RETURN ROW('conflict', format('the same transaction was first reported in %s', c.currency), conversion_id, bucket)::_postback.outcome;
    END IF;

    -- It happened when its earliest message says, whichever came first. As in begin_conversions(), not before its click.
    converted_at := greatest(c.clicked_at, CASE WHEN happened_at < c.clicked_at - interval '5 minutes' THEN m.received_at ELSE happened_at END);
    IF converted_at < c.converted_at THEN
        UPDATE postback.conversions AS v SET converted_at = converted_at WHERE v.conversion_id = conversion_id AND v.bucket = bucket;
    END IF;

    is_fraud := c.status = 'rejected' AND _postback.is_rejected_as_fraud(conversion_id, bucket);

    -- Without an amount it says nothing of the payout: what is in force is the fold's to find, or it would hang on the order of arrival.
    amount := CASE WHEN adds THEN CASE WHEN is_fraud THEN coalesce(_postback.last_amount(conversion_id, bucket), 0) ELSE c.payout END + m.payout ELSE m.payout END;
    IF adds THEN
        IF m.event_at IS NOT NULL AND EXISTS (
            SELECT FROM postback.postbacks AS p
            WHERE p.conversion_id = conversion_id AND p.verdict IN ('accepted', 'updated') AND p.event_at = m.event_at
              AND p.payout = m.payout AND p.raw_status IS NOT DISTINCT FROM m.raw_status) THEN
            RETURN ROW('duplicate', 'the same status, payout and time were reported before', conversion_id, bucket)::_postback.outcome;
        END IF;
        SELECT greatest(happened_at, max(e.event_at)), greatest(recorded_at, max(e.recorded_at))
        INTO happened_at, recorded_at
        FROM postback.conversion_events AS e
        WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.asserted_status IN ('pending', 'approved');
    ELSIF EXISTS (
        SELECT FROM postback.conversion_events AS e
        WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.cause = 'postback'
          AND e.asserted_status = m.status AND e.asserted_payout IS NOT DISTINCT FROM amount
          AND CASE WHEN e.event_at_is_network_time THEN e.event_at END IS NOT DISTINCT FROM m.event_at) THEN
        RETURN ROW('duplicate', 'the same status, payout and time were reported before', conversion_id, bucket)::_postback.outcome;
    END IF;

    SELECT f.status::postback.conversion_status AS status, coalesce(f.payout::numeric, _postback.unnamed_amount(conversion_id, bucket)) AS payout, f.last_applied
    INTO STRICT folded
    FROM (
        SELECT array_agg(e.asserted_status::text ORDER BY e.seq) || m.status::text AS statuses,
               array_agg(coalesce(e.asserted_payout::text, '') ORDER BY e.seq) || coalesce(amount::text, '') AS payouts,
               array_agg(e.event_at ORDER BY e.seq) || happened_at AS ats,
               array_agg(e.event_at_is_network_time ORDER BY e.seq) || (m.event_at IS NOT NULL) AS network_times,
               array_agg(e.recorded_at ORDER BY e.seq) || recorded_at AS received
        FROM postback.conversion_events AS e
        WHERE e.conversion_id = conversion_id AND e.bucket = bucket AND e.cause NOT IN ('fraud', 'release')) AS s,
        (SELECT array_agg(t.from_status::text) AS froms, array_agg(t.to_status::text) AS tos FROM postback.status_transitions AS t) AS a,
        LATERAL _postback.fold(s.statuses, s.payouts, s.ats, s.network_times, s.received, a.froms, a.tos) AS f;
    -- What was rejected as fraud stays so, whatever its network says, until the flag is released.
    new_status := CASE WHEN is_fraud THEN c.status ELSE folded.status END;
    new_payout := _postback.counted(new_status, folded.payout);
    moved := new_status <> c.status OR new_payout <> c.payout;
    agrees := NOT moved AND m.status = c.status AND coalesce(_postback.counted(m.status, amount) = c.payout, true);
    -- With a time of its own it is kept nevertheless: an event that is still under way may lie between the two times.
    IF agrees AND m.event_at IS NULL THEN
        RETURN ROW('duplicate', 'the conversion says so already', conversion_id, bucket)::_postback.outcome;
    END IF;
    verdict := CASE WHEN agrees THEN 'duplicate' WHEN moved THEN 'updated' WHEN folded.last_applied AND NOT is_fraud THEN 'stale'
                    ELSE 'illegal_transition' END;

    hash := _postback.append_event(conversion_id, bucket, c.ledger_seq + 1, c.ledger_hash, recorded_at, happened_at,
        m.event_at IS NOT NULL, 'postback', m.status, amount, moved, new_status, new_payout - c.payout, c.currency, m.postback_id);
    UPDATE postback.conversions AS v
    SET status = new_status, payout = new_payout, raw_status = CASE WHEN moved THEN m.raw_status ELSE v.raw_status END,
        ledger_seq = c.ledger_seq + 1, ledger_hash = hash
    WHERE v.conversion_id = conversion_id AND v.bucket = bucket;
    RETURN ROW(verdict, concat_ws('; ', m.note, CASE verdict
        WHEN 'duplicate' THEN 'the conversion says so already'
        WHEN 'stale' THEN 'an older event than the ones that count'
        WHEN 'illegal_transition' THEN CASE WHEN is_fraud THEN 'it was rejected as fraud and its flag is not released'
            ELSE format('%s cannot become %s', c.status, m.status) END END), conversion_id, bucket)::_postback.outcome;
END
$$;
