"""performance() from rollups, on the month that history.py makes: what an analyst waits for."""

import statistics

RUNS = 5
MONTH = "'2026-03-01 00:00+00', '2026-03-31 00:00+00'"
REPORTS = {
    "performance_segment_30d_ms": f"'{{segment}}', {MONTH}",
    "performance_day_variant_30d_ms": f"'{{day,variant}}', {MONTH}, 'America/New_York'",
    "performance_segment_30d_medians_ms": f"'{{segment}}', {MONTH}, medians => true",
    # Nothing of it is in rollups yet.
    "performance_newest_ms": "'{segment}', clock_timestamp() - interval '1 minute'",
}
# As many clicks as the month has in a minute, all within the last 15 seconds, by the people who tap often.
A_MINUTE = """
    INSERT INTO postback.clicks (click_id, bucket, clicked_at, link_id, send_id, campaign_id, segment_id, variant_id, offer_id,
        subscriber_id, visitor)
    SELECT _postback.mint_click_id_in(l.bucket, t.clicked_at), l.bucket, date_trunc('milliseconds', t.clicked_at), l.link_id,
           s.send_id, s.campaign_id, s.segment_id, s.variant_id, s.offer_id, l.subscriber_id, 'human'
    FROM postback.sends AS s
    CROSS JOIN LATERAL (SELECT * FROM postback.links AS l WHERE l.link_id >> 40 = s.send_id AND l.link_id >= s.send_id << 40
                        ORDER BY l.link_id LIMIT (:clicks / 43200 / 180 + 1)) AS l
    CROSS JOIN LATERAL (SELECT clock_timestamp() - random() * interval '10 seconds' AS clicked_at) AS t"""


def measure_reports(cluster, results, clicks=5_000_000):
    results.add("rollups_first_s", cluster.settle(), "s")
    cluster.sql("VACUUM ANALYZE")
    cluster.sql(A_MINUTE, clicks=clicks)
    for name, arguments in REPORTS.items():
        lines = cluster.sql("\\timing on\n" + f"SELECT count(*) FROM postback.performance({arguments});\n" * (RUNS + 2))
        times = [float(line.split()[1]) for line in lines if line.startswith("Time: ")]
        # The first ones of a session read the catalog and warm the cache.
        results.add(name, statistics.median(times[2:]), "ms")
