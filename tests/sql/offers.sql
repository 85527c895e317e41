-- A redirect goes to a template that somebody stored; request data enters it percent-encoded and never its host.
SELECT no_plan();

SELECT throws_ok(format('SELECT postback.add_offer(''Offer'', %L)', url), '23514', NULL, format('template %s is refused', to_json(left(url, 60))))
FROM unnest(ARRAY[
    '', 'example.com/?c={click_id}', '//example.com/?c={click_id}', 'javascript:alert("{click_id}")', 'JavaScript:alert("{click_id}")',
    'data:text/html,{click_id}', 'ftp://example.com/{click_id}', 'file:///{click_id}', '{click_id}', '{sub1}://example.com/?c={click_id}',
    'https://{sub1}.example.com/?c={click_id}', 'https://example.com{sub1}/?c={click_id}', 'https://example.com:{sub1}/?c={click_id}',
    'https://{click_id}@example.com/', 'https://user:secret@example.com/?c={click_id}', 'https://example.com@{sub1}/?c={click_id}',
    'https:///offer?c={click_id}', 'https://?c={click_id}', 'https://example.com/', 'https://example.com/?c={clickid}',
    'https://example.com/?c={click_id}&x={unknown}', 'https://example.com/?c={click_id', 'https://example.com/?c={{click_id}}',
    'https://example.com/?c={click_id}&x=a b', 'https://example.com\@evil.example/?c={click_id}', E'https://example.com/?c={click_id}\r\nSet-Cookie: a=b',
    ' https://example.com/?c={click_id}',
    E'\tjavascript:alert("{click_id}")', E'java\tscript:alert("{click_id}")', '//evil', '/\evil.example/{click_id}',
    'https://example.com/{sub1}../?c={click_id}', 'https://example.com/?c={click_id}&x=' || repeat('x', 4096)]) AS url;
SELECT throws_ok('SELECT postback.add_offer(''Offer'', NULL)', '23502', NULL, 'no template is refused');

SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
SELECT throws_ok('UPDATE postback.offers SET url_template = ''https://{sub1}/{click_id}'' WHERE offer_id = 789', '23514', NULL,
    'a template is checked again when it is changed');
SELECT lives_ok(format('SELECT postback.add_offer(''Offer'', %L)', url), format('template "%s" is accepted', url))
FROM unnest(ARRAY['http://example.com/{click_id}', 'https://example.com:8443/o?c={click_id}#{sub1}', 'https://[2001:db8::1]/?c={click_id}',
    'https://example.com/?c={click_id}&a={campaign_id}&s={segment_id}&v={variant_id}&o={offer_id}&n={send_id}&x={sub1}&y={sub10}']) AS url;

SELECT throws_ok(statement, '23514', NULL, 'refused: ' || statement)
FROM unnest(ARRAY[
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', click_window => ''0'')',
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', click_window => ''-1 day'')',
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', model => ''random'')',
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', payout => -1)',
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', payout => ''NaN'')',
    'SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', payout => ''Infinity'')']) AS statement;
SELECT throws_ok('SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', network => ''nobody'')', 'P0002',
    'network "nobody" does not exist', 'an offer of an unknown network is refused');
SELECT throws_ok('SELECT postback.add_offer(''Offer'', ''https://example.com/{click_id}'', offer_id => 789)', '23505', NULL,
    'an offer number is given once');

-- Rendering. An offer with every macro, tapped through /click.
SELECT postback.add_offer('Macros', 'https://example.com/{sub2}/o?c={click_id}&a={campaign_id}&s={segment_id}&o={offer_id}&n={send_id}&x={sub1}&y={sub10}#{sub1}',
    offer_id => 890) AS offer_id \gset
SELECT is(
    (SELECT location FROM postback.record_click(campaign_id => 456, offer_id => 890, click_id => 'a1b2c3', subs => '{"sub1": "x", "sub2": "p"}')),
    'https://example.com/p/o?c=a1b2c3&a=456&s=&o=890&n=&x=x&y=#x', 'macros are filled in, those without a value are empty');
SELECT is(
    (SELECT location FROM postback.record_click(campaign_id => 456, offer_id => 890, click_id => 'a1b2c4',
        subs => '{"sub1": "a&b=c d%/?#\"\r\n", "sub2": "../x", "sub10": "ä{click_id}"}')),
    'https://example.com/..%2Fx/o?c=a1b2c4&a=456&s=&o=890&n=&x=a%26b%3Dc%20d%25%2F%3F%23%22%0D%0A&y=%C3%A4%7Bclick_id%7D#a%26b%3Dc%20d%25%2F%3F%23%22%0D%0A',
    'values are percent-encoded and not expanded again');
SELECT isnt(
    (SELECT location FROM postback.record_click(campaign_id => 456, offer_id => 890, click_id => 'a1b2c5', subs => '{"sub2": ".."}')),
    'https://example.com/../o?c=a1b2c5&a=456&s=&o=890&n=&x=&y=#', 'a value of two dots does not climb out of its path segment');
SELECT ok(
    (SELECT location FROM postback.record_click(campaign_id => 456, offer_id => 890, click_id => 'a1b2c6', subs => subs)) LIKE 'https://example.com/%',
    format('subs %s do not break a redirect', subs))
FROM unnest(ARRAY['[]', '1', 'null', '"text"', '{"sub1": null}', '{"sub1": {"a": 1}}', '{"sub1": 5, "sub2": true}', '{"sub11": "x", "": "y"}']::jsonb[]) AS subs;

SELECT * FROM finish();
