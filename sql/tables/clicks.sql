-- Every hit on a link, whoever made it.

CREATE TABLE postback.clicks (
    click_id text COLLATE "C" NOT NULL,
    bucket smallint NOT NULL,
    clicked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    link_id bigint,
    send_id bigint,
    campaign_id bigint,
    segment_id bigint,
    variant_id bigint,
    offer_id bigint,
    subscriber_id bigint,
    visitor postback.visitor NOT NULL,
    method text NOT NULL DEFAULT 'GET',
    ip_address inet,
    user_agent text,
    purpose text,
    subs jsonb,
    country text COLLATE "C",
    CONSTRAINT clicks_pkey PRIMARY KEY (click_id, bucket, clicked_at),
    CONSTRAINT clicks_clicked_at_is_plausible CHECK (clicked_at >= '1970-01-01 00:00:00+00' AND clicked_at < '9999-01-01 00:00:00+00'),
    CONSTRAINT clicks_bucket_is_valid CHECK (bucket BETWEEN 0 AND 1023),
    CONSTRAINT clicks_country_is_a_code CHECK (country ~ '^[A-Z]{2}$')
) PARTITION BY RANGE (clicked_at);
CREATE INDEX clicks_subscriber_idx ON postback.clicks (bucket, subscriber_id, clicked_at);
-- For the newest clicks, which reports read beside the rollups. Smaller ranges than these fill the list of what autovacuum is to summarize, and the
-- server's log with complaints, from some thousand taps a second on.
CREATE INDEX clicks_clicked_at_idx ON postback.clicks USING brin (clicked_at) WITH (pages_per_range = 128, autosummarize = on);
CREATE TABLE postback.clicks_default PARTITION OF postback.clicks DEFAULT;

COMMENT ON TABLE postback.clicks IS 'Every hit on a link, by day. INSERT and COPY may leave out click_id, bucket and visitor.';
COMMENT ON COLUMN postback.clicks.click_id IS 'A UUIDv7 of our own, or another system''s id of up to 64 of [A-Za-z0-9._~-].';
COMMENT ON COLUMN postback.clicks.bucket IS 'Hash of the subscriber (else of the click id), 0 to 1023.';
COMMENT ON COLUMN postback.clicks.clicked_at IS 'When the tap was received, to the millisecond; exactly the time inside an id of our own.';
COMMENT ON COLUMN postback.clicks.visitor IS 'Class worked out from method, purpose and user agent, which are kept so that it can be worked out again.';
COMMENT ON COLUMN postback.clicks.method IS 'HTTP method of the hit.';
COMMENT ON COLUMN postback.clicks.purpose IS 'What Sec-Purpose and its relatives said, if the request had one.';
COMMENT ON COLUMN postback.clicks.country IS 'Where the address is, as an ISO 3166-1 code of two letters; NULL where nobody has looked it up.';
COMMENT ON COLUMN postback.clicks.subs IS 'sub1 to sub10 of /click, as given.';

CREATE TRIGGER fill_click BEFORE INSERT ON postback.clicks
    FOR EACH ROW WHEN (NEW.bucket IS NULL) EXECUTE FUNCTION _postback.fill_click();
-- Postbacks may wait for a click that came from elsewhere, and conversions may be there already when it comes late. A fresh tap of one
-- of our own links passes by.
CREATE TRIGGER match_click AFTER INSERT ON postback.clicks
    FOR EACH ROW WHEN (NEW.link_id IS NULL OR postback.click_id_time(NEW.click_id) IS NULL OR NEW.clicked_at < clock_timestamp() - interval '1 minute')
    EXECUTE FUNCTION _postback.match_click();
CREATE TRIGGER follow_click AFTER UPDATE ON postback.clicks
    FOR EACH ROW WHEN (
        NEW.visitor IS DISTINCT FROM OLD.visitor OR NEW.method IS DISTINCT FROM OLD.method OR NEW.clicked_at IS DISTINCT FROM OLD.clicked_at
        OR NEW.subscriber_id IS DISTINCT FROM OLD.subscriber_id OR NEW.send_id IS DISTINCT FROM OLD.send_id
        OR NEW.campaign_id IS DISTINCT FROM OLD.campaign_id OR NEW.segment_id IS DISTINCT FROM OLD.segment_id
        OR NEW.variant_id IS DISTINCT FROM OLD.variant_id OR NEW.offer_id IS DISTINCT FROM OLD.offer_id)
    EXECUTE FUNCTION _postback.follow_click();

CREATE TABLE postback.click_locations (
    click_id text COLLATE "C" CONSTRAINT click_locations_pkey PRIMARY KEY,
    bucket smallint NOT NULL,
    clicked_at timestamptz NOT NULL,
    hits bigint NOT NULL DEFAULT 1
);
-- For those of days that are dropped.
CREATE INDEX click_locations_clicked_at_idx ON postback.click_locations USING brin (clicked_at);
COMMENT ON TABLE postback.click_locations IS 'Where the clicks with foreign ids are: those ids carry no address.';
COMMENT ON COLUMN postback.click_locations.hits IS 'How often the id was tapped; one click all the same.';
