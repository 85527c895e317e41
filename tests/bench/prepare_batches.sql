-- Batches of 100 random codes with what a phone sends, made before a measurement, which they cost nothing.
CREATE TABLE bench_batches AS
WITH shuffled AS (
    SELECT code, row_number() OVER () - 1 AS place
    FROM (SELECT code FROM bench_links ORDER BY random() LIMIT 500000) AS some_links
)
SELECT place / 100 AS batch_id, array_agg(code) AS codes,
       array_agg('203.0.113.7'::inet) AS ip_addresses,
       array_agg('Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) '
           'Version/17.5 Mobile/15E148 Safari/604.1'::text) AS user_agents,
       array_agg('GET'::text) AS methods
FROM shuffled
GROUP BY place / 100;
ALTER TABLE bench_batches ADD CONSTRAINT bench_batches_pkey PRIMARY KEY (batch_id);
ANALYZE bench_batches;
