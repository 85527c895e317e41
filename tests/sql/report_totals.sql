-- What a reconciled report says as a whole: totals by day in both zones, the share that nothing explains, and what is due when.
SELECT no_plan();
SELECT postback.add_network('net'), postback.add_network('other') \g /dev/null
SELECT postback.add_offer('Offer', 'https://n.example.com/?click_id={click_id}', offer_id => 1, network => 'net') \g /dev/null
SELECT postback.record_click(offer_id => 1, click_id => 'click-of-' || name, now => '2026-03-01 00:00+00') FROM unnest('{a,b,c,d,e,f,g}'::text[]) AS name \g /dev/null
CREATE FUNCTION pg_temp.told(name text, payout numeric, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback('net', format('click_id=click-of-%s&transaction_id=%1$s&payout=%s', name, payout), now => at) $$;
-- New York is five hours behind UTC: b and d are of the day before there; e is of the first of March there and of the second in UTC.
SELECT is(array[pg_temp.told('a', 10, '2026-03-02 15:00+00'), pg_temp.told('b', 20, '2026-03-03 02:00+00'), pg_temp.told('c', 30, '2026-03-03 15:00+00'),
    pg_temp.told('d', 40, '2026-03-04 04:59+00'), pg_temp.told('e', 7, '2026-03-02 04:30+00')], array_fill('accepted'::text, ARRAY[5]), 'five conversions');
SELECT postback.test_postback('net', payout => 99, now => '2026-03-02 12:00+00') \g /dev/null

CREATE FUNCTION pg_temp.imported(network text, lines text[], at timestamptz DEFAULT '2026-03-05 00:00+00') RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postback.report_lines (line) SELECT 'click_id,transaction_id,status,payout,time' UNION ALL SELECT unnest(lines);
    RETURN (SELECT i.import_id FROM postback.import_report(network, time_zone => 'America/New_York', now => at) AS i);
END $$;
SELECT pg_temp.imported('net', ARRAY['click-of-a,a,approved,10,2026-03-02 10:00:00', 'click-of-b,b,approved,20,2026-03-02 21:00:00',
    'click-of-c,c,rejected,30,2026-03-03 10:00:00', 'click-of-d,d,approved,41,2026-03-03 23:59:00', 'click-of-f,f,approved,5,2026-03-03 13:20:00',
    'click-of-g,g,perhaps,5,2026-03-03 12:00:00']) AS import \gset

-- Totals by day.
SELECT results_eq(format('SELECT * FROM postback.report_totals(%s)', :import), $$ VALUES
    ('America/New_York', '2026-03-02'::date, 'USD', 2::bigint, 2::bigint, 30::numeric, 30::numeric),
    ('America/New_York', '2026-03-03', 'USD', 3, 2, 46, 70) $$, 'before it is compared, by the days of the report; a rejected row counts and pays nothing, one that was not read does neither');
SELECT postback.reconcile(:import, now => '2026-03-05 01:00+00') \g /dev/null
SELECT results_eq(format('SELECT * FROM postback.report_totals(%s)', :import), $$ VALUES
    ('America/New_York', '2026-03-02'::date, 'USD', 2::bigint, 2::bigint, 30::numeric, 30::numeric),
    ('America/New_York', '2026-03-03', 'USD', 3, 2, 46, 70),
    ('UTC', '2026-03-02', 'USD', 1, 2, 10, 17),
    ('UTC', '2026-03-03', 'USD', 3, 2, 25, 50),
    ('UTC', '2026-03-04', 'USD', 1, 0, 41, 0) $$, 'then also by ours: what lies on the edge of a day is of another one');
SELECT postback.reconcile(:import, 'Asia/Kathmandu', now => '2026-03-05 01:00+00') \g /dev/null
SELECT results_eq(format('SELECT * FROM postback.report_totals(%s) WHERE time_zone <> ''America/New_York''', :import), $$ VALUES
    ('Asia/Kathmandu', '2026-03-02'::date, 'USD', 1::bigint, 2::bigint, 10::numeric, 17::numeric),
    ('Asia/Kathmandu', '2026-03-03', 'USD', 2, 2, 20, 50),
    ('Asia/Kathmandu', '2026-03-04', 'USD', 2, 0, 46, 0) $$, 'in whichever zone it was compared, also one that is three quarters of an hour beside the others');
SELECT postback.reconcile(:import, 'America/New_York', now => '2026-03-05 01:00+00') \g /dev/null
SELECT is((SELECT count(*) FROM postback.report_totals(:import)), 2::bigint, 'days of one zone are there once');
SELECT throws_ok('SELECT * FROM postback.report_totals(404)', 'P0002', 'import "404" does not exist', 'an import that is none');

-- What nothing explains: d is a unit more, nobody told of f, g was not read. Of six rows, and of e where it lies in our days.
CREATE FUNCTION pg_temp.outcome(import bigint) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s of %s matched, %s apart, %s unexplained: %s, investigate %s', matched, row_count, discrepancies, unexplained, unexplained_share, investigate)
    FROM postback.reconciliations WHERE import_id = import $$;
SELECT is(pg_temp.outcome(:import), '2 of 6 matched, 3 apart, 3 unexplained: 0.500000, investigate t', 'three of six rows are not explained');
SELECT postback.reconcile(:import, 'America/New_York', threshold => 0.5, now => '2026-03-05 01:00+00') \g /dev/null
SELECT is(pg_temp.outcome(:import), '2 of 6 matched, 3 apart, 3 unexplained: 0.500000, investigate f', 'a share that is the threshold is not above it');
SELECT postback.reconcile(:import, 'America/New_York', threshold => 0.49, now => '2026-03-05 01:00+00') \g /dev/null
SELECT is(pg_temp.outcome(:import), '2 of 6 matched, 3 apart, 3 unexplained: 0.500000, investigate t', 'one above it is');
SELECT postback.reconcile(:import, 'UTC', now => '2026-03-05 01:00+00') \g /dev/null
SELECT results_eq(format($$ SELECT kind, cause, transaction_id FROM postback.discrepancy_log WHERE import_id = %s ORDER BY transaction_id $$, :import), $$ VALUES
    ('status_differs', 'status_lag', 'c'), ('payout_differs', 'unexplained', 'd'), ('missing_there', 'time_zone_edge', 'e'), ('missing_here', 'unexplained', 'f') $$,
    'in days of UTC one more stands apart, and the edge of the day explains it');
SELECT is(pg_temp.outcome(:import), '2 of 6 matched, 4 apart, 3 unexplained: 0.428571, investigate t', 'so the share is of one more');
SELECT results_eq(format('SELECT sum(found), round(sum(share), 4) FROM postback.reconcile(%s, now => ''2026-03-05 01:00+00'')', :import), $$ VALUES (7::numeric, 1.0000) $$,
    'kinds and causes add up to all rows and what is missing there');
SELECT throws_ok(format('SELECT postback.reconcile(%s, threshold => 2)', :import), '22023', 'threshold "2" is not a share', 'a threshold that is no share');

-- Which report is due.
SELECT is_empty('SELECT * FROM postback.reports_due', 'no report is due unless somebody asks for it');
UPDATE postback.networks SET reconcile_weekly = true WHERE slug IN ('net', 'other');
SELECT results_eq('SELECT * FROM postback.reports_due ORDER BY network', $$ VALUES
    ('net', '2026-03-05 00:00+00'::timestamptz, '2026-03-12 00:00+00'::timestamptz), ('other', NULL, NULL) $$, 'a week after the last one, at once where there was none');
SELECT pg_temp.imported('other', ARRAY['x,x,approved,1,2026-03-01 10:00:00'], '2026-03-03 00:00+00') AS others \gset
SELECT results_eq('SELECT network, due_at FROM postback.reports_due ORDER BY due_at', $$ VALUES
    ('other', '2026-03-10 00:00+00'::timestamptz), ('net', '2026-03-12 00:00+00') $$, 'each network by its own');

-- Each week again.
CREATE FUNCTION pg_temp.maintained(at timestamptz) RETURNS bigint LANGUAGE sql AS $$ SELECT done FROM postback.maintain(at) WHERE task = 'reports_reconciled' $$;
CREATE FUNCTION pg_temp.reconciled(import bigint) RETURNS timestamptz LANGUAGE sql AS $$ SELECT reconciled_at FROM postback.reconciliations WHERE import_id = import $$;
SELECT is(pg_temp.maintained('2026-03-05 02:00+00'), 1::bigint, 'one that was never compared is at once');
SELECT is(array[pg_temp.reconciled(:others), pg_temp.reconciled(:import)], '{2026-03-05 02:00+00,2026-03-05 01:00+00}'::timestamptz[], 'and no other');
SELECT is(pg_temp.maintained('2026-03-12 00:59+00'), 0::bigint, 'nothing before the week is over');
SELECT postback.reconcile(:import, 'America/New_York', threshold => 0.49, now => '2026-03-05 01:00+00') \g /dev/null
SELECT is(pg_temp.told('f', 5, '2026-03-06 00:00+00'), 'accepted', 'meanwhile a late postback comes');
SELECT is(pg_temp.maintained('2026-03-12 01:00+00'), 1::bigint, 'then it is compared again');
SELECT is(pg_temp.reconciled(:import), '2026-03-12 01:00+00'::timestamptz, 'now');
SELECT is((SELECT row(r.own_time_zone, r.threshold) FROM postback.reconciliations AS r WHERE r.import_id = :import)::text, '(America/New_York,0.49)', 'in the zone and by the threshold of the last time');
SELECT is(pg_temp.outcome(:import), '3 of 6 matched, 2 apart, 2 unexplained: 0.333333, investigate f', 'and knows what has come since');
SELECT is(pg_temp.maintained('2026-03-12 01:01+00'), 0::bigint, 'once');
SELECT is(pg_temp.maintained('2026-03-12 02:00+00'), 1::bigint, 'the other network''s has its own week');
SELECT is(pg_temp.reconciled(:others), '2026-03-12 02:00+00'::timestamptz, 'and is compared now');
SELECT pg_temp.imported('net', ARRAY['click-of-a,a,approved,10,2026-03-10 10:00:00'], '2026-03-11 00:00+00') AS newer \gset
SELECT is(pg_temp.maintained('2026-03-26 00:00+00'), 1::bigint, 'of two reports of a network');
SELECT isnt(pg_temp.reconciled(:newer), NULL, 'the one of the later days is compared');
SELECT is(pg_temp.maintained('2026-03-26 00:01+00'), 1::bigint, 'one network a minute');
SELECT is(pg_temp.maintained('2026-03-26 00:02+00'), 0::bigint, 'the report of before is left alone');
SELECT is(pg_temp.reconciled(:import), '2026-03-12 01:00+00'::timestamptz, 'as it was');
UPDATE postback.report_imports SET row_count = 1000001 WHERE import_id = :newer;
UPDATE postback.networks SET reconcile_weekly = false WHERE slug = 'other';
SELECT is(pg_temp.maintained('2026-05-01 00:00+00'), 0::bigint, 'neither one that is too large for a minute, nor one that nobody wants any more');
UPDATE postback.report_imports SET row_count = 1000000 WHERE import_id = :newer;
SELECT is(pg_temp.maintained('2026-05-01 00:00+00'), 1::bigint, 'one that is just not too large');
SELECT * FROM finish();
