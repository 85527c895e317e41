-- Housekeeping: partitions of the days around now, rows out of DEFAULT, nothing lost, nothing twice.
SELECT no_plan();
CREATE FUNCTION pg_temp.partitions(parent text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pg_inherits WHERE inhparent = parent::regclass $$;
CREATE FUNCTION pg_temp.done(at timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(task || ' ' || done, ', ' ORDER BY task) FROM postback.maintain(at)
    WHERE task NOT IN ('hours_recounted', 'reports_reconciled', 'tiers_changed', 'alerts_changed', 'days_dropped') AND task NOT LIKE 'fraud%' $$;

-- Partitions.
SELECT is(pg_temp.done('2031-05-05 23:59:59.999+00'), 'clicks_partitions 9, orphans_matched 0, paths_settled 0, postbacks_partitions 9', 'from yesterday to a week ahead');
SELECT is(
    (SELECT array_agg(d::date ORDER BY d) FROM generate_series('2031-05-01'::date, '2031-05-20', '1 day') AS d WHERE to_regclass('postback.clicks_' || to_char(d, 'YYYYMMDD')) IS NOT NULL),
    ARRAY(SELECT d::date FROM generate_series('2031-05-04'::date, '2031-05-12', '1 day') AS d), 'these days, by name');
SELECT is(pg_temp.done('2031-05-05 12:00+00'), 'clicks_partitions 0, orphans_matched 0, paths_settled 0, postbacks_partitions 0', 'a second run has nothing to do');
SELECT is(pg_temp.done('2031-05-06 00:00+00'), 'clicks_partitions 1, orphans_matched 0, paths_settled 0, postbacks_partitions 1', 'the next day needs one more');
SET timezone = 'Pacific/Kiritimati';
SELECT is(pg_temp.done('2031-05-06 12:00+00'), 'clicks_partitions 0, orphans_matched 0, paths_settled 0, postbacks_partitions 0', 'days are UTC, whatever the session says');
RESET timezone;
SELECT is(
    (SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'postback.clicks_20310505'::regclass),
    'FOR VALUES FROM (''2031-05-05 00:00:00+00'') TO (''2031-05-06 00:00:00+00'')', 'a partition is a day of UTC');
SELECT is_empty(
    $$ SELECT i.inhrelid::regclass, x.indexrelid::regclass FROM pg_inherits AS i JOIN pg_index AS x ON x.indrelid = i.inhparent
       WHERE i.inhparent IN ('postback.clicks'::regclass, 'postback.postbacks'::regclass)
         AND NOT EXISTS (SELECT FROM pg_index AS y JOIN pg_inherits AS j ON j.inhrelid = y.indexrelid WHERE y.indrelid = i.inhrelid AND j.inhparent = x.indexrelid) $$,
    'every partition has every index of its parent');
SELECT is_empty(
    $$ SELECT i.inhrelid::regclass FROM pg_inherits AS i WHERE i.inhparent = 'postback.clicks'::regclass
         AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = i.inhrelid AND t.tgname = 'fill_click') $$, 'and the trigger that fills clicks');
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent WHERE c.relowner <> p.relowner $$,
    'and its owner');
SELECT is_empty(
    $$ SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relname = 'moving' $$, 'no table is left over');

-- Rows that came for days nobody had made.
SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1) AS offer_id \gset
SELECT postback.record_click(offer_id => 1, click_id => 'old-' || n, now => '2020-01-01 23:00+00'::timestamptz + n * interval '10 minutes') FROM generate_series(1, 12) AS n \g /dev/null
SELECT postback.record_click(offer_id => 1, click_id => 'new', now => '2040-02-29 12:00+00') \g /dev/null
INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at) SELECT 7, n, '2020-01-02 12:00+00' FROM generate_series(1, 5) AS n;
SELECT postback.receive_postback('default', 'click_id=old-1&payout=3', now => '2020-01-03 12:00+00') \g /dev/null
SELECT is((SELECT count(*) FROM postback.clicks_default), 18::bigint, 'wait in the DEFAULT partition');
SELECT md5(string_agg(c::text, '|' ORDER BY click_id)) AS clicks_before FROM postback.clicks AS c \gset
SELECT is(pg_temp.done('2031-05-06 12:00+00'), 'clicks_partitions 3, orphans_matched 0, paths_settled 0, postbacks_partitions 1', 'each of their days gets a partition');
SELECT is((SELECT count(*) FROM postback.clicks_default) + (SELECT count(*) FROM postback.postbacks_default), 0::bigint, 'DEFAULT is empty');
SELECT is((SELECT md5(string_agg(c::text, '|' ORDER BY click_id)) FROM postback.clicks AS c), :'clicks_before', 'every row is as it was');
SELECT results_eq(
    'SELECT tableoid::regclass::text, count(*) FROM postback.clicks GROUP BY 1 ORDER BY 1',
    $$ VALUES ('postback.clicks_20200101', 5::bigint), ('postback.clicks_20200102', 12), ('postback.clicks_20400229', 1) $$, 'in its own day');
SELECT is((_postback.find_click('old-1')).click_id::text, 'old-1', 'and is found by its id');
SELECT is((SELECT verdict::text FROM postback.receive_postback('default', 'click_id=old-1&payout=3', now => '2020-01-03 13:00+00')), 'duplicate', 'a moved postback still counts');
SELECT is(pg_temp.done('2031-05-06 12:00+00'), 'clicks_partitions 0, orphans_matched 0, paths_settled 0, postbacks_partitions 0', 'then there is nothing to do');

-- Postbacks that came before their click, the later one stored first, on a day without partition.
SELECT postback.receive_postback('default', 'click_id=late&transaction_id=t1&payout=5&status=reversed', now => '2020-02-01 12:00:02+00') \g /dev/null
SELECT postback.receive_postback('default', 'click_id=late&transaction_id=t1&payout=5&status=approved', now => '2020-02-01 12:00:01+00') \g /dev/null
SELECT postback.receive_postback('default', 'click_id=never&transaction_id=t2&payout=5', now => '2020-02-01 12:00:00+00') \g /dev/null
SELECT is(pg_temp.done('2020-02-01 12:00:03+00'), 'clicks_partitions 9, orphans_matched 0, paths_settled 0, postbacks_partitions 9', 'wait for it');
-- A click and its postbacks that came in the same moment did not see each other: none of them found the other.
ALTER TABLE postback.clicks DISABLE TRIGGER match_click;
INSERT INTO postback.clicks (click_id, offer_id, clicked_at) VALUES ('late', 1, '2020-02-01 11:00+00');
ALTER TABLE postback.clicks ENABLE TRIGGER match_click;
SELECT is(pg_temp.done('2020-02-01 12:00:03+00'), 'clicks_partitions 0, orphans_matched 2, paths_settled 0, postbacks_partitions 0', 'are matched once it has come');
SELECT results_eq(
    $$ SELECT received_at, verdict::text FROM postback.postbacks WHERE transaction_id = 't1' ORDER BY received_at $$,
    $$ VALUES ('2020-02-01 12:00:01+00'::timestamptz, 'accepted'), ('2020-02-01 12:00:02+00', 'updated') $$, 'in the order of receipt');
SELECT is((SELECT status FROM postback.conversions WHERE transaction_id = 't1'), 'reversed', 'so that the last word counts');
SELECT is(array(SELECT click_id FROM _postback.orphans), '{never}', 'the one whose click never came waits on');
SELECT is(pg_temp.done('2020-02-01 12:00:03+00'), 'clicks_partitions 0, orphans_matched 0, paths_settled 0, postbacks_partitions 0', 'and nothing is matched twice');

-- A second run at the same time does nothing, and does not wait.
CREATE EXTENSION dblink SCHEMA tap;
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s user=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user)) \g /dev/null
SELECT dblink_exec('other', 'BEGIN') \g /dev/null
SELECT * FROM dblink('other', 'SELECT done FROM postback.maintain(''2031-05-06 12:00+00'')') AS t (done bigint) \g /dev/null
SELECT is_empty('SELECT * FROM postback.maintain(''2032-01-01 12:00+00'')', 'a second run at the same time does nothing');
SELECT dblink_exec('other', 'ROLLBACK'), dblink_disconnect('other') \g /dev/null
SELECT is(pg_temp.done('2032-01-01 12:00+00'), 'clicks_partitions 9, orphans_matched 0, paths_settled 0, postbacks_partitions 9', 'and afterwards it works again');

-- Task by task.
SELECT results_eq('SELECT task FROM postback.maintain(''2032-01-01 12:00+00'')', 'SELECT * FROM postback.maintenance_tasks()', 'it does what is listed, in that order');
SELECT set_eq($$SELECT replace(t, 'fraud_', '') FROM postback.maintenance_tasks() AS t WHERE t LIKE 'fraud%'$$, 'SELECT rule FROM postback.fraud_rules', 'each fraud rule is a task');
SELECT results_eq($$SELECT * FROM postback.maintain('2033-01-01 12:00+00', '{postbacks_partitions,tiers_changed}')$$, $$VALUES ('postbacks_partitions', 9::bigint), ('tiers_changed', 0)$$, 'or what is asked for');
SELECT results_eq($$SELECT * FROM postback.maintain('2033-01-01 12:00+00', '{postbacks_partitions,clicks_partitions}')$$, $$VALUES ('clicks_partitions', 9::bigint), ('postbacks_partitions', 0)$$,
    'and nothing else; in its own order');
SELECT is_empty($$SELECT * FROM postback.maintain('2034-01-01 12:00+00', '{}')$$, 'of no task nothing');
SELECT throws_ok($$SELECT postback.maintain('2034-01-01 12:00+00', '{clicks_partitions,dishes}')$$, '22023', 'there is no maintenance task ''dishes''', 'an unknown task is refused');
SELECT throws_ok($$SELECT postback.maintain('2034-01-01 12:00+00', '{NULL}')$$, '22023', 'there is no maintenance task NULL', 'so is none');
SELECT is(to_regclass('postback.clicks_20340101'), NULL, 'and then nothing is done');

SELECT is(to_regclass('postback.clicks_default')::text, 'postback.clicks_default', 'DEFAULT stays');
SELECT * FROM finish();
