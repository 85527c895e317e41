-- HMAC-SHA256 over query strings. The canonical forms and the constant-time comparison are in extension/core.

CREATE FUNCTION postback.sign(query text, secret text, scheme text DEFAULT 'raw1', method text DEFAULT NULL, path text DEFAULT NULL)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'sign_wrapper';
COMMENT ON FUNCTION postback.sign(text, text, text, text, text) IS
    'Hex HMAC-SHA256 (RFC 2104) of a query string without its sig. raw1: the bytes as they are; sorted1: parameters re-encoded and sorted. '
    'With method and path the message starts with scheme, method and path, a line each.';

CREATE FUNCTION postback.verify_signature(
    query text, signature text, secret text, scheme text DEFAULT 'raw1', method text DEFAULT NULL, path text DEFAULT NULL)
RETURNS boolean LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_signature_wrapper';
COMMENT ON FUNCTION postback.verify_signature(text, text, text, text, text, text) IS
    'Whether signature (64 hex digits, any case) is what sign() gives for the query without its sig. Compared in constant time.';

-- NULL when the query's own sig verifies under one of the secrets, else the reason in words.
CREATE FUNCTION _postback.verify_query(query bytea, secrets text[], scheme text, method text, path text)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verify_query_wrapper';

-- Whether the token is one of the secrets, compared in constant time.
CREATE FUNCTION _postback.is_secret(token text, secrets text[])
RETURNS boolean LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_secret_wrapper';
