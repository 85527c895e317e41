-- From a blast to the URLs in its messages.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
INSERT INTO postback.campaigns (campaign_id) VALUES (457);

-- Sends.
SELECT throws_ok('SELECT postback.create_send(NULL, 789, base_url => ''https://s.example.com'')', '22004', NULL, 'a send needs a campaign');
SELECT throws_ok('SELECT postback.create_send(457, base_url => ''https://s.example.com'')', '22004', 'send of campaign 457 has no offer',
    'a send needs an offer');
SELECT throws_ok('SELECT postback.create_send(456)', '22004', 'send of campaign 456 has no base URL for its links', 'a send needs a base URL');
SELECT throws_ok('SELECT postback.create_send(456, 111, base_url => ''https://s.example.com'')', '23503', NULL, 'the offer must exist');
SELECT throws_ok(format('SELECT postback.create_send(456, base_url => %L)', url), '23514', NULL, format('base URL %s is refused', to_json(url)))
FROM unnest(ARRAY['s.example.com', 'ftp://s.example.com', 'javascript:alert(1)', 'https://', 'https://s.example.com?x=', 'https://s.example.com/#a',
    'https://s example.com', E'https://s.example.com\n']) AS url;
SELECT throws_ok('SELECT postback.create_send(456, base_url => ''https://s.example.com'', cost_per_message => -0.01)', '23514', NULL,
    'a negative cost is refused');
SELECT throws_ok('SELECT postback.create_send(456, base_url => ''https://s.example.com'', cost_per_message => ''NaN'')', '23514', NULL,
    'a cost of NaN is refused');
SELECT throws_ok('SELECT postback.create_send(456, base_url => ''https://s.example.com'', cost_currency => ''usd'')', '23514', NULL,
    'a currency is three capital letters');

SELECT postback.create_send(456, segment_id => 101, variant_id => 1, base_url => 'https://s.example.com/', cost_per_message => 0.0079) AS send_id \gset
SELECT results_eq(
    format('SELECT campaign_id, offer_id, segment_id, variant_id, base_url, messages, cost_per_message::numeric FROM postback.sends WHERE send_id = %s', :send_id),
    $$ VALUES (456::bigint, 789::bigint, 101::bigint, 1::bigint, 'https://s.example.com', 0::bigint, 0.0079) $$,
    'the campaign lends its offer, the last slash of the base URL goes');
SET postback.base_url = 'https://go.example.org/x';
SELECT postback.create_send(456) AS second_send \gset
RESET postback.base_url;
SELECT is((SELECT base_url FROM postback.sends WHERE send_id = :second_send), 'https://go.example.org/x', 'the setting postback.base_url is the default');

-- Their domains.
SET postback.base_url = 'https://Later.Example.com:8443';
SELECT set_eq($$ SELECT name FROM postback.routes() WHERE kind = 'domain' $$, ARRAY['s.example.com', 'go.example.org', 'later.example.com'],
    'the routes tell the domains of all links, and of the next ones');
SELECT set_eq(format('SELECT name FROM postback.routes(%s) WHERE kind = ''domain''', :second_send), ARRAY['later.example.com'], 'or of newer sends');
RESET postback.base_url;
SELECT set_eq($$ SELECT name FROM postback.routes() WHERE kind = 'domain' $$, ARRAY['s.example.com', 'go.example.org'], 'without the setting, of the sends');

-- Links.
SELECT throws_ok('SELECT postback.mint_links(999, ''{1}'')', 'P0002', 'send 999 does not exist', 'minting for an unknown send is refused');
SELECT throws_ok('SELECT postback.mint_links(NULL, ''{1}'')', 'P0002', NULL, 'minting for no send is refused');
SELECT throws_ok(format('SELECT postback.mint_links(%s, NULL)', :send_id), '22004', NULL, 'minting for a NULL array is refused');
SELECT is_empty(format('SELECT * FROM postback.mint_links(%s, ''{}'')', :send_id), 'minting for nobody mints nothing');

CREATE TEMP TABLE minted AS
SELECT ordinality AS place, m.* FROM postback.mint_links(:send_id, array(SELECT 7919 * g % 1009 FROM generate_series(1, 1000) AS g)) WITH ORDINALITY AS m;
SELECT is(
    (SELECT array_agg(subscriber_id ORDER BY place) FROM minted), array(SELECT 7919 * g % 1009 FROM generate_series(1, 1000) AS g)::bigint[],
    'links come in the order of the subscribers');
SELECT is_empty($$ SELECT * FROM minted WHERE url <> 'https://s.example.com/' || code $$, 'a URL is the base URL and the code');
SELECT is(
    (SELECT messages FROM postback.sends WHERE send_id = :send_id), 1000::bigint, 'the send counts its messages');
SELECT is_empty(
    format($$ SELECT m.subscriber_id, l.subscriber_id FROM minted AS m
       LEFT JOIN postback.links AS l ON l.link_id = _postback.decode_code(m.code, postback.code_key())
       WHERE l.subscriber_id IS DISTINCT FROM m.subscriber_id OR l.link_id >> 40 <> %s
          OR l.bucket <> postback.subscriber_bucket(m.subscriber_id) OR l.bucket <> _postback.link_bucket(l.link_id) $$, :send_id),
    'a code leads to its send and subscriber, and to the subscriber''s bucket');

INSERT INTO minted SELECT 1000 + ordinality, m.* FROM postback.mint_links(:send_id, array(SELECT subscriber_id FROM minted ORDER BY place)) WITH ORDINALITY AS m;
INSERT INTO minted SELECT 2000 + ordinality, m.* FROM postback.mint_links(:send_id, array_fill(5, ARRAY[100])) WITH ORDINALITY AS m;
INSERT INTO minted SELECT 3000 + ordinality, m.* FROM postback.mint_links(:second_send, '{5,6}') WITH ORDINALITY AS m;
SELECT is((SELECT count(DISTINCT code) FROM minted), 2102::bigint, 'no code is minted twice, also for the same subscriber');
SELECT is(
    (SELECT count(DISTINCT _postback.decode_code(code, postback.code_key()) & 1073741823) FROM minted WHERE place < 3000), 2100::bigint,
    'the counter within a send is unique');
SELECT is((SELECT messages FROM postback.sends WHERE send_id = :send_id), 2100::bigint, 'a second call counts on');
SELECT is(
    (SELECT array_agg(n ORDER BY n) FROM minted AS m, LATERAL (SELECT _postback.decode_code(m.code, postback.code_key()) & 1073741823 AS n) AS c WHERE place < 3000),
    array(SELECT generate_series(0, 2099))::bigint[], 'from 0 on, over two calls and more, without a gap');
SELECT code AS nobody FROM postback.mint_links(:send_id, ARRAY[NULL]::bigint[]) \gset
SELECT results_eq(
    format('SELECT l.subscriber_id, l.bucket = _postback.link_bucket(l.link_id) FROM postback.links AS l WHERE l.link_id = _postback.decode_code(%L, postback.code_key())', :'nobody'),
    'VALUES (NULL::bigint, true)', 'a link for nobody in particular is possible');
SELECT click_id AS tapped FROM postback.record_click(:'nobody') \gset
SELECT results_eq(
    format('SELECT subscriber_id, send_id, bucket = postback.click_id_bucket(click_id), bucket = _postback.link_bucket(link_id)
            FROM postback.clicks WHERE click_id = %L', :'tapped'),
    format('VALUES (NULL::bigint, %s::bigint, true, true)', :send_id), 'and its tap is nobody''s, in the bucket of the link');
SELECT is(
    (SELECT count(*) FROM postback.links WHERE bucket <> _postback.link_bucket(link_id)), 0::bigint, 'every link lies in its bucket');

-- The highest send there can be, and one more.
INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url) VALUES (8388607, 456, 789, 'https://s.example.com');
SELECT is((SELECT count(*) FROM postback.mint_links(8388607, '{1,2,3}')), 3::bigint, 'the last send of the range can mint');
SELECT is_empty('SELECT link_id FROM postback.links WHERE link_id < 0', 'and its link ids are positive');
SELECT throws_ok(
    'INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url) VALUES (8388608, 456, 789, ''https://s.example.com'')', '23514', NULL,
    'a send that does not fit into a code is refused');
UPDATE postback.sends SET messages = 1073741823 WHERE send_id = :second_send;
SELECT is((SELECT count(*) FROM postback.mint_links(:second_send, '{1}')), 1::bigint, 'the last message of a send can be minted');
SELECT throws_ok(format('SELECT postback.mint_links(%s, ''{1}'')', :second_send), '23514', NULL, 'one more is refused, not wrapped around');

-- Aliases.
INSERT INTO postback.link_aliases (alias, link_id)
SELECT a, _postback.decode_code((SELECT code FROM minted WHERE place = 1), postback.code_key()) FROM unnest(ARRAY['SUMMER-sale_1', 'AbCdEfGhIjK']) AS a;
SELECT is((SELECT count(*) FROM postback.record_click('SUMMER-sale_1') WHERE location LIKE 'https://network.example.com/%'), 1::bigint,
    'an alias leads where its link leads');
SELECT is((SELECT count(*) FROM postback.record_click('AbCdEfGhIjK') WHERE location IS NOT NULL), 1::bigint, 'also one that looks like a code');
SELECT is((SELECT location FROM postback.record_click('summer-sale_1')), NULL, 'the case of an alias counts');
SELECT is(
    (SELECT array_agg(DISTINCT subscriber_id) FROM postback.clicks WHERE subscriber_id IS NOT NULL), ARRAY[(SELECT subscriber_id FROM minted WHERE place = 1)],
    'a click by alias is the subscriber''s');
-- A proxy that does not know the alias' link gives the tap an id of any bucket; asked again, it is the same click.
SELECT postback.mint_click_id(4711) AS of_another \gset
SELECT postback.record_clicks(ARRAY['SUMMER-sale_1'], click_ids => ARRAY[:'of_another'], replay => r) FROM unnest(ARRAY[false, true]) AS r;
SELECT is((SELECT array_agg(subscriber_id) FROM postback.clicks WHERE click_id = :'of_another'), ARRAY[(SELECT subscriber_id FROM minted WHERE place = 1)],
    'a click by alias under an id of another bucket is the subscriber''s, once');
SELECT throws_ok(format('INSERT INTO postback.link_aliases VALUES (%L, 1)', a), '23514', NULL, format('alias "%s" is refused', left(a, 70)))
FROM unnest(ARRAY['', 'click', 'postback', 'a/b', 'a.b', 'a b', 'ä', '..', repeat('a', 65)]) AS a;

SELECT * FROM finish();
