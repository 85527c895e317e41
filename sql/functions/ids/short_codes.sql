-- Short codes: a link id under the key that install() made. The permutation is in extension/core.

-- The ids of new links (send 24 bits, bucket 10, counter 30), one per subscriber in order; and the same with their subscribers in the order of the table's index.
CREATE FUNCTION _postback.number_links(send_id bigint, first_counter bigint, subscriber_ids bigint[])
RETURNS TABLE (link_ids bigint[], sorted_link_ids bigint[], sorted_subscriber_ids bigint[])
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'number_links_wrapper';

CREATE FUNCTION _postback.link_bucket(link_id bigint)
RETURNS smallint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'link_bucket_wrapper';

CREATE FUNCTION _postback.encode_code(link_id bigint, key bytea)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'encode_code_wrapper';

-- encode_code for a batch: one element each, in order.
CREATE FUNCTION _postback.encode_codes(link_ids bigint[], key bytea)
RETURNS text[] LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'encode_codes_wrapper';

-- NULL when the text is not a code at all.
CREATE FUNCTION _postback.decode_code(code text, key bytea)
RETURNS bigint LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decode_code_wrapper';

-- decode_code for a batch: one element each, in order.
CREATE FUNCTION _postback.decode_codes(codes text[], key bytea)
RETURNS bigint[] LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decode_codes_wrapper';

CREATE FUNCTION postback.code_key()
RETURNS bytea LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.code_key FROM _postback.settings AS s);
END
$$;
COMMENT ON FUNCTION postback.code_key() IS
    'The key of the short codes, for a proxy that must know a link''s bucket before it asks. Whoever holds it can forge codes.';
