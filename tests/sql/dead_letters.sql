-- Dead letters find their way back once what refused them is mended, once each and at their time.
SELECT no_plan();
SELECT postback.add_network('Tune', 'tune') AS tune, postback.add_network_secret('tune', 'path_token', 'the-path-token-of-tune') AS secret,
    postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1, network => 'tune') AS offer,
    postback.create_send(456, 1, base_url => 'https://s.example.com') AS send \gset
SELECT m.code, postback.subscriber_bucket(1001) AS bucket FROM postback.mint_links(:send, '{1001}') AS m \gset
SELECT clock_timestamp() - interval '2 hours' AS at, _postback.mint_click_id_in(:bucket::smallint, clock_timestamp() - interval '2 hours') AS click,
    _postback.mint_click_id_in(7::smallint, clock_timestamp() - interval '1 hour') AS message, _postback.mint_click_id_in(7::smallint, clock_timestamp()) AS other \gset
CREATE FUNCTION pg_temp.letter(kind text, id text, at timestamptz, request jsonb) RETURNS boolean LANGUAGE sql AS $$
    SELECT postback.keep_dead_letter(kind, id, at, request, '\x00', '23514')
$$;
SELECT pg_temp.letter('click', :'click', :'at', jsonb_build_object('code', :'code', 'ip_address', '203.0.113.9', 'method', 'GET', 'purpose', NULL, 'subs', NULL, 'campaign_id', NULL, 'offer_id', NULL,
        'user_agent', 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1')),
    pg_temp.letter('click', 'elsewhere', :'at', '{"campaign_id": 456, "offer_id": 1, "subs": {"sub1": "x"}, "ip_address": "203.0.113.9", "method": "GET", "user_agent": ""}'),
    pg_temp.letter('click', :'other', :'at', '{"code": "AAAAAAAAAAA", "ip_address": "203.0.113.9", "method": "GET", "user_agent": ""}'),
    pg_temp.letter('postback', :'message', :'at', jsonb_build_object('method', 'POST', 'path', '/postback/tune/the-path-token-of-tune', 'query', format('aff_sub=%s&transaction_id=t1', :'click'),
        'content_type', 'application/x-www-form-urlencoded', 'body', 'payout=12.50', 'source_ip', '198.51.100.7')),
    pg_temp.letter('postback', :'other', :'at', jsonb_build_object('method', 'GET', 'path', '/postback/tune', 'query', E'transaction_id=t2&n=caf\uFFFD', 'source_ip', '198.51.100.7')) \g /dev/null

-- What refused them still does.
ALTER TABLE postback.clicks ADD CONSTRAINT trouble CHECK (send_id IS NULL);
SELECT results_eq('SELECT * FROM postback.replay_dead_letters()', $$ VALUES ('click', 1::bigint, 2::bigint), ('postback', 1, 1) $$, 'what can be recorded is');
SELECT results_eq('SELECT kind, failure FROM postback.dead_letters ORDER BY kind, failure', $$ VALUES ('click', '23514'), ('click', 'no such link'), ('postback', '23514') $$, 'the others stay, and say why');
SELECT is((SELECT verdict::text FROM postback.postbacks WHERE postback_id = :'message'), 'unmatched', 'a postback waits for its click');
ALTER TABLE postback.clicks DROP CONSTRAINT trouble;
SELECT results_eq('SELECT * FROM postback.replay_dead_letters(until => clock_timestamp() - interval ''1 day'')', $$ VALUES ('click', 0::bigint, 0::bigint), ('postback', 0, 0) $$, 'only those of the period');
SELECT results_eq('SELECT * FROM postback.replay_dead_letters()', $$ VALUES ('click', 1::bigint, 1::bigint), ('postback', 0, 1) $$, 'once it is mended they follow');
SELECT results_eq(
    format('SELECT click_id, subscriber_id, visitor::text, clicked_at = postback.click_id_time(%L), subs FROM postback.clicks WHERE method = ''GET'' ORDER BY subscriber_id', :'click'),
    format('VALUES (%L COLLATE "C", 1001::bigint, ''human'', true, NULL::jsonb), (''elsewhere'', NULL, ''suspect'', true, ''{"sub1": "x"}'')', :'click'),
    'at their time, with all that was known');
SELECT is((SELECT clicked_at FROM postback.clicks WHERE click_id = 'elsewhere'), date_trunc('milliseconds', :'at'::timestamptz), 'also where the id does not tell it');
SELECT is((SELECT format('%s %s %s', c.click_id, c.payout, c.transaction_id) FROM postback.conversions AS c), format('%s 12.50 t1', :'click'), 'the postback finds its click, and was authentic');
SELECT results_eq('SELECT kind, request_id FROM postback.dead_letters ORDER BY kind', format('VALUES (''click'', %L COLLATE "C"), (''postback'', %L)', :'other', :'other'), 'what cannot be helped stays');
SELECT is((SELECT count(*) FROM postback.replay_dead_letters() AS r, postback.clicks AS c WHERE r.kind = 'click' AND c.click_id IN (:'click', 'elsewhere')), 2::bigint, 'and nothing counts twice');
SELECT * FROM finish();
