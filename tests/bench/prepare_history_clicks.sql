-- One of :workers parts of the month's :clicks clicks, see history.py: those of its share of the sends, which follow each other in time, so
-- that clicks lie in the order in which they come, as live ones do.
SET timezone = 'UTC';
SET work_mem = '512MB';
SET jit = off;
-- As a restore loads them: nothing waits for these clicks, and no rollup has counted their hours.
SET session_replication_role = replica;

-- Some subscribers tap more than others: the first hundredth of them makes a thirtieth of the hits. Machines come within seconds,
-- most people within hours, some after days.
INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id, subscriber_id,
    visitor, method, ip_address, user_agent, purpose)
SELECT _postback.mint_click_id_in(h.bucket, h.clicked_at), h.bucket, h.clicked_at, s.send_id << 40 | h.bucket::bigint << 30 | h.message,
       s.send_id, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, h.subscriber_id,
       d.visitor, d.method, '198.18.0.0'::inet + h.subscriber_id % 131072, d.user_agent, d.purpose
FROM (
    SELECT s.send_id, h.message, h.device, r.subscriber_id, postback.subscriber_bucket(r.subscriber_id) AS bucket,
           date_trunc('milliseconds', s.sent_at + (h.seconds - e.seconds * floor(h.seconds / e.seconds)) * interval '1 second') AS clicked_at
    FROM (
        SELECT n.send_id,
               floor(bench_chance(number, 2) ^ 1.3 * (:clicks / 150))::bigint AS message,
               width_bucket(bench_chance(number, 3), ARRAY[0, 0.33, 0.58, 0.76, 0.82, 0.85, 0.9, 0.95, 0.98]) AS device,
               -ln(1 - bench_chance(number, 4)) * CASE
                   WHEN bench_chance(number, 3) >= 0.58 THEN 5
                   WHEN bench_chance(number, 5) < 0.7 THEN 2400
                   ELSE 108000 END AS seconds
        FROM (
            SELECT number, 1 + floor(bench_chance(number, 1) * 180)::bigint AS send_id
            FROM (SELECT g.number # (:seed::bigint << 40) AS number FROM generate_series(1, :clicks) AS g (number)) AS g
        ) AS n
        WHERE (n.send_id - 1) * :workers / 180 = :worker
    ) AS h
    JOIN postback.sends AS s ON s.send_id = h.send_id
    CROSS JOIN LATERAL (SELECT extract(epoch FROM '2026-03-31'::timestamptz - s.sent_at)::double precision AS seconds) AS e
    CROSS JOIN LATERAL (SELECT bench_recipient(s.send_id, s.segment_id, h.message) AS subscriber_id) AS r
    ORDER BY clicked_at
) AS h
JOIN postback.sends AS s ON s.send_id = h.send_id
JOIN bench_devices AS d ON d.device = h.device;
