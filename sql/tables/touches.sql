-- The path of each conversion: the human clicks that could earn credit for it, so that reports read conversions and never clicks.

-- One row per conversion, and arrays: a report reads it whole, and rows of their own would have to be sorted each time. What has a fixed
-- width comes first, and what is seldom asked for comes last. Status, payout and offer are the conversion's, so that nothing is joined.
CREATE TABLE postback.touches (
    converted_at timestamptz NOT NULL,
    settles_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    offer_id bigint,
    network_id integer NOT NULL,
    status postback.conversion_status NOT NULL,
    bucket smallint NOT NULL,
    named smallint,
    payout numeric NOT NULL,
    currency text COLLATE "C" NOT NULL,
    clicked_ats timestamptz[] NOT NULL,
    offer_ids bigint[] NOT NULL,
    campaign_ids bigint[] NOT NULL,
    segment_ids bigint[] NOT NULL,
    variant_ids bigint[] NOT NULL,
    send_ids bigint[] NOT NULL,
    conversion_id text COLLATE "C" NOT NULL,
    click_ids text[] NOT NULL,
    CONSTRAINT touches_pkey PRIMARY KEY (conversion_id, bucket)
-- Room for a payout or a status to change in place.
) WITH (fillfactor = 90);
CREATE INDEX touches_converted_at_idx ON postback.touches (converted_at);
CREATE INDEX touches_settles_at_idx ON postback.touches (settles_at);
COMMENT ON TABLE postback.touches IS
    'The path of each conversion but tests: human clicks of its subscriber on any offer and the click that the network named, in the order of '
    '(clicked_at, click_id), not after it. As far back as the offer''s window, and 7 days, when it arrives; 90 days once maintain() has settled it.';
COMMENT ON COLUMN postback.touches.settles_at IS 'The later of capture and conversion: some minutes after it no click of before can still be under way.';
COMMENT ON COLUMN postback.touches.offer_id IS 'The conversion''s own offer.';
COMMENT ON COLUMN postback.touches.named IS 'Place in the arrays of the click that the network named; NULL when it is not among them.';
COMMENT ON COLUMN postback.touches.payout IS 'What the conversion pays now, as in conversions.';
COMMENT ON COLUMN postback.touches.offer_ids IS 'The offer of each click.';

-- Up to when paths are settled. Those after it, up to next_until, are settled once every transaction before next_xid has ended.
CREATE TABLE _postback.settling (
    only_row boolean CONSTRAINT settling_pkey PRIMARY KEY DEFAULT true,
    settled_until timestamptz NOT NULL DEFAULT '-infinity',
    next_until timestamptz NOT NULL DEFAULT '-infinity',
    next_xid xid8 NOT NULL DEFAULT '0',
    CONSTRAINT settling_has_one_row CHECK (only_row)
);
COMMENT ON TABLE _postback.settling IS 'How far maintain() has settled the paths of conversions.';
INSERT INTO _postback.settling DEFAULT VALUES;
