-- The currencies of ISO 4217; the list is in extension/core/src/money.rs.

-- Decimals of a currency's smallest unit: 2 for USD, 0 for JPY, 3 for KWD.
CREATE FUNCTION _postback.minor_units(currency text)
RETURNS integer LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'minor_units_wrapper';

-- Whether it is a code of ISO 4217 in which somebody can be paid.
CREATE FUNCTION _postback.is_currency(currency text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_currency_wrapper';
