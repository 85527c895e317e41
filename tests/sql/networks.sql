-- A network's configuration is checked when it is typed, not when a message meets it.
SELECT no_plan();
SELECT is(postback.add_network('Ünder Näme 7', 'tune') > 0, true, 'any name will do');
SELECT is((SELECT slug FROM postback.networks WHERE name = 'Ünder Näme 7'), 'nder-n-me-7', 'its slug is a path segment');
SELECT postback.add_network('ACME Ads, Inc.') \g /dev/null
SELECT is((SELECT slug FROM postback.networks WHERE name = 'ACME Ads, Inc.'), 'acme-ads-inc', 'lower case with dashes');
SELECT throws_ok('SELECT postback.add_network(''acme ads inc'')', '23505', NULL, 'two networks cannot share a slug');
SELECT throws_ok('SELECT postback.add_network(''---'')', '23514', NULL, 'a name without letters or digits has no slug');
SELECT throws_ok('SELECT postback.add_network(''X'', ''nobody'')', 'P0002', 'preset "nobody" does not exist', 'the preset must exist');
SELECT throws_ok('SELECT postback.add_network(''X'', time_zone => ''Mars/Olympus'')', '22023', NULL, 'so must the time zone');
SELECT throws_ok('SELECT postback.add_network(''X'', currency => ''usd'')', '23514', NULL, 'a currency is three capital letters');
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
SELECT is(postback.offer_url_hint('nder-n-me-7'), 'aff_click_id={click_id}', 'offer_url_hint() says what the offer link needs');

SELECT * FROM finish();
