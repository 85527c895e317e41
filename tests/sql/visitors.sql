-- Who made a hit. The lists themselves are tested beside the code; here is what reaches the tables.
SELECT no_plan();
\set phone 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
\set preview 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0'

SELECT is(postback.classify_visitor(method, purpose, user_agent), visitor::postback.visitor, what)
FROM (VALUES
    ('human', 'a phone', 'GET', NULL, :'phone'),
    ('human', 'an Android phone', 'GET', NULL, 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36'),
    ('human', 'the browser inside Facebook''s app', 'GET', NULL,
        'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/465.0.0.40.107;FBDV/iPhone14,5]'),
    ('preview', 'the preview of iMessage', 'GET', NULL, :'preview'),
    ('preview', 'the preview of WhatsApp', 'GET', NULL, 'WhatsApp/2.23.20.0'),
    ('bot', 'a search engine', 'GET', NULL, 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'),
    ('bot', 'a library', 'GET', NULL, 'curl/8.0'),
    ('head', 'HEAD from a phone', 'HEAD', NULL, :'phone'),
    ('head', 'HEAD from a crawler', 'HEAD', NULL, :'preview'),
    ('head', 'HEAD with a prefetch header', 'HEAD', 'prefetch', :'phone'),
    ('prefetch', 'Sec-Purpose of a phone', 'GET', 'prefetch;prerender', :'phone'),
    ('prefetch', 'X-Moz of old', 'GET', 'prefetch', :'phone'),
    ('human', 'a purpose that is none', 'GET', '', :'phone'),
    ('suspect', 'an empty user agent', 'GET', NULL, ''),
    ('human', 'a user agent that nobody looked at', 'GET', NULL, NULL)) AS v (visitor, what, method, purpose, user_agent);
SELECT lives_ok(format('SELECT postback.classify_visitor(%L, %L, %L)', m, p, u), 'odd input has a class too')
FROM (VALUES (NULL, NULL, NULL), ('', '', ''), ('DELETE', 'x', E'\x01\x02'), ('get', repeat('x', 10000), repeat('Mozilla/5.0 ', 10000))) AS o (m, p, u);

-- Every way of recording a click classifies the same.
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
SELECT postback.create_send(456, 789, base_url => 'https://s.example.com') AS send_id \gset
SELECT code FROM postback.mint_links(:send_id, '{1001}') \gset
CREATE TEMP TABLE hits (method text, purpose text, user_agent text);
INSERT INTO hits VALUES ('GET', NULL, :'phone'), ('GET', NULL, :'preview'), ('HEAD', NULL, :'phone'), ('GET', 'prefetch', :'phone'), ('GET', NULL, ''), ('GET', NULL, 'curl/8.0'),
    ('GET', NULL, NULL);
\set expected '{human,preview,head,prefetch,suspect,bot,human}'
SELECT is(
    (SELECT array_agg(r.visitor ORDER BY r.ordinal) FROM (SELECT array_agg(method) AS m, array_agg(purpose) AS p, array_agg(user_agent) AS u FROM hits) AS h,
     LATERAL postback.record_clicks(array_fill(:'code'::text, ARRAY[7]), user_agents => h.u, methods => h.m, purposes => h.p) AS r),
    :'expected', 'links of ours');
SELECT is(
    (SELECT array_agg(r.visitor ORDER BY r.ordinal) FROM (SELECT array_agg(method) AS m, array_agg(purpose) AS p, array_agg(user_agent) AS u FROM hits) AS h,
     LATERAL postback.record_clicks(array_fill(NULL::text, ARRAY[7]), user_agents => h.u, methods => h.m, purposes => h.p, offer_ids => array_fill(789, ARRAY[7])) AS r),
    :'expected', 'links minted elsewhere');
INSERT INTO postback.clicks (campaign_id, method, purpose, user_agent) SELECT 500, method, purpose, user_agent FROM hits;
SELECT results_eq(
    'SELECT visitor::text, count(*) FROM postback.clicks WHERE campaign_id = 500 GROUP BY visitor ORDER BY clicks.visitor',
    $$ VALUES ('human', 2::bigint), ('preview', 1), ('prefetch', 1), ('head', 1), ('bot', 1), ('suspect', 1) $$, 'direct INSERT');
INSERT INTO postback.clicks (campaign_id, user_agent, visitor) VALUES (501, 'curl/8.0', 'human');
SELECT is((SELECT visitor FROM postback.clicks WHERE campaign_id = 501), 'human', 'a class that the writer names stays');

-- The evidence is kept, so the class can be worked out again.
SELECT is_empty(
    'SELECT click_id FROM postback.clicks WHERE visitor <> postback.classify_visitor(method, purpose, user_agent) AND campaign_id IS DISTINCT FROM 501',
    'the class follows from what is stored');

SELECT * FROM finish();
