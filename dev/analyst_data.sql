-- The data of docs/analyst.md: seven weeks of 2025 of a small sender, the same on every machine. Nothing is drawn at random: what
-- happens to a message is decided by a hash of its number, so that anybody gets these figures.

SET timezone = 'UTC';
CREATE FUNCTION pg_temp.dice(throw text) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || left(md5(throw), 8))::bit(32)::bigint / 4294967296.0::double precision
$$;

SELECT postback.add_network('Partner', 'generic');
SELECT postback.add_offer('Insurance', 'https://partner.example.com/o/1?s2={click_id}', offer_id => 1, network => 'partner'),
    postback.add_offer('Credit card', 'https://partner.example.com/o/2?s2={click_id}', offer_id => 2, network => 'partner'),
    postback.add_offer('Sweepstakes', 'https://partner.example.com/o/3?s2={click_id}', offer_id => 3, network => 'partner');
INSERT INTO postback.campaigns (campaign_id, name) VALUES (456, 'Spring'), (457, 'Reminder');
INSERT INTO postback.segments (segment_id, name) VALUES (101, 'Bought before'), (102, 'Never bought');
INSERT INTO postback.variants (variant_id, name) VALUES (1, 'Short text'), (2, 'With a question');

-- Each Monday, Wednesday and Friday each segment gets each variant, all of one offer; the reminder goes out on Fridays.
INSERT INTO postback.sends (send_id, campaign_id, segment_id, variant_id, offer_id, base_url, sent_at, messages, cost_per_message)
SELECT row_number() OVER (ORDER BY d.day, segment, variant), CASE WHEN d.number % 3 = 2 THEN 457 ELSE 456 END, segment, variant,
    1 + (d.number + d.number / 3) % 3, 'https://s.example.com', d.day + interval '16 hours', 1000, 0.008
FROM (SELECT day, row_number() OVER (ORDER BY day) - 1 AS number
      FROM generate_series(timestamptz '2025-02-03 00:00+00', '2025-03-21 00:00+00', '1 day') AS day
      WHERE extract(isodow FROM day) IN (1, 3, 5)) AS d,
    unnest(ARRAY[101, 102]) AS segment, unnest(ARRAY[1, 2]) AS variant;

-- Who taps: people within hours, of the first segment and by the second text more; and a preview before one of seven.
CREATE TEMP TABLE taps AS
SELECT s.*, n AS subscriber_id, format('m%s-%s', s.send_id, n) AS click_id,
    date_trunc('milliseconds', s.sent_at + interval '20 hours' * pg_temp.dice(format('when %s %s', s.send_id, n)) ^ 3 + interval '1 minute') AS at
FROM postback.sends AS s
CROSS JOIN LATERAL generate_series(s.segment_id * 10000 + 1, s.segment_id * 10000 + s.messages) AS n
WHERE pg_temp.dice(format('tap %s %s', s.send_id, n)) < 0.05 * CASE s.segment_id WHEN 101 THEN 1.6 ELSE 1 END
                                                             * CASE s.variant_id WHEN 2 THEN 1.3 ELSE 1 END;
INSERT INTO postback.clicks (click_id, subscriber_id, send_id, campaign_id, segment_id, variant_id, offer_id, clicked_at, visitor)
SELECT click_id, subscriber_id, send_id, campaign_id, segment_id, variant_id, offer_id, at, 'human'::postback.visitor FROM taps
UNION ALL
SELECT click_id || '-preview', subscriber_id, send_id, campaign_id, segment_id, variant_id, offer_id, at - interval '50 seconds', 'preview'
FROM taps WHERE pg_temp.dice('preview ' || click_id) < 0.15;

-- What the network says: one of eight taps becomes a sale within days, most of them approved at once, and its message comes
-- some minutes after the sale, which it dates. A few are taken back a week or two later.
CREATE TEMP TABLE sales AS
SELECT t.click_id, 'T-' || row_number() OVER (ORDER BY t.at, t.click_id) AS transaction_id,
    date_trunc('second', t.at + interval '72 hours' * pg_temp.dice('sale ' || t.click_id) ^ 4 + interval '3 minutes') AS at,
    (ARRAY[38.50, 55.00, 2.40])[t.offer_id] AS payout, pg_temp.dice('end ' || t.click_id) AS ending
FROM taps AS t WHERE pg_temp.dice('buy ' || t.click_id) < (ARRAY[0.09, 0.06, 0.3])[t.offer_id];
CREATE TEMP TABLE messages AS
SELECT s.*, v.status, v.said_at, v.said_at + interval '90 minutes' * pg_temp.dice('late ' || s.click_id) ^ 5 + interval '4 seconds' AS received_at
FROM sales AS s
CROSS JOIN LATERAL (VALUES
    (CASE WHEN s.ending < 0.12 THEN 'pending' ELSE 'approved' END, s.at),
    (CASE WHEN s.ending < 0.05 THEN 'rejected' WHEN s.ending > 0.9 THEN 'reversed' END,
        s.at + CASE WHEN s.ending < 0.05 THEN interval '2 days' ELSE interval '130 days' * (1 - s.ending) END)) AS v (status, said_at)
WHERE v.status IS NOT NULL AND v.said_at < '2025-03-24 00:00+00';
SELECT count(*) FROM (SELECT * FROM messages ORDER BY received_at, click_id) AS m, LATERAL postback.receive_postback('partner', format(
    'click_id=%s&transaction_id=%s&payout=%s&status=%s&timestamp=%s', m.click_id, m.transaction_id, m.payout, m.status,
    extract(epoch FROM m.said_at)::bigint), now => m.received_at);
SELECT postback.maintain('2025-03-24 00:00+00');
