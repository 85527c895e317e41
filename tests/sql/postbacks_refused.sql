-- What a network may get wrong: each has its verdict and its answer, is kept, and never makes a conversion.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789) AS offer_id \gset
SELECT click_id AS tapped FROM postback.record_click(offer_id => 789, click_id => 'a1b2c3') \gset

CREATE TEMP TABLE cases (place serial, what text, query text, verdict text, http_status integer, reason text);
-- Payouts that are not plainly an amount are never read as 0.
INSERT INTO cases (what, query, verdict, http_status, reason)
SELECT 'payout ' || written, 'click_id=a1b2c3&transaction_id=t&payout=' || written, 'malformed', 200, '^payout: ' || reason
FROM (VALUES ('NaN', 'the amount is not a number'), ('Infinity', 'the amount is not a number'), ('1e3', 'the amount has an exponent'),
    ('12,50', 'the amount has a comma'), ('1.234,50', 'the amount has a comma'), ('-5', 'the amount is negative'), ('{payout}', 'the amount is a macro'),
    ('%7Bpayout%7D', 'the amount is a macro'), ('', 'the amount is empty'), ('%2B5', 'the amount is not a number'), ('+5', 'the amount is not a number'),
    ('%2012', 'the amount is not a number'), ('12%20', 'the amount is not a number'), ('-0', 'the amount is negative'),
    ('$5', 'the amount is not a number'), ('5+USD', 'the amount is not a number'), ('0x10', 'the amount is not a number'), ('.5', 'the amount is not a number'),
    ('5.', 'the amount is not a number'), ('1.2.3', 'the amount is not a number'), ('%D9%A1%D9%A2', 'the amount is not a number'), ('five', 'the amount is not a number'),
    (repeat('9', 400), 'the amount has more than 15 digits'), ('1.' || repeat('3', 400), '.'), ('null', 'the amount is not a number')) AS p (written, reason);
INSERT INTO cases (what, query, verdict, http_status, reason) VALUES
    ('a currency that does not exist', 'click_id=a1b2c3&transaction_id=t&payout=5&currency=ABC', 'malformed', 200, '^currency: '),
    ('a currency of four letters', 'click_id=a1b2c3&transaction_id=t&payout=5&currency=USDT', 'malformed', 200, '^currency: '),
    ('a payout with a line break', 'click_id=a1b2c3&transaction_id=t&payout=12%0A', 'malformed', 200, 'control character'),
    ('two payouts', 'click_id=a1b2c3&transaction_id=t&payout=5&payout=50', 'malformed', 200, 'given twice'),
    ('a click id macro and no transaction', 'click_id={click_id}&payout=5', 'malformed', 400, 'macro that the network did not resolve'),
    ('both ids macros', 'click_id=%7Bclick_id%7D&transaction_id={transaction_id}&payout=5', 'malformed', 400, 'macro'),
    ('a click id macro', 'click_id={aff_sub}&transaction_id=m1&payout=5', 'unmatched', 200, 'macro'),
    ('a click id of 65 characters', 'payout=5&click_id=' || repeat('x', 65), 'malformed', 400, 'click id is not 1 to 64'),
    ('a click id of 65 characters and a transaction', 'payout=5&transaction_id=m2&click_id=' || repeat('x', 65), 'unmatched', 200, 'click id is not 1 to 64'),
    ('a click id with a space', 'payout=5&click_id=a%20b', 'malformed', 400, 'click id is not 1 to 64'),
    ('a click id with a line break', 'payout=5&click_id=a1b2c3%0D%0A', 'malformed', 400, '.'),
    ('NUL', 'payout=5&click_id=a1b2c3&transaction_id=a%00b', 'malformed', 400, '.'),
    ('bytes that are no UTF-8', 'payout=5&click_id=a1b2c3&transaction_id=%FF%FE', 'malformed', 400, '.'),
    ('a control character in an id', 'payout=5&click_id=a1b2c3&transaction_id=a%07b', 'malformed', 200, 'control character'),
    ('a transaction id of 256 characters', 'payout=5&click_id=a1b2c3&transaction_id=' || repeat('t', 256), 'malformed', 200, 'longer than 255'),
    ('nothing', '', 'malformed', 400, 'neither a click id nor a transaction id'),
    ('no ids', 'payout=5&status=approved', 'malformed', 400, 'neither a click id nor a transaction id'),
    ('empty ids', 'click_id=&transaction_id=&payout=5', 'malformed', 400, 'neither a click id nor a transaction id'),
    ('a status nobody knows', 'click_id=a1b2c3&transaction_id=t&payout=5&status=fantastic', 'unmapped_status', 200, 'do not have the word "fantastic"'),
    ('a status of 255 characters', 'click_id=a1b2c3&transaction_id=t&payout=5&status=' || repeat('s', 255), 'unmapped_status', 200, 'do not have the word'),
    ('a transaction without click', 'transaction_id=nobody&payout=5', 'unmatched', 200, 'no click is named'),
    ('an unknown click', 'click_id=unknown&payout=5', 'unmatched', 200, 'the click is not known');

CREATE TEMP TABLE answers AS SELECT c.*, r.verdict AS got, r.http_status AS got_status, r.reason AS got_reason, r.postback_id
FROM cases AS c, LATERAL postback.receive_postback('default', c.query) AS r;
SELECT is(got || ' ' || got_status, verdict || ' ' || http_status, left(what, 60)) FROM answers ORDER BY place;
SELECT matches(got_reason, reason, 'the reason for ' || left(what, 60)) FROM answers ORDER BY place;
SELECT is((SELECT count(*) FROM postback.conversions), 0::bigint, 'none of them made a conversion');
SELECT is((SELECT count(*) FROM postback.conversion_keys), 0::bigint, 'nor took the key of one');
SELECT is((SELECT count(*) FROM answers JOIN postback.postbacks USING (postback_id)), (SELECT count(*) FROM cases), 'every one of them is kept');
SELECT is_empty(
    $$ SELECT c.what FROM answers AS c JOIN postback.postbacks AS p USING (postback_id) WHERE p.query IS DISTINCT FROM convert_to(c.query, 'UTF8') $$,
    'with the bytes that came');
SELECT is((SELECT verdict FROM postback.receive_postback('default', 'click_id=a1b2c3&transaction_id=t&payout=5')), 'accepted',
    'the right message afterwards is accepted');
SELECT results_eq('SELECT transaction_id, payout::numeric FROM postback.conversions', $$ VALUES ('t', 5::numeric) $$, 'with its own amount');

-- A network that sends no default status.
UPDATE postback.networks SET default_status = NULL WHERE slug = 'default';
SELECT is((SELECT verdict FROM postback.receive_postback('default', 'click_id=a1b2c3&transaction_id=t2&payout=5')), 'unmapped_status',
    'no status and no default: unmapped');
UPDATE postback.networks SET default_status = 'approved' WHERE slug = 'default';

-- Batches: one bad element does not fail its neighbours, and answers keep their order.
CREATE FUNCTION pg_temp.many(queries text[]) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(concat_ws(' ', r.ordinal, r.verdict, r.http_status, r.body) ORDER BY r.ordinal)
    FROM postback.receive_postbacks(array_fill('default'::text, ARRAY[cardinality(queries)]), array(SELECT convert_to(q, 'UTF8') FROM unnest(queries) AS q)) AS r
$$;
SELECT is(
    pg_temp.many(ARRAY['click_id=a1b2c3&transaction_id=z&payout=1', 'payout=1', 'click_id=a1b2c3&transaction_id=a&payout=NaN',
        'click_id=a1b2c3&transaction_id=a&payout=1', 'click_id=a1b2c3&transaction_id=z&payout=1', 'click_id=a1b2c3&transaction_id=%FF']),
    ARRAY['1 accepted 200 OK', '2 malformed 400 neither a click id nor a transaction id could be read', '3 malformed 200 OK', '4 accepted 200 OK', '5 duplicate 200 OK',
        '6 malformed 400 neither a click id nor a transaction id could be read'], 'a batch answers each element in its place');
-- Something no check foresaw, made by a trigger that chokes on one message.
CREATE FUNCTION pg_temp.choke() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'choked' USING ERRCODE = '22000'; END $$;
CREATE TRIGGER choke BEFORE INSERT ON postback.conversions FOR EACH ROW WHEN (NEW.transaction_id = 'poison') EXECUTE FUNCTION pg_temp.choke();
SELECT is(
    pg_temp.many(ARRAY['click_id=a1b2c3&transaction_id=n1&payout=1', 'click_id=a1b2c3&transaction_id=poison&payout=1', 'click_id=a1b2c3&transaction_id=n2&payout=1']),
    '{1 accepted 200 OK,2 malformed 200 OK,3 accepted 200 OK}', 'a message that cannot be processed does not take the others with it');
SELECT matches((SELECT reason FROM postback.postbacks WHERE transaction_id = 'poison'), 'could not be processed: choked \(SQLSTATE 22000\)', 'and says why');
SELECT is((SELECT count(*) FROM postback.conversion_keys WHERE dedupe_key LIKE '%poison%'), 0::bigint, 'it leaves no key behind');
DROP TRIGGER choke ON postback.conversions;
SELECT is((SELECT verdict FROM postback.receive_postback('default', 'click_id=a1b2c3&transaction_id=poison&payout=1')), 'accepted', 'so that it can be sent again');
-- A recipe of three fields in a script of four bytes a letter is more than an index holds.
SELECT postback.add_network('Wide', dedupe => '{"transaction_id,event,offer_id"}') \g /dev/null
SELECT string_agg(chr(65536 + (hashtext(i::text) & 524287)), '') AS letters FROM generate_series(1, 255) AS i \gset
SELECT is((SELECT verdict || ' ' || http_status FROM postback.receive_postback('wide', format('click_id=%s&transaction_id=%s&event=%s&offer_id=%s', click, :'letters',
    reverse(:'letters'), right(:'letters', 100) || left(:'letters', 155)))), 'malformed 200', 'a key that no index holds is malformed: ' || click)
FROM unnest('{a1b2c3,not-known-yet}'::text[]) AS click;
SELECT is_empty('SELECT * FROM postback.receive_postbacks(''{}'', ''{}'')', 'an empty batch has no answer');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'after all this the ledger verifies');

SELECT * FROM finish();
