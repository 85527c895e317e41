-- Ids carry their own address: time and bucket can be read back from them.
SELECT no_plan();

-- Click ids are UUIDv7 of RFC 9562 with the subscriber's bucket in them.
CREATE TEMP TABLE minted AS
SELECT s AS subscriber_id, '2026-03-01 12:00+00'::timestamptz + s * interval '1 ms' AS at,
       postback.mint_click_id(s, '2026-03-01 12:00+00'::timestamptz + s * interval '1 ms') AS id
FROM generate_series(-500::bigint, 4500) AS s;
SELECT is_empty($$ SELECT id FROM minted WHERE id !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' $$,
    'a click id has version 7 and the variant of RFC 9562');
SELECT is_empty('SELECT id FROM minted WHERE postback.click_id_time(id) IS DISTINCT FROM at', 'the time inside is the time given');
SELECT is_empty('SELECT id FROM minted WHERE postback.click_id_bucket(id) IS DISTINCT FROM postback.subscriber_bucket(subscriber_id)',
    'the bucket inside is the subscriber''s');
SELECT is((SELECT count(DISTINCT id) FROM minted), (SELECT count(*) FROM minted), 'no id is minted twice');
SELECT is(
    (SELECT array_agg(id ORDER BY id COLLATE "C") FROM minted), (SELECT array_agg(id ORDER BY at) FROM minted),
    'ids sort by time');
SELECT cmp_ok((SELECT count(DISTINCT postback.click_id_bucket(id)) FROM minted), '>', 950::bigint, 'subscribers spread over the buckets');
SELECT is_empty(
    'SELECT s FROM generate_series(1, 2000) AS s, LATERAL postback.subscriber_bucket(s) AS b WHERE b NOT BETWEEN 0 AND 1023 OR b IS NULL',
    'a bucket is 0 to 1023');
-- Stored rows depend on these numbers: they may never change.
SELECT is(
    array(SELECT postback.subscriber_bucket(s) FROM unnest(ARRAY[0, 1, 2, 1001, 9223372036854775807, -9223372036854775808]) AS s),
    '{904,580,605,332,169,288}', 'any bigint has a bucket, the same in every release');
SELECT is(postback.click_id_bucket('a1b2c3'), 634::smallint, 'so has any foreign id');
SELECT cmp_ok(
    (SELECT count(DISTINCT postback.click_id_bucket(postback.mint_click_id())) FROM generate_series(1, 500)), '>', 200::bigint,
    'without a subscriber the bucket is random');
SELECT ok(
    postback.click_id_time(postback.mint_click_id()) BETWEEN date_trunc('milliseconds', now()) AND clock_timestamp(),
    'without a time it is now');
SELECT is(
    postback.click_id_time(postback.mint_click_id(1, '2026-03-01 12:00:00.123999+00')), '2026-03-01 12:00:00.123+00'::timestamptz,
    'the time is cut to milliseconds, not rounded');
SELECT matches(postback.mint_random_click_id(), '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    'mint_random_click_id() gives a UUIDv4');

-- What is not an id of ours has no time, but a bucket.
SELECT is(postback.click_id_time(t), NULL, format('"%s" has no time', t))
FROM unnest(ARRAY['', 'a1b2c3', '2f0c0f86-9d5a-4a6e-8e40-0e4a2d1f3c55', '018F5C3E-7B2A-7F00-8000-000000000000',
    '018f5c3e7b2a7f008000000000000000', '018f5c3e-7b2a-7f00-c000-000000000000', '018f5c3e-7b2a-7f00-8000-00000000000g']) AS t;
SELECT ok(postback.click_id_bucket('a1b2c3') <> postback.click_id_bucket('A1B2C3') OR postback.click_id_bucket('x') <> postback.click_id_bucket('X'),
    'foreign ids differ by case');
SELECT ok(postback.click_id_bucket(t) BETWEEN 0 AND 1023, format('"%s" has a bucket', t)) FROM unnest(ARRAY['', 'a1b2c3', repeat('~', 64)]) AS t;

SELECT ok(postback.mint_click_id(1, at) IS NOT NULL, format('an id can be minted at %s', at))
FROM unnest(ARRAY['1970-01-01 00:00+00', '2026-12-31 23:59:59.999+00', '9999-12-31 23:59:59+00']::timestamptz[]) AS at;
SELECT throws_ok(
    format('SELECT postback.mint_click_id(1, %L)', at), '22008', NULL, format('no id at %s: an error, not a wrong time', at))
FROM unnest(ARRAY['infinity', '-infinity', '1969-12-31 23:59:59+00', '12000-01-01 00:00+00']::timestamptz[]) AS at;

-- Which texts may be ids.
SELECT ok(postback.is_legal_click_id(t), format('"%s" can be a click id', t))
FROM unnest(ARRAY['a', 'a1b2c3', 'A-Z_a-z.0-9~', repeat('x', 64), '-', '..', '2f0c0f86-9d5a-4a6e-8e40-0e4a2d1f3c55']) AS t;
SELECT ok(NOT postback.is_legal_click_id(t), format('%s cannot be a click id', to_json(left(t, 70))))
FROM unnest(ARRAY['', repeat('x', 65), 'a b', 'a/b', 'a%20b', 'a+b', 'a&b=c', 'ä', E'a\n', '{click_id}', 'a''b', repeat('x', 100000)]) AS t;

-- Short codes.
CREATE TEMP TABLE coded AS
SELECT link_id, _postback.encode_code(link_id, postback.code_key()) AS code
FROM generate_series(1, 300) AS n, LATERAL (SELECT (n::bigint << 40) | ((n * 37 % 1024)::bigint << 30) | n * n AS link_id) AS l;
SELECT is_empty($$ SELECT code FROM coded WHERE code !~ '^[0-9A-Za-z]{11}$' $$, 'a code is 11 characters of base62');
SELECT is_empty('SELECT code FROM coded WHERE _postback.decode_code(code, postback.code_key()) IS DISTINCT FROM link_id', 'a code decodes to its link');
SELECT is_empty(
    'SELECT code FROM coded WHERE _postback.link_bucket(link_id) <> (link_id >> 40) * 37 % 1024 OR link_id >> 40 NOT BETWEEN 1 AND 300',
    'send and bucket can be read back from a link id');
SELECT is_empty(
    $$ SELECT code FROM coded WHERE _postback.decode_code(code, sha256('another key')) = link_id $$, 'no code means the same under another key');
SELECT is_empty(
    $$ SELECT code FROM coded WHERE _postback.decode_code(left(code, 10), postback.code_key()) IS NOT NULL
         OR _postback.decode_code(code || '0', postback.code_key()) IS NOT NULL $$,
    'a truncated or longer text is no code');
SELECT is(
    _postback.decode_codes(ARRAY(SELECT code FROM coded ORDER BY link_id) || ARRAY['nonsense', NULL], postback.code_key()),
    ARRAY(SELECT link_id FROM coded ORDER BY link_id) || ARRAY[NULL, NULL]::bigint[], 'a batch decodes in order, NULL for what is no code');
SELECT cmp_ok(
    (SELECT count(DISTINCT left(code, 3)) FROM coded), '>', 290::bigint, 'codes of neighbours have nothing in common');

SELECT * FROM finish();
