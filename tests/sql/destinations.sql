-- A destination leads to the public Internet, says only what it may, and signs under secrets of the right kind.
SELECT no_plan();

SELECT throws_like(format('SELECT postback.add_destination(''Inside'', %L)', url), '%host is not public but ' || why || '%', format('target %s is refused', url))
FROM (VALUES
    ('http://127.0.0.1/', 'loopback ("127.0.0.1")'), ('http://2130706433/', 'loopback ("127.0.0.1")'), ('http://0x7f.1/', 'loopback ("127.0.0.1")'),
    ('http://127.1/', 'loopback ("127.0.0.1")'), ('http://①②⑦.0.0.1/', 'loopback ("127.0.0.1")'), ('http://[::1]/', 'loopback ("::1")'),
    ('http://[::ffff:127.0.0.1]/', 'an IPv4 address inside an IPv6 one'), ('http://[64:ff9b::a00:1]/', 'an IPv4 address inside an IPv6 one'),
    ('http://[2002:7f00:1::1]/', 'an IPv4 address inside an IPv6 one'), ('http://169.254.169.254/latest/meta-data', 'link-local ("169.254.169.254")'),
    ('http://10.0.0.1/', 'private'), ('http://172.16.0.1/', 'private'), ('http://192.168.0.1/', 'private'), ('http://[fd00:ec2::254]/', 'private'),
    ('http://100.64.0.1/', 'shared by a carrier'), ('http://0.0.0.0/', 'unspecified'), ('http://224.0.0.1/', 'multicast'),
    ('http://255.255.255.255/', 'broadcast'), ('http://192.0.2.1/', 'documentation'), ('http://198.18.0.1/', 'benchmarking'),
    ('http://localhost/', 'a name of an inside network'), ('http://a.localhost/', 'a name of an inside network'),
    ('http://printer.local/', 'a name of an inside network'), ('http://metadata.google.internal/', 'a name of an inside network'),
    ('http://db/', 'a name of an inside network')) AS v (url, why);
SELECT throws_ok(format('SELECT postback.add_destination(''Odd'', %L)', url), '23514', 'url_template is refused: ' || why, format('URL %s is refused', to_json(url)))
FROM (VALUES
    ('http://localhost./', 'the host ends in a dot'), ('https://example.com./', 'the host ends in a dot'),
    ('file:///etc/passwd', 'the URL does not start with "http://" or "https://"'), ('gopher://example.com/', 'the URL does not start with "http://" or "https://"'),
    ('https://example.com:25/', 'the port "25" belongs to another protocol than HTTP'),
    ('https://example.com:5432/', 'the port "5432" belongs to another protocol than HTTP'),
    ('https://user:secret@example.com/', 'the URL has a user name or password before its host'),
    ('https://example.com/#a', 'the URL has a fragment, which is never sent'), ('https://{click_id}.example.com/', 'the URL has a macro in its host or port'),
    (E'https://example.com/\r\nX: y', 'the URL contains the character "\r"'), ('https://example.com/{secret}', 'the macro "{secret}" is unknown'),
    ('', 'the URL does not start with "http://" or "https://"')) AS v (url, why);
SELECT is((SELECT count(*) FROM postback.destinations), 0::bigint, 'none of them was saved');

SELECT throws_ok(format('SELECT postback.add_destination(''Wrong'', ''https://example.com/'', %s)', given), state, NULL, format('%s is refused', given))
FROM (VALUES
    ('23514', 'method => ''DELETE'''), ('23514', 'body_template => ''{}'''), ('23514', 'content_type => ''application/json'''),
    ('23514', 'method => ''POST'', body_template => ''{"a": {click_id}'''), ('23514', 'method => ''POST'', body_template => ''{"a": {nothing}}'''),
    ('23514', 'method => ''POST'', body_template => ''<a/>'', content_type => ''text/xml'''),
    ('23514', 'method => ''POST'', body_template => ''a={click_id} b'', content_type => ''application/x-www-form-urlencoded'''),
    ('23514', 'signing => ''rot13'''), ('23514', 'max_concurrency => 0'), ('23514', 'max_concurrency => 101'), ('23514', 'max_rate => 0'),
    ('23514', 'max_rate => ''NaN'''), ('23514', 'timeout => ''31 seconds'''), ('23514', 'timeout => ''0'''), ('23514', 'disable_after => 0'),
    ('23514', 'retry_after_failures => ''{-1 seconds}'''), ('23514', 'retry_after_failures => ''{NULL}'''), ('23514', 'statuses => ''{NULL}'''),
    ('22023', 'secret => ''0123456789abcdef'''), ('22023', 'signing => ''hmac_sha256'', secret => ''short'''),
    ('22023', 'signing => ''standard_webhooks'', secret => ''0123456789abcdef0123456789abcdef'''), ('P0002', 'network => ''nobody'''),
    ('P0002', 'offer_id => 404')) AS v (state, given);
SELECT throws_ok('SELECT postback.add_destination('''', ''https://example.com/'')', '23514', NULL, 'a destination has a name');

-- What is inside may be reached once the owner says so, by literal address or by name.
SELECT postback.allow_deliveries_to('127.0.0.0/8', 'a receiver beside us') \g /dev/null
SELECT lives_ok('SELECT postback.add_destination(''Loopback'', ''http://0x7f.1:8080/'')', 'an exception lets an address in, in any spelling');
SELECT lives_ok('SELECT postback.add_destination(''By name'', ''http://localhost:8080/'')', 'and names of the inside');
SELECT throws_ok('SELECT postback.add_destination(''Private'', ''http://10.0.0.1/'')', '23514', NULL, 'but no address outside of it');
SELECT throws_ok('SELECT postback.add_destination(''Mapped'', ''http://[::ffff:127.0.0.1]/'')', '23514', NULL, 'nor one in disguise');
SELECT postback.refuse_deliveries_to('127.0.0.0/8') \g /dev/null
SELECT throws_ok('UPDATE postback.destinations SET url_template = ''http://127.0.0.1/'' WHERE name = ''By name''', '23514', NULL,
    'a URL is checked again when it is changed');
SELECT throws_ok('SELECT postback.refuse_deliveries_to(''127.0.0.0/8'')', 'P0002', 'deliveries to "127.0.0.0/8" are not allowed anyway',
    'what is not allowed cannot be taken back');

-- Secrets.
SELECT postback.add_destination('Signed', 'https://example.com/', signing => 'standard_webhooks') AS signed \gset
CREATE FUNCTION pg_temp.secrets() RETURNS text[] LANGUAGE sql AS
    'SELECT array_agg(s.secret ORDER BY s.secret_id DESC) FROM _postback.destination_secrets AS s JOIN postback.destinations AS d USING (destination_id) WHERE d.name = ''Signed''';
SELECT matches((pg_temp.secrets())[1], '^whsec_[A-Za-z0-9+/]{43}=$', 'a random secret is made');
SELECT is(postback.set_destination_secret('Signed', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'one of our own');
SELECT postback.set_destination_secret('Signed', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD') \g /dev/null
SELECT is(pg_temp.secrets(), '{whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}', 'two at most are kept, the newest first');
SELECT postback.set_destination_secret('Signed', keep_old => false) \g /dev/null
SELECT is(cardinality(pg_temp.secrets()), 1, 'or one alone');
SELECT throws_ok('SELECT postback.set_destination_secret(''Signed'', ''no secret'')', '22023',
    'the secret is refused: the secret is not "whsec_" and the base64 of 24 to 64 bytes', 'a wrong one is refused and not repeated in the error');
SELECT is(length(postback.set_destination_secret('Signed', signing => 'hmac_sha256')), 64, 'another way to sign');
SELECT is((SELECT signing FROM postback.destinations WHERE name = 'Signed'), 'hmac_sha256', 'is taken with its secret');
SELECT is(cardinality(pg_temp.secrets()), 1, 'and the secret of the other way is gone');
SELECT postback.add_destination('Plain', 'https://example.com/') AS plain \gset
SELECT throws_ok('UPDATE postback.destinations SET signing = ''hmac_sha256'' WHERE name = ''Plain''', '23514',
    'destination "Plain" has no secret to sign with', 'nothing is sent as if it were signed');
SELECT throws_ok('UPDATE postback.destinations SET signing = ''standard_webhooks'' WHERE name = ''Signed''', '22023', NULL, 'nor under a secret of another kind');
SELECT throws_ok('SELECT postback.set_destination_secret(''Plain'')', '22023', 'destination "Plain" signs nothing', 'what signs nothing needs no secret');
SELECT throws_ok('SELECT postback.set_destination_secret(''Nobody'')', 'P0002', 'destination "Nobody" does not exist', 'an unknown destination is told');

SELECT * FROM finish();
