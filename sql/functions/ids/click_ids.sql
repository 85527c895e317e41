-- Click ids: UUIDv7 with the subscriber's bucket inside (RFC 9562 §5.7). The byte work is in extension/core.

CREATE FUNCTION postback.mint_click_id(subscriber_id bigint DEFAULT NULL, at timestamptz DEFAULT clock_timestamp())
RETURNS text LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mint_click_id_wrapper';
COMMENT ON FUNCTION postback.mint_click_id(bigint, timestamptz) IS
    'A new click id: 36 characters that hold the time in ms and the subscriber''s bucket. Without a subscriber the bucket is random.';

CREATE FUNCTION postback.mint_random_click_id()
RETURNS text LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mint_random_click_id_wrapper';
COMMENT ON FUNCTION postback.mint_random_click_id() IS 'A UUIDv4 (RFC 9562 §5.4), for who wants an id without time or bucket in it.';

CREATE FUNCTION postback.click_id_time(click_id text)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'click_id_time_wrapper';
COMMENT ON FUNCTION postback.click_id_time(text) IS 'The time inside a click id, in ms; NULL when it is not a lower-case UUIDv7.';

CREATE FUNCTION postback.click_id_bucket(click_id text)
RETURNS smallint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'click_id_bucket_wrapper';
COMMENT ON FUNCTION postback.click_id_bucket(text) IS
    'The bucket of a click id, 0 to 1023: the one inside a UUIDv7, a hash of any other.';

CREATE FUNCTION postback.subscriber_bucket(subscriber_id bigint)
RETURNS smallint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'subscriber_bucket_wrapper';
COMMENT ON FUNCTION postback.subscriber_bucket(bigint) IS 'The bucket of a subscriber, 0 to 1023: upper bits of SplitMix64''s finalizer.';

CREATE FUNCTION postback.is_legal_click_id(click_id text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_legal_click_id_wrapper';
COMMENT ON FUNCTION postback.is_legal_click_id(text) IS 'Whether a text can be a click id: 1 to 64 of [A-Za-z0-9._~-].';

-- A click id for a known bucket, as the hot path mints it.
CREATE FUNCTION _postback.mint_click_id_in(bucket smallint, at timestamptz)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mint_click_id_in_wrapper';

-- The time inside a click id whose bucket is the given one; NULL when it is no UUIDv7 or belongs elsewhere.
CREATE FUNCTION _postback.click_id_time_in(click_id text, bucket smallint)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'click_id_time_in_wrapper';

CREATE FUNCTION _postback.random_bytes(count integer)
RETURNS bytea LANGUAGE c VOLATILE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'random_bytes_wrapper';
