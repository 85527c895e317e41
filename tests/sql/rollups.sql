-- Reports from rollups and reports from the tables give the same numbers, whatever happens in whatever order.
SELECT no_plan();
SELECT is((SELECT counted_until FROM _postback.rollup_state), '-infinity', 'what is empty is not counted: a load with the triggers off would be missed');
SELECT postback.add_offer('Offer ' || n, 'https://network.example.com/{click_id}', offer_id => n, network => CASE WHEN n < 3 THEN 'default' END)
FROM generate_series(1, 3) AS n \g /dev/null
INSERT INTO postback.sends (send_id, campaign_id, segment_id, variant_id, offer_id, base_url, sent_at, messages, cost_per_message, cost_currency)
SELECT n, n % 3, n % 2, nullif(n % 4, 0), 1 + n % 3, 'https://s.example.com', clock_timestamp() - n * interval '9 hours', 10 * n, 0.01 * (n % 3), (ARRAY['USD', 'EUR'])[1 + n % 2]
FROM generate_series(1, 8) AS n;

-- What performance() says, and whether it says the same when nothing is taken from rollups.
CREATE FUNCTION pg_temp.report(by text[], since timestamptz, until timestamptz, time_zone text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(p::text, E'\n' ORDER BY p::text) FROM postback.performance(by, since, until, time_zone, medians => true) AS p
$$;
CREATE FUNCTION pg_temp.differs(by text[], since timestamptz, until timestamptz, time_zone text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    counted CONSTANT timestamptz := (SELECT counted_until FROM _postback.rollup_state);
    from_rollups CONSTANT text := pg_temp.report(by, since, until, time_zone);
    from_tables text;
BEGIN
    UPDATE _postback.rollup_state SET counted_until = '-infinity';
    from_tables := pg_temp.report(by, since, until, time_zone);
    UPDATE _postback.rollup_state SET counted_until = counted;
    RETURN from_rollups IS DISTINCT FROM from_tables;
END
$$;

-- A time of the last four days; in one of five cases within the last minute, where the rollups end.
CREATE FUNCTION pg_temp.some_time() RETURNS timestamptz LANGUAGE sql AS $$
    SELECT clock_timestamp() - CASE WHEN random() < 0.2 THEN interval '1 minute' ELSE interval '4 days' END * random()
$$;
CREATE FUNCTION pg_temp.some_class() RETURNS postback.visitor LANGUAGE sql AS $$
    SELECT (ARRAY['human', 'human', 'human', 'preview', 'head'])[1 + floor(random() * 5)]::postback.visitor
$$;
CREATE TEMP TABLE seen (what text, differs boolean);
CREATE FUNCTION pg_temp.happen(seed double precision) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    chance double precision;
    one_click CONSTANT text := (SELECT click_id FROM postback.clicks ORDER BY random() LIMIT 1);
    at timestamptz;
BEGIN
    PERFORM setseed(seed);
    chance := random();
    at := pg_temp.some_time();
    CASE
        WHEN chance < 0.4 THEN
            -- With all that record_clicks() fills in, so that only the triggers of rollups see it.
            INSERT INTO postback.clicks (click_id, bucket, clicked_at, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id, visitor)
            SELECT postback.mint_click_id(p.subscriber_id, at), postback.subscriber_bucket(p.subscriber_id), date_trunc('milliseconds', at),
                   s.send_id, coalesce(s.campaign_id, 1), s.segment_id, s.variant_id, coalesce(s.offer_id, 1), p.subscriber_id, pg_temp.some_class()
            FROM (SELECT 1 + floor(random() * 4)::bigint AS subscriber_id, 1 + floor(random() * 9)::bigint AS send_id) AS p
            LEFT JOIN postback.sends AS s ON s.send_id = p.send_id;
        WHEN chance < 0.45 THEN INSERT INTO postback.clicks (campaign_id, clicked_at) VALUES (2, at);
        WHEN chance < 0.55 THEN UPDATE postback.clicks SET visitor = pg_temp.some_class() WHERE click_id = one_click;
        WHEN chance < 0.6 THEN DELETE FROM postback.clicks WHERE click_id = one_click;
        WHEN chance < 0.62 THEN UPDATE postback.clicks SET send_id = 3, subscriber_id = 2, bucket = postback.subscriber_bucket(2) WHERE click_id = one_click;
        WHEN chance < 0.75 THEN
            INSERT INTO postback.conversions (network_id, click_id, transaction_id, payout, currency, status, converted_at)
            SELECT (ARRAY[1, 1, NULL])[1 + floor(random() * 3)], one_click, gen_random_uuid(), round(random()::numeric * 20, 2), (ARRAY['USD', 'EUR'])[1 + floor(random() * 2)],
                   (ARRAY['pending', 'approved'])[1 + floor(random() * 2)]::postback.conversion_status, at;
        WHEN chance < 0.8 THEN
            PERFORM postback.receive_postback('default', format('click_id=%s&transaction_id=%s&payout=3&status=approved&timestamp=%s',
                one_click, random(), (extract(epoch FROM at) * 1000)::bigint));
        WHEN chance < 0.9 THEN
            UPDATE postback.conversions AS c SET status = t.to_status, payout = CASE WHEN random() < 0.5 THEN c.payout ELSE 1 END
            FROM postback.status_transitions AS t
            WHERE t.from_status = c.status AND c.conversion_id = (SELECT conversion_id FROM postback.conversions ORDER BY random() LIMIT 1);
        ELSE PERFORM postback.maintain();
    END CASE;
    INSERT INTO seen
    SELECT format('seed %s: by %s from %s until %s in %s', seed, p.by, p.since, p.until, p.time_zone), pg_temp.differs(p.by, p.since, p.until, p.time_zone)
    FROM (SELECT (ARRAY['{campaign}', '{}', '{send,hour}', '{segment,day}', '{network,week}', '{variant,offer,month}', '{day,hour}'])[1 + floor(random() * 7)]::text[],
                 CASE WHEN random() < 0.5 THEN '-infinity' ELSE clock_timestamp() - random() * interval '4 days' END,
                 CASE WHEN random() < 0.5 THEN 'infinity' ELSE clock_timestamp() - random() ^ 3 * interval '2 days' END,
                 (ARRAY['UTC', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe'])[1 + floor(random() * 5)]) AS p (by, since, until, time_zone);
    RETURN NULL;
END
$$;
SELECT format('SELECT pg_temp.happen(%s)', n / 700.0) FROM generate_series(1, 600) AS n \gexec
SELECT is_empty('SELECT what FROM seen WHERE differs', 'every report is the same from rollups and from the tables');
SELECT ok((SELECT count(*) FROM seen) = 600 AND (SELECT count(*) FROM postback.rollups) > 100 AND (SELECT min(counted_until) FROM _postback.rollup_state) > now() - interval '1 hour',
    'and there were rollups to take them from');
SELECT postback.maintain() \g /dev/null
CREATE FUNCTION pg_temp.blocks(from_hours boolean) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT r::text FROM (
        SELECT date_bin('4 hours', r.hour, '2000-01-01 00:00+00'), r.send_id, r.campaign_id, r.segment_id, r.variant_id, r.offer_id, r.network_id, r.currency,
               sum(r.clicks), sum(r.human_clicks), sum(r.unique_clicks), sum(r.pending), sum(r.approved), sum(r.rejected), sum(r.reversed), sum(r.revenue), sum(r.pending_revenue)
        FROM postback.rollups AS r WHERE from_hours AND r.hour < (SELECT blocks_until FROM _postback.rollup_state) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        UNION ALL
        SELECT b.began, b.send_id, b.campaign_id, b.segment_id, b.variant_id, b.offer_id, b.network_id, b.currency,
               b.clicks, b.human_clicks, b.unique_clicks, b.pending, b.approved, b.rejected, b.reversed, b.revenue, b.pending_revenue
        FROM _postback.rollup_blocks AS b WHERE NOT from_hours) AS r
$$;
SELECT bag_eq('SELECT pg_temp.blocks(true)', 'SELECT pg_temp.blocks(false)', 'blocks are the sums of their hours');
SELECT cmp_ok((SELECT count(DISTINCT began) FROM _postback.rollup_blocks), '>', 10::bigint, 'of which there are some');
SELECT is_empty(
    $$ SELECT f.bucket, f.subscriber_id, f.clicked_at, r.clicked_at FROM _postback.first_clicks AS f FULL JOIN (
           SELECT k.bucket, k.subscriber_id, min(k.clicked_at) AS clicked_at FROM postback.click_log AS k
           WHERE k.visitor = 'human' AND k.subscriber_id IS NOT NULL AND k.clicked_at < (SELECT counted_until FROM _postback.rollup_state)
           GROUP BY 1, 2) AS r ON r.bucket = f.bucket AND r.subscriber_id = f.subscriber_id
       WHERE f.clicked_at IS DISTINCT FROM r.clicked_at $$, 'the first click of each subscriber is known');

-- A transaction that is under way may hold rows that nobody sees yet: rollups do not go past it.
CREATE EXTENSION dblink SCHEMA tap;
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s user=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user)) \g /dev/null
SELECT dblink_exec('other', 'BEGIN'), dblink_exec('other', 'INSERT INTO postback.clicks (campaign_id, clicked_at) VALUES (77, clock_timestamp() - interval ''14.9 seconds'')') \g /dev/null
SELECT counted_until FROM _postback.rollup_state \gset
SELECT postback.maintain() \g /dev/null
SELECT is((SELECT counted_until FROM _postback.rollup_state), :'counted_until', 'rollups wait for a transaction that is under way');
SELECT dblink_exec('other', 'COMMIT'), dblink_disconnect('other') \g /dev/null
SELECT postback.maintain() \g /dev/null
SELECT ok((SELECT counted_until FROM _postback.rollup_state) > :'counted_until', 'and go on after it');
SELECT is((SELECT human_clicks FROM postback.performance() WHERE campaign_id = 77), 1::bigint, 'its click is counted once');

-- More late clicks than it is worth looking at one by one, of people who had clicked before and after.
INSERT INTO postback.clicks (click_id, bucket, clicked_at, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id, visitor)
SELECT postback.mint_click_id(n % 50, t.at), postback.subscriber_bucket(n % 50), date_trunc('milliseconds', t.at), s.send_id, s.campaign_id, s.segment_id, s.variant_id,
       s.offer_id, n % 50, 'human'
FROM generate_series(1, 10001) AS n JOIN postback.sends AS s ON s.send_id = 1 + n % 8, LATERAL (SELECT clock_timestamp() - interval '1 hour' - n * interval '25 seconds' AS at) AS t;
SELECT ok(NOT pg_temp.differs('{send,day}', '-infinity', 'infinity', 'UTC'), 'a flood of late clicks');
SELECT postback.maintain() \g /dev/null
SELECT ok(NOT pg_temp.differs('{send,day}', '-infinity', 'infinity', 'UTC') AND NOT EXISTS (SELECT FROM _postback.spoiled_hours()), 'is counted by one maintain()');

-- A day that is dropped stays in the reports.
SELECT sum(human_clicks) AS clicks_before FROM postback.performance() \gset
SELECT format('DROP TABLE postback.clicks_%s', to_char(clock_timestamp() AT TIME ZONE 'UTC' - interval '2 days', 'YYYYMMDD')) \gexec
SELECT is((SELECT sum(human_clicks) FROM postback.performance()), :clicks_before::numeric, 'a day that was dropped stays in the reports');
-- Where counting begins is found without reading the days.
SELECT ok(_postback.first_click_day() <= (SELECT min(clicked_at) FROM postback.clicks), 'no click is older');
SELECT ok(_postback.first_click_day() > (SELECT min(clicked_at) FROM postback.clicks) - interval '1 day', 'and not by a day');
INSERT INTO postback.clicks (clicked_at) VALUES ('2001-01-01 12:00+00');
SELECT is(_postback.first_click_day(), '2001-01-01 12:00+00', 'also when it lies in the DEFAULT partition');
SELECT * FROM finish();
