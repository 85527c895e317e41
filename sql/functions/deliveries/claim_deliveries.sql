-- The queue of deliveries: filled by conversions, emptied by proxies.

-- The trigger of conversions: one row per destination that wants to know. Costs one look at a small table when there is none.
CREATE FUNCTION _postback.enqueue_deliveries()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF NOT EXISTS (SELECT FROM postback.destinations AS d WHERE d.enabled OR d.keeps_queueing) THEN
        RETURN NULL;
    END IF;
    INSERT INTO postback.deliveries (delivery_id, destination_id, conversion_id, bucket, event_seq, due_at, created_at)
    SELECT _postback.mint_click_id_in(NEW.bucket, now), d.destination_id, NEW.conversion_id, NEW.bucket, NEW.ledger_seq, now, now
    FROM postback.destinations AS d
    WHERE (d.enabled OR d.keeps_queueing)
      AND NEW.status = ANY (d.statuses)
      AND (d.offer_id IS NULL OR d.offer_id = NEW.offer_id)
      AND (d.network_id IS NULL OR d.network_id = NEW.network_id)
      AND (d.partner_id IS NULL OR d.partner_id = _postback.partner_of(NEW.send_id, NEW.campaign_id))
      AND (d.events IS NULL OR NEW.event = ANY (d.events) AND NEW.event <> 'alert');
    RETURN NULL;
END
$$;

-- What goes over the wire, or the problem that keeps it from going. The byte work is in extension/core.
CREATE FUNCTION _postback.prepare_delivery(
    delivery_id text, sent_at_unix bigint, method text, url_template text, body_template text, content_type text, signing text,
    secrets text[], fields jsonb)
RETURNS TABLE (problem text, url text, body text, headers jsonb)
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'prepare_delivery_wrapper';

-- The values of the macros: the conversion as it was after this row of its ledger.
CREATE FUNCTION _postback.delivery_fields(delivery_id text, conversion_id text, bucket smallint, event_seq integer)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    iso CONSTANT text := 'YYYY-MM-DD"T"HH24:MI:SS"Z"';
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'delivery_id', delivery_id, 'conversion_id', conversion_id, 'event_seq', event_seq::text, 'click_id', c.click_id,
            'transaction_id', c.transaction_id, 'network', (SELECT n.slug FROM postback.networks AS n WHERE n.network_id = c.network_id),
            'offer_id', c.offer_id::text, 'campaign_id', c.campaign_id::text, 'segment_id', c.segment_id::text,
            'variant_id', c.variant_id::text, 'send_id', c.send_id::text, 'subscriber_id', c.subscriber_id::text,
            'status', e.status, 'event', c.event, 'payout', e.payout::text, 'payout_delta', e.payout_delta::text, 'currency', c.currency,
            'clicked_at', to_char(c.clicked_at, iso), 'converted_at', to_char(c.converted_at, iso),
            'converted_at_unix', floor(extract(epoch FROM c.converted_at))::text, 'event_at', to_char(e.event_at, iso),
            'event_at_unix', floor(extract(epoch FROM e.event_at))::text)
        FROM postback.conversions AS c
        CROSS JOIN LATERAL (
            SELECT v.seq, v.status, v.payout_delta, v.event_at, sum(v.payout_delta) OVER (ORDER BY v.seq) AS payout
            FROM postback.conversion_events AS v
            WHERE v.conversion_id = c.conversion_id AND v.bucket = c.bucket AND v.seq <= event_seq) AS e
        WHERE c.conversion_id = conversion_id AND c.bucket = bucket AND e.seq = event_seq);
END
$$;

-- How many deliveries the rate allows at a moment. They are spaced evenly; a tenth of a second's worth may go at once, so that a high rate does not
-- need a claim for each.
CREATE FUNCTION _postback.allowed_by_rate(max_rate numeric, next_send_at timestamptz, now timestamptz)
RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE
        WHEN next_send_at > now THEN 0
        WHEN max_rate IS NULL THEN 2147483647
        ELSE 1 + floor(extract(epoch FROM now - _postback.rate_base(max_rate, next_send_at, now)) * max_rate) END;
END
$$;

-- The moment from which the rate counts: what an idle destination has saved up is bounded.
CREATE FUNCTION _postback.rate_base(max_rate numeric, next_send_at timestamptz, now timestamptz)
RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(next_send_at, now - greatest(interval '0', interval '100 milliseconds' - interval '1 second' / max_rate::float8));
END
$$;

CREATE FUNCTION postback.claim_deliveries(max_deliveries integer DEFAULT 100, now timestamptz DEFAULT clock_timestamp())
RETURNS TABLE (
    delivery_id text, destination_id integer, url text, method text, content_type text, headers jsonb, body text, timeout_ms integer,
    allowed_addresses cidr[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- A plan made while the queue was short must not read all of it once it is long.
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    -- One claimer at a time per destination; the others look elsewhere. What is under way is counted by the next statement, which sees
    -- what the claimer before has committed.
    open CONSTANT integer[] := array(
        SELECT d.destination_id FROM postback.destinations AS d
        WHERE d.enabled AND d.next_send_at <= now AND EXISTS (
            SELECT FROM postback.deliveries AS q
            WHERE q.destination_id = d.destination_id AND q.state IN ('queued', 'sending') AND q.due_at <= now)
        FOR NO KEY UPDATE SKIP LOCKED);
    claimed record;
BEGIN
    allowed_addresses := array(SELECT e.addresses FROM _postback.delivery_exceptions AS e ORDER BY e.addresses);
    FOR claimed IN
        WITH picked AS (
            SELECT q.delivery_id, d.destination_id
            FROM postback.destinations AS d
            CROSS JOIN LATERAL (
                SELECT count(*) AS under_way FROM postback.deliveries AS s
                WHERE s.destination_id = d.destination_id AND s.state = 'sending' AND s.due_at > now) AS s
            CROSS JOIN LATERAL (
                SELECT r.delivery_id, row_number() OVER (ORDER BY r.due_at) AS place
                FROM (
                    SELECT w.delivery_id, w.due_at FROM postback.deliveries AS w
                    WHERE w.destination_id = d.destination_id AND w.state IN ('queued', 'sending') AND w.due_at <= now
                    ORDER BY w.due_at
                    LIMIT greatest(0, least(d.max_concurrency - s.under_way, _postback.allowed_by_rate(d.max_rate, d.next_send_at, now)))
                    FOR NO KEY UPDATE SKIP LOCKED) AS r) AS q
            WHERE d.destination_id = ANY (open)
            -- In turn: each destination's first one under way, then each one's second, so that receivers that hang leave the next slot to others.
            ORDER BY s.under_way + q.place, d.destination_id LIMIT max_deliveries
        ), paced AS (
            UPDATE postback.destinations AS d
            SET next_send_at = _postback.rate_base(d.max_rate, d.next_send_at, now) + p.picked * (interval '1 second' / d.max_rate::float8)
            FROM (SELECT p.destination_id, count(*) AS picked FROM picked AS p GROUP BY p.destination_id) AS p
            WHERE d.destination_id = p.destination_id AND d.max_rate IS NOT NULL
        )
        UPDATE postback.deliveries AS w
        SET state = 'sending', attempts = w.attempts + 1, last_attempt_at = now, due_at = now + d.timeout + interval '30 seconds'
        FROM picked AS p JOIN postback.destinations AS d ON d.destination_id = p.destination_id
        WHERE w.delivery_id = p.delivery_id
        RETURNING w.delivery_id, w.destination_id, w.conversion_id, w.bucket, w.event_seq, d.method, d.url_template, d.body_template,
            d.content_type, d.signing, d.timeout
    LOOP
        delivery_id := claimed.delivery_id;
        destination_id := claimed.destination_id;
        method := claimed.method;
        content_type := claimed.content_type;
        timeout_ms := extract(epoch FROM claimed.timeout) * 1000;
        SELECT r.url, r.body, r.headers INTO url, body, headers
        FROM _postback.prepare_claimed(claimed.delivery_id, claimed.conversion_id, claimed.bucket, claimed.event_seq, claimed.destination_id, now) AS r;
        CONTINUE WHEN url IS NULL;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postback.claim_deliveries(integer, timestamptz) IS
    'For the proxy: what to send now, and in which form. Hands out each due delivery once until its lease ends (timeout and 30 seconds), within each '
    'destination''s concurrency and rate, in turn between destinations. allowed_addresses are the networks that need not be public.';

-- One claimed delivery made ready. What cannot be rendered is dead with its reason, and gives no row.
CREATE FUNCTION _postback.prepare_claimed(
    delivery_id text, conversion_id text, bucket smallint, event_seq integer, destination_id integer, now timestamptz)
RETURNS TABLE (url text, body text, headers jsonb) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fields CONSTANT jsonb := CASE WHEN conversion_id IS NULL THEN _postback.alert_fields(delivery_id, event_seq)
        ELSE _postback.delivery_fields(delivery_id, conversion_id, bucket, event_seq) END;
    request record;
BEGIN
    SELECT r.problem, r.url, r.body, r.headers INTO request
    FROM postback.destinations AS d
    CROSS JOIN LATERAL _postback.prepare_delivery(delivery_id, floor(extract(epoch FROM now))::bigint, d.method, d.url_template,
        d.body_template, d.content_type, d.signing,
        array(SELECT s.secret FROM _postback.destination_secrets AS s WHERE s.destination_id = d.destination_id ORDER BY s.secret_id DESC),
        fields) AS r
    WHERE d.destination_id = destination_id AND fields IS NOT NULL;
    IF request.url IS NULL THEN
        UPDATE postback.deliveries AS w SET state = 'dead', finished_at = now, last_error = coalesce(request.problem, 'its conversion is gone')
        WHERE w.delivery_id = delivery_id;
        RETURN;
    END IF;
    url := request.url;
    body := request.body;
    headers := request.headers;
    RETURN NEXT;
END
$$;

CREATE FUNCTION postback.next_delivery_at(now timestamptz DEFAULT clock_timestamp())
RETURNS timestamptz LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
BEGIN
    RETURN (
        SELECT min(CASE WHEN s.under_way >= d.max_concurrency THEN s.next_lease_end ELSE greatest(d.next_send_at, q.due_at) END)
        FROM postback.destinations AS d
        CROSS JOIN LATERAL (
            SELECT count(*) AS under_way, min(w.due_at) AS next_lease_end FROM postback.deliveries AS w
            WHERE w.destination_id = d.destination_id AND w.state = 'sending' AND w.due_at > now) AS s
        CROSS JOIN LATERAL (
            SELECT min(w.due_at) AS due_at FROM postback.deliveries AS w
            WHERE w.destination_id = d.destination_id AND w.state IN ('queued', 'sending')) AS q
        WHERE d.enabled AND q.due_at IS NOT NULL);
END
$$;
COMMENT ON FUNCTION postback.next_delivery_at(timestamptz) IS
    'For the proxy: when claim_deliveries() will next have something, as far as is known now; NULL when nothing is queued. A destination with all its '
    'slots taken counts from the end of its first lease.';
