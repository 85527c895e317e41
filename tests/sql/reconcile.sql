-- A network's report against the conversions: each cause planted, found with its name and its evidence, and nothing invented beside it.
\pset fieldsep '\n'
SELECT no_plan();
SELECT postback.add_network('Net', 'tune'), postback.add_network('Other', 'generic') \g /dev/null
SELECT postback.add_offer('Offer', 'https://network.example.com/{click_id}', offer_id => 1, network => 'net', click_window => '60 days') \g /dev/null
SELECT postback.record_click(offer_id => 1, click_id => format('click-%s-0123456789', n), now => '2026-03-01 00:00+00')
FROM generate_series(100, 160) AS n \g /dev/null

-- What the network and we agree on, and what we were told of the rest.
CREATE FUNCTION pg_temp.told(query text, at timestamptz, network text DEFAULT 'net') RETURNS text LANGUAGE sql AS $$
    SELECT verdict::text FROM postback.receive_postback(network, query, now => at) $$;
SELECT count(pg_temp.told(format('aff_click_id=click-%s-0123456789&payout=12.50&transaction_id=t%1$s&goal_id=0', n), '2026-03-02 12:00+00'::timestamptz + (n - 100) * interval '1 hour'))
FROM generate_series(100, 139) AS n \g /dev/null

CREATE TEMP TABLE report (place serial, line text);
INSERT INTO report (line)
SELECT format('click-%s-0123456789,t%1$s,,approved,12.50,USD,%s', n, to_char('2026-03-02 12:00'::timestamp + (n - 100) * interval '1 hour', 'YYYY-MM-DD HH24:MI:SS'))
FROM generate_series(100, 119) AS n;
CREATE FUNCTION pg_temp.imported(network text, lines text[], zone text DEFAULT NULL, header text DEFAULT 'aff_click_id,Transaction ID,Goal,Status,Payout,Currency,Stat.datetime',
    format text DEFAULT NULL, columns jsonb DEFAULT NULL, dates text DEFAULT NULL, ignored text DEFAULT NULL, first_day date DEFAULT NULL, last_day date DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postback.report_lines (line) SELECT header UNION ALL SELECT unnest(lines);
    RETURN (SELECT i.import_id FROM postback.import_report(network, format, columns, time_zone => zone, dates => dates, ignored_in_amounts => ignored,
        first_day => first_day, last_day => last_day, now => '2026-03-20 00:00+00') AS i);
END $$;
CREATE FUNCTION pg_temp.causes(import bigint) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s: %s', kind, cause, found), ', ' ORDER BY kind, cause) FROM (
        SELECT kind, cause, count(*) AS found FROM postback.discrepancies WHERE import_id = import GROUP BY kind, cause) AS d $$;

-- The clean twin: of what both sides have, nothing is reported, whatever stands around it.
SELECT pg_temp.imported('net', array(SELECT line FROM report ORDER BY place), last_day => '2026-03-02') AS clean \gset
SELECT results_eq(format('SELECT kind, cause, found, share FROM postback.reconcile(%s)', :clean), $$ VALUES ('matched', NULL::text, 20::bigint, 1::numeric) $$, 'a report that agrees');
SELECT is(pg_temp.causes(:clean), NULL, 'has no discrepancy');
SELECT is((SELECT row(matched, unpaid, discrepancies, unexplained, investigate, matched_by::text) FROM postback.report_imports WHERE import_id = :clean)::text,
    '(20,0,0,0,f,"{transaction_id,click_id}")', 'and its import says so');

-- One of each, among those that agree: the days of the report end where those twenty do.
CREATE FUNCTION pg_temp.planted(extra text[], here text DEFAULT NULL, left_out text DEFAULT 'none') RETURNS TABLE (causes text, evidence text, matched bigint) LANGUAGE plpgsql AS $$
DECLARE
    import bigint := pg_temp.imported('net', array(SELECT line FROM report WHERE line NOT LIKE left_out ORDER BY place) || extra,
        first_day => '2026-03-02', last_day => '2026-03-03');
BEGIN
    -- The rest of the second day is in the report too.
    PERFORM postback.reconcile(import, now => '2026-03-21');
    RETURN QUERY SELECT pg_temp.causes(import), (SELECT string_agg(d.evidence, '; ' ORDER BY d.discrepancy_id) FROM postback.discrepancies AS d WHERE import_id = import),
        (SELECT i.matched FROM postback.report_imports AS i WHERE import_id = import);
    PERFORM postback.delete_report(import);
END $$;
INSERT INTO report (line)
SELECT format('click-%s-0123456789,t%1$s,,approved,12.50,USD,%s', n, to_char('2026-03-02 12:00'::timestamp + (n - 100) * interval '1 hour', 'YYYY-MM-DD HH24:MI:SS'))
FROM generate_series(120, 135) AS n;
SELECT is((SELECT p FROM pg_temp.planted('{}') AS p)::text, '(,,36)', 'all of two days agree');

CREATE TEMP TABLE cases (place serial, what text, extra text[], left_out text DEFAULT 'none', causes text, evidence text);
INSERT INTO cases (what, extra, left_out, causes, evidence) VALUES
    ('a row nobody told of', '{"click-150-0123456789,t900,,approved,12.50,USD,2026-03-03 10:00:00"}', DEFAULT, 'missing_here unexplained: 1', 'no postback of this transaction'),
    ('a rejected row nobody told of pays nothing', '{"click-150-0123456789,t900,,rejected,12.50,USD,2026-03-03 10:00:00"}', DEFAULT, NULL, NULL),
    ('a conversion without its row', '{}', '%,t110,%', 'missing_there unexplained: 1', 'neither its transaction nor its click'),
    ('a conversion whose row cannot be read', '{"click-110-0123456789,t110,,weird,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', 'missing_there row_not_read: 1', 'line 37 of the same transaction could not be read'),
    ('pending there', '{"click-110-0123456789,t110,,pending,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', 'status_differs status_lag: 1', 'does not know the decision yet'),
    ('rejected there, a short while ago', '{"click-110-0123456789,t110,,rejected,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', 'status_differs status_lag: 1', 'may still be under way'),
    ('another payout', '{"click-110-0123456789,t110,,approved,15.00,USD,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs unexplained: 1', 'more than a minor unit'),
    ('a cent more', '{"click-110-0123456789,t110,,approved,12.51,USD,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs rounding: 1', 'differ by 0.01'),
    ('a payout finer than a cent', '{"click-110-0123456789,t110,,approved,12.4975,USD,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs rounding: 1', 'differ by 0.0025'),
    ('in another currency', '{"click-110-0123456789,t110,,approved,11.50,EUR,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs currency: 1', 'EUR there, USD here'),
    ('the same amount in another currency', '{"click-110-0123456789,t110,,approved,12.50,EUR,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs currency: 1', 'EUR there'),
    ('status and payout', '{"click-110-0123456789,t110,,pending,14.50,USD,2026-03-02 22:00:00"}', '%,t110,%', 'payout_differs unexplained: 1, status_differs status_lag: 1', 'does not know'),
    ('twice in the report', '{"click-110-0123456789,t110,,approved,12.50,USD,2026-03-02 22:00:00"}', DEFAULT, 'duplicate dedupe_rule: 1', 'the same as line 12'),
    ('a second goal that we count with the first', '{"click-110-0123456789,t110,7,approved,3.00,USD,2026-03-02 22:30:00"}', DEFAULT, 'missing_here dedupe_rule: 1', 'of the same transaction'),
    ('another transaction of the click', '{"click-110-0123456789,t910,,approved,3.00,USD,2026-03-02 22:30:00"}', DEFAULT, 'missing_here dedupe_rule: 1', 'of the same click'),
    ('its click id cut off, and no transaction', '{"click-110-01234567,,,approved,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', 'missing_here click_id_truncated: 1', 'the report has "click-110-01234567", the conversion "click-110-0123456789"'),
    ('no transaction', '{"click-110-0123456789,,,approved,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', NULL, NULL),
    ('no click', '{",t110,,approved,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', NULL, NULL),
    ('goal 0 under its name', '{"click-110-0123456789,t110,Default,approved,12.50,USD,2026-03-02 22:00:00"}', '%,t110,%', NULL, NULL),
    ('dated by its approval', '{"click-110-0123456789,t110,,approved,12.50,USD,2026-03-19 22:00:00"}', '%,t110,%', NULL, NULL);
-- What came and had no effect, of a network that calls its goals by numbers in postbacks and by names in reports.
SELECT is(pg_temp.told('aff_click_id=click-155-01234567&payout=12.50&transaction_id=t955&goal_id=0', '2026-03-03 10:00+00'), 'unmatched', 'a postback whose click id was cut off');
SELECT is(pg_temp.told('aff_click_id=click-156-0123456789&payout=12.50&transaction_id=t956&goal_id=7&status=great', '2026-03-03 10:00+00'), 'unmapped_status',
    'a postback with a word for its status that is not known');
INSERT INTO cases (what, extra, causes, evidence) VALUES
    ('its postback was cut off', '{"click-155-0123456789,t955,Default,approved,12.50,USD,2026-03-03 10:00:00"}', 'missing_here click_id_truncated: 1',
        'the postback had "click-155-01234567"'),
    ('its postback was refused', '{"click-156-0123456789,t956,Sale,approved,12.50,USD,2026-03-03 10:00:00"}', 'missing_here postback_refused: 1',
        'the postback was unmapped_status');
SELECT is(p.causes, c.causes, c.what), CASE WHEN c.evidence IS NULL THEN ok(p.evidence IS NULL, c.what || ': no evidence') ELSE alike(p.evidence, '%' || c.evidence || '%', c.what || ': evidence') END
FROM cases AS c CROSS JOIN LATERAL pg_temp.planted(c.extra, NULL, c.left_out) AS p ORDER BY c.place;

-- Where both sides use the same words for goals, a postback about another goal explains nothing.
SELECT is(pg_temp.told('aff_click_id=click-157-0123456789&payout=1.00&transaction_id=t957&goal_id=7', '2026-03-03 10:00+00'), 'accepted', 'a goal that both sides call 7');
SELECT is(p.causes, c.causes, c.what)
FROM (VALUES
    ('the first goal has several names all the same', '{"click-155-0123456789,t955,Default,approved,12.50,USD,2026-03-03 10:00:00"}', 'missing_here click_id_truncated: 1'),
    ('the refused postback was about this goal', '{"click-156-0123456789,t956,7,approved,12.50,USD,2026-03-03 10:00:00"}', 'missing_here postback_refused: 1'),
    ('it was about another goal', '{"click-156-0123456789,t956,8,approved,12.50,USD,2026-03-03 10:00:00"}', 'missing_here unexplained: 1')) AS c (what, extra, causes)
CROSS JOIN LATERAL pg_temp.planted('{"click-157-0123456789,t957,7,approved,1.00,USD,2026-03-03 10:00:00"}' || c.extra::text[]) AS p;
SELECT * FROM finish();
