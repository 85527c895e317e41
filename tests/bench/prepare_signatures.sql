-- :calls query strings with their signatures.
CREATE EXTENSION pgcrypto;
CREATE TABLE bench_signatures AS
SELECT q.query, postback.sign(q.query, :'secret') AS signature
FROM generate_series(1, :calls) AS g (number)
CROSS JOIN LATERAL (
    SELECT format('click_id=%s&payout=12.50&status=approved&transaction_id=txn_%s',
        postback.mint_click_id(g.number), g.number)
) AS q (query);
VACUUM ANALYZE bench_signatures;
