-- Hourly counts and sums, so that a report does not read clicks. Filled by _postback.refresh_rollups().

CREATE TABLE postback.rollups (
    hour timestamptz NOT NULL,
    send_id bigint,
    campaign_id bigint,
    segment_id bigint,
    variant_id bigint,
    offer_id bigint,
    network_id integer,
    currency postback.currency,
    clicks integer NOT NULL DEFAULT 0,
    human_clicks integer NOT NULL DEFAULT 0,
    unique_clicks integer NOT NULL DEFAULT 0,
    pending integer NOT NULL DEFAULT 0,
    approved integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    reversed integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0,
    pending_revenue numeric NOT NULL DEFAULT 0,
    conversion_seconds bytea,
    delay_milliseconds bytea,
    CONSTRAINT rollups_key UNIQUE NULLS NOT DISTINCT (hour, send_id, campaign_id, segment_id, variant_id, offer_id, network_id, currency)
);
CREATE INDEX rollups_send_idx ON postback.rollups (send_id, hour) WHERE human_clicks > 0;
COMMENT ON TABLE postback.rollups IS
    'Clicks and conversions by hour, complete up to a moment ago; performance() adds what came since. Dropping a day of clicks leaves its rows.';
COMMENT ON COLUMN postback.rollups.hour IS 'Beginning of an hour of UTC.';
COMMENT ON COLUMN postback.rollups.network_id IS 'NULL in rows of clicks.';
COMMENT ON COLUMN postback.rollups.currency IS 'NULL in rows of clicks.';
COMMENT ON COLUMN postback.rollups.clicks IS 'Hits of all visitors but HEAD requests.';
COMMENT ON COLUMN postback.rollups.unique_clicks IS 'Human clicks that were the first of their subscriber on their send.';
COMMENT ON COLUMN postback.rollups.revenue IS 'Payout of approved conversions, in currency.';
COMMENT ON COLUMN postback.rollups.conversion_seconds IS 'From click to conversion, of each conversion: 4 bytes big-endian.';
COMMENT ON COLUMN postback.rollups.delay_milliseconds IS 'From conversion to postback, of each conversion whose network tells the time: 4 bytes big-endian.';

-- The same added up over four hours: most of a long report is read from here. Four, because days begin at another hour in each time zone.
CREATE TABLE _postback.rollup_blocks (LIKE postback.rollups INCLUDING DEFAULTS);
ALTER TABLE _postback.rollup_blocks RENAME COLUMN hour TO began;
CREATE INDEX rollup_blocks_began_idx ON _postback.rollup_blocks (began);

-- First human click of each subscriber, as far as rollups are counted.
CREATE TABLE _postback.first_clicks (
    bucket smallint NOT NULL,
    subscriber_id bigint NOT NULL,
    clicked_at timestamptz NOT NULL,
    CONSTRAINT first_clicks_pkey PRIMARY KEY (bucket, subscriber_id)
);
CREATE INDEX first_clicks_clicked_at_idx ON _postback.first_clicks (clicked_at);

-- Up to where rollups are complete, but for the hours that are stale, and up to where there are blocks of them.
CREATE TABLE _postback.rollup_state (
    only_row boolean CONSTRAINT rollup_state_pkey PRIMARY KEY DEFAULT true,
    counted_until timestamptz NOT NULL DEFAULT '-infinity',
    blocks_until timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT rollup_state_has_one_row CHECK (only_row)
);
INSERT INTO _postback.rollup_state DEFAULT VALUES;

-- What was written, changed or deleted later than rollups wait for it. Without a key, so that writers never wait for each other.
CREATE TABLE _postback.late_clicks (
    clicked_at timestamptz NOT NULL,
    bucket smallint NOT NULL,
    subscriber_id bigint,
    send_id bigint,
    campaign_id bigint,
    segment_id bigint,
    variant_id bigint,
    offer_id bigint
);
CREATE TABLE _postback.late_conversions (
    converted_at timestamptz NOT NULL
);

-- Hours to be counted again. Reports do without their rollups.
CREATE TABLE _postback.stale_hours (
    kind text NOT NULL,
    hour timestamptz NOT NULL,
    CONSTRAINT stale_hours_pkey PRIMARY KEY (kind, hour),
    CONSTRAINT stale_hours_kind_is_known CHECK (kind IN ('clicks', 'conversions'))
);

-- Rollups are counted up to 15 seconds ago: see _postback.refresh_rollups(). After the row is written, so that its transaction has
-- begun when the clock is read.
CREATE TRIGGER note_late_click AFTER INSERT ON postback.clicks
    FOR EACH ROW WHEN (NEW.clicked_at < clock_timestamp() - interval '15 seconds') EXECUTE FUNCTION _postback.note_late_click();
CREATE TRIGGER note_changed_click AFTER UPDATE ON postback.clicks
    FOR EACH ROW WHEN (least(OLD.clicked_at, NEW.clicked_at) < clock_timestamp() - interval '15 seconds')
    EXECUTE FUNCTION _postback.note_late_click();
CREATE TRIGGER note_deleted_click AFTER DELETE ON postback.clicks
    FOR EACH ROW WHEN (OLD.clicked_at < clock_timestamp() - interval '15 seconds') EXECUTE FUNCTION _postback.note_late_click();
CREATE TRIGGER note_late_conversion AFTER INSERT ON postback.conversions
    FOR EACH ROW WHEN (NEW.converted_at < clock_timestamp() - interval '15 seconds') EXECUTE FUNCTION _postback.note_late_conversion();
CREATE TRIGGER note_changed_conversion AFTER UPDATE ON postback.conversions
    FOR EACH ROW WHEN (least(OLD.converted_at, NEW.converted_at) < clock_timestamp() - interval '15 seconds')
    EXECUTE FUNCTION _postback.note_late_conversion();
