-- The story of a transaction: the tap, every message about it, and what each did to the money.
CREATE FUNCTION postback.conversion_history(network text, transaction_id text)
RETURNS TABLE (at timestamptz, what text, status postback.conversion_status, payout_delta numeric, balance numeric, postback_id text, source text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    net CONSTANT integer := _postback.network_id(network);
BEGIN
    RETURN QUERY
    WITH told AS (
        SELECT c.* FROM postback.conversions AS c
        WHERE c.network_id = net AND c.transaction_id = conversion_history.transaction_id
        UNION
        SELECT c.* FROM postback.conversions AS c WHERE c.network_id = net AND c.click_id = conversion_history.transaction_id
    ), step AS (
        -- The tap.
        SELECT k.clicked_at AS at, 0 AS place, NULL::text AS conversion_id, 0 AS seq,
               concat_ws(', ', format('tapped by a visitor of class %s', k.visitor), 'send ' || k.send_id, 'campaign ' || k.campaign_id,
                   'offer ' || k.offer_id, 'subscriber ' || k.subscriber_id) AS what,
               NULL::postback.conversion_status AS status, NULL::numeric AS payout_delta, NULL::numeric AS balance, NULL::text AS postback_id,
               'click ' || k.click_id AS source
        FROM (SELECT DISTINCT c.click_id FROM told AS c
              UNION SELECT conversion_history.transaction_id) AS i
        CROSS JOIN LATERAL _postback.find_click(i.click_id) AS k WHERE k.click_id IS NOT NULL
        UNION ALL
        -- What is in the ledger, with the message that caused it.
        SELECT e.recorded_at, 1, e.conversion_id, e.seq,
               concat_ws('; ', format(CASE e.cause WHEN 'postback' THEN '%s%s said %s: %s' WHEN 'insert' THEN '%s%s inserted by hand: %s%4$s'
                       WHEN 'fraud' THEN '%s%s rejected as fraud' WHEN 'release' THEN '%s%s released from a fraud flag: %s'
                       ELSE '%s%s changed by hand: %s%4$s' END,
                   CASE WHEN c.is_test THEN 'test: ' END, CASE e.cause WHEN 'postback' THEN 'the network' ELSE 'it was' END,
                   concat_ws(' ', e.asserted_status, round(e.asserted_payout, greatest(2, scale(e.asserted_payout))) || ' ' || e.currency),
                   CASE WHEN e.cause = 'postback' THEN coalesce(p.verdict::text, 'applied') END),
                   'event ' || c.event, CASE WHEN e.event_at_is_network_time THEN format('of %s by its own clock', to_char(e.event_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')) END,
                   p.reason),
               e.status, e.payout_delta, sum(e.payout_delta) OVER (PARTITION BY e.conversion_id, e.bucket ORDER BY e.seq), e.postback_id,
               CASE e.cause WHEN 'postback' THEN 'postback' ELSE 'role ' || e.actor END
        FROM told AS c JOIN postback.conversion_events AS e ON e.conversion_id = c.conversion_id AND e.bucket = c.bucket
        LEFT JOIN postback.postbacks AS p ON p.postback_id = e.postback_id AND p.received_at = postback.click_id_time(e.postback_id)
        UNION ALL
        -- Messages that left no trace in it: repeats and contradictions.
        SELECT p.received_at, 2, c.conversion_id, NULL,
               concat_ws('; ', format('%sthe network said %s: %s', CASE WHEN c.is_test THEN 'test: ' END,
                   coalesce(nullif(concat_ws(' ', p.raw_status, p.payout, p.currency), ''), 'nothing of status and amount'), p.verdict), p.reason),
               b.status, 0, b.balance, p.postback_id, 'postback'
        FROM told AS c JOIN postback.postbacks AS p ON p.conversion_id = c.conversion_id
        CROSS JOIN LATERAL (
            SELECT (array_agg(e.status ORDER BY e.seq DESC))[1] AS status, coalesce(sum(e.payout_delta), 0) AS balance
            FROM postback.conversion_events AS e
            WHERE e.conversion_id = c.conversion_id AND e.bucket = c.bucket AND e.recorded_at <= p.received_at) AS b
        WHERE NOT EXISTS (
            SELECT FROM postback.conversion_events AS e
            WHERE e.conversion_id = c.conversion_id AND e.bucket = c.bucket AND e.postback_id = p.postback_id)
        UNION ALL
        -- Messages that still wait.
        SELECT p.received_at, 3, NULL, NULL, concat_ws('; ', 'the network sent a message that waits: ' || p.verdict, p.reason),
               NULL, NULL, NULL, p.postback_id, 'postback'
        FROM _postback.orphans AS w
        JOIN postback.postbacks AS p ON p.postback_id = w.postback_id AND p.received_at = w.received_at
        WHERE w.network_id = net
          AND conversion_history.transaction_id IN (w.click_id, p.transaction_id)
    )
    SELECT s.at, s.what, s.status, s.payout_delta, s.balance, s.postback_id, s.source FROM step AS s
    ORDER BY s.at, s.place, s.conversion_id, s.seq;
END
$$;
COMMENT ON FUNCTION postback.conversion_history(text, text) IS
    'The story of a transaction in words, in order: the tap, each message with its verdict, each change of the payout and the balance after it. '
    'A click id does in the place of the transaction id, for conversions that have none.';
