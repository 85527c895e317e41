-- The two schemas and the types that tables and functions share.
-- Plain CREATE SCHEMA: if somebody already made a schema of this name, the installation stops here.

-- Names in this script mean what they say, whatever the search_path of whoever runs it.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA postback;
COMMENT ON SCHEMA postback IS 'SMS affiliate attribution: the public tables, functions and views of postback.';

CREATE SCHEMA _postback;
COMMENT ON SCHEMA _postback IS 'Internals of postback. No promise is made about anything in here.';

CREATE TYPE postback.visitor AS ENUM ('human', 'preview', 'prefetch', 'head', 'bot', 'datacenter', 'suspect');
COMMENT ON TYPE postback.visitor IS 'Who made a hit. Only human hits earn credit; every hit is kept.';

CREATE TYPE postback.conversion_status AS ENUM ('pending', 'approved', 'rejected', 'reversed');
COMMENT ON TYPE postback.conversion_status IS 'Where a conversion stands. Which moves are allowed is rows of postback.status_transitions.';

CREATE TYPE postback.verdict AS ENUM (
    'accepted', 'updated', 'duplicate', 'stale', 'unmatched', 'outside_window', 'unmapped_status',
    'illegal_transition', 'conflict', 'unauthenticated', 'malformed', 'test');
COMMENT ON TYPE postback.verdict IS 'What became of one postback.';

CREATE DOMAIN postback.currency AS text COLLATE "C"
    CONSTRAINT currency_is_iso_4217 CHECK (VALUE ~ '^[A-Z]{3}$');
COMMENT ON DOMAIN postback.currency IS 'An ISO 4217 code in upper case, such as USD.';

CREATE DOMAIN postback.money AS numeric
    CONSTRAINT money_is_finite CHECK (VALUE >= 0 AND VALUE < 1e15 AND min_scale(VALUE) <= 15);
COMMENT ON DOMAIN postback.money IS 'An amount that is never negative, never NaN and never infinite, with at most 15 decimals; its currency stands beside it.';

-- A click as the matching code hands it around.
CREATE TYPE _postback.click AS (
    click_id text, bucket smallint, clicked_at timestamptz, visitor postback.visitor, send_id bigint,
    campaign_id bigint, segment_id bigint, variant_id bigint, offer_id bigint, subscriber_id bigint);

-- One message from a network, read but not yet judged.
CREATE TYPE _postback.message AS (
    ordinal integer, postback_id text, received_at timestamptz, network_id integer, method text,
    path text, query bytea, body bytea, content_type text, source_ip inet,
    checks text[], failure text, problem text, click_id text, transaction_id text, event text, raw_status text,
    status postback.conversion_status, payout numeric, currency text, network_offer_id text,
    event_at timestamptz, note text, dedupe_key text);

-- What became of it.
CREATE TYPE _postback.outcome AS (
    verdict postback.verdict, reason text, conversion_id text, bucket smallint);

-- A conversion as the path to it is looked up.
CREATE TYPE _postback.conversion AS (
    conversion_id text, bucket smallint, network_id integer, offer_id bigint, subscriber_id bigint, click_id text, clicked_at timestamptz,
    status postback.conversion_status, payout numeric, currency text, converted_at timestamptz);

-- The human clicks before it, in the order of (clicked_at, click_id); named is the place of the one that the network named.
CREATE TYPE _postback.path AS (
    conversion_id text, bucket smallint, named smallint, clicked_ats timestamptz[], offer_ids bigint[], campaign_ids bigint[],
    segment_ids bigint[], variant_ids bigint[], send_ids bigint[], click_ids text[]);

-- An imported report as it is compared.
CREATE TYPE _postback.report AS (
    import_id bigint, network_id integer, time_zone text, own_time_zone text, first_day date, last_day date, row_count bigint, bad_row_count bigint,
    imported_at timestamptz, matched_by text[], clock_offset interval);

-- What a fraud rule found about one subject: the clicks, conversions and postbacks (kinds) that it names, and the numbers that decided.
CREATE TYPE _postback.finding AS (
    subject_kind text, subject text, evidence jsonb, private_evidence jsonb, kinds text[], items text[], buckets smallint[], ats timestamptz[]);
