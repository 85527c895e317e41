-- Of the postbacks that became conversions: the same again, and the same with another payout, signed.
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench_repeats;
CREATE TABLE bench_repeats AS
SELECT b.query AS duplicate, format('%s&sig=%s', u.query, postback.sign(u.query, :'secret')) AS update
FROM bench_postbacks AS b
JOIN postback.conversions AS c ON c.click_id = b.click_id
CROSS JOIN LATERAL (SELECT replace(regexp_replace(b.query, '&sig=.*$', ''), 'payout=12.50', 'payout=15.00')) AS u (query);
