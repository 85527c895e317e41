-- Destinations: who is told about conversions and alerts, and the queue of what they are to be told.

CREATE TABLE postback.destinations (
    destination_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT destinations_pkey PRIMARY KEY,
    name text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    offer_id bigint,
    network_id integer,
    partner_id bigint,
    statuses postback.conversion_status[] NOT NULL,
    events text[],
    method text NOT NULL,
    url_template text NOT NULL,
    body_template text,
    content_type text,
    signing text NOT NULL,
    max_concurrency integer NOT NULL,
    max_rate numeric,
    timeout interval NOT NULL,
    retry_after_failures interval[] NOT NULL,
    disable_after integer NOT NULL,
    keeps_queueing boolean NOT NULL DEFAULT true,
    failures_in_a_row integer NOT NULL DEFAULT 0,
    disabled_at timestamptz,
    disabled_reason text,
    next_send_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT destinations_name_key UNIQUE (name),
    CONSTRAINT destinations_name_is_short CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT destinations_statuses_are_whole CHECK (array_position(statuses, NULL) IS NULL),
    CONSTRAINT destinations_events_are_whole CHECK (array_position(events, NULL) IS NULL),
    CONSTRAINT destinations_method_is_known CHECK (method IN ('GET', 'POST', 'PUT')),
    CONSTRAINT destinations_get_has_no_body CHECK (method <> 'GET' OR body_template IS NULL),
    CONSTRAINT destinations_body_has_its_type CHECK ((body_template IS NULL) = (content_type IS NULL)),
    CONSTRAINT destinations_signing_is_known CHECK (signing IN ('none', 'hmac_sha256', 'standard_webhooks')),
    CONSTRAINT destinations_max_concurrency_is_sane CHECK (max_concurrency BETWEEN 1 AND 100),
    CONSTRAINT destinations_max_rate_is_sane CHECK (max_rate BETWEEN 0.0001 AND 10000),
    CONSTRAINT destinations_timeout_is_sane CHECK (timeout BETWEEN interval '1 millisecond' AND interval '30 seconds'),
    CONSTRAINT destinations_retries_are_sane CHECK (
        array_position(retry_after_failures, NULL) IS NULL AND cardinality(retry_after_failures) <= 50
        AND interval '0' <= ALL (retry_after_failures) AND interval '30 days' >= ALL (retry_after_failures)),
    CONSTRAINT destinations_disable_after_is_positive CHECK (disable_after > 0),
    CONSTRAINT destinations_disabled_has_its_reason CHECK (
        enabled = (disabled_at IS NULL) AND (disabled_at IS NULL) = (disabled_reason IS NULL))
);
COMMENT ON TABLE postback.destinations IS 'Who is told about conversions over HTTP: which of them, in which form and how fast.';
COMMENT ON COLUMN postback.destinations.offer_id IS 'Only conversions of this offer; NULL for any.';
COMMENT ON COLUMN postback.destinations.network_id IS 'Only conversions of this network; NULL for any.';
COMMENT ON COLUMN postback.destinations.partner_id IS 'Only conversions of this partner, as its send has it when they change; NULL for any.';
COMMENT ON COLUMN postback.destinations.statuses IS 'Told when a conversion reaches one of these, and when its payout changes while it is in one.';
COMMENT ON COLUMN postback.destinations.events IS
    'Only conversions with one of these events; NULL for any, also for none. The word alert among them: told about alerts.';
COMMENT ON COLUMN postback.destinations.url_template IS 'http(s) URL with macros in path and query, which are percent-encoded. Public addresses only.';
COMMENT ON COLUMN postback.destinations.body_template IS 'Body of a POST or PUT with macros, escaped for its content_type; NULL sends none.';
COMMENT ON COLUMN postback.destinations.content_type IS 'application/json or application/x-www-form-urlencoded.';
COMMENT ON COLUMN postback.destinations.signing IS 'none, hmac_sha256 (header X-Postback-Signature) or standard_webhooks (its specification 1.0.0).';
COMMENT ON COLUMN postback.destinations.max_concurrency IS 'The most deliveries under way at a time, 1 to 100.';
COMMENT ON COLUMN postback.destinations.max_rate IS 'The most deliveries per second; NULL for no limit.';
COMMENT ON COLUMN postback.destinations.timeout IS 'How long one request may take, at most 30 seconds.';
COMMENT ON COLUMN postback.destinations.retry_after_failures IS 'How long to wait after the first, second, … failure of a delivery, give or take a tenth; after the last it is dead.';
COMMENT ON COLUMN postback.destinations.disable_after IS 'Failures in a row after which the destination is disabled.';
COMMENT ON COLUMN postback.destinations.keeps_queueing IS 'Whether new conversions are queued while it is disabled: after failures yes, when somebody disabled it or it said 410 no.';
COMMENT ON COLUMN postback.destinations.failures_in_a_row IS 'Failed requests since the last one that succeeded.';
COMMENT ON COLUMN postback.destinations.next_send_at IS 'Nothing is sent before this time: the rate, or a Retry-After of a 429 or 503.';

CREATE TABLE _postback.destination_secrets (
    secret_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT destination_secrets_pkey PRIMARY KEY,
    destination_id integer NOT NULL CONSTRAINT destination_secrets_destination_fkey REFERENCES postback.destinations ON DELETE CASCADE,
    secret text NOT NULL
);
CREATE INDEX destination_secrets_destination_idx ON _postback.destination_secrets (destination_id);
COMMENT ON TABLE _postback.destination_secrets IS 'What destinations are signed for with: one secret, or two while they are rotated.';

CREATE TABLE _postback.delivery_exceptions (
    addresses cidr CONSTRAINT delivery_exceptions_pkey PRIMARY KEY,
    note text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE _postback.delivery_exceptions IS 'Networks that are not public and that deliveries may reach all the same.';

CREATE TABLE postback.deliveries (
    delivery_id text COLLATE "C" CONSTRAINT deliveries_pkey PRIMARY KEY,
    -- No foreign keys: each conversion would lock the one row of its destination.
    destination_id integer NOT NULL,
    conversion_id text COLLATE "C",
    alert_id bigint,
    bucket smallint NOT NULL,
    event_seq integer NOT NULL,
    state text NOT NULL DEFAULT 'queued',
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    last_attempt_at timestamptz,
    last_status_code integer,
    last_error text,
    last_response text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT deliveries_are_about_one_thing CHECK ((conversion_id IS NULL) <> (alert_id IS NULL)),
    CONSTRAINT deliveries_state_is_known CHECK (state IN ('queued', 'sending', 'delivered', 'dead', 'cancelled')),
    CONSTRAINT deliveries_finished_is_dated CHECK ((finished_at IS NULL) = (state IN ('queued', 'sending')))
);
-- What is due for a destination, and how many are under way, is one probe each, however long its queue or that of another.
CREATE INDEX deliveries_due_idx ON postback.deliveries (destination_id, due_at) WHERE state IN ('queued', 'sending');
CREATE INDEX deliveries_under_way_idx ON postback.deliveries (destination_id, due_at) WHERE state = 'sending';
COMMENT ON TABLE postback.deliveries IS 'What a destination is to be told: one row per change of a conversion or of an alert, delivered at least once.';
COMMENT ON COLUMN postback.deliveries.delivery_id IS 'UUIDv7, the same over all attempts: the Idempotency-Key, and the webhook-id of Standard Webhooks.';
COMMENT ON COLUMN postback.deliveries.alert_id IS 'The alert that it tells about, instead of a conversion.';
COMMENT ON COLUMN postback.deliveries.event_seq IS 'The row of conversion_events that it tells about; of an alert: 1 raised, 2 resolved.';
COMMENT ON COLUMN postback.deliveries.state IS 'queued, sending (handed to a proxy), delivered, dead (given up) or cancelled.';
COMMENT ON COLUMN postback.deliveries.attempts IS 'How often it was handed to a proxy to be sent.';
COMMENT ON COLUMN postback.deliveries.due_at IS 'When it is to be sent; while it is sending, when its lease ends and it is due again.';
COMMENT ON COLUMN postback.deliveries.last_status_code IS 'HTTP status of the last answer; NULL when there was none.';
COMMENT ON COLUMN postback.deliveries.last_error IS 'Why the last attempt failed, without URL and secrets.';
COMMENT ON COLUMN postback.deliveries.last_response IS 'The beginning of the last answer, at most 512 characters.';
COMMENT ON COLUMN postback.deliveries.finished_at IS 'When it was delivered, given up or cancelled.';

CREATE TRIGGER check_destination BEFORE INSERT OR UPDATE OF url_template, body_template, content_type, signing ON postback.destinations
    FOR EACH ROW EXECUTE FUNCTION _postback.check_destination();
-- On conversions, not on their ledger: the ledger's row is there before the conversion's. Here both are.
CREATE TRIGGER enqueue_new AFTER INSERT ON postback.conversions
    FOR EACH ROW WHEN (NOT NEW.is_test) EXECUTE FUNCTION _postback.enqueue_deliveries();
CREATE TRIGGER enqueue_moved AFTER UPDATE ON postback.conversions
    FOR EACH ROW WHEN (NOT NEW.is_test AND (NEW.status <> OLD.status OR NEW.payout <> OLD.payout))
    EXECUTE FUNCTION _postback.enqueue_deliveries();
