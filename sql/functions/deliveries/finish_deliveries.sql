-- What became of what was sent.

-- How long a delivery waits after its so-and-so-many-th failure: the ladder, give or take a tenth, and at least what the receiver asked for, within
-- a day. The tenth comes from the id, so that those that failed together do not come back together. NULL when the ladder has ended.
CREATE FUNCTION _postback.retry_wait(ladder interval[], attempts integer, delivery_id text, retry_after_seconds integer)
RETURNS interval LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jitter CONSTANT float8 := 0.9 + 0.2 * (hashtextextended(delivery_id, attempts) & 65535) / 65535;
BEGIN
    RETURN CASE WHEN attempts <= cardinality(ladder) THEN
        greatest(ladder[attempts] * jitter, make_interval(secs => least(coalesce(retry_after_seconds, 0), 86400))) END;
END
$$;

CREATE FUNCTION postback.finish_deliveries(
    delivery_ids text[],
    status_codes integer[],
    errors text[],
    retry_after_seconds integer[],
    responses text[],
    now timestamptz DEFAULT clock_timestamp())
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    -- Locked in one order, so that two proxies never wait for each other.
    locked CONSTANT text[] := array(
        SELECT w.delivery_id FROM postback.deliveries AS w WHERE w.delivery_id = ANY (delivery_ids) ORDER BY w.delivery_id FOR NO KEY UPDATE);
    told record;
    finished integer := 0;
BEGIN
    FOR told IN
        WITH results AS (
            SELECT r.delivery_id, r.status_code, left(r.error, 200) AS error, r.retry_after, left(r.response, 512) AS response, r.place,
                   r.error IS NULL AND coalesce(r.status_code BETWEEN 200 AND 299, false) AS succeeded
            FROM unnest(delivery_ids, status_codes, errors, retry_after_seconds, responses)
                WITH ORDINALITY AS r (delivery_id, status_code, error, retry_after, response, place)
            WHERE r.delivery_id = ANY (locked)
        ), changed AS (
            UPDATE postback.deliveries AS w
            SET state = CASE WHEN r.succeeded THEN 'delivered' WHEN r.status_code = 410 OR n.wait IS NULL THEN 'dead' ELSE 'queued' END,
                due_at = CASE WHEN r.succeeded OR r.status_code = 410 OR n.wait IS NULL THEN w.due_at ELSE now + n.wait END,
                finished_at = CASE WHEN r.succeeded OR r.status_code = 410 OR n.wait IS NULL THEN now END,
                last_status_code = r.status_code, last_response = r.response,
                last_error = CASE WHEN NOT r.succeeded THEN coalesce(r.error, format('the answer was %s', r.status_code), 'no answer') END
            FROM results AS r
            JOIN postback.deliveries AS o ON o.delivery_id = r.delivery_id
            JOIN postback.destinations AS d ON d.destination_id = o.destination_id
            CROSS JOIN LATERAL (
                SELECT _postback.retry_wait(d.retry_after_failures, o.attempts, o.delivery_id, r.retry_after) AS wait) AS n
            WHERE w.delivery_id = r.delivery_id
              -- A success counts, however late it is told. A failure that is told again, or after the lease, says nothing new.
              AND CASE WHEN r.succeeded THEN w.state <> 'delivered' ELSE w.state = 'sending' END
            RETURNING w.destination_id, r.place, r.succeeded, r.status_code, r.retry_after
        )
        SELECT c.destination_id, count(*) AS changed, bool_or(c.succeeded) AS any_succeeded, bool_or(c.status_code = 410) AS is_gone,
               count(*) FILTER (WHERE NOT c.succeeded AND c.place > coalesce(l.last_success, 0)) AS failures,
               max(c.retry_after) FILTER (WHERE c.status_code IN (429, 503)) AS pause
        FROM changed AS c
        LEFT JOIN (SELECT s.destination_id, max(s.place) AS last_success FROM changed AS s WHERE s.succeeded GROUP BY 1) AS l
            ON l.destination_id = c.destination_id
        GROUP BY c.destination_id ORDER BY c.destination_id
    LOOP
        finished := finished + told.changed;
        PERFORM _postback.count_failures(told.destination_id, told.any_succeeded, told.failures, coalesce(told.is_gone, false), told.pause, now);
    END LOOP;
    RETURN finished;
END
$$;
COMMENT ON FUNCTION postback.finish_deliveries(text[], integer[], text[], integer[], text[], timestamptz) IS
    'For the proxy: what became of deliveries, in arrays of one length: HTTP status (NULL without an answer), error without URL or secret (NULL with a whole '
    'answer), Retry-After in seconds, beginning of the answer. 2xx is delivered; 410 is dead and disables the destination; anything else waits for its '
    'next attempt, or is dead after the last. Returns how many rows changed; to say it twice does no harm.';

-- The destination's side of it. A Retry-After of a 429 or 503 is about all that goes there.
CREATE FUNCTION _postback.count_failures(
    destination_id integer, any_succeeded boolean, failures bigint, is_gone boolean, pause integer, now timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    d record;
BEGIN
    UPDATE postback.destinations AS t
    SET failures_in_a_row = CASE WHEN any_succeeded THEN 0 ELSE t.failures_in_a_row END + failures,
        next_send_at = CASE WHEN pause > 0 THEN greatest(t.next_send_at, now + make_interval(secs => least(pause, 86400))) ELSE t.next_send_at END
    WHERE t.destination_id = destination_id AND (failures > 0 OR t.failures_in_a_row > 0)
    RETURNING t.enabled, t.failures_in_a_row, t.disable_after INTO d;
    IF NOT FOUND OR NOT d.enabled THEN
        RETURN;
    ELSIF is_gone THEN
        PERFORM _postback.switch_off(destination_id, 'it answered 410 Gone', false, true, now);
    ELSIF d.failures_in_a_row >= d.disable_after THEN
        PERFORM _postback.switch_off(destination_id, format('%s deliveries in a row failed', d.failures_in_a_row), true, true, now);
    END IF;
END
$$;
