-- Destinations switched off and on, and what to do with what is left.

CREATE FUNCTION _postback.switch_off(destination_id integer, why text, keeps_queueing boolean, alarming boolean, now timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    d record;
BEGIN
    UPDATE postback.destinations AS t
    SET enabled = false, disabled_at = now, disabled_reason = why, keeps_queueing = switch_off.keeps_queueing
    WHERE t.destination_id = destination_id AND t.enabled
    RETURNING t.name, t.failures_in_a_row INTO d;
    IF FOUND AND alarming THEN
        PERFORM _postback.raise_alert('destination_disabled', d.name, 'critical', format('destination "%s" is disabled: %s', d.name, why),
            jsonb_build_object('failures_in_a_row', d.failures_in_a_row, 'keeps_queueing', keeps_queueing), now);
    END IF;
END
$$;

CREATE FUNCTION postback.disable_destination(
    destination text, reason text DEFAULT 'by hand', cancel_queued boolean DEFAULT false, now timestamptz DEFAULT clock_timestamp())
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.destination_id(destination);
    cancelled integer := 0;
BEGIN
    PERFORM _postback.switch_off(id, reason, false, false, now);
    IF cancel_queued THEN
        -- One that is locked is just being told the end of.
        UPDATE postback.deliveries AS w SET state = 'cancelled', finished_at = now
        WHERE w.delivery_id = ANY (array(
            SELECT q.delivery_id FROM postback.deliveries AS q WHERE q.destination_id = id AND q.state = 'queued' FOR NO KEY UPDATE SKIP LOCKED));
        GET DIAGNOSTICS cancelled = ROW_COUNT;
    END IF;
    RETURN cancelled;
END
$$;
COMMENT ON FUNCTION postback.disable_destination(text, text, boolean, timestamptz) IS
    'Sends nothing more to a destination and queues nothing new for it. What is queued waits for enable_destination(), or is cancelled; returns how many were.';

CREATE FUNCTION postback.enable_destination(destination text, now timestamptz DEFAULT clock_timestamp())
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.destination_id(destination);
    waiting integer;
BEGIN
    -- Deliveries by id, then the destination: the order in which finish_deliveries() locks them.
    UPDATE postback.deliveries AS w SET due_at = least(w.due_at, now)
    WHERE w.delivery_id = ANY (array(
        SELECT q.delivery_id FROM postback.deliveries AS q WHERE q.destination_id = id AND q.state = 'queued' ORDER BY q.delivery_id FOR NO KEY UPDATE));
    GET DIAGNOSTICS waiting = ROW_COUNT;
    UPDATE postback.destinations AS d
    SET enabled = true, disabled_at = NULL, disabled_reason = NULL, keeps_queueing = true, failures_in_a_row = 0, next_send_at = '-infinity'
    WHERE d.destination_id = id;
    PERFORM _postback.resolve_alert('destination_disabled', destination, now);
    RETURN waiting;
END
$$;
COMMENT ON FUNCTION postback.enable_destination(text, timestamptz) IS
    'Sends to a destination again: what is queued is due now, failures are counted from zero, its alert is resolved. Returns how many wait.';

-- Back into the queue under the same id: a receiver that has seen it knows it again.
CREATE FUNCTION _postback.requeue(delivery_ids text[], now timestamptz)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    requeued integer;
BEGIN
    UPDATE postback.deliveries AS w SET state = 'queued', attempts = 0, due_at = now, finished_at = NULL
    WHERE w.delivery_id = ANY (array(
        SELECT q.delivery_id FROM postback.deliveries AS q WHERE q.delivery_id = ANY (delivery_ids) AND q.state <> 'sending'
        ORDER BY q.delivery_id FOR NO KEY UPDATE));
    GET DIAGNOSTICS requeued = ROW_COUNT;
    RETURN requeued;
END
$$;

CREATE FUNCTION postback.replay_delivery(delivery_id text, now timestamptz DEFAULT clock_timestamp())
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    IF NOT EXISTS (SELECT FROM postback.deliveries AS w WHERE w.delivery_id = delivery_id) THEN
        RAISE EXCEPTION 'delivery "%" does not exist', delivery_id USING ERRCODE = 'no_data_found',
            HINT = 'SELECT delivery_id FROM postback.deliveries lists them.';
    ELSIF _postback.requeue(ARRAY[delivery_id], now) = 0 THEN
        RAISE EXCEPTION 'delivery "%" is being sent', delivery_id USING ERRCODE = 'PB501', HINT = 'Wait for its outcome, at most a minute.';
    END IF;
END
$$;
COMMENT ON FUNCTION postback.replay_delivery(text, timestamptz) IS
    'Sends a delivery again, whatever became of it, under the same id and with all its attempts before it.';

CREATE FUNCTION postback.replay_deliveries(
    destination text, since timestamptz, until timestamptz DEFAULT 'infinity', states text[] DEFAULT '{dead}',
    now timestamptz DEFAULT clock_timestamp())
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id CONSTANT integer := _postback.destination_id(destination);
BEGIN
    IF states IS NULL OR NOT states <@ '{dead,cancelled,delivered}' THEN
        RAISE EXCEPTION 'states "%" cannot be replayed', states USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Any of dead, cancelled and delivered.';
    END IF;
    RETURN _postback.requeue(array(
        SELECT w.delivery_id FROM postback.deliveries AS w
        WHERE w.destination_id = id AND w.state = ANY (states) AND w.created_at >= since AND w.created_at < until), now);
END
$$;
COMMENT ON FUNCTION postback.replay_deliveries(text, timestamptz, timestamptz, text[], timestamptz) IS
    'Sends a destination''s deliveries again that were made from since until before until and are in one of the states; returns how many. Dead ones unless '
    'told otherwise. They keep their ids.';
