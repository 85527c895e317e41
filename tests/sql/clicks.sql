-- What a tap stores and where it leads, through record_click(), record_clicks(), INSERT and COPY.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
SELECT postback.create_send(456, segment_id => 101, variant_id => 1, base_url => 'https://s.example.com') AS send_id \gset
CREATE TEMP TABLE link AS
SELECT ordinality AS place, m.* FROM postback.mint_links(:send_id, '{1001,1002,1003}') WITH ORDINALITY AS m;
SELECT code AS first_code FROM link WHERE place = 1 \gset
SELECT code AS second_code FROM link WHERE place = 2 \gset
\set phone 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null

-- A tap on a link of ours.
SELECT click_id AS tapped, location AS tapped_location, visitor AS tapped_visitor
FROM postback.record_click(:'first_code', ip_address => '203.0.113.9', user_agent => :'phone', now => '2026-03-10 12:00:00.123456+00') \gset
SELECT is(:'tapped_location', 'https://network.example.com/offer/789?aff_click_id=' || :'tapped', 'a tap leads to the offer with its click id');
SELECT is(:'tapped_visitor'::text, 'human', 'a phone is a person');
SELECT results_eq(
    format('SELECT campaign_id, segment_id, variant_id, offer_id, send_id, subscriber_id, clicked_at, ip_address, user_agent, method, bucket, subs
            FROM postback.clicks WHERE click_id = %L', :'tapped'),
    format($$ VALUES (456::bigint, 101::bigint, 1::bigint, 789::bigint, %s::bigint, 1001::bigint, '2026-03-10 12:00:00.123+00'::timestamptz,
        '203.0.113.9'::inet, %L, 'GET', postback.subscriber_bucket(1001), NULL::jsonb) $$, :send_id, :'phone'),
    'the click knows its send, its subscriber and the evidence');
SELECT is((SELECT tableoid::regclass::text FROM postback.clicks WHERE click_id = :'tapped'), 'postback.clicks_20260310', 'it lies in the partition of its day');
SELECT is(postback.click_id_time(:'tapped'), '2026-03-10 12:00:00.123+00'::timestamptz, 'its id holds its time');
SELECT is_empty('SELECT * FROM postback.click_locations', 'an id of our own needs no note of its place');
SELECT isnt((SELECT click_id FROM postback.record_click(:'first_code')), :'tapped'::text, 'the same link tapped again is another click');

-- No such link: nothing is stored, nothing is told.
SELECT count(*) AS clicks_before FROM postback.clicks \gset
SELECT results_eq(
    format('SELECT click_id, location, visitor FROM postback.record_click(%L)', code),
    'VALUES (NULL::text, NULL::text, NULL::postback.visitor)', 'no location for ' || what)
FROM (VALUES ('an unknown code', 'AAAAAAAAAAA'), ('a truncated code', left(:'first_code', 10)), ('a longer code', :'first_code' || 'x'), ('no code', ''),
    ('a code of 10,000 characters', repeat('a', 10000)), ('a code with other characters', left(:'first_code', 10) || E'\n'), ('an injection', ''' OR 1=1 --'),
    ('a swapped code', reverse(:'first_code'))) AS c (what, code);
SELECT is((SELECT location FROM postback.record_click(NULL)), NULL, 'no location for nothing at all');
SELECT is((SELECT location FROM postback.record_click(campaign_id => 999, click_id => 'a1b2c3')), NULL, 'no location for a campaign without offer');
SELECT is((SELECT location FROM postback.record_click(campaign_id => 456, offer_id => 999, click_id => 'a1b2c3')), NULL, 'no location for an unknown offer');
SELECT is((SELECT count(*) FROM postback.clicks), :clicks_before::bigint, 'none of them stored anything');

-- Batches.
SELECT results_eq(
    format($$ SELECT ordinal, location IS NOT NULL, visitor::text FROM postback.record_clicks(
        codes => ARRAY[%L, 'AAAAAAAAAAA', %L, NULL, %1$L], user_agents => ARRAY[%3$L, %3$L, 'curl/8.0', %3$L, ''],
        methods => ARRAY['GET', 'GET', 'GET', 'GET', 'HEAD'], replay => false) $$, :'first_code', :'second_code', :'phone'),
    $$ VALUES (1, true, 'human'), (2, false, NULL), (3, true, 'bot'), (4, false, NULL), (5, true, 'head') $$,
    'a batch answers in order, and an unknown code does not disturb its neighbours');
SELECT is_empty('SELECT * FROM postback.record_clicks(codes => ''{}'')', 'an empty batch has no answer');
SELECT results_eq(
    format($$ SELECT ordinal, click_id, location IS NOT NULL FROM postback.record_clicks(
        codes => ARRAY[NULL, %L, NULL, 'AAAAAAAAAAA'], click_ids => ARRAY['zz', NULL, 'aa', NULL], campaign_ids => ARRAY[456, NULL, 456, NULL]) WHERE ordinal <> 2 $$,
        :'first_code'),
    $$ VALUES (1, 'zz', true), (3, 'aa', true), (4, NULL, false) $$, 'a batch of links of ours and of others answers in order');
SELECT is((SELECT subscriber_id FROM postback.clicks WHERE click_id = 'zz'), NULL, 'a link minted elsewhere has no subscriber');

-- The same click twice is one click.
SELECT postback.mint_click_id(1001, '2026-03-10 13:00+00') AS minted, postback.mint_click_id(1002, '2026-03-10 13:00+00') AS minted_second \gset
SELECT is(
    (SELECT array_agg(click_id) FROM postback.record_clicks(ARRAY[:'first_code', :'first_code'], ARRAY[:'minted', :'minted'], replay => false)),
    ARRAY[:'minted', :'minted'], 'an id twice in a batch gets two answers');
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id = :'minted'), 1::bigint, 'and is one click');
SELECT is(
    (SELECT array_agg(location IS NOT NULL) FROM postback.record_clicks(ARRAY[:'first_code', :'second_code'], ARRAY[:'minted', :'minted_second'], replay => true)),
    '{t,t}', 'a replayed batch gets its answers again');
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id IN (:'minted', :'minted_second')), 2::bigint, 'and stores only what was not stored');
SELECT throws_ok(
    format('SELECT postback.record_clicks(ARRAY[%L], ARRAY[%L], replay => false)', :'first_code', :'minted'), '23505', NULL,
    'without the look for replays the key still holds');
SELECT throws_ok(
    format('INSERT INTO postback.clicks (click_id, subscriber_id, clicked_at) VALUES (%L, 1001, ''2026-03-10 13:00+00'')', :'minted'), '23505', NULL,
    'a direct INSERT of an id of ours twice is refused');
INSERT INTO postback.clicks (click_id, clicked_at) VALUES (:'minted', '2026-03-12 13:00+00');
SELECT is((SELECT array_agg(clicked_at) FROM postback.clicks WHERE click_id = :'minted'), ARRAY['2026-03-10 13:00+00'::timestamptz],
    'one with another time adds nothing');

-- Foreign ids.
SELECT is(
    (SELECT location FROM postback.record_click(campaign_id => 456, click_id => id, user_agent => :'phone')),
    'https://network.example.com/offer/789?aff_click_id=' || id, format('"%s" survives as it is', id))
FROM unnest(ARRAY['a1b2c3', 'AZaz09._~-', '-', '2f0c0f86-9d5a-4a6e-8e40-0e4a2d1f3c55', '018F5C3E-7B2A-7F00-8000-000000000000',
    repeat('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._', 1), repeat('~-', 32)]) AS id;
SELECT is((_postback.find_click(repeat('~-', 32))).click_id::text, repeat('~-', 32), 'a foreign id of 64 characters is found again');
SELECT isnt((SELECT click_id FROM postback.record_click(campaign_id => 456, click_id => repeat('x', 65))), repeat('x', 65),
    'an id of 65 characters is replaced by one of ours');
SELECT is(
    (SELECT count(*) FROM postback.record_click(campaign_id => 456, click_id => 'a/b') AS r WHERE postback.click_id_time(r.click_id) IS NOT NULL
     AND r.location LIKE '%=' || r.click_id), 1::bigint, 'so is one with other characters');
SELECT postback.record_click(campaign_id => 456, click_id => 'twice', user_agent => :'phone') \g /dev/null
SELECT postback.record_click(campaign_id => 456, click_id => 'twice', user_agent => :'phone') \g /dev/null
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id = 'twice'), 1::bigint, 'a foreign id twice is one click');
SELECT is((SELECT hits FROM postback.click_locations WHERE click_id = 'twice'), 2::bigint, 'with two hits');
SELECT is(
    (SELECT count(*) FROM postback.record_clicks(ARRAY[NULL, NULL]::text[], ARRAY['once', 'once'], campaign_ids => ARRAY[456, 456])), 2::bigint,
    'a foreign id twice in a batch gets two answers');
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id = 'once'), 1::bigint, 'and is one click');
SELECT postback.record_click(campaign_id => 456, click_id => 'machine', user_agent => 'curl/8.0', now => '2026-03-10 14:00+00') \g /dev/null
SELECT is((SELECT visitor FROM postback.clicks WHERE click_id = 'machine'), 'bot', 'a machine comes first');
SELECT postback.record_click(campaign_id => 456, click_id => 'machine', user_agent => :'phone', now => '2026-03-10 14:05+00') \g /dev/null
SELECT results_eq(
    $$ SELECT visitor::text, user_agent, clicked_at FROM postback.clicks WHERE click_id = 'machine' $$,
    format($$ VALUES ('human', %L, '2026-03-10 14:00+00'::timestamptz) $$, :'phone'), 'then a person: the click is the person''s');
SELECT postback.record_click(campaign_id => 456, click_id => 'machine', user_agent => 'curl/8.0') \g /dev/null
SELECT is((SELECT visitor FROM postback.clicks WHERE click_id = 'machine'), 'human', 'and stays it when the machine returns');
SELECT click_id AS with_subs FROM postback.record_click(campaign_id => 456, subs => '{"sub1": "x"}') \gset
SELECT is((SELECT subs FROM postback.clicks WHERE click_id = :'with_subs'), '{"sub1": "x"}', 'subs are kept');
SELECT isnt(postback.click_id_time(:'with_subs'), NULL, 'a click without an id gets one of ours');

-- Other people's SQL.
INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at) VALUES (500, 2001, '2026-03-10 15:00:00.000999+00');
COPY postback.clicks (campaign_id, subscriber_id, clicked_at, user_agent) FROM stdin;
500	2002	2026-03-10 15:00:00+00	\N
500	2003	2026-03-11 00:00:00+00	curl/8.0
500	2004	1999-12-31 23:59:59+00	\N
500	\N	2026-03-10 15:00:00+00	
\.
SELECT results_eq(
    $$ SELECT subscriber_id, visitor::text, clicked_at, tableoid::regclass::text, postback.click_id_time(click_id) = clicked_at
       FROM postback.clicks WHERE campaign_id = 500 ORDER BY 1 $$,
    $$ VALUES (2001::bigint, 'human', '2026-03-10 15:00+00'::timestamptz, 'postback.clicks_20260310', true),
        (2002, 'human', '2026-03-10 15:00+00', 'postback.clicks_20260310', true), (2003, 'bot', '2026-03-11 00:00+00', 'postback.clicks_20260311', true),
        (2004, 'human', '1999-12-31 23:59:59+00', 'postback.clicks_default', true), (NULL, 'suspect', '2026-03-10 15:00+00', 'postback.clicks_20260310', true) $$,
    'INSERT and COPY get ids, buckets and classes; a day without partition lands in DEFAULT');
SELECT is_empty(
    'SELECT click_id FROM postback.clicks WHERE subscriber_id IS NOT NULL AND bucket <> postback.subscriber_bucket(subscriber_id)',
    'every click lies in its subscriber''s bucket');
INSERT INTO postback.clicks (click_id, campaign_id, subscriber_id, clicked_at) VALUES ('direct', 501, 2001, '2026-03-10 15:00+00');
INSERT INTO postback.clicks (click_id, campaign_id, subscriber_id, clicked_at) VALUES ('direct', 501, 2001, '2026-03-11 15:00+00');
SELECT is((SELECT array_agg(clicked_at) FROM postback.clicks WHERE click_id = 'direct'), ARRAY['2026-03-10 15:00+00'::timestamptz],
    'a foreign id inserted twice is one click');
SELECT is((_postback.find_click('direct')).subscriber_id, 2001::bigint, 'and is found by its id');
SELECT results_eq(
    $$ SELECT l.bucket, l.clicked_at, l.hits FROM postback.click_locations AS l WHERE l.click_id = 'direct' $$,
    $$ VALUES (postback.subscriber_bucket(2001), '2026-03-10 15:00+00'::timestamptz, 2::bigint) $$, 'because its place is noted');
SELECT is((SELECT click_id FROM postback.record_click(campaign_id => 456, click_id => 'direct')), 'direct', 'tapped afterwards, it is answered');
SELECT is((SELECT count(*) FROM postback.clicks WHERE click_id = 'direct'), 1::bigint, 'and stays one click');
SELECT postback.mint_click_id(3001, '2026-03-10 15:30:00.5+00') AS own, postback.mint_click_id(NULL, '2026-03-10 15:30:00.5+00') AS own_nobody \gset
INSERT INTO postback.clicks (click_id, subscriber_id, clicked_at) VALUES (:'own', 3001, '2026-03-10 15:30:07+00'), (:'own_nobody', NULL, '2026-03-10 15:30:07+00');
SELECT results_eq(
    format('SELECT bucket = postback.click_id_bucket(click_id), clicked_at FROM postback.clicks WHERE click_id IN (%L, %L)', :'own', :'own_nobody'),
    $$ VALUES (true, '2026-03-10 15:30:00.5+00'::timestamptz), (true, '2026-03-10 15:30:00.5+00') $$, 'an id of ours inserted with its subscriber keeps its address');
SELECT is_empty(format('SELECT * FROM postback.click_locations WHERE click_id IN (%L, %L)', :'own', :'own_nobody'), 'which needs no note');
SELECT throws_ok(format('INSERT INTO postback.clicks (click_id) VALUES (%L)', id), '22P02', NULL, format('INSERT of the id %s is refused', to_json(left(id, 70))))
FROM unnest(ARRAY['', repeat('x', 65), 'a b', E'a\n']) AS id;
INSERT INTO postback.clicks (click_id, subscriber_id, clicked_at) VALUES (postback.mint_click_id(1, '2026-03-10 16:00+00'), 99, '2026-03-10 16:00+00')
RETURNING click_id AS strayed \gset
SELECT is((_postback.find_click(:'strayed')).subscriber_id, 99::bigint, 'an id with another subscriber''s bucket is found all the same');
INSERT INTO postback.clicks (click_id, subscriber_id, clicked_at) VALUES (:'strayed', 1, '2026-03-10 16:00+00');
SELECT is((SELECT array_agg(subscriber_id) FROM postback.clicks WHERE click_id = :'strayed'), '{99}', 'inserted again with its own subscriber it stays one click');
SELECT is((SELECT hits FROM postback.click_locations WHERE click_id = :'strayed'), 2::bigint, 'and the second counts as a hit');
SELECT is_empty(
    'SELECT click_id FROM postback.clicks GROUP BY click_id HAVING count(*) > 1', 'no click id is there twice');

SELECT * FROM finish();
