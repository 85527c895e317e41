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
FROM unnest('{192.0.2.0,192.0.2.255,2001:db8::1,::ffff:192.0.2.1}'::inet[]) AS ip;
SELECT alike(pg_temp.post('office', 'click_id=a1b2c3&payout=1', source_ip => ip), 'unauthenticated 403: source address is not allowed', 'from ' || coalesce(ip::text, 'nowhere'))
FROM unnest('{192.0.3.0,2001:db9::1,::ffff:192.0.3.1,::192.0.2.1,NULL}'::inet[]) AS ip;
UPDATE postback.networks SET allowed_cidrs = '{}' WHERE slug = 'office';
SELECT alike(pg_temp.post('office', 'click_id=a1b2c3&payout=1'), 'unauthenticated 403: %', 'an empty list of ranges lets nobody in');
SELECT is(postback.allow_sources('office', '{198.51.100.0-127,::ffff:203.0.113.9,2001:db8::1-2001:db8::2}'),
    '{198.51.100.0/25,203.0.113.9/32,2001:db8::1/128,2001:db8::2/128}', 'ranges are set as networks');
SELECT is(left(pg_temp.post('office', 'click_id=a1b2c3&payout=1&transaction_id=' || host(ip), source_ip => ip), 15), v, 'with ranges, from ' || ip)
FROM (VALUES ('198.51.100.127'::inet, 'accepted 200'), ('198.51.100.128', 'unauthenticated'), ('203.0.113.9', 'accepted 200'), ('2001:db8::2', 'accepted 200'),
    ('2001:db8::3', 'unauthenticated'), ('192.0.2.7', 'unauthenticated')) AS t (ip, v);
SELECT throws_ok(format('SELECT postback.allow_sources(''office'', %L)', ARRAY[source]), '22023', format('source "%s" %s', source, why), 'refused: ' || source)
FROM (VALUES ('010.0.0.1', 'is not an address, a range or a network in plain notation without leading zeros'),
    ('0x0a000001', 'is not an address, a range or a network in plain notation without leading zeros'),
    ('192.0.2.7/24', 'has host bits set: the address is not the first one of its network'),
    ('192.0.2.0/33', 'does not have a legal length after its slash'), ('192.0.2.20-7', 'ends before it begins'),
    ('192.0.2.1-2001:db8::1', 'begins as IPv4 and ends as IPv6 or the other way round')) AS t (source, why);
SELECT throws_ok('SELECT postback.allow_sources(''office'', ''{192.0.2.1,NULL}'')', '22023', 'a source is NULL', 'NULL is no source');
SELECT throws_ok('SELECT postback.allow_sources(''nobody'', ''{192.0.2.1}'')', 'P0002', NULL, 'sources of an unknown network');
SELECT is(cardinality(allowed_cidrs), 4, 'a refused list changes nothing') FROM postback.networks WHERE slug = 'office';
SELECT is(postback.allow_sources('office', NULL), NULL, 'NULL lifts the check');
SELECT is(pg_temp.post('office', 'click_id=a1b2c3&payout=1&transaction_id=lifted', source_ip => NULL), 'accepted 200', 'then any source may post');

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
SELECT postback.add_network_secret('rotating', 'token', 'token-of-today-' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT postback.revoke_network_secrets('rotating', 'token') \g /dev/null
SELECT postback.add_network_secret('rotating', 'token', 'token-of-today-3') \g /dev/null
SELECT postback.add_network_secret('rotating', 'token', 'token-of-tomorrow-2', not_before => now() + interval '1 day') \g /dev/null
SELECT alike(postback.postback_url('rotating', 'https://s.example.com'), '%&token=token-of-today-3', 'the URL to paste has the token that counts now');
SELECT is(postback.revoke_network_secrets('rotating', 'token', except_newest => 1), 0, 'one of tomorrow does not make the one of today an old one');
SELECT is(pg_temp.post('rotating', 'click_id=a1b2c3&payout=1&token=token-of-today-3'), 'duplicate 200', 'which goes on counting');
SELECT is(postback.revoke_network_secrets('rotating', 'token'), 2, 'all of them means the one of tomorrow, too');
SELECT throws_ok(statement, '22023', NULL, statement) FROM unnest(ARRAY['SELECT postback.add_network_secret(''other'', ''token'', ''short'')',
    'SELECT postback.add_network_secret(''other'', ''password'')', 'SELECT postback.add_network_secret(''other'', ''path_token'', ''with/slash/and more'')']) AS statement;
SELECT throws_ok('SELECT postback.add_network_secret(''wall'', ''hash'', ''seven77'')', '22023', 'the secret is shorter than 8 bytes', 'a hash secret may be short, not this short');
SELECT cmp_ok(length(postback.add_network_secret('other', 'token')), '>=', 32, 'left out, a long secret is made');

SELECT throws_ok('SELECT postback.add_network_secret(''other'', ''token'', not_before => now(), not_after => now())', '22023', 'the secret would end before it begins', 'an empty window');

-- Hash templates. The vectors: printf %s '42.789.txn_1.a secret of the wall' | md5sum, sha1sum, sha256sum.
SELECT postback.add_network('Wall', 'generic') AS wall \gset
UPDATE postback.networks SET hash_algorithm = 'md5', hash_template = '{user}.{offer_id}.{transaction_id}.{secret}' WHERE slug = 'wall';
SELECT is(pg_temp.post('wall', 'click_id=a1b2c3&payout=1&transaction_id=unguarded'), 'accepted 200', 'a template without a secret checks nothing');
SELECT postback.add_network_secret('wall', 'hash', 'a secret of the wall') \g /dev/null
\set wall 'click_id=a1b2c3&payout=1&user=42&offer_id=789&transaction_id=txn_1'
SELECT is(pg_temp.post('wall', :'wall' || '&' || h), CASE n WHEN 1 THEN 'accepted 200' ELSE 'duplicate 200' END, h)
FROM unnest(ARRAY['sig=2395af32a48cdfe42a795c6dac48be8b', 'hash=2395AF32A48CDFE42A795C6DAC48BE8B', 'signature=2395af32a48CDFE42a795c6dac48be8b&sig=x']) WITH ORDINALITY AS t (h, n);
SELECT is((SELECT checks FROM postback.postbacks ORDER BY postback_id DESC LIMIT 1), '{hash:ok}', 'the check is named');
SELECT is(pg_temp.post('wall', NULL, body => :'wall' || '&sig=2395af32a48cdfe42a795c6dac48be8b'), 'duplicate 200', 'from a form');
SELECT is(pg_temp.post('wall', :'wall' || '&hash=2395af32a48cdfe42a795c6dac48be8b&sig='), 'duplicate 200', 'the first named carrier that is there counts');
SELECT is(pg_temp.post('wall', query), 'unauthenticated 403: ' || why, query)
FROM (VALUES (:'wall', 'the hash is missing'), (:'wall' || '&sig=', 'the hash does not match'), (:'wall' || '&sig=2395af32a48cdfe42a795c6dac48be8', 'the hash does not match'),
    (:'wall' || '&sig=5daf3a4e596deee8f406764360b49aa44577e85f', 'the hash does not match'),
    (replace(:'wall', 'txn_1', 'txn_2') || '&sig=2395af32a48cdfe42a795c6dac48be8b', 'the hash does not match'),
    (replace(:'wall', '&user=42', '') || '&sig=2395af32a48cdfe42a795c6dac48be8b', 'the hashed parameter "user" is missing'),
    (:'wall' || '&user=43&sig=2395af32a48cdfe42a795c6dac48be8b', 'parameter "user" is given twice with different values'),
    (:'wall' || '&sig=2395af32a48cdfe42a795c6dac48be8b&x=%zz', 'a message that cannot be read has no hash')) AS t (query, why);
SELECT alike(pg_temp.post('wall', replace(:'wall', 'txn_1', 'txn_2') || '&sig=2395af32a48cdfe42a795c6dac48be8b', body => 'transaction_id=txn_1'),
    'unauthenticated 403: parameter "transaction_id" is given twice%', 'what is hashed in the body is not read from the query');
UPDATE postback.networks SET parameters = parameters || '{"transaction_id": ["txid", "transaction_id"]}' WHERE slug = 'wall';
SELECT alike(pg_temp.post('wall', :'wall' || '&sig=2395af32a48cdfe42a795c6dac48be8b&txid=other'),
    'unauthenticated 403: parameter "txid" is not hashed%', 'nor may another name of the same field slip past');
UPDATE postback.networks SET parameters = parameters || '{"signature": ["digest"]}' WHERE slug = 'wall';
SELECT is(pg_temp.post('wall', :'wall' || '&digest=2395af32a48cdfe42a795c6dac48be8b&sig=x'), 'duplicate 200', 'the network''s own name of the hash');
SELECT postback.add_network_secret('wall', 'hash', 'another secret of the wall ' || n) FROM generate_series(1, 2) AS n \g /dev/null
SELECT throws_ok('SELECT postback.add_network_secret(''wall'', ''hash'')', 'PB301', NULL, 'a fourth active hash secret is refused');
SELECT is(pg_temp.post('wall', :'wall' || '&digest=' || h), 'duplicate 200', 'any of the three secrets')
FROM unnest(ARRAY['2395af32a48cdfe42a795c6dac48be8b', md5('42.789.txn_1.another secret of the wall 1'), md5('42.789.txn_1.another secret of the wall 2')]) AS h;
SELECT is(postback.revoke_network_secrets('wall', 'hash', except_newest => 1), 2, 'the older hash secrets are ended');
SELECT alike(pg_temp.post('wall', :'wall' || '&digest=2395af32a48cdfe42a795c6dac48be8b'), 'unauthenticated 403: the hash does not match', 'and let nobody in any more');
UPDATE postback.networks SET hash_algorithm = 'sha256' WHERE slug = 'wall';
SELECT is(pg_temp.post('wall', :'wall' || '&digest=' || encode(sha256('42.789.txn_1.another secret of the wall 2'), 'hex')), 'duplicate 200', 'sha256');
UPDATE postback.networks SET hash_algorithm = 'sha1' WHERE slug = 'wall';
SELECT is(pg_temp.post('wall', :'wall' || '&digest=' || encode(tap.digest('42.789.txn_1.another secret of the wall 2', 'sha1'), 'hex')), 'duplicate 200', 'sha1');
UPDATE postback.networks SET hash_algorithm = NULL, hash_template = NULL WHERE slug = 'wall';
SELECT alike(pg_temp.post('wall', :'wall' || '&digest=2395af32a48cdfe42a795c6dac48be8b'), 'unauthenticated 403: the network has no hash_template', 'a secret without a template lets nobody in');

-- ClickBank INS, against pgcrypto as the sender.
CREATE FUNCTION pg_temp.ins(notification text, secret text, padding text DEFAULT 'pkcs') RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(jsonb_build_object(
        'notification', encode(tap.encrypt_iv(convert_to(notification, 'UTF8'), convert_to(left(encode(tap.digest(secret, 'sha1'), 'hex'), 32), 'UTF8'),
            '\x000102030405060708090a0b0c0d0e0f', 'aes-cbc/pad:' || padding), 'base64'),
        'iv', encode('\x000102030405060708090a0b0c0d0e0f'::bytea, 'base64'))::text, 'UTF8')
$$;
SELECT postback.add_network('Bank', 'generic') AS bank \gset
SELECT is(_postback.opened_body(:bank, 'a body', now()), 'a body', 'a network without such a secret: the body itself');
SELECT is(_postback.opened_body(:bank, NULL, now()), NULL, 'or none');
SELECT postback.add_network_secret('bank', 'clickbank_ins', '0123456789ABCDEF') \g /dev/null
\set notification '{"receipt": "ABCD1234", "totalAccountAmount": 12.50, "test": false, "trackingCodes": ["a1b2c3", "second"], "customer": {"email": "x@example.com"}}'
SELECT is(convert_from(_postback.decrypt_clickbank(pg_temp.ins(:'notification', '0123456789ABCDEF'), '{another secret 123,0123456789ABCDEF}'), 'UTF8'), :'notification', 'one of the secrets opens it');
SELECT is(_postback.decrypt_clickbank(pg_temp.ins(:'notification', '0123456789ABCDEF'), '{another secret 123}'), NULL, 'another does not');
SELECT is(convert_from(_postback.opened_body(:bank, pg_temp.ins(:'notification', '0123456789ABCDEF'), now()), 'UTF8')::jsonb,
    '{"receipt": "ABCD1234", "totalAccountAmount": 12.50, "test": false, "tid": "a1b2c3"}'::jsonb, 'its scalars, and the first tracking code');
SELECT is(convert_from(_postback.opened_body(:bank, pg_temp.ins('{"receipt": "0123456789ABCDEF012"}' || repeat(chr(1), 14), '0123456789ABCDEF', 'none'), now()), 'UTF8')::jsonb,
    '{"receipt": "0123456789ABCDEF012"}'::jsonb, 'padding of any kind is trimmed');
SELECT is(_postback.opened_body(:bank, body, now()), NULL, 'not opened: ' || coalesce(left(encode(body, 'escape'), 30), 'none'))
FROM unnest(ARRAY[NULL, '', '{}', 'click_id=a1b2c3', '{"notification": "AAAA", "iv": "AAAA"}', convert_to(:'notification', 'UTF8'), pg_temp.ins(:'notification', 'another secret 123'),
    pg_temp.ins('no object', '0123456789ABCDEF'), pg_temp.ins('[]', '0123456789ABCDEF')]::bytea[]) AS body;
SELECT is(a.failure, v, coalesce(v, 'an opened body passes'))
FROM (VALUES (NULL, pg_temp.ins(:'notification', '0123456789ABCDEF'), NULL), (NULL, pg_temp.ins(:'notification', 'another secret 123'), 'no secret opens the body'),
    ('click_id=a1b2c3', NULL, 'a query beside an encrypted body'), (NULL, NULL, 'no secret opens the body'),
    ('click_id=a1b2c3', pg_temp.ins(:'notification', '0123456789ABCDEF'), 'a query beside an encrypted body')) AS t (query, body, v)
CROSS JOIN LATERAL _postback.read_messages(ARRAY['bank'], ARRAY[convert_to(t.query, 'UTF8')], NULL, NULL, ARRAY['POST'], ARRAY['/postback/bank'], ARRAY[t.body],
    ARRAY['application/json'], NULL, now()) AS a;
SELECT alike(pg_temp.post('bank', 'click_id=a1b2c3&payout=1'), 'unauthenticated 403: %', 'a message in the clear is refused');

-- A signed time: asked for by name, covered by a signature, within 300 s of the receipt on both sides.
SELECT postback.add_network(n, 'generic') FROM unnest(ARRAY['Timely', 'Timely Wall', 'Timeless']) AS n \g /dev/null
UPDATE postback.networks SET signed_time_parameter = 'ts' WHERE slug IN ('timely', 'timely-wall', 'timeless');
SELECT postback.add_network_secret('timely', 'hmac', 'secret of timely, long') \g /dev/null
CREATE FUNCTION pg_temp.at_noon(network text, query text) RETURNS text LANGUAGE sql AS $$
    SELECT r.verdict || ' ' || r.http_status FROM postback.receive_postbacks(ARRAY[network], ARRAY[convert_to(query, 'UTF8')], now => '2026-11-20 12:00:00+00') AS r
$$;
\set noon 1795176000
SELECT is(extract(epoch FROM timestamptz '2026-11-20 12:00:00+00')::bigint, :noon::bigint, 'noon');
SELECT is(pg_temp.at_noon('timely', pg_temp.signed('click_id=a1b2c3&payout=1&transaction_id=ts' || t || '&ts=' || (:noon + t), 'secret of timely, long')), v, t || ' s')
FROM (VALUES (0, 'accepted 200'), (-299, 'accepted 200'), (-300, 'accepted 200'), (-301, 'unauthenticated 403'), (299, 'accepted 200'), (300, 'accepted 200'), (301, 'unauthenticated 403')) AS t (t, v);
SELECT is(pg_temp.at_noon('timely', pg_temp.signed('click_id=a1b2c3&payout=1&transaction_id=bad' || t, 'secret of timely, long')), 'unauthenticated 403', 'time: ' || t)
FROM unnest(ARRAY['', '&ts=', '&ts', '&ts=0', '&ts=-1', '&ts=1e18', '&ts=1000000000000000000', '&ts=' || repeat('9', 400), '&ts=12.5', '&ts=0x10', '&ts=%20' || :noon, '&ts=+' || :noon,
    '&ts=' || :noon || '%20', '&ts=' || :noon || '%0A', '&ts=' || :noon || '000', '&ts=' || :noon || '.0', '&ts=0' || :noon, '&ts=%2B' || :noon, '&ts=NaN', '&ts=%D9%A1', '&TS=' || :noon,
    '&ts=' || :noon || '&ts=' || (:noon + 1)]) AS t;
SELECT is((SELECT count(*) FROM postback.postbacks WHERE reason = 'the signed time is not there once as whole Unix seconds'), 22::bigint, 'each for that reason alone');
SELECT is(pg_temp.at_noon('timely', 'click_id=a1b2c3&payout=1&transaction_id=late&ts=' || :noon || '&sig=' || repeat('0', 64)), 'unauthenticated 403', 'the right time signs nothing');
SELECT is((SELECT checks FROM postback.postbacks WHERE 'time:ok' = ANY (checks) AND 'hmac:refused' = ANY (checks)), '{hmac:refused,time:ok}', 'each check is named');
SELECT is(pg_temp.at_noon('timeless', 'click_id=a1b2c3&payout=1&ts=' || :noon), 'unauthenticated 403', 'a time that nothing signs is refused');
UPDATE postback.networks SET hash_algorithm = 'md5', hash_template = '{transaction_id}.{secret}' WHERE slug = 'timely-wall';
SELECT postback.add_network_secret('timely-wall', 'hash', 'a secret of the wall') \g /dev/null
SELECT is(pg_temp.at_noon('timely-wall', 'click_id=a1b2c3&payout=1&transaction_id=tw&ts=' || :noon || '&sig=' || md5('tw.a secret of the wall')), 'unauthenticated 403', 'so is one outside the template');
UPDATE postback.networks SET hash_template = '{transaction_id}.{ts}.{secret}' WHERE slug = 'timely-wall';
SELECT is(pg_temp.at_noon('timely-wall', 'click_id=a1b2c3&payout=1&transaction_id=tw&ts=' || t || '&sig=' || md5('tw.' || t || '.a secret of the wall')), v, 'in the template: ' || t)
FROM (VALUES (:noon, 'accepted 200'), (:noon - 301, 'unauthenticated 403')) AS t (t, v);

-- Nothing of a secret is kept, whatever was sent where.
SELECT is((SELECT count(*) FROM postback.postbacks AS p CROSS JOIN _postback.network_secrets AS s
    WHERE s.kind IN ('hash', 'clickbank_ins', 'hmac') AND strpos(p::text || encode(coalesce(p.query, ''), 'escape') || encode(coalesce(p.body, ''), 'escape'), s.secret) > 0), 0::bigint,
    'no secret is in what is kept');

SELECT * FROM finish();
