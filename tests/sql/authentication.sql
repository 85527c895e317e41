-- A signature, token or address range that is configured is enforced. What fails is kept, answered with 403, and moves nothing.
SELECT no_plan();
SELECT postback.add_network(n, 'generic') FROM unnest(ARRAY['Signed', 'Sorted', 'Targeted', 'Token', 'Path', 'Office', 'Everything', 'Other', 'Rotating']) AS n \g /dev/null
UPDATE postback.networks SET signature_scheme = 'sorted1' WHERE slug = 'sorted';
UPDATE postback.networks SET signature_covers_target = true WHERE slug = 'targeted';
UPDATE postback.networks SET allowed_cidrs = '{192.0.2.0/24,2001:db8::/32}' WHERE slug IN ('office', 'everything');
SELECT postback.add_network_secret(slug, 'hmac', 'secret of ' || slug || ', long') FROM unnest('{signed,sorted,targeted,everything,other}'::text[]) AS slug \g /dev/null
SELECT postback.add_network_secret(slug, 'token', 'token-of-' || slug || '-long') FROM unnest('{token,everything}'::text[]) AS slug \g /dev/null
SELECT postback.add_network_secret(slug, 'path_token', 'path-of-' || slug || '-long') FROM unnest('{path,everything}'::text[]) AS slug \g /dev/null
SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1) AS offer_id \gset
SELECT postback.record_click(offer_id => 1, click_id => 'a1b2c3') \g /dev/null
CREATE FUNCTION pg_temp.post(network text, query text, source_ip inet DEFAULT '192.0.2.7', token text DEFAULT NULL, body text DEFAULT NULL, path text DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
    SELECT verdict || ' ' || http_status || coalesce(': ' || CASE WHEN http_status = 403 THEN reason END, '')
    FROM postback.receive_postback(network, query, source_ip => source_ip, token => token, body => body, path => path,
        method => CASE WHEN body IS NULL THEN 'GET' ELSE 'POST' END, content_type => CASE WHEN body IS NOT NULL THEN 'application/x-www-form-urlencoded' END)
$$;
CREATE FUNCTION pg_temp.signed(query text, secret text, scheme text DEFAULT 'raw1', method text DEFAULT NULL, path text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT query || '&sig=' || postback.sign(query, secret, scheme, method, path)
$$;

-- raw1: the bytes as they travel, against an independent implementation.
CREATE EXTENSION pgcrypto SCHEMA tap;
SELECT is(postback.sign('click_id=a1b2c3&payout=12.50', 'secret of signed, long'),
    encode(tap.hmac('click_id=a1b2c3&payout=12.50', 'secret of signed, long', 'sha256'), 'hex'), 'sign() is the hex of HMAC-SHA256 over the query');
SELECT pg_temp.signed('click_id=a1b2c3&payout=12.50&transaction_id=s1', 'secret of signed, long') AS signed \gset
SELECT alike(pg_temp.post('signed', replace(:'signed', '12.50', '12.51')), 'unauthenticated 403: %', 'one changed character is refused');
SELECT alike(pg_temp.post('signed', replace(:'signed', 'a1b2c3', 'A1b2c3')), 'unauthenticated 403: %', 'in any parameter');
SELECT alike(pg_temp.post('signed', left(:'signed', -1) || translate(right(:'signed', 1), '0123456789abcdef', '123456789abcdef0')), 'unauthenticated 403: %', 'or in the signature');
SELECT alike(pg_temp.post('signed', left(:'signed', -1)), 'unauthenticated 403: %', 'a shorter signature is refused');
SELECT alike(pg_temp.post('signed', :'signed' || '&payout=99'), 'unauthenticated 403: %', 'a parameter behind the signature is refused');
SELECT alike(pg_temp.post('signed', 'payout=99&' || :'signed'), 'unauthenticated 403: %', 'and one before it');
SELECT alike(pg_temp.post('signed', 'click_id=a1b2c3&payout=12.50&transaction_id=s1'), 'unauthenticated 403: %', 'no signature is refused');
SELECT alike(pg_temp.post('signed', 'click_id=a1b2c3&payout=12.50&sig='), 'unauthenticated 403: %', 'so is an empty one');
SELECT alike(pg_temp.post('signed', ''), 'unauthenticated 403: %', 'and a message with nothing in it');
SELECT alike(pg_temp.post('signed', pg_temp.signed('click_id=a1b2c3&payout=12.50', 'secret of other, long')), 'unauthenticated 403: %', 'another network''s secret is refused');
SELECT alike(pg_temp.post('signed', :'signed', body => 'payout=99'), 'unauthenticated 403: %a body beside a signed query%', 'a body that nobody signed is refused');
SELECT is((SELECT count(*) FROM postback.postbacks WHERE verdict = 'unauthenticated'), 11::bigint, 'all of these are kept');
SELECT is((SELECT count(*) FROM postback.conversions), 0::bigint, 'none of them is a conversion');
SELECT is(pg_temp.post('signed', :'signed'), 'accepted 200', 'the message as it was signed is accepted');
SELECT is((SELECT checks FROM postback.postbacks WHERE verdict = 'accepted'), '{hmac:ok}', 'and says which check it passed');
SELECT is(pg_temp.post('signed', replace(:'signed', '&sig=' || right(:'signed', 64), '&sig=' || upper(right(:'signed', 64)))), 'duplicate 200', 'hex in capitals is the same');
SELECT is(pg_temp.post('signed', NULL, body => pg_temp.signed('click_id=a1b2c3&payout=1&transaction_id=s2', 'secret of signed, long')), 'accepted 200', 'a signed form is accepted');
SELECT alike(pg_temp.post('signed', NULL, body => 'click_id=a1b2c3&payout=1&transaction_id=s3'), 'unauthenticated 403: %', 'an unsigned one is not');

-- sorted1: the order of the parameters does not matter, each parameter does.
SELECT is(pg_temp.post('sorted', q || '&sig=' || postback.sign('click_id=a1b2c3&payout=1&transaction_id=o1', 'secret of sorted, long', 'sorted1')), verdict, q)
FROM (VALUES ('click_id=a1b2c3&payout=1&transaction_id=o1', 'accepted 200'), ('transaction_id=o1&click_id=a1b2c3&payout=1', 'duplicate 200'),
    ('transaction_id=%6F1&click_id=a1b2c3&payout=1', 'duplicate 200')) AS v (q, verdict);
SELECT alike(pg_temp.post('sorted', q || '&sig=' || postback.sign('click_id=a1b2c3&payout=1&transaction_id=o1', 'secret of sorted, long', 'sorted1')), 'unauthenticated 403: %', q)
FROM unnest(ARRAY['click_id=a1b2c3&payout=2&transaction_id=o1', 'click_id=a1b2c3&payout=1&transaction_id=o1&payout=1', 'click_id=a1b2c3&payout=1',
    'click_id=a1b2c3&payout=1&transaction_id=o1&x=']) AS q;
SELECT alike(pg_temp.post('sorted', pg_temp.signed('transaction_id=o1&payout=1&click_id=a1b2c3', 'secret of sorted, long', 'raw1')), 'unauthenticated 403: %',
    'the scheme is the network''s, not the sender''s choice');

-- Method and path inside the signature.
SELECT is(
    pg_temp.post('targeted', pg_temp.signed('click_id=a1b2c3&payout=1', 'secret of targeted, long', 'raw1', 'GET', '/postback/targeted'), path => '/postback/targeted'),
    'accepted 200', 'method and path are signed along');
SELECT alike(pg_temp.post('targeted', pg_temp.signed('click_id=a1b2c3&payout=1', 'secret of targeted, long'), path => '/postback/targeted'),
    'unauthenticated 403: %', 'a signature without them is refused');
SELECT alike(
    pg_temp.post('targeted', pg_temp.signed('click_id=a1b2c3&payout=1', 'secret of targeted, long', 'raw1', 'GET', '/postback/other'), path => '/postback/targeted'),
    'unauthenticated 403: %', 'so is one for another path');

-- Tokens and addresses.
SELECT alike(pg_temp.post('token', 'click_id=a1b2c3&payout=1' || t), 'unauthenticated 403: token is missing or wrong', 'token: ' || t)
FROM unnest(ARRAY['', '&token=', '&token=token-of-token-lon', '&token=token-of-token-longer', '&token=TOKEN-of-token-long', '&other=token-of-token-long']) AS t;
SELECT is(pg_temp.post('token', 'click_id=a1b2c3&payout=1&token=token-of-token-long'), 'accepted 200', 'the right token');
SELECT alike(pg_temp.post('path', 'click_id=a1b2c3&payout=1&token=path-of-path-long', token => t), 'unauthenticated 403: path token is missing or wrong', 'path token: ' || coalesce(t, 'none'))
FROM unnest(ARRAY[NULL, '', 'path-of-path-lon', 'path-of-everything-long']) AS t;
SELECT is(pg_temp.post('path', 'click_id=a1b2c3&payout=1', token => 'path-of-path-long'), 'accepted 200', 'the right path token');
SELECT is(pg_temp.post('office', 'click_id=a1b2c3&payout=1&transaction_id=' || host(ip), source_ip => ip), 'accepted 200', 'from ' || ip)
FROM unnest('{192.0.2.0,192.0.2.255,2001:db8::1}'::inet[]) AS ip;
SELECT alike(pg_temp.post('office', 'click_id=a1b2c3&payout=1', source_ip => ip), 'unauthenticated 403: source address is not allowed', 'from ' || coalesce(ip::text, 'nowhere'))
FROM unnest('{192.0.3.0,2001:db9::1,::ffff:192.0.2.1,NULL}'::inet[]) AS ip;
UPDATE postback.networks SET allowed_cidrs = '{}' WHERE slug = 'office';
SELECT alike(pg_temp.post('office', 'click_id=a1b2c3&payout=1'), 'unauthenticated 403: %', 'an empty list of ranges lets nobody in');

-- Several checks at once: each alone is not enough.
\set good 'click_id=a1b2c3&payout=1&token=token-of-everything-long'
SELECT pg_temp.signed(:'good', 'secret of everything, long') AS all_signed \gset
SELECT is(pg_temp.post('everything', :'all_signed', token => 'path-of-everything-long'), 'accepted 200', 'everything right');
SELECT is(
    pg_temp.post('everything', replace(:'all_signed', '&sig=', '&gis='), token => 'wrong', source_ip => '203.0.113.1'),
    'unauthenticated 403: source address is not allowed; the parameter "sig" is missing; path token is missing or wrong', 'every check that fails is named');
SELECT alike(pg_temp.post('everything', :'all_signed'), 'unauthenticated 403: path token is missing or wrong', 'without the path token');
SELECT alike(pg_temp.post('everything', :'all_signed', token => 'path-of-everything-long', source_ip => '203.0.113.1'), 'unauthenticated 403: source %', 'from elsewhere');
SELECT alike(pg_temp.post('everything', :'good', token => 'path-of-everything-long'), 'unauthenticated 403: %sig%', 'without the signature');
SELECT alike(pg_temp.post('everything', pg_temp.signed('click_id=a1b2c3&payout=1', 'secret of everything, long'), token => 'path-of-everything-long'),
    'unauthenticated 403: token%', 'without the token');

-- Around the guard: a click of a guarded network, posted through another.
SELECT postback.add_offer('Guarded', 'https://network.example.com/{click_id}', offer_id => 2, network => 'signed') AS guarded \gset
SELECT postback.record_click(offer_id => 2, click_id => 'guarded') \g /dev/null
SELECT alike(pg_temp.post('token', 'click_id=guarded&payout=1&token=token-of-token-long'), 'unauthenticated 403: %', 'another network cannot report its click');
SELECT alike(pg_temp.post('default', 'click_id=guarded&payout=1'), 'unauthenticated 403: %', 'nor can the default one');
SELECT alike(pg_temp.post(NULL, 'click_id=guarded&payout=1'), 'unauthenticated 403: %', 'a plain /postback is held to the checks of the click''s network');
SELECT is(pg_temp.post(NULL, pg_temp.signed('click_id=guarded&payout=1', 'secret of signed, long')), 'accepted 200', 'and passes with them');
SELECT is((SELECT n.slug FROM postback.conversions AS c JOIN postback.networks AS n USING (network_id) WHERE c.click_id = 'guarded'), 'signed', 'as a message of that network');
SELECT alike(pg_temp.post('nobody', 'click_id=a1b2c3&payout=1'), 'unauthenticated 403: no network of this name', 'an unknown network is refused');

-- Rotation.
SELECT postback.add_network_secret('rotating', 'token', 'token-number-' || n || '-long') FROM generate_series(1, 3) AS n \g /dev/null
SELECT throws_ok('SELECT postback.add_network_secret(''rotating'', ''token'', ''token-number-4-long'')', 'PB301', NULL, 'a fourth active secret is refused');
SELECT is(pg_temp.post('rotating', 'click_id=a1b2c3&payout=1&token=token-number-' || n || '-long'), CASE n WHEN 1 THEN 'accepted 200' ELSE 'duplicate 200' END, 'secret ' || n)
FROM generate_series(1, 3) AS n;
SELECT is(postback.revoke_network_secrets('rotating', 'token', except_newest => 1), 2, 'the older ones are ended');
SELECT is(left(pg_temp.post('rotating', 'click_id=a1b2c3&payout=1&token=token-number-' || n || '-long'), 15), v, 'then secret ' || n)
FROM (VALUES (1, 'unauthenticated'), (2, 'unauthenticated'), (3, 'duplicate 200')) AS t (n, v);
SELECT is(postback.revoke_network_secrets('rotating', 'token'), 1, 'the last one is ended');
SELECT alike(pg_temp.post('rotating', 'click_id=a1b2c3&payout=1' || t), 'unauthenticated 403: %', 'with all secrets ended nobody gets in')
FROM unnest(ARRAY['', '&token=token-number-3-long']) AS t;
SELECT postback.add_network_secret('rotating', 'token', 'token-of-tomorrow', not_before => now() + interval '1 day') \g /dev/null
SELECT alike(pg_temp.post('rotating', 'click_id=a1b2c3&payout=1&token=token-of-tomorrow'), 'unauthenticated 403: %', 'nor with one of tomorrow');
SELECT throws_ok(statement, '22023', NULL, statement) FROM unnest(ARRAY['SELECT postback.add_network_secret(''other'', ''token'', ''short'')',
    'SELECT postback.add_network_secret(''other'', ''password'')', 'SELECT postback.add_network_secret(''other'', ''path_token'', ''with/slash/and more'')']) AS statement;
SELECT cmp_ok(length(postback.add_network_secret('other', 'token')), '>=', 32, 'left out, a long secret is made');

SELECT * FROM finish();
