-- Random conversions, reversals, tiers, flags, hands and closings: what is paid in the end is what is due, never twice, under every cap, and no
-- closed statement changes. What is due is worked out here from the test's own notes.
SELECT no_plan();

SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) \g /dev/null
CREATE TABLE moves (partner_id bigint, at timestamptz, tier_id integer);
CREATE TABLE broken (seed integer, step integer, what text);
CREATE TABLE seen (what text);

CREATE FUNCTION pick(choices anyarray) RETURNS anyelement LANGUAGE sql VOLATILE AS $$ SELECT choices[1 + floor(random() * cardinality(choices))::integer] $$;

-- Every partner and conversion, with what it earns and what it was paid.
CREATE VIEW accounts AS
SELECT p.partner_id, c.campaign_id, c.conversion_id, c.currency::text, coalesce(l.paid, 0) AS paid, coalesce(l.forfeited, 0) AS forfeited,
       CASE WHEN c.status = 'approved' AND s.partner_id = p.partner_id THEN
           least(round(c.payout * t.share, greatest(CASE c.currency WHEN 'KWD' THEN 3 ELSE 2 END, min_scale(c.payout))), CASE WHEN c.currency = t.currency THEN t.conversion_cap END) ELSE 0 END AS worth
FROM postback.partners AS p
CROSS JOIN postback.conversions AS c
JOIN postback.sends AS s ON s.send_id = c.send_id
CROSS JOIN LATERAL (SELECT m.tier_id FROM moves AS m WHERE m.partner_id = p.partner_id AND m.at <= c.converted_at ORDER BY m.at DESC LIMIT 1) AS m
JOIN postback.payout_tiers AS t ON t.tier_id = m.tier_id
LEFT JOIN LATERAL (
    SELECT sum(i.amount) AS paid, sum(i.forfeited) FILTER (WHERE i.reason = 'cap') AS forfeited
    FROM postback.statement_lines AS i JOIN postback.statements AS h USING (statement_id)
    WHERE i.conversion_id = c.conversion_id AND h.partner_id = p.partner_id) AS l ON true
WHERE s.partner_id = p.partner_id OR l.paid IS NOT NULL;

-- Closes, and looks at what came of it.
CREATE PROCEDURE close_and_look(seed integer, step integer, partner bigint, until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    last bigint := coalesce((SELECT max(statement_id) FROM postback.statements), 0);
    before text := (SELECT md5(string_agg(s::text || l::text, '' ORDER BY l.statement_id, l.line)) FROM postback.statements AS s JOIN postback.statement_lines AS l USING (statement_id)
        WHERE s.partner_id = partner);
    due jsonb := (SELECT jsonb_object_agg(currency, sum) FROM (SELECT currency, sum(amount) FROM postback.payables(partner, until) GROUP BY currency) AS d);
    closed record;
BEGIN
    FOR closed IN SELECT * FROM postback.close_payout(partner, until) WHERE is_new LOOP
        INSERT INTO seen VALUES ('statement');
        INSERT INTO broken SELECT seed, step, format('statement %s pays %s of %s', closed.statement_id, closed.amount, due ->> closed.currency)
        WHERE NOT (due ->> closed.currency)::numeric - closed.amount BETWEEN 0 AND 0.009999 OR scale(closed.amount) > CASE closed.currency WHEN 'KWD' THEN 3 ELSE 2 END;
        INSERT INTO broken SELECT seed, step, format('conversion %s was paid %s and earns %s', a.conversion_id, a.paid, a.worth)
        FROM accounts AS a WHERE a.campaign_id = close_and_look.seed AND a.partner_id = partner AND a.currency = closed.currency AND a.paid > a.worth;
        INSERT INTO broken SELECT seed, step, format('conversion %s was paid %s although %s of %s are forfeited', a.conversion_id, a.paid, a.forfeited, a.worth)
        FROM accounts AS a WHERE a.campaign_id = close_and_look.seed AND a.partner_id = partner AND a.paid + a.forfeited > a.worth AND EXISTS (
            SELECT FROM postback.statement_lines AS l WHERE l.statement_id = closed.statement_id AND l.conversion_id = a.conversion_id AND l.amount > 0);
        INSERT INTO broken SELECT seed, step, format('day %s pays %s above the cap of %s', d.day, d.amount, t.daily_cap)
        FROM (SELECT l.day, sum(l.amount) AS amount, max(l.statement_id) FILTER (WHERE l.amount > 0) AS last FROM postback.statement_lines AS l
              JOIN postback.statements AS s USING (statement_id) WHERE s.partner_id = partner AND s.currency = closed.currency GROUP BY l.day) AS d
        JOIN postback.partners AS p ON p.partner_id = partner JOIN postback.payout_tiers AS t ON t.tier_id = p.tier_id
        WHERE d.day IS NOT NULL AND d.last = closed.statement_id AND d.amount > t.daily_cap;
        INSERT INTO broken SELECT seed, step, format('month %s pays %s above the cap of %s', d.month, d.amount, t.monthly_cap)
        FROM (SELECT date_trunc('month', l.day) AS month, sum(l.amount) AS amount, max(l.statement_id) FILTER (WHERE l.amount > 0) AS last FROM postback.statement_lines AS l
              JOIN postback.statements AS s USING (statement_id) WHERE s.partner_id = partner AND s.currency = closed.currency GROUP BY 1) AS d
        JOIN postback.partners AS p ON p.partner_id = partner JOIN postback.payout_tiers AS t ON t.tier_id = p.tier_id
        WHERE d.month IS NOT NULL AND d.last = closed.statement_id AND d.amount > t.monthly_cap;
        INSERT INTO broken SELECT seed, step, format('conversion %s was paid while it was held', l.conversion_id)
        FROM postback.statement_lines AS l JOIN postback.conversions AS c USING (conversion_id, bucket)
        JOIN postback.partners AS p ON p.partner_id = partner JOIN postback.payout_tiers AS t ON t.tier_id = p.tier_id
        WHERE l.statement_id = closed.statement_id AND l.amount > 0
          AND (c.converted_at + t.hold > until OR EXISTS (SELECT FROM postback.flags AS f WHERE f.subject = c.conversion_id AND f.status = 'open'));
    END LOOP;
    INSERT INTO broken SELECT seed, step, format('conversion %s was paid to two partners', l.conversion_id)
    FROM (SELECT a.conversion_id FROM accounts AS a WHERE a.campaign_id = close_and_look.seed AND a.paid > 0) AS l GROUP BY l.conversion_id HAVING count(*) > 1;
    INSERT INTO broken SELECT seed, step, 'closing again closed something' FROM postback.close_payout(partner, until) WHERE is_new;
    INSERT INTO broken SELECT seed, step, 'a closed statement changed' WHERE before IS DISTINCT FROM (
        SELECT md5(string_agg(s::text || l::text, '' ORDER BY l.statement_id, l.line)) FROM postback.statements AS s JOIN postback.statement_lines AS l USING (statement_id)
        WHERE s.partner_id = partner AND statement_id <= last);
END $$;

CREATE PROCEDURE live(seed integer, steps integer) LANGUAGE plpgsql AS $$
DECLARE
    clock timestamptz := '2026-02-01 00:00+00';
    partners bigint[];
    blasts bigint[];
    tiers integer[];
    plain integer;
    one record;
    id bigint;
    dice double precision;
BEGIN
    PERFORM setseed(seed / 1000.0);
    FOR i IN 1..4 LOOP
        INSERT INTO postback.payout_tiers (name, share, hold, currency, conversion_cap, daily_cap, monthly_cap, above_cap)
        VALUES (format('%s/%s', seed, i), round(random()::numeric, pick(ARRAY[1, 2, 4])), pick(ARRAY[0, 1, 4]) * interval '1 day', 'USD', pick(ARRAY[NULL, 6, 20]),
            pick(ARRAY[NULL, 5, 40.5]), pick(ARRAY[NULL, 60, 200]), pick(ARRAY['defer', 'forfeit'])) RETURNING tier_id INTO id;
        tiers := tiers || id::integer;
    END LOOP;
    INSERT INTO postback.payout_tiers (name, share, hold) VALUES (format('%s/plain', seed), 0.65, '0') RETURNING tier_id INTO plain;
    FOR i IN 1..2 LOOP
        INSERT INTO postback.partners (name, tier_id, tier_since, time_zone)
        VALUES (format('%s/%s', seed, i), pick(tiers || plain), '2026-01-01', pick(ARRAY['UTC', 'America/New_York', 'Asia/Kolkata'])) RETURNING partner_id INTO id;
        INSERT INTO moves SELECT id, '-infinity', p.tier_id FROM postback.partners AS p WHERE p.partner_id = id;
        partners := partners || id;
        blasts := blasts || postback.create_send(seed, 1, base_url => 'https://s.example.com', partner_id => id)
            || postback.create_send(seed, 1, base_url => 'https://s.example.com', partner_id => id);
    END LOOP;

    FOR step IN 1..steps LOOP
        clock := clock + random() * interval '10 hours';
        dice := random();
        SELECT c.* INTO one FROM postback.conversions AS c WHERE c.send_id = ANY (blasts) ORDER BY random() LIMIT 1;
        IF dice < 0.5 OR one IS NULL THEN
            INSERT INTO postback.conversions (transaction_id, send_id, campaign_id, payout, currency, status, converted_at, received_at)
            VALUES (format('%s-%s', seed, step), pick(blasts), seed, round((random() * pick(ARRAY[1, 30, 120]))::numeric, pick(ARRAY[0, 2, 4])), pick(ARRAY['USD', 'USD', 'USD', 'KWD']),
                pick(ARRAY['approved', 'approved', 'approved', 'pending'])::postback.conversion_status, clock, clock);
        ELSIF dice < 0.65 THEN
            UPDATE postback.conversions AS c SET status = (
                SELECT t.to_status FROM postback.status_transitions AS t WHERE t.from_status = one.status ORDER BY random() LIMIT 1)
            WHERE c.conversion_id = one.conversion_id;
        ELSIF dice < 0.72 THEN
            UPDATE postback.conversions AS c SET payout = round((random() * 80)::numeric, 2) WHERE c.conversion_id = one.conversion_id AND c.status = 'approved';
        ELSIF dice < 0.76 THEN
            id := pick(partners);
            UPDATE postback.partners SET tier_id = pick(tiers || plain), tier_since = clock WHERE partner_id = id;
            INSERT INTO moves SELECT id, clock, p.tier_id FROM postback.partners AS p WHERE p.partner_id = id;
        ELSIF dice < 0.78 THEN
            id := pick(tiers);
            UPDATE postback.payout_tiers SET daily_cap = pick(ARRAY[3, 10, 50]), hold = pick(ARRAY[0, 2]) * interval '1 day' WHERE tier_id = id;
        ELSIF dice < 0.80 THEN
            id := pick(blasts);
            UPDATE postback.sends SET partner_id = pick(partners) WHERE send_id = id;
        ELSIF dice < 0.83 THEN
            INSERT INTO postback.flags (rule, subject_kind, subject, severity, action, first_at, last_at, opened_at, updated_at, evidence)
            VALUES ('fast_conversion', 'conversion', one.conversion_id, 'high', 'hold', clock, clock, clock, clock, '{}') ON CONFLICT DO NOTHING RETURNING flag_id INTO id;
            INSERT INTO _postback.flag_items (rule, subject, kind, item, bucket, at, flag_id)
            SELECT 'fast_conversion', one.conversion_id, 'conversion', one.conversion_id, one.bucket, clock, id WHERE id IS NOT NULL ON CONFLICT DO NOTHING;
        ELSIF dice < 0.85 THEN
            UPDATE postback.flags SET status = 'dismissed', decision = 'release', closed_at = clock WHERE status = 'open';
        ELSE
            INSERT INTO seen SELECT p.reason || CASE WHEN p.forfeited > 0 THEN ' forfeited' WHEN p.explanation LIKE '%counted for%' THEN ' of a later day' ELSE '' END
            FROM postback.payables(NULL, clock) AS p WHERE p.partner_id = ANY (partners);
            CALL close_and_look(seed, step, pick(partners), clock - random() * interval '2 days');
        END IF;
    END LOOP;

    -- In the end nothing is held back, and each partner earns enough to pay its debts.
    UPDATE postback.flags SET status = 'dismissed', decision = 'release', closed_at = clock WHERE status = 'open';
    FOREACH id IN ARRAY partners LOOP
        UPDATE postback.partners SET tier_id = plain, tier_since = clock + interval '1 day' WHERE partner_id = id AND tier_id <> plain;
        INSERT INTO moves SELECT id, p.tier_since, p.tier_id FROM postback.partners AS p WHERE p.partner_id = id;
        INSERT INTO postback.conversions (transaction_id, send_id, campaign_id, payout, currency, status, converted_at, received_at)
        SELECT format('%s-%s-%s', seed, id, m), postback.create_send(seed, 1, base_url => 'https://s.example.com', partner_id => id), seed, 100000, m, 'approved',
            clock + interval '2 days', clock + interval '2 days' FROM unnest(ARRAY['USD', 'KWD']) AS m;
    END LOOP;
    -- The second time what the first has taken back from the other.
    FOR round IN 1..2 LOOP
        FOREACH id IN ARRAY partners LOOP
            CALL close_and_look(seed, -round, id, clock + round * interval '100 days');
        END LOOP;
    END LOOP;
    INSERT INTO broken SELECT seed, 0, format('in the end conversion %s earns %s, was paid %s and forfeited %s', a.conversion_id, a.worth, a.paid, a.forfeited)
    FROM accounts AS a WHERE a.campaign_id = live.seed AND NOT (a.paid <= a.worth AND a.worth <= a.paid + a.forfeited);
    INSERT INTO broken SELECT seed, 0, format('partner %s was paid %s in statements, and %s by conversion', a.partner_id, s.amount, a.paid)
    FROM (SELECT b.partner_id, b.currency, sum(b.paid) AS paid FROM accounts AS b WHERE b.campaign_id = live.seed GROUP BY 1, 2) AS a
    JOIN (SELECT t.partner_id, t.currency, sum(t.amount) AS amount FROM postback.statements AS t GROUP BY 1, 2) AS s ON s.partner_id = a.partner_id AND s.currency = a.currency
    WHERE NOT a.paid - s.amount BETWEEN 0 AND 0.009999;
    INSERT INTO broken SELECT seed, 0, format('partner %s is still due %s for %s', p.partner_id, p.amount + p.withheld, p.reason) FROM postback.payables(NULL, clock + interval '300 days') AS p
    WHERE p.partner_id = ANY (partners) AND p.reason NOT IN ('carried', 'pending');
END $$;

DO $$ BEGIN FOR seed IN 1..5 LOOP CALL live(seed, 180); END LOOP; END $$;
SELECT is_empty('SELECT * FROM broken LIMIT 10', 'paid is what is due, never twice, under every cap, and closed statements stay');
SELECT ok((SELECT count(*) >= 5 FROM seen AS s WHERE s.what = w.what), 'among it: ' || w.what)
FROM unnest('{statement,share,clawback,carried,pending,hold,flag,currency,elsewhere,cap,cap forfeited,conversion_cap forfeited,share of a later day}'::text[]) AS w (what);
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');

SELECT * FROM finish();
