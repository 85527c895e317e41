-- Every message a network sent, as it came, with what became of it.

CREATE TABLE postback.postbacks (
    postback_id text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    network_id integer,
    method text NOT NULL,
    path text,
    query bytea,
    body bytea,
    content_type text,
    source_ip inet,
    checks text[] NOT NULL,
    verdict postback.verdict NOT NULL,
    reason text,
    click_id text,
    transaction_id text,
    event text,
    raw_status text,
    payout numeric,
    currency text,
    network_offer_id text,
    event_at timestamptz,
    dedupe_key text,
    conversion_id text,
    CONSTRAINT postbacks_pkey PRIMARY KEY (postback_id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX postbacks_conversion_idx ON postback.postbacks (conversion_id) WHERE conversion_id IS NOT NULL;
CREATE TABLE postback.postbacks_default PARTITION OF postback.postbacks DEFAULT;

COMMENT ON TABLE postback.postbacks IS 'Every message received, by day, whatever came of it. Nothing commits without its row here.';
COMMENT ON COLUMN postback.postbacks.query IS 'Raw bytes after the question mark, with tokens masked.';
COMMENT ON COLUMN postback.postbacks.checks IS 'Authentication checks that ran, each with its result, such as hmac:ok.';
COMMENT ON COLUMN postback.postbacks.reason IS 'Why the verdict is what it is, in words.';
COMMENT ON COLUMN postback.postbacks.event_at IS 'When the network says it happened; NULL when it does not say.';
COMMENT ON COLUMN postback.postbacks.dedupe_key IS 'Fields and values of the recipe that makes two messages one conversion.';

CREATE TABLE _postback.orphans (
    postback_id text COLLATE "C" CONSTRAINT orphans_pkey PRIMARY KEY,
    received_at timestamptz NOT NULL,
    click_id text COLLATE "C",
    network_id integer NOT NULL,
    dedupe_key text COLLATE "C" NOT NULL
);
CREATE INDEX orphans_click_idx ON _postback.orphans (click_id);
CREATE INDEX orphans_key_idx ON _postback.orphans (network_id, dedupe_key);
COMMENT ON TABLE _postback.orphans IS 'Postbacks that wait for their click, or for the conversion that they are about.';
