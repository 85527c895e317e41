-- Days that are kept no longer: what goes with them, and what stays as it was.
SELECT no_plan();
SET timezone = 'UTC';
SELECT date_trunc('day', clock_timestamp()) AS today \gset
CREATE FUNCTION pg_temp.done(task text) RETURNS bigint LANGUAGE sql AS $$ SELECT m.done FROM postback.maintain() AS m WHERE m.task = done.task $$;
CREATE FUNCTION pg_temp.path() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(click_id, ' ' ORDER BY clicked_at) FROM postback.attribution('linear', scope => 'any', click_window => '140 days') WHERE transaction_id = 't1' $$;

SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1) AS offer_id \gset
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at)
SELECT 'days-' || n, 5, 1, 7, :'today'::timestamptz - n * interval '1 day' + interval '12 hours' FROM unnest('{100,95,60}'::integer[]) AS n;
SELECT postback.receive_postback('default', 'click_id=days-60&transaction_id=t1&payout=9&status=approved', now => :'today'::timestamptz - interval '59 days') \g /dev/null
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at) VALUES ('early', 10, 1, 11, :'today'::timestamptz - interval '99 days');
SELECT postback.receive_postback('default', 'click_id=early&transaction_id=t2&payout=9', now => :'today'::timestamptz - interval '98 days') \g /dev/null
SELECT postback.receive_postback('default', 'click_id=nobody&transaction_id=t0&payout=9', now => :'today'::timestamptz - interval '120 days') \g /dev/null
SELECT is(pg_temp.done('days_dropped'), 0::bigint, 'everything is kept unless somebody says otherwise');
SELECT is((SELECT count(*) FROM postback.clicks), 4::bigint, 'for ever');
SELECT set_eq('SELECT channel_id FROM postback.markov_attribution()', '{7,11}'::bigint[], 'two channels sell');
SELECT _postback.settle_touches(clock_timestamp() + interval '10 minutes') FROM generate_series(1, 2) \g /dev/null
SELECT is(pg_temp.path(), 'days-100 days-95 days-60', 'a path of three clicks');
CREATE TEMP VIEW report AS SELECT * FROM postback.performance('{day}');
CREATE TEMP TABLE before AS SELECT * FROM report;
SELECT is((SELECT sum(human_clicks) FROM before), 4::numeric, 'which the report has, beside another');

SELECT throws_ok($$UPDATE postback.retention SET keep_for = '89 days'$$, '23514', NULL, 'what may still earn is not dropped');
SELECT throws_ok($$INSERT INTO postback.retention (relation, keep_for) VALUES ('conversions', '1 year')$$, '23514', NULL, 'nor is a conversion');

-- What somebody reads, and what is not counted yet, waits.
UPDATE postback.retention SET keep_for = '90 days' WHERE relation = 'clicks';
CREATE EXTENSION dblink SCHEMA tap;
SELECT dblink_connect('other', format('dbname=%s host=%s port=%s user=%s', current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),
    current_setting('port'), current_user)) \g /dev/null
SELECT dblink_exec('other', 'BEGIN'), dblink_exec('other', 'LOCK postback.clicks IN ACCESS SHARE MODE') \g /dev/null
SET client_min_messages = error;
SELECT set_eq('SELECT task FROM postback.maintain()', 'SELECT * FROM postback.maintenance_tasks()', 'a reader does not keep the other tasks');
RESET client_min_messages;
SELECT is((SELECT count(*) FROM postback.clicks), 4::bigint, 'and nothing is dropped');
SELECT dblink_exec('other', 'ROLLBACK'), dblink_disconnect('other') \g /dev/null
INSERT INTO _postback.stale_hours (kind, hour) SELECT 'clicks', :'today'::timestamptz - interval '100 days' + interval '12 hours';
SELECT is(_postback.drop_days(clock_timestamp()), 0::bigint, 'a day with an hour to be counted again waits');
SELECT is((SELECT dropped_until FROM postback.retention WHERE relation = 'clicks'), '-infinity', 'so far none is gone');
CREATE FUNCTION pg_temp.partition(days integer) RETURNS text LANGUAGE sql AS $$ SELECT format('postback.clicks_%s', to_char(clock_timestamp() - days * interval '1 day', 'YYYYMMDD')) $$;
SELECT format('CREATE VIEW of_a_day AS SELECT * FROM %s', pg_temp.partition(95)) \gexec
SELECT postback.maintain(tasks => '{hours_recounted}') \g /dev/null
SET client_min_messages = error;
SELECT is(pg_temp.done('days_dropped'), 0::bigint, 'a view of somebody''s keeps its day');
RESET client_min_messages;
DROP VIEW of_a_day;

SELECT is(pg_temp.done('days_dropped'), 3::bigint, 'then the days of clicks go');
SELECT is((SELECT dropped_until FROM postback.retention WHERE relation = 'clicks'), :'today'::timestamptz - interval '94 days', 'it is known which');
SELECT is(array(SELECT click_id FROM postback.clicks), '{days-60}', 'with their clicks');
SELECT results_eq('SELECT * FROM report', 'SELECT * FROM before', 'not with what the reports say of them');
SELECT is(pg_temp.path(), 'days-100 days-95 days-60', 'nor with the paths');
SELECT results_eq(
    $$ SELECT click_id, credit > 0 FROM postback.explain_credit('default', 't1', 'linear', '140 days', scope => 'any') $$,
    $$ VALUES ('days-100', true), ('days-95', true), ('days-60', true) $$, 'and it can still be explained');
SELECT is(pg_temp.done('days_dropped'), 0::bigint, 'a second run has nothing to do');
SELECT is(array(SELECT click_id FROM postback.click_locations), '{days-60}', 'but to forget where those clicks were');
SELECT is((SELECT count(*) FROM postback.postbacks), 3::bigint, 'postbacks have a time of their own');

-- What comes later.
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at) VALUES ('late', 5, 1, 7, :'today'::timestamptz - interval '99.5 days');
SELECT results_eq('SELECT * FROM report', 'SELECT * FROM before', 'a click of a dropped day does not have it counted from what is gone');
SELECT postback.maintain() \g /dev/null
SELECT results_eq('SELECT * FROM report', 'SELECT * FROM before', 'nor when maintain() has seen it');
SELECT is(pg_temp.path(), 'days-100 days-95 days-60', 'and its path is as it was');
SELECT is(array(SELECT click_id FROM postback.clicks), '{days-60}', 'it is gone with its day');
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, campaign_id, clicked_at) VALUES ('kept', 5, 1, 7, :'today'::timestamptz - interval '61.5 days');
SELECT is(pg_temp.path(), 'days-100 days-95 kept days-60', 'one of a day that is kept joins the path beside those that are gone');
SELECT is((SELECT sum(human_clicks) FROM report), 5::numeric, 'and the report');
UPDATE postback.clicks SET visitor = 'bot' WHERE click_id = 'kept';
SELECT is(pg_temp.path(), 'days-100 days-95 days-60', 'until it proves a bot''s');
BEGIN;
UPDATE postback.conversions SET subscriber_id = 6 WHERE transaction_id = 't1';
SELECT is(pg_temp.path(), 'days-60', 'another subscriber''s path has nothing of it but the click that the network named');
UPDATE postback.conversions SET subscriber_id = 5, click_id = 'days-95', clicked_at = :'today'::timestamptz - interval '94.5 days' WHERE transaction_id = 't1';
UPDATE postback.conversions SET subscriber_id = 6 WHERE transaction_id = 't1';
SELECT is(pg_temp.path(), NULL, 'also when that one is gone and was no touch of it');
ROLLBACK;
BEGIN;
UPDATE postback.conversions SET click_id = 'days-95', clicked_at = :'today'::timestamptz - interval '94.5 days' WHERE transaction_id = 't1';
SELECT is(pg_temp.path(), 'days-100 days-95 days-60', 'a click that is gone can be the one that is named');
UPDATE postback.conversions SET subscriber_id = 6 WHERE transaction_id = 't1';
SELECT is(pg_temp.path(), 'days-95', 'and then stays');
ROLLBACK;
SELECT set_eq('SELECT channel_id FROM postback.markov_attribution()', '{7}'::bigint[], 'models over journeys with and without a sale begin with the first day that is kept');
SELECT set_eq('SELECT campaign_id FROM postback.attribution(''linear'')', '{7,11}'::bigint[], 'attribution does not');

-- As long as a window asks for them; and not longer because somebody says that it is next year.
SELECT postback.maintain(clock_timestamp() + interval '1 year', '{days_dropped}') \g /dev/null
SELECT is(array(SELECT click_id FROM postback.clicks ORDER BY clicked_at), '{kept,days-60}', 'what is old is told by the clock');
UPDATE postback.offers SET click_window = '200 days';
INSERT INTO postback.clicks (click_id, subscriber_id, offer_id, clicked_at) VALUES ('long', 8, 1, :'today'::timestamptz - interval '93 days');
SELECT is(pg_temp.done('days_dropped'), 0::bigint, 'clicks are kept as long as the longest window');
UPDATE postback.retention SET keep_for = '3 months' WHERE relation = 'postbacks';
SELECT is(pg_temp.done('days_dropped'), 0::bigint, 'and postbacks too');
UPDATE postback.offers SET click_window = '7 days';
UPDATE postback.networks SET duplicate_policies = '{"*": "add_payout"}';
SELECT is(pg_temp.done('days_dropped'), 1::bigint, 'of postbacks none while they are what tells a repeat from an addition');
UPDATE postback.networks SET duplicate_policies = '{}';
SELECT is(pg_temp.done('days_dropped'), 2::bigint, 'but no longer');
SELECT is(array(SELECT transaction_id FROM postback.postbacks), '{t1}', 'the old postback is gone');
SELECT is((SELECT count(*) FROM postback.ledger), 2::bigint, 'the ledger is whole');

-- Many days at once are ten at a time: a transaction has room for so many locks.
UPDATE postback.retention SET keep_for = NULL;
INSERT INTO postback.clicks (subscriber_id, clicked_at) SELECT n, '2020-01-01 12:00+00'::timestamptz + n * interval '1 day' FROM generate_series(1, 12) AS n;
SELECT is(pg_temp.done('clicks_partitions'), 12::bigint, 'twelve old days');
UPDATE postback.retention SET keep_for = '400 days' WHERE relation = 'clicks';
SELECT is(array(SELECT pg_temp.done('days_dropped') FROM generate_series(1, 3)), '{10,2,0}', 'go in two runs');
SELECT * FROM finish();
