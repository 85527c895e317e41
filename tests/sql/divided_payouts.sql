-- The arithmetic beneath attribution(), against what Postgres makes of the same numbers: amounts of every width, shares, sets left early.
SELECT no_plan();

CREATE TEMP TABLE amounts AS
SELECT a.amount, trim_scale(a.amount) AS plain, c.currency, c.minor
FROM (
    SELECT (n * 10 ^ p::numeric)::numeric(60, 16) AS amount
    FROM unnest(ARRAY[0, 1, 7, 9, 10, 12.5, 99.99, 100, 9999, 10000, 10001, 123456789, 99990000, 1000000007, 4294967296.5]) AS n, generate_series(-6, 20) AS p
    UNION ALL SELECT (hashtextextended(i::text, 0)::numeric / 10 ^ (i % 19)::numeric)::numeric(60, 16) FROM generate_series(1, 2000) AS i
    UNION ALL SELECT unnest(ARRAY[10, 10.0, 10.00, 10.000000000000000, 0.000000000000000])) AS a
CROSS JOIN (VALUES ('USD', 2), ('JPY', 0), ('KWD', 3), ('XYZ', 2)) AS c (currency, minor)
WHERE a.amount >= 0;

-- One half each: what is odd in the finest unit goes to the first.
SELECT is_empty($$
    SELECT * FROM (
        SELECT a.*, ceil(a.amount * 10 ^ u.scale::numeric / 2) AS first_units, floor(a.amount * 10 ^ u.scale::numeric / 2) AS second_units, u.scale,
               _postback.revenue(a.amount, a.currency, s.shares, s.shares[1]) AS first_part, _postback.revenue(a.amount, a.currency, s.shares, s.shares[2]) AS second_part
        FROM amounts AS a
        CROSS JOIN LATERAL (SELECT greatest(scale(a.plain), a.minor) AS scale) AS u
        CROSS JOIN (SELECT ARRAY[(1::bigint << 40) + 500000000000, (2::bigint << 40) + 500000000000] AS shares) AS s) AS divided
    WHERE first_part <> round(first_units / 10 ^ scale::numeric, scale) OR second_part <> round(second_units / 10 ^ scale::numeric, scale)
       OR scale(first_part) <> scale OR scale(second_part) <> scale OR first_part + second_part <> amount$$, 'halves of amounts of every width');
SELECT is_empty($$
    SELECT * FROM (
        SELECT a.amount, _postback.revenue(a.amount, a.currency, ARRAY[(3::bigint << 40) + 1000000000000], (3::bigint << 40) + 1000000000000) AS part FROM amounts AS a) AS whole
    WHERE part <> amount OR numeric_send(part) <> numeric_send(part::text::numeric)$$, 'a whole amount is itself, kept as Postgres keeps it');
SELECT throws_ok(format('SELECT _postback.revenue(%s, ''USD'', ARRAY[1099511627777], 1099511627777)', amount), '22000', NULL, amount)
FROM unnest(ARRAY['-1', '-0.5', '''NaN''', '''Infinity''', '1e200']) AS amount;

SELECT is_empty($$
    SELECT credit, given FROM (
        SELECT c.credit, _postback.credit_of((c.place << 40) + (c.credit * 1000000000000)::bigint) AS given
        FROM (SELECT trim_scale(n / 10 ^ p::numeric) AS credit, p AS place FROM unnest(ARRAY[1, 5, 10, 25, 333, 999999999999]) AS n, generate_series(0::bigint, 12) AS p) AS c
        WHERE c.credit <= 1 AND scale(c.credit) <= 12) AS credits
    WHERE numeric_send(given) <> numeric_send(credit)$$, 'credit without the zeros at its end');

-- Arrays as Postgres keeps them: short, long, compressed, with NULLs, of more than one dimension, not beginning with 1.
SELECT is(_postback.qualifying(array_agg('2026-03-01'::timestamptz + i * interval '1 s' ORDER BY i), array_agg(CASE WHEN i % 3 > 0 THEN i % 3 END ORDER BY i), 'offer', 2, NULL, NULL, '2026-04-01', '90 days'),
    array_agg(i ORDER BY i) FILTER (WHERE i % 3 = 2), format('%s touches, every third without an offer', count(*)))
FROM unnest(ARRAY[2, 7, 8, 9, 64, 1000, 20000]) AS n, LATERAL generate_series(1::bigint, n) AS i GROUP BY n;
CREATE TEMP TABLE kept AS SELECT array_agg('2026-03-01'::timestamptz ORDER BY i) AS times, array_agg(7::bigint ORDER BY i) AS offers FROM generate_series(1, 100000) AS i;
SELECT cmp_ok(pg_column_size(offers), '<', 100000, 'compressed') FROM kept;
SELECT is(cardinality(_postback.qualifying(times, offers, 'any', 7, NULL, NULL, '2026-04-01', '90 days')), 100000, 'and read') FROM kept;
SELECT is(_postback.qualifying('[5:6]={2026-03-01,2026-03-02}', '{1,1}', 'any', 1, NULL, NULL, '2026-03-10', '90 days'), '{1,2}', 'bounds of their own');
SELECT is(_postback.qualifying('{}', '{}', 'any', 1, NULL, NULL, '2026-03-10', '90 days'), '{}', 'no touches');

-- A set that is left before its end begins anew.
SELECT is(array_agg(s.share), '{5,5,5}', 'the first of each')
FROM generate_series(1, 3) AS g (n), LATERAL (SELECT _postback.each_share(ARRAY[5, 6, g.n]) AS share LIMIT 1) AS s;
SELECT is(array_agg(s.share ORDER BY g.n, s.share), '{1,5,6,2,5,6,3,5,6}', 'all of each')
FROM generate_series(1, 3) AS g (n), LATERAL (SELECT _postback.each_share(ARRAY[5, 6, g.n]) AS share) AS s;
SELECT is((SELECT count(*) FROM _postback.each_share('{}') AS s), 0::bigint, 'an empty one');
SELECT is((SELECT count(*) FROM _postback.each_share(NULL) AS s), 0::bigint, 'none');
SELECT is((SELECT array_agg(s) FROM _postback.each_share('{7,8}') AS s), '{7,8}', 'in FROM');
BEGIN;
DECLARE walk SCROLL CURSOR FOR SELECT _postback.each_share('{1,2,3}');
FETCH 2 FROM walk \g /dev/null
MOVE BACKWARD ALL FROM walk;
CREATE TEMP TABLE seen (share bigint);
CREATE FUNCTION pg_temp.read_on() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    walk refcursor := 'walk';
    next bigint;
BEGIN
    LOOP
        FETCH walk INTO next;
        EXIT WHEN NOT FOUND;
        INSERT INTO seen VALUES (next);
    END LOOP;
END
$$;
SELECT pg_temp.read_on() \g /dev/null
SELECT is(array_agg(share), '{1,2,3}', 'read again from the beginning') FROM seen;
COMMIT;

SELECT * FROM finish();
