-- A network's configuration is checked when it is typed, not when a message meets it.
SELECT no_plan();
SELECT is(postback.add_network('Ünder Näme 7', 'tune') > 0, true, 'any name will do');
SELECT is((SELECT slug FROM postback.networks WHERE name = 'Ünder Näme 7'), 'under-name-7', 'its slug is a path segment');
SELECT postback.add_network('ACME Ads, Inc.') \g /dev/null
SELECT is((SELECT slug FROM postback.networks WHERE name = 'ACME Ads, Inc.'), 'acme-ads-inc', 'lower case with dashes');
SELECT throws_ok('SELECT postback.add_network(''acme ads inc'')', '23505', 'network "acme-ads-inc" exists already', 'two networks cannot share a slug');
SELECT throws_ok('SELECT postback.add_network(''---'')', '22023', NULL, 'a name without letters or digits has no slug');
SELECT throws_ok('SELECT postback.add_network(''Партнёры'')', '22023', NULL, 'nor has one in other letters');
SELECT ok(postback.add_network('Партнёры', slug => 'partnery') > 0, 'but one can be given');
SELECT throws_ok('SELECT postback.add_network(''Two'', slug => ''No Slug'')', '22023', NULL, 'which must be a path segment');
SELECT postback.add_network(repeat('Long name ', 20)) \g /dev/null
SELECT is((SELECT max(length(slug)) FROM postback.networks), 63, 'a long name is cut');
SELECT throws_ok('SELECT postback.add_network(''X'', ''nobody'')', 'P0002', 'preset "nobody" does not exist', 'the preset must exist');
SELECT throws_ok('SELECT postback.add_network(''X'', time_zone => ''Mars/Olympus'')', '22023', NULL, 'so must the time zone');
SELECT throws_ok('SELECT postback.add_network(''X'', currency => ''usd'')', '22023', 'currency "usd" is not known', 'a currency is three capital letters');
SELECT throws_ok('SELECT postback.add_network(''X'', currency => ''ZZZ'')', '22023', 'nobody is paid in the currency "ZZZ"', 'that are in ISO 4217');
SELECT throws_ok('SELECT postback.add_network(''X'', signature_scheme => ''md5'')', '23514', NULL, 'a signature scheme is one of ours');

SELECT throws_ok(format('UPDATE postback.networks SET statuses = %L WHERE slug = ''default''', map), '23514', NULL, format('statuses %s are refused', map))
FROM unnest(ARRAY['{"sale": "nonsense"}', '{"sale": "Approved"}', '{"Sale": "approved"}', '{"sale": null}', '{"sale": 1}', '{"sale": ["approved"]}',
    '{"sale": {"a": "approved"}}', '["approved"]', '"approved"']) AS map;
SELECT lives_ok(format('UPDATE postback.networks SET statuses = %L WHERE slug = ''default''', map), format('statuses %s are accepted', map))
FROM unnest(ARRAY['{}', '{"sale": "approved", "lead": "pending", "annulé": "rejected", "back": "reversed"}']) AS map;
SELECT throws_ok('UPDATE postback.networks SET time_zone = ''Mars/Olympus'' WHERE slug = ''default''', '22023', NULL, 'a time zone that is none is refused later too');

SELECT matches(postback.postback_url('ACME Ads, Inc.', 'https://s.example.com/'), '^https://s\.example\.com/postback/acme-ads-inc\?click_id=\{click_id\}&',
    'postback_url() takes a name or a slug and keeps the network''s macros');
SELECT throws_ok('SELECT postback.postback_url(''nobody'', ''https://s.example.com'')', 'P0002', 'network "nobody" does not exist', 'an unknown network has no URL');
SELECT is(postback.offer_url_hint('under-name-7'), 'aff_click_id={click_id}', 'offer_url_hint() says what the offer link needs');

-- Everything in a preset can be said otherwise for one network; the rest stays the preset's.
SELECT postback.add_network('Mine', 'affise', currency => 'EUR', time_zone => 'Europe/Berlin', parameters => '{"click_id": ["cid"], "token": ["key"]}',
    statuses => '{"7": "Approved", "Lead": "pending", "5": null}', default_status => 'pending', dedupe => '{"transaction_id","click_id,event"}',
    joins_payouts => true, duplicate_policies => '{"rebill": "new", "*": "ignore"}', reversal_scope => 'click', reversal_limit => 3,
    hash_algorithm => 'sha256', hash_template => '{cid}{secret}', signed_time_parameter => 'ts') \g /dev/null
SELECT results_eq($$
    SELECT n.parameters - ARRAY['click_id', 'token'] = p.parameters - ARRAY['click_id', 'token'], n.parameters -> 'click_id', n.statuses -> '1', n.statuses -> '7', n.statuses -> 'lead',
        n.statuses ? '5', n.default_status, n.dedupe, n.currency::text COLLATE "default", n.time_zone, n.joins_payouts, n.duplicate_policies, n.reversal_scope, n.reversal_limit, n.hash_algorithm,
        n.hash_template, n.signed_time_parameter
    FROM postback.networks AS n JOIN postback.network_presets AS p USING (preset) WHERE n.slug = 'mine' $$, $$
    VALUES (true, '["cid"]'::jsonb, '"approved"'::jsonb, '"approved"'::jsonb, '"pending"'::jsonb, false, 'pending'::postback.conversion_status,
        ARRAY['transaction_id', 'click_id,event'], 'EUR', 'Europe/Berlin', true, '{"rebill": "new", "*": "ignore"}'::jsonb, 'click', 3, 'sha256', '{cid}{secret}', 'ts') $$,
    'overrides are merged over the preset');
SELECT postback.add_network('Same', 'affise') \g /dev/null
SELECT ok(n.click_slot = p.click_slot AND n.macros = p.macros AND n.parameters = p.parameters AND n.statuses = p.statuses AND n.dedupe = p.dedupe AND n.default_status IS NOT DISTINCT FROM p.default_status
    AND n.currency = p.currency AND n.time_zone = p.time_zone AND n.joins_payouts = p.joins_payouts, 'without overrides a network is its preset')
FROM postback.networks AS n JOIN postback.network_presets AS p USING (preset) WHERE n.slug = 'same';
SELECT postback.add_network('Mapped', allowed_cidrs => '{::ffff:198.51.100.0/120,2001:db8::/32}') \g /dev/null
SELECT is(allowed_cidrs, '{198.51.100.0/24,2001:db8::/32}', 'an IPv4 network mapped into IPv6 is what it is') FROM postback.networks WHERE slug = 'mapped';
SELECT throws_ok('UPDATE postback.networks SET allowed_cidrs = ''{::ffff:198.51.100.0/120}''', '23514', NULL, 'and is refused where nothing rewrites it');
SELECT postback.add_network_secret('mine', 'token', 'the-token-of-mine') \g /dev/null
SELECT is(postback.postback_url('mine', 'https://s.example.com'),
    'https://s.example.com/postback/mine?cid={sub1}&payout={sum}&currency={currency}&offerid={offerid}&transactionid={transactionid}&goal={goal}&status={status}&timestamp={timestamp}'
    '&key=the-token-of-mine', 'the URL has the names that the network reads, and the preset''s macros');

SELECT postback.add_network('Slots', 'tune', click_slot => 'aff_sub3', macros => '[["click_id", "{aff_sub3}"], ["payout", "{payout}"], ["sum", "{sale}"]]') \g /dev/null
SELECT is(postback.offer_url_hint('slots'), 'aff_sub3={click_id}', 'the click id rides in the slot of this network');
SELECT is(postback.postback_url('slots', 'https://s.example.com'), 'https://s.example.com/postback/slots?click_id={aff_sub3}&payout={payout}&sum={sale}',
    'and its own macros are asked for');
SELECT is(query LIKE 'click\_id=%', true, 'a test has its names') FROM postback.test_postback('slots');
SELECT throws_ok(format('UPDATE postback.networks SET %s WHERE slug = ''slots''', change), state, NULL, format('later too: %s is refused', change))
FROM (VALUES ('macros = ''[["a"]]''', '22023'), ('macros = ''[["payout", "{payout}"]]''', '22023'), ('click_slot = ''a b''', '22023'), ('parameters = ''[]''', '22023'),
    ('parameters = ''{"click_id": "cid"}''', '22023'), ('parameters = ''{"click_idd": ["cid"]}''', '22023'), ('parameters = parameters || ''{"click_id": [1, null]}''', '22023'),
    ('dedupe = ''{}''', '22023'), ('dedupe = ''{nonsense}''', '22023'), ('currency = ''ZZZ''', '22023'), ('signed_time_parameter = ''''', '22023'), ('reversal_limit = 0', '22023'),
    ('answer_content_type = E''text/plain\r\nX: y''', '23514'), ('answer_content_type = ''''', '23514')) AS v (change, state);
SELECT lives_ok(format('UPDATE postback.networks SET %s WHERE slug = ''slots''', change), format('%s is accepted', change))
FROM unnest(ARRAY['parameters = parameters || ''{"click_id": ["cid"]}''', 'parameters = parameters || ''{"payout": []}''', 'signed_time_parameter = ''ts''', 'dedupe = ''{click_id}''']) AS change;
SELECT alike(postback.postback_url('slots', 'https://s.example.com'), '%?cid={aff_sub3}&%', 'the URL has the name that is read now');

SELECT throws_ok(format('SELECT postback.add_network(''X'', %s)', given), '22023', message, format('%s is refused', given))
FROM (VALUES
    ('parameters => ''[]''', 'parameters must be a JSON object'),
    ('parameters => ''{"clickid": ["cid"]}''', 'parameters has a field "clickid" that is not known'),
    ('parameters => ''{"click_id": "cid"}''', 'parameters of the field "click_id" must be an array of names'),
    ('parameters => ''{"click_id": null}''', 'parameters of the field "click_id" must be an array of names'),
    ('parameters => ''{"click_id": ["cid", 1]}''', 'parameters of the field "click_id" must be an array of names'),
    ('parameters => ''{"click_id": [""]}''', 'parameters of the field "click_id" must be an array of names'),
    ('statuses => ''["sale"]''', 'statuses must be a JSON object'),
    ('statuses => ''{"sale": "sold"}''', 'the status word "sale" leads nowhere'),
    ('statuses => ''{"sale": ["approved"]}''', 'the status word "sale" leads nowhere'),
    ('dedupe => ''{}''', 'dedupe is empty: no message would have a key'),
    ('dedupe => ''{"order_id"}''', 'dedupe has the recipe "order_id", which is not known'),
    ('dedupe => ''{"click_id, event"}''', 'dedupe has the recipe "click_id, event", which is not known'),
    ('dedupe => ''{""}''', 'dedupe has the recipe "", which is not known'),
    ('dedupe => ARRAY[NULL]', 'dedupe has the recipe "NULL", which is not known'),
    ('duplicate_policies => ''[]''', 'duplicate_policies must be a JSON object'),
    ('duplicate_policies => NULL', 'duplicate_policies must be a JSON object'),
    ('duplicate_policies => ''{"sale": "drop"}''', 'the duplicate policy "drop" of the event "sale" is not known'),
    ('duplicate_policies => ''{"sale": null}''', 'the duplicate policy "null" of the event "sale" is not known'),
    ('reversal_scope => ''all''', 'reversal_scope "all" is not known'),
    ('reversal_limit => 0', 'reversal_limit must be at least 1'),
    ('macros => ''[["payout", "{payout}"]]''', 'macros ask for no click id and no transaction'),
    ('signed_time_parameter => ''a b''', 'signed_time_parameter "a b" is no parameter'),
    ('click_slot => ''a=b''', 'click_slot "a=b" is no parameter of a link'),
    ('click_slot => ''''', 'click_slot "" is no parameter of a link'),
    ('macros => ''{"click_id": "{aff_sub}"}''', 'macros must be a JSON array of pairs'),
    ('macros => ''[]''', 'macros must be a JSON array of pairs'),
    ('macros => ''[["click_id"]]''', 'macros must be a JSON array of pairs'),
    ('macros => ''[["click&id", "{aff_sub}"]]''', 'macros must be a JSON array of pairs'),
    ('macros => ''[["click_id", 1]]''', 'macros must be a JSON array of pairs'),
    ('macros => ''[["click_id", ""]]''', 'macros must be a JSON array of pairs'),
    ('hash_algorithm => ''md5''', 'hash_algorithm and hash_template go together'),
    ('hash_template => ''{secret}''', 'hash_algorithm and hash_template go together'),
    ('hash_algorithm => ''crc32'', hash_template => ''{secret}''', 'hash_algorithm "crc32" is not known'),
    ('hash_algorithm => ''md5'', hash_template => ''{user}''', 'hash_template has no {secret}: anybody could compute it')) AS g (given, message);
SELECT ok(NOT EXISTS (SELECT FROM postback.networks WHERE slug = 'x'), 'what was refused left nothing');

SELECT * FROM finish();
