-- The country of a click, and the rule about clicks from abroad: what was planted is flagged, its clean twins are not.
SELECT no_plan();
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') \g /dev/null
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null

-- Each road.
CREATE FUNCTION pg_temp.country_of(click_id text) RETURNS text LANGUAGE sql AS $$ SELECT c.country FROM postback.clicks AS c WHERE c.click_id = country_of.click_id $$;
SELECT postback.record_click(offer_id => 1, campaign_id => 1, click_id => 'elsewhere', country => 'CA') \g /dev/null
SELECT is(pg_temp.country_of('elsewhere'), 'CA', 'of a link made elsewhere');
SELECT postback.create_send(1, 1, 101, 1, 'https://s.example.com') AS send \gset
SELECT code FROM postback.mint_links(:send, '{1}') \gset
CREATE TEMP TABLE tapped AS SELECT r.* FROM postback.record_clicks(ARRAY[:'code', :'code', :'code'], countries => '{US,NULL,MX}') AS r;
SELECT results_eq('SELECT pg_temp.country_of(click_id) FROM tapped ORDER BY ordinal', $$VALUES ('US'), (NULL), ('MX')$$, 'of our own links, where it is known');
SELECT click_id AS untold FROM postback.record_click(:'code') \gset
SELECT is(pg_temp.country_of(:'untold'), NULL, 'nobody has to tell it');
SELECT postback.replay_clicks('{NULL}', '{late}', '{NULL}', '{NULL}', '{GET}', '{NULL}', '{1}', '{1}', '{NULL}', '{2026-03-10 09:00+00}', '{FR}') \g /dev/null
SELECT is(pg_temp.country_of('late'), 'FR', 'of a tap that waited');
SELECT throws_ok(format('INSERT INTO postback.clicks (campaign_id, country) VALUES (1, %L)', c.country), '23514', NULL, format('"%s" is no code', c.country))
FROM unnest('{us,USA,U1,"",ÅA}'::text[]) AS c (country);
SELECT postback.record_click(offer_id => 1, campaign_id => 1, click_id => 'machine', user_agent => 'Googlebot/2.1', country => 'US') \g /dev/null
SELECT postback.record_click(offer_id => 1, campaign_id => 1, click_id => 'machine', user_agent => 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15', country => 'CA') \g /dev/null
SELECT is(pg_temp.country_of('machine'), 'CA', 'a person''s goes before a machine''s');
SELECT is((SELECT country FROM postback.click_log WHERE click_id = 'machine'), 'CA', 'analysts see it');

-- 300 clicks a send. One in 50 comes from abroad; in send 7 every third, from five countries. Send 8 goes to France, and is as much at home there.
-- Of send 9 no country is known, and send 10 is too small.
INSERT INTO postback.payout_tiers (tier_id, name, share) VALUES (1, 'all', 1);
INSERT INTO postback.partners (partner_id, name, tier_id) VALUES (1, 'Honest', 1), (2, 'Farmer', 1);
INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url, partner_id)
SELECT 1000 + n, 1000 + n, 1, 'https://s.example.com', CASE n WHEN 7 THEN 2 ELSE 1 END FROM generate_series(1, 10) AS n;
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, send_id, clicked_at, visitor, country)
SELECT format('s%s-%s', send, n), send * 1000 + n, 1, 1000 + send, 1000 + send, '2026-03-10 10:00+00'::timestamptz + make_interval(secs => n * 7 + send), 'human',
    CASE WHEN send = 9 THEN NULL WHEN send IN (7, 10) AND n % 3 = 0 THEN (ARRAY['VN', 'BD', 'ID', 'PK', 'NG'])[1 + n % 5]
         WHEN n % 50 = 0 THEN 'GB' WHEN send = 8 THEN 'FR' ELSE 'US' END
FROM generate_series(1, 10) AS send, generate_series(1, 300) AS n WHERE send < 10 OR n <= 90;
-- One traveller taps a hundred times: still one person.
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, send_id, clicked_at, visitor, country)
SELECT 'traveller-' || n, 1001, 1, 1001, 1001, '2026-03-10 10:40+00'::timestamptz + make_interval(secs => n), 'human', 'GB' FROM generate_series(1, 100) AS n;
INSERT INTO postback.conversions (click_id, payout, converted_at, transaction_id)
SELECT c.click_id, 10, c.clicked_at + interval '1 hour', c.click_id FROM postback.clicks AS c WHERE c.send_id > 1000 AND c.subscriber_id % 100 = 0;
CREATE FUNCTION pg_temp.scan() RETURNS bigint LANGUAGE sql AS $$
    SELECT s.items FROM postback.fraud_scan('2026-03-10 10:00+00', '2026-03-10 20:00+00') AS s WHERE s.rule = 'geo_anomaly'
$$;
SELECT is(pg_temp.scan(), 8::bigint, 'the day and three conversions, of the send and of its partner');
SELECT results_eq($$SELECT f.subject_kind, f.subject, f.conversions, (f.evidence ->> 'hits')::int, (f.evidence ->> 'rate')::numeric, f.evidence ->> 'countries' FROM postback.flags AS f
    WHERE f.rule = 'geo_anomaly' ORDER BY 1$$,
    $$VALUES ('partner', '2', 3::bigint, 104, 0.34667, '{"BD": 20, "ID": 20, "NG": 20, "PK": 20, "VN": 20}'), ('send', '1007', 3::bigint, 104, 0.34667, '{"BD": 20, "ID": 20, "NG": 20, "PK": 20, "VN": 20}')$$,
    'a third from abroad is far more than of all others');
SELECT is(pg_temp.scan(), 0::bigint, 'a second scan finds nothing new');
UPDATE postback.fraud_rules SET parameters = '{"people": 90}' WHERE rule = 'geo_anomaly';
SELECT is(pg_temp.scan(), 1::bigint, 'the small send is one, where so few are enough');
SELECT throws_ok($$UPDATE postback.fraud_rules SET parameters = '{"countries": 3}' WHERE rule = 'geo_anomaly'$$, '23514', NULL, 'a parameter that it does not have');
SELECT * FROM finish();
