-- What becomes of an attempt: delivered, tried again, given up; and what becomes of a destination that fails.
SELECT no_plan();
SELECT date_trunc('hour', clock_timestamp()) + interval '2 hours' AS t0 \gset
CREATE FUNCTION pg_temp.tell(code integer, at timestamptz, error text DEFAULT NULL, retry_after integer DEFAULT NULL, response text DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$
    SELECT postback.finish_deliveries(array_agg(c.delivery_id), array_agg(code), array_agg(error), array_agg(retry_after), array_agg(response), at)
    FROM postback.claim_deliveries(now => at) AS c
$$;
CREATE FUNCTION pg_temp.sell(transaction text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE postback.deliveries;
    INSERT INTO postback.conversions (transaction_id, payout) VALUES (transaction, 5);
    RETURN (SELECT delivery_id FROM postback.deliveries);
END $$;

-- The ladder, with its tenth.
SELECT postback.add_destination('Partner', 'https://partner.example.com/', retry_after_failures => '{10 seconds,100 seconds}') AS partner_id \gset
SELECT pg_temp.sell('ladder') AS id \gset
SELECT is(pg_temp.tell(500, :'t0', response => repeat('é', 600)), 1, 'a failure is taken');
SELECT results_eq('SELECT state, attempts, last_attempt_at, last_status_code, last_error, length(last_response), finished_at FROM postback.deliveries',
    format('VALUES (''queued'', 1, %L::timestamptz, 500, ''the answer was 500'', 512, NULL::timestamptz)', :'t0'), 'and kept, the answer cut');
SELECT ok(due_at BETWEEN :'t0'::timestamptz + interval '9 seconds' AND :'t0'::timestamptz + interval '11 seconds', 'the first wait is the first step, give or take a tenth')
FROM postback.deliveries;
SELECT is(postback.next_delivery_at(:'t0'), (SELECT due_at FROM postback.deliveries), 'the proxy sleeps until then');
SELECT is(pg_temp.tell(200, :'t0'), 0, 'before that it is not handed out');
SELECT due_at AS t1 FROM postback.deliveries \gset
SELECT is(pg_temp.tell(NULL, :'t1', error => 'the connection was refused' || repeat('.', 500)), 1, 'without an answer it has failed too');
SELECT results_eq('SELECT state, attempts, last_status_code, left(last_error, 26), length(last_error) FROM postback.deliveries',
    $$ VALUES ('queued', 2, NULL::integer, 'the connection was refused', 200) $$, 'the error is kept, cut');
SELECT ok(due_at BETWEEN :'t1'::timestamptz + interval '90 seconds' AND :'t1'::timestamptz + interval '110 seconds', 'the second wait is the second step') FROM postback.deliveries;
SELECT is(pg_temp.tell(302, :'t1'::timestamptz + interval '110 seconds'), 1, 'a redirect is a failure');
SELECT results_eq('SELECT state, attempts, last_error, finished_at IS NOT NULL FROM postback.deliveries', $$ VALUES ('dead', 3, 'the answer was 302', true) $$,
    'after the last step it is dead');
SELECT is(postback.next_delivery_at(), NULL, 'and due no more');
SELECT is(failures_in_a_row, 3, 'each failure is counted') FROM postback.destinations;
SELECT ok(min(wait) >= interval '9 seconds' AND max(wait) <= interval '11 seconds' AND max(wait) - min(wait) > interval '1 second' AND count(DISTINCT wait) > 90,
    'deliveries that failed together do not come back together')
FROM generate_series(1, 100) AS i, LATERAL _postback.retry_wait('{10 seconds}', 1, 'delivery-' || i, NULL) AS wait;
SELECT is(_postback.retry_wait('{10 seconds}', 1, 'delivery-1', NULL), _postback.retry_wait('{10 seconds}', 1, 'delivery-1', NULL), 'the same one always waits as long');

-- Retry-After.
SELECT is(_postback.retry_wait('{10 seconds}', 1, 'd', asked), expected, format('Retry-After %s waits %s', asked, expected))
FROM (VALUES (3600, interval '1 hour'), (86400, interval '24 hours'), (2147483647, interval '24 hours')) AS v (asked, expected);
SELECT is(_postback.retry_wait('{10 seconds}', 1, 'd', asked), _postback.retry_wait('{10 seconds}', 1, 'd', NULL), format('Retry-After %s does not shorten the wait', asked))
FROM unnest('{0,5,-5,-2147483648}'::integer[]) AS asked;
SELECT is(_postback.retry_wait('{10 seconds}', 2, 'd', 3600), NULL, 'nor does it make the ladder longer');
SELECT pg_temp.sell('throttled') AS id \gset
SELECT is(pg_temp.tell(429, :'t0', retry_after => 120), 1, 'a receiver asks for time');
SELECT is(due_at, :'t0'::timestamptz + interval '2 minutes', 'and gets it') FROM postback.deliveries;
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('behind', 5);
SELECT is(pg_temp.tell(200, :'t0'::timestamptz + interval '119 seconds'), 0, 'also from what comes behind');
SELECT is(postback.next_delivery_at(:'t0'), :'t0'::timestamptz + interval '2 minutes', 'the proxy sleeps until then');
SELECT is(pg_temp.tell(200, :'t0'::timestamptz + interval '2 minutes'), 2, 'then both go');
SELECT is(failures_in_a_row, 0, 'a success sets the count back') FROM postback.destinations;
SELECT results_eq('SELECT DISTINCT state, last_error, finished_at FROM postback.deliveries', format('VALUES (''delivered'', NULL::text, %L::timestamptz)', :'t0'::timestamptz + interval '2 minutes'),
    'delivered, with nothing left to say');

-- Told late, twice, or in the wrong order.
SELECT pg_temp.sell('late') AS id \gset
SELECT delivery_id FROM postback.claim_deliveries(now => :'t0'::timestamptz + interval '3 minutes') \g /dev/null
CREATE FUNCTION pg_temp.tell_again(code integer) RETURNS integer LANGUAGE sql AS $$
    SELECT postback.finish_deliveries(array_agg(delivery_id), array_agg(code), ARRAY[NULL], ARRAY[NULL::integer], ARRAY[NULL]) FROM postback.deliveries
$$;
SELECT is(pg_temp.tell_again(500), 1, 'a failure');
SELECT is(pg_temp.tell_again(500), 0, 'that is told again is not counted again');
SELECT is(failures_in_a_row, 1, 'once is once') FROM postback.destinations;
SELECT is(pg_temp.tell_again(200), 1, 'a success that is told late counts');
SELECT is(pg_temp.tell_again(500), 0, 'and no failure after it');
SELECT is(pg_temp.tell_again(200), 0, 'nor a second success');
SELECT is(state, 'delivered', 'it stays delivered') FROM postback.deliveries;
SELECT is(postback.finish_deliveries('{nothing}', '{200}', '{NULL}', '{NULL}', '{NULL}'), 0, 'what does not exist is left alone');
SELECT pg_temp.sell('garbage') AS id \gset
SELECT is(pg_temp.tell(200, :'t0'::timestamptz + interval '4 minutes', error => 'the answer ended early'), 1, 'half an answer');
SELECT is(state, 'queued', 'is a failure, whatever its status') FROM postback.deliveries;

-- Gone.
SELECT pg_temp.sell('gone') AS id \gset
SELECT is(pg_temp.tell(410, :'t0'::timestamptz + interval '5 minutes'), 1, 'a receiver says 410 Gone');
SELECT results_eq('SELECT w.state, d.enabled, d.keeps_queueing, d.disabled_reason, a.message FROM postback.deliveries AS w, postback.destinations AS d, postback.alerts AS a',
    $$ VALUES ('dead', false, false, 'it answered 410 Gone', 'destination "Partner" is disabled: it answered 410 Gone') $$,
    'the delivery is dead, the destination disabled, and somebody is told');
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('after gone', 5);
SELECT is((SELECT count(*) FROM postback.deliveries), 1::bigint, 'nothing more is queued for it');
SELECT is(postback.enable_destination('Partner', :'t0'), 0, 'it is enabled by hand');
SELECT is(resolved_at, raised_at, 'which resolves the alert, not before it was raised') FROM postback.alerts;

-- Disabled after so many failures, with everything kept.
UPDATE postback.destinations SET disable_after = 3;
SELECT pg_temp.sell('down') AS id \gset
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('down 2', 5);
SELECT is(pg_temp.tell(500, :'t0'), 2, 'two failures');
SELECT is(enabled, true, 'are not yet three') FROM postback.destinations;
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('down 3', 5);
SELECT is(pg_temp.tell(500, :'t0'), 1, 'the third');
SELECT results_eq('SELECT enabled, disabled_at, disabled_reason, failures_in_a_row FROM postback.destinations',
    format('VALUES (false, %L::timestamptz, ''3 deliveries in a row failed'', 3)', :'t0'), 'disables it');
SELECT results_eq('SELECT kind, subject, evidence, raised_at FROM postback.alerts WHERE resolved_at IS NULL', format($$
    VALUES ('destination_disabled', 'Partner', '{"failures_in_a_row": 3, "keeps_queueing": true}'::jsonb, %L::timestamptz) $$, :'t0'), 'and raises an alert');
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('meanwhile', 5);
SELECT results_eq('SELECT queued, due, sending, delivered, dead, cancelled, enabled, failures_in_a_row, disabled_reason FROM postback.delivery_queue',
    $$ VALUES (4::bigint, 1::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, false, 3, '3 deliveries in a row failed') $$, 'everything is kept, also what comes meanwhile');
SELECT is(pg_temp.tell(200, :'t0'::timestamptz + interval '1 day'), 0, 'nothing is sent');
SELECT is(postback.enable_destination('Partner', :'t0'), 4, 'enabled, all of it is due at once');
SELECT is(pg_temp.tell(200, :'t0'), 4, 'and delivered');
SELECT is_empty('SELECT FROM postback.alerts WHERE resolved_at IS NULL', 'the alert is resolved');
SELECT is((SELECT count(*) FROM postback.alerts), 2::bigint, 'and kept');
-- A batch in which a success lies between failures.
UPDATE postback.destinations SET disable_after = 100;
SELECT pg_temp.sell('mixed') AS id \gset
INSERT INTO postback.conversions (transaction_id, payout) SELECT 'mixed ' || i, 5 FROM generate_series(1, 3) AS i;
SELECT is(postback.finish_deliveries(array_agg(delivery_id ORDER BY delivery_id), '{500,500,200,500}', ARRAY[NULL], ARRAY[NULL::integer], ARRAY[NULL], :'t0'), 4, 'a mixed batch')
FROM postback.claim_deliveries(now => :'t0');
SELECT is(failures_in_a_row, 1, 'counts the failures after its last success') FROM postback.destinations;

-- Replay.
UPDATE postback.destinations SET retry_after_failures = '{}';
SELECT pg_temp.sell('dead') AS id \gset
SELECT is(pg_temp.tell(500, :'t0'), 1, 'with an empty ladder the first failure is the last');
SELECT is(postback.replay_deliveries('Partner', '-infinity', '2000-01-01'), 0, 'nothing of that time is there to replay');
SELECT is(postback.replay_deliveries('Partner', '-infinity', states => '{delivered,cancelled}'), 0, 'nothing in that state either');
SELECT is(postback.replay_deliveries('Partner', '-infinity', now => :'t0'), 1, 'a dead letter goes back into the queue');
SELECT results_eq('SELECT delivery_id, state, attempts, finished_at FROM postback.deliveries', format('VALUES (%L COLLATE "C", ''queued'', 0, NULL::timestamptz)', :'id'),
    'under its id, with all attempts before it');
SELECT is(pg_temp.tell(200, :'t0'), 1, 'and is delivered');
SELECT lives_ok(format('SELECT postback.replay_delivery(%L, %L)', :'id', :'t0'), 'what was delivered can be sent again by hand');
SELECT delivery_id FROM postback.claim_deliveries(now => :'t0') \g /dev/null
SELECT throws_ok(format('SELECT postback.replay_delivery(%L)', :'id'), 'PB501', NULL, 'but not while it is under way');
SELECT throws_ok('SELECT postback.replay_delivery(''nothing'')', 'P0002', 'delivery "nothing" does not exist', 'nor what does not exist');
SELECT throws_ok('SELECT postback.replay_deliveries(''Partner'', ''-infinity'', states => ''{dead,sending}'')', '22023', NULL, 'nor what is still to come');
SELECT throws_ok('SELECT postback.replay_deliveries(''Nobody'', ''-infinity'')', 'P0002', NULL, 'nor of nobody');

-- Off by hand.
SELECT pg_temp.sell('by hand') AS id \gset
SELECT is(postback.disable_destination('Partner', 'they moved', now => :'t0'), 0, 'disabled by hand, the queue stays');
SELECT results_eq('SELECT disabled_reason, keeps_queueing FROM postback.destinations', $$ VALUES ('they moved', false) $$, 'with the reason');
INSERT INTO postback.conversions (transaction_id, payout) VALUES ('unheard', 5);
SELECT is((SELECT queued FROM postback.delivery_queue), 1::bigint, 'nothing is added');
SELECT is_empty('SELECT FROM postback.alerts WHERE resolved_at IS NULL', 'nobody is alarmed by what somebody did');
SELECT is(postback.disable_destination('Partner', cancel_queued => true), 1, 'the queue can be given up');
SELECT is(disabled_reason, 'they moved', 'the first reason stands') FROM postback.destinations;
SELECT is(state, 'cancelled', 'cancelled') FROM postback.deliveries;

SELECT * FROM finish();
