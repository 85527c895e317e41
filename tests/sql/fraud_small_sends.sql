-- Small sends of ordinary people, whose devices have the shape of a real log: the first of hundreds of user agents makes a ninth of the hits, and
-- thousands share the addresses of a few carriers. None is taken for one device, and beside them each farm is found.
SELECT no_plan();
SET timezone = 'UTC';
SELECT postback.add_offer('One', 'https://network.example.com/{click_id}', offer_id => 1, network => 'default') \g /dev/null
SELECT postback.maintain('2026-03-10 12:00+00') \g /dev/null
INSERT INTO postback.payout_tiers (tier_id, name, share) VALUES (1, 'all', 1);
INSERT INTO postback.partners (partner_id, name, tier_id) SELECT n, 'Partner ' || n, 1 FROM generate_series(1, 100) AS n;
-- A number in [0, 1) that follows from what it is for.
CREATE FUNCTION pg_temp.chance(number bigint, what integer) RETURNS double precision LANGUAGE sql IMMUTABLE
    RETURN ((hashint8extended(number, what) >> 12) & ((1::bigint << 52) - 1)) / (1::bigint << 52)::double precision;
CREATE FUNCTION pg_temp.agent(chance double precision) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN 'Mozilla/5.0 (Linux; Android; Model ' || floor(exp(chance * ln(559)))::integer || ')';
CREATE FUNCTION pg_temp.address(a double precision, b double precision, c double precision) RETURNS inet LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN a < 0.7 THEN '100.0.0.0'::inet + (floor(a / 0.14) * 65536 + floor(exp(b * ln(65)) - 1) * 256 + floor(exp(c * ln(25))))::bigint
                ELSE '80.0.0.0'::inet + floor(b * 150000)::bigint * 16 END;
-- In each of four hours 40 sends of 20, 50 and 200 clicks; of each size every tenth goes to one carrier's people mostly. One partner has eight
-- sends. The farms: one kind of device; from 50 clicks on four; from 200 on three address blocks. And one
-- device that taps and taps, which is for other rules.
CREATE TEMP TABLE small AS
SELECT row_number() OVER () AS send_id, h.hour, s.size, n.n AS place, f.kind
FROM generate_series(8, 11) AS h (hour) CROSS JOIN (VALUES (20), (50), (200)) AS s (size)
CROSS JOIN generate_series(1, 44) AS n (n)
CROSS JOIN LATERAL (SELECT CASE n.n WHEN 41 THEN 'agent' WHEN 42 THEN 'agents' WHEN 43 THEN 'blocks' WHEN 44 THEN 'device' END AS kind) AS f
WHERE f.kind IS NULL OR f.kind IN ('agent', 'device') OR f.kind = 'agents' AND s.size >= 50 OR f.kind = 'blocks' AND s.size >= 200;
INSERT INTO postback.sends (send_id, campaign_id, offer_id, base_url, partner_id)
SELECT s.send_id, s.send_id, 1, 'https://s.example.com', CASE WHEN s.kind IS NULL THEN 1 + s.send_id % 60 END FROM small AS s;
SET session_replication_role = replica;
INSERT INTO postback.clicks (click_id, bucket, clicked_at, send_id, campaign_id, offer_id, subscriber_id, visitor, ip_address, user_agent)
SELECT i.id, postback.click_id_bucket(i.id), c.at, c.send_id, c.send_id, 1, c.person, 'human',
    CASE WHEN c.kind = 'device' THEN '45.1.0.1' WHEN c.kind = 'blocks' THEN '45.2.0.0'::inet + floor(pg_temp.chance(c.person, 2) * 700)::bigint
         ELSE pg_temp.address(CASE WHEN c.place % 10 = 0 AND pg_temp.chance(c.person, 1) < 0.8 THEN 0.14 ELSE 1 END * pg_temp.chance(c.person, 2), pg_temp.chance(c.person, 3), pg_temp.chance(c.person, 4)) END,
    CASE c.kind WHEN 'agent' THEN 'Farm' WHEN 'device' THEN 'Farm' WHEN 'agents' THEN 'Farm ' || floor(pg_temp.chance(c.person, 5) * 4) ELSE pg_temp.agent(pg_temp.chance(c.person, 5)) END
FROM (SELECT s.*, '2026-03-10 00:00+00'::timestamptz + s.hour * interval '1 hour' + n * interval '17 seconds' AS at,
        -- One in twelve taps again.
        s.send_id * 1000 + n - CASE WHEN pg_temp.chance(s.send_id * 1000 + n, 6) < 1.0 / 12 THEN 1 ELSE 0 END AS person
      FROM small AS s CROSS JOIN generate_series(1, s.size) AS n) AS c
CROSS JOIN LATERAL (SELECT postback.mint_click_id(c.person, c.at) AS id) AS i;
RESET session_replication_role;

SELECT is((SELECT enabled FROM postback.fraud_rules WHERE rule = 'device_diversity'), true, 'the rule is on');
-- It judges from 50 devices on, but would be right about smaller ones, too.
UPDATE postback.fraud_rules SET parameters = '{"devices": 15}' WHERE rule = 'device_diversity';
SELECT postback.fraud_scan('2026-03-10 08:00+00', '2026-03-10 12:00+00') \g /dev/null
SELECT set_eq($$SELECT s.size, s.kind, count(*) FROM postback.flags AS f JOIN small AS s ON s.send_id::text = f.subject
        WHERE f.rule = 'device_diversity' AND f.subject_kind = 'send' GROUP BY 1, 2$$,
    $$VALUES (20, 'agent', 4::bigint), (50, 'agent', 4), (200, 'agent', 4), (50, 'agents', 4), (200, 'agents', 4), (200, 'blocks', 4)$$,
    'every farm, and of 480 clean sends none');
SELECT is_empty($$SELECT subject FROM postback.flags WHERE rule = 'device_diversity' AND subject_kind <> 'send'$$, 'nor a partner or network of clean ones');
SELECT * FROM finish();
