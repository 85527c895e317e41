-- Conversions: the current truth about each transaction, and the ledger that made it so.

CREATE TABLE postback.status_transitions (
    from_status postback.conversion_status,
    to_status postback.conversion_status,
    CONSTRAINT status_transitions_pkey PRIMARY KEY (from_status, to_status)
);
COMMENT ON TABLE postback.status_transitions IS 'The moves a conversion may make. The same status with another payout is always allowed.';
INSERT INTO postback.status_transitions (from_status, to_status) VALUES
    ('pending', 'approved'), ('pending', 'rejected'),
    ('approved', 'reversed'), ('approved', 'rejected'),
    ('rejected', 'approved'),
    ('reversed', 'approved');

CREATE TABLE postback.conversions (
    conversion_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    network_id integer NOT NULL,
    dedupe_key text COLLATE "C" NOT NULL,
    transaction_id text,
    event text,
    click_id text COLLATE "C",
    clicked_at timestamptz,
    send_id bigint,
    campaign_id bigint,
    segment_id bigint,
    variant_id bigint,
    offer_id bigint,
    subscriber_id bigint,
    status postback.conversion_status NOT NULL,
    raw_status text,
    payout postback.money NOT NULL DEFAULT 0,
    currency postback.currency NOT NULL DEFAULT 'USD',
    converted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    source_ip inet,
    is_test boolean NOT NULL GENERATED ALWAYS AS (starts_with(dedupe_key, 'test:')) STORED,
    repeat integer NOT NULL DEFAULT 0,
    ledger_seq integer NOT NULL,
    ledger_hash bytea NOT NULL,
    CONSTRAINT conversions_pkey PRIMARY KEY (conversion_id, bucket),
    CONSTRAINT conversions_payout_only_while_it_counts CHECK (payout = 0 OR status IN ('pending', 'approved'))
);
CREATE INDEX conversions_converted_at_idx ON postback.conversions (converted_at);
-- What each partner has earned, by the partner's sends; of clicks without a send, by campaign. Few values, so that it is small.
CREATE INDEX conversions_send_idx ON postback.conversions (send_id, campaign_id);
CREATE INDEX conversions_test_idx ON postback.conversions (conversion_id, bucket) WHERE is_test;
CREATE INDEX conversions_subscriber_idx ON postback.conversions (bucket, subscriber_id, converted_at);
COMMENT ON TABLE postback.conversions IS 'The current truth about each transaction; its history is conversion_events.';
COMMENT ON COLUMN postback.conversions.click_id IS
    'The click the network named. A row that is inserted before its click stays without it: a postback waits for its click, an INSERT does not.';
COMMENT ON COLUMN postback.conversions.raw_status IS 'The network''s own word for the status.';
COMMENT ON COLUMN postback.conversions.payout IS 'What the conversion pays now: 0 once rejected or reversed.';
COMMENT ON COLUMN postback.conversions.converted_at IS 'When it happened: the earliest time of its messages, by the network''s clock, else by their receipt.';
COMMENT ON COLUMN postback.conversions.is_test IS 'Made by a test message, whose key begins with test:, and outside every report and attribution.';
COMMENT ON COLUMN postback.conversions.repeat IS '0; else its number among the repeats that the network''s duplicate policy made conversions of their own.';
COMMENT ON COLUMN postback.conversions.ledger_seq IS 'Number of ledger rows of this conversion.';
COMMENT ON COLUMN postback.conversions.ledger_hash IS 'Hash of the last of them: the head of the chain.';

CREATE TABLE postback.conversion_keys (
    network_id integer NOT NULL,
    dedupe_key text COLLATE "C" NOT NULL,
    conversion_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    CONSTRAINT conversion_keys_pkey PRIMARY KEY (network_id, dedupe_key)
);
COMMENT ON TABLE postback.conversion_keys IS 'What makes a transaction unique within its network.';

CREATE TABLE postback.conversion_events (
    conversion_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    seq integer NOT NULL,
    recorded_at timestamptz NOT NULL,
    event_at timestamptz NOT NULL,
    event_at_is_network_time boolean NOT NULL,
    cause text NOT NULL,
    asserted_status postback.conversion_status NOT NULL,
    asserted_payout numeric,
    moved boolean NOT NULL,
    status postback.conversion_status NOT NULL,
    payout_delta numeric NOT NULL,
    currency postback.currency NOT NULL,
    postback_id text COLLATE "C",
    actor text NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT conversion_events_pkey PRIMARY KEY (conversion_id, bucket, seq),
    CONSTRAINT conversion_events_cause_is_known CHECK (cause IN ('postback', 'insert', 'update', 'fraud', 'release'))
);
COMMENT ON TABLE postback.conversion_events IS 'Append-only ledger: each conversion''s deltas sum to its payout and end in its status.';
COMMENT ON COLUMN postback.conversion_events.cause IS
    'postback, insert or update; fraud: a flag rejected it, and no later message moves it; release: the flag was released, and what the messages say counts again.';
COMMENT ON COLUMN postback.conversion_events.event_at IS 'Time by which events are ordered: the network''s where it sends one, else receipt.';
COMMENT ON COLUMN postback.conversion_events.asserted_status IS 'What the message said.';
COMMENT ON COLUMN postback.conversion_events.asserted_payout IS 'The payout the message said; NULL when it named none, and the one in force stays.';
COMMENT ON COLUMN postback.conversion_events.moved IS 'Whether this event changed anything; a late or illegal one is recorded and moves nothing.';
COMMENT ON COLUMN postback.conversion_events.status IS 'Status after the event.';
COMMENT ON COLUMN postback.conversion_events.payout_delta IS 'What the event added to the payout, negative for a reversal.';
COMMENT ON COLUMN postback.conversion_events.actor IS 'Session user that wrote the row.';
COMMENT ON COLUMN postback.conversion_events.hash IS 'SHA-256 over the previous row''s hash and this row; see verify_ledger().';

CREATE TRIGGER begin_ledger BEFORE INSERT ON postback.conversions
    FOR EACH ROW WHEN (NEW.ledger_seq IS NULL) EXECUTE FUNCTION _postback.begin_ledger();
CREATE TRIGGER match_conversion AFTER INSERT ON postback.conversions
    FOR EACH ROW EXECUTE FUNCTION _postback.match_conversion();
CREATE TRIGGER move_status BEFORE UPDATE ON postback.conversions
    FOR EACH ROW WHEN (
        NEW.status IS DISTINCT FROM OLD.status OR NEW.payout IS DISTINCT FROM OLD.payout
        OR NEW.ledger_seq IS DISTINCT FROM OLD.ledger_seq OR NEW.ledger_hash IS DISTINCT FROM OLD.ledger_hash
        OR NEW.currency IS DISTINCT FROM OLD.currency OR NEW.conversion_id IS DISTINCT FROM OLD.conversion_id
        OR NEW.bucket IS DISTINCT FROM OLD.bucket)
    EXECUTE FUNCTION _postback.move_status();
CREATE TRIGGER follow_conversion AFTER UPDATE ON postback.conversions
    FOR EACH ROW WHEN (
        NEW.status IS DISTINCT FROM OLD.status OR NEW.payout IS DISTINCT FROM OLD.payout OR NEW.subscriber_id IS DISTINCT FROM OLD.subscriber_id
        OR NEW.network_id IS DISTINCT FROM OLD.network_id OR NEW.offer_id IS DISTINCT FROM OLD.offer_id
        OR NEW.click_id IS DISTINCT FROM OLD.click_id OR NEW.clicked_at IS DISTINCT FROM OLD.clicked_at
        OR NEW.converted_at IS DISTINCT FROM OLD.converted_at)
    EXECUTE FUNCTION _postback.follow_conversion();
CREATE TRIGGER keep_conversions BEFORE DELETE ON postback.conversions
    FOR EACH ROW EXECUTE FUNCTION _postback.refuse_change();
CREATE TRIGGER keep_conversions_whole BEFORE TRUNCATE ON postback.conversions
    FOR EACH STATEMENT EXECUTE FUNCTION _postback.refuse_change();
CREATE TRIGGER keep_ledger BEFORE UPDATE OR DELETE ON postback.conversion_events
    FOR EACH ROW EXECUTE FUNCTION _postback.refuse_change();
CREATE TRIGGER keep_ledger_whole BEFORE TRUNCATE ON postback.conversion_events
    FOR EACH STATEMENT EXECUTE FUNCTION _postback.refuse_change();
ALTER TABLE postback.conversion_events ENABLE ALWAYS TRIGGER keep_ledger;
ALTER TABLE postback.conversion_events ENABLE ALWAYS TRIGGER keep_ledger_whole;
