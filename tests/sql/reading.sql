-- How a message is read: macros, money by its currency, joined payouts, times.
SELECT no_plan();
SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1) AS offer_id \gset
SELECT click_id FROM postback.record_click(offer_id => 1, click_id => 'a1', now => '2026-03-10 12:00+00') \g /dev/null
CREATE FUNCTION pg_temp.post(query text, network text DEFAULT 'default') RETURNS record LANGUAGE sql AS $$
    SELECT verdict::text, reason FROM postback.receive_postback(network, query, now => '2026-03-12 13:00+00')
$$;
CREATE FUNCTION pg_temp.verdict(query text, network text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    SELECT r.verdict FROM pg_temp.post(query, network) AS r (verdict text, reason text)
$$;

-- An unresolved macro in every syntax of the field: no click, no transaction, but a note.
CREATE TEMP TABLE macros AS SELECT * FROM unnest(ARRAY['{aff_sub}', '{{clickid}}', '##CLICKID##', '[click_id]', '#s2#', '#s2##s3#', '${subid}', '[[[subid]]]',
    '#{click.publisher.clickId}', '<clickid>', '(clickid)', '!!!clickRef!!!', 'xxc1xx', 'REPLACE', 'OPTIONAL', '[REPLACE]',
    '${(last_attributed_touch_data.x)!}', '%subid%']) WITH ORDINALITY AS m (written, place);
CREATE FUNCTION pg_temp.encoded(written text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(replace(written, '%', '%25'), '#', '%23'), '&', '%26')
$$;
SELECT is(pg_temp.post('payout=1&transaction_id=macro' || place || '&click_id=' || pg_temp.encoded(written))::text,
    '(unmatched,"parameter ""click_id"" holds a macro that the network did not resolve; no conversion has this key and no click is named")',
    written || ' is no click id') FROM macros ORDER BY place;
SELECT is(pg_temp.verdict('click_id=a1&payout=' || pg_temp.encoded(written)), 'malformed', written || ' is no payout') FROM macros ORDER BY place;
SELECT is(pg_temp.verdict('click_id=%subid%&payout=1'), 'malformed', 'a percent macro as it comes is no escape');
SELECT is((SELECT count(*) FROM postback.conversions), 0::bigint, 'none of them made a conversion');

-- Decimals by the currency of the message, else of the network.
SELECT postback.add_network('Yen') AS network_id \gset
UPDATE postback.networks SET currency = 'JPY' WHERE slug = 'yen';
SELECT is(pg_temp.verdict('click_id=a1&transaction_id=' || place || '&' || query, network), verdict, query || ' at ' || network)
FROM (VALUES (1, 'default', 'payout=100&currency=JPY', 'accepted'), (2, 'default', 'payout=100.00&currency=jpy', 'accepted'),
    (3, 'default', 'payout=100.50&currency=JPY', 'malformed'), (4, 'default', 'payout=1.234&currency=KWD', 'accepted'),
    (5, 'default', 'payout=0.0125', 'accepted'), (6, 'default', 'payout=0.123456789012345', 'accepted'),
    (7, 'default', 'payout=0.1234567890123456', 'malformed'), (8, 'yen', 'payout=100.5', 'malformed'), (9, 'yen', 'payout=100.5&currency=USD', 'accepted'),
    (10, 'yen', 'payout=100', 'accepted'), (11, 'default', 'payout=1&currency=XXX', 'malformed'), (12, 'default', 'payout=1&currency=usd', 'accepted'))
    AS c (place, network, query, verdict) ORDER BY place;
SELECT is((SELECT array_agg(payout || ' ' || currency ORDER BY transaction_id::integer) FROM postback.conversions),
    '{100 JPY,100.00 JPY,1.234 KWD,0.0125 USD,0.123456789012345 USD,100.5 USD,100 JPY,1 USD}', 'every amount is kept as it was written');

-- Several amounts in one payout.
SELECT is(pg_temp.verdict('click_id=a1&transaction_id=joined&payout=1.50,2.50'), 'malformed', 'a comma is refused');
UPDATE postback.networks SET joins_payouts = true WHERE slug = 'default';
SELECT is(pg_temp.verdict('click_id=a1&transaction_id=joined&payout=1.10,2.20'), 'accepted', 'unless the network joins payouts');
SELECT is((SELECT payout::numeric FROM postback.conversions WHERE transaction_id = 'joined'), 3.30, 'which are added exactly');
SELECT is(pg_temp.verdict('click_id=a1&transaction_id=half&payout=1.10,'), 'malformed', 'one of them missing is not 0');
SELECT is(pg_temp.verdict('click_id=a1&transaction_id=half&payout=1.10,%23%23RS%23%23'), 'malformed', 'nor is a macro');

-- Times.
UPDATE postback.networks SET time_zone = 'America/New_York' WHERE slug = 'default';
SELECT is(pg_temp.verdict('click_id=a1&payout=1&transaction_id=time' || place || '&timestamp=' || written), 'accepted', written)
FROM (VALUES (1, '1773223200'), (2, '1773223200123'), (3, '2026-03-11 06:00:00'), (4, '2026-03-11T06:00:00.5670000'), (5, '2026-03-11T10:00:00Z'),
    (6, '2026-03-11T12:00:00%2B02:00'), (7, 'yesterday'), (8, '2026-02-30 10:00:00')) AS t (place, written) ORDER BY place;
SELECT is((SELECT array_agg(to_char(converted_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI:SS.MS') ORDER BY transaction_id)
           FROM postback.conversions WHERE transaction_id LIKE 'time%'),
    '{03-11 10:00:00.000,03-11 10:00:00.123,03-11 10:00:00.000,03-11 10:00:00.567,03-11 10:00:00.000,03-11 10:00:00.000,03-12 13:00:00.000,03-12 13:00:00.000}',
    'seconds, milliseconds, the network''s zone, ISO 8601; what is no time is the receipt');

-- Status words: the network's own, in any case.
SELECT postback.add_network('Numbers') AS network_id \gset
UPDATE postback.networks SET statuses = '{"1": "approved", "2": "pending", "3": "rejected", "5": "pending"}' WHERE slug = 'numbers';
SELECT is(pg_temp.verdict('click_id=a1&payout=1&transaction_id=status' || network || word || '&status=' || word, network), verdict, word || ' at ' || network)
FROM (VALUES ('numbers', '5', 'accepted'), ('numbers', '7', 'unmapped_status'), ('default', 'APPROVED', 'accepted'), ('default', 'Pending', 'accepted'),
    ('default', '5', 'unmapped_status'), ('numbers', 'approved', 'unmapped_status')) AS w (network, word, verdict);
SELECT is((SELECT status::text FROM postback.conversions WHERE transaction_id = 'statusnumbers5'), 'pending', 'a number means what this network says');
SELECT is_empty('SELECT * FROM postback.verify_ledger()', 'and the ledger is whole');
SELECT * FROM finish();
