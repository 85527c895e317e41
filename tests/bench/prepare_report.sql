-- The conversions of one network and what its report says of them, with discrepancies of every cause planted, see reconcile.py.
SET timezone = 'UTC';
SET work_mem = '512MB';
SET jit = off;
-- As a restore loads them. The keys of the conversions are left out: nothing comes in anymore.
SET session_replication_role = replica;
SELECT postback.add_network('Report', 'tune', time_zone => 'America/New_York') AS network_id \gset
SELECT count(_postback.ensure_days('clicks', 'clicked_at', day) + _postback.ensure_days('postbacks', 'received_at', day))
FROM generate_series('2026-03-01'::timestamptz, '2026-03-31', '8 days') AS g (day);

-- What is planted, by number; 0 is no story. here: is there a conversion; there: how many rows has the report.
CREATE TEMP TABLE plants (story integer, here integer, there integer, kind text, cause text);
INSERT INTO plants VALUES
    (0, 1, 1, NULL, NULL),
    (1, 0, 1, 'missing_here', 'unexplained'),
    (2, 1, 0, 'missing_there', 'unexplained'),
    (3, 1, 1, 'status_differs', 'status_lag'),
    (4, 1, 1, 'status_differs', 'unexplained'),
    (5, 1, 1, 'payout_differs', 'rounding'),
    (6, 1, 1, 'payout_differs', 'currency'),
    (7, 1, 1, 'payout_differs', 'unexplained'),
    (8, 0, 1, 'missing_here', 'click_id_truncated'),
    (9, 0, 1, 'missing_here', 'postback_refused'),
    (10, 0, 1, 'missing_here', 'postback_unmatched'),
    (11, 1, 2, 'missing_here', 'dedupe_rule'),
    (12, 1, 2, 'duplicate', 'dedupe_rule'),
    (13, 2, 1, 'missing_there', 'dedupe_rule'),
    (14, 1, 1, 'missing_here', 'time_zone_edge'),
    (15, 1, 0, 'missing_there', 'time_zone_edge'),
    (16, 1, 1, 'status_differs', 'postback_refused'),
    (17, 1, 1, 'missing_here', 'click_id_truncated');

-- 30 days of New York; each seventeenth of five in a hundred is one story. The last hours of the last day are the next day in UTC (14), and
-- the first hours of the first day in UTC are still the day before in New York (15).
CREATE TABLE bench_stories AS
SELECT s.number, s.story, s.at, postback.mint_click_id(s.number, s.at - interval '10 minutes') AS click_id, postback.subscriber_bucket(s.number) AS bucket,
       'txn_' || s.number AS transaction_id, round(5 + s.number * 7919 % 4000 / 100.0, 2) AS payout
FROM (
    SELECT c.number, c.story, CASE c.story
        WHEN 14 THEN '2026-03-31 00:30+00'::timestamptz + c.number % 10000 * interval '1 second'
        WHEN 15 THEN '2026-03-01 00:30+00'::timestamptz + c.number % 10000 * interval '1 second'
        ELSE '2026-03-01 06:00+00'::timestamptz + c.number * 2570000 / :rows * interval '1 second' END AS at
    FROM (
        SELECT g.number, CASE WHEN h.hash % 20 = 0 THEN (1 + h.hash / 20 % 17)::integer ELSE 0 END AS story
        FROM generate_series(1, :rows::bigint) AS g (number)
        CROSS JOIN LATERAL (SELECT hashint8extended(g.number, :seed) & 9007199254740991 AS hash) AS h) AS c) AS s;
ANALYZE bench_stories;

INSERT INTO postback.conversions (conversion_id, bucket, network_id, dedupe_key, transaction_id, event, click_id, clicked_at, status, payout, currency,
    converted_at, received_at, ledger_seq, ledger_hash)
SELECT format('conversion_%s_%s', s.number, e.event), s.bucket, :network_id, format('transaction_id=%s&event=%s', s.transaction_id, e.event),
       s.transaction_id, e.event, s.click_id, s.at - interval '10 minutes', CASE s.story WHEN 3 THEN 'pending' ELSE 'approved' END::postback.conversion_status,
       s.payout, 'USD', s.at, s.at + interval '2 seconds', 1, ''
FROM bench_stories AS s JOIN plants AS p ON p.story = s.story
CROSS JOIN LATERAL (SELECT '0' AS event WHERE p.here > 0 UNION ALL SELECT '7' WHERE p.here > 1) AS e
ORDER BY s.at;

-- The messages behind them, and those that changed nothing.
INSERT INTO postback.postbacks (postback_id, received_at, network_id, method, checks, verdict, reason, click_id, transaction_id, event, raw_status, payout,
    currency, conversion_id)
SELECT _postback.mint_click_id_in(s.bucket, m.received_at), m.received_at, :network_id, 'GET', '{}', m.verdict::postback.verdict, m.reason,
       m.click_id, s.transaction_id, '0', m.raw_status, s.payout, 'USD', m.conversion_id
FROM bench_stories AS s JOIN plants AS p ON p.story = s.story
CROSS JOIN LATERAL (
    SELECT s.at + interval '2 seconds' AS received_at, 'accepted' AS verdict, NULL AS reason, s.click_id, 'approved' AS raw_status,
           format('conversion_%s_0', s.number) AS conversion_id
    WHERE p.here > 0
    UNION ALL
    SELECT s.at + interval '1 hour', x.verdict, 'planted', CASE s.story WHEN 8 THEN left(s.click_id, 24) WHEN 10 THEN 'never-' || s.number ELSE s.click_id END,
           x.raw_status, NULL
    FROM (VALUES (8, 'unmatched', 'approved'), (9, 'unmapped_status', 'fantastic'), (10, 'unmatched', 'approved'), (16, 'unauthenticated', 'rejected'))
        AS x (story, verdict, raw_status)
    WHERE x.story = s.story) AS m
ORDER BY m.received_at;
INSERT INTO postback.clicks (click_id, bucket, clicked_at, offer_id, visitor)
SELECT s.click_id, s.bucket, s.at - interval '10 minutes', 1, 'human' FROM bench_stories AS s WHERE s.story IN (8, 9, 16);

CREATE TABLE bench_report AS
SELECT to_char(s.at AT TIME ZONE 'America/New_York', 'YYYY-MM-DD HH24:MI:SS') AS "Stat.datetime",
       CASE WHEN s.story IN (8, 17) THEN left(s.click_id, 24) ELSE s.click_id END AS "Stat.affiliate_info1",
       CASE WHEN s.story <> 17 THEN s.transaction_id END AS "Stat.ad_id", CASE WHEN s.story = 11 AND r.nth = 2 THEN '7' ELSE '0' END AS "Stat.goal_id",
       CASE WHEN s.story IN (4, 16) THEN 'rejected' ELSE 'approved' END AS "Stat.conversion_status",
       s.payout + CASE s.story WHEN 5 THEN 0.01 WHEN 7 THEN 3 ELSE 0 END AS "Stat.payout", CASE s.story WHEN 6 THEN 'EUR' ELSE 'USD' END AS "Stat.currency",
       format('Offer, %s', s.number % 40) AS "Offer.name"
FROM bench_stories AS s JOIN plants AS p ON p.story = s.story CROSS JOIN LATERAL generate_series(1, p.there) AS r (nth);

CREATE TABLE bench_planted AS
SELECT s.transaction_id, p.kind, p.cause FROM bench_stories AS s JOIN plants AS p ON p.story = s.story WHERE s.story > 0;
VACUUM ANALYZE postback.conversions, postback.postbacks, postback.clicks;
